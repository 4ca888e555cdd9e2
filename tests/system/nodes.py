"""nodes - two edges behind HAProxy (TCP pass-through, PROXY protocol), two Directors behind these, real ones all of
them; users and a partner are raw SIP, the home pool answers whatever comes. What one node holds is reached through
the other; a node that is killed takes its own connections along and nothing else. Run by array.sh."""

import hashlib
import os
import pwd
import re
import signal
import socket
import subprocess
import sys
import threading
import time

import sipnet
from sipnet import BUILD, PKI, RUN, TOP, Closed, Conn, Door, Edge, Resolver, Silent, Tests, client_context, dial, request

NET = os.environ.get("LAB_NET", "127.66")
LB, LB_OUT = NET + ".30.1", NET + ".30.2"
POOL, DNS, FAR = NET + ".34.1", NET + ".34.53", NET + ".35.1"
NODES = {"a": 1, "b": 2}
USERS = 12
T = Tests()


def outer(node):
    return NET + ".31.%d" % NODES[node]


def inner(node):
    return NET + ".32.%d" % NODES[node]


def director_at(n):
    return NET + ".33.%d" % n


def source_of(n):
    """Where user n is; each is an address block of its own."""
    return NET + ".40.%d" % (n + 1)


# ---- the world ----

def prepare():
    make = os.path.join(TOP, "certs-example", "make-pki")
    quiet = {"check": True, "stdout": subprocess.DEVNULL}
    subprocess.run([make, PKI], **quiet)
    for name in ("edge-a", "edge-b", "director1", "director2"):
        subprocess.run([make, PKI, "cert", name, "--dns", name + ".int.example.com"], **quiet)
    for name in os.listdir(PKI):
        os.chown(os.path.join(PKI, name), pwd.getpwnam("nobody").pw_uid, -1)
    for n in range(USERS):
        subprocess.run([os.path.join(BUILD, "sallyportctl"), "user", "add", "u%d@example.com" % n, "--users", RUN + "/users",
                        "--pool", "pool.int.example.com", "--password-file", "-"], input=b"secret\n", check=True)
    for name in ("edge", "director"):
        with open(os.path.join(RUN, name + "-flow.keys"), "w") as f:
            f.write("%s\n" % os.urandom(32).hex())
        os.chmod(f.name, 0o600)


POLICY = """
internal_domains = [ "example.com" ];
internal_servers = [ "director1.int.example.com", "director2.int.example.com", "edge-a.int.example.com", "edge-b.int.example.com" ];
federation = true;
partners = ( { name = "Contoso"; server = "sip.contoso.example"; domains = [ "contoso.example" ]; } );
"""


def edge_config(node):
    other = "b" if node == "a" else "a"
    pem = 'name = "sip.example.com"; certificate = "%s/edge-outer.pem"; key = "%s/edge-outer.key"; balancers = [ "%s" ];' % (PKI, PKI, LB_OUT)
    return """
user = "nobody"; workers = 2; log = { level = "debug"; refusals = 0; };
flow_keys = "%s/edge-flow.keys";
outer = (
  { listen = "%s:443"; %s users = true; },
  { listen = "%s:5061"; %s trust = "%s/ca.pem"; client_certificate = "required"; partners = true; } );
inner = { listen = "%s:5061"; name = "edge-%s.int.example.com"; certificate = "%s/edge-%s.pem"; key = "%s/edge-%s.key"; trust = "%s/ca.pem"; };
array = ( { name = "edge-%s.int.example.com"; address = "%s"; } );
directors = ( { name = "director1.int.example.com"; address = "%s"; }, { name = "director2.int.example.com"; address = "%s"; } );
dns = { servers = [ "%s:53" ]; timeout = 100; tries = 1; };
limits = { connections_block = 4; block_v4 = 32; connect = 2; proxy_header = 3; };
""" % (RUN, outer(node), pem, outer(node), pem, PKI, inner(node), node, PKI, node, PKI, node, PKI, other, inner(other),
       director_at(1), director_at(2), DNS)


class Director(Edge):
    def __init__(self, n):
        self.dir = os.path.join(RUN, "director%d" % n)
        os.makedirs(self.dir, exist_ok=True)
        self.write("director.conf", """
name = "director%d.int.example.com"; domains = [ "example.com" ]; user = "nobody"; workers = 1;
log = { level = "debug"; refusals = 0; };
flow_keys = "%s/director-flow.keys"; control = { socket = ""; };
tls = { certificate = "%s/director%d.pem"; key = "%s/director%d.key"; trust = "%s/ca.pem"; };
doors = ( { listen = "%s:5061"; admits = "servers"; } );
edges = ( { name = "edge-a.int.example.com"; address = [ "%s" ]; }, { name = "edge-b.int.example.com"; address = [ "%s" ]; } );
edge_array = true;
pools = ( { name = "pool.int.example.com"; address = [ "%s" ]; } );
auth = { users = "%s/users"; offer = [ "digest" ]; };
timers = { drain = 0; connect = 2; };
""" % (n, RUN, PKI, n, PKI, n, PKI, director_at(n), inner("a"), inner("b"), POOL, RUN))
        self.launch("sallyport-director", "director.conf")


def family(pid):
    """The process and its children, theirs too."""
    out = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True).stdout.split()
    return [pid] + [p for child in out for p in family(int(child))]


def kill_all(daemon):
    """As if the power was cut, as far as processes can tell: the master first, so that it mends nothing."""
    pids = family(daemon.proc.pid)
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    daemon.proc.wait()
    Edge.running.remove(daemon)
    daemon.log_file.close()


class Balancer:
    def __init__(self):
        path = os.path.join(RUN, "haproxy.cfg")
        with open(os.path.join(TOP, "packaging", "examples", "array", "haproxy.cfg")) as f:
            text = f.read()
        # the example's addresses are somebody's, ours are loopback
        for was, now in (("203.0.113.10", LB), ("10.0.0.5", LB_OUT), ("10.0.0.11", outer("a")), ("10.0.0.12", outer("b")),
                         ("inter 1s", "inter 200ms"), ("maxconn 100000", "maxconn 1000")):
            assert was in text, was
            text = text.replace(was, now)
        with open(path, "w") as f:
            f.write(text)
        self.log = open(os.path.join(RUN, "haproxy.log"), "wb")
        self.proc = subprocess.Popen(["haproxy", "-db", "-f", path], stdout=self.log, stderr=self.log)
        until("haproxy listens", lambda: can_connect(LB, 443))

    def stop(self):
        self.proc.terminate()
        self.proc.wait(10)
        self.log.close()


def can_connect(host, port):
    try:
        socket.create_connection((host, port), 1).close()
        return True
    except OSError:
        return False


def until(what, fn, seconds=30):
    end = time.monotonic() + seconds
    while not fn():
        if time.monotonic() > end:
            raise Silent(what)
        time.sleep(0.02)


class Pool:
    """The home pool: remembers each user's Path, answers everything with 200, and can write along a route."""

    def __init__(self):
        self.door = Door(POOL + ":5061", "pool")
        self.paths, self.contacts, self.invites = {}, {}, {}
        self.ended = []
        self.lock = threading.Lock()
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                conn = self.door.accept(3600)
            except Silent:
                continue
            except OSError as e:
                if self.door.sock.fileno() < 0:
                    return
                print("    (the pool: %s)" % e)
                continue
            threading.Thread(target=self.serve, args=(conn,), daemon=True).start()

    def serve(self, conn):
        while True:
            try:
                m = conn.recv(3600)
            except (Closed, Silent):
                return
            if m.status or m.method == "ACK":
                continue
            headers = ["Contact: <sip:pool.int.example.com:5061;transport=tls>"]
            if m.method == "REGISTER":
                aor = re.search("sip:([^>;]*)", m.get("To")).group(1)
                with self.lock:
                    self.paths[aor] = m.all("Path")
                    self.contacts[aor] = re.search("<([^>]*)>", m.get("Contact")).group(1)
                headers = ["Contact: %s;expires=3600" % m.get("Contact")]
            elif m.method == "INVITE":
                with self.lock:
                    self.invites[m.get("Call-ID")] = m
            elif m.method == "BYE":
                with self.lock:
                    self.ended.append(m.get("Call-ID"))
            try:
                conn.send(m.reply(200, headers=headers))
            except (Closed, Silent):
                return

    def node(self, aor):
        """On which node that user is, by what its Path says."""
        with self.lock:
            path = self.paths.get(aor, ["", ""])[-1]
        return "a" if "@edge-a." in path else "b" if "@edge-b." in path else None

    def write(self, aor, director):
        """A message to that user by that Director; its status."""
        with self.lock:
            routes, uri = list(self.paths[aor]), self.contacts[aor]
        conn = dial(director_at(director) + ":5061", "director%d.int.example.com" % director, "pool")
        try:
            routes[0] = re.sub(r"@director\d", "@director%d" % director, routes[0])
            if ("@director%d." % director) not in self.paths[aor][0]:
                routes = routes[1:]     # another Director's token is none of this one's; the edge's is what counts
            conn.send(request("MESSAGE", uri, "sip:pool-friend@example.com", to="sip:" + aor,
                              headers=["Route: " + ", ".join(routes)], body=b"hello"))
            return conn.recv(15).status
        finally:
            conn.close()


# ---- users ----

def digest(challenge, method, uri, user):
    given = dict(re.findall(r'(\w+)="?([^",]+)"?', challenge.all("WWW-Authenticate")[0]))
    h = lambda t: hashlib.sha256(t.encode()).hexdigest()
    response = h(":".join((h("%s:%s:secret" % (user, given["realm"])), given["nonce"], "00000001", "cn", "auth",
                           h("%s:%s" % (method, uri)))))
    return ('Authorization: Digest username="%s", realm="%s", nonce="%s", uri="%s", response="%s", cnonce="cn", nc=00000001, '
            'qop=auth, algorithm=SHA-256' % (user, given["realm"], given["nonce"], uri, response))


class User:
    """A client that signs in by the load balancer, and does so again when its connection is gone."""

    def __init__(self, n):
        self.n, self.name = n, "u%d" % n
        self.aor = self.name + "@example.com"
        self.conn, self.lost, self.got = None, 0, []
        self.asked = self.answered = self.cut = 0
        self.wrong = []
        self.end = threading.Event()

    def exchange(self, method, uri, to=None, headers=(), body=b""):
        """The response to a request, signed in by Digest if it must be; what comes meanwhile is answered."""
        credentials = []
        for _ in range(3):
            text = request(method, uri, "sip:" + self.aor, to, headers=list(headers) + credentials, body=body)
            call = re.search(rb"Call-ID: (\S+)", text).group(1).decode()
            self.asked += 1
            try:
                self.conn.send(text)
                got = self.answer_to(call)
            except (Closed, ConnectionError):
                self.cut += 1       # it has heard of it: the connection is gone
                raise
            self.answered += 1
            if got.status != 401:
                return got
            credentials = [digest(got, method, uri, self.name)]
        return got

    def answer_to(self, call):
        end = time.monotonic() + 30
        while time.monotonic() < end:
            m = self.conn.recv(30)
            if m.status:
                if m.get("Call-ID") == call and m.status >= 200:
                    return m
            else:
                self.take(m)
        raise Silent("no answer")

    def take(self, m):
        self.got.append(m)
        self.conn.send(m.reply(200))

    def sign_in(self):
        self.conn = dial(LB + ":443", source=source_of(self.n))
        got = self.exchange("REGISTER", "sip:example.com", "sip:" + self.aor,
                            ["Contact: <sip:%s@192.0.2.9:5061;transport=tls>;proxy=replace" % self.name])
        if got.status != 200:
            raise Silent("signing in: " + got.start)

    def come_back(self):
        """Again and again, as a client does."""
        end = time.monotonic() + 60
        while not self.end.is_set():
            try:
                return self.sign_in()
            except (OSError, Closed, Silent) as e:
                if self.conn is not None:
                    self.conn.close()
                if time.monotonic() > end:
                    self.wrong.append("could not come back: %s" % e)
                    return
                time.sleep(0.1)

    def listen(self, seconds=0.05):
        """Answer what comes."""
        try:
            m = self.conn.recv(seconds)
            if not m.status:
                self.take(m)
        except Silent:
            pass

    def live(self):
        """Write, one after the other, until told to end."""
        while not self.end.is_set():
            try:
                got = self.exchange("MESSAGE", "sip:u0@example.com", body=b"x" * 200)
                # while a Director is gone some are refused, with a status; nothing may go without one
                if got.status != 200 and not 400 <= got.status < 600:
                    self.wrong.append(got.start)
                self.listen(0.02)
            except (Closed, ConnectionError):
                self.lost += 1
                self.conn.close()
                self.come_back()
            except Silent as e:
                self.wrong.append(str(e))
                return

    def start(self):
        self.end.clear()
        self.thread = threading.Thread(target=self.live, daemon=True)
        self.thread.start()

    def stop(self):
        self.end.set()
        self.thread.join(60)


class Listening:
    """All users answer what comes, while the block runs."""

    def __init__(self, users):
        self.users, self.end = users, threading.Event()

    def __enter__(self):
        def listen(u):
            while not self.end.is_set():
                try:
                    u.listen()
                except (Closed, ConnectionError):
                    return
        self.threads = [threading.Thread(target=listen, args=(u,), daemon=True) for u in self.users]
        for t in self.threads:
            t.start()

    def __exit__(self, *_):
        self.end.set()
        for t in self.threads:
            t.join(30)


# ---- the tests ----

def who_has_come(edges, users, pool):
    T.check("both nodes have users", all(any(pool.node(u.aor) == n for u in users) for n in NODES),
            [pool.node(u.aor) for u in users])
    T.check("each is known by its own address, in the log of its node",
            all(edges[pool.node(u.aor)].logged("event=connected", "peer=%s:" % source_of(u.n)) for u in users))
    T.check("and to the pool: it is there that the client is reached",
            all(pool.contacts[u.aor].split("@")[-1].startswith(source_of(u.n) + ":") for u in users), list(pool.contacts.values())[:2])
    for n in NODES:
        T.check("edge %s: the balancer's health checks leave no trace" % n,
                "peer=%s:" % LB_OUT not in edges[n].log(), [l for l in edges[n].log().split("\n") if LB_OUT in l][:2])

    def one_block():
        more = []
        try:
            end = time.monotonic() + 20
            while len(more) < 8 and time.monotonic() < end:
                try:
                    more.append(dial(LB + ":443", source=source_of(100)))
                except OSError:
                    pass
            for _ in range(4):
                try:
                    more.append(dial(LB + ":443", source=source_of(100)))
                except OSError:
                    pass
            return len(more) == 8 or "%d connections of one address at two nodes that take 4 each" % len(more)
        finally:
            for c in more:
                c.close()
    T.run("the limit on connections of one block counts who is behind the balancer", one_block)

    def forged():
        head = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c" + socket.inet_aton(source_of(0)) + b"\x7f\0\0\1" + b"\x9c\x40\x01\xbb"
        s = socket.create_connection((outer("a"), 443), 10, (source_of(101), 0))
        s.send(head)
        s.settimeout(10)
        try:
            client_context().wrap_socket(s, server_hostname="sip.example.com")
            return "somebody who is no balancer was believed"
        except OSError:
            pass
        return edges["a"].logged("reason=handshake", "peer=%s:" % source_of(101))
    T.run("somebody else's header is not read", forged)

    def silent():
        s = socket.create_connection((outer("a"), 443), 10, (LB_OUT, 0))
        s.send(b"\r\n\r\n")
        s.settimeout(10)
        return s.recv(1) == b"" and edges["a"].logged("reason=proxy-header", "in time")
    T.run("a header that does not come in time", silent)

    def version_1():
        s = socket.create_connection((outer("a"), 443), 10, (LB_OUT, 0))
        s.send(b"PROXY TCP4 192.0.2.1 192.0.2.2 1 443\r\n")
        s.settimeout(10)
        try:
            gone = s.recv(1) == b""
        except ConnectionResetError:
            gone = True
        return gone and edges["a"].logged("reason=proxy-header", "version 1")
    T.run("version 1 of it is refused", version_1)


def reached_everywhere(users, pool):
    with Listening(users):
        bad = [(u.name, pool.node(u.aor), d, s) for u in users for d in (1, 2) for s in [pool.write(u.aor, d)] if s != 200]
    T.check("every user is reached by either Director", not bad and all(len(u.got) == 2 for u in users), bad)

    def through(node):
        other = "b" if node == "a" else "a"
        u = [u for u in users if pool.node(u.aor) == other][0]
        before = len(u.got)
        conn = dial(inner(node) + ":5061", "edge-%s.int.example.com" % node, "director1")
        with Listening([u]):
            conn.send(request("MESSAGE", pool.contacts[u.aor], "sip:x@example.com", to="sip:" + u.aor,
                              headers=["Route: " + pool.paths[u.aor][-1]], body=b"hello"))
            got = conn.recv(15)
        conn.close()
        return got.status == 200 and len(u.got) == before + 1 and u.got[-1].get("Route") is None or got.start
    for node in NODES:
        T.run("what comes in by edge %s's inner door for a user of the other reaches it" % node, lambda node=node: through(node))


def call_of(partner, call, pool):
    """A call of the partner's that stands; the Route set and the remote tag."""
    partner.send(request("INVITE", "sip:u1@example.com", "sip:carol@contoso.example", call=call,
                         headers=["Contact: <sip:carol@192.0.2.77:5061;transport=tls>"]))
    while True:
        got = partner.recv(15)
        if got.status >= 200:
            break
    assert got.status == 200, got.start
    routes = list(reversed(got.all("Record-Route")))
    partner.send(request("ACK", "sip:pool.int.example.com:5061;transport=tls", "sip:carol@contoso.example", call=call,
                         to="sip:u1@example.com", to_tag="far", headers=["Route: " + ", ".join(routes)]))
    return routes


def dial_partner():
    return dial(LB + ":5061", cert="partner-edge-outer", source=source_of(90))


def death_of_a_node(edges, users, pool):
    partner = dial_partner()
    routes = call_of(partner, "stands-1", pool)
    call_of(partner, "stands-2", pool)
    # the node that has the partner's calls is the one that dies
    dead = "a" if "edge-a." in routes[1] else "b"
    left = "b" if dead == "a" else "a"
    were = {u.name: pool.node(u.aor) for u in users}
    for u in users:
        u.start()
    until("everybody writes", lambda: all(u.answered > 20 for u in users))
    began = time.monotonic()
    kill_all(edges[dead])
    until("everybody has come back", lambda: all(pool.node(u.aor) == left for u in users) or any(u.wrong for u in users))
    took = time.monotonic() - began
    mark = {u.name: u.answered for u in users}
    until("everybody writes again", lambda: all(u.answered > mark[u.name] + 20 for u in users) or any(u.wrong for u in users))
    for u in users:
        u.stop()
    T.check("killing edge %s: its users come back on the other node (%d of %d, all within %.1f s)" %
            (dead, sum(w == dead for w in were.values()), USERS, took), all(pool.node(u.aor) == left for u in users))
    T.check("  the others' connections stay", all(u.lost == 0 for u in users if were[u.name] == left),
            [(u.name, u.lost) for u in users if were[u.name] == left])
    T.check("  the dead one's are lost, each of them", all(u.lost >= 1 for u in users if were[u.name] == dead))
    T.check("  no request without an answer but on a connection that ended (%d asked, %d answered, %d cut)" %
            tuple(sum(getattr(u, k) for u in users) for k in ("asked", "answered", "cut")),
            all(u.asked == u.answered + u.cut for u in users))
    T.check("  nothing went wrong", not any(u.wrong for u in users), [w for u in users for w in u.wrong][:3])

    def bye():
        partner.close()
        again = dial_partner()
        again.send(request("BYE", "sip:pool.int.example.com:5061;transport=tls", "sip:carol@contoso.example", call="stands-1",
                           to="sip:u1@example.com", to_tag="far", cseq=2, headers=["Route: " + ", ".join(routes)]))
        got = again.recv(15)
        again.close()
        return got.status == 200 and "stands-1" in pool.ended or got.start
    T.run("  a partner's dialog that went by it is ended by the other", bye)

    def bye_outward():
        door = Door(FAR + ":5061", "partner-edge-outer")
        invite = pool.invites["stands-2"]
        n = int(re.search(r"director(\d)", invite.all("Record-Route")[0]).group(1))
        conn = dial(director_at(n) + ":5061", "director%d.int.example.com" % n, "pool")
        conn.send(request("BYE", "sip:carol@192.0.2.77:5061;transport=tls", "sip:u1@example.com", call="stands-2", tag="far",
                          to="sip:carol@contoso.example", to_tag="a1", headers=["Route: " + ", ".join(invite.all("Record-Route"))]))
        far = door.accept(15)
        m = far.recv(15)
        far.send(m.reply(200))
        got = conn.recv(15)
        for c in (conn, far, door):
            c.close()
        return m.method == "BYE" and got.status == 200 or got.start
    T.run("  and from inside, too", bye_outward)
    return dead, left


def return_of_a_node(edges, dead, users, pool, old_path, old_contact):
    edges[dead] = Edge("edge-%s-again" % dead, edge_config(dead), POLICY)
    strangers = []
    # the first connections of the new process have the places of the old one's
    for i in range(30):
        head = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c" + socket.inet_aton(source_of(110 + i)) + b"\x7f\0\0\1" + b"\x9c\x40\x01\xbb"
        s = socket.create_connection((outer(dead), 443), 10, (LB_OUT, 0))
        s.sendall(head)
        s.settimeout(10)
        strangers.append(Conn(client_context().wrap_socket(s, server_hostname="sip.example.com")))

    def misdelivered():
        conn = dial(inner(dead) + ":5061", "edge-%s.int.example.com" % dead, "director1")
        conn.send(request("MESSAGE", old_contact, "sip:x@example.com", to="sip:u0@example.com", headers=["Route: " + old_path]))
        got = conn.recv(15)
        conn.close()
        return got.status == 430 and all(s.quiet(0) for s in strangers) or got.start
    T.run("a Path of a process that is gone leads to nobody in the one after it", misdelivered)
    for s in strangers:
        s.close()
    until("haproxy has noticed", lambda: back_on(dead, edges))
    T.check("a node that is back gets new connections", True)


def back_on(node, edges):
    try:
        dial(LB + ":443", source=source_of(95)).close()
    except OSError:
        return None     # no node is up yet
    return True if "peer=%s:" % source_of(95) in edges[node].log() else None


def death_of_a_director(directors, users, pool):
    for u in users:
        u.start()
    marks = {u.name: u.answered for u in users}
    until("everybody writes", lambda: all(u.answered > marks[u.name] + 10 for u in users))
    lost = sum(u.lost for u in users)
    kill_all(directors[1])
    marks = {u.name: u.answered for u in users}
    until("everybody writes again", lambda: all(u.answered > marks[u.name] + 30 for u in users) or any(u.wrong for u in users))
    for u in users:
        u.stop()
    T.check("killing a Director: nobody's connection is lost", sum(u.lost for u in users) == lost)
    T.check("  and every request has an answer", all(u.asked == u.answered + u.cut for u in users) and not any(u.wrong for u in users),
            [w for u in users for w in u.wrong][:3])
    last = [u.exchange("MESSAGE", "sip:u0@example.com").status for u in users]
    T.check("  the other one serves them all", last == [200] * len(users), last)


def main():
    prepare()
    pool = Pool()
    Resolver(DNS, lambda name, kind: socket.inet_aton(FAR) if kind == 1 else None)
    directors = {n: Director(n) for n in (1, 2)}
    edges = {n: Edge("edge-" + n, edge_config(n), POLICY) for n in NODES}
    balancer = Balancer()
    until("both nodes are up", lambda: all(back_on(n, edges) for n in NODES))
    users = [User(n) for n in range(USERS)]
    try:
        for u in users:
            u.sign_in()
        who_has_come(edges, users, pool)
        reached_everywhere(users, pool)
        olds = {pool.node(u.aor): (pool.paths[u.aor][-1], pool.contacts[u.aor]) for u in users}
        dead, left = death_of_a_node(edges, users, pool)
        return_of_a_node(edges, dead, users, pool, *olds[dead])
        death_of_a_director(directors, users, pool)
    finally:
        balancer.stop()
        for e in list(Edge.running):
            T.check("%s ends in order" % os.path.basename(e.dir), e.stop() == 0)
    return T.failed


sys.exit(1 if main() else 0)
