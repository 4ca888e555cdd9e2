"""discovery - partners whose servers DNS names: asked of a real authoritative
server, outward and inward, honest answers and hostile ones. Run by discovery.sh."""

import json
import os
import pwd
import select
import shutil
import socket
import ssl
import subprocess
import sys
import time

from sipnet import BUILD, PKI, RUN, TOP, Closed, Conn, Door, Edge, Message, Silent, Tests, dial, request

NET = "127.68"
OUT, IN, DIRECTOR = NET + ".0.1", NET + ".1.1", NET + ".1.2"
PARTNERS, INNER = OUT + ":5061", IN + ":5061"
DNS = NET + ".0.53"
MARK, ASSERTED = "ms-edge-proxy-message-trust", "ms-asserted-verification-level"
V6_PORT = 56861

ALLOWED = ["one.example", "weights.example", "failover.example", "dead.example", "cname.example", "six.example", "outside.example",
           "broken.example", "silent.example", "none.example", "later.example", "moves.example", "mixed.example",
           "dot.example", "own.example", "inner.example", "inside.example", "private.example", "loop.example",
           "multicast.example", "broadcast.example", "port.example", "renamed.example", "always.example", "chain.example"]

POLICY = """
internal_domains = [ "example.com" ];
internal_servers = [ "director.int.example.com" ];
federation = true;
discovery = true;
archiving_notice = true;
assert_identity = true;
blocked = [ "blocked.example" ];
allowed_domains = [ %s ];
discovered = ( { domain = "record.example"; record = "_other._tcp.record.example"; },
               { domain = "sure.example"; verification = "always-verifiable"; } );
providers = ( { name = "Public"; server = "im.public.example"; public_network = true; enabled = true; },
              { name = "Hosting"; server = "sip.hosting.example"; enabled = true; },
              { name = "Sleeping"; server = "sip.sleeping.example"; } );
partners = ( { name = "Direct"; server = "sip.direct.example"; domains = [ "direct.example" ]; trusted = true; } );
""" % ", ".join('"%s"' % d for d in ALLOWED)


def config(dns=DNS + ":53", extra="", limits=""):
    door = 'certificate = "%s/edge-outer.pem"; key = "%s/edge-outer.key";' % (PKI, PKI)
    return """
user = "nobody"; workers = 1;
log = { level = "debug"; };
outer = ( { listen = "%s"; name = "sip.example.com"; %s trust = "%s/ca.pem"; client_certificate = "required"; partners = true; } );
inner = { listen = "%s"; name = "edge.int.example.com"; certificate = "%s/edge-inner.pem"; key = "%s/edge-inner.key";
          trust = "%s/ca.pem"; };
directors = ( { name = "director.int.example.com"; address = "%s"; } );
dns = { servers = [ "%s" ]; timeout = 300; tries = 2; ttl_min = 1; negative_ttl = 2; };
discovery = { networks = [ "%s.0.0/16", "::1" ]; };
limits = { failover = 2; connect = 3; %s };
%s
""" % (PARTNERS, door, PKI, INNER, PKI, PKI, PKI, DIRECTOR, dns, NET, limits, extra)


T = Tests()


def pki():
    make = os.path.join(TOP, "certs-example", "make-pki")
    subprocess.run([make, PKI], check=True, stdout=subprocess.DEVNULL)

    def cert(name, *dns):
        args = [make, PKI, "cert", name]
        for d in dns:
            args += ["--dns", d]
        subprocess.run(args, check=True, stdout=subprocess.DEVNULL)

    cert("one", "sip.one.example")
    cert("a", "a.weights.example", "a.failover.example", "a.mixed.example", "a.moves.example", "sip.later.example",
         "sip.cname.example", "sip.chain.example", "sip.record.example", "sip.always.example", "sip.dead.example")
    cert("b", "b.weights.example", "b.failover.example", "b.moves.example")
    cert("six", "sip.six.example")
    cert("wrong", "sip.elsewhere.example")
    cert("stranger", "sip.stranger.example")
    cert("sure", "sip.sure.example", "*.one.example")
    cert("public", "im.public.example")
    cert("hosting", "sip.hosting.example")
    cert("direct", "sip.direct.example")
    nobody = pwd.getpwnam("nobody").pw_uid
    for name in os.listdir(PKI):
        os.chown(os.path.join(PKI, name), nobody, -1)


class Knot:
    """An authoritative server of ours; zones are texts that can change while it runs."""

    def __init__(self):
        self.dir = os.path.join(RUN, "knot")
        os.makedirs(self.dir, exist_ok=True)
        self.zones = {}
        self.proc = None
        self.serial = 1

    def write(self, zone, text):
        self.serial += 1
        self.zones[zone] = text
        with open(os.path.join(self.dir, zone + ".zone"), "w") as f:
            f.write("$ORIGIN %s.\n$TTL 1\n@ SOA ns hostmaster %d 3600 600 86400 1\n@ NS ns\nns A %s\n%s\n" % (zone, self.serial, DNS, text))

    def start(self):
        with open(os.path.join(self.dir, "knot.conf"), "w") as f:
            f.write('server:\n  rundir: "%s"\n  listen: %s@53\ndatabase:\n  storage: "%s"\ncontrol:\n  listen: "%s/ctl"\n'
                    'log:\n  - target: stderr\n    any: info\ntemplate:\n  - id: default\n    storage: "%s"\n'
                    '    zonefile-load: difference-no-serial\n    journal-content: all\nzone:\n' % (self.dir, DNS, self.dir, self.dir, self.dir))
            for zone in self.zones:
                f.write("  - domain: %s\n" % zone)
            f.write("  - domain: broken.example\n")      # has no file: SERVFAIL
        self.log = open(os.path.join(self.dir, "log"), "ab")
        at = self.log.tell()
        self.proc = subprocess.Popen(["knotd", "-m", "16", "-c", os.path.join(self.dir, "knot.conf")], stdout=self.log, stderr=self.log)
        end = time.monotonic() + 10
        while b"server started" not in open(os.path.join(self.dir, "log"), "rb").read()[at:]:
            if time.monotonic() > end or self.proc.poll() is not None:
                raise RuntimeError("knot did not start")
            time.sleep(0.02)

    def change(self, zone, text):
        self.write(zone, text)
        subprocess.run(["knotc", "-c", os.path.join(self.dir, "knot.conf"), "-b", "zone-reload", zone], check=True,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def stop(self):
        if self.proc is not None:
            self.proc.terminate()
            self.proc.wait(10)
            self.log.close()
            self.proc = None


def srv(*targets, owner="_sipfederationtls._tcp", ttl=1):
    """Each target: (priority, weight, port, host)."""
    return "\n".join("%s %d SRV %d %d %d %s" % ((owner, ttl) + t) for t in targets) + "\n"


def zones(k):
    sip = srv((0, 0, 5061, "sip"))
    k.write("one.example", sip + "sip A %s.2.1" % NET)
    k.write("weights.example", srv((5, 30, 5061, "a"), (5, 10, 5061, "b"), (7, 1000, 5061, "never")) +
            "a A %s.2.2\nb A %s.2.3\nnever A %s.2.9" % (NET, NET, NET))
    k.write("failover.example", srv((20, 0, 5061, "b"), (10, 0, 5061, "a")) + "a A %s.2.8\nb A %s.2.3" % (NET, NET))
    k.write("dead.example", sip + "sip A %s.2.8" % NET)
    k.write("cname.example", "_sipfederationtls._tcp CNAME where\nwhere SRV 0 0 5061 sip\nsip CNAME host\nhost A %s.2.2" % NET)
    k.write("chain.example", "_sipfederationtls._tcp CNAME c1\n" + "".join("c%d CNAME c%d\n" % (i, i + 1) for i in range(1, 40)) +
            "c40 SRV 0 0 5061 sip\nsip A %s.2.2" % NET)
    k.write("six.example", srv((0, 0, V6_PORT, "sip")) + "sip AAAA ::1")
    k.write("outside.example", srv((0, 0, 5061, "sip.one.example.")))
    k.write("mixed.example", srv((0, 0, 5061, "sip.one.example."), (1, 0, 5061, "director.int.example.com."), (2, 0, 5061, "a")) +
            "a A %s.2.2" % NET)
    k.write("dot.example", srv((0, 0, 0, ".")))
    k.write("none.example", "sip A %s.2.1" % NET)
    k.write("later.example", "sip A %s.2.2" % NET)
    k.write("moves.example", srv((0, 0, 5061, "a")) + "a A %s.2.2\nb A %s.2.3" % (NET, NET))
    k.write("always.example", srv((0, 0, 5061, "sip"), ttl=600) + "sip 600 A %s.2.2" % NET)
    k.write("record.example", srv((0, 0, 5061, "sip"), owner="_other._tcp") + "sip A %s.2.2" % NET)
    k.write("renamed.example", sip + "sip A %s.2.4" % NET)          # its server has another name's certificate
    k.write("sure.example", sip + "sip A %s.2.8" % NET)
    k.write("stranger.example", sip + "sip A %s.2.1" % NET)
    k.write("blocked.example", sip + "sip A %s.2.1" % NET)
    k.write("tenant.example", srv((0, 0, 5061, "sip.hosting.example.")))
    k.write("asleep.example", srv((0, 0, 5061, "sip.sleeping.example.")))
    k.write("msn.example", srv((0, 0, 5061, "im.public.example.")))
    k.write("hosting.example", "sip A %s.2.5" % NET)
    k.write("public.example", "im A %s.2.6" % NET)
    k.write("direct.example", sip + "sip A %s.2.7" % NET)
    for zone, host in (("own", OUT), ("inner", IN), ("inside", DIRECTOR), ("private", "10.0.0.1"), ("loop", "127.0.0.1"),
                       ("multicast", "224.0.0.1"), ("broadcast", "255.255.255.255")):
        k.write(zone + ".example", sip + "sip A " + host)
    k.write("port.example", srv((0, 0, 25, "sip")) + "sip A %s.2.1" % NET)


class Servers:
    """Doors of several organisations at once: whoever gets the next message."""

    def __init__(self, **doors):
        self.doors = doors
        self.conns = {}

    def next(self, timeout=10):
        end = time.monotonic() + timeout
        while True:
            for name, c in list(self.conns.items()):
                if b"\r\n\r\n" in c.buffer:
                    return name, c, c.recv()
            socks = {d.sock: name for name, d in self.doors.items()}
            for name, c in self.conns.items():
                socks[c.sock] = name
            ready = [c.sock for c in self.conns.values() if c.sock.pending()]
            if not ready:
                ready, _, _ = select.select(list(socks), [], [], max(0, end - time.monotonic()))
            if not ready:
                raise Silent("no server got a message")
            for s in ready:
                name = socks[s]
                if s is self.doors[name].sock:
                    try:
                        self.conns[name] = self.doors[name].accept()
                    except (OSError, ssl.SSLError):
                        pass            # the edge did not like what it saw
                else:
                    try:
                        self.conns[name]._more(time.monotonic() + 0.05)
                    except Silent:
                        pass
                    except Closed:
                        del self.conns[name]

    def close(self):
        for c in self.conns.values():
            c.close()
        for d in self.doors.values():
            d.close()


def answer(inside, servers, domain, headers=()):
    """A MESSAGE from inside for that domain: (who got it, what arrived, the final answer)."""
    inside.send(request(uri="sip:bob@" + domain, headers=headers))
    name, conn, m = servers.next()
    conn.send(m.reply(200, headers=[ASSERTED + ": ms-source-verified-user=verified", "X-Server: " + name]))
    return name, m, inside.recv()


def refused(inside, domain, status, diagnostics=None):
    inside.send(request(uri="sip:bob@" + domain))
    r = inside.recv(20)
    good = r.status == status and (diagnostics is None or (r.get("ms-diagnostics") or "").startswith(str(diagnostics) + ";"))
    return good or r.raw


# ---- outward ----

def outward(knot):
    director = Door(DIRECTOR + ":5061", "director")
    edge = Edge("outward", config(), POLICY)
    indoors = director.accept()
    inside = dial(INNER, "edge.int.example.com", cert="director")
    s = Servers(one=Door(NET + ".2.1:5061", "one"), a=Door(NET + ".2.2:5061", "a"), b=Door(NET + ".2.3:5061", "b"),
                wrong=Door(NET + ".2.4:5061", "wrong"), hosting=Door(NET + ".2.5:5061", "hosting"),
                public=Door(NET + ".2.6:5061", "public"), direct=Door(NET + ".2.7:5061", "direct"))

    def found():
        name, m, r = answer(inside, s, "one.example", ["P-Asserted-Identity: <sip:alice@example.com>",
                                                        "ms-diagnostics: 1;reason=\"x\""])
        mark = r.get(MARK) or ""
        return (name == "one" and r.status == 200 and m.get(ASSERTED) == "ms-source-verified-user=verified" and
                m.get("ms-archiving") == "TRUE" and m.get("P-Asserted-Identity") is None and m.get("ms-diagnostics") is None and
                "ms-source-type=AutoFederation" in mark and "ms-source-verified-user=verified" in mark and
                "ms-source-network=federation" in mark) or (m.raw, r.raw)
    T.run("a domain's server is found by SRV; marks out, and in on the answer", found)

    def direct():
        name, m, r = answer(inside, s, "direct.example", ["P-Asserted-Identity: <sip:alice@example.com>"])
        return (name == "direct" and m.get("P-Asserted-Identity") == "<sip:alice@example.com>" and
                "DirectPartner" in (r.get(MARK) or "")) or (m.raw, r.raw)
    T.run("a direct partner in the trust domain gets P-Asserted-Identity", direct)

    def weights():
        got = {"a": 0, "b": 0}
        for _ in range(400):
            name, _, r = answer(inside, s, "weights.example")
            got[name] += 1
            if r.status != 200:
                return r.raw
        # 3 to 1: 300 expected, and with a standard deviation of 9 never this far from it
        return 245 <= got["a"] <= 355 or got
    T.run("targets of one priority share by weight, a worse priority gets nothing", weights)

    T.run("the target of the better priority is dead: the next one gets it", lambda: answer(inside, s, "failover.example")[0] == "b")
    T.run("the only target is dead: 504 with 1007", lambda: refused(inside, "dead.example", 504, 1007))
    T.run("a CNAME to the SRV, and one to the address", lambda: answer(inside, s, "cname.example")[0] == "a")
    T.run("a chain of CNAMEs without an end in sight is no answer", lambda: refused(inside, "chain.example", 504, 1008))
    T.run("another record's name, as the policy says", lambda: answer(inside, s, "record.example")[0] == "a")
    def renamed():
        inside.send(request(uri="sip:bob@renamed.example"))
        try:
            s.next(3)
            return "a message came"
        except Silent:
            r = inside.recv()
        return (r.status == 504 and (r.get("ms-diagnostics") or "").startswith("1010;")) or r.raw
    T.run("the server proves another name: 504 with 1010", renamed)

    def six():
        try:
            probe = socket.socket(socket.AF_INET6)
            probe.bind(("::1", 0))
            probe.close()
        except OSError:
            print("skip no IPv6 loopback here")
            return True
        ctx = Door.__new__(Door)
        ctx.ctx = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        ctx.ctx.load_cert_chain(os.path.join(PKI, "six.pem"), os.path.join(PKI, "six.key"))
        ctx.ctx.load_verify_locations(os.path.join(PKI, "ca.pem"))
        ctx.ctx.verify_mode = ssl.CERT_REQUIRED
        ctx.sock = socket.socket(socket.AF_INET6)
        ctx.sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        ctx.sock.bind(("::1", V6_PORT))
        ctx.sock.listen(8)
        s.doors["six"] = ctx
        return answer(inside, s, "six.example")[0] == "six"
    T.run("a server with an IPv6 address only", six)

    for what, domain, code in (("outside of the domain", "outside.example", 1009), ("no record", "none.example", 1008),
                               ("\"decidedly not available\"", "dot.example", 1008), ("SERVFAIL", "broken.example", 1008),
                               ("no such domain", "silent.example", 1008), ("a port of others", "port.example", 1009)):
        T.run("%s: 504 with %d" % (what, code), lambda d=domain, c=code: refused(inside, d, 504, c))
    T.run("of several targets those in the domain count", lambda: answer(inside, s, "mixed.example")[0] == "a")
    T.run("a domain on no list: 403", lambda: refused(inside, "stranger.example", 403) is True and
          edge.logged("reason=domain-not-allowed"))
    T.run("a blocked domain: 403", lambda: refused(inside, "blocked.example", 403) is True and edge.logged("reason=to-domain-blocked"))

    for zone in ("own", "inner", "inside", "private", "loop", "multicast", "broadcast"):
        def hostile(zone=zone):
            got = refused(inside, zone + ".example", 504, 1014)
            # these two are no answer of DNS at all
            return got if got is not True or zone in ("multicast", "broadcast") else edge.logged("event=address-forbidden", "sip.%s.example" % zone)
        T.run("DNS that leads to %s: refused, nobody is called" % zone, hostile)
    T.check("no message came to the director by such a name", indoors.quiet(0.2) and not select.select([director.sock], [], [], 0)[0])

    # ---- providers ----
    T.run("a hosting provider to whom DNS leads", lambda: answer(inside, s, "tenant.example")[0] == "hosting")

    def public():
        name, m, r = answer(inside, s, "msn.example")
        mark = r.get(MARK) or ""
        return (name == "public" and "AuthorizedServer" in mark and "publiccloud" in mark and "ms-remote-fqdn=im.public.example" in mark and
                "unverified" in mark) or r.raw
    T.run("a public IM network: its answers are marked so", public)
    T.run("a provider that is not enabled: 403", lambda: refused(inside, "asleep.example", 403) is True and
          edge.logged("reason=provider-off"))

    # ---- time ----
    def negative():
        if refused(inside, "later.example", 504, 1008) is not True:
            return "there is a record already"
        knot.change("later.example", srv((0, 0, 5061, "sip")) + "sip A %s.2.2" % NET)
        if refused(inside, "later.example", 504, 1008) is not True:
            return "asked again at once"
        end = time.monotonic() + 8
        while time.monotonic() < end:
            inside.send(request(uri="sip:bob@later.example"))
            if select.select([inside.sock], [], [], 0.2)[0] and inside.recv().status == 504:
                time.sleep(0.1)
                continue
            name, conn, m = s.next()
            conn.send(m.reply(200))
            return name == "a" and inside.recv().status == 200
        return "never asked again"
    T.run("that there is no record is remembered, but not for ever", negative)

    def ttl():
        if answer(inside, s, "moves.example")[0] != "a":
            return "not at a"
        knot.change("moves.example", srv((0, 0, 5061, "b")) + "a A %s.2.2\nb A %s.2.3" % (NET, NET))
        end = time.monotonic() + 8
        while time.monotonic() < end:
            if answer(inside, s, "moves.example")[0] == "b":
                return True
            time.sleep(0.1)
        return "the old answer never ended"
    T.run("an answer ends with its TTL", ttl)

    def gone():
        if answer(inside, s, "always.example")[0] != "a":
            return "not at a"
        knot.stop()
        try:
            if answer(inside, s, "always.example")[0] != "a":
                return "the cached answer was lost"
            return refused(inside, "outside.example", 504, 1008)   # its short TTL is over, or it fails at 1009
        finally:
            knot.start()

    def gone_after_ttl():
        end = time.monotonic() + 8
        while time.monotonic() < end:
            got = gone()
            if got is True:
                return True
        return got
    T.run("without DNS: what is known goes on, what is not is refused", gone_after_ttl)
    s.close()
    T.check("the edge ends in order", edge.stop() == 0)
    director.close()


# ---- inward ----

def inward(_):
    door = Door(DIRECTOR + ":5061", "director")
    edge = Edge("inward", config(), POLICY)
    director = door.accept()

    def arrives(cert, sender, headers=(), uri="sip:bob@example.com"):
        c = dial(PARTNERS, cert=cert)
        try:
            c.send(request(sender=sender, uri=uri, headers=headers))
            m = director.recv()
            director.send(m.reply(200))
            return m if c.recv().status == 200 else None
        finally:
            c.close()

    def stays_out(cert, sender, status, reason, public=None, uri="sip:bob@example.com", method="MESSAGE"):
        c = dial(PARTNERS, cert=cert)
        try:
            c.send(request(method, sender=sender, uri=uri))
            r = c.recv()
            if r.status != status or r.get("ms-diagnostics") is not None or not director.quiet(0.05):
                return r.raw
            if public is not None and not (r.get("ms-diagnostics-public") or "").startswith("%d;" % public):
                return r.raw
            return edge.logged("event=refused", "reason=" + reason)
        finally:
            c.close()

    def proved():
        m = arrives("one", "sip:carol@one.example", [ASSERTED + ": ms-source-verified-user=verified",
                                                       "P-Asserted-Identity: <sip:boss@example.com>"])
        mark = m.get(MARK) or ""
        return ("AutoFederation" in mark and "ms-source-verified-user=verified" in mark and m.get(ASSERTED) is None and
                m.all("P-Asserted-Identity") == ["<sip:carol@one.example>"]) or m.raw
    T.run("a stranger whose certificate proves the sender's SRV target; its own identity is not believed", proved)

    def unverified():
        m = arrives("one", "sip:carol@one.example")
        return ("ms-source-verified-user=unverified" in (m.get(MARK) or "") and m.get("P-Asserted-Identity") is None) or m.raw
    T.run("who asserts nothing is unverified", unverified)
    T.run("a domain that the administrator vouches for", lambda: "=verified" in arrives("sure", "sip:x@sure.example").get(MARK))

    def many():
        c = dial(PARTNERS, cert="one")
        for i in range(30):
            c.send(request(sender="sip:carol@one.example", body=b"%d" % i))
        bodies = []
        for i in range(30):
            m = director.recv()
            bodies.append(int(m.body))
            director.send(m.reply(200))
        good = all(c.recv().status == 200 for i in range(30))
        c.close()
        return (good and bodies == list(range(30))) or bodies
    T.run("messages of one connection stay in their order", many)

    T.run("another domain's server", lambda: stays_out("stranger", "sip:carol@one.example", 403, "peer-not-in-srv", 1010))
    T.run("a wildcard certificate proves no server", lambda: stays_out("sure", "sip:carol@one.example", 403, "peer-not-in-srv", 1010))
    T.run("a target outside of the domain", lambda: stays_out("one", "sip:carol@outside.example", 504, "srv-outside-domain", 1009))
    T.run("a sender without a record", lambda: stays_out("one", "sip:carol@none.example", 504, "srv-missing", 1008))
    T.run("a sender whose DNS fails", lambda: stays_out("one", "sip:carol@broken.example", 504, "srv-failed", 1008))
    T.run("a sender on no list", lambda: stays_out("stranger", "sip:x@stranger.example", 403, "domain-not-allowed"))
    T.run("a blocked sender", lambda: stays_out("one", "sip:x@blocked.example", 403, "from-domain-blocked"))
    T.run("one of ours from outside", lambda: stays_out("one", "sip:alice@example.com", 403, "spoofed-from", 1017))
    T.run("a direct partner's domain", lambda: stays_out("one", "sip:x@direct.example", 403, "from-not-of-partner"))
    T.run("a registration", lambda: stays_out("one", "sip:carol@one.example", 403, "method-not-allowed", 1027, method="REGISTER"))
    T.run("to somebody else", lambda: stays_out("one", "sip:carol@one.example", 404, "to-not-internal", 1005, uri="sip:x@six.example"))

    def provider():
        m = arrives("hosting", "sip:x@tenant.example")
        return ("AuthorizedServer" in m.get(MARK) and "ms-source-network=federation" in m.get(MARK)) or m.raw
    T.run("a hosting provider for the domain that leads to it", provider)
    T.run("a hosting provider for another domain", lambda: stays_out("hosting", "sip:x@one.example", 403, "from-not-of-provider"))

    def public():
        m = arrives("public", "sip:x@anything.example")
        return ("publiccloud" in m.get(MARK) and "ms-remote-fqdn=im.public.example" in m.get(MARK)) or m.raw
    T.run("a public IM network for any domain", public)

    def trusted():
        m = arrives("direct", "sip:x@direct.example", ["P-Asserted-Identity: \"X\" <sip:x@direct.example>",
                                                        "P-Asserted-Identity: <tel:+15551234>"])
        return m.all("P-Asserted-Identity") == ["\"X\" <sip:x@direct.example>", "<tel:+15551234>"] or m.raw
    T.run("a partner in the trust domain: its identities arrive as they are", trusted)

    def impostor():
        m = arrives("direct", "sip:x@direct.example", ["P-Asserted-Identity: <sip:boss@example.com>"])
        return m.get("P-Asserted-Identity") is None or m.raw
    T.run("but not one of ours", impostor)
    T.check("the edge ends in order", edge.stop() == 0)
    door.close()


def opened(_):
    door = Door(DIRECTOR + ":5061", "director")
    edge = Edge("open", config(), POLICY + "open_federation = true; discovered_verification = \"always-unverifiable\";\n")
    director = door.accept()

    def anybody():
        c = dial(PARTNERS, cert="stranger")
        c.send(request(sender="sip:x@stranger.example", headers=[ASSERTED + ": ms-source-verified-user=verified"]))
        m = director.recv()
        director.send(m.reply(200))
        return ("AutoFederation" in m.get(MARK) and "unverified" in m.get(MARK) and c.recv().status == 200) or m.raw
    T.run("open federation: any domain whose DNS proves its server", anybody)

    def not_another():
        c = dial(PARTNERS, cert="stranger")
        c.send(request(sender="sip:x@one.example"))
        return c.recv().status == 403 and director.quiet(0.05)
    T.run("and no other domain", not_another)
    T.check("the edge ends in order", edge.stop() == 0)
    door.close()


# ---- other ways for a message to go ----

ROLES = """
internal_domains = [ "example.com" ];
internal_servers = [ "director.int.example.com" ];
federation = true;
clearinghouse = true;
branches = [ "sip.stranger.example" ];
diagnostics_to_partners = true;
partners = ( { name = "One"; server = "sip.one.example"; domains = [ "one.example" ]; member = true; verification = "always-verifiable"; },
             { name = "Direct"; server = "sip.direct.example"; domains = [ "direct.example" ]; member = true; reaches = [ "One" ]; },
             { name = "Six"; server = "sip.six.example"; domains = [ "six.example" ]; member = true; } );
static_routes = ( { match = "+1555*@*.gw.example"; server = "sip.sure.example"; replace_host = true; } );
refuse_methods_of = { users = [ "PUBLISH" ]; };
"""


def roles(_):
    door = Door(DIRECTOR + ":5061", "director")
    user_door = 'certificate = "%s/edge-outer.pem"; key = "%s/edge-outer.key";' % (PKI, PKI)
    edge = Edge("roles", config().replace("outer = (", 'outer = ( { listen = "%s:443"; name = "sip.example.com"; %s users = true; },' %
                                          (OUT, user_door)), ROLES)
    director = door.accept()
    s = Servers(one=Door(NET + ".2.1:5061", "one"), direct=Door(NET + ".2.7:5061", "direct"))

    def telephone():
        user = dial(OUT + ":443")
        user.send(request("INVITE", "tel:+15551234", to="tel:+15551234"))
        m = director.recv()
        director.send(m.reply(486, "Busy Here"))
        if director.recv().method != "ACK" or "InternetUser" not in m.get(MARK) or m.start != "INVITE tel:+15551234 SIP/2.0":
            return m.raw
        if [user.recv().status for _ in range(2)] != [100, 486]:
            return "no answer"
        user.send(request("MESSAGE", sender="tel:+15551234"))
        if user.recv().status != 403:
            return "a number is no sender of ours"
        user.send(request("PUBLISH"))
        return user.recv().status == 403
    T.run("a remote user calls a telephone number; methods by class", telephone)

    def relayed():
        one = dial(PARTNERS, cert="one")
        one.send(request("INVITE", "sip:d@direct.example", sender="sip:c@one.example", call="relayed",
                         headers=["ms-archiving: TRUE", MARK + ": forged", "P-Asserted-Identity: <sip:c@one.example>"]))
        name, conn, m = s.next()
        if (name != "direct" or m.get("ms-archiving") != "TRUE" or m.get(MARK) is not None or
                m.get(ASSERTED) != "ms-source-verified-user=verified" or m.get("P-Asserted-Identity") is not None):
            return m.raw
        routes = m.all("Record-Route")
        if not routes or not all("sip.example.com:5061" in r for r in routes):
            return routes
        conn.send(m.reply(200, headers=["Contact: <sip:d@192.0.2.1>", MARK + ": forged", "ms-archiving: TRUE"]))
        if one.recv().status != 100:
            return "no 100"
        r = one.recv()
        if r.status != 200 or r.get(MARK) is not None or r.get(ASSERTED) != "ms-source-verified-user=unverified":
            return r.raw
        # the far end ends the call that it was called for
        conn.send(request("BYE", "sip:c@192.0.2.2", sender="sip:d@direct.example", to="sip:c@one.example", tag="far", to_tag="a1",
                          call="relayed", headers=["Route: " + x for x in routes]))
        bye = one.recv()        # on the connection that One has opened, whose certificate proves its name
        one.send(bye.reply(200))
        return bye.method == "BYE" and bye.get("Route") is None and conn.recv().status == 200 and director.quiet(0.05) or bye.raw
    T.run("a clearing house relays between its members, within dialogs both ways, by the outer door", relayed)

    def matrix():
        d = dial(PARTNERS, cert="direct")
        d.send(request(uri="sip:x@six.example", sender="sip:d@direct.example"))
        r = d.recv()
        return (r.status == 403 and "source=" not in (r.get("ms-diagnostics-public") or "") and
                edge.logged("reason=member-not-allowed")) or r.raw
    T.run("a member reaches those that it may reach only", matrix)

    def diagnostics():
        one = dial(PARTNERS, cert="one")
        one.send(request(sender="sip:c@one.example"))
        m = director.recv()
        director.send(m.reply(404, "Not Found", headers=["ms-diagnostics: 1003;reason=\"User does not exist.\";source=\"pool.int\""]))
        r = one.recv()
        if r.status != 404 or "source=\"pool.int\"" not in (r.get("ms-diagnostics") or ""):
            return r.raw
        user = dial(OUT + ":443")
        user.send(request())
        m = director.recv()
        director.send(m.reply(404, "Not Found", headers=["ms-diagnostics: 1003;reason=\"User does not exist.\";source=\"pool.int\""]))
        r = user.recv()
        return r.status == 404 and r.get("ms-diagnostics") is None or r.raw
    T.run("diagnostics of the inside go to partners where that is switched on, and to users where it is not do not", diagnostics)

    def branch():
        b = dial(PARTNERS, cert="stranger")
        b.send(request("REGISTER", "sip:example.com", to="sip:alice@example.com",
                       headers=["Contact: <sip:alice@10.9.8.7>", "Authorization: Digest username=\"alice\""]))
        m = director.recv()
        director.send(m.reply(200, headers=["Contact: <sip:alice@10.9.8.7>"]))
        if "InternetUser" not in m.get(MARK) or m.get("Authorization") is None or b.recv().status != 200:
            return m.raw
        path = m.get("Path")
        director.send(request(uri="sip:alice@10.9.8.7", sender="sip:bob@example.com", to="sip:alice@example.com",
                              headers=["Route: " + path], via_host="director.int.example.com:5061"))
        inward = b.recv()
        b.send(inward.reply(200))
        if inward.method != "MESSAGE" or "InternetUser" not in (director.recv().get(MARK) or ""):
            return inward.raw
        b.send(request(sender="sip:x@one.example"))
        return b.recv().status == 403
    T.run("a branch proxy's users register and are reached on its connection", branch)

    def static_route():
        s.doors["sure"] = Door(NET + ".2.8:5061", "sure")
        inside = dial(INNER, "edge.int.example.com", cert="director")
        inside.send(request(uri="sip:+15551234@a.gw.example:5070;user=phone", sender="sip:alice@example.com"))
        name, conn, m = s.next()
        conn.send(m.reply(200))
        return (name == "sure" and m.start == "MESSAGE sip:+15551234@sip.sure.example;user=phone SIP/2.0" and
                inside.recv().status == 200) or m.raw
    T.run("a static route, with its host in the Request-URI", static_route)
    s.close()
    T.check("the edge ends in order", edge.stop() == 0)
    door.close()


# ---- a name server that does not answer ----

def silence(_):
    hole = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    hole.bind((NET + ".0.54", 5300))
    door = Door(DIRECTOR + ":5061", "director")
    edge = Edge("silence", config(dns=NET + ".0.54:5300", limits="held_per_domain = 5;"), POLICY)
    director = door.accept()
    inside = dial(INNER, "edge.int.example.com", cert="director")

    T.run("a time-out: 504 with 1008", lambda: refused(inside, "one.example", 504, 1008))

    def crowd():
        c = dial(PARTNERS, cert="one")
        for _ in range(8):
            c.send(request(sender="sip:x@six.example"))
        got = sorted(c.recv().status for _ in range(8))
        return got == [503] * 3 + [504] * 5 or got
    T.run("more than may wait for one domain: 503 at once", crowd)

    def others():
        c = dial(PARTNERS, cert="public")
        for _ in range(5):
            c.send(request(sender="sip:x@anything.example"))
            m = director.recv(1)
            director.send(m.reply(200))
            if c.recv(1).status != 200:
                return "not served"
        return True
    T.run("what needs no DNS goes on meanwhile", others)

    def left():
        c = dial(PARTNERS, cert="one")
        c.send(request(sender="sip:x@cname.example"))
        if not edge.logged("event=connected", "sip.one.example", count=2):
            return "not connected"
        c.close()
        return edge.logged("event=disconnected") and edge.alive()
    T.run("whoever leaves while waiting is forgotten", left)

    def stops_while_waiting():
        for i in range(20):
            inside.send(request(uri="sip:bob@" + ALLOWED[i]))
        return edge.stop() == 0
    T.run("the edge ends in order with requests still waiting", stops_while_waiting)
    hole.close()
    door.close()


def idle(knot):
    """A connection to a stranger that is of no use is closed, whatever the stranger sends to keep it."""
    door = Door(NET + ".2.1:5061", "one")
    direct = Door(NET + ".2.7:5061", "direct")
    edge = Edge("idle", config(limits="", extra="").replace("discovery = {", "discovery = { idle = 1;"), POLICY)
    inside = dial(INNER, "edge.int.example.com", cert="director")

    def ask(to, d):
        inside.send(request(uri="sip:bob@%s.example" % to, sender="sip:alice@example.com"))
        c = d.accept()
        c.send(c.recv().reply(200))
        return c, inside.recv().status

    listed, status = ask("direct", direct)
    T.check("a listed partner is called", status == 200)
    conn, status = ask("one", door)
    T.check("a partner that DNS names is called", status == 200)
    # a request that waits keeps it, longer than it may be idle
    inside.send(request(uri="sip:bob@one.example", sender="sip:alice@example.com"))
    waiting = conn.recv()
    end = time.monotonic() + 2.2
    closed = False
    while time.monotonic() < end and not closed:
        closed = not conn.quiet(0.2)
    conn.send(waiting.reply(200))
    T.check("while a request waits for its answer the connection stays", not closed and inside.recv().status == 200)
    end = time.monotonic() + 15
    gone = False
    while time.monotonic() < end and not gone:
        try:
            conn.send(b"\r\n\r\n")
            conn.recv(0.2)
        except Silent:
            pass
        except (Closed, OSError):
            gone = True
    T.check("then it is closed, though the stranger pings", gone and edge.logged("event=disconnected", "reason=idle-timeout"))
    conn, status = ask("one", door)
    T.check("and made again when it is wanted", status == 200)
    inside.send(request(uri="sip:bob@direct.example", sender="sip:alice@example.com"))
    listed.send(listed.recv().reply(200))
    T.check("a listed partner's connection stays", inside.recv().status == 200)
    edge.stop()
    door.close()
    direct.close()


def apart(knot):
    """A partner that does not finish its handshake has a breaker of its own and slows nobody else."""
    hole = socket.socket()
    hole.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    hole.bind((NET + ".2.8", 5061))
    hole.listen(64)
    direct = Door(NET + ".2.7:5061", "direct")
    edge = Edge("apart", config(), POLICY)
    inside = dial(INNER, "edge.int.example.com", cert="director")
    good = dial(INNER, "edge.int.example.com", cert="director")

    def ask(first=False):
        began = time.monotonic()
        good.send(request(uri="sip:bob@direct.example", sender="sip:alice@example.com"))
        c = direct.accept() if first else conn
        c.send(c.recv().reply(200))
        return c, good.recv().status == 200 and time.monotonic() - began

    conn, took = ask(first=True)
    T.check("the good partner is there", took is not False)
    for _ in range(50):
        inside.send(request(uri="sip:bob@dead.example", sender="sip:alice@example.com"))
    slowest = max(ask()[1] for _ in range(50))
    T.check("fifty requests wait for one partner, and another's take no longer", 0 < slowest < 1 and inside.quiet(0.01), str(slowest))
    T.check("those who waited hear it", [inside.recv(20).status for _ in range(50)] == [504] * 50)
    T.check("it has a breaker", edge.logged("event=hop-down", "sip.dead.example"))
    began = time.monotonic()
    inside.send(request(uri="sip:bob@dead.example", sender="sip:alice@example.com"))
    slowest = max(ask()[1] for _ in range(20))
    T.check("and with the breaker open nobody else is slower", 0 < slowest < 1, str(slowest))
    T.check("who writes there then hears it", inside.recv(20).status == 504, str(time.monotonic() - began))
    edge.stop()
    hole.close()
    direct.close()


def explained(knot):
    """sallyportctl explain asks the same server the same questions, and comes to the same."""
    path = os.path.join(RUN, "explain.conf")
    with open(path, "w") as f:
        f.write(POLICY)

    def why(*args, server=DNS + ":53"):
        p = subprocess.run([os.path.join(BUILD, "sallyportctl"), "explain", "--json", "--policy", path, "--dns", "live",
                            "--dns-server", server, *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        said = json.loads(p.stdout) if p.returncode < 2 else {"decision": {"reason": p.stderr.decode()}}
        if (said["decision"]["reason"] == "allowed") != (p.returncode == 0):
            said["decision"]["reason"] += ", with status %d" % p.returncode
        return said

    for domain, want in (("one", "allowed"), ("weights", "allowed"), ("cname", "allowed"), ("six", "allowed"), ("mixed", "allowed"),
                         ("record", "allowed"), ("dot", "srv-missing"), ("none", "srv-missing"), ("nowhere", "srv-failed"),
                         ("outside", "srv-outside-domain"), ("broken", "srv-failed"), ("chain", "srv-failed"), ("port", "srv-port"),
                         ("blocked", "to-domain-blocked"), ("tenant", "allowed"), ("asleep", "provider-off"), ("direct", "allowed")):
        said = why("--direction", "out", "--from", "alice@example.com", "--to", "bob@%s.example" % domain)
        T.check("explained: a message to %s.example: %s" % (domain, want), said["decision"]["reason"] == want, repr(said["decision"]))
    said = why("--direction", "out", "--from", "alice@example.com", "--to", "bob@weights.example")
    T.check("explained: the servers that DNS names, in their order", [t["priority"] for t in said["target"]] == [5, 5, 7] and
            {t["server"] for t in said["target"]} == {"a.weights.example", "b.weights.example", "never.weights.example"} and
            said["dns"][0]["answer"] == "found", repr(said["target"]))
    for cert, domain, want in (("one", "one", "allowed"), ("a", "one", "peer-not-in-srv"), ("public", "msn", "allowed"),
                               ("hosting", "tenant", "allowed"), ("hosting", "one", "from-not-of-provider"),
                               ("direct", "direct", "allowed"), ("sure", "sure", "allowed")):
        said = why("--from", "eve@%s.example" % domain, "--to", "bob@example.com", "--peer-cert", "%s/%s.pem" % (PKI, cert),
                   "--trust", PKI + "/ca.pem")
        T.check("explained: a message of %s.example by %s: %s" % (domain, cert, want), said["decision"]["reason"] == want,
                repr(said["decision"]))
    began = time.monotonic()
    said = why("--direction", "out", "--from", "alice@example.com", "--to", "bob@one.example", server=NET + ".0.54:53")
    T.check("explained: nobody answers: srv-failed, before long", said["decision"]["reason"] == "srv-failed" and
            time.monotonic() - began < 20, repr(said["decision"]))


def main():
    shutil.rmtree(PKI, ignore_errors=True)
    shutil.rmtree(os.path.join(RUN, "knot"), ignore_errors=True)
    os.makedirs(RUN, exist_ok=True)
    pki()
    knot = Knot()
    zones(knot)
    knot.start()
    groups = dict(outward=outward, inward=inward, opened=opened, roles=roles, silence=silence, idle=idle, apart=apart, explained=explained)
    try:
        for name in sys.argv[1:] or groups:
            try:
                groups[name](knot)
            except Exception as e:
                T.check("%s came to its end" % name, False, "(%s: %s)" % (type(e).__name__, e))
            finally:
                for edge in list(Edge.running):
                    edge.stop()
                for door in Door.opened:
                    door.close()
    finally:
        knot.stop()
    return 1 if T.failed else 0


if __name__ == "__main__":
    sys.exit(main())
