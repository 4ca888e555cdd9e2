"""filter - links and files in messages through a running edge, and what is left
to partners that nobody has listed. Run by filter.sh."""

import base64
import os
import pwd
import select
import shutil
import socket
import struct
import subprocess
import sys
import threading
import time

from sipnet import PKI, RUN, TOP, Door, Edge, Tests, dial, request

NET = "127.73"
USERS, PARTNERS, INNER, DIRECTOR = NET + ".0.1:443", NET + ".0.2:5061", NET + ".1.1:5061", NET + ".1.2:5061"

POLICY = """
internal_domains = [ "example.com" ];
internal_servers = [ "director.int.example.com" ];
federation = true;
partners = ( { server = "sip.warned.example"; domains = [ "warned.example" ]; },
             { server = "sip.blocked.example"; domains = [ "blocked.example" ]; } );
content = ( { classes = [ %s ]; links = "%s"; warning = "Careful:"; files = "block-listed"; } );
"""


def config(extra="", limits="", workers=1):
    door = 'certificate = "%s/edge-outer.pem"; key = "%s/edge-outer.key";' % (PKI, PKI)
    return """
user = "nobody"; workers = %d;
log = { level = "debug"; };
outer = ( { listen = "%s"; name = "sip.example.com"; %s users = true; },
          { listen = "%s"; name = "sip.example.com"; %s trust = "%s/ca.pem"; client_certificate = "required"; partners = true; } );
inner = { listen = "%s"; name = "edge.int.example.com"; certificate = "%s/edge-inner.pem"; key = "%s/edge-inner.key";
          trust = "%s/ca.pem"; };
directors = ( { name = "director.int.example.com"; address = "%s"; } );
limits = { %s };
%s
""" % (workers, USERS, door, PARTNERS, door, PKI, INNER, PKI, PKI, PKI, DIRECTOR.split(":")[0], limits, extra)


T = Tests()
SECOND = 1.05    # rates are counted by the second, and a little for the clock


def pki():
    make = os.path.join(TOP, "certs-example", "make-pki")
    subprocess.run([make, PKI], check=True, stdout=subprocess.DEVNULL)
    for name, dns in ("warned", "sip.warned.example"), ("blocked", "sip.blocked.example"):
        subprocess.run([make, PKI, "cert", name, "--dns", dns], check=True, stdout=subprocess.DEVNULL)
    nobody = pwd.getpwnam("nobody").pw_uid
    for name in os.listdir(PKI):
        os.chown(os.path.join(PKI, name), nobody, -1)


def text(body, kind="text/plain", **more):
    return request(headers=["Content-Type: " + kind], body=body, **more)


def content(_):
    door = Door(DIRECTOR, "director")
    edge = Edge("filter-warn", config(), POLICY % ('"direct", "remote-user"', "warn"))
    inside = door.accept()
    peer = dial(PARTNERS, cert="warned")
    sender = "sip:eve@warned.example"

    def warns():
        peer.send(text(b"see hTTp://evil.example and http://example.com/", sender=sender))
        m = inside.recv()
        inside.send(m.reply(200, "OK"))
        return m.body == b"Careful: see _hTTp://evil.example and http://example.com/" and peer.recv().status == 200
    T.run("a partner's links arrive inert, with a warning, in a whole message", warns)
    T.run("the log says so", lambda: edge.logged("event=links-inert", "links=1", "eve@warned.example"))

    def first_text():
        coded = base64.b64encode(b"www.evil.example").decode()
        peer.send(request("INVITE", sender=sender, headers=["ms-text-format: text/plain; charset=UTF-8;ms-body=" + coded]))
        m = inside.recv()
        inside.send(m.reply(486, "Busy Here"))
        got = m.get("ms-text-format").split("ms-body=")[1]
        if base64.b64decode(got) != b"Careful: _www.evil.example":
            return got
        while peer.recv().status < 200:
            pass
        return inside.recv().method == "ACK"
    T.run("so does the first text of an INVITE", first_text)

    def parts():
        body = (b"--b\r\nContent-Type: text/plain\r\n\r\nhttp://a.example\r\n--b\r\nContent-Type: text/html\r\n\r\n"
                b"<a href='http://a.example'>a</a>\r\n--b--\r\n")
        peer.send(text(body, "multipart/alternative; boundary=b", sender=sender))
        m = inside.recv()
        inside.send(m.reply(200, "OK"))
        peer.recv()
        return m.body.count(b"Careful: ") == 2 and b"'_http://a.example'" in m.body or m.body
    T.run("and those in both parts of a multipart", parts)

    def outward():
        user = dial(USERS)
        user.send(request("REGISTER", uri="sip:example.com", sender="sip:bob@example.com", to="sip:bob@example.com",
                          headers=["Contact: <sip:bob@192.0.2.9:5061;transport=tls>;proxy=replace"]))
        m = inside.recv()
        route = m.get("Path")
        inside.send(m.reply(200, "OK"))
        user.recv()
        inside.send(text(b"http://evil.example", uri="sip:bob@example.com", sender="sip:ann@example.com", tag="x").replace(
            b"Max-Forwards", b"Route: " + route.encode() + b"\r\nMax-Forwards"))
        got = user.recv()
        user.send(got.reply(200, "OK"))
        inside.recv()
        user.close()
        return got.body == b"Careful: _http://evil.example" or got.body
    T.run("what a user is sent is looked at too", outward)

    def files():
        body = b"v=0\r\nm=message 7654 TCP/MSRP *\r\na=file-selector:name:\"%s\" size:9\r\n"
        peer.send(request("INVITE", sender=sender, headers=["Content-Type: application/sdp"], body=body % b"a.exe"))
        r = peer.recv()
        while r.status < 200:
            r = peer.recv()
        if r.status != 403 or not r.get("ms-diagnostics-public").startswith("16001;") or not inside.quiet():
            return r.status
        return edge.logged("event=refused", "reason=content-file")
    T.run("a file that is listed is refused, with its number outside", files)

    def sealed():
        peer.send(request(sender=sender, headers=["Content-Type: text/plain", "Content-Encoding: gzip"], body=b"x"))
        return peer.recv().status == 403 and edge.logged("event=refused", "reason=content-sealed")
    T.run("what cannot be looked into is refused", sealed)

    def changes():
        edge.write("policy.conf", POLICY % ('"direct"', "block"))
        edge.hup()
        if not edge.logged("event=reloaded"):
            return "no reload"
        peer.send(text(b"http://evil.example", sender=sender))
        r = peer.recv()
        return r.status == 403 and r.get("ms-diagnostics-public").startswith("16000;") or r.status
    T.run("a new policy holds for connections that live", changes)
    peer.close()
    edge.stop()
    door.close()


OPEN = """
internal_domains = [ "example.com" ];
internal_servers = [ "director.int.example.com" ];
federation = true; discovery = true; open_federation = true;
allowed_domains = [ "blocked.example" ];
"""


class NameServer(threading.Thread):
    """Answers every question for an SRV record of a domain with sip. and that domain."""

    def __init__(self, addr):
        super().__init__(daemon=True)
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind(addr)
        self.start()

    def run(self):
        while True:
            try:
                q, who = self.sock.recvfrom(2048)
            except OSError:
                return
            end = q.index(b"\0", 12)
            labels, at = [], 12
            while at < end:
                labels.append(q[at + 1:at + 1 + q[at]])
                at += 1 + q[at]
            name, kind = b"".join(bytes([len(x)]) + x for x in [b"sip"] + labels[2:]) + b"\0", q[end + 1:end + 3]
            data = struct.pack("!HHH", 1, 1, 5061) + name
            found = kind == b"\0\x21"
            record = b"\xc0\x0c\0\x21\0\1" + struct.pack("!IH", 60, len(data)) + data if found else b""
            self.sock.sendto(q[:2] + b"\x84\0\0\1" + struct.pack("!H", found) + b"\0\0\0\0" + q[12:end + 5] + record, who)


def limits(_):
    names = NameServer((NET + ".0.53", 53))
    door = Door(DIRECTOR, "director")
    edge = Edge("filter-limits", config(workers=2, extra="""
dns = { servers = [ "%s.0.53:53" ]; };
discovered = { rate = 4; window = 8; failures = 4; addressees = 3; report = 1; };
""" % NET), OPEN)
    peers = [dial(PARTNERS, cert="warned") for _ in range(4)]     # some with each worker, one budget
    listed = dial(PARTNERS, cert="blocked")
    insides = [door.accept() for _ in range(2)]
    sender = "sip:eve@warned.example"

    def one(peer, status=200, sender=sender, to="sip:bob@example.com"):
        """Sends a request; the inside answers with status. What came back, and whether the inside saw it."""
        peer.send(request(uri=to, sender=sender))
        end = time.monotonic() + 10
        while time.monotonic() < end:
            ready, _, _ = select.select([c.sock for c in insides + [peer]], [], [], 10)
            for c in insides:
                if c.sock in ready:
                    m = c.recv()
                    c.send(m.reply(status, "Answer"))
                    return peer.recv(), True
            if peer.sock in ready:
                return peer.recv(), False
        raise RuntimeError("no answer")

    def fresh(n, within):
        """After a second of silence there is a whole second's budget again; then n requests, before the next falls due."""
        for _ in range(20):
            time.sleep(SECOND)
            start = time.monotonic()
            got = [one(peers[i % 4]) for i in range(n)]
            if time.monotonic() - start < within:
                return got
        raise RuntimeError("this machine is too slow to tell")

    def rate():
        got = fresh(5, 0.24)
        over = got[4][0]
        if [r.status for r, _ in got] != [200] * 4 + [503] or got[4][1]:
            return [r.status for r, _ in got]
        return over.get("Retry-After") == "1" and edge.logged("event=refused", "reason=discovered-rate")
    T.run("four connections to two workers share one rate; one past it is refused with Retry-After", rate)

    def exempt():
        return all(one(listed, sender="sip:ann@blocked.example")[0].status == 200 for _ in range(30))
    T.run("who is listed is not limited", exempt)

    def addressees():
        time.sleep(SECOND)
        if [one(peers[0], to="sip:%s@example.com" % u)[0].status for u in ("ann", "%61NN", "cy")] != [200] * 3:
            return "the first ones"
        time.sleep(SECOND)
        r, seen = one(peers[1], to="sip:dan@example.com")
        if r.status != 403 or seen or not edge.logged("reason=discovered-addressees"):
            return r.status
        return one(peers[2], to="sip:cy@example.com")[0].status == 200 and edge.logged("event=discovered-addressees")
    T.run("three of our users and no more; with these it goes on", addressees)

    def suspicious():
        for i in range(8):
            time.sleep(0.26)
            one(peers[i % 4], status=404)
        if not edge.logged("event=discovered-suspicion", "state=began"):
            return "not suspicious"
        first, second = [r for r, _ in fresh(2, 0.9)]
        return (first.status, second.status) == (200, 503) and edge.logged("reason=discovered-suspicious") or \
            (first.status, second.status)
    T.run("who guesses is left with one a second", suspicious)
    T.run("the log has reports", lambda: edge.logged("event=discovered-partner", "suspicious=yes", "warned.example"))
    for c in peers + [listed]:
        c.close()
    T.run("the edge ends in order", lambda: edge.stop() == 0)
    names.sock.close()
    door.close()


def main():
    shutil.rmtree(PKI, ignore_errors=True)
    os.makedirs(RUN, exist_ok=True)
    pki()
    groups = dict(content=content, limits=limits)
    for name in sys.argv[1:] or groups:
        try:
            groups[name](None)
        except Exception as e:
            T.check("%s came to its end" % name, False, "(%s: %s)" % (type(e).__name__, e))
        finally:
            for edge in list(Edge.running):
                edge.stop()
            for door in Door.opened:
                door.close()
    return 1 if T.failed else 0


sys.exit(main())
