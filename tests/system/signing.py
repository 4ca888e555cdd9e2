"""signing - the Director and clients that sign (NTLM under MS-SIPAE), each byte
of them the test's own. Run by signing.sh; tests/system/sipe.sh has a real one."""

import hashlib
import os
import signal
import pwd
import subprocess
import sys
import time

import inside
import sipnet
from fenced import until
from msclient import REALM, Association, authenticate, gssapi, offers, token_of, with_header
from sipnet import BUILD, PKI, RUN, TOP, Door, Message, Silent, Tests, dial, request

NET = os.environ.get("LAB_NET", "127.65")
DIRECTOR, EDGE, POOL = (NET + ".10.%d" % n for n in (1, 2, 3))
SERVERS, CLIENTS = DIRECTOR + ":5061", DIRECTOR + ":5063"
NAME = "director.int.example.com"
MARK = "ms-edge-proxy-message-trust: ms-source-type=InternetUser;ms-ep-fqdn=edge.int.example.com;ms-source-verified-user=verified"
PATH = "Path: <sip:edge.int.example.com;transport=tls;lr;x=1>"

T = Tests()
director = None
serial = [0]


class Director(sipnet.Edge):
    def __init__(self, name, extra="", at=DIRECTOR, program="sallyport-director", timers="", workers=2):
        self.dir = os.path.join(RUN, name)
        os.makedirs(self.dir, exist_ok=True)
        self.write("director.conf", "control = { socket = \"%s/director.sock\"; };" % self.dir + """
name = "%s"; domains = [ "example.com" ]; user = "nobody"; workers = %d;
tls = { certificate = "%s/director.pem"; key = "%s/director.key"; trust = "%s/ca.pem"; };
doors = ( { listen = "%s"; admits = "servers"; }, { listen = "%s"; admits = "clients"; } );
edges = ( { name = "edge.int.example.com"; address = "%s"; } );
pools = ( { name = "pool.int.example.com"; address = "%s"; } );
auth = { users = "%s/users"; };
timers = { drain = 0; connect = 2; %s };
%s
""" % (NAME, workers, PKI, PKI, PKI, at + ":5061", at + ":5063", EDGE, POOL, RUN, timers, extra))
        self.launch(program, "director.conf")


def user(*words, password=None):
    subprocess.run([os.path.join(BUILD, "sallyportctl"), "user"] + list(words) + ["--users", RUN + "/users"] +
                   (["--password-file", "-"] if password else []), input=(password or "").encode(), check=True)


def prepare():
    subprocess.run([os.path.join(TOP, "certs-example", "make-pki"), PKI], check=True, stdout=subprocess.DEVNULL)
    for name in os.listdir(PKI):
        os.chown(os.path.join(PKI, name), pwd.getpwnam("nobody").pw_uid, -1)
    for name in ("alice", "bob"):
        user("add", name + "@example.com", "--pool", "pool.int.example.com", password="secret\n")


def instance(epid):
    """The +sip.instance that belongs to an epid."""
    space = bytes.fromhex("03fbacfc738aef4691b1e5ebeeaba4fe")
    h = bytearray(hashlib.sha1(space + epid.encode()).digest()[:16])
    h[7] = h[7] & 0x0f | 0x50
    h[8] = h[8] & 0x3f | 0x80
    x = bytes(h[3::-1] + h[5:3:-1] + h[7:5:-1] + h[8:]).hex()
    return "<urn:uuid:%s-%s-%s-%s-%s>" % (x[:8], x[8:12], x[12:16], x[16:20], x[20:])


class Client:
    """A user's device behind the edge, or inside."""

    def __init__(self, conn, name="alice", version=4, epid=None, cid="1A00", inside=False, password="secret"):
        serial[0] += 1
        self.conn, self.name, self.password = conn, name, password
        self.aor = "sip:%s@example.com" % name
        self.epid = epid or "e%07x" % serial[0]
        self.call, self.cseq = "signing-%d-%d" % (os.getpid(), serial[0]), 0
        self.extra = [] if inside else [MARK]
        self.via = "192.0.2.7:5061" if inside else "192.0.2.7:5061;ms-received-port=5061;ms-received-cid=" + cid
        self.sa = Association(NAME, version)

    def make(self, method="REGISTER", uri="sip:example.com", to=None, headers=(), sender=None, **more):
        self.cseq += 1
        more.setdefault("call", self.call)
        return request(method, uri, sender or self.aor, to=to or (self.aor if method == "REGISTER" else uri),
                       tag="t1;epid=" + self.epid, cseq=self.cseq, via_host=self.via, headers=list(headers) + self.extra, **more)

    def registration(self, *headers, expires="300"):
        contact = 'Contact: <sip:%s@192.0.2.7:5061;transport=tls>;+sip.instance="%s"' % (self.name, instance(self.epid))
        return self.make(headers=(contact, PATH, "Expires: " + expires) + headers)

    def ask(self, data):
        self.conn.send(data)
        return self.conn.recv()

    def challenge(self):
        """First and second step; the CHALLENGE."""
        got = self.ask(self.registration("Authorization: " + self.sa.credentials(', gssapi-data=""')))
        assert got.status == 401, got.start
        self.sa.opaque = offers(got)[1]["opaque"]
        return token_of(got)

    def answer(self, challenge, login=None, domain="EXAMPLE", v1=False):
        """The third REGISTER."""
        token, session = authenticate(challenge, login or self.name, domain, self.password, v1)
        self.sa.keys(session)
        data = self.registration()
        more = gssapi(token)
        if self.sa.version >= 4:
            more += self.sa.signature(Message(data))
        return with_header(data, "Authorization: " + self.sa.credentials(more))

    def sign_in(self, pool, **how):
        """Everything; the REGISTER as the pool got it, and the answer as we did."""
        self.conn.send(self.answer(self.challenge(), **how))
        got = pool.recv()
        pool.send(got.reply(200, headers=["Contact: <sip:%s@192.0.2.7:5061;transport=tls>;expires=300" % self.name]))
        return got, self.conn.recv()

    def signed(self, *args, number=None, **more):
        data = self.make(*args, **more)
        return with_header(data, self.sa.header(Message(data), number))


def edge(where=SERVERS):
    return dial(where, NAME, "edge-inner")


class World:
    """An edge's connection, and the pool."""

    def __enter__(self):
        self.door, self.edge = Door(POOL + ":5061", "pool"), edge()
        self.pools = []
        return self

    def __exit__(self, *_):
        for c in self.pools + [self.edge, self.door]:
            c.close()

    def pool(self):
        if not self.pools:
            self.pools.append(Anywhere(self.door))
        return self.pools[0]


class Anywhere:
    """A server of several connections, as one: those that the Director's workers make to its door, and any that it has made."""

    def __init__(self, door, *conns):
        self.door, self.conns, self.last = door, list(conns), None
        door.sock.setblocking(False)

    def recv(self, timeout=sipnet.PATIENCE):
        """What comes first, on whichever; that is where send() goes."""
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            for c in self.conns:
                try:
                    got = c.recv(0.05)
                    self.last = c
                    return got
                except Silent:
                    pass
            try:
                self.conns.append(self.door.accept(0.05))
            except (Silent, BlockingIOError):
                pass
        raise Silent("nothing came to the server")

    def send(self, data):
        self.last.send(data)

    def quiet(self):
        try:
            self.recv(0.4)
        except Silent:
            return True
        return False

    def close(self):
        for c in self.conns:
            c.close()


def sign_in():
    with World() as w:
        a = Client(w.edge)
        first = a.ask(a.registration())
        schemes, ntlm = offers(first)
        T.check("a client with an epid is offered NTLM first, and Digest", first.status == 401 and
                schemes == ["NTLM", "Digest", "Digest"], schemes)
        T.check("  for our realm and name, in version 4", ntlm == {"realm": REALM, "targetname": NAME, "version": "4"}, ntlm)
        T.check("  with the time, unsigned", first.get("Date") and not first.all("Authentication-Info"))
        w.edge.send(request("REGISTER", "sip:example.com", "sip:alice@example.com", headers=[MARK]))
        T.check("a client without one is offered Digest alone", offers(w.edge.recv())[0] == ["Digest", "Digest"])
        for version in (4, 3, 2):
            a = Client(w.edge, version=version)
            got, back = a.sign_in(w.pool())
            T.check("version %d: signs in" % version, back.status == 200, back.start)
            T.check("  the pool sees no credentials, but who it is", not got.all("Authorization") and
                    got.all("P-Asserted-Identity") == ["<sip:alice@example.com>"])
            T.check("  the answer is signed", a.sa.is_right(back))
            T.check("  with the Expires header that the pool left out", back.get("Expires") == "300")
            T.check("  and says that she is outside", back.get("ms-user-logon-data") == "RemoteUser")
            w.edge.send(a.signed("MESSAGE", "sip:bob@example.com", body=b"hi"))
            got = w.pool().recv()
            T.check("  what she signs passes", got.method == "MESSAGE" and not got.all("Authorization"))
            w.pool().send(got.reply(200, headers=["Authentication-Info: NTLM rspauth=\"00\""]))
            T.check("  and the answer is signed, once", a.sa.is_right(w.edge.recv()))
        a = Client(w.edge)
        a.sign_in(w.pool(), login="alice@example.com", domain="")
        w.edge.send(a.signed("MESSAGE", "sip:bob@example.com"))
        got = w.pool().recv()
        w.pool().send(got.reply(180) + got.reply(404))
        T.check("a user name with its domain; provisional answers are signed, too",
                [a.sa.is_right(w.edge.recv()) for _ in range(2)] == [True, True])


def busy_pool():
    """A pool that is being restarted says 503. Clients must try again by themselves."""
    with World() as w:
        a = Client(w.edge)
        a.sign_in(w.pool())
        for method, uri, wanted in (("MESSAGE", "sip:bob@example.com", 500), ("REGISTER", "sip:example.com", 504)):
            w.edge.send(a.signed(method, uri))
            got = w.pool().recv()
            w.pool().send(got.reply(503, headers=["Retry-After: 3"]))
            back = w.edge.recv()
            T.check("a pool's 503 to a %s comes as %d, signed" % (method, wanted), back.status == wanted and a.sa.is_right(back) and
                    back.get("Retry-After") == "3", back.start)


def bad_answers():
    with World() as w:
        a = Client(w.edge, password="wrong")
        got = a.ask(a.answer(a.challenge()))
        T.check("wrong password: challenged from the beginning", got.status == 401 and offers(got)[0][0] == "NTLM" and
                "gssapi-data" not in offers(got)[1])
        T.check("  the log says so", director.logged("reason=bad-credentials") and director.logged("why=wrong-password"))
        a = Client(w.edge)
        got = a.ask(a.answer(a.challenge(), v1=True))
        T.check("NTLMv1 is refused", got.status == 401 and director.logged("why=not-ntlmv2"))
        a = Client(w.edge)
        data = a.answer(a.challenge())
        a.ask(data.replace(b"ms-received-cid=1A00", b"ms-received-cid=1A01"))
        T.check("a challenge answered on another connection is refused", director.logged("reason=bad-credentials", count=3))
        a = Client(w.edge)
        challenge = a.challenge()
        w.edge.send(a.answer(challenge))
        w.pool().send(w.pool().recv().reply(200))
        w.edge.recv()
        T.check("a challenge is answered once", a.ask(a.answer(challenge)).status == 401)
        a = Client(w.edge)
        data = a.answer(a.challenge())
        broken = data.replace(b'response="0100', b'response="0200')
        T.check("version 4: the answer itself must be signed", a.ask(broken).status == 401 and
                director.logged("reason=bad-signature"))
        b = Client(w.edge, name="bob")
        got = b.ask(b.answer(b.challenge(), login="alice"))
        T.check("bob's address and alice's password", got.status == 403 and b.sa.is_right(got), got.start)
        T.check("  which is said in public", (got.get("ms-diagnostics-public") or "").startswith("4004;"))
        a = Client(w.edge)
        a.sa.target = "other.example.com"
        got = a.ask(a.registration("Authorization: " + a.sa.credentials(', gssapi-data=""')))
        T.check("another server's name: not for us", got.status == 401 and "gssapi-data" not in offers(got)[1])
        for what, text in (("base64", ', gssapi-data="%%%"'), ("version", ', gssapi-data="", version=9')):
            a = Client(w.edge, version=2)
            T.check("bad %s is malformed" % what, a.ask(a.registration("Authorization: " + a.sa.credentials(text))).status == 400)
        a = Client(w.edge)
        data = a.registration("Authorization: " + a.sa.credentials(', gssapi-data=""'))
        got = a.ask(data.replace(b"<urn:uuid:", b"<urn:uuid:0"))
        T.check("an instance that is not the epid's is refused", got.status == 400 and director.logged("reason=endpoint-mismatch"))


def metric(line):
    """The value of that line of the Director's metrics."""
    text = subprocess.run([os.path.join(BUILD, "sallyportctl"), "--socket", os.path.join(director.dir, "director.sock"),
                           "metrics"], check=True, capture_output=True, text=True).stdout
    return [int(v) for name, _, v in (row.rpartition(" ") for row in text.split("\n")) if name == line]


def guess(w, name, password, source, vias=""):
    """One sign-in of a remote user from that address; the status, and what is told of the challenge."""
    a = Client(w.edge, name=name, password=password, version=3)
    a.via = source + ":5061;ms-received-port=5061;ms-received-cid=1A00" + vias
    w.edge.send(a.answer(a.challenge()))
    if password == "secret" and name in ("alice", "bob"):
        try:
            w.pool().send(w.pool().recv(1).reply(200))
        except Silent:
            pass
    got = w.edge.recv()
    return got.status, sorted(name for name, _ in got.headers)


def guessing():
    """Three of one user from one address, five of one user, six from one address."""
    with World() as w:
        T.check("somebody signs in", guess(w, "alice", "secret", "192.0.2.1")[0] == 200)
        wrong = [guess(w, "alice", "guess", "192.0.2.2") for _ in range(3)]
        nobody = [guess(w, "carol", "guess", "192.0.2.3") for _ in range(3)]
        T.check("wrong passwords are challenged again", [s for s, _ in wrong] == [401] * 3, wrong)
        T.check("  and names that nobody has look the same", nobody == wrong, nobody)
        before = guess(w, "alice", "secret", "192.0.2.2"), guess(w, "carol", "guess", "192.0.2.3")
        T.check("the fourth is refused, right or wrong, user or none", [s for s, _ in before] == [403, 403] and
                before[0] == before[1], before)
        T.check("  which has a name in both logs", director.logged("reason=guessing", count=2) and
                director.logged("event=guessing limit=user-and-source scheme=NTLM user=\"alice@example.com\" source=\"192.0.2.2\""))
        T.check("another address may try", [guess(w, "alice", "guess", "192.0.2.%d" % n)[0] for n in (4, 5)] == [401, 401])
        T.check("  until there were too many in all", guess(w, "alice", "secret", "192.0.2.6")[0] == 403 and
                director.logged("limit=user "))
        T.check("she signs in from where she has before all the same", guess(w, "alice", "secret", "192.0.2.1")[0] == 200)
        T.check("other users are not concerned", guess(w, "bob", "secret", "192.0.2.6")[0] == 200)
        T.check("one password for many users", [guess(w, "user%d" % n, "guess", "192.0.2.9")[0] for n in range(7)] ==
                [401] * 6 + [403] and director.logged("limit=source "))
        T.check("  IPv6: the network counts", [guess(w, "user%d" % n, "guess", "[2001:db8:1:2::%x]" % (n + 1))[0]
                                               for n in range(7)] == [401] * 6 + [403] and
                director.logged('source="2001:db8:1:2::/64"'))
        forged = ["192.0.2.50\r\nVia: SIP/2.0/TLS 203.0.113.1:5061;branch=z9hG4bKc;received=192.0.2.10"
                  "\r\nVia: SIP/2.0/TLS 203.0.113.1:5061;received=192.0.2.%d" % n for n in range(60, 67)]
        T.check("  what a client writes below its own Via does not", [
            guess(w, "user%d" % n, "guess", "192.0.2.50", via[len("192.0.2.50"):])[0] for n, via in enumerate(forged)] ==
                [401] * 6 + [403] and director.logged('limit=source scheme=NTLM user="user6@example.com" source="192.0.2.10"'))
    counted = [metric('sallyport_sign_ins_throttled_total{guess="%s"}' % g) for g in ("user-and-source", "source", "user")]
    T.check("  each kind is counted", counted == [[2], [3], [1]] and
            metric('sallyport_limit_hits_total{limit="sign-in-rate"}') == [6], counted)
    T.check("  and so is what authd keeps of it, with its limit", until(
        lambda: metric('sallyport_authd_cache_entries{cache="guesses"}')[0] > 10) and
            metric('sallyport_limit{limit="guesses"}') == [65536] and metric('sallyport_limit_hits_total{limit="guesses"}') == [0])
    conn = dial(CLIENTS, NAME)
    statuses = []
    for _ in range(4):
        a = Client(conn, name="bob", inside=True, password="guess", version=3)
        statuses.append(a.ask(a.answer(a.challenge())).status)
    T.check("inside, it is the address of the connection", statuses == [401] * 3 + [403] and
            director.logged('user="bob@example.com" source="127.'), statuses)
    a = Client(conn, name="bob", inside=True)
    T.check("  but not elsewhere", a.ask(a.registration()).status == 401)
    conn.close()


def acknowledges(w, a):
    """The ACK of a call that was signed is signed, once, and in the caller's name."""
    bob, there = "sip:bob@example.com", "sip:bob@192.0.2.10"
    w.edge.send(a.signed("INVITE", bob, headers=["Contact: <sip:alice@192.0.2.7:5061;transport=tls>"]))
    invite = w.pool().recv()
    w.pool().send(invite.reply(200, headers=["Contact: <%s>" % there]))
    while w.edge.recv().status != 200:
        pass
    route = "Route: " + [r for r in invite.all("Record-Route") if NAME in r][0]
    kept = dict(to=bob, to_tag="far", call=invite.get("Call-ID"), headers=[route])
    for what, data in (("without a signature", a.make("ACK", there, **kept)),
                       ("in another's name", a.make("ACK", there, sender=bob, **kept)),
                       ("with a wrong signature", a.signed("ACK", there, **kept).replace(b'response="0100', b'response="0200'))):
        w.edge.send(data)
        T.check("an ACK %s is dropped, on the way of the call, too" % what, w.pool().quiet() and w.edge.quiet())
    data = a.make("ACK", there, sender=bob, **kept)
    w.edge.send(with_header(data, a.sa.header(Message(data))))
    T.check("  and one that she signs in bob's name", w.pool().quiet() and w.edge.quiet())
    good = a.signed("ACK", there, **kept)
    w.edge.send(good)
    T.check("  while hers passes", w.pool().recv().method == "ACK")
    w.edge.send(good)
    T.check("  once", w.pool().quiet() and w.edge.quiet())


def forgeries():
    with World() as w:
        a = Client(w.edge)
        a.sign_in(w.pool())
        data = a.signed("MESSAGE", "sip:bob@example.com")
        w.edge.send(data)
        w.pool().send(w.pool().recv().reply(200))
        T.check("a signed message passes", a.sa.is_right(w.edge.recv()))
        T.check("the same once more does not", a.ask(data.replace(b"z9hG4bKt", b"z9hG4bKx")).status == 401 and
                director.logged("reason=replayed"))
        before = director.log().count("reason=bad-signature")
        for what, old, new in (("Call-ID", b"Call-ID: ", b"Call-ID: x"), ("To", b"To: <sip:bob", b"To: <sip:rob"),
                               ("From tag", b";tag=t1", b";tag=t2"), ("cnum", b'cnum="', b'cnum="9')):
            data = a.signed("MESSAGE", "sip:bob@example.com").replace(old, new)
            got = a.ask(data)
            before += got.status == 401
            T.check("a changed %s is seen" % what, got.status in (401, 403) and
                    director.logged("reason=bad-signature", count=before), got.start)
        T.check("nothing of it came to the pool", w.pool().quiet())
        counted = [metric('sallyport_signatures_total{signature="%s"}' % s) for s in ("good", "wrong", "replayed")]
        T.check("  and it is in the metrics", counted[0][0] > 0 and counted[1][0] >= 4 and counted[2] == [1], counted)
        a = Client(w.edge)
        a.sign_in(w.pool())
        got = a.ask(a.signed("MESSAGE", "sip:bob@example.com", sender="sip:bob@example.com"))
        T.check("alice's signature under bob's name", got.status == 403 and a.sa.is_right(got), got.start)
        data = a.make("ACK", "sip:bob@example.com", to_tag="x")
        w.edge.send(with_header(data, a.sa.header(Message(data)).replace('response="01', 'response="02')))
        T.check("an ACK with a wrong signature is dropped", w.pool().quiet() and w.edge.quiet())
        acknowledges(w, a)
        odd = a.signed("MESSAGE", "sip:bob@example.com").replace(b"Max-Forwards: 70", b"Max-Forwards: x")
        got = a.ask(odd)
        T.check("a malformed message: the refusal is signed", got.status == 400 and a.sa.is_right(got))
        got = a.ask(odd.replace(b"cid=1A00", b"cid=1A01"))
        T.check("  but not on a connection that has not signed in", got.status == 400 and not got.all("Authentication-Info"))
        got = a.ask(a.signed("MESSAGE", "sip:bob@example.com", headers=["x-sallyport-refused: rate-limit"]))
        T.check("what the edge refuses is signed here, and not as 503, which the edge would change",
                got.status == 500 and a.sa.is_right(got))
        got = a.ask(a.signed("REGISTER", "sip:example.com", headers=["x-sallyport-refused: rate-limit"]))
        T.check("  REGISTER as 504, after which clients try again", got.status == 504 and a.sa.is_right(got))
        a.sa.opaque = "12345680"
        answers = [a.ask(a.signed("MESSAGE", "sip:bob@example.com")).status for _ in range(5)]
        T.check("an association that is no more: asked to sign in, in the end refused", answers == [401, 401, 401, 403, 403],
                answers)


def to_client():
    with World() as w:
        a, other = Client(w.edge), Client(w.edge, name="bob")
        got, _ = a.sign_in(w.pool())
        paths = got.all("Path")
        other.sign_in(w.pool())
        pool = dial(SERVERS, NAME, "pool")
        edge_door = Door(EDGE + ":5061", "edge-inner")
        conns = [w.edge]

        def at_edge():
            """On the connection that the edge made, or on one that the Director makes to it."""
            for _ in range(100):
                for c in conns:
                    try:
                        m = c.recv(0.05)
                        return c, m
                    except Silent:
                        pass
                try:
                    conns.append(edge_door.accept(0.05))
                except Silent:
                    pass
            raise Silent("nothing came to the edge")

        def send(method, **more):
            headers = ["Route: " + ", ".join(paths)] + more.pop("headers", [])
            data = request(method, "sip:alice@192.0.2.7:5061", "sip:bob@example.com", to="sip:alice@example.com",
                           headers=headers, **more)
            pool.send(data)
            return data

        send("MESSAGE", body=b"hi", headers=["P-Asserted-Identity: \"Bob\" <sip:bob@example.com>, <tel:+15550100>"])
        c, got = at_edge()
        T.check("what the pool sends to her is signed for her", a.sa.is_right(got))
        answer = got.reply(200)
        c.send(with_header(answer, a.sa.header(Message(answer)).replace('response="01', 'response="02')))
        T.check("her answer with a wrong signature is dropped", pool.quiet() and director.logged("status=200"))
        c.send(answer)
        T.check("one without any, too", pool.quiet())
        c.send(with_header(answer, other.sa.header(Message(answer))))
        T.check("and one with bob's", pool.quiet())
        c.send(with_header(answer, a.sa.header(Message(answer))))
        back = pool.recv()
        T.check("her own passes, without the signature", back.status == 200 and not back.all("Authorization"))

        send("MESSAGE")
        c, got = at_edge()
        c.send(got.reply(430, "Flow Failed", headers=[MARK]))
        T.check("an unsigned refusal in her name is dropped", pool.quiet())
        c.send(got.reply(504, headers=[MARK.replace("InternetUser", "EdgeProxyGenerated")]))
        T.check("one that the edge says is its own passes", pool.recv().status == 504)
        send("MESSAGE")
        c, got = at_edge()
        c.send(got.reply(200, headers=[MARK.replace("InternetUser", "EdgeProxyGenerated")]))
        T.check("but an edge accepts nothing for her", pool.quiet())
        answer = got.reply(200)
        c.send(with_header(answer, a.sa.header(Message(answer))))
        T.check("which she then does", pool.recv().status == 200)

        invite = send("INVITE", call="cancelled-1")
        c, got = at_edge()
        T.check("INVITE to her is signed", got.method == "INVITE" and a.sa.is_right(got))
        route = got.all("Record-Route")[0]
        T.check("100 is for the pool alone", pool.recv().status == 100)
        c.send(got.reply(180))
        T.check("her 180 may be unsigned", pool.recv().status == 180)
        head = Message(invite)
        pool.send("CANCEL sip:alice@192.0.2.7:5061 SIP/2.0\r\nVia: %s\r\nMax-Forwards: 70\r\nRoute: %s\r\nFrom: %s\r\nTo: %s\r\n"
                  "Call-ID: cancelled-1\r\nCSeq: 1 CANCEL\r\nContent-Length: 0\r\n\r\n" % (
                      head.get("Via"), head.get("Route"), head.get("From"), head.get("To")))
        c, cancel = at_edge()
        T.check("a CANCEL of the Director's making is signed", cancel.method == "CANCEL" and a.sa.is_right(cancel))
        final = got.reply(487, "Request Terminated")
        c.send(with_header(final, a.sa.header(Message(final))))
        c, ack = at_edge()
        T.check("and its ACK", ack.method == "ACK" and a.sa.is_right(ack))
        T.check("the pool hears of it", sorted(pool.recv().status for _ in range(2)) == [200, 487])

        pool.send(request("NOTIFY", "sip:alice@192.0.2.7:5061", "sip:bob@example.com", to="sip:alice@example.com",
                          to_tag="t1", call="cancelled-1", cseq=2, headers=["Route: %s, %s" % (route, paths[1])]))
        c, got = at_edge()
        T.check("in a dialog, too", got.method == "NOTIFY" and a.sa.is_right(got), got.start)

        # bob signs in, and his connection goes
        b = Client(w.edge, name="bob")
        bobs, _ = b.sign_in(w.pool())
        pool.send(request("MESSAGE", "sip:bob@192.0.2.7:5061", "sip:alice@example.com", to="sip:bob@example.com",
                          headers=["Route: " + ", ".join(bobs.all("Path"))]))
        c, got = at_edge()
        T.check("bob is there", b.sa.is_right(got))
        c.send(got.reply(430, "Flow Failed", headers=[MARK.replace("InternetUser", "EdgeProxyGenerated")]))
        T.check("the edge says that his connection is gone", pool.recv().status == 430)
        T.check("  and his association with it", b.ask(b.signed("MESSAGE", "sip:alice@example.com")).status == 401)

        w.edge.send(a.signed("REGISTER", "sip:example.com", headers=["Contact: *", "Expires: 0"]))
        got = w.pool().recv()
        w.pool().send(got.reply(200))
        back = w.edge.recv()
        T.check("she signs out, and is told so", a.sa.is_right(back) and back.get("Expires") == "0" and
                director.logged("event=signed-out", "alice"))
        T.check("after which her signature is worth nothing",
                a.ask(a.signed("MESSAGE", "sip:bob@example.com")).status == 401)
        send("MESSAGE")
        got = pool.recv()
        T.check("and what the pool sends is refused, for she would not believe it", got.status == 430, got.start)
        for conn in conns[1:] + [pool, edge_door]:
            conn.close()


def any_worker():
    """The edge's messages of one client come over whichever connection, to whichever worker."""
    with World() as w:
        more = [w.edge] + [edge() for _ in range(7)]
        a = Client(w.edge)
        a.sign_in(w.pool())
        good = 0
        for c in more:
            a.conn = c
            c.send(a.signed("MESSAGE", "sip:bob@example.com"))
            w.pool().send(w.pool().recv().reply(200))
            good += a.sa.is_right(c.recv())
        T.check("one association over eight connections and two workers", good == 8, good)
        challenge = a.challenge()
        a.conn = more[3]
        a.conn.send(a.answer(challenge))
        w.pool().send(w.pool().recv().reply(200))
        T.check("and a handshake over two of them", a.sa.is_right(a.conn.recv()))
        for c in more[1:]:
            c.close()


def several():
    """Two Directors of one name. An edge goes over to the second when the first has ended."""
    second = Director("second", 'flow_keys = "%s/shared.keys";' % RUN, NET + ".10.4")
    with World() as w:
        a, b = Client(w.edge), Client(w.edge, name="bob")
        a.sign_in(w.pool())
        challenge = b.challenge()
        director.stop()
        w.pool().close()
        w.pool().conns.clear()      # those were with the first
        there = edge(NET + ".10.4:5061")
        a.conn = b.conn = there
        got = a.ask(a.signed("MESSAGE", "sip:bob@example.com"))
        T.check("who signed in at one Director is asked to sign in by the other", got.status == 401 and
                not got.all("Authentication-Info"), got.start)
        T.check("  where a challenge of the first is worth nothing", b.ask(b.answer(challenge)).status == 401)
        fresh = Client(there, epid=a.epid)
        got, back = fresh.sign_in(w.pool())
        T.check("  and does so with the pool that she has", back.status == 200 and fresh.sa.is_right(back), back.start)
        paths, pool, door = got.all("Path"), dial(NET + ".10.4:5061", NAME, "pool"), Door(EDGE + ":5061", "edge-inner")
        anywhere = Anywhere(door, there)
        pool.send(request("MESSAGE", "sip:alice@192.0.2.7:5061", "sip:bob@example.com", to="sip:alice@example.com",
                          headers=["Route: " + ", ".join(paths)]))
        got = anywhere.recv()
        T.check("  where she is reached from then on, signed", got.method == "MESSAGE" and fresh.sa.is_right(got), got.start)
        with open(os.path.join(RUN, "shared.keys"), "a") as f:
            f.write("5a" * 32 + "\n")
        second.proc.send_signal(signal.SIGHUP)
        T.check("  a reload takes new flow keys", second.logged("event=flow-keys-changed") and second.logged("event=reloaded"))
        pool.send(request("MESSAGE", "sip:alice@192.0.2.7:5061", "sip:bob@example.com", to="sip:alice@example.com",
                          headers=["Route: " + ", ".join(paths)]))
        got = anywhere.recv()
        T.check("  and she is reached by the routes of before", got.method == "MESSAGE" and fresh.sa.is_right(got), got.start)
        for c in (there, pool, door):
            c.close()
    second.stop()


def client_inside():
    conn = dial(CLIENTS, NAME)
    a = Client(conn, inside=True)
    challenge = a.challenge()
    conn.send(a.answer(challenge))
    got = conn.recv()
    T.check("a client inside is sent to its pool, signed", got.status == 301 and a.sa.is_right(got) and
            got.get("Contact") == "<sip:pool.int.example.com:5061;transport=tls>", got.start)
    answers = [a.ask(a.signed("OPTIONS", "sip:" + NAME)).status for _ in range(4)]
    T.check("  and signs in there from the beginning", answers == [401, 401, 401, 403], answers)
    T.check("  or here: it is cut off, so that it notices", conn.closed())
    conn.close()


def inside_without_register():
    """A handshake may ride on any request; what it makes ends with the connection."""
    conn = dial(CLIENTS, NAME)
    a = Client(conn, inside=True)

    def options():
        return a.make("OPTIONS", "sip:" + NAME, headers=["ms-keep-alive: UAC;hop-hop=yes"])

    got = a.ask(with_header(options(), "Authorization: " + a.sa.credentials(', gssapi-data=""')))
    a.sa.opaque = offers(got)[1]["opaque"]
    token, session = authenticate(token_of(got), "alice", "EXAMPLE", "secret")
    a.sa.keys(session)
    data = options()
    got = a.ask(with_header(data, "Authorization: " + a.sa.credentials(gssapi(token) + a.sa.signature(Message(data)))))
    T.check("a handshake with OPTIONS", got.status == 200 and a.sa.is_right(got), got.start)
    T.check("  is told how to keep the connection alive", "timeout=300" in (got.get("ms-keep-alive") or ""))
    got = a.ask(a.signed("OPTIONS", "sip:" + NAME))
    T.check("  and what it signs afterwards passes", got.status == 200 and a.sa.is_right(got) and not got.get("ms-keep-alive"))
    conn.close()
    a.conn = dial(CLIENTS, NAME)
    end = time.monotonic() + sipnet.PATIENCE
    while a.ask(a.signed("OPTIONS", "sip:" + NAME)).status == 200 and time.monotonic() < end:
        pass        # the Director may hear of the end a moment later
    T.check("  until its connection ends", time.monotonic() < end)
    a.conn.close()


def directory():
    """A user who is disabled is out within seconds, whatever was signed before."""
    with World() as w:
        a = Client(w.edge)
        a.sign_in(w.pool())
        user("set", "alice@example.com", "--disabled")
        director.logged("event=users-read", count=2)
        end = time.monotonic() + sipnet.PATIENCE
        status = 200
        while status == 200 and time.monotonic() < end:
            w.edge.send(a.signed("MESSAGE", "sip:bob@example.com"))
            try:
                w.pool().send(w.pool().recv(0.3).reply(200))
            except Silent:
                pass
            status = w.edge.recv().status
        T.check("a disabled user is asked to sign in", status == 401, status)
        got = a.ask(a.answer(a.challenge()))
        T.check("  and cannot", got.status == 401 and director.logged("why=disabled"))
        user("set", "alice@example.com", "--enabled")


def under(a, w, password="secret", login=None, below="", method=None):
    """Somebody tries to sign in as a's device, of her address and, as it says, on her connection; the answer, and who."""
    b = Client(w.edge, name=a.name, epid=a.epid, password=password, version=4)
    b.via += below

    def ask(*headers):
        return b.registration(*headers) if method is None else b.make(method, "sip:" + NAME, headers=headers)
    got = b.ask(ask("Authorization: " + b.sa.credentials(', gssapi-data=""')))
    b.sa.opaque = offers(got)[1]["opaque"]
    token, session = authenticate(token_of(got), login or a.name, "EXAMPLE", b.password)
    b.sa.keys(session)
    data = ask()
    return b.ask(with_header(data, "Authorization: " + b.sa.credentials(gssapi(token) + b.sa.signature(Message(data))))), b


def passes(a, w):
    """What she signs passes, and what comes back is signed for her."""
    w.edge.send(a.signed("MESSAGE", "sip:bob@example.com"))
    try:
        w.pool().send(w.pool().recv(2).reply(200))
    except Silent:
        pass
    got = w.edge.recv()
    return (got.status == 200 and a.sa.is_right(got)) or got.start


def too_fast():
    """A sign-in that the rate refuses leaves the association before it as it is."""
    with World() as w:
        a = Client(w.edge)
        a.sign_in(w.pool())
        status = 0
        for _ in range(100):
            status = a.ask(a.signed("OPTIONS", "sip:" + NAME, to_tag="x")).status
            if status == 500:       # a 503 that the edge would not pass on
                break
        got, b = under(a, w)
        T.check("a sign-in beyond the user's rate is refused, signed", (status, got.status) == (500, 504) and b.sa.is_right(got) and
                director.logged("reason=rate-limit", count=2), (status, got.start))
        end, got = time.monotonic() + sipnet.PATIENCE, None
        while time.monotonic() < end:
            got = a.ask(a.signed("OPTIONS", "sip:" + NAME, to_tag="x"))
            if got.status != 500:
                break
            time.sleep(0.2)
        T.check("  and the association before it is in force", got.status == 200 and a.sa.is_right(got), got.start)
        T.check("  while the one that was refused may be used when there is room", until(
            lambda: b.ask(b.signed("OPTIONS", "sip:" + NAME, to_tag="x")).status == 200))
        got = a.ask(a.signed("OPTIONS", "sip:" + NAME, to_tag="x"))
        T.check("    which it then is, instead of the other", got.status == 401, got.start)


def refused():
    """Nobody who is refused ends or weakens what a user has."""
    with World() as w:
        a = Client(w.edge)
        got, _ = a.sign_in(w.pool())
        paths = got.all("Path")
        T.check("alice is signed in", passes(a, w))
        T.check("a wrong password for her device is refused", under(a, w, "guess")[0].status == 401)
        T.run("  and she is signed in", lambda: passes(a, w))
        for method in (None, "OPTIONS", "MESSAGE"):
            got, b = under(a, w, login="bob", method=method)
            T.check("bob's password under her address and device is refused (%s)" % (method or "REGISTER"), got.status == 403 and
                    b.sa.is_right(got), got.start)
            T.run("  and she is signed in", lambda: passes(a, w))
            data = b.make("OPTIONS", "sip:" + NAME, sender="sip:bob@example.com")
            got = b.ask(with_header(data, b.sa.header(Message(data))))
            T.check("  what he signs with that is worth nothing, also under his own name", got.status == 401, got.start)
        door = Door(EDGE + ":5061", "edge-inner")
        anywhere = Anywhere(door, w.edge)
        pool = dial(SERVERS, NAME, "pool")
        pool.send(request("INVITE", "sip:alice@192.0.2.7:5061", "sip:bob@example.com", to="sip:alice@example.com",
                          headers=["Route: " + ", ".join(paths)], call="older-1"))
        got = anywhere.recv()
        T.check("what the pool sends her is signed with her keys", a.sa.is_right(got), got.start)
        route = got.all("Record-Route")[0]
        answer = got.reply(200)
        anywhere.send(with_header(answer, a.sa.header(Message(answer))))

        # Digest proves bob; his REGISTER names her, and below his own Via the connection that is hers
        d = Client(w.edge, name="alice", epid=a.epid, cid="2B00")
        d.via += "\r\nVia: SIP/2.0/TLS 192.0.2.8:5061;branch=z9hG4bKd;ms-received-port=5061;ms-received-cid=2B00" \
            "\r\nVia: SIP/2.0/TLS " + a.via
        challenge = d.ask(d.registration())
        challenge.headers = [h for h in challenge.headers if "SHA-256" in h[1]]
        got = d.ask(d.registration(inside.digest(challenge, "REGISTER", "sip:example.com", user="bob")))
        T.check("bob's Digest under her address, device and connection is refused", got.status == 403, got.start)
        T.check("  and nothing is signed for him", not got.all("Authentication-Info"), got.start)
        T.run("  and she is signed in", lambda: passes(a, w))

        while pool.recv().status != 200:
            pass
        pool.send(request("INFO", "sip:alice@192.0.2.7:5061", "sip:bob@example.com", to="sip:alice@example.com", to_tag="t1",
                          call="older-1", cseq=2, headers=["Route: %s, %s" % (route, paths[1])]))
        got = anywhere.recv()
        anywhere.send(got.reply(430, "Flow Failed", headers=[MARK.replace("InternetUser", "EdgeProxyGenerated")]))
        T.check("an old dialog leads to a connection that is gone", pool.recv().status == 430)
        T.run("  and she, on her new one, is signed in", lambda: passes(a, w))
        pool.close()
        door.close()


def only_ntlm():
    with World() as w:
        w.edge.send(request("REGISTER", "sip:example.com", "sip:alice@example.com", headers=[MARK]))
        got = w.edge.recv()
        T.check("NTLM alone: a client without an epid cannot sign in", got.status == 400 and
                director.logged("reason=no-endpoint"), got.start)
        a = Client(w.edge)
        T.check("  one with an epid is offered NTLM alone", offers(a.ask(a.registration()))[0] == ["NTLM"])
    conn = dial(CLIENTS, NAME)
    a = Client(conn, inside=True)
    T.check("  at a door that offers Digest alone, that", offers(a.ask(a.registration()))[0] == ["Digest", "Digest"])
    got = a.ask(a.registration("Authorization: " + a.sa.credentials(', gssapi-data=""')))
    T.check("  whatever it asks for", offers(got)[0] == ["Digest", "Digest"])
    conn.close()


def main():
    global director
    prepare()
    try:
        director = Director("director")
        for name, fn in (("sign-in", sign_in), ("a busy pool", busy_pool), ("bad answers", bad_answers), ("forgeries", forgeries), ("to a client", to_client),
                         ("any worker", any_worker), ("inside", client_inside),
                         ("inside, without REGISTER", inside_without_register)):
            T.run(name, fn)
        director.stop()
        director = Director("refreshed", "sipae = { refresh = 1; }; limits = { user_rate = 0; };")
        T.run("directory", directory)
        director.stop()
        director = Director("too-fast", "limits = { user_rate = 1; burst = 4; };")
        T.run("too fast", too_fast)
        director.stop()
        director = Director("refused", "limits = { user_rate = 0; };")
        T.run("refused", refused)
        director.stop()
        director = Director("guessing", "guessing = { user_and_source = 3; user = 5; source = 6; forget = 3600; };")
        T.run("guessing", guessing)
        director.stop()
        director = Director("first", 'flow_keys = "%s/shared.keys";' % RUN)
        T.run("several Directors", several)
        director.stop()
        director = Director("only-ntlm")
        text = open(os.path.join(director.dir, "director.conf")).read()
        director.write("director.conf", text.replace('admits = "clients";', 'admits = "clients"; offer = "digest";').replace(
            "/users\";", "/users\"; offer = \"ntlm\";"))
        director.hup()
        director.logged("event=reloaded")
        T.run("only NTLM", only_ntlm)
        director.stop()
    finally:
        for e in list(sipnet.Edge.running):
            e.stop()
    for name in ("director", "refreshed", "too-fast", "refused", "guessing", "first", "second", "only-ntlm"):
        log = open(os.path.join(RUN, name, "log"), errors="replace").read()
        T.check("%s: no sanitizer complained" % name, "Sanitizer" not in log and "runtime error" not in log)
    sys.exit(1 if T.failed else 0)


if __name__ == "__main__":
    main()
