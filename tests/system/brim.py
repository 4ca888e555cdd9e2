"""brim - messages that are as large as may be, in every measure that there is: what a stranger sends has
grown by what we write into it when it comes to the Director, which ends no connection for that, nor does the
edge for the answer. Whoever is served over the same connection is served on. Run by brim.sh."""

import os
import subprocess
import sys
import threading

import hostile
from hostile import DIRECTOR, IN, NET, PARTNERS, POLICY, T, USERS, config
from sipnet import BUILD, PKI, RUN, Closed, Door, Edge, Silent, dial, request

POOL = NET + ".9.5"
CAROL, BOB = "sip:carol@contoso.example", "sip:bob@example.com"
REGISTER = dict(method="REGISTER", uri="sip:example.com", sender=BOB, to=BOB)
MESSAGE = dict(method="MESSAGE", uri=BOB, sender=CAROL, to=BOB)


class Director(Edge):
    """sallyport-director behind the edge."""

    def __init__(self):
        self.dir = os.path.join(RUN, "director")
        os.makedirs(self.dir, exist_ok=True)
        subprocess.run([os.path.join(BUILD, "sallyportctl"), "user", "add", "bob@example.com", "--pool", "pool.int.example.com",
                        "--users", RUN + "/users", "--password-file", "-"], input=b"secret\n", check=True)
        self.write("director.conf", """
name = "director.int.example.com"; domains = [ "example.com" ]; user = "nobody"; workers = 1;
control = { socket = "%s/director.sock"; };
log = { level = "info"; refusals = 0; };
tls = { certificate = "%s/director.pem"; key = "%s/director.key"; trust = "%s/ca.pem"; };
doors = ( { listen = "%s:5061"; admits = "servers"; } );
edges = ( { name = "edge.int.example.com"; address = "%s"; } );
pools = ( { name = "pool.int.example.com"; address = "%s"; } );
auth = { users = "%s/users"; };
timers = { drain = 0; connect = 2; };
""" % (self.dir, PKI, PKI, PKI, DIRECTOR, IN, POOL, RUN))
        self.launch("sallyport-director", "director.conf")


def head_of(n, **more):
    """An ordinary request whose start line and headers have n bytes."""
    pads, short = [], n - len(request(**more))
    while short > 0:
        take = short if short <= 4000 else min(4000, short - 20)
        pads.append("X-%03d: %s" % (len(pads), "x" * (take - 9)))
        short -= take
    return padded(request(**more), pads)


def padded(data, headers):
    start, _, rest = data.partition(b"\r\n")
    return start + b"\r\n" + "".join(h + "\r\n" for h in headers).encode() + rest


def headers_of(n, **more):
    made = request(**more)
    return padded(made, ["X-Y: y"] * (n - (made.count(b"\r\n") - 2)))


def body_of(n, **more):
    more["headers"] = ["Content-Type: text/plain"]
    return request(body=b"b" * (n - len(request(body=b"b" * 10000, **more)) + 10000), **more)


def line_of(n, uri, method, **more):
    return request(uri=uri + ";x=" + "u" * (n - len("%s %s;x= SIP/2.0" % (method, uri))), method=method, **more)


def via_of(n, **more):
    """n with its line's end, as the limit has it."""
    branch = "z9hG4bKvia%d" % n
    return request(via_host="192.0.2.7:5061;x=" + "v" * (n - len("Via: SIP/2.0/TLS 192.0.2.7:5061;x=;branch=%s\r\n" % branch)),
                   branch=branch, **more)


def vias_of(n, **more):
    return request(headers=["Via: SIP/2.0/TLS 192.0.2.%d;branch=z9hG4bK%d" % (i, i) for i in range(n - 1)], **more)


def to_of(n, to, **more):
    return request(to=to + ";x=" + "t" * (n - len("<%s;x=>" % to)), **more)


def parameters_of(n, **more):
    return request(via_host="192.0.2.7:5061" + "".join(";p%d" % i for i in range(n - 1)), **more)


# What it is, how, and the answers to a user's REGISTER and to a partner's MESSAGE. What the Director's own Via can't be
# put into any more is refused where it comes in; nothing else that is within the limits is.
FULL = (
    ("a head of 16384 bytes", lambda **m: head_of(16384, **m), 401, 200),
    ("a head of 16000 bytes", lambda **m: head_of(16000, **m), 401, 200),
    ("128 headers", lambda **m: headers_of(128, **m), 401, 200),
    ("a Via of 8192 bytes", lambda **m: via_of(8192, **m), 400, 200),
    ("a Via of 7900 bytes", lambda **m: via_of(7900, **m), 401, 200),
    ("a Via with 64 parameters", lambda **m: parameters_of(64, **m), 400, 200),
    ("a Via with 60 parameters", lambda **m: parameters_of(60, **m), 401, 200),
    ("a To of 1024 bytes", lambda **m: to_of(1024, **m), 401, 200),
    ("36 Vias", lambda **m: vias_of(36, **m), 400, 400),
    ("35 Vias", lambda **m: vias_of(35, **m), 401, 200),
    ("a start line of 4096 bytes", lambda **m: line_of(4096, **m), 401, 200),
    ("a message of 65536 bytes", lambda **m: body_of(65536, **m), 401, 200),
)
# What is beyond a limit is refused, and others are served on over the same connection.
MORE = (
    ("a head of 16385 bytes", lambda **m: head_of(16385, **m), 400),
    ("a head of 24576 bytes", lambda **m: head_of(24576, **m), 400),
    ("129 headers", lambda **m: headers_of(129, **m), 400),
    ("152 headers", lambda **m: headers_of(152, **m), 400),
    ("a Via of 8193 bytes", lambda **m: via_of(8193, **m), 400),
    ("a To of 1025 bytes", lambda **m: to_of(1025, **m), 400),
    ("a start line of 4097 bytes", lambda **m: line_of(4097, **m), 414),
    ("a message of 65537 bytes", lambda **m: body_of(65537, **m), 513),
    ("a message of 73728 bytes", lambda **m: body_of(73728, **m), 513),
)


class Pool(threading.Thread):
    """Answers what comes, with as much in it as came."""

    def __init__(self):
        super().__init__(daemon=True)
        self.door = Door(POOL + ":5061", "pool")
        self.start()

    def run(self):
        conn = self.door.accept(600)
        while True:
            try:
                m = conn.recv(600)
            except (Closed, Silent):
                return
            if m.status == 0 and m.method != "ACK":
                conn.send(m.reply(200, headers=["%s: %s" % h for h in m.headers if h[0].startswith("X")]))


def brim():
    director = Director()
    Pool()
    edge = Edge("edge", config("user_rate = 0; partner_rate = 0; sign_in = 300;"), POLICY)
    good, partner = dial(USERS), dial(PARTNERS, cert="partner-edge-outer")

    def ask(conn, data):
        conn.send(data)
        return conn.recv().status

    def one(conn, data, status):
        got = ask(conn, data)
        served = ask(good, request(**REGISTER))
        return (got == status and served == 401) or "%s instead of %s; the next one %s" % (got, status, served)

    T.run("an ordinary REGISTER is answered", lambda: ask(good, request(**REGISTER)) == 401)
    T.run("an ordinary MESSAGE is answered", lambda: ask(partner, request(**MESSAGE)) == 200)
    for what, make, user_status, partner_status in FULL:
        user = dial(USERS)
        T.run("a user, %s" % what, lambda: one(user, make(**REGISTER), user_status))
        user.close()
        T.run("a partner, %s" % what, lambda: one(partner, make(**MESSAGE), partner_status))
    for what, make, status in MORE:
        T.run("a partner, %s" % what, lambda: one(partner, make(**MESSAGE), status))
    def answered_early():
        data = body_of(70000, **MESSAGE)
        partner.send(data[:1500])
        early = partner.recv().status
        partner.send(data[1500:30000])
        partner.send(data[30000:] + request(**MESSAGE))
        late = partner.recv().status
        return (early, late) == (513, 200) or "%s for the head, %s for the next message" % (early, late)

    T.run("a partner's head that says 70000 bytes is answered at once, and what comes behind its body too", answered_early)
    for name, log, first in (("edge", edge.log(), "side=inner"), ("Director", director.log(), "class=edge")):
        T.check("the %s has ended no connection between the two" % name,
                not [line for line in log.split("\n") if "event=disconnected" in line and first in line],
                [line for line in log.split("\n") if "event=disconnected" in line and first in line][:3])
    for name, d in (("edge", edge), ("Director", director)):
        lived = d.alive()
        status = d.stop()
        T.check("the %s lived, and ends in order" % name, lived and status == 0, status)
        T.check("no sanitizer complained to the %s" % name, "Sanitizer" not in d.log() and "runtime error:" not in d.log())


if __name__ == "__main__":
    sys.exit(hostile.run({"brim": brim}))
