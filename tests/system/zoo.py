"""zoo - one of every kind of certificate, shown at the partner door, by a partner
whom we call, at the inner door, and by a Director whom we call: each must be
taken or refused for the reason that the table says, and whoever is refused gets
not one byte of SIP. Then what changes while the edge runs. Run by zoo.sh."""

import base64
import hashlib
import json
import os
import pwd
import shutil
import socket
import ssl
import struct
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from sipnet import BUILD, PATIENCE, PKI, RUN, TOP, Closed, Conn, Edge, Resolver, Silent, Tests, request

NET = os.environ.get("LAB_NET", "127.69")
OUT, PARTNER, SOURCE = NET + ".0.1", NET + ".0.2", NET + ".0.3"
IN, DIR1, DIR2, DNS = NET + ".1.1", NET + ".1.2", NET + ".1.3", NET + ".1.53"
USERS, PARTNERS, INNER = OUT + ":443", OUT + ":5061", IN + ":5061"
CRLS = os.path.join(RUN, "crls")
DIRECTOR = "director.int.example.com"
FIRST_PORT = 20000

T = Tests()

OK = ("ok",) * 4
# proves no name that anybody has: a stranger, or not whom we called
NAMELESS = ("unknown-peer", "certificate-name", "not-internal-peer", "certificate-name")


def all_of(reason):
    return (reason,) * 4


def der(tag, data):
    n = len(data)
    length = bytes([n]) if n < 128 else bytes([0x82, n >> 8, n & 255])
    return bytes([tag]) + length + data


def san_of_bytes(*names):
    """A subjectAltName with dNSNames that no tool would write."""
    return "2.5.29.17=DER:" + ":".join("%02X" % b for b in der(0x30, b"".join(der(0x82, n) for n in names)))


# name, how it is made ("@" is the right name of the server, "%" the domain above it), and what comes of it:
# at the partner door, of a partner whom we call, at the inner door, of a Director whom we call.
# "+CA" hangs that authority's certificate behind it. A partner's further options stand last.
ZOO = [
    ("good", ["--dns", "@"], OK, ""),
    ("several-names", ["--dns", "www.%", "--dns", "@", "--dns", "%"], OK, ""),
    ("uri", ["--uri", "sip:@"], OK, ""),
    ("upper-case", ["--dns", "^"], OK, ""),
    ("final-dot", ["--dns", "@."], OK, ""),
    ("rsa", ["--rsa", "--dns", "@"], OK, ""),
    ("rsa-pss", ["--key", "rsa-pss", "--dns", "@"], OK, ""),
    ("ed25519", ["--key", "ed25519", "--dns", "@"], OK, ""),
    ("p384", ["--curve", "P-384", "--dns", "@"], OK, ""),
    ("by-intermediate", ["--issuer", "middle", "--dns", "@"], OK, ""),
    ("cross-signed", ["--issuer", "crossed", "--dns", "@"], OK, ""),
    ("within-constraints", ["--issuer", "narrow", "--dns", "@"], OK, ""),
    ("usage-server-only", ["--purpose", "serverAuth", "--dns", "@"], OK, ""),
    ("usage-not-said", ["--purpose", "none", "--dns", "@"], OK, ""),
    ("usage-any", ["--purpose", "anyExtendedKeyUsage", "--dns", "@"], OK, ""),
    ("usage-sip", ["--purpose", "1.3.6.1.5.5.7.3.20", "--dns", "@"], OK, ""),
    ("names-64th", ["--dns", "@@64"], OK, ""),
    ("idn", ["--dns", "@"], ("ok", "ok", None, None), ""),

    ("expired", ["--expired", "--dns", "@"], all_of("certificate-expired"), ""),
    ("not-yet-valid", ["--not-yet", "--dns", "@"], all_of("certificate-not-yet-valid"), ""),
    ("issuer-expired", ["--issuer", "oldmiddle", "--dns", "@"], all_of("certificate-expired"), ""),
    ("wrong-authority", ["--issuer", "untrusted", "--dns", "@"], all_of("certificate-untrusted"), ""),
    ("self-signed", ["--self-signed", "--dns", "@"], all_of("certificate-untrusted"), ""),
    ("intermediate-missing", ["--issuer", "middle", "--alone", "--dns", "@"], all_of("certificate-untrusted"), ""),
    ("revoked", ["--dns", "@"], all_of("certificate-revoked"), ""),
    ("issuer-revoked", ["--issuer", "badmiddle", "--dns", "@"], all_of("certificate-revoked"), ""),
    ("list-expired", ["--issuer", "stale", "--dns", "@"], all_of("certificate-crl"), ""),
    ("list-missing", ["--issuer", "nolist", "--dns", "@"], all_of("certificate-crl"), ""),
    ("rsa-1024", ["--key-bits", "1024", "--dns", "@"], all_of("certificate-weak"), ""),
    ("sha1", ["--digest", "sha1", "--dns", "@"], all_of("certificate-weak"), ""),
    ("bad-signature", ["--dns", "@"], all_of("certificate-chain"), ""),
    ("authority-itself", ["--basic", "CA:TRUE", "--dns", "@"], all_of("certificate-usage"), ""),
    ("issuer-no-authority", ["--issuer", "good-out", "--dns", "@", "+good-out"], all_of("certificate-chain"), ""),
    ("path-too-long", ["--issuer", "below0", "--dns", "@"], all_of("certificate-chain"), ""),
    ("outside-constraints", ["--issuer", "elsewhere", "--dns", "@"], all_of("certificate-chain"), ""),
    ("chain-of-ten", ["--issuer", "deep10", "--dns", "@"], all_of("certificate-chain"), ""),
    ("chain-too-large", ["--dns", "@"], all_of("certificate-chain"), ""),
    ("critical-extension", ["--extension", "1.2.3.4.5=critical,ASN1:UTF8String:x", "--dns", "@"],
     all_of("certificate-chain"), ""),
    ("usage-client-only", ["--purpose", "clientAuth", "--dns", "@"],
     ("ok", "certificate-usage", "ok", "certificate-usage"), ""),
    ("usage-other", ["--purpose", "codeSigning,emailProtection", "--dns", "@"], all_of("certificate-usage"), ""),
    ("usage-key-signs-certificates", ["--usage", "keyCertSign", "--dns", "@"], all_of("certificate-usage"), ""),
    ("refused", ["--dns", "@"], all_of("certificate-refused"), ""),

    ("wildcard", ["--dns", "*.%"], NAMELESS, ""),
    ("wildcard-part", ["--dns", "s*.%", "--dns", "d*.%"], NAMELESS, ""),
    ("name-below", ["--dns", "x.@"], NAMELESS, ""),
    ("name-65th", ["--dns", "@@65"], NAMELESS, ""),
    ("cn-only", ["--subject", "/CN=@"], NAMELESS, ""),
    ("cn-accepted", ["--subject", "/CN=@"], ("ok", "ok", None, None), "accept_cn = true;"),
    ("cn-beside-a-name", ["--subject", "/CN=@", "--dns", "www.%"], NAMELESS, "accept_cn = true;"),
    ("cn-wildcard", ["--subject", "/CN=*.%"], NAMELESS, "accept_cn = true;"),
    ("nul-in-name", ["NUL"], NAMELESS, ""),
    ("utf8-in-name", ["UTF8"], NAMELESS, ""),
    ("empty-name", ["EMPTY"], NAMELESS, ""),
    ("address-only", ["--ip", PARTNER], NAMELESS, ""),
    ("address-as-name", ["--dns", PARTNER], NAMELESS, ""),
    ("no-name", ["--subject", "/O=Nobody"], NAMELESS, ""),
    ("uri-with-user", ["--uri", "sip:edge\\@@"], NAMELESS, ""),
    ("uri-sips", ["--uri", "sips:@"], NAMELESS, ""),
    ("name-of-another-partner", ["--dns", "sip.good.example"],
     ("from-not-of-partner", "certificate-name", None, None), ""),
    ("name-of-the-inside", ["--dns", DIRECTOR], ("unknown-peer", "certificate-name", None, None), ""),

    ("strict-with-both", ["--dns", "@"], ("ok", "ok", None, None), 'certificate = "strict";'),
    ("strict-server-only", ["--purpose", "serverAuth", "--dns", "@"],
     ("certificate-usage", "certificate-usage", None, None), 'certificate = "strict";'),
    ("strict-client-only", ["--purpose", "clientAuth", "--dns", "@"],
     ("certificate-usage", "certificate-usage", None, None), 'certificate = "strict";'),
    ("pinned", ["--dns", "@"], ("ok", "ok", None, None), "PIN"),
    ("pinned-self-signed", ["--self-signed", "--dns", "@"], ("ok", "ok", None, None), "PIN"),
    ("pinned-expired", ["--expired", "--dns", "@"], ("ok", "ok", None, None), "PIN"),
    ("pinned-other-name", ["--self-signed", "--dns", "localhost"], ("ok", "ok", None, None), "PIN"),
    ("pinned-authority", ["--self-signed", "--basic", "CA:TRUE", "--dns", "@"], ("ok", "ok", None, None), "PIN"),
    ("pinned-next-key", ["--dns", "@"], ("ok", "ok", None, None), "NEXT"),
    ("pinned-wrong-key", ["--dns", "@"], ("certificate-pin", "certificate-pin", None, None), "WRONG"),
    ("pinned-wrong-self-signed", ["--self-signed", "--dns", "@"],
     ("certificate-untrusted", "certificate-untrusted", None, None), "WRONG"),
    ("pinned-revoked", ["--dns", "@"], ("certificate-revoked", "certificate-revoked", None, None), "PIN"),
    ("pinned-refused", ["--dns", "@"], ("certificate-refused", "certificate-refused", None, None), "PIN"),
    ("pinned-weak", ["--self-signed", "--key-bits", "1024", "--dns", "@"],
     ("certificate-weak", "certificate-weak", None, None), "PIN"),
    ("pinned-elsewhere", ["KEYOF", "--self-signed", "--dns", "@"],
     ("from-not-of-partner", "certificate-untrusted", None, None), ""),
]

# The rules about certificates of servers that are no direct partners: kind, as above, and what comes of it at the
# partner door and of the server when we call it.
OTHERS = [
    ("prov-plain", "provider", ["--dns", "@"], ("ok", "ok"), ""),
    ("prov-expired", "provider", ["--expired", "--dns", "@"], all_of("certificate-expired")[:2], ""),
    ("prov-cn", "provider", ["--subject", "/CN=@"], ("unknown-peer", "certificate-name"), ""),
    ("prov-cn-accepted", "provider", ["--subject", "/CN=@"], ("ok", "ok"), "accept_cn = true;"),
    ("prov-strict", "provider", ["--dns", "@"], ("ok", "ok"), 'certificate = "strict";'),
    ("prov-strict-server-only", "provider", ["--purpose", "serverAuth", "--dns", "@"],
     ("certificate-usage", "certificate-usage"), 'certificate = "strict";'),
    ("prov-pinned-self-signed", "provider", ["--self-signed", "--dns", "@"], ("ok", "ok"), "PIN"),
    ("prov-pinned-wrong-key", "provider", ["--dns", "@"], ("certificate-pin", "certificate-pin"), "WRONG"),
    ("prov-pinned-wrong-self-signed", "provider", ["--self-signed", "--dns", "@"],
     ("certificate-untrusted", "certificate-untrusted"), "WRONG"),
    ("branch-plain", "branch", ["--dns", "@"], ("ok", "ok"), ""),
    ("branch-revoked", "branch", ["--dns", "@"], all_of("certificate-revoked")[:2], ""),
    ("branch-cn-accepted", "branch", ["--subject", "/CN=@"], ("ok", "ok"), "accept_cn = true;"),
    ("branch-strict", "branch", ["--dns", "@"], ("ok", "ok"), 'certificate = "strict";'),
    ("branch-strict-client-only", "branch", ["--purpose", "clientAuth", "--dns", "@"],
     ("certificate-usage", "certificate-usage"), 'certificate = "strict";'),
    ("branch-pinned-self-signed", "branch", ["--self-signed", "--dns", "localhost"], ("ok", "ok"), "PIN"),
    ("branch-pinned-wrong-key", "branch", ["--dns", "@"], ("certificate-pin", "certificate-pin"), "WRONG"),
    ("house-plain", "default_route", ["--dns", "@"], ("ok", "ok"), ""),
    ("house-strict-server-only", "default_route", ["--purpose", "serverAuth", "--dns", "@"],
     ("certificate-usage", "certificate-usage"), 'certificate = "strict";'),
    ("house-cn-accepted", "default_route", ["--subject", "/CN=@"], ("ok", "ok"), "accept_cn = true;"),
    ("house-pinned-expired", "default_route", ["--expired", "--dns", "@"], ("ok", "ok"), "PIN"),
    ("house-pinned-wrong-key", "default_route", ["--dns", "@"], ("certificate-pin", "certificate-pin"), "WRONG"),
]


# ---- making them ----

def run(*args, **kw):
    return subprocess.run(args, check=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **kw).stdout


def make(*args):
    try:
        run(os.path.join(TOP, "certs-example", "make-pki"), PKI, *args)
    except subprocess.CalledProcessError as e:
        sys.exit("make-pki %s: %s" % (" ".join(args), e.output.decode()))


def pem(name):
    return os.path.join(PKI, name + ".pem")


def read(path):
    with open(path, "rb") as f:
        return f.read()


def write(path, data):
    with open(path, "wb") as f:
        f.write(data)


def leaf_der(name):
    return ssl.PEM_cert_to_DER_cert(read(pem(name)).decode().split("-----END")[0] + "-----END CERTIFICATE-----\n")


def fingerprint(name):
    return hashlib.sha256(leaf_der(name)).hexdigest()


def pin(name):
    public = run("openssl", "x509", "-in", pem(name), "-noout", "-pubkey")
    return hashlib.sha256(run("openssl", "pkey", "-pubin", "-outform", "DER", input=public)).hexdigest()


def server_of(name):
    return "sip.b\u00fccher.example" if name == "idn" else "sip.%s.example" % name


def domain_of(name):
    return "xn--bcher-kva.example" if name == "idn" else name + ".example"


def arguments(how, server):
    """The table's words for one server."""
    parent = server.partition(".")[2]
    out = []
    i = 0
    while i < len(how):
        w = how[i]
        i += 1
        if w in ("NUL", "UTF8", "EMPTY"):
            raw = {"NUL": server.encode() + b"\0.evil.example", "UTF8": b"b\xc3\xbc." + server.encode(), "EMPTY": b""}[w]
            out += ["--extension", san_of_bytes(raw)]
        elif w == "KEYOF":
            out += ["--key-of", "pinned-out"]
        elif w == "--dns" and how[i].startswith("@@"):
            n = int(how[i][2:])
            i += 1
            for k in range(1, n):
                out += ["--dns", "n%d.%s" % (k, parent)]
            out += ["--dns", server]
        elif w.startswith("+"):
            continue
        else:
            out.append(w.replace("\\@", "\0").replace("^", server.upper()).replace("@", server).replace("%", parent)
                       .replace("\0", "@"))
    # openssl wants some subject; it must not be the right name by accident
    if "--subject" not in out:
        out += ["--subject", "/O=Zoo"]
    return out


def damage(name):
    """One bit of the leaf's signature."""
    raw = bytearray(leaf_der(name))
    raw[-5] ^= 1
    text = ssl.DER_cert_to_PEM_cert(bytes(raw))
    write(pem(name), text.encode())


def make_one(name, how, server, side):
    file = "%s-%s" % (name, side)
    make("cert", file, *arguments(how, server))
    for w in how:
        if w.startswith("+"):
            write(pem(file), read(pem(file)) + read(pem(w[1:])))
    if name == "bad-signature":
        damage(file)
    if name == "chain-too-large":
        write(pem(file), read(pem(file)) + one(pem("middle")) * 90)


def one(path):
    """The first certificate of a file."""
    return read(path).split(b"-----END CERTIFICATE-----\n")[0] + b"-----END CERTIFICATE-----\n"


def make_zoo():
    make()
    make("ca", "middle", "--issuer", "example", "--subject", "/CN=middle")
    make("ca", "badmiddle", "--issuer", "example", "--subject", "/CN=badmiddle")
    make("ca", "oldmiddle", "--issuer", "example", "--subject", "/CN=oldmiddle", "--expired")
    make("ca", "stale", "--subject", "/CN=stale")
    make("ca", "nolist", "--subject", "/CN=nolist")
    make("ca", "pathlen0", "--issuer", "example", "--subject", "/CN=pathlen0", "--basic", "CA:TRUE,pathlen:0")
    make("ca", "below0", "--issuer", "pathlen0", "--subject", "/CN=below0")
    make("ca", "narrow", "--issuer", "example", "--subject", "/CN=narrow",
         "--extension", "nameConstraints=critical,permitted;DNS:within-constraints.example,permitted;DNS:int.example.com")
    make("ca", "elsewhere", "--issuer", "example", "--subject", "/CN=elsewhere",
         "--extension", "nameConstraints=critical,permitted;DNS:elsewhere.example")
    # one authority with two certificates: its own root, which nobody trusts, and one from a root that is trusted
    make("ca", "crossroot", "--subject", "/CN=crossed")
    make("ca", "crossed", "--issuer", "example", "--subject", "/CN=crossed", "--key-of", "crossroot")
    issuer = "example"
    for k in range(1, 11):
        make("ca", "deep%d" % k, "--issuer", issuer, "--subject", "/CN=deep%d" % k)
        issuer = "deep%d" % k
    for name, how, expected, _ in ZOO:
        # an IDN stands in a certificate in its ASCII form
        make_one(name, how, "sip.xn--bcher-kva.example" if name == "idn" else server_of(name), "out")
        if expected[2] is not None:
            make_one(name, how, DIRECTOR, "in")
    for name, kind, how, _, _ in OTHERS:
        make_one(name, how, server_of(name), "out")
        if kind == "branch":
            # what its users sign in by, so that there is somebody to be reached there
            make("cert", name + "-first", "--dns", server_of(name), "--subject", "/O=Zoo")
    for name in ("revoked-out", "revoked-in", "pinned-revoked-out", "badmiddle", "branch-revoked-out"):
        make("revoke", name)
    make("crl", "stale", "--expired")
    write(pem("trust"), b"".join(read(pem(n)) for n in ("ca", "stale", "nolist")))
    os.makedirs(CRLS, exist_ok=True)
    for ca in ["example", "middle", "badmiddle", "oldmiddle", "stale", "pathlen0", "below0", "narrow", "elsewhere",
               "crossed"] + ["deep%d" % k for k in range(1, 11)]:
        shutil.copy(os.path.join(PKI, ca + ".crl.pem"), os.path.join(CRLS, ca + ".pem"))
    for n in ("dialling", "renewed"):
        make("cert", n, "--dns", "sip.example.com", "--subject", "/CN=" + n)
    make("cert", "two-partners", "--dns", "sip.good.example", "--dns", "sip.pinned-wrong-key.example")
    for n in ("later", "later-too"):
        make("cert", n, "--dns", "sip.%s.example" % n)
    give_away()


def give_away():
    """The edge has given up root by the time it reads its files again."""
    for where in (PKI, CRLS, RUN):
        for name in os.listdir(where):
            os.chown(os.path.join(where, name), pwd.getpwnam("nobody").pw_uid, -1)
        os.chown(where, pwd.getpwnam("nobody").pw_uid, -1)


# ---- the edge ----

def partner_options(name, options):
    if options == "PIN":
        pins = [pin(name + "-out")]
    elif options == "NEXT":
        pins = ["0" * 64, pin(name + "-out")]
    elif options == "WRONG":
        pins = [hashlib.sha256(name.encode()).hexdigest()]
    else:
        return options
    return 'certificate = "pinned"; pins = [ %s ];' % ", ".join('"%s"' % p for p in pins)


def policy():
    partners = ["{ name = \"%s\"; server = \"%s\"; port = %d; domains = [ \"%s\" ]; %s }" %
                (name, server_of(name), FIRST_PORT + i, domain_of(name), partner_options(name, options))
                for i, (name, _, _, options) in enumerate(ZOO)]
    for k, name in enumerate(("later", "later-too")):
        partners.append("{ server = \"sip.%s.example\"; port = %d; domains = [ \"%s.example\" ]; }" %
                        (name, FIRST_PORT + 500 + k, name))
    # with colons, as openssl shows them, and without
    refused = [fingerprint("refused-out"), ":".join(fingerprint("refused-in")[i:i + 2].upper() for i in range(0, 64, 2)),
               fingerprint("pinned-refused-out")]
    return """
internal_domains = [ "example.com" ];
internal_servers = [ "%s" ];
federation = true;
refused_certificates = [ %s ];
partners = ( %s );
""" % (DIRECTOR, ", ".join('"%s"' % r for r in refused), ",\n".join(partners))


def others_policy():
    providers = ", ".join('{ server = "%s"; port = %d; enabled = true; %s }' % (
        server_of(name), FIRST_PORT + 300 + i, partner_options(name, options))
        for i, (name, kind, _, _, options) in enumerate(OTHERS) if kind == "provider")
    branches = ", ".join('{ server = "%s"; %s }' % (server_of(name), partner_options(name, options))
                         for name, kind, _, _, options in OTHERS if kind == "branch")
    return "providers = ( %s );\nbranch_offices = ( %s );\n" % (providers, branches)


def branches_first():
    """The same branches, as long as they show other certificates."""
    return policy() + "branches = [ %s ];\n" % ", ".join(
        '"%s"' % server_of(name) for name, kind, _, _, _ in OTHERS if kind == "branch")


def member_policy(name, options):
    return """
internal_domains = [ "example.com" ];
internal_servers = [ "%s" ];
federation = true;
default_route = { server = "%s"; port = %d; %s };
""" % (DIRECTOR, server_of(name), FIRST_PORT + 400, partner_options(name, options))


def config(directors, extra=""):
    door = 'certificate = "%s"; key = "%s/edge-outer.key"; dial_certificate = "%s"; dial_key = "%s/dialling.key"; crl = "%s";' % (
        pem("edge-outer"), PKI, pem("dialling"), PKI, CRLS)
    return """
user = "nobody"; workers = 1;
peer_certificates = "%s/peers";
log = { level = "debug"; };
outer = (
  { listen = "%s"; name = "sip.example.com"; certificate = "%s"; key = "%s/edge-outer.key"; users = true; },
  { listen = "%s"; name = "sip.example.com"; %s trust = "%s"; client_certificate = "required"; partners = true; }
);
inner = { listen = "%s"; name = "edge.int.example.com"; certificate = "%s"; key = "%s/edge-inner.key";
          trust = "%s"; crl = "%s"; };
directors = ( %s );
dns = { servers = [ "%s:53" ]; timeout = 500; tries = 2; };
limits = { connect = 5; };
%s
""" % (RUN, USERS, pem("edge-outer"), PKI, PARTNERS, door, pem("trust"), INNER, pem("edge-inner"), PKI, pem("trust"), CRLS,
       ", ".join(directors), DNS, extra)


def named(name, kind):
    """Every name is the partners' one address, and at.X in the hands of sip.X."""
    at = b"\x11_sipfederationtls\4_tcp\2at"
    if kind == 33 and name.startswith(at):
        return struct.pack("!HHH", 0, 0, 5061) + b"\3sip" + name[len(at):]
    return socket.inet_aton(PARTNER) if kind == 1 else None


# ---- far ends that would show anything ----

def careless(server):
    ctx = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if server else ssl.PROTOCOL_TLS_CLIENT)
    ctx.set_ciphers("DEFAULT@SECLEVEL=0")
    if not server:
        ctx.load_verify_locations(pem("ca"))
    return ctx


def call(addr, cert, name="sip.example.com", version=None, session=None):
    """Connects and shakes hands; an SSLError means that we heard the refusal at once."""
    ctx = careless(False)
    if version:
        ctx.maximum_version = version
    if cert:
        ctx.load_cert_chain(pem(cert), os.path.join(PKI, cert + ".key"))
    host, port = addr.rsplit(":", 1)
    raw = socket.create_connection((host, int(port)), PATIENCE, (SOURCE, 0))
    raw.settimeout(PATIENCE)
    source = "%s:%d" % raw.getsockname()
    try:
        return Conn(ctx.wrap_socket(raw, server_hostname=name, session=session)), source
    except OSError:
        raw.close()
        return None, source


class Far(threading.Thread):
    """One server with one certificate: takes connections, answers each request with 200, and keeps what it got."""

    def __init__(self, addr, cert, answers=True):
        super().__init__(daemon=True)
        self.ctx = careless(True)
        self.ctx.load_cert_chain(pem(cert), os.path.join(PKI, cert + ".key"))
        self.ctx.load_verify_locations(pem("ca"))
        self.ctx.verify_mode = ssl.CERT_REQUIRED
        host, port = addr.rsplit(":", 1)
        self.sock = socket.socket()
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.sock.bind((host, int(port)))
        self.sock.listen(8)
        self.bytes = b""
        self.calls = []
        self.peer = None
        self.conns = []
        self.start()

    def serve(self, raw):
        try:
            raw.settimeout(PATIENCE)
            tls = self.ctx.wrap_socket(raw, server_side=True)
            self.peer = tls.getpeercert()
            conn = Conn(tls)
            self.conns.append(conn)
            while True:
                m = conn.recv(60)
                self.bytes += m.raw
                self.calls.append(m.get("Call-ID"))
                if m.status == 0 and m.method != "ACK":
                    conn.send(m.reply(200))
        except (OSError, Closed, Silent):
            raw.close()

    def run(self):
        while True:
            try:
                raw, _ = self.sock.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(raw,), daemon=True).start()

    def close(self):
        self.sock.shutdown(socket.SHUT_RDWR)    # who waits in accept() holds the port
        self.sock.close()
        for c in self.conns:
            try:
                c.sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass    # gone already


def logged_reason(edge, event, *words, since=0):
    """The reason of the first such line, once there is one. since: a place in the log, for ports come again."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        for line in edge.log()[since:].split("\n"):
            if "event=" + event in line and all(w in line for w in words):
                return [w for w in line.split() if w.startswith("reason=")][0][7:]
        time.sleep(0.02)
    return "nothing in the log"


def shown(edge, addr, cert, call_id, message):
    """What comes of a connection to a door with this certificate."""
    since = len(edge.log())
    conn, source = call(addr, cert, "edge.int.example.com" if addr == INNER else "sip.example.com")
    if conn is None:
        return logged_reason(edge, "disconnected", "peer=%s " % source, since=since)
    try:
        try:
            conn.send(message)
            status = conn.recv().status
        except Closed:
            conn.close()    # the edge waits a moment for that, so that its alert is not lost
            return logged_reason(edge, "disconnected", "peer=%s " % source, since=since)
        if status == 403:
            return logged_reason(edge, "refused", 'call-id="%s"' % call_id)
        return "ok" if status in (200, 404) else str(status)
    finally:
        conn.close()


def partner_door(edge, director, name, cert):
    call_id = "in-" + cert
    got = shown(edge, PARTNERS, cert, call_id, request(sender="sip:eve@" + domain_of(name), call=call_id))
    if got != "ok" and call_id in director.calls:
        return got + ", and the Director got the message"
    return got


def inner_door(edge, cert):
    call_id = "inner-" + cert
    return shown(edge, INNER, cert, call_id, request(uri="sip:bob@nowhere.example", sender="sip:alice@example.com", call=call_id))


def called_partner(edge, inside, i, name, cert):
    far = Far("%s:%d" % (PARTNER, FIRST_PORT + i), cert)
    try:
        inside.send(request(uri="sip:eve@" + domain_of(name), sender="sip:alice@example.com", call="out-" + cert))
        status = inside.recv().status
        if status == 200:
            return "ok"
        got = logged_reason(edge, "connect-failed", "port=%d " % (FIRST_PORT + i))
        if status != 504:
            return "%s, answered with %d" % (got, status)
        return got if not far.bytes else got + ", and it got %r" % far.bytes[:40]
    finally:
        far.close()


# ---- the tests ----

def everywhere():
    director = Far(DIR1 + ":5061", "director")
    edge = Edge("zoo", config(['{ name = "%s"; address = "%s"; }' % (DIRECTOR, DIR1)]), policy())
    inside, _ = call(INNER, "director", "edge.int.example.com")
    for i, (name, _, expected, _) in enumerate(ZOO):
        got = partner_door(edge, director, name, name + "-out")
        T.check("partner door: %s: %s" % (name, expected[0]), got == expected[0], "(%s)" % got)
        got = called_partner(edge, inside, i, name, name + "-out")
        T.check("called partner: %s: %s" % (name, expected[1]), got == expected[1], "(%s)" % got)
        if expected[2] is not None:
            got = inner_door(edge, name + "-in")
            T.check("inner door: %s: %s" % (name, expected[2]), got == expected[2], "(%s)" % got)
    since = len(edge.log())
    conn, source = call(PARTNERS, None)
    T.check("partner door: none shown: certificate-missing",
            logged_reason(edge, "disconnected", "peer=%s " % source, since=since) == "certificate-missing")
    since = len(edge.log())
    conn, source = call(INNER, None, "edge.int.example.com")
    T.check("inner door: none shown: certificate-missing",
            logged_reason(edge, "disconnected", "peer=%s " % source, since=since) == "certificate-missing")
    got = shown(edge, INNER, "good-out", "x", request())
    T.check("inner door: a partner's: not-internal-peer", got == "not-internal-peer", "(%s)" % got)
    sessions(edge)
    beside(edge, inside)
    listed(edge)
    changes(edge, inside)
    T.check("the edge ends in order", edge.stop() == 0)
    director.close()


def explained():
    """sallyportctl explain comes to the same verdicts, from the files alone."""
    path = os.path.join(RUN, "explain.conf")
    write(path, policy().encode())

    def ask_(*args):
        p = subprocess.run([os.path.join(BUILD, "sallyportctl"), "explain", "--json", "--policy", path, "--trust", pem("trust"),
                            "--crl", CRLS, *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        if p.returncode > 1:
            return "status %d: %s" % (p.returncode, p.stderr.decode()), {}
        said = json.loads(p.stdout)
        reason = said["decision"]["reason"]
        if (reason == "allowed") != (p.returncode == 0):
            return "%s with status %d" % (reason, p.returncode), said
        return "ok" if reason == "allowed" else reason, said

    def rows():
        for name, _, expected, _ in ZOO:
            cert, there = pem(name + "-out"), "eve@" + domain_of(name)
            out = ("--direction", "out", "--from", "alice@example.com", "--to")
            yield ("who shows " + name, expected[0],
                   ("--from", there, "--to", "bob@example.com", "--door", "partners", "--peer-cert", cert))
            yield "who is called with " + name, expected[1], out + (there, "--hop-cert", cert)
            if expected[2] is not None:
                yield "who comes inside with " + name, expected[2], out + ("bob@good.example", "--peer-cert", pem(name + "-in"))

    with ThreadPoolExecutor(4) as pool:
        todo = [(what, want, pool.submit(ask_, *args)) for what, want, args in rows()]
    for what, want, asked in todo:
        got, said = asked.result()
        if got == "hop-certificate":
            got = said["certificate"][0]["closed-for"]
        T.check("explained: %s: %s" % (what, want), got == want, "(%s)" % got)


def far_end(edge, inside, port, cert, message):
    """What comes of a message that leads to a server with this certificate."""
    far = Far("%s:%d" % (PARTNER, port), cert)
    since = len(edge.log())
    try:
        inside.send(message)
        status = inside.recv().status
        if status == 200:
            return "ok"
        got = logged_reason(edge, "connect-failed", "port=%d " % port, since=since)
        if status != 504:
            return "%s, answered with %d" % (got, status)
        return got if not far.bytes else got + ", and it got %r" % far.bytes[:40]
    finally:
        far.close()


def others():
    """Providers, branches, and the clearing house that we are a member of."""
    director = Far(DIR1 + ":5061", "director")
    conf = config(['{ name = "%s"; address = "%s"; }' % (DIRECTOR, DIR1)])
    edge = Edge("others", conf, branches_first())
    inside, _ = call(INNER, "director", "edge.int.example.com")
    paths = {}
    for name, kind, _, _, _ in OTHERS:
        if kind == "branch":
            conn, _ = call(PARTNERS, name + "-first")
            conn.send(request("REGISTER", uri="sip:example.com", to="sip:alice@example.com", call="path-" + name,
                              headers=["Contact: <sip:alice@192.0.2.9>"]))
            T.check("a branch's user signs in: %s" % name, conn.recv().status == 200)
            conn.close()
            whole = [m for m in director.bytes.decode("latin-1").split("REGISTER ") if "path-" + name in m][0]
            paths[name] = [x for x in whole.split("\r\n") if x.startswith("Path:")][0].split(":", 1)[1].strip()
    edge.write("policy.conf", policy() + others_policy())
    edge.hup()
    T.check("the rules about their certificates are in force", edge.logged("event=reloaded"))
    for i, (name, kind, _, (want_in, want_out), _) in enumerate(OTHERS):
        cert = name + "-out"
        if kind == "provider":
            there = "sip:eve@at.%s.example" % name
            got = shown(edge, PARTNERS, cert, "in-" + cert, request(sender=there, call="in-" + cert))
            T.check("partner door: %s: %s" % (name, want_in), got == want_in, "(%s)" % got)
            got = far_end(edge, inside, FIRST_PORT + 300 + i, cert, request(uri=there, call="out-" + cert))
            T.check("called provider: %s: %s" % (name, want_out), got == want_out, "(%s)" % got)
        elif kind == "branch":
            got = far_end(edge, inside, 5061, cert, request(
                uri="sip:alice@192.0.2.9", sender="sip:bob@example.com", to="sip:alice@example.com", call="out-" + cert,
                headers=["Route: " + paths[name]]))
            T.check("called branch: %s: %s" % (name, want_out), got == want_out, "(%s)" % got)
            got = shown(edge, PARTNERS, cert, "in-" + cert, request(call="in-" + cert))
            T.check("partner door: %s: %s" % (name, want_in), got == want_in, "(%s)" % got)
    for name, kind, _, (want_in, want_out), options in OTHERS:
        cert = name + "-out"
        if kind != "default_route":
            continue
        since = len(edge.log())
        edge.write("policy.conf", member_policy(name, options))
        edge.hup()
        end = time.monotonic() + PATIENCE
        while "event=reloaded" not in edge.log()[since:] and time.monotonic() < end:
            time.sleep(0.02)
        there = "sip:eve@anybody.example"
        got = shown(edge, PARTNERS, cert, "in-" + cert, request(sender=there, call="in-" + cert))
        T.check("partner door: %s: %s" % (name, want_in), got == want_in, "(%s)" % got)
        got = far_end(edge, inside, FIRST_PORT + 400, cert, request(uri=there, call="out-" + cert))
        T.check("called clearing house: %s: %s" % (name, want_out), got == want_out, "(%s)" % got)
    T.check("the edge ends in order", edge.stop() == 0)
    director.close()


def sessions(edge):
    """Who has a session of the users' door has nothing at the partners'."""
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        first, _ = call(USERS, None, version=version)
        session = first.sock.session
        again, source = None, ""
        if session is not None:
            ctx = careless(False)
            ctx.maximum_version = version
            # a session belongs to its context: the same one calls the other door
            raw = socket.create_connection((OUT, 443), PATIENCE, (SOURCE, 0))
            raw.settimeout(PATIENCE)
            one_ = ctx.wrap_socket(raw, server_hostname="sip.example.com")
            session = one_.session
            since = len(edge.log())
            raw = socket.create_connection((OUT, 5061), PATIENCE, (SOURCE, 0))
            raw.settimeout(PATIENCE)
            source = "%s:%d" % raw.getsockname()
            try:
                again = ctx.wrap_socket(raw, server_hostname="sip.example.com", session=session)
                reused = again.session_reused
                again.send(request())
                again.recv(1)
            except OSError:
                reused = False
            one_.close()
            T.check("a session of the users' door opens no other door (%s)" % version.name, not reused and
                    logged_reason(edge, "disconnected", "peer=%s " % source, since=since) == "certificate-missing")
        else:
            T.check("there are no sessions to take to another door (%s)" % version.name, True)
        first.close()


def beside(edge, inside):
    """A certificate with two partners' names: good enough for one of them, and no way to the other, who is pinned."""
    conn, _ = call(PARTNERS, "two-partners")
    conn.send(request(sender="sip:eve@good.example", call="two-1"))
    T.check("two partners in one certificate: one may speak", conn.recv().status == 200)
    conn.send(request(sender="sip:eve@pinned-wrong-key.example", call="two-2"))
    T.check("two partners in one certificate: the pinned one may not", conn.recv().status == 403 and
            logged_reason(edge, "refused", 'call-id="two-2"') == "from-not-of-partner")
    inside.send(request(uri="sip:bob@pinned-wrong-key.example", sender="sip:alice@example.com"))
    T.check("two partners in one certificate: nothing for the pinned one goes out there",
            inside.recv().status == 504 and conn.quiet())
    inside.send(request(uri="sip:bob@good.example", sender="sip:alice@example.com"))
    conn.send(conn.recv().reply(200))
    T.check("two partners in one certificate: what is for the other one does", inside.recv().status == 200)
    conn.close()


def listed(edge):
    """What the administrator sees of all this."""
    path = os.path.join(RUN, "peers")

    def lines_with(*words):
        try:
            return [x for x in read(path).decode().split("\n") if all(w in x for w in words)]
        except FileNotFoundError:
            return []

    end = time.monotonic() + 15
    want = ("fingerprint=" + fingerprint("name-of-the-inside-out"),)
    while not lines_with(*want) and time.monotonic() < end:
        time.sleep(0.05)
    for cert, words in (("good-out", ("verdict=accepted", 'names="sip.good.example"', "usage=server,client", "key=" + pin("good-out"))),
                        ("revoked-out", ("verdict=refused", "reason=certificate-revoked", 'names="sip.revoked.example"')),
                        ("pinned-wrong-key-out", ("verdict=refused", "reason=certificate-pin")),
                        ("refused-in", ("verdict=refused", "reason=certificate-refused", "issuer=")),
                        ("nul-in-name-out", ("verdict=accepted", 'names=""'))):
        got = lines_with("fingerprint=" + fingerprint(cert), *words)
        T.check("listed for the administrator: %s" % cert, len(got) == 1, repr(lines_with(fingerprint(cert))))
    mode = os.stat(path).st_mode & 0o777
    T.check("the list is not for everybody", mode == 0o640, oct(mode))


def replace(path, data):
    """As whoever renews does it: a whole new file takes the old one's place."""
    write(path + ".tmp", data)
    os.chown(path + ".tmp", pwd.getpwnam("nobody").pw_uid, -1)
    os.rename(path + ".tmp", path)


def ask(conn, name, n):
    conn.send(request(sender="sip:eve@%s.example" % name, call="%s-%d" % (name, n)))
    return conn.recv().status


def changes(edge, inside):
    """Files change while the edge runs; nobody tells it."""
    later, _ = call(PARTNERS, "later")
    too, _ = call(PARTNERS, "later-too")
    T.check("two partners are connected", ask(later, "later", 1) == 200 and ask(too, "later-too", 1) == 200)

    make("revoke", "later")
    replace(os.path.join(CRLS, "example.pem"), read(os.path.join(PKI, "example.crl.pem")))
    T.check("a new revocation list is noticed", edge.logged("event=certificate-renewed", "outer[1]"))
    T.check("who is revoked by it is disconnected", later.closed() and edge.logged("reason=certificate-revoked", "class=direct"))
    T.check("who is not stays connected", ask(too, "later-too", 2) == 200)
    got = shown(edge, PARTNERS, "later", "later-3", request(sender="sip:eve@later.example", call="later-3"))
    T.check("and does not come back", got == "certificate-revoked", "(%s)" % got)

    replace(os.path.join(CRLS, "example.pem"), b"-----BEGIN X509 CRL-----\nMIIB\n-----END X509 CRL-----\n")
    T.check("a bad list is said loudly", edge.logged(" error ", "event=certificate-kept", "outer[1]"))
    got = shown(edge, PARTNERS, "later", "later-4", request(sender="sip:eve@later.example", call="later-4"))
    T.check("a bad list leaves the old one in force", got == "certificate-revoked" and ask(too, "later-too", 3) == 200, "(%s)" % got)
    kept = sum("event=certificate-kept" in x and "outer[1]:" in x for x in edge.log().split("\n"))
    replace(os.path.join(CRLS, "example.pem"), read(os.path.join(PKI, "example.crl.pem")))

    def who():
        c, _ = call(USERS, None)
        subject = dict(x[0] for x in c.sock.getpeercert()["subject"])
        c.close()
        return subject["commonName"]

    def until(what):
        end = time.monotonic() + PATIENCE
        while who() != what and time.monotonic() < end:
            time.sleep(0.05)
        return who() == what

    T.check("a bad list is said once", kept == 1, str(kept))
    T.check("before a renewal the old certificate is shown", who() == "sip.example.com")
    key = os.path.join(PKI, "edge-outer.key")
    old = read(pem("edge-outer")), read(key)
    replace(pem("edge-outer"), read(pem("renewed")))
    T.check("a certificate without its key leaves the old one in force",
            edge.logged("event=certificate-kept", "outer[0]") and who() == "sip.example.com")
    replace(key, read(os.path.join(PKI, "renewed.key")))
    T.check("a renewed certificate is shown, without HUP", until("renewed"))
    T.check("connections have lived through it", ask(too, "later-too", 4) == 200)

    def refuse():
        edge.write("policy.conf", policy().replace("refused_certificates = [", 'refused_certificates = [ "%s",' %
                                                   fingerprint("later-too")))
        edge.hup()
        return too.closed() and edge.logged("reason=certificate-refused", "class=direct")
    T.run("a connection ends when its certificate is refused", refuse)

    gone = edge.logged("event=disconnected", "class=direct", "peer=%s:%d " % (PARTNER, FIRST_PORT))
    T.check("the connection to the first partner is gone", gone)
    far = Far("%s:%d" % (PARTNER, FIRST_PORT), "good-out")
    inside.send(request(uri="sip:eve@good.example", sender="sip:alice@example.com"))
    T.check("we dial with an identity of our own", inside.recv().status == 200 and far.peer is not None and
            (("commonName", "dialling"),) in far.peer["subject"], repr(far.peer))
    far.close()
    replace(pem("edge-outer"), old[0])
    replace(key, old[1])


def directors():
    """Eight at a time: each one's address is that of a Director, and who answers there shows an odd certificate."""
    rows = [(name, expected[3]) for name, _, expected, _ in ZOO if expected[3] is not None]
    rows.append(("", "certificate-name"))
    for at in range(0, len(rows), 8):
        batch = [(FIRST_PORT + at + k, name, want) for k, (name, want) in enumerate(rows[at:at + 8])]
        fars = [Far("%s:%d" % (DIR2, port), name + "-in" if name else "impostor-inside") for port, name, _ in batch]
        edge = Edge("directors-%d" % at, config(['{ name = "%s"; port = %d; address = "%s"; }' % (DIRECTOR, port, DIR2)
                                                 for port, _, _ in batch]), policy())
        for (port, name, want), far in zip(batch, fars):
            if want == "ok":
                good = edge.logged("event=hop-up", "port=%d " % port)
                got = "ok" if good else logged_reason(edge, "connect-failed", "port=%d " % port)
            else:
                got = logged_reason(edge, "connect-failed", "port=%d " % port)
                if far.bytes:
                    got += ", and it got %r" % far.bytes[:40]
            T.check("called Director: %s: %s" % (name or "another server of ours", want), got == want, "(%s)" % got)
        edge.stop()
        for far in fars:
            far.close()


class Director(Edge):
    """sallyport-director as a process of ours; the same doors of the same rooms."""

    def __init__(self):
        self.dir = os.path.join(RUN, "director")
        os.makedirs(self.dir, exist_ok=True)
        self.configure([fingerprint("refused-in")])
        self.launch("sallyport-director", "director.conf")

    def configure(self, refused):
        self.write("director.conf", "control = { socket = \"%s/director.sock\"; };" % self.dir + """
name = "%s"; domains = [ "example.com" ]; user = "nobody"; workers = 1;
tls = { certificate = "%s"; key = "%s/director.key"; trust = "%s"; crl = "%s"; refused = [ %s ]; };
doors = ( { listen = "%s:5062"; admits = "servers"; } );
edges = ( { name = "edge.int.example.com"; address = "%s"; }, { name = "edge2.int.example.com"; address = "%s"; } );
pools = ( { name = "pool.int.example.com"; address = "%s"; } );
auth = { users = "%s/users"; };
""" % (DIRECTOR, pem("director"), PKI, pem("trust"), CRLS, ", ".join('"%s"' % r for r in refused), DIR1, IN, IN, DIR2, self.dir))


def director_daemon():
    """The Director's own doors, and what changes while it runs."""
    d = Director()
    address = DIR1 + ":5062"

    def came(cert):
        since = len(d.log())
        conn, source = call(address, cert, DIRECTOR)
        if conn is None:
            return None, logged_reason(d, "disconnected", "peer=%s " % source, since=since)
        try:
            conn.send(request("OPTIONS", uri="sip:example.com", sender="sip:eve@example.com", mf=0))
            conn.recv()
            return conn, "ok"
        except Closed:
            conn.close()
            return None, logged_reason(d, "disconnected", "peer=%s " % source, since=since)

    for cert, want in (("edge-inner", "ok"), ("expired-in", "certificate-expired"), ("revoked-in", "certificate-revoked"),
                       ("refused-in", "certificate-refused"), ("wrong-authority-in", "certificate-untrusted"),
                       ("list-missing-in", "certificate-crl"), ("sha1-in", "certificate-weak"),
                       ("wildcard-in", "untrusted-peer"), ("good-out", "untrusted-peer")):
        conn, got = came(cert)
        T.check("the Director's door: %s: %s" % (cert, want), got == want, "(%s)" % got)
    one_, _ = came("edge-inner")
    two, _ = came("edge2")
    make("revoke", "edge2")
    replace(os.path.join(CRLS, "example.pem"), read(os.path.join(PKI, "example.crl.pem")))
    T.check("the Director notices a new revocation list", d.logged("event=certificate-renewed"))
    T.check("who is revoked by it is disconnected from the Director", two.closed() and
            d.logged("event=disconnected", "reason=certificate-revoked", "class=edge"))
    replace(os.path.join(CRLS, "example.pem"), b"nonsense")
    T.check("the Director says loudly that a list is bad", d.logged(" error ", "event=certificate-kept"))
    one_.send(request("OPTIONS", uri="sip:example.com", sender="sip:eve@example.com", mf=0))
    T.check("who is not revoked stays connected to the Director", one_.recv().status != 0)
    replace(os.path.join(CRLS, "example.pem"), read(os.path.join(PKI, "example.crl.pem")))
    d.configure([fingerprint("refused-in"), fingerprint("edge-inner")])
    d.hup()
    T.check("who is refused from now on is disconnected from the Director", one_.closed() and
            d.logged("event=disconnected", "reason=certificate-refused", "class=edge"))
    T.check("the Director ends in order", d.stop() == 0)


make_zoo()
make("cert", "edge2", "--dns", "edge2.int.example.com")
make("cert", "impostor-inside", "--dns", "pool.int.example.com")
give_away()
Resolver(DNS, named)
try:
    everywhere()
    explained()
    others()
    directors()
    director_daemon()
finally:
    for left in list(Edge.running):
        left.stop()
sys.exit(1 if T.failed else 0)
