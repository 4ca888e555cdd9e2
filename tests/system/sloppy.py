"""sloppy - a reader of SIP that is careless in every way known to us. What it can
take for a mark, an identity, a length or a second message counts as being there.
It shares nothing with the product: it is what a poor server inside may be."""

import re
import unicodedata

FORGED = "FORGED"       # stands in whatever the tests make up
TRUSTED = ("msedgeproxymessagetrust", "msassertedverificationlevel", "passertedidentity", "msuserlogondata",
           "mssplitdomaininfo", "xsallyportrefused", "remotepartyid", "passertedservice", "pservedusers",
           "pserveduser", "pchargingvector", "pchargingfunctionaddresses", "passociateduri", "pcalledpartyid", "pprofilekey",
           "puserdatabase", "pvisitednetworkid")
HOP_PARAMS = ("received", "msreceivedport", "msreceivedcid")
SINGLE = {"from": "f", "to": "t", "callid": "i", "cseq": None, "maxforwards": None, "contentlength": "l", "contenttype": "c"}
METHODS = ("REGISTER", "SERVICE", "INVITE", "MESSAGE", "SUBSCRIBE", "NOTIFY", "CANCEL", "ACK", "BYE", "OPTIONS", "INFO")
BREAKS = re.compile("[\r\n\v\f\0\x1c\x1d\x1e\x85\u2028\u2029]+")


def percent(raw):
    return re.sub(rb"%([0-9A-Fa-f]{2})", lambda m: bytes([int(m.group(1), 16)]), raw)


def backslash(raw):
    raw = raw.replace(b"\\r", b"\r").replace(b"\\n", b"\n").replace(b"\\0", b"\0")
    return re.sub(rb"\\x([0-9A-Fa-f]{2})|\\u00([0-9A-Fa-f]{2})", lambda m: bytes([int(m.group(1) or m.group(2), 16)]), raw)


def overlong(raw):
    """Decodes UTF-8 without asking whether it is the shortest form."""
    raw = re.sub(rb"\xf0\x80\x80([\x80-\xbf])", lambda m: b"\xe0\x80" + m.group(1), raw)
    raw = re.sub(rb"\xe0([\x80\x81])([\x80-\xbf])", lambda m: bytes([(m.group(1)[0] & 1) << 6 | m.group(2)[0] & 63]), raw)
    return re.sub(rb"([\xc0\xc1])([\x80-\xbf])", lambda m: bytes([(m.group(1)[0] & 1) << 6 | m.group(2)[0] & 63]), raw)


def views(raw):
    """The same bytes as different careless decoders see them."""
    seen = []
    for undo in (lambda r: r, percent, lambda r: percent(percent(r)), backslash, overlong, lambda r: overlong(percent(r))):
        for text in (undo(raw).decode("latin-1"), unicodedata.normalize("NFKC", undo(raw).decode("utf-8", "replace"))):
            if text not in seen:
                seen.append(text)
    return seen


def plain(name):
    return re.sub("[^a-z0-9]", "", name.lower())


def lines_of(text):
    """Name and value of whatever may be a header, folds known and unknown."""
    for piece in BREAKS.split(text):
        name, _, value = re.sub("[\uff1a\ufe55]", ":", piece).partition(":")
        yield name, value
    unfolded = re.sub("\r?\n[ \t]+", " ", text)
    cleaned = re.sub("\r(?!\n)|[\0\v\f\x1c-\x1f\x7f]", "", unfolded)
    for piece in BREAKS.split(unfolded) + (re.split("\r?\n", cleaned) if cleaned != unfolded else []):
        name, _, value = piece.partition(":")
        yield name, value
    # headers of a URI become headers of the request made from it
    for inside in re.findall("sips?:[^<>\r\n]*", text):
        for piece in re.split("[?&]", inside)[1:]:
            name, _, value = piece.partition("=")
            yield "?" + name, value


def number(value):
    m = re.match(r"\s*[+-]?(0x[0-9a-fA-F]+|\d+)", value)
    return int(m.group(1), 0 if m.group(1).lower().startswith("0x") else 10) if m else None


def uris_in(value):
    """Every address that some way of reading a From might take for the sender."""
    return re.findall("<[^<>]*>", value) + re.findall("sips?:[^<>;,\\s\"]*", value)


def look(raw):
    """What a careless reader may find in one message, as a list of sentences."""
    found = []
    head, sep, body = raw.partition(b"\r\n\r\n")
    if not sep:
        return ["the header part does not end"]
    for other in (b"\n\n", b"\r\r", b"\n\r\n", b"\r\n\r", b"\0\r\n"):
        if other in head:
            found.append("the header part may end early")
    if re.search(rb"\n[ \t]+(\r|\n|$)", head):
        found.append("a line of white space may end the header part")
    for text in views(head):
        start, _, rest = text.partition("\r\n")
        lengths, seen = set(), {}
        for name, value in lines_of(rest):
            p = plain(name)
            if any(plain(name + value).startswith(t) for t in TRUSTED) and FORGED in name + value:
                found.append("a mark: %s" % (p or value))
            if p == "transferencoding":
                found.append("chunks")
        for name, value in list(lines_of(rest)):
            p = plain(name)
            if name.startswith("?"):
                continue
            if p == "contentlength" or name.strip().lower() == "l":
                lengths.add(number(value))
                if "," in value or re.search(r"\d\s+\d", value):
                    lengths.add(None)
            for long, short in SINGLE.items():
                if p == long or (short and name.strip().lower() == short):
                    # a header that came out of both ways of unfolding is one
                    seen.setdefault(long, {})[re.sub(r"\s+", "", value)[:16]] = 1
            if p in ("from", "f") and any(FORGED.lower() in u.lower() for u in uris_in(value)):
                found.append("a sender: %s" % value.strip())
            if p == "via" or name.strip().lower() == "v":
                for param, _, v in (x.partition("=") for x in re.split("[;,]", value)):
                    if plain(param) in HOP_PARAMS and ("203.0.113.66" in v or "6666" in v or "BAD0" in v):
                        found.append("a hop's parameter: %s" % param.strip())
            if re.match(r"\s*[A-Z]+ sips?:\S+ SIP/2\.0", name + ":" + value):
                found.append("a second start line")
        if lengths - {len(body)}:
            found.append("lengths %s for a body of %d" % (sorted(lengths, key=str), len(body)))
        found += ["%d times %s" % (len(v), k) for k, v in seen.items() if len(v) > 1]
        method = start.split(" ")[0].split("\t")[0]
        if not start.upper().startswith("SIP/") and re.sub("[^A-Z]", "", method.upper()) in METHODS and \
                head.split(b" ")[0].decode("latin-1") not in METHODS:
            found.append("the method %s" % method)
        if any(plain(n.split("=")[0]).startswith(t) and FORGED in start for n in re.split("[?&\r\n\v\f\0\x85\u2028\u2029]", start)[1:] for t in TRUSTED):
            found.append("a mark in the start line")
    return sorted(set(found))
