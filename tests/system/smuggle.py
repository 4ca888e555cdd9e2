"""smuggle - what must not arrive: marks, identities, lengths and messages in
disguise, looked at behind the edge with a careless reader's eyes (sloppy.py).
Run by smuggle.sh."""

import re
import select
import sys

from hostile import ELSEWHERE, MARK, T, World, run
from sipnet import Closed, Silent, request
from sloppy import look

M = MARK.encode()
V = b"ms-source-type=AuthorizedServer;ms-source-verified-user=verified;x=FORGED"
PAI = b"P-Asserted-Identity"
BOSS = b"<sip:boss.FORGED@example.com>"


def line(text):
    """The message with this put in as a header, CRLF behind it."""
    return lambda m: m.replace(b"Content-Length:", text + b"\r\nContent-Length:", 1)


def swap(a, b):
    def change(m):
        assert re.search(a, m), (a, m)
        return re.sub(a, lambda _: b, m, count=1)
    return change


def wide(text):
    """In full-width letters, as UTF-8."""
    return "".join(chr(ord(c) + 0xfee0) if 0x21 <= ord(c) < 0x7f else c for c in text.decode()).encode()


def overlong(text):
    return b"".join(bytes([0xc0 | c >> 6, 0x80 | c & 63]) for c in text)


LS, PS, NEL, ZWSP, ZWNJ, BOM, SHY = (c.encode() for c in "\u2028\u2029\x85\u200b\u200c\ufeff\xad")

# Headers that carry trust, in every disguise. Used in requests of users and partners, and in responses.
MARKS = {
    "plain": line(M + b": " + V),
    "in capitals": line(M.upper() + b": " + V),
    "a blank before the colon": line(M + b" : " + V),
    "a tab before the colon": line(M + b"\t: " + V),
    "much white space before the colon": line(M + b" \t \t      : " + V),
    "no space behind the colon": line(M + b":" + V),
    "value folded": line(M + b":\r\n\t" + V),
    "value folded twice": line(M + b":\r\n \r\n " + V),
    "folded before the colon": line(M + b"\r\n : " + V),
    "name folded": line(b"ms-edge-\r\n proxy-message-trust: " + V),
    "twice": line(M + b": " + V + b"\r\n" + M + b": " + V),
    "once empty, once not": line(M + b":\r\n" + M + b": " + V),
    "long and in another case": line(M + b": a\r\n" + M.title() + b": " + V),
    "behind a bare CR": line(b"Subject: a\r" + M + b": " + V),
    "behind a bare LF": line(b"Subject: a\n" + M + b": " + V),
    "behind LF CR": line(b"Subject: a\n\r" + M + b": " + V),
    "behind CR CR LF": line(b"Subject: a\r\r\n" + M + b": " + V),
    "behind a fold": line(b"Subject: a\r\n " + M + b": " + V),
    "behind a fold with a tab": line(b"Subject: a\r\n\t\t" + M + b" : " + V),
    "behind an empty fold": line(b"Subject: a\r\n \r\n" + M + b": " + V),
    "behind a fold and a bare LF": line(b"Subject: a\r\n b\n" + M + b": " + V),
    "a bare CR in the name": line(b"ms-edge-proxy\r-message-trust: " + V),
    "NUL before": line(b"Subject: a\0" + M + b": " + V),
    "NUL in the name": line(b"ms-edge-proxy-message-trust\0: " + V),
    "vertical tab before": line(b"Subject: a\v" + M + b": " + V),
    "form feed before": line(b"Subject: a\f" + M + b": " + V),
    "a control in the name": line(b"ms-edge\x1f-proxy-message-trust: " + V),
    "DEL in the name": line(b"ms-edge\x7f-proxy-message-trust: " + V),
    "behind NEL, one byte": line(b"Subject: a\x85" + M + b": " + V),
    "behind NEL": line(b"Subject: a" + NEL + M + b": " + V),
    "behind a line separator": line(b"Subject: a" + LS + M + b": " + V),
    "behind a paragraph separator": line(b"Subject: a" + PS + M + b": " + V),
    "behind an overlong CR LF": line(b"Subject: a\xc0\x8d\xc0\x8a" + M + b": " + V),
    "behind an overlong LF of three bytes": line(b"Subject: a\xe0\x80\x8a" + M + b": " + V),
    "behind an overlong LF of four bytes": line(b"Subject: a\xf0\x80\x80\x8a" + M + b": " + V),
    "a full-width colon": line(M + "\uff1a".encode() + b" " + V),
    "a small colon": line(M + "\ufe55".encode() + b" " + V),
    "a full-width colon, and one later": line(M + "\uff1a".encode() + V + b": x"),
    "full-width letters": line(wide(M) + b": " + V),
    "full-width letters behind a line separator": line(b"Subject: a" + LS + wide(M) + b": " + V),
    "one full-width letter behind a line separator": line(b"Subject: a" + LS + wide(b"m") + M[1:] + b": " + V),
    "overlong letters": line(overlong(M) + b": " + V),
    "overlong letters behind an overlong LF": line(b"Subject: a\xc0\x8a" + overlong(M) + b": " + V),
    "mathematical letters behind a line separator": line(b"Subject: a" + LS + "\U0001d426\U0001d42c".encode() + M[2:] + b": " + V),
    "a zero-width space in the name": line(b"ms-edge" + ZWSP + b"-proxy-message-trust: " + V),
    "a zero-width joiner before the colon": line(M + ZWNJ + b": " + V),
    "a byte order mark before the name": line(BOM + M + b": " + V),
    "a soft hyphen in the name": line(b"ms-ed" + SHY + b"ge-proxy-message-trust: " + V),
    "zero-width in a name behind a line separator": line(b"Subject: a" + LS + b"ms" + ZWSP + M[2:] + b": " + V),
    "a no-break space before the colon": line(M + b"\xc2\xa0: " + V),
    "underscores": line(M.replace(b"-", b"_") + b": " + V),
    "dots": line(M.replace(b"-", b".") + b": " + V),
    "no dashes": line(M.replace(b"-", b"") + b": " + V),
    "two dashes": line(M.replace(b"-", b"--") + b": " + V),
    "a quote behind the name": line(M + b"': " + V),
    "a digit behind the name": line(M + b"0: " + V),
    "a dash before the name": line(b"-" + M + b": " + V),
    "one letter escaped": line(b"%6d" + M[1:] + b": " + V),
    "all letters escaped": line(b"".join(b"%%%02x" % c for c in M) + b": " + V),
    "the escape escaped": line(b"%256d" + M[1:] + b": " + V),
    "colon escaped": line(M + b"%3a " + V + b": x"),
    "an equals sign for the colon": line(M + b"=" + V),
    "no colon": line(M + b" " + V),
    "among the headers of a URI": line(b"Refer-To: <sip:a@example.com?" + M + b"=x%3bFORGED>"),
    "second among the headers of a URI": line(b"Referred-By: <sip:a@example.com?a=b&" + M + b"=FORGED>"),
    "escaped among the headers of a URI": line(b"Refer-To: <sip:a@example.com?%6ds%2Dedge%2Dproxy%2Dmessage%2Dtrust=FORGED>"),
    "behind %0d%0a in a text": line(b"Subject: a%0d%0a" + M + b": " + V),
    "behind %0A in a text": line(b"Subject: a%0A" + M + b": " + V),
    "behind %00 in a URI": line(b"Refer-To: <sip:a%00" + M.replace(b"-", b"%2d") + b":FORGED@example.com>"),
    "behind %0d%0a in a URI": line(b"Refer-To: <sip:a%0d%0a" + M + b":%20FORGED@example.com>"),
    "behind %250a in a text": line(b"Subject: a%250a" + M + b": " + V),
    "behind \\r\\n in a display name": line(b"Refer-To: \"a\\r\\n" + M + b": FORGED\" <sip:a@example.com>"),
    "behind \\n in a text": line(b"Subject: a\\n" + M + b": " + V),
    "behind \\x0a in a text": line(b"Subject: a\\x0a" + M + b": " + V),
    "behind %e2%80%a8 in a text": line(b"Subject: a%e2%80%a8" + M + b": " + V),
    "before all other headers": swap(rb"(?<=2\.0)\r\n|(?<=OK)\r\n", b"\r\n" + M + b": " + V + b"\r\n"),
    "folded to the start line": swap(rb"(?<=2\.0)\r\n|(?<=OK)\r\n", b"\r\n " + M + b": " + V + b"\r\n"),
    "folded to the Content-Length": swap(rb"Content-Length: 5", b"Content-Length: 5\r\n " + M + b": " + V),
    "behind the Content-Length": swap(rb"Content-Length: 5", b"Content-Length: 5\r\n" + M + b": " + V),
    "behind LF LF": line(b"Subject: a\n\n" + M + b": " + V),
    "behind CR CR": line(b"Subject: a\r\r" + M + b": " + V),
}
for _name in (PAI, b"ms-asserted-verification-level", b"ms-user-logon-data", b"ms-split-domain-info", b"x-sallyport-refused",
              b"Remote-Party-ID", b"P-Asserted-Service", b"P-Served-User", b"P-Charging-Vector",
              b"P-Called-Party-ID", b"P-Associated-URI"):
    _n = _name.decode()
    MARKS["%s" % _n] = line(_name + b": <sip:FORGED@example.com>")
    MARKS["%s, a blank before the colon" % _n] = line(_name.upper() + b" : <sip:FORGED@example.com>")
    MARKS["%s with underscores" % _n] = line(_name.replace(b"-", b"_") + b": <sip:FORGED@example.com>")
    MARKS["%s behind a fold" % _n] = line(b"Subject: a\r\n " + _name + b": <sip:FORGED@example.com>")
    MARKS["%s escaped" % _n] = line(_name.replace(b"-", b"%2d") + b": <sip:FORGED@example.com>")

# Who speaks: more than one answer to that must not arrive.
SENDERS = {
    "two URIs": swap(rb"From: [^\r]*", b"From: <sip:alice@example.com>;tag=1, " + BOSS + b";tag=2"),
    "two From": line(b"From: " + BOSS + b";tag=2"),
    "From and f": line(b"f: " + BOSS + b";tag=2"),
    "From, and from with a blank": line(b"from : " + BOSS + b";tag=2"),
    "From, and From in disguise": line(b"From_: " + BOSS + b";tag=2"),
    "From, and From escaped": line(b"Fr%6fm: " + BOSS + b";tag=2"),
    "From behind a fold": line(b"Subject: a\r\n From: " + BOSS + b";tag=2"),
    "From behind a line separator": line(b"Subject: a" + LS + b"From: " + BOSS),
    "From behind %0d%0a": line(b"Subject: a%0d%0aFrom: " + BOSS),
    "a URI in the display name": swap(rb"From: ", b"From: \"" + BOSS + b"\" "),
    "a URI in the display name, with a blank": swap(rb"From: ", b"From: \"a < " + BOSS[1:] + b"\" "),
    "a URI in a parameter": swap(rb";tag=a1", b";x=\"" + BOSS + b"\";tag=a1"),
    "an escaped quote in the display name": swap(rb"From: ", b"From: \"a\\\" " + BOSS + b" \\\"\" "),
    "a quote that does not end": swap(rb"From: ", b"From: \"" + BOSS),
    "two brackets": swap(rb";tag=a1", b" " + BOSS + b";tag=a1"),
    "brackets in brackets": swap(rb"From: <", b"From: <<" + BOSS[1:]),
    "no brackets, then brackets": swap(rb"From: ", b"From: sip:boss.FORGED@example.com "),
    "a comment": swap(rb"From: ", b"From: (" + BOSS + b") "),
    "a second From behind the tag": swap(rb";tag=a1", b";tag=a1\r\n From: " + BOSS),
    "a bracket inside the URI": swap(rb"alice@", b"alice>" + BOSS + b"@"),
    "a display name with a CRLF escape": swap(rb"From: ", b"From: \"a\\r\\nFrom: " + BOSS + b"\" "),
    "two To": line(b"t: <sip:other@example.com>"),
    "To in disguise": line(b"T-o: <sip:other@example.com>"),
    "two Call-IDs": line(b"i: other"),
    "Call_ID": line(b"Call_ID: other"),
    "two CSeq": line(b"CSeq : 2 MESSAGE"),
    "C-Seq": line(b"C-Seq: 2 MESSAGE"),
    "Max_Forwards": line(b"Max_Forwards: 0"),
    "two Content-Types": line(b"Content-Type: a/b\r\nc: c/d"),
}

# Where it ends.
TAIL = request("REGISTER", "sip:example.com", call="born-of-a-tail", headers=["X: FORGED"])
LENGTHS = {
    "twice, equal": line(b"Content-Length: 5"),
    "twice, different": line(b"Content-Length: 0"),
    "long and compact, equal": line(b"l: 5"),
    "long and compact, different": line(b"l: 0"),
    "compact with a blank": line(b"l : 0"),
    "a list": swap(rb"Length: 5", b"Length: 5, 0"),
    "two numbers": swap(rb"Length: 5", b"Length: 5 0"),
    "a plus": swap(rb"Length: 5", b"Length: +5"),
    "a minus": swap(rb"Length: 5", b"Length: -5"),
    "a fraction": swap(rb"Length: 5", b"Length: 5.0"),
    "hexadecimal": swap(rb"Length: 5", b"Length: 0x5"),
    "octal": swap(rb"Length: 5", b"Length: 05"),
    "an exponent": swap(rb"Length: 5", b"Length: 5e0"),
    "a semicolon": swap(rb"Length: 5", b"Length: 5;0"),
    "past 32 bits": swap(rb"Length: 5", b"Length: 4294967301"),
    "past 64 bits": swap(rb"Length: 5", b"Length: 18446744073709551621"),
    "folded before": swap(rb"Length: 5", b"Length:\r\n 5"),
    "folded behind": swap(rb"Length: 5", b"Length: 0\r\n 5"),
    "empty": swap(rb"Length: 5", b"Length:"),
    "words": swap(rb"Length: 5", b"Length: five"),
    "in quotes": swap(rb"Length: 5", b"Length: \"5\""),
    "Arabic digits": swap(rb"Length: 5", b"Length: " + "\u0665".encode()),
    "full-width digits": swap(rb"Length: 5", b"Length: " + wide(b"5")),
    "a no-break space": swap(rb"Length: 5", b"Length:\xc2\xa05"),
    "a vertical tab": swap(rb"Length: 5", b"Length: 5\v"),
    "trailing garbage": swap(rb"Length: 5", b"Length: 5 bytes"),
    "Content_Length": line(b"Content_Length: 0"),
    "Content.Length": line(b"Content.Length: 0"),
    "ContentLength": line(b"ContentLength: 0"),
    "escaped": line(b"Content%2dLength: 0"),
    "behind a fold": line(b"Subject: a\r\n Content-Length: 0"),
    "compact behind a fold": line(b"Subject: a\r\n l: 0"),
    "behind a bare LF": line(b"Subject: a\nContent-Length: 0"),
    "behind a line separator": line(b"Subject: a" + LS + b"Content-Length: 0"),
    "behind %0d%0a": line(b"Subject: a%0d%0aContent-Length: 0"),
    "behind \\n": line(b"Subject: a\\nContent-Length: 0"),
    "chunks": lambda m: line(b"Transfer-Encoding: chunked")(m)[:-5] + b"0\r\n\r\n" + TAIL,
    "chunks in disguise": lambda m: line(b"Transfer_Encoding: chunked")(m)[:-5] + b"0\r\n\r\n" + TAIL,
    "a tail that is a request": lambda m: m + TAIL,
    "a length too short, the tail a request": lambda m: swap(rb"Length: 5", b"Length: 0")(m[:-5]) + TAIL,
    "a tail with a mark": lambda m: m + TAIL.replace(b"X: ", M + b": "),
    "headers end twice": line(b"Subject: a\r\n\r\n" + TAIL[:-2]),
    "a second start line folded": line(b"Subject: a\r\n REGISTER sip:example.com SIP/2.0"),
    "a second start line behind a separator": line(b"Subject: a" + LS + b"REGISTER sip:example.com SIP/2.0"),
    "multipart with a request inside": lambda m: part(m, b"--b\r\nContent-Type: message/sip\r\n\r\n" + TAIL + b"\r\n--b--\r\n"),
    "multipart in multipart": lambda m: part(m, b"--b\r\nContent-Type: multipart/mixed;boundary=b\r\nContent-Length: 0\r\n\r\n--b\r\n" +
                                            M + b": " + V + b"\r\n\r\n--b--\r\n--b--\r\n"),
}


def part(m, body):
    head = line(b"Content-Type: multipart/mixed;boundary=b")(m)[:-5]
    return head.replace(b"Length: 5", b"Length: %d" % len(body)) + body


EVIL_HOP = b";received=203.0.113.66;ms-received-port=6666;ms-received-cid=BAD0"
HOPS = {
    "plain": swap(rb"(?<=7:5061);", EVIL_HOP + b";"),
    "last": swap(rb"(?<=7:5061)(;branch=\w+)", b";branch=z9hG4bKlast" + EVIL_HOP),
    "twice": swap(rb"(?<=7:5061);", EVIL_HOP + EVIL_HOP + b";"),
    "in capitals": swap(rb"(?<=7:5061);", EVIL_HOP.upper() + b";"),
    "with blanks": swap(rb"(?<=7:5061);", b" ; received = 203.0.113.66 ; ms-received-cid\t=\tBAD0 ;"),
    "folded": swap(rb"(?<=7:5061);", b"\r\n ;received\r\n =203.0.113.66;"),
    "quoted": swap(rb"(?<=7:5061);", b";received=\"203.0.113.66\";"),
    "with underscores": swap(rb"(?<=7:5061);", b";ms_received_cid=BAD0;"),
    "escaped": swap(rb"(?<=7:5061);", b";re%63eived=203.0.113.66;"),
    "inside a quoted parameter": swap(rb"(?<=7:5061);", b";x=\"a;received=203.0.113.66\";"),
    "a Via in a quoted parameter": swap(rb"(?<=7:5061);", b";x=\"a, SIP/2.0/TLS h;received=203.0.113.66\";"),
}

METHODS = {name: lambda m, n=name: m.replace(b"MESSAGE", n) for name in (
    b"register", b"Register", b"REGISTEr", b"service", b"RE%47ISTER", b"REGISTER-", b"REGISTER.", b"R-E-G-I-S-T-E-R", b"'REGISTER'")}
METHODS[b"REGISTER by a tab"] = swap(rb"MESSAGE ", b"REGISTER\t")
METHODS[b"REGISTER behind a blank"] = swap(rb"MESSAGE ", b" REGISTER ")
METHODS[b"REGISTER behind a blank line"] = lambda m: b"\r\n" + m.replace(b"MESSAGE", b"REGISTER")
METHODS[b"CSeq says REGISTER"] = swap(rb"1 MESSAGE", b"1 REGISTER")

ROUTES = {
    "elsewhere": line(b"Route: <sip:%s;lr>" % ELSEWHERE.encode()),
    "ours first": line(b"Route: <sip:sip.example.com:443;lr>, <sip:%s;lr>" % ELSEWHERE.encode()),
    "a comma in quotes": line(b"Route: \"a, <sip:b;lr>\" <sip:%s;lr>" % ELSEWHERE.encode()),
    "a comma in the URI": line(b"Route: <sip:a,b@%s;lr>" % ELSEWHERE.encode()),
    "folded": line(b"Route:\r\n <sip:%s;lr>" % ELSEWHERE.encode()),
    "a blank before the colon": line(b"Route : <sip:%s;lr>" % ELSEWHERE.encode()),
    "in disguise": line(b"Ro%%75te: <sip:%s;lr>" % ELSEWHERE.encode()),
    "signed by nobody": line(b"Route: <sip:sip.example.com:443;lr;ms-route-sig=FORGED>"),
}


class Post:
    """Sends from outside, and says what came of it inside."""

    def __init__(self, name):
        self.world = World(name, limits="message = 2; request = 2; failover = 1;")
        self.world.serves()
        self.conn = {}

    def outside(self, who):
        c = self.conn.get(who)
        if c is not None and not c.buffer:
            try:
                c._more(0)
            except Silent:
                pass
            except Closed:
                c = None
        if c is None:
            c = self.world.user() if who == "user" else self.world.partner()
            if who == "partner":    # a request first: then the edge knows this connection for the partner's
                c.send(request("OPTIONS", sender="sip:carol@contoso.example"))
                m = self.world.inside().recv()
                self.world.director.send(m.reply(200))
                c.recv()
        self.conn[who] = c
        return c

    def request(self, who, change):
        """All messages that came of one that was changed, and what its sender saw."""
        c, director = self.outside(who), self.world.inside()
        sender = "sip:alice@example.com" if who == "user" else "sip:carol@contoso.example"
        raw = request(sender=sender, body=b"hello")
        if who == "partner" and b"alice@example.com" in raw:
            raw = raw.replace(b"alice@example.com", b"carol@contoso.example")
        sent = change(raw)
        after = request("INFO", sender=sender, call=request().split(b"Call-ID: ")[1].split(b"\r\n")[0].decode() + "-after")
        got, seen, done = [], "dropped", False
        try:
            c.send(sent + after)
        except Closed:
            pass
        while not done:
            if not c.buffer and not select.select([c.sock, director.sock], [], [], 5)[0]:
                return sent, got, "nothing happened"
            while director.buffer or not director.quiet(0):
                m = director.recv()
                director.send(m.reply(200))
                if m.method == "INFO" and m.get("Call-ID").endswith("-after"):
                    continue
                got.append(m)
            try:
                while c.buffer or not c.quiet(0):
                    r = c.recv()
                    if (r.get("Call-ID") or "").endswith("-after"):
                        done = True
                    elif r.status >= 200:
                        seen = str(r.status)
                c._more(0)
            except Closed:
                done, seen = True, seen + ", closed"
            except Silent:
                pass
        while not director.quiet(0):
            m = director.recv()
            if m.method != "INFO":
                got.append(m)
        return sent, got, seen

    def response(self, change):
        """The same with an answer of the partner's to a request from inside."""
        far, director = self.outside("partner"), self.world.inside()
        director.send(request(uri="sip:carol@contoso.example", sender="sip:bob@example.com", via_host="director.int.example.com:5061"))
        asked = far.recv()
        sent = change(asked.reply(200, "OK", body=b"hello"))
        try:
            far.send(sent)
            far.send(asked.reply(480, "Later"))     # ends it, when the other one is refused
        except Closed:
            pass
        while not director.buffer and director.quiet(0):
            select.select([far.sock, director.sock], [], [], 5)
            try:
                far._more(0)
            except Silent:
                pass
            except Closed:
                far.close()     # and so it is over for both
                self.conn.pop("partner", None)
                break
        m = director.recv()
        return sent, [m], str(m.status)


def judge(sent, got, seen, own, expect=None):
    """None, or what is wrong with what arrived."""
    if seen == "nothing happened":
        return seen
    for m in got:
        wrong = look(m.raw)
        if wrong:
            return "%s: %s; %r" % (seen, ", ".join(wrong), m.raw)
        marks = m.all(MARK)
        if len(marks) != 1 or "ms-ep-fqdn=edge.int.example.com" not in marks[0]:
            return "not marked by the edge: %r" % m.raw
        if not m.status and (own not in m.get("From") or "edge.int.example.com" not in m.get("Via") or m.get("Route")):
            return "of another sender, or with a Route: %r" % m.raw
    return None


def table(post, who, cases, harmless=False):
    for name, change in cases.items():
        name = name if isinstance(name, str) else name.decode()

        def one(change=change, name=name):
            sent, got, seen = post.request(who, change)
            # the test must be able to fail: what is sent is a forgery in the reader's eyes
            if not harmless and not look(sent):
                return "the reader sees nothing in %r" % sent
            return judge(sent, got, seen, "alice@example.com" if who == "user" else "carol@contoso.example")
        T.run("%s: %s" % (who, name), one)


def marks():
    post = Post("marks")
    for who in ("user", "partner"):
        table(post, who, MARKS)
    T.run("a good client is served as before", post.world.serves)
    post.world.end()


def responses():
    post = Post("responses")
    for name, change in MARKS.items():
        def one(change=change):
            sent, got, seen = post.response(change)
            return ("the reader sees nothing" if not look(sent) else judge(sent, got, seen, ""))
        T.run("response: %s" % name, one)
    T.run("a good client is served as before", post.world.serves)
    post.world.end()


def messages():
    post = Post("messages")
    table(post, "user", SENDERS)
    table(post, "user", LENGTHS, harmless=True)
    table(post, "user", HOPS)
    table(post, "partner", METHODS, harmless=True)
    table(post, "user", ROUTES, harmless=True)
    T.run("a good client is served as before", post.world.serves)
    post.world.end()


sys.exit(run(dict(marks=marks, responses=responses, messages=messages)))
