"""The messages that cost the edge most, and those that it refuses: texts for the load generator's
--request, and their user instructions by callgrind.

Each is within the limits of edge.conf (16 KiB of head, 128 headers, 8 KiB each, 64 KiB in all) and each
asks for as much work of one kind as fits: so whoever looks for the dearest message begins here.
"""
import glob
import os
import re
import signal
import time

import systems

HEAD_MAX, HEADERS_MAX, HEADER_MAX, MESSAGE_MAX = 16384, 128, 8192, 65536
TOTAL = re.compile(r"^(?:totals|summary): (\d+)", re.M)


def message(*, method="MESSAGE", uri="sip:bob@%D", via="", start="", sender="<sip:user%U@%D>;tag=%I", to="<sip:bob@%D>",
            more="", kind="text/plain", body="hello, here I am", call="%I"):
    """A request; more: whole header lines. The body may hold no percent sign but as %%."""
    return (f"{method} {uri} SIP/2.0\r\n{start}Via: SIP/2.0/TLS 192.168.1.5:51234;branch=z9hG4bK%I{via}\r\n"
            f"Max-Forwards: 70\r\nFrom: {sender}\r\nTo: {to}\r\nCall-ID: {call}\r\nCSeq: %C {method}\r\n{more}"
            f"Content-Type: {kind}\r\nContent-Length: {len(body.encode())}\r\n\r\n{body}")


def fill(line, room, count=HEADERS_MAX):
    """As many of these lines (%N: their number) as fit."""
    out = ""
    for n in range(count):
        text = line.replace("%N", str(n)) + "\r\n"
        if len(out) + len(text) > room:
            break
        out += text
    return out


def listed(item, room, comma=", ", most=9999):
    """As many of these items as fit into one header."""
    out = []
    while len(out) < most and sum(map(len, out)) + len(comma) * len(out) + len(item) < room:
        out.append(item.replace("%N", str(len(out))))
    return comma.join(out)


ROOM = HEAD_MAX - 700           # what the other headers leave
BODY = MESSAGE_MAX - 900


def nested(depth, inner):
    """A body of multiparts in multiparts."""
    text, kind = inner, "text/plain"
    for n in range(depth):
        text = f"--b{n}\r\nContent-Type: {kind}\r\n\r\n{text}\r\n--b{n}--\r\n"
        kind = f'multipart/mixed; boundary="b{n}"'
    return {"kind": kind, "body": text}


def many_parts(room):
    part = "--b\r\nContent-Type: text/plain\r\nContent-Disposition: inline\r\n\r\nhello\r\n"
    return {"kind": 'multipart/mixed; boundary="b"', "body": part * (room // len(part) - 1) + "--b--\r\n"}


def texts():
    """(name, text, True when the length itself is what is asked for)."""
    links = "see http://a.example/b and www.c.example/d or sip:e@f.example "
    idna = "xn--bcher-kva." * 16 + "example"
    deep = ".".join("a" * 1 for _ in range(115)) + ".partner0999.example"
    contact = "Contact: <sip:user%U@192.168.1.5:51234;transport=tls>\r\n"
    html = "<html><body>" + "<p>hello &amp; <a href='http://a.example/'>you</a></p>" * 400 + "</body></html>"
    return [
        ("ordinary", message(), False),
        ("ordinary INVITE", message(method="INVITE", more=contact), False),
        ("128 headers", message(more=fill("X-%N: a", ROOM, 118)), False),
        ("16 KiB of headers", message(more=fill("X-Long-%N: " + "abcdefgh " * 110, ROOM)), False),
        ("header lines folded again and again", message(more=fill("X-%N: a" + "\r\n b" * 32, ROOM, 4)), False),
        ("36 Via lines", message(more=fill("Via: SIP/2.0/TLS host%N.example:5061;branch=z9hG4bKabc;received=192.0.2.1", ROOM, 35)), False),
        ("Via in one list", message(via=", " + listed("SIP/2.0/TLS h%N.example:5061;branch=z9hG4bKabc;received=192.0.2.1", HEADER_MAX, most=35)), False),
        ("32 Route lines", message(more=fill("Route: <sip:host%N.example:5061;transport=tls;lr;x=y>", ROOM, 32)), False),
        ("32 Record-Route lines", message(method="INVITE", more=fill("Record-Route: <sip:host%N.example:5061;transport=tls;lr;x=y>", ROOM, 32)
                                          + "Contact: <sip:user%U@192.168.1.5:51234;transport=tls>\r\n"), False),
        ("routes that look like ours", message(to="<sip:bob@%D>;tag=1", more=fill(
            "Route: <sip:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA%N@sip.example.com:4443;transport=tls;lr>", ROOM, 32)), False),
        ("forged marks", message(more=fill("ms-edge-proxy-message-trust: ms-source-type=forged%N;ms-ep-fqdn=a.example", ROOM, 1) + fill("P-Asserted-Identity: <sip:a%N@example.com>", ROOM, 8)), False),
        ("forged marks of every kind", message(more=fill(
            "Remote-Party-ID: <sip:a%N@example.com>\r\nP-Charging-Vector: x\r\nP-Served-User: <sip:b@a>", ROOM, 36)), False),
        ("Contacts", message(method="INVITE", more="Contact: " + listed("<sip:user@192.168.1.%N:51234;transport=tls>;q=0.5;x=y", HEADER_MAX, most=32) + "\r\n"), False),
        ("parameters of an address", message(sender="<sip:user%U@%D" + ";p=abcdefg" * 95 + ">;tag=%I"), False),
        ("parameters of From", message(sender="<sip:user%U@%D>;tag=%I" + "".join(f";p{n}=a" for n in range(30))), False),
        ("escapes in a display name", message(sender='"' + '\\"' * 235 + '" <sip:user%U@%D>;tag=%I'), False),
        ("escapes in an address", message(uri="sip:" + "%%41" * 235 + "@%D"), False),
        ("domains of IDNA", message(uri=f"sip:bob@{idna}", to=f"<sip:bob@{idna}>"), False),
        ("domain of a hundred labels", message(uri=f"sip:bob@{deep}", to=f"<sip:bob@{deep}>"), False),
        ("credentials of 8 KiB", message(more='Authorization: NTLM qop="auth", realm="SIP Communications Service", targetname="x", gssapi-data="'
                                         + "A" * 7800 + '"\r\n'), False),
        ("long lists of tokens", message(more=fill("Supported: " + ",".join(["a"] * 16), ROOM, 4) + fill("Require-%N: " + ",".join(["a"] * 40), ROOM, 90)), False),
        ("commas in quotes", message(more=fill('X-%N: "a,b",<c,d>,"e;f"' * 8, ROOM, 100)), False),
        ("compact names", message(more=fill("k: a,b,c", ROOM, 20) + "o: presence\r\nb: <sip:a@b.example>\r\ns: d\r\n"), False),
        ("Record-Routes with escapes", message(method="INVITE", more=fill("Record-Route: <sip:h%N.example:5061;transport=tls;lr;x=%%41>", ROOM, 32) + contact), False),
        ("Record-Routes with names", message(method="INVITE", more=fill('Record-Route: "a\\"b" <sip:h%N.example:5061;transport=tls;lr;x=y>', ROOM, 32) + contact), False),
        ("Record-Routes in one list", message(method="INVITE", more="Record-Route: " + listed("<sip:h%N.example;lr;x=y>", HEADER_MAX - 200, most=32) + "\r\n" + contact), False),
        ("Record-Routes with many parameters", message(method="INVITE", more=fill("Record-Route: <sip:h%N.example;lr>" + ";a=!" * 5, ROOM, 32) + contact), False),
        ("Contacts to be replaced", message(method="INVITE", more="Contact: " + listed("<sip:user@192.168.1.%N:51234;transport=tls>;proxy=replace", HEADER_MAX - 200, most=32) + "\r\n"), False),
        ("Contacts with many parameters", message(method="INVITE", more=fill("Contact: " + listed("<sip:user@192.168.1.%N>" + ";a=!" * 6, HEADER_MAX - 400, most=16), ROOM, 2)), False),
        ("Via with many parameters", message(more=fill("Via: SIP/2.0/TLS h%N.example:5061;branch=z9hG4bKabc" + ";a=!" * 4, ROOM, 35)), False),
        ("Via with a mark", message(more=fill("Via: SIP/2.0/TLS h%N.example:5061;branch=z9hG4bKabc;x=!", ROOM, 35)), False),
        ("names near marks", message(more=fill("ms-edge-proxy-message-trusx: a", ROOM, 118)), False),
        ("names full of escapes", message(more=fill("p" + "%%2d" * 47 + "%N: a", ROOM, 5)), False),
        ("a long name of From", message(sender='"' + "a" * 950 + '" <sip:user%U@%D>;tag=%I'), False),
        ("a long Call-ID", message(call="%I" + "a" * 7000), False),
        ("folds and escapes", message(more=fill("X-%N:\r\n a\r\n\tb\r\n  c%%41", ROOM, 42)), False),
        ("question marks", message(more=fill("X-%N: " + "?" * 47, ROOM, 5)), False),
        ("short marks", message(more=fill("X-%N: " + "?f:" * 47, ROOM, 5)), False),
        ("what begins like a mark", message(more=fill("X-%N: " + "&msedgeproxymessagetrus" * 47, ROOM, 5)), False),
        ("escaped lines", message(more=fill("X-%N: " + "%%0afrom" * 47, ROOM, 5)), False),
        ("escaped start lines", message(more=fill("X-%N: " + "%%0aX sip:a b" * 47, ROOM, 5)), False),
        ("back slashes", message(more=fill("X-%N: " + "\\" * 47, ROOM, 5)), False),
        ("credentials with many parameters", message(more=fill("Authorization: Digest " + ", ".join(f'a{n}="b"' for n in range(32)), ROOM, 6)), False),
        ("64 KiB of text", message(body="hello, here I am. " * (BODY // 18)), True),
        ("64 KiB of links", message(body=links * (BODY // len(links))), True),
        ("64 KiB of \"sip:\"", message(body="sip:" * (BODY // 4)), True),
        ("64 KiB of dots", message(body="a." * (BODY // 2)), True),
        ("64 KiB of HTML with links", message(kind="text/html", body=html), True),
        ("64 KiB of \"<\"", message(kind="text/html", body="<" * BODY), True),
        ("64 KiB of RTF", message(kind="text/rtf", body="{\\rtf1 " + "{\\b a}" * (BODY // 6 - 4) + "}"), True),
        ("64 KiB of parts", message(**many_parts(BODY)), True),
        ("parts in parts", message(**nested(400, links)), True),
        ("64 KiB in quoted-printable", message(more="Content-Transfer-Encoding: quoted-printable\r\n", body="=68=74=74=70" * (BODY // 12)), True),
        ("64 KiB of UTF-8", message(kind="text/plain; charset=UTF-8", body="é" * (BODY // 2)), True),
    ]


def refusals():
    """(name, text, status) of messages that are refused; the first one is not."""
    return [
        ("allowed", message(), 0),
        ("a domain that is not ours to speak for", message(sender="<sip:user%U@elsewhere.example>;tag=%I"), 403),
        ("a header that may not be repeated", message(more="Call-ID: twice\r\n"), 400),
        ("CSeq of another method", message().replace("%C MESSAGE", "%C INVITE"), 400),
        ("no Max-Forwards left", message().replace("Max-Forwards: 70", "Max-Forwards: 0"), 483),
        ("a route of somebody else's", message(to="<sip:bob@%D>;tag=1", more="Route: <sip:AAAAAAAAAAAAAAAAAAAAAAAA@sip.example.com:4443;transport=tls;lr>\r\n"), 481),
        ("an extension that nobody knows", message(more="Proxy-Require: unheard-of\r\n"), 420),
    ]


TRIGGER = "sip_sessions_reopen"     # the proxy calls it on USR1, and callgrind leaves its counts then


class Counted:
    """The edge under callgrind, with its content filter on; cost() is what one kind of message takes."""

    def __init__(self, lab, build):
        self.lab, self.old = lab, (lab.wrap, lab.user)
        self.folder = os.path.join(lab.work, "callgrind")
        os.makedirs(self.folder, exist_ok=True)
        # callgrind counts `rep movsb`, which is how glibc copies what is long, once for each byte
        lab.wrap = ["env", "GLIBC_TUNABLES=glibc.cpu.x86_rep_movsb_threshold=1000000", "valgrind", "-q", "--tool=callgrind", "--trace-children=yes", f"--callgrind-out-file={self.folder}/out.%p",
                    f"--dump-before={TRIGGER}"]
        if os.geteuid() == 0:
            lab.user = systems.USER
        self.far, self.program = systems.Far(lab), None
        try:
            self.program = systems.Edge(lab, 1, build, content=True).start()
            self.total(message(), 20)       # the link inside, and what is made at first use
            self.shake = self.total(message(), 2)
        except systems.Failed:
            self.close()
            raise

    def close(self):
        if self.program is not None:
            self.program.stop(patience=30)
        self.far.stop()
        self.lab.wrap, self.lab.user = self.old

    def counts(self):
        """What the proxy has executed since the last time."""
        for old in glob.glob(self.folder + "/out.*"):
            os.unlink(old)
        os.kill(self.program.pid, signal.SIGUSR1)
        end = time.monotonic() + 30
        while time.monotonic() < end:
            for name in glob.glob(self.folder + "/out.*"):
                with open(name, errors="replace") as f:
                    found = TOTAL.findall(f.read())
                if found:
                    return int(found[-1])
            time.sleep(0.05)
        raise systems.Failed("callgrind left no counts")

    def total(self, text, n):
        """Instructions for n such messages and two connections, with the last refusal's status."""
        path = os.path.join(self.lab.work, "request")
        with open(path, "w", newline="") as f:
            f.write(text)
        got = self.lab.run_load(systems.OUTER, "--mode", "traffic", "--connections", 2, "--request", path, "--body", 0, "--count", n, "--warmup", 0,
                                "--time", 60)
        total = self.counts()
        if got["done"] < n:
            raise systems.Failed(f"{got['done']} of {n} answered")
        return total, got["status"]

    def cost(self, text, n):
        total, status = self.total(text, n + 2)
        return (total - self.shake[0]) / n, status


def measure(b, only=""):
    """All of texts(); b takes what it costs. Those of a kind are compared with the ordinary and with their own length."""
    counted = Counted(b.lab, None)
    try:
        for name, text, long in texts():
            if only and only not in name and name not in ("ordinary", "ordinary INVITE"):
                continue
            if b.over("dearest"):
                return
            begun = time.monotonic()
            try:
                cost, status = counted.cost(text, 10 if long else 40)
            except systems.Failed as e:
                b.note(f"dearest, {name}: {e}")
                continue
            b.add("dearest", "sallyport-edge", name, {"instructions": cost, "status": status, "bytes": len(text), "long": long,
                                                      "method": text.split()[0],
                                                      "seconds": time.monotonic() - begun})
    finally:
        counted.close()
