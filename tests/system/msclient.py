"""msclient - the signing side of a client of the Communicator family, for tests:
NTLMv2 in datagram mode, and MS-SIPAE in versions 2, 3 and 4. Everything it
says can be made wrong."""

import base64
import hashlib
import hmac
import re
import secrets
import struct

REALM = "SIP Communications Service"
FLAGS = 0x62988255


def md4(data):
    """RFC 1320; not every OpenSSL has it."""
    def turn(x, n):
        x &= 0xffffffff
        return (x << n | x >> (32 - n)) & 0xffffffff

    text = data + b"\x80" + b"\0" * ((55 - len(data)) % 64) + struct.pack("<Q", 8 * len(data))
    state = [0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476]
    for at in range(0, len(text), 64):
        x = struct.unpack("<16I", text[at:at + 64])
        a, b, c, d = state
        for i in range(48):
            if i < 16:
                f, k, s, add = (b & c) | (~b & d), i, (3, 7, 11, 19), 0
            elif i < 32:
                f, k, s, add = (b & c) | (b & d) | (c & d), i % 4 * 4 + i // 4 % 4, (3, 5, 9, 13), 0x5a827999
            else:
                order = (0, 8, 4, 12, 2, 10, 6, 14, 1, 9, 5, 13, 3, 11, 7, 15)
                f, k, s, add = b ^ c ^ d, order[i - 32], (3, 9, 11, 15), 0x6ed9eba1
            a, b, c, d = d, turn(a + f + x[k] + add, s[i % 4]), b, c
        state = [(p + q) & 0xffffffff for p, q in zip(state, (a, b, c, d))]
    return struct.pack("<4I", *state)


assert md4(b"abc").hex() == "a448017aaf21d8525fc10ae87aa6729d"


def rc4(key, data):
    s, j, out = list(range(256)), 0, bytearray()
    for i in range(256):
        j = (j + s[i] + key[i % len(key)]) % 256
        s[i], s[j] = s[j], s[i]
    i = j = 0
    for byte in data:
        i = (i + 1) % 256
        j = (j + s[i]) % 256
        s[i], s[j] = s[j], s[i]
        out.append(byte ^ s[(s[i] + s[j]) % 256])
    return bytes(out)


def mac(key, data):
    return hmac.new(key, data, hashlib.md5).digest()


class Side:
    """What one direction signs with."""

    def __init__(self, key, words):
        constant = b"session key to " + words + b" %s key magic constant\0"
        self.sign_key = hashlib.md5(key + constant % b"signing").digest()
        seal = hashlib.md5(key + constant % b"sealing").digest()
        self.seal = hashlib.md5(seal + struct.pack("<I", 100)).digest()

    def sign(self, text):
        seq = struct.pack("<I", 100)
        return b"\1\0\0\0" + rc4(self.seal, mac(self.sign_key, seq + text)[:8]) + seq


def authenticate(challenge, user, domain, password, v1=False):
    """The answer to a CHALLENGE, and the session key."""
    assert challenge[:12] == b"NTLMSSP\0\2\0\0\0", challenge[:12]
    n, _, at = struct.unpack_from("<HHI", challenge, 40)
    info, nonce = challenge[at:at + n], challenge[24:32]
    key = mac(md4(password.encode("utf-16-le")), (user.upper() + domain).encode("utf-16-le"))
    blob = b"\1\1" + bytes(6) + struct.pack("<Q", 0x1dcaa22f331a800) + secrets.token_bytes(8) + bytes(4) + info + bytes(4)
    proof = mac(key, nonce + blob)
    session = secrets.token_bytes(16)
    fields = [b"", secrets.token_bytes(24) if v1 else proof + blob, domain.encode("utf-16-le"), user.encode("utf-16-le"),
              "LAB".encode("utf-16-le"), rc4(mac(key, proof), session)]
    head, payload = b"NTLMSSP\0" + struct.pack("<I", 3), b""
    for f in fields:
        head += struct.pack("<HHI", len(f), len(f), 72 + len(payload))
        payload += f
    return head + struct.pack("<I", FLAGS) + bytes((5, 2, 0xce, 0xe, 0, 0, 0, 15)) + payload, session


def parameters(value):
    scheme, _, rest = value.partition(" ")
    return scheme, {k.lower(): q or p for k, q, p in re.findall(r'([\w-]+)\s*=\s*(?:"([^"]*)"|([^\s,"]+))', rest)}


def uri_of(value):
    found = re.search("<([^>]*)>", value)
    return found.group(1) if found else value.split(";")[0].strip()


def tag_of(value):
    found = re.search(";tag=([^;]*)", value)
    return found.group(1) if found else ""


def text_of(m, version, random, number, target):
    """What is signed of a message (sipnet.Message)."""
    cseq, method = m.get("CSeq").split()
    parts = ["NTLM", random, number, REALM, target, m.get("Call-ID"), cseq, method, uri_of(m.get("From")), tag_of(m.get("From"))]
    if version >= 3:
        parts.append(uri_of(m.get("To")))
    parts.append(tag_of(m.get("To")))
    if version >= 3:
        identity = m.get("P-Asserted-Identity") or m.get("P-Preferred-Identity") or ""
        for scheme in ("sip", "tel"):
            found = re.search("<(%s:[^>]*)>" % scheme, identity, re.I)
            parts.append(found.group(1) if found else "")
    parts.append(m.get("Expires") or "")
    if m.status:
        parts.append(str(m.status))
    return "".join("<%s>" % p for p in parts).encode()


class Association:
    def __init__(self, target, version=4):
        self.target, self.version = target, version
        self.opaque, self.cnum, self.snums = None, 0, set()
        self.client = self.server = None

    def keys(self, session):
        self.client, self.server = Side(session, b"client-to-server"), Side(session, b"server-to-client")

    def credentials(self, more=""):
        version = ", version=%d" % self.version if self.version > 2 else ""
        return 'NTLM qop="auth", realm="%s", %stargetname="%s"%s%s' % (
            REALM, 'opaque="%s", ' % self.opaque if self.opaque else "", self.target, more, version)

    def signature(self, m, number=None):
        self.cnum += 1
        random, number = secrets.token_hex(4), str(number or self.cnum)
        signed = self.client.sign(text_of(m, self.version, random, number, self.target))
        return ', crand="%s", cnum="%s", response="%s"' % (random, number, signed.hex())

    def header(self, m, number=None):
        return "Authorization: " + self.credentials(self.signature(m, number))

    def is_right(self, m):
        """Is this message of the server signed, with a number that was not used before?"""
        infos = m.all("Authentication-Info")
        if len(infos) != 1:
            return False
        scheme, p = parameters(infos[0])
        if (scheme, p.get("realm"), p.get("targetname"), p.get("qop"), p.get("opaque")) != (
                "NTLM", REALM, self.target, "auth", self.opaque) or p["snum"] in self.snums:
            return False
        self.snums.add(p["snum"])
        want = self.server.sign(text_of(m, self.version, p["srand"], p["snum"], self.target))
        return bytes.fromhex(p["rspauth"]) == want


def with_header(data, line):
    """A message with one header line more."""
    head, _, body = data.partition(b"\r\n\r\n")
    return head + b"\r\n" + line.encode() + b"\r\n\r\n" + body


def offers(m):
    """Schemes of a 401, in order, and the parameters of the NTLM one."""
    all_of = [parameters(v) for v in m.all("WWW-Authenticate")]
    return [s for s, _ in all_of], next((p for s, p in all_of if s == "NTLM"), {})


def token_of(m):
    return base64.b64decode(offers(m)[1]["gssapi-data"])


def gssapi(token):
    return ', gssapi-data="%s"' % base64.b64encode(token).decode()
