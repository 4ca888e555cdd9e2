"""reasons - every reason of policy/reason.h, provoked in a running edge or Director:
the status that the table says (or none), a record in the log, and a count in the
metrics. A reason that has no provocation here fails the test. Run by reasons.sh.

A provocation is a function below @provoke(NAME…): it returns the status that came
back, 0 for none (dropped, or the connection was closed)."""

import hashlib
import os
import pwd
import re
import signal
import socket
import ssl
import struct
import subprocess
import sys
import threading
import time

import sipnet
from sipnet import BUILD, PKI, RUN, TOP, Closed, Conn, Door, Edge, Silent, Tests, dial, request

NET = os.environ.get("LAB_NET", "127.26")
OUT, IN, DIR, FAR, DNS = NET + ".20.1", NET + ".21.1", NET + ".21.2", NET + ".20.2", NET + ".21.53"
USERS, PARTNERS, INNER = OUT + ":443", OUT + ":5061", IN + ":5061"
BALANCER = NET + ".20.77"
ONLY_PARTNERS, ONLY_USERS = OUT + ":5063", OUT + ":5064"
BOB, ALICE, CAROL = "sip:bob@example.com", "sip:alice@example.com", "sip:carol@contoso.example"

T = Tests()

# What nobody outside can bring about, and where it is tested instead.
NOT_FROM_OUTSIDE = {
    "allowed": "is no refusal",
    "unauthenticated": "is a challenge, which is no refusal: director.sh",
    "stale-nonce": "is a challenge, too: check_signin",
    "certificate": "is a fault that OpenSSL has no other name for: check_tls",
}

# Needs a world of its own (a KDC, an LDAP server, a wrong clock …), which that system test has: it looks for the
# reason in the log of a running daemon itself.
ELSEWHERE = {
    "bad-signature": "signing", "directory-unavailable": "ldap", "outside-not-enabled": "ldap",
    "user-not-enabled": "ldap", "auth-unavailable": "inside", "certificate-crl": "zoo", "certificate-revoked": "zoo",
    "certificate-pin": "zoo", "certificate-refused": "zoo", "certificate-chain": "zoo", "guessing": "signing",
    "endpoint-mismatch": "signing", "no-endpoint": "signing", "domain-unavailable": "samba",
}


def table():
    """{name: status}, out of the one table."""
    with open(os.path.join(TOP, "policy", "reason.h")) as f:
        return {name: int(status) for name, status in re.findall(r'^\tX\([A-Z_]+, "([a-z-]+)", (\d+),', f.read(), re.M)}


REASONS = table()
seen = {}        # reason: what was wrong with it, or ""
took = {}        # and how many seconds it took


class Metrics:
    def __init__(self, socket_path):
        self.path = socket_path

    def text(self):
        return subprocess.run([os.path.join(BUILD, "sallyportctl"), "--socket", self.path, "metrics"], check=True,
                              capture_output=True, text=True).stdout

    def of(self, reason):
        """How often that reason was counted, in whatever metric."""
        return sum(int(n) for n in re.findall(r'^sallyport_\w+_total\{[^}]*reason="%s"[^}]*\} (\d+)$' % reason, self.text(), re.M))


class World:
    """A daemon, and the provocations that were made in it."""

    def __init__(self, daemon, socket_path):
        self.daemon, self.metrics = daemon, Metrics(socket_path)

    def provoke(self, *names, status=None, begun=False):
        """Runs the function at once. begun: it may have come about before. status: another than the table's, where the connection ends instead of an answer."""
        def run(fn):
            for name in names:
                before, began = 0 if begun else self.metrics.of(name), time.monotonic()
                try:
                    got = fn()
                except (Closed, Silent, OSError) as e:
                    got = "%s: %s" % (type(e).__name__, e)
                want = REASONS[name] if status is None else status
                wrong = []
                if got != want:
                    wrong.append("status %s instead of %s" % (got, want))
                if not self.daemon.logged("reason=" + name, timeout=5):
                    wrong.append("no log record")
                end = time.monotonic() + 5
                while self.metrics.of(name) <= before and time.monotonic() < end:
                    time.sleep(0.05)
                if self.metrics.of(name) <= before:
                    wrong.append("not counted")
                seen[name] = ", ".join(wrong)
                took[name] = time.monotonic() - began
        return run


# ---- names ----

class NameServer(threading.Thread):
    """A table: host to address, domain to SRV target; SERVFAIL for what begins with "broken", silence for "mute"."""

    def __init__(self, hosts, srv):
        super().__init__(daemon=True)
        self.hosts, self.srv = hosts, srv
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind((DNS, 53))
        self.start()

    def run(self):
        while True:
            try:
                q, who = self.sock.recvfrom(2048)
            except OSError:
                return
            labels, at = [], 12
            while q[at]:
                labels.append(q[at + 1:at + 1 + q[at]].decode())
                at += 1 + q[at]
            name, kind = ".".join(labels).lower(), struct.unpack("!H", q[at + 1:at + 3])[0]
            question, answer, code = q[12:at + 5], b"", 0
            domain = name.replace("_sipfederationtls._tcp.", "")
            if domain.startswith("mute"):
                continue
            if domain.startswith("broken"):
                code = 2
            elif kind == 33 and domain in self.srv:
                target, port = self.srv[domain]
                data = struct.pack("!HHH", 0, 0, port) + b"".join(bytes([len(x)]) + x.encode() for x in target.split(".")) + b"\0"
                answer = b"\xc0\x0c\0\x21\0\1" + struct.pack("!IH", 60, len(data)) + data
            elif kind == 1 and name in self.hosts:
                answer = b"\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4" + socket.inet_aton(self.hosts[name])
            elif name not in self.hosts and not (kind == 33 and domain in self.srv):
                code = 3
            self.sock.sendto(q[:2] + struct.pack("!HHHHH", 0x8400 | code, 1, 1 if answer else 0, 0, 0) + question + answer, who)


HOSTS = {"sip.contoso.example": FAR, "sip.closed.example": NET + ".20.9", "sip.hole.example": NET + ".20.8",
         "sip.liar.example": NET + ".20.7", "sip.stranger.example": FAR, "sip.guarded.example": "10.1.2.3"}
RECORDS = {"stranger.example": ("sip.stranger.example", 5061), "away.example": ("sip.elsewhere.example", 5061),
           "port.example": ("sip.port.example", 25), "guarded.example": ("sip.guarded.example", 5061),
           "hosted.example": ("sip.contoso.example", 5061), "kept.example": ("sip.kept.example", 5061),
           "second.example": ("sip.second.example", 5061), "mail.example": ("sip.mail.example", 5061)}


# ---- the edge ----

def edge_config(name, limits="", extra="", directors=True):
    pem = 'certificate = "%s/edge-outer.pem"; key = "%s/edge-outer.key"; name = "sip.example.com";' % (PKI, PKI)
    trust = 'trust = "%s/ca.pem";' % PKI
    return """
user = "nobody"; workers = 1; log = { level = "debug"; refusals = 0; };
outer = (
  { listen = "%s"; %s users = true; balancers = [ "%s" ]; },
  { listen = "%s"; %s %s client_certificate = "required"; partners = true; },
  { listen = "%s"; %s %s client_certificate = "optional"; partners = true; },
  { listen = "%s"; %s %s client_certificate = "optional"; users = true; }
);
inner = { listen = "%s"; name = "edge.int.example.com"; certificate = "%s/edge-inner.pem"; key = "%s/edge-inner.key"; %s };
directors = ( { name = "director.int.example.com"; address = "%s"; } );
dns = { servers = [ "%s:53" ]; timeout = 300; tries = 1; };
limits = { %s };
%s
""" % (USERS, pem, BALANCER, PARTNERS, pem, trust, ONLY_PARTNERS, pem, trust, ONLY_USERS, pem, trust, INNER, PKI, PKI, trust, DIR, DNS,
       limits, extra)


POLICY = """
internal_domains = [ "example.com" ]; internal_servers = [ "director.int.example.com" ];
federation = true; blocked = [ "fabrikam.example" ];
partners = (
  { name = "Contoso"; server = "sip.contoso.example"; domains = [ "contoso.example" ]; },
  { name = "Paused"; server = "sip.paused.example"; domains = [ "paused.example" ]; paused = true; },
  { name = "Nowhere"; server = "sip.nowhere.example"; domains = [ "nowhere.example" ]; },
  { name = "Closed"; server = "sip.closed.example"; domains = [ "closed.example" ]; },
  { name = "Hole"; server = "sip.hole.example"; domains = [ "hole.example" ]; },
  { name = "Liar"; server = "sip.liar.example"; domains = [ "liar.example" ]; }
);
content = ( { classes = [ "direct" ]; links = "block"; files = "block"; sealed = "block"; } );
"""


def start(name, policy, limits="", extra=""):
    edge = Edge(name, edge_config(name, limits, extra), policy)
    return edge, World(edge, os.path.join(RUN, name, "edge.sock"))


def status_of(conn, data, timeout=10):
    conn.send(data)
    while True:
        got = conn.recv(timeout)
        if got.status != 100:
            return got.status


def is_closed(conn, data=b"", timeout=8):
    """0 when the far end closes without an answer."""
    try:
        if data:
            conn.send(data)
        while True:
            got = conn.recv(timeout)
            if got.status >= 200:
                return got.status
    except Closed:
        return 0


def handshake(cert, addr=PARTNERS, name="sip.example.com", careless=False):
    """0 when somebody with that certificate is closed before a byte of SIP is answered."""
    make = sipnet.client_context
    try:
        if careless:         # this test's own library would not show such a key
            def lax(*args):
                ctx = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
                ctx.set_ciphers("DEFAULT@SECLEVEL=0")
                ctx.load_verify_locations(os.path.join(PKI, "ca.pem"))
                ctx.load_cert_chain(os.path.join(PKI, cert + ".pem"), os.path.join(PKI, cert + ".key"))
                return ctx
            sipnet.client_context = lax
        return is_closed(dial(addr, name, cert), request(sender=CAROL))
    except OSError:
        return 0
    finally:
        sipnet.client_context = make


def shakes_hands(door):
    """Takes connections and says nothing on them."""
    def run():
        while True:
            try:
                door.accept(3600)
            except ssl.SSLError:
                pass
            except (OSError, Silent):
                return
    threading.Thread(target=run, daemon=True).start()


def ordinary():
    """What needs no special limits."""
    door, hole = Door(DIR + ":5061", "director"), socket.create_server((NET + ".20.8", 5061))
    liar = Door(NET + ".20.7:5061", "stranger")
    session = os.path.join(RUN, "ordinary", "session")
    os.makedirs(os.path.dirname(session), exist_ok=True)
    os.chown(os.path.dirname(session), pwd.getpwnam("nobody").pw_uid, -1)
    edge, world = start("ordinary", POLICY, "hop_queue = 1; request = 3; connect = 3; sign_in = 300;",
                        'session_log = { file = "%s"; };' % session)
    provoke, director = world.provoke, door.accept()
    shakes_hands(liar)
    partner, user = dial(PARTNERS, cert="partner-edge-outer"), dial(USERS)
    inward = lambda **kw: lambda: status_of(partner, request(**kw))
    outward = lambda uri, sender=BOB, **kw: lambda: status_of(director, request(uri=uri, sender=sender, **kw))

    provoke("from-domain-blocked")(inward(sender="sip:x@fabrikam.example"))
    provoke("to-domain-blocked")(outward("sip:x@fabrikam.example"))
    provoke("peer-blocked")(lambda: status_of(dial(PARTNERS, cert="blocked"), request(sender=CAROL)))
    provoke("not-for-users")(lambda: status_of(dial(ONLY_PARTNERS), request()))
    provoke("not-for-partners")(lambda: status_of(dial(ONLY_USERS, cert="partner-edge-outer"), request(sender=CAROL)))
    provoke("unknown-peer")(lambda: status_of(dial(PARTNERS, cert="stranger"), request(sender="sip:x@stranger.example")))
    provoke("method-not-allowed")(inward(method="REGISTER", uri="sip:example.com", sender=CAROL))
    provoke("spoofed-from")(inward(sender="sip:boss@example.com"))
    provoke("from-not-internal")(lambda: status_of(user, request(sender=CAROL)))
    provoke("from-not-of-partner")(inward(sender="sip:x@other.example"))
    provoke("to-not-internal")(inward(sender=CAROL, uri="sip:x@other.example"))
    provoke("ip-literal-domain")(inward(sender="sip:x@192.0.2.1"))
    provoke("bad-domain")(inward(sender="sip:x@a-.example"))
    provoke("route-forged")(lambda: status_of(user, request(to_tag="x", headers=[
        "Route: <sip:sip.example.com:443;transport=tls;opaque=state:Ri.1;lr;ms-route-sig=%s>" % ("A" * 20)])))
    provoke("route-not-ours")(lambda: status_of(user, request(to_tag="x", headers=["Route: <sip:sip.other.example;lr>"])))
    provoke("not-internal-peer", status=0)(lambda: handshake("stranger", INNER, "edge.int.example.com"))
    provoke("loops-back")(outward(ALICE))
    provoke("no-route")(outward("sip:x@elsewhere.example"))
    provoke("from-not-ours")(outward(CAROL, sender="sip:x@other.example"))

    @provoke("flow-gone")
    def _():
        leaving = dial(USERS)
        leaving.send(request("REGISTER", "sip:example.com", ALICE, headers=["Contact: <sip:alice@192.0.2.9;transport=tls>"]))
        got = director.recv()
        path = got.get("Path")
        director.send(got.reply(200))
        leaving.recv()
        leaving.close()
        edge.logged("event=disconnected", "port=443")
        return status_of(director, request(uri=ALICE, sender=BOB, headers=["Route: " + path]))

    provoke("content-link")(inward(sender=CAROL, headers=["Content-Type: text/plain"], body=b"see http://evil.example/"))
    provoke("content-file")(inward(sender=CAROL, method="INVITE", headers=["Content-Type: application/sdp"],
                                   body=b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nt=0 0\r\nm=x-ms-message-file 5060 tcp *\r\n"
                                        b"m=message 5060 msrp *\r\na=file-selector:name:\"a.exe\"\r\n"))
    provoke("content-sealed")(inward(sender=CAROL, headers=["Content-Type: application/pkcs7-mime"], body=b"0\x80"))
    provoke("partner-paused")(outward("sip:x@paused.example"))
    provoke("hop-unresolved")(outward("sip:x@nowhere.example"))
    provoke("hop-unreachable")(outward("sip:x@closed.example"))
    provoke("hop-certificate")(outward("sip:x@liar.example"))

    @provoke("certificate-name", status=504)
    def _():
        time.sleep(0.6)      # the breaker's shortest pause
        return outward("sip:z@liar.example")()

    @provoke("hop-busy")
    def _():
        director.send(request(uri="sip:x@hole.example", sender=BOB))
        return status_of(director, request(uri="sip:y@hole.example", sender=BOB))
    director.recv()          # the first one's, when nobody shook hands

    @provoke("cancelled")
    def _():
        time.sleep(0.6)      # the breaker's shortest pause
        invite = request("INVITE", "sip:x@hole.example", BOB, call="to-cancel", branch="z9hG4bKcancel")
        director.send(invite)
        director.recv()      # 100
        director.send(request("CANCEL", "sip:x@hole.example", BOB, call="to-cancel", branch="z9hG4bKcancel"))
        return sorted(director.recv().status for _ in range(2))[1]

    provoke("malformed")(lambda: status_of(user, request(mf=None, headers=["Max-Forwards: x"])))
    # no answer can be made of such a From, and the session log must not tell of one
    user.send(request(sender="sip:x@e%78ample.com", call="without-an-answer"))
    provoke("bad-version")(lambda: status_of(dial(USERS), request().replace(b" SIP/2.0\r\nVia", b" SIP/3.0\r\nVia")))
    provoke("too-large")(lambda: status_of(dial(USERS), request().replace(b"Content-Length: 0", b"Content-Length: 999999")))
    provoke("too-many-hops")(lambda: status_of(user, request(mf=0)))

    @provoke("loop")
    def _():
        partner.send(request(sender=CAROL))
        return status_of(partner, director.recv().raw)

    provoke("negotiate-refused")(lambda: status_of(user, request("NEGOTIATE")))
    provoke("no-transaction")(lambda: status_of(user, request("CANCEL")))

    @provoke("stray-response")
    def _():
        user.send(request())
        got = director.recv()
        director.send(got.reply(200))
        user.recv()
        director.send(got.reply(200))
        return 0 if user.quiet() else 200

    @provoke("merged", status=0)
    def _():
        one = request()
        user.send(one)
        got = director.recv()
        user.send(one)
        quiet = user.quiet()
        director.send(got.reply(200))
        user.recv()
        return 0 if quiet else 482

    provoke("certificate-missing")(lambda: handshake(None))
    provoke("certificate-untrusted", status=0)(lambda: handshake("impostor"))
    provoke("certificate-expired")(lambda: handshake("expired"))
    provoke("certificate-not-yet-valid")(lambda: handshake("not-yet"))
    provoke("certificate-weak")(lambda: handshake("weak", careless=True))
    provoke("certificate-usage", status=0)(lambda: handshake("other-use"))

    @provoke("handshake")
    def _():
        s = socket.create_connection((OUT, 443))
        s.send(b"GET / HTTP/1.0\r\n\r\n")
        s.settimeout(5)
        try:
            while s.recv(100):
                pass
        except OSError:
            pass
        return 0

    @provoke("proxy-header")
    def _():
        try:
            return is_closed(dial(USERS, source=BALANCER), request())
        except OSError:
            return 0

    @provoke("hop-timeout")
    def _():
        user.send(request())
        director.recv()
        return user.recv(8).status

    @provoke("hop-lost")
    def _():
        user.send(request())
        director.recv()
        director.close()
        return user.recv().status
    os.rename(session, session + ".moved")
    edge.proc.send_signal(signal.SIGUSR1)
    end = time.monotonic() + 5
    while not os.path.exists(session) and time.monotonic() < end:
        time.sleep(0.02)
    status_of(user, request("CANCEL"))
    T.check("the edge ends in order", edge.stop() == 0)
    session_log(open(session + ".moved").read(), open(session).read())
    for s in (door, hole, liar):
        s.close()


LINE = re.compile(r'^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z door=(?:outer|inner|unknown) class=[a-z-]+ peer=\S+ method=[A-Za-z]+ '
                  r'status=\d+ reason=([a-z-]+) ms=\d+(?: from="[^"]*"(?:\.\.\.)? to="[^"]*"(?:\.\.\.)? call-id="[^"]*"(?:\.\.\.)?)?$')


def session_log(moved, new):
    """What the session log has of all that."""
    lines = moved.splitlines() + new.splitlines()
    T.check("every line of the session log is as the manual says", len(lines) > 40 and all(map(LINE.match, lines)),
            next((line for line in lines if not LINE.match(line)), ""))
    told = {LINE.match(line).group(1) for line in lines if LINE.match(line)}
    want = {n for n in seen if REASONS[n] and not n.startswith("certificate") and n not in ("not-internal-peer",)}
    T.check("it has each refusal", not want - told, want - told)
    T.check("and what passed", any(" status=200 reason=allowed " in line for line in lines))
    none = [line for line in lines if "without-an-answer" in line]
    T.check("and no status where no answer was sent", len(none) == 1 and " status=0 reason=malformed " in none[0], none)
    T.check("but no bodies", "evil" not in moved + new)
    T.check("USR1 begins the file anew", "no-transaction" in new and "spoofed-from" in moved)


def strict():
    """Short times and small numbers."""
    door = Door(DIR + ":5061", "director")
    edge, world = start("strict", POLICY, "handshake = 2; first_message = 4; message = 1; sign_in = 8; idle = 4; request = 10;"
                        " invite = 10; connections = 40; transactions = 16; user_requests = 4; user_queue = 16;")
    provoke, director = world.provoke, door.accept()

    ringing = dial(PARTNERS, cert="partner-edge-outer")
    ringing.send(request("INVITE", BOB, CAROL))
    got = director.recv()
    director.send(got.reply(180, "Ringing"))
    ended = []           # what the INVITE came to, should it be seen by the way

    def next_in(director=director):
        """The next request of a user; the INVITE's CANCEL may come at any time."""
        while True:
            m = director.recv()
            if m.method != "CANCEL":
                return m
            director.send(m.reply(200))

    def answered():
        """A user who said something, and was answered."""
        c = dial(USERS)
        c.send(request())
        m = next_in()
        director.send(m.reply(200))
        c.recv()
        return c

    def mute(s):
        s.settimeout(5)
        try:
            return 0 if s.recv(10) == b"" else 1
        except OSError:
            return 0
    provoke("handshake-timeout")(lambda: mute(socket.create_connection((OUT, 443))))
    provoke("first-message-timeout")(lambda: is_closed(dial(USERS)))
    provoke("message-timeout")(lambda: is_closed(dial(USERS), request()[:60]))

    @provoke("unauthenticated-timeout")
    def _():
        c, end = answered(), time.monotonic() + 15
        while time.monotonic() < end:
            try:
                c.send(b"\r\n\r\n")
                c._more(time.monotonic() + 0.5)
            except Silent:
                pass
            except Closed:
                return 0
        return 200

    @provoke("idle-timeout")
    def _():
        c = dial(USERS)
        c.send(request("REGISTER", "sip:example.com", ALICE, headers=["Contact: <sip:alice@192.0.2.9;transport=tls>"]))
        director.send(next_in().reply(200))
        c.recv()
        return is_closed(c)

    @provoke("slow-reader")
    def _():
        c = dial(USERS)
        c.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        c.send(request("REGISTER", "sip:example.com", ALICE, headers=["Contact: <sip:alice@192.0.2.9;transport=tls>"]))
        m = next_in()
        path = m.get("Path")
        director.send(m.reply(200))
        c.recv()
        for _ in range(400):
            director.send(request("BENOTIFY", ALICE, BOB, headers=["Route: " + path, "Event: x"], body=b"x" * 20000))
            if edge.logged("reason=slow-reader", timeout=0):
                break
        # The edge may have it all before it first writes to the user: who left now would not be slow, but gone.
        edge.logged("reason=slow-reader")
        c.close()
        return 0

    @provoke("connection-limit")
    def _():
        held = [socket.create_connection((OUT, 443)) for _ in range(45)]
        ended = edge.logged("reason=connection-limit")
        for s in held:
            s.close()
        return 0 if ended else 200

    @provoke("in-flight-limit")
    def _():
        c = dial(USERS)
        for _ in range(4):
            c.send(request())
        waiting = [next_in() for _ in range(4)]
        status = status_of(c, request())
        for m in waiting:
            director.send(m.reply(200))
        return status

    @provoke("overload")
    def _():
        for _ in range(20):
            ringing.send(request(sender=CAROL))
        while True:
            m = ringing.recv()
            if m.status == 503:
                return 503
            if "INVITE" in m.get("CSeq") and m.status >= 200:
                ended.append(m.status)

    @provoke("invite-timeout", begun=True)
    def _():
        while not ended:
            m = ringing.recv(15)
            if m.status >= 200 and "INVITE" in m.get("CSeq"):
                return m.status
        return ended[0]
    T.check("the edge ends in order", edge.stop() == 0)
    door.close()


def copies(homer):
    """What a Homer server gets: each packet is taken apart, chunk by chunk."""
    packets = []
    while len(packets) < 2:
        data = homer.recv(65536)
        chunks, at = {}, 6
        T.check("a packet of HEP 3 is as long as it says", data[:4] == b"HEP3" and struct.unpack("!H", data[4:6])[0] == len(data))
        while at < len(data):
            vendor, kind, n = struct.unpack("!HHH", data[at:at + 6])
            if vendor or n < 6 or at + n > len(data) or kind in chunks:
                T.check("each of its chunks too", False, (vendor, kind, n))
                return
            chunks[kind] = data[at + 6:at + n]
            at += n
        packets.append(chunks)
    ask, answer = packets
    T.check("the request came from outside to our port 443", ask[4] == socket.inet_aton(OUT) and ask[8] == struct.pack("!H", 443) and
            answer[3] == ask[4] and answer[7] == ask[8] and answer[4] == ask[3])
    T.check("with agent, password and Call-ID", struct.unpack("!I", ask[12])[0] == 77 and ask[14] == b"homer" and
            ask[17].startswith(b"call-") and ask[17] == answer[17])
    T.check("credentials and body are not in it", b"5ecre7" not in ask[15] and b"Digest ***" in ask[15] and
            ask[15].endswith(b"\r\n\r\nxxxx"), ask[15])
    T.check("the answer follows", answer[15].startswith(b"SIP/2.0 403 "), answer[15])


def closed_policy():
    homer = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    homer.bind((DNS, 9060))
    homer.settimeout(10)
    door = Door(DIR + ":5061", "director")
    edge, world = start("closed", """internal_domains = [ "example.com" ]; internal_servers = [ "director.int.example.com" ];
        federation = false; remote_users = false;
        partners = ( { name = "Contoso"; server = "sip.contoso.example"; domains = [ "contoso.example" ]; } );""",
                        extra='hep = { server = "%s:9060"; id = 77; password = "homer"; };' % DNS)
    world.provoke("remote-users-off")(lambda: status_of(dial(USERS), request(
        headers=['Authorization: Digest username="a", response="5ecre7"'], body=b"evil")))
    copies(homer)
    world.provoke("federation-off")(lambda: status_of(dial(PARTNERS, cert="partner-edge-outer"), request(sender=CAROL)))
    T.check("the edge ends in order", edge.stop() == 0)
    door.close()


def members():
    door = Door(DIR + ":5061", "director")
    edge, world = start("members", """internal_domains = [ "example.com" ]; internal_servers = [ "director.int.example.com" ];
        federation = true; clearinghouse = true;
        partners = ( { name = "Contoso"; server = "sip.contoso.example"; domains = [ "contoso.example" ]; member = true;
                       reaches = [ "Third" ]; },
                     { name = "Other"; server = "sip.other.example"; domains = [ "other.example" ]; member = true; },
                     { name = "Third"; server = "sip.third.example"; domains = [ "third.example" ]; member = true; } );""")
    world.provoke("member-not-allowed")(lambda: status_of(dial(PARTNERS, cert="partner-edge-outer"), request(
        uri="sip:x@other.example", sender=CAROL)))
    T.check("the edge ends in order", edge.stop() == 0)
    door.close()


def found_by_dns():
    """Partners that nobody has listed, and providers."""
    base = 'internal_domains = [ "example.com" ]; internal_servers = [ "director.int.example.com" ]; federation = true; '
    door = Door(DIR + ":5061", "director")
    edge, world = start("discovery", base + """discovery = true; open_federation = true;
        providers = ( { name = "P"; server = "sip.contoso.example"; enabled = false; } );""",
                        "held = 3; held_per_domain = 2;", 'discovery = { networks = [ "%s.0.0/16" ]; };\n'
                        "discovered = { rate = 2; partners = 1; };" % NET)
    provoke, director = world.provoke, door.accept()
    outward = lambda uri: lambda: status_of(director, request(uri=uri, sender=BOB))
    stranger = dial(PARTNERS, cert="stranger")
    provoke("srv-missing")(outward("sip:x@none.example"))
    provoke("srv-failed")(outward("sip:x@broken.example"))
    provoke("srv-outside-domain")(outward("sip:x@away.example"))
    provoke("srv-port")(outward("sip:x@port.example"))
    provoke("hop-forbidden")(outward("sip:x@guarded.example"))
    provoke("peer-not-in-srv")(lambda: status_of(stranger, request(sender="sip:x@kept.example")))
    provoke("provider-off")(lambda: status_of(dial(PARTNERS, cert="partner-edge-outer"), request(sender="sip:x@hosted.example")))

    @provoke("discovered-rate")
    def _():
        stranger.send(request(sender="sip:x@stranger.example"))      # DNS is known from here on
        director.send(director.recv().reply(200))
        stranger.recv()
        for i in range(30):
            stranger.send(request(sender="sip:x@stranger.example"))
        statuses = []
        while len(statuses) < 30:
            try:
                director.send(director.recv(0.2).reply(200))
            except Silent:
                pass
            try:
                statuses.append(stranger.recv(0.2).status)
                if statuses[-1] == 503:
                    return 503
            except Silent:
                pass
        return statuses

    @provoke("dns-busy")
    def _():
        for i in range(5):
            director.send(request(uri="sip:x@mute%d.example" % i, sender=BOB))
        statuses = [director.recv().status for _ in range(5)]
        return 503 if 503 in statuses else statuses

    @provoke("discovered-table")
    def _():
        return status_of(dial(PARTNERS, cert="second"), request(sender="sip:x@second.example"))
    T.check("the edge ends in order", edge.stop() == 0)
    director.close()

    edge, world = start("discovery-few", base + "discovery = true; open_federation = true;", "",
                        'discovery = { networks = [ "%s.0.0/16" ]; };\n'
                        "discovered = { rate = 1000; addressees = 1; window = 8; failures = 4; suspicious_rate = 1; };" % NET)
    provoke, director, stranger = world.provoke, door.accept(), dial(PARTNERS, cert="stranger")

    def one(uri=BOB, status=404):
        stranger.send(request(uri=uri, sender="sip:x@stranger.example"))
        end = time.monotonic() + 8
        while time.monotonic() < end:
            try:
                director.send(director.recv(0.1).reply(status))
            except Silent:
                pass
            try:
                return stranger.recv(0.1).status
            except Silent:
                pass
        return None

    @provoke("discovered-addressees")
    def _():
        one(status=200)
        return one("sip:somebody@example.com")

    @provoke("discovered-suspicious")
    def _():
        return next((s for s in (one() for _ in range(40)) if s == 503), None)
    T.check("the edge ends in order", edge.stop() == 0)
    director.close()

    edge, world = start("allow-list", base + """discovery = true; allowed_domains = [ "kept.example" ];
        providers = ( { name = "P"; server = "sip.contoso.example"; enabled = true; } ); strict_provider_domains = true;""")
    world.provoke("domain-not-allowed")(lambda: status_of(dial(PARTNERS, cert="stranger"), request(sender="sip:x@stranger.example")))
    world.provoke("from-not-of-provider")(lambda: status_of(dial(PARTNERS, cert="partner-edge-outer"), request(
        sender="sip:x@mail.example")))
    T.check("the edge ends in order", edge.stop() == 0)
    door.close()


# ---- the Director ----

MARK = "ms-edge-proxy-message-trust: ms-source-type=%s;ms-ep-fqdn=edge.int.example.com;ms-source-verified-user=%s"
FROM_USER = MARK % ("InternetUser", "verified")
FROM_PARTNER = MARK % ("DirectPartner", "verified;ms-source-network=federation")
FROM_PROVIDER = MARK % ("AuthorizedServer", "unverified;ms-source-network=publiccloud")
NAME = "director.int.example.com"


class Director(Edge):
    def __init__(self, name):
        self.dir = os.path.join(RUN, name)
        os.makedirs(self.dir, exist_ok=True)
        self.write("director.conf", """
name = "%s"; domains = [ "example.com" ]; user = "nobody"; workers = 1; log = { refusals = 0; };
control = { socket = "%s/director.sock"; };
tls = { certificate = "%s/director.pem"; key = "%s/director.key"; trust = "%s/ca.pem"; };
doors = ( { listen = "%s:5061"; admits = "servers"; } );
edges = ( { name = "edge.int.example.com"; address = "%s"; } );
pools = ( { name = "pool.int.example.com"; address = "%s"; } );
public_im = [ "im.example" ];
auth = { users = "%s/users"; };
timers = { drain = 8; connect = 2; };
""" % (NAME, self.dir, PKI, PKI, PKI, DIR, NET + ".21.3", NET + ".21.4", RUN))
        self.launch("sallyport-director", "director.conf")


def credentials(challenge, method, uri, user="alice", password="secret"):
    given = dict(re.findall(r'(\w+)="?([^",]+)"?', next(c for c in challenge.all("WWW-Authenticate") if "SHA-256" in c)))
    h = lambda t: hashlib.sha256(t.encode()).hexdigest()
    response = h(":".join((h("%s:%s:%s" % (user, given["realm"], password)), given["nonce"], "00000001", "cn", "auth",
                           h("%s:%s" % (method, uri)))))
    return ('Authorization: Digest username="%s", realm="%s", nonce="%s", uri="%s", response="%s", cnonce="cn", nc=00000001, '
            'qop=auth, algorithm=SHA-256' % (user, given["realm"], given["nonce"], uri, response))


def inside():
    for name, *how in (("alice",), ("bob",), ("carol", "--no-remote", "--no-federation")):
        subprocess.run([os.path.join(BUILD, "sallyportctl"), "user", "add", name + "@example.com", "--users", RUN + "/users",
                        "--pool", "pool.int.example.com", "--password-file", "-"] + how, input=b"secret\n", check=True)
    pool = Door(NET + ".21.4:5061", "pool")
    director = Director("director")
    world = World(director, os.path.join(RUN, "director", "director.sock"))
    provoke, edge = world.provoke, dial(DIR + ":5061", NAME, "edge-inner")
    partner = lambda **kw: lambda: status_of(edge, request(headers=[FROM_PARTNER], **kw))

    def sign_in(user="alice", password="secret", to=None, times=1):
        aor = "sip:%s@example.com" % user
        register = lambda *more: request("REGISTER", "sip:example.com", aor, to=to or aor, headers=[FROM_USER] + list(more))
        edge.send(register())
        mine = credentials(edge.recv(), "REGISTER", "sip:example.com", user, password)
        for _ in range(times - 1):
            edge.send(register(mine))
            conn = pool.accept()
            conn.send(conn.recv().reply(200))
            edge.recv()
        return status_of(edge, register(mine))
    provoke("bad-credentials")(lambda: sign_in(password="wrong"))
    provoke("replayed")(lambda: sign_in(times=2))
    provoke("not-your-name")(lambda: sign_in(to=BOB))
    provoke("remote-access-off")(lambda: sign_in("carol"))
    provoke("unknown-user")(partner(uri="sip:nobody@example.com", sender=CAROL))
    provoke("federation-not-enabled")(partner(uri="sip:carol@example.com", sender=CAROL))
    provoke("register-from-federation")(partner(method="REGISTER", uri="sip:example.com", sender=CAROL))
    provoke("public-im-not-enabled")(lambda: status_of(edge, request(sender="sip:x@im.example", headers=[FROM_PROVIDER])))
    provoke("untrusted-peer")(lambda: status_of(edge, request(sender=CAROL)))

    @provoke("stray-ack")
    def _():
        edge.send(request("ACK", BOB, CAROL, to_tag="x", headers=[FROM_PARTNER]))
        return 0 if edge.quiet() else 200

    @provoke("sign-in-again")
    def _():
        from msclient import Association
        sa = Association(NAME, 4)
        sa.opaque = "12345680"
        sa.keys(b"k" * 16)
        for n in range(6):
            data = request(uri=BOB, sender=ALICE, tag="t1;epid=e0000001", headers=[FROM_USER])
            from sipnet import Message
            from msclient import with_header
            got = status_of(edge, with_header(data, sa.header(Message(data))))
            if got != 401:
                return got
        return got

    # what an edge says of its own refusals is said here, and by that way any reason can be
    for name in ("undecided", "needs-dns", "rate-limit", "clock-skew"):
        provoke(name)(lambda name=name: status_of(edge, request(uri=BOB, sender=ALICE, headers=[
            FROM_USER, "x-sallyport-refused: " + name])))

    @provoke("draining")
    def _():
        edge.send(request(uri=BOB, sender=CAROL, headers=[FROM_PARTNER]))     # keeps it from ending
        pool.kept = pool.accept()       # closed, it would end what is waited for
        pool.kept.recv()
        director.proc.terminate()
        if not director.logged("event=stopping"):
            return "it does not stop"
        return status_of(edge, request(uri=BOB, sender=CAROL, headers=[FROM_PARTNER]))
    director.stop()
    pool.close()


# ---- the end ----

def pki():
    make = os.path.join(TOP, "certs-example", "make-pki")
    quiet = {"check": True, "stdout": subprocess.DEVNULL}
    subprocess.run([make, PKI], **quiet)
    for name, *how in (("stranger", "--dns", "sip.stranger.example"), ("blocked", "--dns", "sip.fabrikam.example"),
                       ("second", "--dns", "sip.second.example"),
                       ("expired", "--dns", "sip.contoso.example", "--expired"),
                       ("not-yet", "--dns", "sip.contoso.example", "--not-yet"),
                       ("weak", "--dns", "sip.contoso.example", "--key-bits", "1024"),
                       ("other-use", "--dns", "sip.contoso.example", "--purpose", "emailProtection")):
        subprocess.run([make, PKI, "cert", name] + how, **quiet)
    for name in os.listdir(PKI):
        os.chown(os.path.join(PKI, name), pwd.getpwnam("nobody").pw_uid, -1)


def others():
    """Those of ELSEWHERE are looked for in that test's own files."""
    folder = os.path.dirname(os.path.abspath(__file__))
    for reason, test in ELSEWHERE.items():
        text = "".join(open(os.path.join(folder, test + end)).read() for end in (".py", ".sh")
                       if os.path.exists(os.path.join(folder, test + end)))
        T.check("%s is provoked by %s" % (reason, test), reason in text)


def main():
    pki()
    NameServer(HOSTS, RECORDS)
    worlds = [ordinary, strict, closed_policy, members, found_by_dns, inside]
    wanted = sys.argv[1:]
    for world in worlds:
        if wanted and world.__name__ not in wanted:
            continue
        try:
            world()
        except Exception as e:          # the next world may do
            T.check("%s: %s: %s" % (world.__name__, type(e).__name__, e), False)
        for e in list(Edge.running):
            e.stop()
        for d in list(Door.opened):
            d.close()
    for name in sorted(seen):
        T.check("%s: status %d, log and metric" % (name, REASONS[name]), seen[name] == "", seen[name])
    print("the longest: " + ", ".join("%s %.1f s" % (n, took[n]) for n in sorted(took, key=took.get)[-8:]))
    if not wanted:
        others()
        for name in sorted(REASONS):
            ways = [w for w in (seen, ELSEWHERE, NOT_FROM_OUTSIDE) if name in w]
            T.check("%s has one way to be provoked" % name, len(ways) == 1 or ways == [], "") if len(ways) > 1 else None
            if not ways:
                T.check("%s: nothing provokes it" % name, False)
        T.check("nothing is provoked that is no reason", all(n in REASONS for n in list(ELSEWHERE) + list(NOT_FROM_OUTSIDE)))
    sys.exit(1 if T.failed else 0)


if __name__ == "__main__":
    main()
