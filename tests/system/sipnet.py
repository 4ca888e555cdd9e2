"""sipnet - raw SIP over TLS for the system tests: every byte is the test's own.

A Conn is one connection, outward or accepted; a Door listens; an Edge is a
running sallyport-edge with a configuration of its own. Nothing here sleeps for
a guess: whatever is awaited has a deadline.
"""

import os
import select
import signal
import socket
import ssl
import struct
import subprocess
import sys
import threading
import time

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("LAB_BUILD", os.getcwd())
RUN = os.environ.get("SYSTEM_RUN", os.path.join(BUILD, "system-tests", "edge"))
PKI = os.path.join(RUN, "pki")
PATIENCE = 10.0


class Message:
    """A message as it arrived: start line, header lines, body."""

    def __init__(self, raw):
        self.raw = raw
        head, _, self.body = raw.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        self.start = lines[0]
        self.headers = []
        for line in lines[1:]:
            name, _, value = line.partition(":")
            self.headers.append((name.strip(), value.strip()))

    def all(self, name):
        return [v for n, v in self.headers if n.lower() == name.lower()]

    def get(self, name):
        found = self.all(name)
        return found[0] if found else None

    @property
    def status(self):
        return int(self.start.split()[1]) if self.start.startswith("SIP/2.0 ") else 0

    @property
    def method(self):
        return self.start.split()[0]

    def reply(self, status, phrase="OK", headers=(), body=b"", to_tag="far"):
        """A response to this request, as an ordinary server would make it."""
        out = ["SIP/2.0 %d %s" % (status, phrase)]
        for n, v in self.headers:
            low = n.lower()
            if low in ("via", "from", "call-id", "cseq", "record-route"):
                out.append("%s: %s" % (n, v))
            elif low == "to":
                out.append("To: %s%s" % (v, "" if ";tag=" in v or status == 100 else ";tag=" + to_tag))
        out += list(headers)
        out.append("Content-Length: %d" % len(body))
        return ("\r\n".join(out) + "\r\n\r\n").encode("latin-1") + body


class Closed(Exception):
    pass


class Silent(Exception):
    pass


class Conn:
    def __init__(self, sock):
        self.sock = sock
        self.buffer = b""
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setblocking(False)

    def send(self, data):
        if isinstance(data, str):
            data = data.encode("latin-1")
        end = time.monotonic() + PATIENCE
        while data:
            try:
                data = data[self.sock.send(data):]
            except (ssl.SSLWantWriteError, ssl.SSLWantReadError, BlockingIOError):
                if time.monotonic() > end:
                    raise Silent("cannot send")
                select.select([self.sock], [self.sock], [], 0.1)
            except OSError as e:
                raise Closed(str(e))

    def _more(self, end):
        while True:
            try:
                data = self.sock.recv(65536)
                if not data:
                    raise Closed("end of stream")
                self.buffer += data
                return
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError, BlockingIOError):
                left = end - time.monotonic()
                if left <= 0:
                    raise Silent("nothing came")
                select.select([self.sock], [], [], left)
            except OSError as e:
                raise Closed(str(e))

    def recv(self, timeout=PATIENCE):
        """The next message."""
        end = time.monotonic() + timeout
        while True:
            while self.buffer.startswith(b"\r\n"):
                self.buffer = self.buffer[2:]
            head, sep, rest = self.buffer.partition(b"\r\n\r\n")
            if sep:
                m = Message(head + sep)
                n = int(m.get("Content-Length") or m.get("l") or 0)
                if len(rest) >= n:
                    self.buffer = rest[n:]
                    return Message(head + sep + rest[:n])
            self._more(end)

    def quiet(self, seconds=0.3):
        """True if nothing arrives in that time; what does arrive is kept."""
        if self.buffer:
            return False
        try:
            self._more(time.monotonic() + seconds)
        except (Silent, Closed):
            return True
        return False

    def closed(self, timeout=PATIENCE):
        """True if the far end closes within the timeout; messages before that are dropped."""
        end = time.monotonic() + timeout
        try:
            while True:
                self._more(end)
        except Closed:
            return True
        except Silent:
            return False

    def close(self):
        try:
            self.sock.close()
        except OSError:
            pass


def client_context(cert=None, ca="ca"):
    ctx = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    ctx.load_verify_locations(os.path.join(PKI, ca + ".pem"))
    if cert:
        ctx.load_cert_chain(os.path.join(PKI, cert + ".pem"), os.path.join(PKI, cert + ".key"))
    return ctx


def dial(addr, name="sip.example.com", cert=None, ca="ca", source=None):
    host, port = addr.rsplit(":", 1)
    s = socket.create_connection((host, int(port)), PATIENCE, (source, 0) if source else None)
    s.settimeout(PATIENCE)
    return Conn(client_context(cert, ca).wrap_socket(s, server_hostname=name))


class Door:
    """A server of the inside or of a partner: mutual TLS, one certificate."""

    opened = []

    def __init__(self, addr, cert, ca="ca"):
        self.ctx = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.ctx.load_cert_chain(os.path.join(PKI, cert + ".pem"), os.path.join(PKI, cert + ".key"))
        self.ctx.load_verify_locations(os.path.join(PKI, ca + ".pem"))
        self.ctx.verify_mode = ssl.CERT_REQUIRED
        host, port = addr.rsplit(":", 1)
        self.sock = socket.socket()
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.sock.bind((host, int(port)))
        self.sock.listen(64)
        Door.opened.append(self)

    def accept(self, timeout=PATIENCE):
        self.sock.settimeout(timeout)
        try:
            s, _ = self.sock.accept()
        except socket.timeout:
            raise Silent("nobody connected")
        s.settimeout(PATIENCE)
        return Conn(self.ctx.wrap_socket(s, server_side=True))

    def close(self):
        self.sock.close()


class Resolver(threading.Thread):
    """A name server for all names: answer(name as in the packet, type) is the data of the only record, or None."""

    def __init__(self, addr, answer):
        super().__init__(daemon=True)
        self.answer = answer
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind((addr, 53))
        self.start()

    def run(self):
        while True:
            q, who = self.sock.recvfrom(2048)
            end = q.index(b"\0", 12) + 5
            kind = struct.unpack("!H", q[end - 4:end - 2])[0]
            data, record = self.answer(q[12:end - 4], kind), b""
            if data is not None:
                record = b"\xc0\x0c" + struct.pack("!HHIH", kind, 1, 60, len(data)) + data
            self.sock.sendto(q[:2] + struct.pack("!HHHHH", 0x8400, 1, 1 if record else 0, 0, 0) + q[12:end] + record, who)


class Edge:
    """sallyport-edge as a process of ours."""

    running = []

    def __init__(self, name, config, policy, control="", program="sallyport-edge"):
        self.dir = os.path.join(RUN, name)
        os.makedirs(self.dir, exist_ok=True)
        self.write("policy.conf", policy)
        self.write("edge.conf", 'policy = "%s/policy.conf";\ncontrol = { socket = "%s/edge.sock"; %s };\ntimers = { drain = 0; };\n' %
                   (self.dir, self.dir, control) + config)
        self.launch(program, "edge.conf")

    def launch(self, program, config):
        """The program with that file of its directory, until it is ready."""
        self.log_path = os.path.join(self.dir, "log")
        self.log_file = open(self.log_path, "wb")
        self.proc = subprocess.Popen([os.path.join(BUILD, program), "-f", os.path.join(self.dir, config)],
                                     stderr=self.log_file, stdout=self.log_file)
        Edge.running.append(self)
        if not self.logged("event=ready"):
            self.stop()
            sys.stderr.write(self.log())
            raise RuntimeError(program + " did not start")

    def write(self, name, text):
        with open(os.path.join(self.dir, name), "w") as f:
            f.write(text)

    def log(self):
        with open(self.log_path, "r", errors="replace") as f:
            return f.read()

    def logged(self, *words, count=1, timeout=PATIENCE):
        """Waits for `count` lines with all these words."""
        end = time.monotonic() + timeout
        while True:
            n = sum(all(w in line for w in words) for line in self.log().split("\n"))
            if n >= count:
                return True
            if time.monotonic() > end or self.proc.poll() is not None:
                return False
            time.sleep(0.02)

    def hup(self):
        self.proc.send_signal(signal.SIGHUP)

    def alive(self):
        return self.proc.poll() is None

    def stop(self):
        if self in Edge.running:
            Edge.running.remove(self)
        if self.proc.poll() is None:
            self.proc.terminate()
        try:
            status = self.proc.wait(15)
        except subprocess.TimeoutExpired:
            self.proc.kill()
            status = self.proc.wait()
        self.log_file.close()
        return status


_serial = [0]


def request(method="MESSAGE", uri="sip:bob@example.com", sender="sip:alice@example.com", to=None, tag="a1", to_tag=None,
            call=None, cseq=1, branch=True, headers=(), body=b"", via_host="192.0.2.7:5061", mf=70, cseq_method=None):
    """An ordinary request; every part can be made odd."""
    _serial[0] += 1
    call = call or "call-%d-%d" % (os.getpid(), _serial[0])
    via = "SIP/2.0/TLS %s" % via_host
    if branch is True:
        via += ";branch=z9hG4bKt%d" % _serial[0]
    elif branch:
        via += ";branch=" + branch
    lines = ["%s %s SIP/2.0" % (method, uri), "Via: " + via]
    if mf is not None:
        lines.append("Max-Forwards: %d" % mf)
    lines += ["From: <%s>;tag=%s" % (sender, tag),
              "To: <%s>%s" % (to or uri, ";tag=" + to_tag if to_tag else ""),
              "Call-ID: " + call, "CSeq: %d %s" % (cseq, cseq_method or method)]
    lines += list(headers)
    lines.append("Content-Length: %d" % len(body))
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + body


class Tests:
    """Runs functions, prints ok and not ok."""

    def __init__(self):
        self.failed = 0

    def check(self, what, good, detail=""):
        if good:
            print("ok %s" % what, flush=True)
        else:
            self.failed += 1
            print("not ok %s %s" % (what, detail), flush=True)
        return good

    def run(self, what, fn):
        """fn returns None or True for good; anything else, or an exception, says what was wrong."""
        try:
            result = fn()
        except Exception as e:  # whatever went wrong is the test's result
            result = "%s: %s" % (type(e).__name__, e)
        self.check(what, result is None or result is True, "(%s)" % (result,))
