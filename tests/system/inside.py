"""inside - the Director between an edge, pools and clients, each of them raw SIP:
what a request becomes, where it goes, and what happens when one of them is gone
or slow. Run by inside.sh."""

import hashlib
import os
import pwd
import re
import signal
import socket
import subprocess
import sys
import threading
import time

from sipnet import BUILD, PKI, RUN, TOP, Closed, Door, Message, Silent, Tests, dial, request
import sipnet

NET = os.environ.get("LAB_NET", "127.65")
DIRECTOR, EDGE1, EDGE2, POOL1, POOL2 = (NET + ".8.%d" % n for n in (1, 2, 3, 4, 5))
SERVERS, CLIENTS = DIRECTOR + ":5061", DIRECTOR + ":5063"
NAME = "director.int.example.com"
MARK = "ms-edge-proxy-message-trust: ms-source-type=%s;ms-ep-fqdn=edge.int.example.com;ms-source-verified-user=verified%s"
USER = MARK % ("InternetUser", "")
PARTNER = MARK % ("DirectPartner", ";ms-source-network=federation")

T = Tests()
director = None


def config(extra="", doors=None, auth=""):
    doors = doors or '( { listen = "%s"; admits = "servers"; }, { listen = "%s"; admits = "clients"; } )' % (SERVERS, CLIENTS)
    return """
name = "%s"; domains = [ "example.com", "example.org" ]; user = "nobody"; workers = 1;
tls = { certificate = "%s/director.pem"; key = "%s/director.key"; trust = "%s/ca.pem"; };
doors = %s;
edges = ( { name = "edge.int.example.com"; address = "%s"; }, { name = "edge2.int.example.com"; address = "%s"; } );
pools = ( { name = "pool.int.example.com"; address = "%s"; }, { name = "pool2.int.example.com"; address = "%s"; } );
auth = { users = "%s/users"; nonce_lifetime = 3600; timeout = 3000; %s };
timers = { drain = 3; connect = 2; };
%s
""" % (NAME, PKI, PKI, PKI, doors, EDGE1, EDGE2, POOL1, POOL2, RUN, auth, extra)


class Director(sipnet.Edge):
    """sallyport-director as a process of ours."""

    def __init__(self, name, extra="", change=("", ""), program="sallyport-director", **more):
        self.dir = os.path.join(RUN, name)
        os.makedirs(self.dir, exist_ok=True)
        self.write("director.conf", config(extra, **more).replace(*change))
        self.launch(program, "director.conf")

    def authd(self):
        return self.child("authd")

    def child(self, name):
        pids = subprocess.run(["ps", "-o", "pid=,comm=", "--ppid", str(self.proc.pid)], capture_output=True, text=True).stdout
        return [int(line.split()[0]) for line in pids.splitlines() if line.split()[1] == name[:15]][0]


def prepare():
    make = os.path.join(TOP, "certs-example", "make-pki")
    quiet = {"check": True, "stdout": subprocess.DEVNULL}
    subprocess.run([make, PKI], **quiet)
    for name in ("edge2", "pool2", "gateway"):
        subprocess.run([make, PKI, "cert", name, "--dns", name + ".int.example.com"], **quiet)
    for name in os.listdir(PKI):
        os.chown(os.path.join(PKI, name), pwd.getpwnam("nobody").pw_uid, -1)
    for user, pool in (("alice@example.com", "pool"), ("bob@example.com", "pool"), ("dora@example.org", "pool2")):
        subprocess.run([os.path.join(BUILD, "sallyportctl"), "user", "add", user, "--users", RUN + "/users", "--pool",
                        pool + ".int.example.com", "--password-file", "-"], input=b"secret\n", check=True)


def edge():
    return dial(SERVERS, NAME, "edge-inner")


def digest(challenge, method, uri, user="alice", nc=1, password="secret", qop="auth"):
    """Authorization for the first challenge of a 401."""
    given = dict(re.findall(r'(\w+)="?([^",]+)"?', challenge.all("WWW-Authenticate")[0]))
    h = lambda t: hashlib.sha256(t.encode()).hexdigest()
    count = "%08x" % nc
    response = h(":".join((h("%s:%s:%s" % (user, given["realm"], password)), given["nonce"], count, "cn", qop,
                           h("%s:%s" % (method, uri)))))
    return ('Authorization: Digest username="%s", realm="%s", nonce="%s", uri="%s", response="%s", cnonce="cn", nc=%s, '
            'qop=%s, algorithm=SHA-256' % (user, given["realm"], given["nonce"], uri, response, count, qop))


def challenge(conn, domain="example.com", mark=(USER,)):
    conn.send(request("REGISTER", "sip:" + domain, "sip:x@" + domain, headers=mark))
    got = conn.recv()
    assert got.status == 401, got.start
    return got


def order(m, *names):
    """Header names of m in their order, those only."""
    low = [n.lower() for n in names]
    return [n for n, _ in m.headers if n.lower() in low]


def relayed():
    """A challenge of connection A answered on B."""
    uri = "sip:nobody@example.com"

    def sent(on, credentials, cid):
        mark = [USER, credentials]
        on.send(request("MESSAGE", uri, headers=mark, via_host="192.0.2.7:5061;ms-received-port=5061;ms-received-cid=" + cid))
        return on.recv()

    a, b = dial(CLIENTS, NAME), dial(CLIENTS, NAME)
    chal = challenge(a, mark=())
    got = sent(b, digest(chal, "MESSAGE", uri), "1")
    T.check("a challenge of one client's connection answered on another is refused", got.status == 401 and
            "stale=true" in got.all("WWW-Authenticate")[0], got.start)
    got = sent(a, digest(chal, "MESSAGE", uri), "1")
    T.check("  and good on its own", got.status == 404, got.start)
    a.close()
    b.close()
    conn, other = edge(), edge()
    conn.send(request("REGISTER", "sip:example.com", "sip:x@example.com", headers=[USER],
                      via_host="192.0.2.7:5061;ms-received-port=5061;ms-received-cid=A1"))
    chal = conn.recv()
    got = sent(conn, digest(chal, "MESSAGE", uri), "A2")
    T.check("  through an edge, too", got.status == 401 and "stale=true" in got.all("WWW-Authenticate")[0], got.start)
    got = sent(other, digest(chal, "MESSAGE", uri), "A1")
    T.check("  where it is the client's connection that counts, not the edge's", got.status == 404, got.start)
    conn.close()
    other.close()


# ---- what a request becomes ----

def registration():
    conn, door = edge(), Door(POOL1 + ":5061", "pool")
    path = "Path: <sip:edge.int.example.com;transport=tls;lr;x=1>"
    chal = challenge(conn)
    own = digest(chal, "REGISTER", "sip:example.com")
    foreign = 'Authorization: Digest username="alice", realm="elsewhere", nonce="n", uri="sip:x", response="00"'
    conn.send(request("REGISTER", "sip:example.com", to="sip:alice@example.com", headers=[
        USER, path, own, foreign, "P-Asserted-Identity: <sip:boss@example.com>", "ms-user-logon-data: x",
        "x-unknown:  odd  spacing", "Contact: <sip:alice@192.0.2.9>;+sip.instance=\"<urn:x>\""]))
    pool = door.accept()
    got = pool.recv()
    T.check("REGISTER arrives at the user's pool", got.start == "REGISTER sip:example.com SIP/2.0", got.start)
    T.check("  with the identity that was proved", got.all("P-Asserted-Identity") == ["<sip:alice@example.com>"])
    T.check("  with word that she is outside", got.all("ms-user-logon-data") == ["RemoteUser"])
    T.check("  without the credentials for us, with those for others", got.all("Authorization") == [foreign[15:]])
    T.check("  with the edge's mark", got.get("ms-edge-proxy-message-trust") == USER.split(": ", 1)[1])
    paths = got.all("Path")
    T.check("  our Path above the edge's", len(paths) == 2 and "@%s;" % NAME in paths[0] and
            paths[1] == path[6:], paths)
    T.check("  and short enough for Kamailio, which has 256 bytes", len(paths[0]) < 130, paths[0])
    T.check("  a Record-Route of ours", got.get("Record-Route").startswith("<sip:%s:5061;transport=tls;" % NAME))
    T.check("  what nobody touched as it was", b"x-unknown:  odd  spacing\r\n" in got.raw)
    T.check("  one Via more, one Max-Forwards less", len(got.all("Via")) == 2 and got.get("Max-Forwards") == "69")
    pool.send(got.reply(200, headers=["Contact: <sip:alice@192.0.2.9>;expires=60", "ms-user-logon-data: y"]))
    back = conn.recv()
    T.check("200 comes back", back.status == 200)
    T.check("  and tells the client that it is outside", back.all("ms-user-logon-data") == ["RemoteUser"])
    T.check("  with one Via", len(back.all("Via")) == 1)

    # what the pool stores leads back
    edge_door = Door(EDGE1 + ":5061", "edge-inner")
    pool_conn = dial(SERVERS, NAME, "pool")
    pool_conn.send(request("MESSAGE", "sip:alice@192.0.2.9", "sip:bob@example.com", to="sip:alice@example.com",
                           headers=["Route: %s, %s" % tuple(paths)], body=b"hi"))
    # the edge's own connection is one to the edge as well (RFC 5923), and may be the one that is used
    try:
        there = conn.recv(1)
    except Silent:
        there = edge_door.accept().recv()
    T.check("a message along the Path reaches the edge", there.start == "MESSAGE sip:alice@192.0.2.9 SIP/2.0")
    T.check("  without our Route, with the edge's", there.all("Route") == [paths[1]])
    # one byte of it changed
    at = paths[0].index("@") - 5
    forged = paths[0][:at] + ("B" if paths[0][at] == "A" else "A") + paths[0][at + 1:]
    pool_conn.send(request("MESSAGE", "sip:alice@192.0.2.9", "sip:bob@example.com", headers=["Route: " + forged]))
    T.check("a forged one is refused", pool_conn.recv().status == 481)
    for c in (conn, pool, pool_conn, door, edge_door):
        c.close()


def dialog():
    """INVITE from a remote user; both ends send in the dialog."""
    conn, door = edge(), Door(POOL1 + ":5061", "pool")
    rr = "Record-Route: <sip:edge.int.example.com:5061;transport=tls;lr;t=1>"
    chal = challenge(conn)
    uri = "sip:bob@example.com"
    conn.send(request("INVITE", uri, call="dialog-1", headers=[
        USER, rr, digest(chal, "INVITE", uri), "Contact: <sip:alice@192.0.2.9>"]))
    pool = door.accept()
    invite = pool.recv()
    T.check("INVITE: 100 at once", conn.recv().status == 100)
    routes = invite.all("Record-Route")
    T.check("INVITE: one Record-Route of ours, on top", len(routes) == 2 and routes[0].startswith("<sip:" + NAME) and
            routes[1] == rr[14:], routes)
    pool.send(invite.reply(200, headers=["Contact: <sip:bob@192.0.2.10>",
                                         "Record-Route: <sip:pool.int.example.com;transport=tls;lr>"]))
    ok = conn.recv()
    T.check("200 to INVITE", ok.status == 200)
    ours = routes[0]
    to_pool = ["Route: %s, <sip:pool.int.example.com;transport=tls;lr>" % ours]
    conn.send(request("ACK", "sip:bob@192.0.2.10", to=uri, to_tag="far", call="dialog-1", headers=[USER] + to_pool))
    ack = pool.recv()
    T.check("ACK follows without credentials", ack.method == "ACK" and ack.get("Route") ==
            "<sip:pool.int.example.com;transport=tls;lr>", ack.start)
    conn.send(request("INFO", "sip:bob@192.0.2.10", to=uri, to_tag="far", call="dialog-1", cseq=2, headers=[USER] + to_pool))
    T.check("INFO without credentials is challenged", conn.recv().status == 401)
    conn.send(request("INFO", "sip:bob@192.0.2.10", to=uri, to_tag="far", call="dialog-1", cseq=3, headers=[
        USER, digest(chal, "INFO", "sip:bob@192.0.2.10", nc=2)] + to_pool))
    info = pool.recv()
    T.check("INFO with the same nonce counted on passes", info.method == "INFO" and not info.all("Authorization"))
    pool.send(info.reply(200))
    conn.recv()
    # a pool that is no longer in the route set: our own token knows the far side
    conn.send(request("INFO", "sip:bob@192.0.2.10", to=uri, to_tag="far", call="dialog-1", cseq=4, headers=[
        USER, digest(chal, "INFO", "sip:bob@192.0.2.10", nc=3), "Route: " + ours]))
    T.check("without the pool's Route our token leads there", pool.recv().method == "INFO")
    # from the other side
    edge_door = Door(EDGE1 + ":5061", "edge-inner")
    pool_conn = dial(SERVERS, NAME, "pool")
    pool_conn.send(request("BYE", "sip:alice@192.0.2.9", "sip:bob@example.com", to="sip:alice@example.com", tag="far",
                           to_tag="a1", call="dialog-1", headers=["Route: %s, %s" % (ours, rr[14:])]))
    bye = conn.recv()
    T.check("BYE of the other end comes by the very connection of the call", bye.method == "BYE" and
            bye.all("Route") == [rr[14:]])
    conn.send(bye.reply(200))
    T.check("  its answer returns", pool_conn.recv().status == 200)
    # the same Route moved to another call
    pool_conn.send(request("BYE", "sip:alice@192.0.2.9", "sip:bob@example.com", to="sip:alice@example.com", tag="far",
                           to_tag="a1", call="dialog-2", headers=["Route: %s, %s" % (ours, rr[14:])]))
    T.check("a route of another call is forged", pool_conn.recv().status == 481)
    # the edge's connection is gone: another to the edge will do
    conn.close()
    director.logged("event=disconnected", "class=edge")
    pool_conn.send(request("BYE", "sip:alice@192.0.2.9", "sip:bob@example.com", to="sip:alice@example.com", tag="far",
                           to_tag="a1", call="dialog-1", cseq=9, headers=["Route: %s, %s" % (ours, rr[14:])]))
    T.check("when it is gone, one to the same edge is made", edge_door.accept().recv().method == "BYE")
    for c in (pool, pool_conn, door, edge_door):
        c.close()


def past_the_gates():
    """A route that was signed for one dialog opens nothing else: neither a user's gate nor the way out."""
    for name in ("shut", "shy"):
        subprocess.run([os.path.join(BUILD, "sallyportctl"), "user", "add", name + "@example.com", "--users", RUN + "/users", "--pool",
                        "pool.int.example.com", "--no-federation", "--no-public-im", "--password-file", "-"], input=b"secret\n", check=True)
    conn, door, edge_door = edge(), Door(POOL1 + ":5061", "pool"), Door(EDGE1 + ":5061", "edge-inner")
    alice, carol = "sip:alice@example.com", "sip:carol@contoso.example"
    conn.send(request("INVITE", alice, carol, call="gates-1", headers=[PARTNER, "Contact: <sip:carol@192.0.2.9>"]))
    pool = door.accept()
    invite = pool.recv()
    ours = [r for r in invite.all("Record-Route") if NAME in r][0]
    pool.send(invite.reply(200, headers=["Contact: <sip:alice@192.0.2.10>"]))
    while conn.recv().status != 200:
        pass
    number = [1]

    def in_it(method, uri, tag="far", sender=carol, more=()):
        """The final answer of the Director, or what came to the pool."""
        number[0] += 1
        headers = [PARTNER if sender == carol else USER, "Route: " + ours] + list(more)
        conn.send(request(method, uri, sender, to=uri, to_tag=tag, call="gates-1", cseq=number[0], headers=headers))
        came, end = None, time.monotonic() + sipnet.PATIENCE
        while time.monotonic() < end:
            for side in (pool, conn):
                try:
                    got = side.recv(0.02)
                except Silent:
                    continue
                if side is pool:
                    came = got.method
                    pool.send(got.reply(200))
                elif got.status >= 200:
                    return came or got.status
        return came, "and no answer"
    director.logged("event=users-read", count=2)
    T.check("a partner's dialog goes on", in_it("INFO", "sip:alice@192.0.2.10") == "INFO")
    T.check("  also with something new for its own addressee", in_it("MESSAGE", alice) == "MESSAGE")
    for method in ("MESSAGE", "INVITE", "SUBSCRIBE"):
        got = in_it(method, "sip:shut@example.com")
        T.check("  but %s to a user who is shut for partners does not pass by its route" % method, got == 403, got)
    T.check("  while BYE does", in_it("BYE", "sip:shut@example.com") == "BYE")
    got = in_it("MESSAGE", "sip:victim@fabrikam.example", tag=None, more=["Route: <sip:edge.int.example.com:5061;transport=tls;lr>"])
    T.check("a partner does not get out again by it", got == 403, got)

    chal = challenge(conn)
    conn.send(request("INVITE", alice, "sip:shy@example.com", call="gates-2", headers=[
        USER, digest(chal, "INVITE", alice, user="shy"), "Contact: <sip:shy@192.0.2.9>"]))
    invite = pool.recv()
    ours = [r for r in invite.all("Record-Route") if NAME in r][0]
    pool.send(invite.reply(200, headers=["Contact: <sip:alice@192.0.2.10>"]))
    while conn.recv().status != 200:
        pass
    out = "sip:victim@fabrikam.example"
    conn.send(request("MESSAGE", out, "sip:shy@example.com", call="gates-2", cseq=2, headers=[
        USER, digest(chal, "MESSAGE", out, user="shy", nc=2), "Route: %s, <sip:edge.int.example.com:5061;transport=tls;lr>" % ours]))
    got = conn.recv()
    T.check("nor does a user who may not write to partners, by a dialog of her own", got.status == 403 and
            director.logged("reason=route-not-ours", count=2), got.start)
    for c in (conn, pool, door, edge_door):
        c.close()


def inside_client():
    """A client inside calls, and is called back in the dialog."""
    door = Door(POOL1 + ":5061", "pool")
    client = dial(CLIENTS, NAME)
    chal = challenge(client, mark=())
    uri = "sip:alice@example.com"
    client.send(request("INVITE", uri, "sip:bob@example.com", call="desk-1", via_host="10.9.9.9:1234", headers=[
        digest(chal, "INVITE", uri, "bob"), "Contact: <sip:bob@10.9.9.9:1234;transport=tls>;proxy=replace",
        "Route: <sip:%s:5063;transport=tls;lr>" % NAME, PARTNER, "P-Asserted-Identity: <sip:boss@example.com>"]))
    pool = door.accept()
    invite = pool.recv()
    T.check("inside: an outbound proxy's Route is taken off", not invite.all("Route"))
    T.check("inside: a mark of its own does not arrive", not invite.all("ms-edge-proxy-message-trust"))
    T.check("inside: the identity is what was proved", invite.all("P-Asserted-Identity") == ["<sip:bob@example.com>"])
    T.check("inside: no word of being outside", not invite.all("ms-user-logon-data"))
    T.check("inside: we are the first hop", "ms-received-cid=" in invite.all("Via")[1] and
            "10.9.9.9" not in invite.get("Contact"), invite.get("Contact"))
    routes = invite.all("Record-Route")
    T.check("inside: a Record-Route for either door", len(routes) == 2, routes)
    pool.send(invite.reply(200, headers=["Contact: <sip:alice@192.0.2.9>"]))
    T.check("inside: 100, then 200", [client.recv().status, client.recv().status] == [100, 200])
    pool_conn = dial(SERVERS, NAME, "pool")
    back = request("BYE", "sip:bob@10.9.9.9:1234", "sip:alice@example.com", to="sip:bob@example.com", tag="far", to_tag="a1",
                   call="desk-1", headers=["Route: " + ", ".join(routes)])
    pool_conn.send(back)
    bye = client.recv()
    T.check("inside: BYE comes on the client's own connection", bye.method == "BYE" and not bye.all("Route"))
    client.send(bye.reply(200, headers=[PARTNER]))
    got = pool_conn.recv()
    T.check("inside: its answer returns, without a mark", got.status == 200 and not got.all("ms-edge-proxy-message-trust"))
    client.close()
    director.logged("event=disconnected", "class=client")
    pool_conn.send(request("INFO", "sip:bob@10.9.9.9:1234", "sip:alice@example.com", to="sip:bob@example.com", tag="far",
                           to_tag="a1", call="desk-1", cseq=2, headers=["Route: " + ", ".join(routes)]))
    T.check("inside: when the client is gone the pool hears it at once", pool_conn.recv().status in (430, 480))
    for c in (pool, pool_conn, door):
        c.close()


# ---- where requests go ----

def ways():
    doors = {n: Door(a + ":5061", c) for n, a, c in (("edge", EDGE1, "edge-inner"), ("pool", POOL1, "pool"), ("pool2", POOL2, "pool2"))}
    pool_conn = dial(SERVERS, NAME, "pool2")
    pool_conn.send(request("MESSAGE", "sip:carol@contoso.example", "sip:dora@example.org", headers=[
        "P-Asserted-Identity: <sip:dora@example.org>"]))
    far = doors["edge"].accept()
    got = far.recv()
    T.check("a pool's message for another domain goes to the edge", got.start.startswith("MESSAGE sip:carol@contoso.example"))
    T.check("  with the pool's word on who sends it", got.all("P-Asserted-Identity") == ["<sip:dora@example.org>"])
    far.send(got.reply(200))
    pool_conn.recv()
    pool_conn.send(request("MESSAGE", "sip:ALICE@Example.COM", "sip:dora@example.org"))
    far = doors["pool"].accept()
    got = far.recv()
    T.check("one for a user of another pool goes there, in any spelling", got.start == "MESSAGE sip:ALICE@Example.COM SIP/2.0")
    far.send(got.reply(486, "Busy Here"))
    T.check("  and its refusal comes back", pool_conn.recv().status == 486)
    pool_conn.send(request("MESSAGE", "sip:al%69ce@example.com", "sip:dora@example.org"))
    got = far.recv()
    T.check("  escapes are seen through", got.start == "MESSAGE sip:al%69ce@example.com SIP/2.0")
    far.send(got.reply(200))
    pool_conn.recv()
    pool_conn.send(request("MESSAGE", "sip:alice%40example.com@example.com", "sip:dora@example.org"))
    T.check("  but an escaped @ makes no other address", pool_conn.recv().status == 404)
    conn = edge()
    conn.send(request("MESSAGE", "sip:dora@example.org", "sip:carol@contoso.example", headers=[PARTNER]))
    far2 = doors["pool2"].accept()
    got = far2.recv()
    far2.send(got.reply(200))
    conn.recv()
    T.check("a partner's message goes to the pool of the addressee", got.start == "MESSAGE sip:dora@example.org SIP/2.0")
    T.check("  with its mark, and no identity of ours", got.get("ms-edge-proxy-message-trust") == PARTNER.split(": ", 1)[1] and
            not got.all("P-Asserted-Identity"))
    chal = challenge(conn, "example.org")
    T.check("the realm is that of the sender's domain", 'realm="example.org"' in chal.get("WWW-Authenticate"))
    uri = "sip:carol@contoso.example"
    chal = challenge(conn)
    conn.send(request("MESSAGE", uri, headers=[USER, digest(chal, "MESSAGE", uri)]))
    try:
        out = doors["edge"].accept(0.5)
        got = out.recv()
    except Silent:
        got = conn.recv()
    T.check("a remote user's message to a partner goes out again", got is not None and got.start == "MESSAGE %s SIP/2.0" % uri)
    conn.close()
    pool_conn.close()
    for d in doors.values():
        d.close()


def failover():
    """The first edge is not there: the second gets it; none: the sender hears why."""
    second = Door(EDGE2 + ":5061", "edge2")
    pool_conn = dial(SERVERS, NAME, "pool")
    pool_conn.send(request("MESSAGE", "sip:carol@contoso.example", "sip:alice@example.com"))
    far = second.accept()
    T.check("the second edge stands in", far.recv().method == "MESSAGE")
    far.close()
    got = pool_conn.recv()
    T.check("it dies before it answers: 502", got.status == 502 and got.get("ms-diagnostics").startswith("1007;"), got.start)
    second.close()
    impostor = Door(EDGE2 + ":5061", "pool2")
    pool_conn.send(request("MESSAGE", "sip:carol@contoso.example", "sip:alice@example.com"))
    got = pool_conn.recv(15)
    T.check("an impostor gets nothing", got.status == 504, got.start)
    impostor.close()
    pool_conn.close()


def both_on_one_port():
    """A door for servers and clients: who shows no certificate, or a stranger's, is a client."""
    other = Director("both", doors='( { listen = "%s:5061"; admits = "both"; } )' % POOL2)
    for cert, status, what in ((None, 401, "who shows no certificate is challenged"),
                               ("gateway", 401, "a stranger's certificate makes nobody a server"),
                               ("pool", 404, "a pool is not challenged"), ("edge-inner", 404, "nor is an edge")):
        conn = dial(POOL2 + ":5061", NAME, cert)
        conn.send(request("MESSAGE", "sip:nobody@example.com", "sip:carol@contoso.example", headers=[PARTNER]))
        got = conn.recv()
        T.check("one port for all: " + what, got.status == status, got.start)
        conn.close()
    other.stop()


def one_realm():
    """A realm for all domains; accounts are made for it."""
    realm = "SIP Communications Service"
    for user in ("ann@example.com", "ann@example.org"):
        subprocess.run([os.path.join(BUILD, "sallyportctl"), "user", "add", user, "--users", RUN + "/users", "--pool",
                        "pool.int.example.com", "--password-file", "-", "--realm", realm], input=user.encode() + b"\n", check=True)
    other = Director("realm", doors='( { listen = "%s:5061"; admits = "both"; } )' % POOL2,
                     auth='realm = "%s"; digest = "sha-256";' % realm)
    conn = dial(POOL2 + ":5061", NAME)
    chal = challenge(conn, "example.org", ())
    T.check("one realm: it is asked for, with one algorithm", len(chal.all("WWW-Authenticate")) == 1 and
            'realm="%s"' % realm in chal.get("WWW-Authenticate"))
    for domain, password, status in (("example.org", "ann@example.org", 301), ("example.com", "ann@example.com", 301),
                                     ("example.com", "ann@example.org", 401)):
        conn.send(request("REGISTER", "sip:" + domain, "sip:ann@" + domain, to="sip:ann@" + domain, headers=[
            digest(challenge(conn, domain, ()), "REGISTER", "sip:" + domain, "ann", password=password)]))
        got = conn.recv()
        T.check("one realm: ann of %s with the password of %s" % (domain, password), got.status == status, got.start)
    conn.send(request("REGISTER", "sip:example.com", "sip:alice@example.com", to="sip:alice@example.com", headers=[
        digest(challenge(conn, "example.com", ()), "REGISTER", "sip:example.com")]))
    T.check("one realm: an account of another realm does not do", conn.recv().status == 401)
    T.check("  and the log says so", other.logged("event=bad-credentials", "why=other-realm"))
    conn.close()
    other.stop()


def other_accounts():
    """Where the accounts are, and how often who may guess, changes with a reload."""
    conn = dial(CLIENTS, NAME)

    def signs_in(user, password="secret"):
        conn.send(request("REGISTER", "sip:example.com", "sip:%s@example.com" % user, to="sip:%s@example.com" % user, headers=[
            digest(challenge(conn, "example.com", ()), "REGISTER", "sip:example.com", user, password=password)]))
        return conn.recv().status

    def change(*pairs):
        path = os.path.join(director.dir, "director.conf")
        text = open(path).read()
        for old, new in pairs:
            assert old in text, old
            text = text.replace(old, new)
        director.write("director.conf", text)
        before = len(re.findall("event=reload", director.log()))
        director.hup()
        director.logged("event=reload", count=before + 1)

    subprocess.run([os.path.join(BUILD, "sallyportctl"), "user", "add", "yvonne@example.com", "--users", RUN + "/users2", "--pool",
                    "pool.int.example.com", "--password-file", "-"], input=b"secret\n", check=True)
    T.check("who is in another file is nobody", (signs_in("alice"), signs_in("yvonne")) == (301, 401))
    change(('/users"', '/users2"'))
    T.check("  until a reload says that it is the file", (signs_in("alice"), signs_in("yvonne")) == (401, 301))
    os.chmod(RUN + "/users", 0o644)
    change(('/users2"', '/users"'))
    T.check("a file that others may read is not taken", (signs_in("alice"), signs_in("yvonne")) == (401, 301) and
            director.logged("event=reload-refused"))
    os.chmod(RUN + "/users", 0o600)
    change(("drain = 3", "drain = 2"))
    T.check("  and taken when it is right", (signs_in("alice"), signs_in("yvonne")) == (301, 401))
    change(("timers =", "guessing = { user_and_source = 2; };\ntimers ="))
    T.check("  with new limits", [signs_in("bob", "guess") for _ in range(3)] == [401, 401, 403])
    conn.close()


# ---- DNS ----

class SlowDns:
    """A name server that answers when it is told to."""

    def __init__(self):
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind((NET + ".8.53", 5300))
        self.sock.settimeout(5)

    def question(self):
        q, addr = self.sock.recvfrom(1500)
        labels, at = [], 12
        while q[at]:
            labels.append(q[at + 1:at + 1 + q[at]].decode())
            at += q[at] + 1
        return q, addr, ".".join(labels).lower(), int.from_bytes(q[at + 1:at + 3], "big"), at + 5

    def answer_until(self, done):
        """The pool's SRV leads to a host at POOL1."""
        while not done():
            try:
                q, addr, name, kind, end = self.question()
            except socket.timeout:
                return
            self.answer(q, addr, name, kind, end)

    def answer(self, q, addr, name, kind, end):
        host = b"\x05host1\x03int\x07example\x03com\x00"
        data = b"\x00\x01\x00\x01" + (5061).to_bytes(2, "big") + host if kind == 33 and name.startswith("_sips") else \
            socket.inet_aton(POOL1) if kind == 1 and name.startswith("host1") else b""
        more = b"\xc0\x0c" + kind.to_bytes(2, "big") + b"\x00\x01\x00\x00\x00\x3c" + len(data).to_bytes(2, "big") + data
        self.sock.sendto(q[:2] + b"\x85\x80\x00\x01\x00" + bytes([1 if data else 0]) + b"\x00\x00\x00\x00" + q[12:end] +
                         (more if data else b""), addr)


def slow_dns():
    """What comes before DNS has said where the pool is waits for it, and not for ever."""
    dns, door = SlowDns(), Door(POOL1 + ":5061", "pool")
    there = ('{ name = "pool.int.example.com"; address = "%s"; }' % POOL1,
             '{ name = "pool.int.example.com"; srv = "_sips._tcp.pool.int.example.com"; }')
    other = Director("slow-dns", 'dns = { servers = "%s.8.53:5300"; };' % NET, change=there)
    first = dns.question()
    conn = edge()
    chal = challenge(conn)
    conn.send(request("REGISTER", "sip:example.com", to="sip:alice@example.com", headers=[
        USER, digest(chal, "REGISTER", "sip:example.com"), "Contact: <sip:alice@192.0.2.9>"]))
    conn.send(request("MESSAGE", "sip:alice@example.com", "sip:bob@contoso.example", headers=[PARTNER]))
    T.check("DNS is slow: nothing is answered at once", conn.quiet(0.5))
    T.check("  and others are served meanwhile", challenge(conn).status == 401)
    dns.answer(*first)
    got = []

    def listen():
        pool = door.accept()
        got.extend((pool.recv(), pool.recv()))
        for m in got:
            pool.send(m.reply(200))

    listener = threading.Thread(target=listen)
    listener.start()
    dns.answer_until(lambda: not listener.is_alive() or len(got) == 2)
    listener.join()
    T.check("then both go to the pool", sorted(m.method for m in got) == ["MESSAGE", "REGISTER"] and
            sorted(conn.recv().status for _ in range(2)) == [200, 200])
    T.check("  signed in once", other.log().count("event=signed-in") == 1)
    conn.close()
    other.stop()
    other = Director("no-dns", 'dns = { servers = "%s.8.53:5300"; };' % NET, change=there)
    conn = edge()
    conn.send(request("MESSAGE", "sip:alice@example.com", "sip:bob@contoso.example", headers=[PARTNER]))
    T.check("DNS says nothing at all: 504 after its time", conn.recv(12).status == 504)
    T.check("  and for the next one there is nothing to wait for", other.logged("event=srv-failed"))
    conn.send(request("MESSAGE", "sip:alice@example.com", "sip:bob@contoso.example", headers=[PARTNER]))
    T.check("  which gets it at once", conn.recv(1).status == 504)
    # one that waits when the Director ends
    conn.close()
    other.stop()
    other = Director("no-dns", 'dns = { servers = "%s.8.53:5300"; };' % NET, change=there)
    conn = edge()
    conn.send(request("MESSAGE", "sip:alice@example.com", "sip:bob@contoso.example", headers=[PARTNER]))
    challenge(conn)
    other.stop()
    T.check("  and one that waits does not stop the Director from ending", True)
    conn.close()
    door.close()
    dns.sock.close()


def array_without_dns():
    """In an array, the node that a dialog's route names is one that DNS does not know: another one takes it."""
    sipnet.Resolver(NET + ".8.53", lambda name, kind: None)
    other = Director("array", 'dns = { servers = "%s.8.53"; }; edge_array = true;' % NET, change=(
        '{ name = "edge.int.example.com"; address = "%s"; }' % EDGE1,
        '{ name = "edge.int.example.com"; srv = "_sips._tcp.edge.int.example.com"; }'))
    other.logged("event=srv-failed")
    conn, door, second = edge(), Door(POOL1 + ":5061", "pool"), Door(EDGE2 + ":5061", "edge2")
    rr = "<sip:edge.int.example.com:5061;transport=tls;lr;t=1>"
    conn.send(request("INVITE", "sip:alice@example.com", "sip:carol@contoso.example", call="array-1", headers=[
        PARTNER, "Record-Route: " + rr, "Contact: <sip:carol@192.0.2.9>"]))
    pool = door.accept()
    invite = pool.recv()
    pool.send(invite.reply(200, headers=["Contact: <sip:alice@192.0.2.10>"]))
    conn.recv()
    T.check("a call comes by an edge that DNS does not know", conn.recv().status == 200)
    conn.close()
    other.logged("event=disconnected", "class=edge")
    pool_conn = dial(SERVERS, NAME, "pool")
    pool_conn.send(request("BYE", "sip:carol@192.0.2.9", "sip:alice@example.com", to="sip:carol@contoso.example", tag="far",
                           to_tag="a1", call="array-1", headers=["Route: %s, %s" % (invite.all("Record-Route")[0], rr)]))
    T.check("  and is ended by another node", second.accept().recv().method == "BYE")
    for c in (pool, pool_conn, door, second):
        c.close()
    other.stop()


# ---- authd ----

def slow_authd():
    conn, door = edge(), Door(POOL1 + ":5061", "pool")
    chal = challenge(conn)
    uri = "sip:bob@example.com"
    os.kill(director.authd(), signal.SIGSTOP)
    call = request("INVITE", uri, call="held-1", branch="z9hG4bKheld", headers=[USER, digest(chal, "INVITE", uri)])
    conn.send(call)
    conn.send(request("CANCEL", uri, call="held-1", branch="z9hG4bKheld", headers=[USER]))
    T.check("CANCEL of a call that waits for authd is answered", conn.recv().status == 200)
    chal2 = challenge(conn)
    T.check("others are served meanwhile", chal2.status == 401)
    os.kill(director.authd(), signal.SIGCONT)
    got = conn.recv()
    T.check("  and the call ends with 487", got.status == 487 and "INVITE" in got.get("CSeq"), got.start)
    try:
        door.accept(0.3)
        T.check("  and goes nowhere", False)
    except Silent:
        T.check("  and goes nowhere", True)
    conn.send(request("ACK", uri, call="held-1", branch="z9hG4bKheld", to_tag=re.search(r"tag=([^;]+)", got.get("To")).group(1)))
    os.kill(director.authd(), signal.SIGSTOP)
    conn.send(request("MESSAGE", uri, headers=[USER, digest(chal2, "MESSAGE", uri)]))
    got = conn.recv()
    T.check("a silent authd: 500 after its time", got.status == 500, got.start)
    T.check("  logged as auth-unavailable", director.logged("reason=auth-unavailable"))
    # a sender who leaves while authd thinks
    conn.send(request("MESSAGE", uri, headers=[USER, digest(chal2, "MESSAGE", uri, nc=2)]))
    conn.close()
    os.kill(director.authd(), signal.SIGCONT)
    conn = edge()
    T.check("a sender who has left is forgotten", challenge(conn).status == 401)
    conn.close()
    door.close()


def crossing():
    """Many requests at once, answered each to its sender."""
    conn, door = edge(), Door(POOL1 + ":5061", "pool")
    chal = challenge(conn)
    uri, n = "sip:bob@example.com", 200
    conn.send(b"".join(request("MESSAGE", uri, call="many-%d" % i, headers=[USER, digest(chal, "MESSAGE", uri, nc=i + 1)])
                       for i in range(n)))
    pool = door.accept()
    seen = [pool.recv() for _ in range(n)]
    T.check("200 at once: all arrive", len({m.get("Call-ID") for m in seen}) == n)
    for m in reversed(seen):
        pool.send(m.reply(200, headers=["X-For: " + m.get("Call-ID")]))
    back = [conn.recv() for _ in range(n)]
    T.check("  and each answer is its own", all(m.status == 200 and m.get("X-For") == m.get("Call-ID") for m in back))
    conn.send(request("MESSAGE", uri, headers=[USER, digest(chal, "MESSAGE", uri, nc=n)]))
    T.check("  a count that was used is not used again", conn.recv().status == 401)
    for c in (conn, pool, door):
        c.close()


# ---- reload and stop ----

def reload():
    pool_conn, gateway = dial(SERVERS, NAME, "pool2"), None
    try:
        gateway = dial(SERVERS, NAME, "gateway")
        T.check("a server that is not named is turned away", gateway.closed())
    except (Closed, OSError):
        T.check("a server that is not named is turned away", True)
    director.write("director.conf", config('servers = "gateway.int.example.com";').replace('{ name = "pool2.int.example.com"; address = "%s"; }' % POOL2, "").replace('"; },  )', '"; } )').replace(", )", " )").replace(",  )", " )"))
    director.hup()
    T.check("HUP takes new servers over", director.logged("event=reloaded"), director.log()[-600:])
    T.check("  a server that is no longer named is disconnected", pool_conn.closed())
    gateway = dial(SERVERS, NAME, "gateway")
    gateway.send(request("OPTIONS", "sip:" + NAME, "sip:gw@gateway.int.example.com"))
    T.check("  one that is named now is served", gateway.recv().status == 200)
    gateway.close()
    director.write("director.conf", config().replace("workers = 1", "workers = 2"))
    director.hup()
    T.check("what needs a restart is refused", director.logged("event=reload-refused", "workers has changed"))
    # a renewed certificate
    subprocess.run([os.path.join(TOP, "certs-example", "make-pki"), PKI, "cert", "director", "--dns", NAME, "--days", "3"],
                   check=True, stdout=subprocess.DEVNULL)
    os.chown(PKI + "/director.key", pwd.getpwnam("nobody").pw_uid, -1)
    director.write("director.conf", config())
    before = director.log().count("event=reloaded")
    director.hup()
    director.logged("event=reloaded", count=before + 1)
    conn = edge()
    days = (time.mktime(time.strptime(conn.sock.getpeercert()["notAfter"], "%b %d %H:%M:%S %Y %Z")) - time.time()) / 86400
    T.check("a renewed certificate is shown after HUP", days < 4, days)
    conn.close()


def stop():
    """TERM: what is in flight gets its answer."""
    conn, door = edge(), Door(POOL1 + ":5061", "pool")
    chal = challenge(conn)
    uri = "sip:bob@example.com"
    conn.send(request("MESSAGE", uri, headers=[USER, digest(chal, "MESSAGE", uri)]))
    pool = door.accept()
    got = pool.recv()
    director.proc.send_signal(signal.SIGTERM)
    director.logged("event=stopping")
    conn.send(request("MESSAGE", uri, headers=[USER]))
    T.check("stopping: nothing new is taken", conn.recv().status == 503)
    pool.send(got.reply(200))
    T.check("stopping: what is in flight is answered", conn.recv().status == 200)
    T.check("stopping: then it ends, with status 0", director.proc.wait(10) == 0)
    for c in (conn, pool, door):
        c.close()


def secrets():
    """The process that faces the network cannot read the user file."""
    with open("/proc/%d/status" % director.child("sallyport-director")) as f:
        status = f.read()
    uid = re.search(r"^Uid:\t(\d+)\t(\d+)\t(\d+)\t(\d+)$", status, re.M).groups()
    nobody = str(pwd.getpwnam("nobody").pw_uid)
    T.check("the network process has given up root", set(uid) == {nobody}, uid)
    T.check("and is in a sandbox", re.search(r"^Seccomp:\t2$", status, re.M) is not None)
    reads = subprocess.run(["setpriv", "--reuid=" + nobody, "--clear-groups", "cat", RUN + "/users"], capture_output=True)
    T.check("and its account may not read the user file", reads.returncode != 0 and b"Permission denied" in reads.stderr)
    fds = os.listdir("/proc/%d/fd" % director.authd())
    kinds = {os.readlink("/proc/%d/fd/%s" % (director.authd(), fd)) for fd in fds if os.path.lexists("/proc/%d/fd/%s" % (director.authd(), fd))}
    with open("/proc/%d/status" % director.authd()) as f:
        T.check("authd is in a sandbox", re.search(r"^Seccomp:\t2$", f.read(), re.M) is not None)
    T.check("authd holds no key and no door", not any(".key" in k or ".pem" in k for k in kinds), kinds)


def accounts():
    """authd has an account of its own, which alone can read the user file."""
    owner = pwd.getpwnam("daemon")
    os.chown(RUN + "/users", owner.pw_uid, owner.pw_gid)
    other = Director("accounts", doors='( { listen = "%s:5061"; admits = "both"; } )' % POOL2, auth='user = "daemon";')
    with open("/proc/%d/status" % other.authd()) as f:
        status = f.read()
    T.check("authd becomes its account", set(re.search(r"^Uid:\t(.*)$", status, re.M).group(1).split()) == {str(owner.pw_uid)})
    T.check("  without groups of root", re.search(r"^Groups:\t(.*)$", status, re.M).group(1).split() in ([], [str(owner.pw_gid)]))
    T.check("  and can gain no privilege", re.search(r"^NoNewPrivs:\t1$", status, re.M) is not None)
    T.check("  and leaves no core", subprocess.run(["setpriv", "--reuid=" + str(owner.pw_uid), "--clear-groups", "cat",
            "/proc/%d/maps" % other.authd()], capture_output=True).returncode != 0)
    subprocess.run([os.path.join(BUILD, "sallyportctl"), "user", "add", "zoe@example.com", "--users", RUN + "/users", "--pool",
                    "pool.int.example.com", "--password-file", "-"], input=b"secret\n", check=True)
    T.check("the file stays authd's when root changes it", os.stat(RUN + "/users").st_uid == owner.pw_uid)
    other.hup()
    other.logged("event=reloaded")
    conn = dial(POOL2 + ":5061", NAME)
    conn.send(request("REGISTER", "sip:example.com", "sip:zoe@example.com", to="sip:zoe@example.com", headers=[
        digest(challenge(conn, "example.com", ()), "REGISTER", "sip:example.com", "zoe")]))
    T.check("and the new user is known", conn.recv().status == 301)
    conn.close()
    other.stop()


def main():
    global director
    prepare()
    try:
        director = Director("director")
        for name, fn in (("relayed challenges", relayed), ("registration", registration), ("dialog", dialog), ("past the gates", past_the_gates), ("a client inside", inside_client), ("ways", ways),
                         ("both", both_on_one_port), ("realm", one_realm), ("accounts", accounts),
                         ("other accounts", other_accounts)):
            T.run(name, fn)
        director.stop()
        director = Director("failing")
        for name, fn in (("failover", failover), ("a slow authd", slow_authd)):
            T.run(name, fn)
        director.stop()
        T.run("slow DNS", slow_dns)
        T.run("an array without DNS", array_without_dns)
        director = Director("changing")
        for name, fn in (("crossing", crossing), ("secrets", secrets), ("reload", reload), ("stop", stop)):
            T.run(name, fn)
    finally:
        for e in list(sipnet.Edge.running):
            e.stop()
    for name in ("director", "failing", "slow-dns", "no-dns", "array", "changing", "both", "realm", "accounts"):
        log = open(os.path.join(RUN, name, "log"), errors="replace").read()
        T.check("%s: no sanitizer complained" % name, "Sanitizer" not in log and "runtime error" not in log)
    sys.exit(1 if T.failed else 0)


if __name__ == "__main__":
    main()
