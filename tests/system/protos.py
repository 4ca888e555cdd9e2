"""protos - thousands of malformed messages, made from good ones by a generator
that a seed determines, against a running edge (in ./runtests also one built with
the sanitizers). A good client beside them keeps its service, and every request
is answered, or its connection closed, or counted as dropped. Run by protos.sh.

    protos.py [SEED [COUNT [GROUP...]]]
"""

import collections
import os
import random
import re
import select
import sys
import time

from hostile import MARK, T, World, run
from sipnet import TOP, Closed, Silent, request
from sloppy import look

SEED = int(sys.argv[1]) if len(sys.argv) > 1 else 4475
COUNT = int(sys.argv[2]) if len(sys.argv) > 2 else 5000
sys.argv[1:] = sys.argv[3:]
SLOTS = 32               # connections at a time; on each a malformed message, then an ordinary one

INTERESTING = [b"", b"0", b"-1", b"1", b"255", b"256", b"65535", b"65536", b"2147483647", b"2147483648", b"4294967295",
               b"4294967296", b"18446744073709551616", b"9" * 40, b"%", b"%%", b"%0", b"%00", b"%n%n%n", b"%s" * 20, b"\0", b"\r",
               b"\n", b"\r\n", b"\r\n ", b"\r\n\t", b"\r\n\r\n", b"\t", b" " * 50, b"\x7f", b"\xff", b"\xc0\x80", b"\xe2\x80\xa8",
               b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\"", b"\\", b"\\\"", b"<", b">", b"<>", b"<<", b"(", b")", b",", b",,,", b";", b";;",
               b"=", b":", b"::", b"@", b"@@", b"?", b"&", b"[", b"]", b"[::1]", b"[::ffff:127.0.0.1]", b"[" + b":" * 40 + b"]", b"*", b"/",
               b"sip:", b"sips:", b"tel:", b"SIP/2.0", b"SIP/2.0/TLS", b"z9hG4bK", b"z9hG4bKsp00000000000000000000000000", b"a" * 300,
               b"A" * 9000, b"a," * 200, b";a=b" * 100, b"<sip:a@b>," * 80, b"\"" * 101, b"%41" * 120, b"(" * 200, b"\xc3\xa4" * 200]
HEADERS = [b"Via", b"v", b"From", b"f", b"To", b"t", b"Call-ID", b"i", b"CSeq", b"Max-Forwards", b"Contact", b"m", b"Content-Length", b"l",
           b"Content-Type", b"c", b"Route", b"Record-Route", b"Path", b"Supported", b"k", b"Require", b"Proxy-Require", b"Expires", b"Event",
           b"Authorization", b"Proxy-Authorization", b"Refer-To", b"r", b"Referred-By", b"Subject", b"s", b"Date", b"X-Odd",
           b"P-Asserted-Identity", MARK.encode(), b"ms-asserted-verification-level", b"Session-Expires", b"x", b"Unsupported"]


def seeds():
    """Good messages: of each method, and those of the torture folder."""
    for method in ("MESSAGE", "INVITE", "REGISTER", "SUBSCRIBE", "OPTIONS", "NOTIFY", "INFO", "SERVICE", "BYE", "REFER"):
        yield request(method, "sip:example.com" if method == "REGISTER" else "sip:bob@example.com", to="sip:bob@example.com",
                      headers=["Contact: \"A, B\" <sip:alice@192.0.2.7:5061;transport=tls>;q=0.5", "Supported: path, outbound", "Expires: 3600",
                               "Authorization: Digest username=\"alice\", realm=\"example.com\", nonce=\"abc\", uri=\"sip:example.com\", response=\"00\"",
                               "User-Agent: good"], body=b"hello")
    yield request("INVITE", headers=["Record-Route: <sip:a.example.net;lr>, <sip:b.example.net;lr>", "Via: SIP/2.0/UDP a;branch=z9hG4bKb, SIP/2.0/TCP [2001:db8::1]:5060"])
    folder = os.path.join(TOP, "tests", "sip", "torture")
    for name in sorted(os.listdir(folder)):
        if name.endswith(".sip") and name != "clerr.sip":
            with open(os.path.join(folder, name), "rb") as f:
                yield f.read()


def mangle(r, raw):
    """One to four changes, each of its own kind."""
    for _ in range(r.choice((1, 1, 1, 2, 2, 3, 4))):
        head, sep, body = raw.partition(b"\r\n\r\n")
        lines = head.split(b"\r\n")
        i = r.randrange(len(lines))
        kind = r.randrange(16)
        if kind == 0:       # a byte becomes another
            at = r.randrange(max(1, len(raw)))
            raw = raw[:at] + bytes([r.randrange(256)]) + raw[at + 1:]
            continue
        if kind == 1:       # a piece is taken out, or stands twice
            at, n = r.randrange(max(1, len(raw))), r.randrange(1, 40)
            raw = raw[:at] + (raw[at:at + n] * 2 if r.random() < 0.5 else b"") + raw[at + n:]
            continue
        if kind == 2:       # something odd anywhere
            at = r.randrange(max(1, len(head)))
            raw = raw[:at] + r.choice(INTERESTING) + raw[at:]
            continue
        if kind == 3:       # a line twice, at another place
            lines.insert(r.randrange(1, len(lines) + 1), lines[i])
        elif kind == 4 and len(lines) > 1:
            del lines[i]
        elif kind == 5:
            r.shuffle(lines)
        elif kind == 6:     # a value becomes something odd
            name, colon, _ = lines[i].partition(b":")
            lines[i] = name + colon + b" " + r.choice(INTERESTING)
        elif kind == 7:     # a header with an odd value
            lines.insert(r.randrange(1, len(lines) + 1), r.choice(HEADERS) + r.choice((b":", b" :", b"\t: ", b"", b"=", b"::")) + r.choice(INTERESTING))
        elif kind == 8:     # very many of one
            lines[1:1] = [r.choice(HEADERS) + b": " + r.choice(INTERESTING[:20])] * r.choice((2, 40, 127, 128, 300))
        elif kind == 9:     # a number becomes another
            lines[i] = re.sub(rb"\d+", lambda _: r.choice(INTERESTING[1:14]), lines[i], count=r.randrange(1, 4))
        elif kind == 10:    # a delimiter becomes another, or many
            lines[i] = re.sub(rb"[:;,=<>@\"/ ]", lambda m: r.choice((b":", b";", b",", b"=", b"<", b">", b"@", b"\"", b"/", b" ", b"", m.group(0) * 9)),
                              lines[i], count=r.randrange(1, 4))
        elif kind == 11:    # folded anywhere
            at = r.randrange(len(lines[i]) + 1)
            lines[i] = lines[i][:at] + r.choice((b"\r\n ", b"\r\n\t", b"\n ", b"\r ", b"\r\n \r\n ")) + lines[i][at:]
        elif kind == 12:    # letter case
            lines[i] = bytes(c ^ 32 if 64 < c < 123 and r.random() < 0.5 else c for c in lines[i])
        elif kind == 13:    # a length that is not the body's
            lines = [x for x in lines if not x.lower().startswith(b"content-length")] + [b"Content-Length: " + r.choice(INTERESTING[:16])]
        elif kind == 14:    # bytes escaped
            lines[i] = re.sub(rb"[a-z]", lambda m: b"%%%02x" % m.group(0)[0], lines[i], count=r.randrange(1, 30))
        else:               # another line end
            raw = r.choice((b"\n", b"\r", b"\n\r", b"\r\r\n", b"\0\r\n")).join(lines) + sep + body
            continue
        raw = b"\r\n".join(lines) + sep + body
    return raw


class Slot:
    """One of the connections, with the message that is out on it."""

    def __init__(self, world):
        self.world, self.conn, self.last = world, None, None

    def next(self, number, raw):
        if self.conn is None:
            self.conn = self.world.user()
        self.last, self.answers, self.since = "after-%d" % number, 0, time.monotonic()
        self.raw, self.again = raw, False
        try:
            self.conn.send(raw + request("INFO", call=self.last))
        except Closed:
            pass

    def ask_again(self):
        """The ordinary request may have become a part of the malformed one."""
        self.again = True
        try:
            self.conn.send(request("INFO", call=self.last))
        except Closed:
            pass

    def ended(self):
        """None while it goes on; else what became of it."""
        try:
            while self.conn.buffer or not self.conn.quiet(0):
                try:
                    got = self.conn.recv(0)
                except Silent:
                    return None
                if got.get("Call-ID") == self.last and got.status >= 200:
                    return "answered" if self.answers else "dropped"
                self.answers += got.status >= 200
            self.conn._more(0)
        except Silent:
            return None
        except Closed:
            self.conn.close()
            self.conn = None
            return "answered, closed" if self.answers else "closed"
        return None


class Inside:
    """The Director: looks at everything that comes, and answers it."""

    def __init__(self, director):
        self.director, self.count, self.wrong, self.seen = director, 0, None, set()

    def serve(self):
        while self.director.buffer or not self.director.quiet(0):
            m = self.director.recv()
            if m.status:
                continue
            self.seen.add(m.get("Call-ID"))
            if not (m.get("Call-ID") or "").startswith(("after-", "good-")):
                self.count += 1
            bad = [x for x in look(m.raw) if x.startswith("a mark") or "length" in x or "start line" in x]
            if self.wrong is None and (bad or len(m.all(MARK)) != 1):
                self.wrong = "%s in %r" % (bad, m.raw)
            if m.method not in ("ACK", "BENOTIFY"):
                self.director.send(m.reply(200))


def malformed():
    world = World("protos", limits="message = 1; request = 5; failover = 2; handshake = 10;")
    good = world.user()
    world.serves(good)
    inside, slots = Inside(world.director), [Slot(world) for _ in range(SLOTS)]
    r, kinds = random.Random(SEED), list(seeds())
    sent = asked = served = 0
    fates, began = collections.Counter(), time.monotonic()
    while sent < COUNT or any(s.last for s in slots):
        for s in slots:
            if s.last is None and sent < COUNT:
                sent += 1
                s.next(sent, mangle(r, r.choice(kinds)))
        if not any(s.last and s.conn.buffer for s in slots):
            select.select([s.conn.sock for s in slots if s.last] + [inside.director.sock], [], [], 1)
        inside.serve()
        for s in slots:
            fate = s.ended() if s.last else None
            if fate is not None:
                fates[fate] += 1
                s.last = None
            elif s.last and not s.again and time.monotonic() > s.since + 2:
                s.ask_again()
            elif s.last and time.monotonic() > s.since + 8:
                T.check("no connection hangs", False, "(seed %d, %s: %r)" % (SEED, s.last, s.raw))
                return
        if sent >= (asked + 1) * 500:
            asked += 1
            call, end = "good-%d" % asked, time.monotonic() + 5
            good.send(request(call=call))
            while call not in inside.seen and time.monotonic() < end:
                select.select([inside.director.sock], [], [], 0.1)
                inside.serve()
            served += good.recv().status == 200
    for s in slots:
        if s.conn is not None:
            s.conn.close()
    T.check("%d malformed messages in %.0f s (seed %d): %d came inside; %s" % (sent, time.monotonic() - began, SEED, inside.count,
            ", ".join("%d %s" % (n, what) for what, n in sorted(fates.items()))), inside.count > 100 and sum(fates.values()) == sent)
    T.check("nothing forged was among what came inside", inside.wrong is None, inside.wrong or "")
    T.check("the good client beside them was served every time", served == asked > 0, served)
    T.run("and is still", lambda: world.serves(good))
    log = world.edge.log()
    T.check("what was dropped is in the log", log.count("event=refused") >= fates["dropped"], fates)
    T.check("and no connection is left", nothing_left(world))
    world.end()


def nothing_left(world):
    end = time.monotonic() + 5
    while time.monotonic() < end:
        log = world.edge.log()
        if log.count("event=connected") - log.count("event=disconnected") <= 2:     # the good client's, the Director's
            return True
        time.sleep(0.05)
    return False


def is_of(m, call):
    """Has it that Call-ID, however that is written? A good answer may be folded, or say "i"."""
    return re.search(rb"\r\n(call-id|i)[ \t]*:\s*" + call.encode() + rb"[ \t]*\r\n", m.raw, re.I) is not None


def answers():
    """The same with what a partner answers: each asker gets one final answer, the true one or ours."""
    world = World("protos-answers", limits="message = 1; request = 2; failover = 1; connect = 1; handshake = 10;")
    world.serves()
    director, r, far = world.director, random.Random(SEED), None
    began, fates, wrong = time.monotonic(), collections.Counter(), None
    for number in range(COUNT // 10):
        if far is None:
            far = world.partner()
            far.send(request("OPTIONS", sender="sip:carol@contoso.example"))
            director.send(director.recv().reply(200))
            far.recv()
        call = "asked-%d" % number
        director.send(request(uri="sip:carol@contoso.example", sender="sip:bob@example.com", call=call, via_host="director.int.example.com:5061"))
        asked = far.recv()
        good = asked.reply(200, headers=["Contact: \"A, B\" <sip:carol@192.0.2.7>;q=0.5", "Server: far"], body=b"hello")
        finals, since, ended, after, again = 0, time.monotonic(), False, "after-" + call, False
        last = request("OPTIONS", sender="sip:carol@contoso.example", call=after)
        try:
            far.send(mangle(r, good) + asked.reply(480, "True") + last)
        except Closed:
            pass
        synced = False
        while not (finals and (ended or synced)) and time.monotonic() < since + 8:
            if not director.buffer and (ended or not far.buffer):
                select.select([director.sock] + ([] if ended else [far.sock]), [], [], 1)
            try:
                while not ended and (far.buffer or not far.quiet(0)):
                    synced = synced or far.recv(0).get("Call-ID") == after
                if not ended:
                    far._more(0)
                if not again and not ended and time.monotonic() > since + 2:
                    again = True        # the ordinary request may have become a part of the malformed answer
                    far.send(last)
            except Silent:
                pass
            except Closed:
                far.close()     # so that it is over for both
                ended = True
            while director.buffer or not director.quiet(0):
                m = director.recv()
                if not m.status:
                    director.send(m.reply(200))
                    continue
                finals += is_of(m, call) and m.status >= 200
                fates[m.status if m.status in (200, 480, 502, 504) else "other"] += 1
                bad = [x for x in look(m.raw) if x.startswith("a mark") or "length" in x or "start line" in x]
                wrong = wrong or (bad and "%s in %r" % (bad, m.raw))
        if finals != 1:
            return T.check("every asker gets one final answer", False, "(seed %d, %s: %d)" % (SEED, call, finals))
        if not synced:
            far.close()
            far = None
    T.check("%d malformed answers in %.0f s (seed %d), each asker got one final answer: %s" % (COUNT // 10, time.monotonic() - began,
            SEED, ", ".join("%d times %s" % (n, what) for what, n in sorted(fates.items(), key=str))), fates[200] > 0 and fates[480] > 0)
    T.check("nothing forged was among them", not wrong, wrong or "")
    T.run("a good client is served as before", world.serves)
    world.end()


sys.exit(run(dict(malformed=malformed, answers=answers)))
