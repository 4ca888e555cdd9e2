"""kerberos - sign-ins with tickets, each byte of them the test's own: through the
edge and the Director of kerberos.sh, which runs this."""

import base64
import os
import subprocess
import sys

import msclient
from msclient import REALM, gssapi, offers, parameters, with_header
from sipnet import Message, Tests, dial, request

LAB, EDGE = os.environ["LAB"], os.environ["EDGE"]
TARGET = "sip/director.int.example.com"
SERVICE = "sip@director.int.example.com"

T = Tests()
serial = [0]


class Helper:
    """tests/lab/kerberos.c with somebody's tickets."""

    def __init__(self, who, ahead=0):
        self.proc = subprocess.Popen([LAB + "/kerberos"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                     env=dict(os.environ, KRB5CCNAME="FILE:%s/kdc/%s" % (LAB, who), CLOCK_AHEAD=str(ahead)))

    def ask(self, *words):
        self.proc.stdin.write(" ".join(words) + "\n")
        self.proc.stdin.flush()
        what, _, value = self.proc.stdout.readline().strip().partition(" ")
        assert what != "error", value
        return value or what

    def close(self):
        self.proc.stdin.close()
        self.proc.wait(10)


class Kerberos(msclient.Association):
    """An association as msclient has it; the helper does what NTLM's keys do there."""

    def __init__(self, helper, version=4):
        super().__init__(TARGET, version)
        self.helper = helper

    def text(self, m, random, number):
        return b"<Kerberos>" + msclient.text_of(m, self.version, random, number, TARGET)[len("<NTLM>"):]

    def credentials(self, more=""):
        return super().credentials(more).replace("NTLM ", "Kerberos ", 1)

    def signature(self, m, number=None):
        self.cnum += 1
        random, number = "5c3a91f0", str(number or self.cnum)
        return ', crand="%s", cnum="%s", response="%s"' % (
            random, number, self.helper.ask("sign", self.text(m, random, number).hex()))

    def is_right(self, m):
        infos = m.all("Authentication-Info")
        if len(infos) != 1:
            return False
        scheme, p = parameters(infos[0])
        if (scheme, p.get("realm"), p.get("targetname"), p.get("qop")) != ("Kerberos", REALM, TARGET, "auth"):
            return False
        self.opaque = self.opaque or p["opaque"]
        if p["opaque"] != self.opaque or p["snum"] in self.snums:
            return False
        self.snums.add(p["snum"])
        return self.helper.ask("verify", self.text(m, p["srand"], p["snum"]).hex(), p["rspauth"]) == "good"


class Client:
    def __init__(self, who="alice", name="alice", version=4, service=SERVICE, ahead=0):
        serial[0] += 1
        self.name, self.aor, self.epid = name, "sip:%s@example.com" % name, "f%07x" % serial[0]
        self.call, self.cseq = "kerberos-%d-%d" % (os.getpid(), serial[0]), 0
        self.helper = Helper(who, ahead)
        self.token = bytes.fromhex(self.helper.ask("token", service))
        self.sa = Kerberos(self.helper, version)
        self.conn = dial(EDGE)
        self.signed_in = False

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.signed_in:      # the pool does not keep everybody
            self.ask(self.signed(expires=0))
        self.conn.close()
        self.helper.close()

    def make(self, method="REGISTER", uri="sip:example.com", **more):
        self.cseq += 1
        headers, expires = more.pop("headers", ()), more.pop("expires", 300)
        if method == "REGISTER":
            headers = ("Contact: <sip:%s@192.0.2.7:5061;transport=tls>;proxy=replace" % self.name, "Expires: %d" % expires,
                       "Supported: path") + tuple(headers)
        return request(method, uri, self.aor, to=self.aor if method == "REGISTER" else uri, tag="t1;epid=" + self.epid,
                       call=self.call, cseq=self.cseq, headers=headers, **more)

    def ask(self, data):
        self.conn.send(data)
        got = self.conn.recv()
        while 100 <= got.status < 200 or not got.status:
            got = self.conn.recv()
        return got

    def registration(self, token=None):
        data = self.make()
        more = gssapi(self.token if token is None else token)
        if self.sa.version >= 4:
            more += self.sa.signature(Message(data))
        return with_header(data, "Authorization: " + self.sa.credentials(more))

    def sign_in(self):
        got = self.ask(self.registration())
        assert got.status == 200, got.raw
        assert self.sa.is_right(got), got.raw
        self.signed_in = True
        return got

    def signed(self, *args, number=None, **more):
        data = self.make(*args, **more)
        return with_header(data, self.sa.header(Message(data), number))


def offered():
    with Client() as c:
        got = c.ask(c.make())
        assert got.status == 401, got.start
        scheme, p = parameters(got.all("WWW-Authenticate")[0])
        assert (scheme, p["targetname"], p["realm"], p["version"]) == ("Kerberos", TARGET, REALM, "4"), p
        assert "opaque" not in p and "gssapi-data" not in p, p
        assert "NTLM" in offers(got)[0] and "Digest" in offers(got)[0]


def one_trip(version):
    def run():
        with Client(version=version) as c:
            c.sign_in()
            assert c.ask(c.signed("OPTIONS", "sip:example.com")).status != 401
            got = c.ask(c.signed())
            assert got.status == 200 and c.sa.is_right(got), got.raw
    return run


def tampered():
    with Client() as c:
        c.sign_in()
        good = c.signed("MESSAGE", "sip:dora@example.com", body=b"x", headers=("Content-Type: text/plain",))
        for was, now in ((b"From: <sip:alice", b"From: <sip:dora"), (b"To: <sip:dora", b"To: <sip:bob"),
                         (b"tag=t1", b"tag=t2"), (b'cnum="2"', b'cnum="9"'), (b'crand="5c', b'crand="5d')):
            assert was in good, was
            got = c.ask(good.replace(was, now, 1).replace(b"branch=z9hG4bKt", b"branch=z9hG4bKu" + now[-2:].hex().encode()))
            # who does not sign in again when asked to is told so in the end
            assert got.status in (401, 403), (now, got.start)
        # another user's signature
        at = good.index(b'response="') + len(b'response="')
        got = c.ask(good[:at] + b"0404" + b"00" * 26 + good[at + 56:])
        assert got.status in (401, 403), got.start
        # and nothing of that was taken for a use of the number
        got = c.ask(c.signed(number=3))
        assert got.status == 200, got.start


def replayed_message():
    with Client() as c:
        c.sign_in()
        data = c.signed()
        assert c.ask(data).status == 200
        again = data.replace(b"branch=z9hG4bKt", b"branch=z9hG4bKagain")
        assert c.ask(again).status == 401


def refused(got):
    """A 401 that offers Kerberos alone: nothing weaker in its place."""
    assert got.status == 401, got.start
    assert offers(got)[0] == ["Kerberos"], offers(got)
    assert not got.all("Authentication-Info")


def replayed_ticket():
    with Client() as c:
        c.sign_in()
        with Client() as thief:
            thief.token = c.token
            refused(thief.ask(thief.registration()))
        # which ends nothing
        assert c.ask(c.signed()).status == 200


def stolen_ticket():
    """Whoever has the token alone and not the key cannot sign: in version 4 it is worth nothing."""
    with Client() as c, Client() as thief:
        thief.token = c.token
        got = thief.ask(thief.registration())
        assert got.status == 401, got.start


def garbage():
    with Client() as c:
        refused(c.ask(c.registration(token=b"\x60\x82\xff\xff" + bytes(200))))
        refused(c.ask(c.registration(token=c.token[:-40])))
        spoiled = bytearray(c.token)
        spoiled[len(spoiled) // 2] ^= 1
        refused(c.ask(c.registration(token=bytes(spoiled))))
        refused(c.ask(c.registration(token=b"NTLMSSP\0\1\0\0\0" + bytes(20))))
        data = with_header(c.make(), "Authorization: " + c.sa.credentials(', gssapi-data="!not base64!"'))
        assert c.ask(data).status == 400
        data = with_header(c.make(), "Authorization: " + c.sa.credentials(', gssapi-data=""'))
        assert c.ask(data).status == 400


def wrong_service():
    with Client(service="host@director.int.example.com") as c:
        refused(c.ask(c.registration()))


def stranger():
    with Client("stranger", "alice") as c:
        refused(c.ask(c.registration()))


def another_name():
    """A good ticket, and From says somebody else."""
    with Client("alice", "dora") as c:
        got = c.ask(c.registration())
        assert got.status == 403, got.start


def skewed():
    """A client whose clock is wrong: it is told the time, and that this is the reason."""
    with Client():
        pass        # a ticket for us is in the cache from now on, so the KDC has no say
    for ahead in (3600, -3600):
        with Client(ahead=ahead) as c:
            got = c.ask(c.registration())
            refused(got)
            assert got.get("Date"), got.raw
            assert (got.get("ms-diagnostics-public") or got.get("ms-diagnostics") or "").startswith("1013;"), got.raw


def other_realm():
    """Two realms that are ours, and one that is trusted by the KDC and not by us."""
    with Client("olga", "olga") as c:
        c.sign_in()
        got = c.ask(c.signed())
        assert got.status == 200 and c.sa.is_right(got), got.raw
    with Client("olga", "alice") as c:
        got = c.ask(c.registration())
        assert got.status == 403, got.start
    with Client("other", "alice") as c:
        refused(c.ask(c.registration()))


def long_tickets():
    """A Windows domain writes the user's groups into a ticket: authd has to see it. What no header may hold is answered."""
    with Client() as c:
        refused(c.ask(c.registration(token=c.token + bytes(5700 - len(c.token)))))
    with Client() as c:
        got = c.ask(c.registration(token=c.token + bytes(12000)))
        assert got.status == 400, got.start
    with Client() as c:
        c.token = bytes.fromhex(c.helper.ask("token", SERVICE))
        c.sign_in()


def no_keytab():
    """Nobody is told that a ticket is wrong when it is we who cannot look at it."""
    keytab = LAB + "/kdc/sip.keytab"
    with Client() as c:
        os.rename(keytab, keytab + ".away")
        try:
            got = c.ask(c.registration())
            assert got.status == 500, got.start
        finally:
            os.rename(keytab + ".away", keytab)
        c.token = bytes.fromhex(c.helper.ask("token", SERVICE))
        c.sign_in()


T.run("Kerberos is offered first, without opaque", offered)
for v in (2, 3, 4):
    T.run("one round trip, version %d: signed both ways" % v, one_trip(v))
T.run("a tampered request is refused", tampered)
T.run("a replayed request is refused", replayed_message)
T.run("a replayed ticket is refused", replayed_ticket)
T.run("a ticket without its key is worth nothing", stolen_ticket)
T.run("garbage for a ticket is refused", garbage)
T.run("a ticket for another service is refused", wrong_service)
T.run("a ticket of nobody we know is refused", stranger)
T.run("a ticket for another name is refused", another_name)
T.run("a clock that is wrong is the reason", skewed)
T.run("users of two realms, and none of a third", other_realm)
T.run("a ticket may be long", long_tickets)
T.run("a keytab that is gone is our fault", no_keytab)
sys.exit(0)
