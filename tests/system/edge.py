"""edge - the edge from outside and inside, with raw SIP: what passes, what does
not, and that every request gets its answer. Run by edge.sh."""

import os
import pwd
import re
import shutil
import socket
import subprocess
import sys
import time

from sipnet import (BUILD, PKI, RUN, TOP, Closed, Door, Edge, Message, Silent, Tests, dial, request)

OUT, IN, DIR1, DIR2, PARTNER = "127.66.0.1", "127.66.1.1", "127.66.1.2", "127.66.1.3", "127.66.0.2"
USERS, PARTNERS, INNER = OUT + ":443", OUT + ":5061", IN + ":5061"
MARK = "ms-edge-proxy-message-trust"

POLICY = """
internal_domains = [ "example.com" ];
internal_servers = [ "director.int.example.com", "director2.int.example.com" ];
federation = true;
blocked = [ "fabrikam.example" ];
partners = ( { name = "Contoso"; server = "sip.contoso.example"; domains = [ "contoso.example" ]; } );
"""


def config(extra="", limits="", two=True, workers=1):
    door = 'certificate = "%s/edge-outer.pem"; key = "%s/edge-outer.key";' % (PKI, PKI)
    return """
user = "nobody"; workers = %d;
log = { level = "debug"; refusals = 0; };
outer = (
  { listen = "%s"; name = "sip.example.com"; %s users = true; },
  { listen = "%s"; name = "sip.example.com"; %s trust = "%s/ca.pem"; client_certificate = "required"; partners = true; }
);
inner = { listen = "%s"; name = "edge.int.example.com"; certificate = "%s/edge-inner.pem"; key = "%s/edge-inner.key";
          trust = "%s/ca.pem"; };
directors = ( { name = "director.int.example.com"; address = "%s"; }%s );
dns = { servers = [ "127.66.0.9:53" ]; timeout = 100; tries = 1; };
limits = { %s };
%s
""" % (workers, USERS, door, PARTNERS, door, PKI, INNER, PKI, PKI, PKI, DIR1,
       ', { name = "director2.int.example.com"; address = "%s"; }' % DIR2 if two else "", limits, extra)


T = Tests()


def pki():
    make = os.path.join(TOP, "certs-example", "make-pki")
    subprocess.run([make, PKI], check=True, stdout=subprocess.DEVNULL)
    subprocess.run([make, PKI, "cert", "director2", "--dns", "director2.int.example.com"], check=True,
                   stdout=subprocess.DEVNULL)
    subprocess.run([make, PKI, "cert", "stranger", "--dns", "sip.stranger.example"], check=True,
                   stdout=subprocess.DEVNULL)
    give_away()


def give_away():
    """The edge has given up root by the time it reads its keys again."""
    for name in os.listdir(PKI):
        os.chown(os.path.join(PKI, name), pwd.getpwnam("nobody").pw_uid, -1)


# ---- what a message becomes on its way in ----

def passage():
    door = Door(DIR1 + ":5061", "director")
    edge = Edge("passage", config(two=False), POLICY)
    user = dial(USERS)
    forged = [MARK + ": ms-source-type=DirectPartner;ms-ep-fqdn=edge.int.example.com",
              "P-Asserted-Identity: <sip:boss@example.com>", "ms-user-logon-data: RemoteUser",
              "ms-split-domain-info: x", "x-sallyport-refused: 403", "P-Preferred-Identity: <sip:alice@example.com>",
              "UserAgent: odd  spelling", "X-Folded: one\r\n\ttwo", "Authorization: Digest username=\"alice\""]
    user.send(request(headers=forged, body=b"hello"))
    director = door.accept()
    got = director.recv()

    T.check("a forged mark does not arrive, ours does", [v for v in got.all(MARK)] ==
            ["ms-source-type=InternetUser;ms-ep-fqdn=edge.int.example.com;ms-source-verified-user=verified"],
            repr(got.all(MARK)))
    for name in ("P-Asserted-Identity", "ms-user-logon-data", "ms-split-domain-info", "x-sallyport-refused"):
        T.check("%s from outside does not arrive" % name, got.get(name) is None)
    for line in (b"UserAgent: odd  spelling\r\n", b"X-Folded: one\r\n\ttwo\r\n", b"P-Preferred-Identity: <sip:alice@example.com>\r\n",
                 b"Authorization: Digest username=\"alice\"\r\n"):
        T.check("untouched: %r" % line[:24], line in got.raw)
    T.check("Max-Forwards is taken down", got.get("Max-Forwards") == "69")
    T.check("two Vias, ours on top", len(got.all("Via")) == 2 and "edge.int.example.com" in got.all("Via")[0])
    T.check("the body arrives", got.body == b"hello")

    def responses():
        director.send(got.reply(200, headers=[MARK + ": forged", "ms-diagnostics: 1;reason=\"inner name\"",
                                              "Server: RTC/3.5"]))
        r = user.recv()
        return (r.status == 200 and len(r.all("Via")) == 1 and r.get(MARK) is None and
                r.get("ms-diagnostics") is None and r.get("Server") == "RTC/3.5") or r.raw
    T.run("the answer comes back without our Via, marks and inner diagnostics", responses)

    for what, line in (("in capitals, a space before the colon", "MS-Edge-Proxy-Message-TRUST : ms-source-type=AuthorizedServer"),
                       ("folded", MARK + ":\r\n ms-source-type=EdgeProxyGenerated"),
                       ("empty", MARK + ":")):
        def disguised(line=line):
            user.send(request(headers=[line]))
            m = director.recv()
            director.send(m.reply(200))
            return len(m.all(MARK)) == 1 and "InternetUser" in m.get(MARK) and user.recv().status == 200 or m.raw
        T.run("a forged mark %s is replaced" % what, disguised)

    def twice():
        user.send(request(headers=[MARK + ": a", MARK + ": b"]))
        return user.recv().status == 400 and director.quiet(0.1)
    T.run("a mark given twice is refused", twice)

    def stray():
        bad = got.reply(200).replace(b"branch=z9hG4bKsp", b"branch=z9hG4bKxx", 1)
        director.send(bad + got.reply(200))   # unknown branch; then a second final response to a finished request
        return user.quiet()
    T.run("stray and repeated responses are dropped", stray)

    def from_user():
        user.send(got.reply(200))
        return user.quiet() and director.quiet() and edge.logged("reason=stray-response", count=3)
    T.run("a response from the wrong peer is dropped", from_user)

    def no_branch():
        user.send(request(branch=None, mf=None, call="old-client"))
        m = director.recv()
        director.send(m.reply(200))
        return m.get("Max-Forwards") == "70" and user.recv().status == 200
    T.run("a client without branch and Max-Forwards (RFC 2543) is served", no_branch)

    def benotify():
        user.send(request("BENOTIFY", headers=["Event: presence"]))
        m = director.recv()
        director.send(m.reply(200))
        return m.method == "BENOTIFY" and user.quiet()
    T.run("BENOTIFY passes and has no answer", benotify)

    def negotiate():
        user.send(request("NEGOTIATE", mf=0, headers=["Compression: LZ77-8K"]))
        return user.recv().status == 405 and director.quiet()
    T.run("NEGOTIATE is answered 405 here", negotiate)

    def ping():
        user.send("\r\n\r\n")
        end = time.monotonic() + 5
        while not user.buffer:
            user._more(end)
        got, user.buffer = user.buffer, b""
        return got == b"\r\n"
    T.run("a double CRLF is answered with one", ping)

    def register():
        user.send(request("REGISTER", "sip:example.com", to="sip:alice@example.com",
                          headers=["Contact: <sip:192.168.1.5:5061;transport=tls>;proxy=replace", "ms-keep-alive: UAC;hop-hop=yes"]))
        m = director.recv()
        if m.get("ms-keep-alive") is not None or len(m.all("Path")) != 1 or "path" not in (m.get("Supported") or ""):
            return m.raw
        if "127.0.0.1:" not in m.get("Contact") or "proxy=" in m.get("Contact"):
            return m.get("Contact")
        director.send(m.reply(200, headers=["Contact: " + m.get("Contact"), "Expires: 3600"]))
        r = user.recv()
        if r.status != 200 or "timeout=300" not in (r.get("ms-keep-alive") or ""):
            return r.raw
        # from inside along the Path: to that connection and no other
        path = m.get("Path")
        director.send(request("MESSAGE", "sip:192.168.1.5:5061;transport=tls", sender="sip:bob@example.com",
                              to="sip:alice@example.com", headers=["Route: " + path], via_host="director.int.example.com:5061"))
        inward = user.recv()
        if inward.method != "MESSAGE" or inward.get("Route") is not None or inward.get(MARK) is not None:
            return inward.raw
        user.send(inward.reply(200, headers=[MARK + ": forged"]))
        answer = director.recv()
        if answer.status != 200 or "InternetUser" not in (answer.get(MARK) or ""):
            return answer.raw
        # one character of the signature changed
        for at in (path.index("@") - 3, path.index("sip:") + 7):
            bad = path[:at] + ("A" if path[at] != "A" else "B") + path[at + 1:]
            director.send(request("MESSAGE", "sip:192.168.1.5:5061;transport=tls", sender="sip:bob@example.com",
                                  to="sip:alice@example.com", headers=["Route: " + bad]))
            if director.recv().status != 481:
                return "a changed Path was followed"
        user.close()
        if not edge.logged("event=disconnected", "port=443"):
            return "no disconnect"
        director.send(request("MESSAGE", "sip:192.168.1.5:5061;transport=tls", sender="sip:bob@example.com",
                              to="sip:alice@example.com", headers=["Route: " + path]))
        gone = director.recv()
        return (gone.status == 430 and "EdgeProxyGenerated" in (gone.get(MARK) or "") and
                "1006" in (gone.get("ms-diagnostics") or "")) or gone.raw
    T.run("REGISTER: Path, keep-alive, proxy=replace; a request from inside comes on that connection; 430 when it is gone", register)
    T.check("the edge ends in order", edge.stop() == 0)
    door.close()


# ---- dialogs ----

def dialogs():
    door = Door(DIR1 + ":5061", "director")
    edge = Edge("dialogs", config(two=False, limits="invite = 10; invite_first = 2; request = 2; failover = 1;"), POLICY)
    user = dial(USERS)
    director = None

    def call(**kw):
        nonlocal director
        user.send(request("INVITE", headers=["Contact: <sip:alice@192.0.2.7:5061;transport=tls>"], **kw))
        if director is None:
            director = door.accept()
        return director.recv()

    def trying():
        r = user.recv()
        return r.status == 100

    def established():
        m = call()
        director.send(m.reply(100, "Trying") + m.reply(180, "Ringing"))
        director.send(m.reply(200, headers=["Contact: <sip:bob@192.0.2.9:5061;transport=tls>"]))
        got = [user.recv().status for _ in range(3)]
        if got != [100, 180, 200]:
            return got
        routes = m.all("Record-Route")
        if len(routes) != 2 or "edge.int.example.com:5061" not in routes[0] or "sip.example.com:443" not in routes[1]:
            return routes
        call_id = m.get("Call-ID")
        user.send(request("ACK", "sip:bob@192.0.2.9:5061;transport=tls", to="sip:bob@example.com", to_tag="far", call=call_id,
                          headers=["Route: " + routes[1], "Route: " + routes[0]]))
        ack = director.recv()
        if ack.method != "ACK" or ack.get("Route"):
            return ack.raw
        user.send(request("INFO", "sip:bob@192.0.2.9:5061;transport=tls", to="sip:bob@example.com", to_tag="far", call=call_id, cseq=2,
                          headers=["Route: %s, %s, <sip:director.int.example.com;lr>" % (routes[1], routes[0])]))
        info = director.recv()
        if info.all("Route") != ["<sip:director.int.example.com;lr>"]:
            return info.raw
        director.send(info.reply(200))
        if user.recv().status != 200:
            return "INFO"
        # the other way, to the user's own connection
        director.send(request("BYE", "sip:alice@192.0.2.7:5061;transport=tls", sender="sip:bob@example.com", tag="far",
                              to="sip:alice@example.com", to_tag="a1", call=call_id,
                              headers=["Route: " + routes[0], "Route: " + routes[1]]))
        bye = user.recv()
        user.send(bye.reply(200))
        if bye.method != "BYE" or director.recv().status != 200:
            return bye.raw
        # the route set of one dialog does not open another
        user.send(request("INFO", "sip:bob@192.0.2.9:5061", to="sip:bob@example.com", to_tag="far", call="another",
                          headers=["Route: " + routes[1], "Route: " + routes[0]]))
        r = user.recv()
        return r.status == 481 and "1004" in (r.get("ms-diagnostics-public") or "") or r.raw
    T.run("a dialog in both directions along signed routes; 481 for a stolen one", established)

    def foreign():
        user.send(request("INFO", "sip:bob@192.0.2.9", to="sip:bob@example.com", to_tag="far",
                          headers=["Route: <sip:10.0.0.1:5060;lr>"]))
        return user.recv().status == 403 and director.quiet()
    T.run("a Route to somebody else is not followed from outside", foreign)

    def preloaded():
        user.send(request("MESSAGE", headers=["Route: <sip:sip.example.com:443;transport=tls;lr>", "Route: <sip:10.0.0.1;lr>"]))
        m = director.recv()
        director.send(m.reply(200))
        return user.recv().status == 200 and m.get("Route") is None
    T.run("an outbound proxy's Route is dropped, the request passes", preloaded)

    def rejected():
        m = call()
        director.send(m.reply(486, "Busy Here"))
        ack = director.recv()
        if [user.recv().status, user.recv().status] != [100, 486] or ack.method != "ACK" or ack.all("Via") != m.all("Via")[:1]:
            return ack.raw
        # the sender's own ACK ends here
        user.send(request("ACK", call=m.get("Call-ID"), branch=m.all("Via")[1].split("branch=")[1].split(";")[0]))
        return director.quiet()
    T.run("a refused INVITE: the edge acknowledges inside, the sender's ACK ends here", rejected)

    def cancelled(branch):
        m = call(branch=branch)
        director.send(m.reply(180, "Ringing"))
        if [user.recv().status, user.recv().status] != [100, 180]:
            return "no 180"
        via = m.all("Via")[1]
        user.send(request("CANCEL", call=m.get("Call-ID"),
                          branch=via.split("branch=")[1].split(";")[0] if branch else None))
        ok = user.recv()
        c = director.recv()
        if ok.status != 200 or c.method != "CANCEL" or c.all("Via")[0] != m.all("Via")[0]:
            return c.raw
        director.send(c.reply(200) + m.reply(487, "Request Terminated"))
        ack = director.recv()
        return ack.method == "ACK" and user.recv().status == 487
    T.run("CANCEL follows its INVITE", lambda: cancelled(True))
    T.run("CANCEL follows its INVITE without a branch (RFC 2543)", lambda: cancelled(None))

    def early_cancel():
        m = call()
        user.recv()
        user.send(request("CANCEL", call=m.get("Call-ID"), branch=m.all("Via")[1].split("branch=")[1].split(";")[0]))
        if user.recv().status != 200 or not director.quiet():
            return "CANCEL went before a provisional response"
        director.send(m.reply(100, "Trying"))
        c = director.recv()
        director.send(c.reply(200) + m.reply(487, "Request Terminated"))
        return c.method == "CANCEL" and director.recv().method == "ACK" and user.recv().status == 487
    T.run("CANCEL waits for a provisional response (RFC 3261 9.1)", early_cancel)

    def stray_cancel():
        user.send(request("CANCEL", call="nobody-knows"))
        return user.recv().status == 481 and director.quiet()
    T.run("a CANCEL of nothing gets 481", stray_cancel)

    def silent_invite():
        call()
        return user.recv().status == 100 and user.recv(6).status == 504
    T.run("an INVITE that nobody answers gets 504", silent_invite)
    T.check("the edge ends in order", edge.stop() == 0)
    door.close()


# ---- no request without an answer ----

def failures():
    first, second = Door(DIR1 + ":5061", "director"), Door(DIR2 + ":5061", "director2")
    edge = Edge("failures", config(limits="request = 2; failover = 1; connect = 2;"), POLICY)
    user = dial(USERS)
    conns = {}

    def both():
        conns[1], conns[2] = first.accept(), second.accept()
    T.run("the edge connects to both Directors", both)

    def taken():
        """The connection that has the next request, and the request."""
        end = time.monotonic() + 5
        while time.monotonic() < end:
            for k, c in conns.items():
                if not c.quiet(0.05):
                    return k, c.recv()
        raise Silent("no Director got it")

    def sticky():
        seen = set()
        for i in range(6):
            user.send(request(call="sticky-%d" % i))
            k, m = taken()
            conns[k].send(m.reply(200))
            if user.recv().status != 200:
                return "no answer"
            seen.add(k)
        return len(seen) == 1 or seen
    T.run("one remote user stays with one Director", sticky)

    def dies():
        user.send(request())
        k, m = taken()
        conns[k].close()
        other = 3 - k
        m2 = conns[other].recv()
        conns[other].send(m2.reply(200))
        conns.pop(k)
        (first, second)[k - 1].close()
        return m2.body == m.body and m2.get("Call-ID") == m.get("Call-ID") and user.recv().status == 200
    T.run("a Director dies with a request: the other one gets it", dies)

    def rejoin():
        for k, door in ((1, first), (2, second)):
            if k in conns:
                conns[k].close()
            door.close()
        return None

    def provisional_then_dies():
        k = next(iter(conns))
        user.send(request("INVITE"))
        k, m = taken()
        conns[k].send(m.reply(180, "Ringing"))
        if [user.recv().status, user.recv().status] != [100, 180]:
            return "no 180"
        conns[k].close()
        del conns[k]
        return user.recv().status == 502
    T.run("a Director dies after a provisional response: 502, no second ringing", provisional_then_dies)
    T.run("(both Directors are gone)", rejoin)

    def all_gone():
        user.send(request())
        r = user.recv()
        return r.status == 504 and r.get("X-Sallyport-Reference") is not None or r.raw
    T.run("no Director at all: 504 with a reference", all_gone)

    def comes_back():
        door = Door(DIR1 + ":5061", "director")
        time.sleep(0.6)      # the shortest pause of the breaker
        user.send(request())
        c = door.accept()
        m = c.recv()
        c.send(m.reply(200))
        good = user.recv().status == 200
        conns[1] = c
        conns["door"] = door
        return good
    T.run("a Director that comes back is used again", comes_back)

    def silent():
        user.send(request(body=b"x" * 20000))
        conns[1].recv()
        r = user.recv(8)
        return r.status == 504 or r.raw
    T.run("a Director that says nothing: 504", silent)

    def impostor():
        conns[1].close()
        conns.pop("door").close()
        door = Door(DIR1 + ":5061", "pool")
        time.sleep(0.6)
        user.send(request())
        try:
            door.accept().recv(3)
            return "an impostor got the request"
        except (Closed, Silent, OSError):
            pass
        finally:
            door.close()
        return user.recv().status == 504 and edge.logged("reason=hop-certificate")
    T.run("another server on the Director's address gets nothing", impostor)
    T.check("the edge ends in order", edge.stop() == 0)


# ---- who may come in, and for what ----

def peers():
    door = Door(DIR1 + ":5061", "director")
    far = Door(PARTNER + ":5061", "partner-edge-outer")
    dns = NameServer({"sip.contoso.example": PARTNER})
    edge = Edge("peers", config(two=False), POLICY)
    director = door.accept()

    def refused_handshake(cert, ca="ca"):
        try:
            c = dial(PARTNERS, cert=cert, ca=ca)
            c.send(request(sender="sip:carol@contoso.example"))
            c.recv(3)
            return "it was let in"
        except (Closed, OSError):
            return director.quiet(0.2)
    T.run("no certificate at the partners' port: no handshake", lambda: refused_handshake(None))
    T.run("a certificate of an unknown authority: no handshake", lambda: refused_handshake("impostor"))

    partner = dial(PARTNERS, cert="partner-edge-outer")

    def inbound():
        partner.send(request(sender="sip:carol@contoso.example", headers=["ms-asserted-verification-level: ms-source-verified-user=verified",
                     "Authorization: NTLM qop=\"auth\"", "P-Asserted-Identity: <sip:x@contoso.example>"]))
        m = director.recv()
        if m.all(MARK) != ["ms-source-type=DirectPartner;ms-ep-fqdn=edge.int.example.com;ms-source-verified-user=verified;"
                           "ms-source-network=federation"]:
            return m.all(MARK)
        if ";received=%s" % partner.sock.getsockname()[0] not in m.all("Via")[1] or "ms-received" in m.all("Via")[1]:
            return m.all("Via")
        if m.get("ms-asserted-verification-level") or m.get("Authorization") or m.get("P-Asserted-Identity"):
            return m.raw
        director.send(m.reply(200, headers=["Authentication-Info: x", "ms-user-logon-data: RemoteUser"]))
        r = partner.recv()
        return r.status == 200 and not r.get("Authentication-Info") and not r.get("ms-user-logon-data") or r.raw
    T.run("a direct partner's message arrives marked", inbound)

    for what, kw, status in (
            ("a partner that claims one of our own users", dict(sender="sip:boss@example.com"), 403),
            ("a partner that speaks for another domain", dict(sender="sip:x@other.example"), 403),
            ("a partner that relays through us", dict(sender="sip:carol@contoso.example", uri="sip:x@other.example"), 404),
            ("a partner's REGISTER", dict(method="REGISTER", uri="sip:example.com", sender="sip:carol@contoso.example"), 403),
            ("a partner's SERVICE", dict(method="SERVICE", sender="sip:carol@contoso.example"), 403),
            ("a blocked domain", dict(sender="sip:x@fabrikam.example"), 403),
            ("a blocked sub-domain", dict(sender="sip:x@deep.fabrikam.example"), 403),
            ("an IP address for a domain", dict(sender="sip:x@192.0.2.1"), 403)):
        def refusal(kw=kw, status=status):
            partner.send(request(**kw))
            r = partner.recv()
            return r.status == status and director.quiet(0.15) or r.raw
        T.run("%s is refused" % what, refusal)

    def ping(conn, status, uri, **kw):
        conn.send(request("OPTIONS", uri=uri, to=uri, **kw))
        r = conn.recv()
        return r.status == status and director.quiet(0.1) or r.raw
    carol = dict(sender="sip:carol@contoso.example")
    T.run("a partner asks whether we are there: we are", lambda: ping(partner, 200, "sip:sip.example.com:5061;transport=tls", **carol))
    T.run("  not in another's name", lambda: ping(partner, 403, "sip:sip.example.com:5061", sender="sip:x@other.example"))
    T.run("  nor if it means somebody", lambda: ping(partner, 404, "sip:x@sip.example.com:5061", **carol))
    T.run("  nor another server", lambda: ping(partner, 404, "sip:sip.elsewhere.example:5061", **carol))
    T.run("  nor within a dialog", lambda: ping(partner, 404, "sip:sip.example.com:5061", to_tag="1", **carol))
    T.run("  nor by the name of the inner door", lambda: ping(partner, 404, "sip:edge.int.example.com:5061", **carol))

    def by_user():
        user = dial(USERS)
        user.send(request("OPTIONS", uri="sip:sip.example.com", to="sip:sip.example.com"))
        m = director.recv()
        director.send(m.reply(401))
        r = user.recv()
        user.close()
        return m.method == "OPTIONS" and r.status == 401 or r.raw
    T.run("a user who asks is answered by the Director, who knows whether it is one", by_user)

    def from_inside():
        director.send(request("OPTIONS", uri="sip:edge.int.example.com:5061;transport=tls", to="sip:edge.int.example.com",
                              sender="sip:monitor@example.com"))
        r = director.recv()
        return (r.status == 200 and r.get(MARK).startswith("ms-source-type=EdgeProxyGenerated;") and partner.quiet(0.1)) or r.raw
    T.run("a Director hears that, too", from_inside)

    T.check("each refusal is logged with its reason", edge.logged("reason=spoofed-from") and edge.logged("reason=from-domain-blocked", count=2)
            and edge.logged("reason=method-not-allowed", count=2) and edge.logged("reason=to-not-internal"))

    def stranger():
        c = dial(PARTNERS, cert="stranger")
        c.send(request(sender="sip:x@stranger.example"))
        return c.recv().status == 403 and edge.logged("reason=unknown-peer")
    T.run("a good certificate that no partner has is refused", stranger)

    def user_rules():
        user = dial(USERS)
        user.send(request(sender="sip:carol@contoso.example"))
        r = user.recv()
        user.send(request(uri="sip:carol@contoso.example"))
        m = director.recv()
        director.send(m.reply(200))
        return r.status == 403 and user.recv().status == 200
    T.run("a remote user sends as one of ours only, to anybody by way of the inside", user_rules)

    def outbound():
        director.send(request(uri="sip:carol@contoso.example", sender="sip:bob@example.com",
                              headers=[MARK + ": x", "ms-diagnostics: 1;reason=\"x\"", "P-Asserted-Identity: <sip:bob@example.com>"]))
        # the partner's own connection is used where it proves the same name (RFC 5923), else ours is opened
        try:
            m = partner.recv(1)
            conn = partner
        except Silent:
            conn = far.accept()
            m = conn.recv()
        if m.get(MARK) or m.get("ms-diagnostics") or m.get("P-Asserted-Identity") or \
           m.get("ms-asserted-verification-level") != "ms-source-verified-user=verified":
            return m.raw
        conn.send(m.reply(200, headers=[MARK + ": forged"]))
        r = director.recv()
        return r.status == 200 and "DirectPartner" in (r.get(MARK) or "") and "forged" not in r.get(MARK) or r.raw
    T.run("from inside to a partner: marked for it, and its answer for us", outbound)

    def outbound_refused():
        for uri, sender, want in (("sip:x@fabrikam.example", "sip:bob@example.com", "to-domain-blocked"),
                                  ("sip:x@nowhere.example", "sip:bob@example.com", "no-route"),
                                  ("sip:carol@contoso.example", "sip:x@other.example", "from-not-ours"),
                                  ("sip:alice@example.com", "sip:bob@example.com", "loops-back")):
            director.send(request(uri=uri, sender=sender))
            r = director.recv()
            if r.status < 400 or not edge.logged("reason=" + want):
                return want
        return True
    T.run("from inside: blocked first, no route, not ours, loop", outbound_refused)

    def inner_door():
        try:
            c = dial(INNER, name="edge.int.example.com", cert="stranger")
            c.send(request(uri="sip:carol@contoso.example", sender="sip:bob@example.com"))
            c.recv(3)
            return "let in"
        except (Closed, OSError):
            return edge.logged("reason=not-internal-peer")
    T.run("a good certificate that is no internal server's: the inner door closes", inner_door)
    T.check("the edge ends in order", edge.stop() == 0)
    dns.stop()
    for d in (door, far):
        d.close()


class NameServer:
    """Enough of a DNS server for host names of this test: A records from a table, all else NXDOMAIN."""

    def __init__(self, hosts):
        import threading
        self.hosts = hosts
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind(("127.66.0.9", 53))
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self):
        while True:
            try:
                q, addr = self.sock.recvfrom(1500)
            except OSError:
                return
            if len(q) < 17:
                continue
            labels, at = [], 12
            while q[at]:
                labels.append(q[at + 1:at + 1 + q[at]].decode("latin-1"))
                at += q[at] + 1
            question = q[12:at + 5]
            host, kind = ".".join(labels).lower(), int.from_bytes(q[at + 1:at + 3], "big")
            if host in self.hosts:
                answer = b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x04" + socket.inet_aton(self.hosts[host]) if kind == 1 else b""
                head = q[:2] + b"\x85\x80\x00\x01" + (b"\x00\x01" if answer else b"\x00\x00") + b"\x00\x00\x00\x00"
            else:
                answer, head = b"", q[:2] + b"\x85\x83\x00\x01\x00\x00\x00\x00\x00\x00"
            self.sock.sendto(head + question + answer, addr)

    def stop(self):
        self.sock.close()


# ---- bad input ----

def bad_input():
    door = Door(DIR1 + ":5061", "director")
    edge = Edge("bad", config(two=False, limits="handshake = 1; first_message = 2; message = 1; sign_in = 3;"), POLICY)
    director = door.accept()
    good = request()

    def answered(raw, status, phrase=None):
        c = dial(USERS)
        c.send(raw)
        r = c.recv()
        c.close()
        return (r.status == status and (phrase is None or phrase in r.start) and director.quiet(0.05)) or r.start

    def swap(a, b):
        assert a in good, a
        return good.replace(a, b, 1)

    for what, raw, status, phrase in (
            ("CSeq method differs", request(cseq_method="INVITE"), 400, "CSeq"),
            ("two Call-IDs, one compact", swap(b"CSeq:", b"i: other\r\nCSeq:"), 400, None),
            ("two Content-Lengths", swap(b"CSeq:", b"l: 0\r\nCSeq:"), 400, "Content-Length"),
            ("no Content-Length", swap(b"Content-Length: 0\r\n", b""), 400, "Content-Length"),
            ("Content-Length with a sign", swap(b"Content-Length: 0", b"Content-Length: +0"), 400, "Content-Length"),
            ("Max-Forwards no number", swap(b"Max-Forwards: 70", b"Max-Forwards: many"), 400, "Max-Forwards"),
            ("Max-Forwards used up", request(mf=0), 483, None),
            ("an unknown Proxy-Require", request(headers=["Proxy-Require: teleport"]), 420, None),
            ("bare CR in a header", swap(b"Content-Length", b"X-A: a\rms-edge-proxy-message-trust: x\r\nContent-Length"), 400, "CR"),
            ("bare LF in a header", swap(b"Content-Length", b"X-A: a\nms-edge-proxy-message-trust: x\r\nContent-Length"), 400, "LF"),
            ("NUL in a header", swap(b"Content-Length", b"X-A: a\0b\r\nContent-Length"), 400, None),
            ("a header line without a colon", swap(b"Content-Length", b"nonsense\r\nContent-Length"), 400, None),
            ("bare LF before all that an answer needs", good.replace(b"Via:", b"X-A: a\nb\r\nVia:", 1), 400, "LF"),
            ("NUL in a Via, a second one sound", swap(b"Via:", b"Via: SIP/2.0/TLS a\0b;branch=z9hG4bKx\r\nVia:"), 400, None),
            ("a nameless header before Call-ID", swap(b"Call-ID: ", b": nonsense\r\n folded: on\r\nCall-ID: "), 400, None),
            ("too many headers before CSeq", swap(b"CSeq:", b"x: y\r\n" * 200 + b"CSeq:"), 400, None),
            ("SIP/3.0", good.replace(b"SIP/2.0\r\n", b"SIP/3.0\r\n", 1), 505, None),
            ("a header over its limit", swap(b"Content-Length", b"X-A: " + b"a" * 9000 + b"\r\nContent-Length"), 400, None),
            ("too many headers", swap(b"Content-Length", b"x: y\r\n" * 200 + b"Content-Length"), 400, None),
            ("a message over its limit", request(body=b"x" * 70000), 513, None)):
        T.run("malformed: %s gets %d" % (what, status), lambda raw=raw, status=status, phrase=phrase: answered(raw, status, phrase))

    def unanswerable():
        c = dial(USERS)
        c.send(swap(b"From: <sip:alice@example.com>;tag=a1\r\n", b"") + request(call="after"))
        m = director.recv()
        director.send(m.reply(200))
        return m.get("Call-ID") == "after" and c.recv().get("Call-ID") == "after" and edge.logged("reason=malformed", "no-from")
    T.run("what has no From cannot be answered: dropped, counted, and the connection goes on", unanswerable)

    def proxy_require():
        c = dial(USERS)
        c.send(request("SUBSCRIBE", headers=["Proxy-Require: ms-benotify", "Event: presence"]))
        m = director.recv()
        director.send(m.reply(200))
        return c.recv().status == 200
    T.run("Proxy-Require: ms-benotify is understood", proxy_require)

    def garbage():
        c = dial(USERS)
        c.send(b"\x00\x01\x02 nonsense\r\n\r\n")
        return c.closed(3) and edge.logged("reason=malformed")
    T.run("garbage is cut and counted", garbage)

    def http():
        victim = dial(USERS)
        s = socket.create_connection((OUT, 443))
        s.send(b"GET / HTTP/1.0\r\n\r\n")
        s.settimeout(5)
        s.recv(100)
        s.close()
        m = request(body=b"x" * 2000)
        victim.send(m[:900])
        victim.send(m[900:])
        got = director.recv()
        director.send(got.reply(200))
        return victim.recv().status == 200
    T.run("a stranger without TLS harms nobody else", http)

    def deadline(prepare, reason):
        s = prepare()
        began = time.monotonic()
        if isinstance(s, socket.socket):
            s.settimeout(6)
            try:
                ended = s.recv(100) == b""
            except OSError:
                ended = True
        else:
            ended = s.closed(6)
        return ended and time.monotonic() - began < 6 and edge.logged("reason=" + reason) or "%s after %.1f s" % (reason, time.monotonic() - began)

    def half_message():
        c = dial(USERS)
        c.send(good[:60])
        return c
    T.run("an unfinished handshake is cut", lambda: deadline(lambda: socket.create_connection((OUT, 443)), "handshake-timeout"))
    T.run("silence after the handshake is cut", lambda: deadline(lambda: dial(USERS), "first-message-timeout"))
    T.run("an unfinished message is cut", lambda: deadline(half_message, "message-timeout"))

    def never_signs_in():
        c = dial(USERS)
        c.send(request())
        director.send(director.recv().reply(200))
        c.recv()
        return c
    T.run("who never signs in is cut", lambda: deadline(never_signs_in, "unauthenticated-timeout"))

    def byte_by_byte():
        c = dial(USERS)
        for i in range(0, len(good), 7):
            c.send(good[i:i + 7])
        m = director.recv()
        director.send(m.reply(200))
        return c.recv().status == 200
    T.run("a message in small pieces passes", byte_by_byte)

    def pipelined():
        c = dial(USERS)
        c.send(b"".join(request(call="pipe-%d" % i) for i in range(50)))
        for _ in range(50):
            director.send(director.recv().reply(200))
        return [c.recv().status for _ in range(50)] == [200] * 50
    T.run("fifty requests in one write get fifty answers", pipelined)
    T.check("the edge is still there and ends in order", edge.alive() and edge.stop() == 0)
    door.close()


def loops():
    """A next hop that sends everything straight back."""
    door = Door(DIR1 + ":5061", "director")
    edge = Edge("loops", config(two=False), POLICY)
    director = door.accept()
    user = dial(USERS)
    partner = dial(PARTNERS, cert="partner-edge-outer")

    def loop():
        partner.send(request(sender="sip:carol@contoso.example", call="loop"))
        m = director.recv()
        partner.send(m.raw)         # as if it had come back through the Internet
        return partner.recv().status == 482 and director.quiet()
    T.run("a message that comes by a second time gets 482", loop)

    def merged():
        m = request(call="twice", branch="z9hG4bKtwice")
        user.send(m + m)
        got = director.recv()
        if not director.quiet():
            return "sent twice"
        director.send(got.reply(200))
        return user.recv().status == 200 and user.quiet()
    T.run("a request sent twice goes in once", merged)
    T.check("the edge ends in order", edge.stop() == 0)
    door.close()


# ---- changes while it runs ----

def reloads():
    door = Door(DIR1 + ":5061", "director")
    edge = Edge("reload", config(two=False), POLICY)
    director = door.accept()
    user = dial(USERS)

    def served(conn):
        conn.send(request())
        director.send(director.recv().reply(200))
        return conn.recv().status == 200

    def serial():
        c = dial(USERS)
        der = c.sock.getpeercert()["serialNumber"]
        c.close()
        return der

    def policy():
        edge.write("policy.conf", POLICY.replace('"fabrikam.example"', '"fabrikam.example", "late.example"'))
        edge.hup()
        if not edge.logged("event=reloaded"):
            return "not reloaded"
        user.send(request(uri="sip:x@late.example"))
        return user.recv().status == 403 and served(user)
    T.run("a changed policy counts at once, connections stay", policy)

    def broken():
        edge.write("policy.conf", POLICY + "\nnonsense = 1;\npartners_misspelt = ();\n")
        edge.hup()
        if not edge.logged("event=reload-refused") or not edge.logged("nonsense") or not edge.logged("partners_misspelt"):
            return "the errors are not all told"
        user.send(request(uri="sip:x@late.example"))
        return user.recv().status == 403 and served(user)
    T.run("a broken policy leaves the old one in force, all its errors told", broken)

    def certificate():
        before = serial()
        edge.write("policy.conf", POLICY)
        for kind in (".pem", ".key"):
            os.unlink(os.path.join(PKI, "edge-outer" + kind))
        subprocess.run([os.path.join(TOP, "certs-example", "make-pki"), PKI, "cert", "edge-outer", "--dns", "sip.example.com", "--dns", "example.com"],
                       check=True, stdout=subprocess.DEVNULL)
        give_away()
        edge.hup()
        if not edge.logged("event=reloaded", count=2):
            return "not reloaded"
        return serial() != before and served(user)
    T.run("a renewed certificate is shown to new connections, old ones stay", certificate)

    def bad_certificate():
        path = os.path.join(PKI, "edge-outer.pem")
        with open(path) as f:
            keep = f.read()
        before = serial()
        with open(path, "w") as f:
            f.write("not a certificate\n")
        edge.hup()
        refused = edge.logged("event=reload-refused", count=2)
        with open(path, "w") as f:
            f.write(keep)
        return refused and serial() == before and served(user)
    T.run("a bad certificate leaves the old one in force", bad_certificate)

    def needs_restart():
        if "event=needs-restart" in edge.log():
            return "told of what has not changed"
        with open(os.path.join(edge.dir, "edge.conf")) as f:
            was = f.read()
        edge.write("edge.conf", was.replace("inner = {", "inner = { director_refuses = true;"))
        edge.hup()
        return edge.logged("event=needs-restart", "inner.director_refuses has changed") and \
            edge.logged("event=reloaded", count=3)
    T.run("what has changed and needs a restart is named", needs_restart)

    def revoked():
        subprocess.run([os.path.join(TOP, "certs-example", "make-pki"), PKI, "revoke", "partner-edge-outer"], check=True,
                       stdout=subprocess.DEVNULL)
        give_away()
        edge.write("edge.conf", 'policy = "%s/policy.conf";\n' % edge.dir +
                   config(two=False).replace('client_certificate = "required"', 'crl = "%s/example.crl.pem"; client_certificate = "required"' % PKI))
        edge.hup()
        if not edge.logged("event=reloaded", count=4):
            return "not reloaded"
        try:
            c = dial(PARTNERS, cert="partner-edge-outer")
            c.send(request(sender="sip:carol@contoso.example"))
            c.recv(3)
            return "a revoked certificate was let in"
        except (Closed, OSError):
            return edge.logged("reason=certificate")
    T.run("a certificate revoked while the edge runs comes in no more", revoked)
    T.check("the edge ends in order", edge.stop() == 0)
    door.close()


def workers():
    """Two workers: a user's connection and the Director's link may belong to different ones."""
    door = Door(DIR1 + ":5061", "director")
    edge = Edge("workers", config(two=False, workers=2), POLICY)
    conns = [door.accept(), door.accept()]
    import select as sel

    def next_message(timeout=5):
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            for c in conns:
                if not c.quiet(0.02):
                    return c, c.recv()
        raise Silent("no message")

    def across():
        paths, users, owners = [], [], set()
        # the kernel deals out connections; a few more and each worker has some
        for i in range(60):
            if i >= 8 and len(owners) == 2:
                break
            u = dial(USERS)
            u.send(request("REGISTER", "sip:example.com", to="sip:u%d@example.com" % i, sender="sip:u%d@example.com" % i,
                           headers=["Contact: <sip:u%d@192.0.2.7>" % i]))
            c, m = next_message()
            c.send(m.reply(200))
            if u.recv().status != 200:
                return "REGISTER"
            paths.append(m.get("Path"))
            users.append(u)
            # the worker is in the top byte of the link's number
            owners.add(int(re.search(r"sip:CP([0-9a-f]+)", paths[-1]).group(1), 16) >> 56)
        for i, u in enumerate(users):
            for c in conns:
                c.send(request("MESSAGE", "sip:u%d@192.0.2.7" % i, sender="sip:bob@example.com", to="sip:u%d@example.com" % i,
                               headers=["Route: " + paths[i]], body=b"to %d" % i))
                m = u.recv()
                u.send(m.reply(200, headers=["X-From: %d" % i]))
                r = c.recv()
                if m.body != b"to %d" % i or r.status != 200 or r.get("X-From") != str(i):
                    return r.raw
        users[0].close()
        edge.logged("event=disconnected", "port=443")
        for c in conns:
            c.send(request("MESSAGE", "sip:u0@192.0.2.7", sender="sip:bob@example.com", to="sip:u0@example.com", headers=["Route: " + paths[0]]))
            if c.recv().status != 430:
                return "no 430"
        return len(owners) == 2 or "all users on one worker"
    T.run("requests from either link reach users of either worker, and answers come back where they belong", across)
    T.check("the edge ends in order", edge.stop() == 0)
    door.close()


def main():
    shutil.rmtree(PKI, ignore_errors=True)
    os.makedirs(RUN, exist_ok=True)
    pki()
    groups = dict(passage=passage, dialogs=dialogs, failures=failures, peers=peers, bad_input=bad_input, loops=loops,
                  workers=workers, reloads=reloads)
    for name in sys.argv[1:] or groups:
        try:
            groups[name]()
        except Exception as e:
            T.check("%s came to its end" % name, False, "(%s: %s)" % (type(e).__name__, e))
        finally:
            for edge in list(Edge.running):
                edge.stop()
            for door in Door.opened:
                door.close()
    return 1 if T.failed else 0


sys.exit(main())
