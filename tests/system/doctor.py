"""doctor - sallyportctl doctor with a real edge as the partner and with servers
each of which has one thing wrong; dns, whose records a real name server loads and
a second edge finds us by. Run by doctor.sh."""

import json
import os
import pwd
import shutil
import socket
import ssl
import subprocess
import threading
import time

import discovery
from control import Answering
from sipnet import BUILD, PATIENCE, PKI, RUN, TOP, Closed, Conn, Door, Edge, Silent, Tests, dial, request

NET = os.environ.get("LAB_NET", "127.31")
OUT, IN, DIR = NET + ".31.1", NET + ".31.2", NET + ".31.3"
POUT, PIN, PDIR = NET + ".31.11", NET + ".31.12", NET + ".31.13"
DNS = discovery.DNS = NET + ".31.53"
BAD = NET + ".32."                      # .1 and on: a server each
CTL = os.path.join(BUILD, "sallyportctl")
FOREIGN = os.path.join(RUN, "foreign")  # a PKI that nobody here trusts

BROKEN = ["nosrv", "outside", "badport", "nowhere", "closed", "noaddress", "loop", "ours", "expired", "wrongname", "selfsigned", "stranger",
          "noclient", "noclient12", "silent", "garbage", "endless", "mute", "plain", "refuses", "signin", "rude", "http", "dot", "blocked", "hangsup"]
OTHERS = ["one", "unlisted"]
POLICY = """
internal_domains = [ "example.com" ];
internal_servers = [ "director.int.example.com" ];
federation = true;
discovery = true;
blocked = [ "blocked.example" ];
allowed_domains = [ %s ];
partners = ( { name = "Direct"; server = "sip.direct.example"; domains = [ "direct.example" ]; },
             { name = "Paused"; server = "sip.paused.example"; domains = [ "paused.example" ]; paused = true; } );
""" % ", ".join('"%s.example"' % d for d in BROKEN + ["one"] if d != "blocked")

T = Tests()


def config(out, name, cert, inner, inner_cert, inner_name, director, director_address, ca="ca"):
    return """
user = "nobody"; workers = 1;
outer = ( { listen = "%s:5061"; name = "%s"; certificate = "%s/%s.pem"; key = "%s/%s.key"; trust = "%s/%s.pem";
            client_certificate = "required"; partners = true; } );
inner = { listen = "%s:5061"; name = "%s"; certificate = "%s/%s.pem"; key = "%s/%s.key"; trust = "%s/ca.pem"; };
directors = ( { name = "%s"; address = "%s"; } );
dns = { servers = [ "%s:53" ]; timeout = 300; tries = 2; ttl_min = 1; negative_ttl = 1; };
discovery = { networks = [ "%s.31.0/24", "%s.32.0/24" ]; };
""" % (out, name, PKI, cert, PKI, cert, PKI, ca, inner, inner_name, PKI, inner_cert, PKI, inner_cert, PKI, director, director_address, DNS, NET, NET)


def ours():
    return config(OUT, "sip.example.com", "edge-outer", IN, "edge-inner", "edge.int.example.com", "director.int.example.com", DIR)


def theirs():
    return config(POUT, "sip.one.example", "one", PIN, "one-inner", "edge.int.one.example", "director.int.one.example", PDIR)


THEIR_POLICY = """
internal_domains = [ "one.example", "unlisted.example" ];
internal_servers = [ "director.int.one.example" ];
federation = true;
discovery = true;
allowed_domains = [ "example.com" ];
diagnostics_to_partners = true;
"""


def prepare():
    make = os.path.join(TOP, "certs-example", "make-pki")
    for where in (PKI, FOREIGN):
        subprocess.run([make, where, "--days", "90"], check=True, stdout=subprocess.DEVNULL)

    def cert(name, *args):
        subprocess.run([make, PKI, "cert", name, "--days", "90"] + list(args), check=True, stdout=subprocess.DEVNULL)
    cert("one", "--dns", "sip.one.example", "--dns", "sip.unlisted.example")
    cert("users", "--dns", "sip.example.com", "--dns", "sipexternal.example.com", "--dns", "sip.other.example")
    cert("direct", "--dns", "sip.direct.example", "--dns", "sip.paused.example")
    cert("one-inner", "--dns", "edge.int.one.example")
    cert("one-director", "--dns", "director.int.one.example")
    cert("expired", "--expired", "--dns", "sip.expired.example")
    cert("selfsigned", "--self-signed", "--dns", "sip.selfsigned.example")
    names = ["sip.%s.example" % name for name in BROKEN if name not in ("wrongname", "blocked")]
    cert("many", *[word for name in names for word in ("--dns", name)])
    nobody = pwd.getpwnam("nobody").pw_uid
    for name in os.listdir(PKI):
        os.chown(os.path.join(PKI, name), nobody, -1)


class Server:
    """One that has something wrong: what it does with each connection is a function."""

    def __init__(self, number, behave, cert="many", where=PKI, trust=None, version=None):
        self.ctx = None
        if cert:
            self.ctx = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.ctx.load_cert_chain(os.path.join(where, cert + ".pem"), os.path.join(where, cert + ".key"))
            if trust:
                self.ctx.load_verify_locations(trust)
                self.ctx.verify_mode = ssl.CERT_REQUIRED
            if version:
                self.ctx.maximum_version = version
        self.behave = behave
        self.sock = socket.socket()
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.sock.bind((BAD + str(number), 5061))
        self.sock.listen(16)
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                s, _ = self.sock.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(s,), daemon=True).start()

    def serve(self, s):
        try:
            s.settimeout(30)
            self.behave(Conn(self.ctx.wrap_socket(s, server_side=True)) if self.ctx else s)
        except (OSError, ssl.SSLError, Closed, Silent, ValueError):
            pass
        finally:
            s.close()


def answer(status, phrase="OK", headers=(), before=b""):
    def behave(conn):
        m = conn.recv()
        conn.send(before.replace(b"CALL", m.get("Call-ID").encode()) + m.reply(status, phrase, headers))
        conn.closed(10)
    return behave


def send(data, times=1):
    def behave(conn):
        for _ in range(times):
            conn.send(data)
        conn.closed(10)
    return behave


def nothing(conn):
    try:
        conn.closed(30) if isinstance(conn, Conn) else conn.recv(1) and time.sleep(0) or conn.recv(100000) and conn.recv(100000)
    except OSError:
        pass


def hangs_up(conn):
    conn.recv()
    conn.close()


CA = os.path.join(PKI, "ca.pem")
OTHER_CA = os.path.join(FOREIGN, "ca.pem")
SERVERS = {
    "expired": (lambda n: Server(n, nothing, "expired", trust=CA)),
    "wrongname": (lambda n: Server(n, nothing, trust=CA)),
    "selfsigned": (lambda n: Server(n, nothing, "selfsigned", trust=CA)),
    "stranger": (lambda n: Server(n, nothing, "partner-edge-outer", where=FOREIGN)),
    "noclient": (lambda n: Server(n, nothing, trust=OTHER_CA)),
    "noclient12": (lambda n: Server(n, nothing, trust=OTHER_CA, version=ssl.TLSVersion.TLSv1_2)),
    "silent": (lambda n: Server(n, nothing, trust=CA)),
    "garbage": (lambda n: Server(n, send(b"\x00\xff\x1b[31mfrogs\r\n\r\n"), trust=CA)),
    "endless": (lambda n: Server(n, send(b"SIP/2.0 100 Trying\r\nCall-ID: x\r\nContent-Length: 0\r\n\r\n" * 500, 1000), trust=CA)),
    "mute": (lambda n: Server(n, nothing, None)),
    "plain": (lambda n: Server(n, lambda s: (s.sendall(b"SIP/2.0 200 OK\r\n\r\n"), s.recv(10000)), None)),
    "http": (lambda n: Server(n, lambda s: (s.recv(10000), s.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")), None)),
    "refuses": (lambda n: Server(n, answer(403, "Forbidden", ['ms-diagnostics: 1034;reason="not \x1b[31myou"'.replace("\x1b", "\xe9")]), trust=CA)),
    "signin": (lambda n: Server(n, answer(401, "Unauthorized"), trust=CA)),
    "rude": (lambda n: Server(n, answer(200, "OK", before=b"SIP/2.0 100 Trying\r\nCall-ID: CALL\r\nContent-Length: 0\r\n\r\n"
                                        b"OPTIONS sip:x SIP/2.0\r\nContent-Length: 0\r\n\r\n"
                                        b"SIP/2.0 500 no\r\nCall-ID: other\r\nContent-Length: 0\r\n\r\n\r\n\r\n"), trust=CA)),
    "hangsup": (lambda n: Server(n, hangs_up, trust=CA)),
}


def zones(knot):
    srv = discovery.srv
    number = 0
    for name in BROKEN:
        number += 1
        text = srv((0, 0, 5061, "sip")) + "sip A %s%d\n" % (BAD, number)
        if name == "nosrv":
            text = "sip A %s%d\n" % (BAD, number)
        elif name == "outside":
            text = srv((0, 0, 5061, "sip.one.example."))
        elif name == "badport":
            text = srv((0, 0, 25, "sip")) + "sip A %s%d\n" % (BAD, number)
        elif name == "noaddress":
            text = srv((0, 0, 5061, "sip"))
        elif name == "loop":
            text = srv((0, 0, 5061, "sip")) + "sip A 127.0.0.1\n"
        elif name == "ours":
            text = srv((0, 0, 5061, "sip")) + "sip A %s\n" % IN
        elif name == "dot":
            text = srv((0, 0, 5061, "."))
        elif name == "nowhere":
            continue
        knot.write(name + ".example", text)
        if name in SERVERS:
            SERVERS[name](number)
    for name in OTHERS:
        knot.write(name + ".example", srv((0, 0, 5061, "sip")) + "sip A " + POUT)
    knot.write("example.com", srv((0, 0, 5061, "sip")) + "sip A " + OUT)
    for name in ("direct", "paused"):
        knot.write(name + ".example", "sip A %s90" % BAD)
    Server(90, answer(200), "direct", trust=CA)


class Doctor:
    def __init__(self, conf):
        self.conf = conf

    def run(self, *args):
        began = time.monotonic()
        p = subprocess.run([CTL, "doctor", "--config", self.conf, "--wait", "2"] + list(args), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                           timeout=60)
        self.took = time.monotonic() - began
        return p.returncode, p.stdout, p.stderr.decode()

    def steps(self, domain):
        status, out, err = self.run(domain, "--json")
        records = json.loads(out)
        assert records["status"] == status, (status, records)
        return status, records["records"]


def failed(steps):
    return [s["step"] for s in steps if s["result"] == "fail"]


def healthy(doctor):
    def good():
        status, steps = doctor.steps("one.example")
        names = [s["step"] for s in steps]
        return (status == 0 and names == ["own-certificate", "dns-srv", "address", "connect", "tls", "options", "policy-out", "policy-in"] and
                not failed(steps) and "sip.one.example port 5061" in steps[1]["text"] and "200" in steps[5]["text"]) or steps
    T.run("a real edge as the partner: every step is good", good)

    def text():
        status, out, err = doctor.run("one.example")
        lines = out.decode().split("\n")
        return (status == 0 and lines[1].startswith("ok    dns-srv") and "fix:" not in "\n".join(lines[1:])) or (status, out, err)
    T.run("the same as text", text)
    T.run("the domain in another spelling", lambda: doctor.steps("ONE.Example.")[0] == 0)

    def direct():
        status, steps = doctor.steps("direct.example")
        return (status == 0 and "not needed" in steps[1]["text"] and steps[1]["step"] == "dns-srv") or steps
    T.run("a partner that the policy names: its record is not needed", direct)


# domain: the steps that fail, words of the first one's text, words of its fix
CASES = [
    ("nosrv", ["dns-srv", "policy-out", "policy-in"], "there is no record", "_sipfederationtls._tcp.nosrv.example. SRV 0 0 5061 sip.nosrv.example."),
    ("outside", ["dns-srv", "policy-out", "policy-in"], "not in outside.example", "an SRV record that names a host in outside.example"),
    ("badport", ["dns-srv", "policy-out"], "port 25", "usually 5061"),
    ("dot", ["dns-srv", "policy-out", "policy-in"], "no such service", "publish"),
    ("nowhere", ["dns-srv", "policy-out", "policy-in"], "no usable answer", "dns.servers"),
    ("noaddress", ["address"], "has no address", "A or AAAA"),
    ("loop", ["address"], "127.0.0.1", "discovery.networks"),
    ("ours", ["address"], IN, "discovery.networks"),
    ("closed", ["connect"], "refused", "Nothing listens"),
    ("expired", ["tls"], "certificate-expired", "renew"),
    ("wrongname", ["tls"], "certificate-name", "must hold sip.wrongname.example and holds"),
    ("selfsigned", ["tls"], "certificate-untrusted", 'certificate = "pinned" and pins = [ "'),
    ("stranger", ["tls"], "certificate-untrusted", "outer[0].trust"),
    ("noclient", ["tls-ours"], "does not know our certificate's issuer", "trust who issued our certificate"),
    ("noclient12", ["tls"], "does not know our certificate's issuer", "trust who issued our certificate"),
    ("silent", ["options"], "did not answer within 2 seconds", "overloaded"),
    ("garbage", ["options"], "not SIP", "no SIP server"),
    ("endless", ["options"], "Without End", "no SIP server"),
    ("mute", ["tls"], "took too long", "does not know us"),
    ("plain", ["tls"], "not TLS", "does not speak TLS"),
    ("http", ["tls"], "TLS", "does not speak TLS"),
    ("refuses", ["options"], "403 Forbidden", "allow our domain and our server sip.example.com"),
    ("signin", ["options"], "401", "list sip.example.com as a partner"),
    ("hangsup", ["options"], "hung up", "what its log says"),
    ("blocked", ["connect", "policy-out", "policy-in"], "", ""),
    ("unlisted", ["policy-out", "policy-in"], "domain-not-allowed", 'Put "unlisted.example" into allowed_domains'),
    ("paused", ["policy-out", "policy-in"], "partner-paused", "partner resume"),
]


def broken(doctor):
    for name, wanted, text, fix in CASES:
        def one():
            status, steps = doctor.steps(name + ".example")
            bad = [s for s in steps if s["result"] == "fail"]
            said = bad and (text in bad[0]["text"]) and (fix in (bad[0]["fix"] or ""))
            return (status == 1 and failed(steps) == wanted and said and all(s.get("fix") for s in bad) and doctor.took < 15) or (
                status, round(doctor.took, 1), bad)
        T.run("%s: %s" % (name, " ".join(wanted)), one)

    def fix_of_blocked():
        steps = doctor.steps("blocked.example")[1]
        return any("sallyportctl unblock blocked.example" in (s.get("fix") or "") for s in steps) or steps
    T.run("blocked: how to unblock it", fix_of_blocked)

    def rude():
        status, steps = doctor.steps("rude.example")
        return status == 0 and failed(steps) == [] or (status, steps)
    T.run("rude: what comes before the answer is passed over", rude)

    def escaped():
        outs = [doctor.run(n + ".example")[1] for n in ("garbage", "refuses")]
        return all(max(o) < 127 and min(o.replace(b"\n", b" ")) >= 32 for o in outs) and b"\\xE9" in outs[1] or outs
    T.run("what servers say is shown escaped", escaped)


def partner_says_no(doctor, partner):
    """The partner's edge takes us off its list: our domain is not allowed there."""
    partner.write("policy.conf", THEIR_POLICY.replace('"example.com"', '"elsewhere.example"'))
    partner.hup()
    assert partner.logged("event=reloaded")

    def refused():
        status, steps = doctor.steps("one.example")
        bad = [s for s in steps if s["result"] == "fail"]
        return (status == 1 and len(bad) == 1 and bad[0]["step"] == "options" and "ask the administrator of one.example" in bad[0]["fix"]) or steps
    T.run("the partner's edge does not allow our domain: it says so", refused)
    partner.write("policy.conf", THEIR_POLICY)
    partner.hup()
    partner.logged("event=reloaded", count=2)


def zone_of(text):
    """The lines that are no comments."""
    return "\n".join(line for line in text.split("\n") if line and not line.startswith(";")) + "\n"


def dns(conf, *args):
    p = subprocess.run([CTL, "dns", "--config", conf, "--ttl", "1"] + list(args), stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60)
    return p.returncode, p.stdout.decode(), p.stderr.decode()


def checked(conf):
    status, out, err = dns(conf, "--check", "--json")
    return status, [(r["step"], r["result"]) for r in json.loads(out)["records"]]


def published(doctor, knot, own):
    """The records that dns prints are loaded by a real name server, and a partner's edge finds us by them."""
    conf = doctor.conf
    knot.change("example.com", "")
    T.run("dns --check: nothing is published", lambda: checked(conf) == (1, [("SRV", "fail"), ("A", "fail")]) or checked(conf))

    def found():
        """Their inside writes to one of us; their edge has only DNS to find ours."""
        conn = dial(PIN + ":5061", "edge.int.one.example", cert="one-director")
        conn.send(request(uri="sip:bob@example.com", sender="sip:x@one.example", via_host="director.int.one.example:5061"))
        m = conn.recv()
        while 100 <= m.status < 200:
            m = conn.recv()
        conn.close()
        return m.status
    T.run("and so nobody finds us", lambda: found() == 504)
    status, out, err = dns(conf)
    T.check("dns prints a zone", status == 0 and "_sipfederationtls._tcp.example.com. 1 IN SRV 0 0 5061 sip.example.com." in out and
            "\n; _sipinternaltls._tcp.example.com." in out, (status, out, err))
    knot.change("example.com", zone_of(out))
    us = Edge("us", ours(), POLICY)
    inside = Answering(DIR + ":5061", "director")
    try:
        T.check("loaded by a name server, a second edge finds us by it", wait_for(lambda: found() == 200))
        T.check("and messages came in", inside.seen > 0)
        T.run("dns --check: all is published", lambda: checked(conf) == (0, [("SRV", "ok"), ("A", "warn")]) or checked(conf))
    finally:
        us.stop()
        inside.close()

    def differs(zone, wanted):
        knot.change("example.com", zone)
        return wait_for(lambda: checked(conf) == wanted) or checked(conf)
    T.run("dns --check: another port, another address", lambda: differs(
        discovery.srv((0, 0, 5062, "sip")) + "sip A 192.0.2.1", (1, [("SRV", "fail"), ("SRV", "warn"), ("A", "fail"), ("A", "warn")])))
    T.run("dns --check: one record too many", lambda: differs(
        zone_of(out) + discovery.srv((0, 0, 5061, "old")), (0, [("SRV", "ok"), ("SRV", "warn"), ("A", "warn")])))
    knot.change("example.com", zone_of(out))


def wait_for(what, patience=PATIENCE):
    end = time.monotonic() + patience
    while not what():
        if time.monotonic() > end:
            return False
        time.sleep(0.1)
    return True


def many_domains(knot, own):
    """Users and partners, several domains, a translator: what MS clients look for, as far as the certificate allows."""
    conf = os.path.join(own, "many.conf")
    with open(os.path.join(own, "many-policy.conf"), "w") as f:
        f.write('internal_domains = [ "example.com", "other.example", ".below.example" ];\ninternal_servers = [ "d.int.example.com" ];\n')
    with open(conf, "w") as f:
        f.write('policy = "%s/many-policy.conf";\n' % own + ours().replace("outer = (", """outer = (
            { listen = "%s:443"; name = "sip.example.com"; certificate = "%s/users.pem"; key = "%s/users.key"; users = true; },""" % (OUT, PKI, PKI)))
    status, out, err = dns(conf, "--address", "192.0.2.10", "--address", "2001:db8::10", "--json")
    records = json.loads(out)["records"]
    rows = {(r["name"], r["type"], r["data"]): r["publish"] for r in records}
    wanted = {
        ("_sipfederationtls._tcp.example.com.", "SRV", "0 0 5061 sip.example.com."): True,
        ("_sip._tls.example.com.", "SRV", "0 0 443 sip.example.com."): True,
        ("_sips._tcp.example.com.", "SRV", "0 0 443 sip.example.com."): True,
        ("sip.example.com.", "A", "192.0.2.10"): True, ("sip.example.com.", "AAAA", "2001:db8::10"): True,
        ("sipexternal.example.com.", "CNAME", "sip.example.com."): True,
        ("_sipfederationtls._tcp.other.example.", "SRV", "0 0 5061 sip.other.example."): False,
        ("_sip._tls.other.example.", "SRV", "0 0 443 sip.other.example."): True,
        ("_sips._tcp.other.example.", "SRV", "0 0 443 sip.other.example."): True,
        ("sip.other.example.", "A", "192.0.2.10"): True, ("sip.other.example.", "AAAA", "2001:db8::10"): True,
        ("sipexternal.other.example.", "CNAME", "sip.other.example."): False,
    }
    T.check("dns of two domains, two doors and two addresses", status == 0 and rows == wanted and len(records) == len(rows), (status, out, err))
    status, out, err = dns(conf, "--address", "192.0.2.10")
    T.check("what the certificate does not hold is a comment that says so", "\n; _sipfederationtls._tcp.other.example. " in out and
            "does not hold sip.other.example" in out and "all sub-domains" in out, out)
    status, steps = checked(conf)
    T.check("and --check fails for it", status == 1 and ("SRV", "fail") in steps, steps)


def dns_mistakes(conf):
    for args, status in ((["x"], 64), (["--frogs"], 64), (["--address", "x"], 64), (["--address"], 64), (["--ttl", "-1"], 64), (["--help"], 0),
                         (["--config", "/nowhere"], 78), (["--address", "0.0.0.0"], 64)):
        T.run("dns %s ends with %d" % (" ".join(args), status), lambda: dns(conf, *args)[0] == status or dns(conf, *args))


def mistakes(doctor):
    for args, status in (([], 64), (["a.example", "b.example"], 64), (["192.0.2.1"], 64), (["a b"], 64), (["-x"], 64), (["--wait", "0", "a.example"], 64),
                         (["--wait"], 64), (["--help"], 0), (["--config", "/nowhere/edge.conf", "one.example"], 78),
                         (["example.com"], 1), (["--frogs", "one.example"], 64)):
        T.run("doctor %s ends with %d" % (" ".join(args), status), lambda: doctor.run(*args)[0] == status or doctor.run(*args))
    T.run("our own domain is no patient", lambda: doctor.steps("example.com")[1][0]["step"] == "domain")


def main():
    prepare()
    knot = discovery.Knot()
    knot.zones = {}
    zones(knot)
    knot.start()
    inside = Answering(PDIR + ":5061", "one-director")
    partner = Edge("partner", theirs(), THEIR_POLICY)
    own = os.path.join(RUN, "own")
    os.makedirs(own, exist_ok=True)
    with open(os.path.join(own, "policy.conf"), "w") as f:
        f.write(POLICY)
    with open(os.path.join(own, "edge.conf"), "w") as f:
        f.write('policy = "%s/policy.conf";\n' % own + ours())
    doctor = Doctor(os.path.join(own, "edge.conf"))
    try:
        healthy(doctor)
        broken(doctor)
        partner_says_no(doctor, partner)
        mistakes(doctor)
        published(doctor, knot, own)
        many_domains(knot, own)
        dns_mistakes(doctor.conf)
    finally:
        partner.stop()
        knot.stop()
        inside.close()
    raise SystemExit(1 if T.failed else 0)


if __name__ == "__main__":
    main()
