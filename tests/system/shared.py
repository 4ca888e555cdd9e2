"""shared - two edges and a Redis server (TLS, ACL) of their own: a block or a commit on one node is in force on the
other, two administrators never make the same version, and every way in which Redis can be gone has its name and
heals by itself. Run by shared.sh."""

import concurrent.futures
import hashlib
import json
import os
import pwd
import re
import signal
import socket
import ssl
import struct
import subprocess
import sys
import threading
import time

from sipnet import BUILD, PKI, RUN, TOP, Closed, Door, Edge, Resolver, Silent, Tests, client_context, dial, request

NET = os.environ.get("LAB_NET", "127.66")
REDIS, DNS, FAR, DIRECTOR = NET + ".50.1", NET + ".50.53", NET + ".50.2", NET + ".53.1"
NODES = {"a": 1, "b": 2}
T = Tests()
PLAIN = """internal_domains = [ "example.com" ];
internal_servers = [ "director.int.example.com" ];
federation = true;
discovery = true;
open_federation = true;
"""


def until(what, fn, seconds=30):
    end = time.monotonic() + seconds
    while not fn():
        if time.monotonic() > end:
            raise Silent(what)
        time.sleep(0.05)


# ---- the world ----

def prepare():
    make = os.path.join(TOP, "certs-example", "make-pki")
    quiet = {"check": True, "stdout": subprocess.DEVNULL}
    subprocess.run([make, PKI], **quiet)
    subprocess.run([make, PKI, "cert", "redis", "--dns", "redis.int.example.com"], **quiet)
    subprocess.run([make, PKI, "cert", "other", "--dns", "other.int.example.com"], **quiet)
    subprocess.run([make, PKI, "cert", "false", "--issuer", "untrusted", "--dns", "redis.int.example.com"], **quiet)
    for name in ("stranger", "careful"):
        subprocess.run([make, PKI, "cert", name, "--dns", "sip.%s.example" % name], **quiet)
    for name in ("edge-a", "edge-b"):
        subprocess.run([make, PKI, "cert", name, "--dns", name + ".int.example.com"], **quiet)
    for name in os.listdir(PKI):
        os.chown(os.path.join(PKI, name), pwd.getpwnam("nobody").pw_uid, -1)
    with open(os.path.join(RUN, "password"), "w") as f:
        f.write("s3cret\n")
    os.chmod(f.name, 0o600)


class Redis:
    """Debian's, on loopback, with TLS and a name and password for the nodes; nothing is kept on the disk."""

    def __init__(self, cert="redis", password="s3cret"):
        path = os.path.join(RUN, "redis.conf")
        with open(path, "w") as f:
            f.write('bind %s\nport 0\ntls-port 6379\ntls-cert-file %s/%s.pem\ntls-key-file %s/%s.key\ntls-ca-cert-file %s/ca.pem\n'
                    'tls-auth-clients no\nsave ""\nappendonly no\ndir %s\nuser default off\n'
                    'user edge on >%s ~sallyport:* +@read +@write +@transaction +@connection\n'
                    'user admin on >admin ~* +@all\n' % (REDIS, PKI, cert, PKI, cert, PKI, RUN, password))
        self.log = open(os.path.join(RUN, "redis.log"), "ab")
        self.proc = subprocess.Popen(["redis-server", path], stdout=self.log, stderr=self.log)
        until("redis listens", self.listens)

    def listens(self):
        try:
            socket.create_connection((REDIS, 6379), 1).close()
            return True
        except OSError:
            return self.proc.poll() is not None

    def say(self, *words):
        """One command of the administrator's; the raw reply's first part."""
        s = client_context().wrap_socket(socket.create_connection((REDIS, 6379), 10), server_hostname="redis.int.example.com")
        try:
            for command in (("AUTH", "admin", "admin"), words):
                parts = [w if isinstance(w, bytes) else str(w).encode() for w in command]
                s.sendall(b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(p), p) for p in parts))
                reply = s.recv(65536)
            return reply
        finally:
            s.close()

    def stop(self, how=signal.SIGTERM):
        if self.proc.poll() is None:
            self.proc.send_signal(how)
        self.proc.wait(10)
        self.log.close()


def named(name, kind):
    """Every domain of .example has a server "sip" in it, at FAR."""
    if kind == 33:
        return struct.pack("!HHH", 0, 0, 5061) + b"\x03sip" + (name[name.index(b"_tcp") + 4:] if b"_tcp" in name else name)
    return socket.inet_aton(FAR) if kind == 1 else None


class Inside(threading.Thread):
    """Answers 404 to what is for "nobody", 200 to the rest."""

    def __init__(self):
        super().__init__(daemon=True)
        self.door = Door(DIRECTOR + ":5061", "director")
        self.start()

    def run(self):
        while self.door.sock.fileno() >= 0:
            try:
                threading.Thread(target=self.link, args=(self.door.accept(3600),), daemon=True).start()
            except (Silent, OSError):
                continue

    def link(self, conn):
        while True:
            try:
                m = conn.recv(3600)
                conn.send(m.reply(404 if "nobody" in m.start else 200))
            except (Closed, Silent):
                return


def config(node):
    return """
user = "nobody"; workers = 1; log = { level = "info"; refusals = 0; };
flow_keys = "%s/flow.keys";
outer = ( { listen = "%s.51.%d:443"; name = "sip.example.com"; certificate = "%s/edge-outer.pem"; key = "%s/edge-outer.key"; users = true; },
          { listen = "%s.51.%d:5061"; name = "sip.example.com"; certificate = "%s/edge-outer.pem"; key = "%s/edge-outer.key"; trust = "%s/ca.pem";
            client_certificate = "required"; partners = true; } );
discovered = { rate = 1000; window = 10; failures = 2; failure_share = 50; addressees = 3; };
inner = { listen = "%s.52.%d:5061"; name = "edge-%s.int.example.com"; certificate = "%s/edge-%s.pem"; key = "%s/edge-%s.key"; trust = "%s/ca.pem"; };
directors = ( { name = "director.int.example.com"; address = "%s.53.1"; } );
dns = { servers = [ "%s:53" ]; timeout = 100; tries = 1; };
shared = { server = "%s:6379"; name = "redis.int.example.com"; trust = "%s/ca.pem"; user = "edge"; password = "%s/password";
           store = "%s/edge-%s/store"; };
""" % (RUN, NET, NODES[node], PKI, PKI, NET, NODES[node], PKI, PKI, PKI, NET, NODES[node], node, PKI, node, PKI, node, PKI, NET, DNS, REDIS, PKI, RUN, RUN, node)


class Node(Edge):
    def __init__(self, node, policy, change=("", "")):
        self.node = node
        super().__init__("edge-" + node, config(node).replace(*change), policy)

    def ctl(self, *words):
        return subprocess.run([os.path.join(BUILD, "sallyportctl")] + list(words), capture_output=True, text=True, timeout=60)

    def store(self, *words):
        return self.ctl(*words, "--store", self.dir + "/store", "--policy", self.dir + "/policy.conf", "--socket", self.dir + "/edge.sock")

    def history(self):
        """{version: (sha256, author, note)}, the newest first."""
        out = json.loads(self.store("policy", "history", "--json", "--max", "200").stdout)
        return {v["version"]: (v["sha256"], v["author"], v.get("note", "")) for v in out["versions"]}

    def policy(self):
        with open(self.dir + "/policy.conf") as f:
            return f.read()

    def obeys(self, text):
        """Do the workers decide by that text?"""
        want = hashlib.sha256(text.encode()).hexdigest()
        return self.daemon().get("policy_sha256") == want

    def records(self):
        out = self.ctl("status", "--json", "--socket", self.dir + "/edge.sock").stdout
        return json.loads(out)["records"]

    def daemon(self):
        return [r for r in self.records() if r.get("kind") == "daemon"][0]

    def shared(self):
        return [r for r in self.records() if r.get("kind") == "shared"][0]

    def metric(self, name):
        out = self.ctl("metrics", "--socket", self.dir + "/edge.sock").stdout
        return sum(int(n) for n in re.findall(r"^%s(?:\{[^}]*\})? (\d+)$" % re.escape(name), out, re.M))

    def cause(self, cause):
        out = self.ctl("metrics", "--socket", self.dir + "/edge.sock").stdout
        return sum(int(n) for n in re.findall(r'^sallyport_shared_losses_total\{cause="%s"\} (\d+)$' % cause, out, re.M))

    def process(self, name):
        out = subprocess.run(["ps", "-o", "pid=,comm=", "--ppid", str(self.proc.pid)], capture_output=True, text=True).stdout
        return next((int(line.split()[0]) for line in out.splitlines() if line.split()[1] == name), 0)


def agree(nodes):
    return len({n.policy() for n in nodes}) == 1 and all(n.obeys(n.policy()) for n in nodes)


def status_of(node, to):
    conn = dial("%s.51.%d:443" % (NET, NODES[node.node]))
    try:
        conn.send(request(uri=to, sender="sip:alice@example.com"))
        return conn.recv().status
    finally:
        conn.close()


# ---- the tests ----

def no_store():
    """The first node has a store that is none."""
    with open(RUN + "/none", "w"):
        pass
    a = Node("a", PLAIN, ("/edge-a/store", "/none"))
    T.check("a node that cannot begin to share says so", a.logged("event=shared-policy-refused", RUN + "/none"), a.log()[-500:])
    until("it has heard of Redis", lambda: a.shared()["state"] == "shared")
    T.check("  and so does the doctor", "no policy is shared yet" in doctor(a)[0], doctor(a))
    T.check("  it ends in order", a.stop() == 0)


def beginning(a):
    until("the first node says what is in force", lambda: a.logged("event=shared-policy-told", timeout=0))
    b = Node("b", PLAIN + "# of another hand\n")
    until("the second takes it", lambda: b.policy() == PLAIN and b.obeys(PLAIN))
    T.check("a node that joins has the others' policy", agree([a, b]))
    T.check("  and its own in its history", len(b.history()) == 2)
    until("status says so", lambda: a.shared()["state"] == "shared" and b.shared().get("version", 0) == a.shared()["version"])
    T.check("status says so", True)
    T.check("a metric, too", a.metric("sallyport_shared_up") == 1)
    return b


def changes(a, b):
    before = status_of(b, "sip:x@evil.example")
    began = time.monotonic()
    r = a.store("block", "evil.example")
    until("the block is in force there", lambda: status_of(b, "sip:x@evil.example") == 403 != before)
    took = time.monotonic() - began
    T.check("a block on one node takes effect on the other (%.1f s)" % took, r.returncode == 0 and before != 403, (before, r.stderr))
    until("agreement", lambda: agree([a, b]))
    newest = max(a.history())
    T.check("  as the same version, of the same author", a.history()[newest] == b.history().get(newest), (a.history(), b.history()))
    r = b.store("unblock", "evil.example")
    until("agreement", lambda: agree([a, b]) and "evil" not in a.policy())
    T.check("  and back from the other side", r.returncode == 0)
    T.check("the audit logs are good on both", all(n.store("policy", "audit", "verify").returncode == 0 for n in (a, b)),
            [n.store("policy", "audit", "verify").stderr for n in (a, b)])


def two_administrators(a, b):
    os.kill(b.process("shared"), signal.SIGSTOP)
    try:
        T.check("one node commits", a.store("block", "first.example").returncode == 0)
        with concurrent.futures.ThreadPoolExecutor() as pool:
            late = pool.submit(b.store, "block", "second.example")
            until("the other has written its pending claim", lambda: late.done() or holds_lock(b))
            os.kill(b.process("shared"), signal.SIGCONT)
            r = late.result(60)
    finally:
        os.kill(b.process("shared"), signal.SIGCONT)
    T.check("  the other, from the version before, is told who was faster", r.returncode == 75 and
            "another node" in r.stderr, (r.returncode, r.stderr))
    until("agreement", lambda: agree([a, b]))
    T.check("  and has the first one's", "first.example" in b.policy() and "second.example" not in a.policy())
    again = b.store("block", "second.example")
    until("agreement", lambda: agree([a, b]) and "second.example" in a.policy())
    T.check("  then its own", again.returncode == 0, again.stderr)

    done, faster = [], 0
    with concurrent.futures.ThreadPoolExecutor() as pool:
        for i in range(3):
            both = [(n, "r%d%s.example" % (i, n.node), pool.submit(n.store, "block", "r%d%s.example" % (i, n.node))) for n in (a, b)]
            for n, domain, job in both:
                r = job.result(60)
                if r.returncode == 0:
                    done.append(domain)
                elif r.returncode == 75:
                    faster += 1
                else:
                    T.check("a block at the same time", False, r.stderr)
            until("agreement", lambda: agree([a, b]))
    ha, hb = a.history(), b.history()
    same = {v for v in ha if v in hb and v > 2}
    T.check("six blocks, two at a time (%d done, %d told that another was faster): no version is two" % (len(done), faster),
            len(done) + faster == 6 and len(done) >= 3 and all(ha[v] == hb[v] for v in same) and len(same) >= len(done),
            [(v, ha[v], hb[v]) for v in same if ha[v] != hb[v]])
    T.check("  and what was done is in force", all(d in a.policy() for d in done), [d for d in done if d not in a.policy()])


def holds_lock(node):
    """Has somebody the store's lock?"""
    with open(node.dir + "/store/lock") as f:
        import fcntl
        try:
            fcntl.flock(f, fcntl.LOCK_EX | fcntl.LOCK_NB)
            fcntl.flock(f, fcntl.LOCK_UN)
            return False
        except BlockingIOError:
            return True


def budgets(redis, a, b):
    """What unlisted partners are left is left to them at both nodes together."""
    def partner(node, name):
        return dial("%s.51.%d:5061" % (NET, NODES[node.node]), cert=name)

    def status(conn, name, to):
        conn.send(request(uri="sip:%s@example.com" % to, sender="sip:x@%s.example" % name))
        return conn.recv().status

    first, second = partner(a, "stranger"), partner(b, "stranger")
    got = [status(first, "stranger", "nobody") for _ in range(3)]
    T.check("an unlisted partner guesses at users at one node", got == [404] * 3 and
            a.logged("event=discovered-suspicion", "state=began"), got)

    def noticed():
        status(second, "stranger", "somebody")
        return b.logged("event=discovered-suspicion", "state=elsewhere", timeout=0)
    until("it is suspicious at the other", noticed)
    T.check("  and is suspicious at the other, too", True)
    first.close()
    second.close()

    first, second = partner(a, "careful"), partner(b, "careful")
    got = [status(first, "careful", "one"), status(first, "careful", "two"), status(second, "careful", "three")]
    T.check("another addresses two users at one node, and one at the other", got == [200] * 3, got)

    with open(os.path.join(PKI, "careful.pem")) as f:
        leaf = re.search("-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", f.read(), re.S).group(0)
    key = "sallyport:partner:" + hashlib.sha256(ssl.PEM_cert_to_DER_cert(leaf)).hexdigest()
    told = []

    def told_again():
        """The second node has told of itself, and so heard of the first, three times more; by the third it has the first time's answer."""
        # whom it knows it may address, and that keeps the nodes telling each other
        if [status(first, "careful", "one"), status(second, "careful", "three")] != [200] * 2:
            raise Silent("a known addressee was refused")
        mine, theirs = redis.say("HGET", key, "edge-b.int.example.com"), redis.say("HGET", key, "edge-a.int.example.com")
        if b" 2 0\r\n" in theirs and mine not in told:
            told.append(mine)
        return len(told) > 3
    until("the nodes have told each other", told_again)
    got = status(second, "careful", "four")
    T.check("  the three that it may address are three at both together", got == 403 and b.logged("reason=discovered-addressees"), got)
    first.close()
    second.close()


def doctor(node):
    """What the doctor says of the array, before anything else."""
    out = node.ctl("doctor", "stranger.example", "--config", node.dir + "/edge.conf", "--wait", "1").stdout
    return [line for line in out.split("\n") if " shared " in line] or [out]


def alone(nodes, cause):
    """Both say that they are on their own, and why; in the log, by status and by a metric."""
    until("they notice: " + cause, lambda: all(n.shared()["state"] == "alone" and n.shared()["reason"] == cause for n in nodes))
    return all(n.logged("event=shared-state", "state=alone", "reason=" + cause) and n.cause(cause) >= 1 and
               n.metric("sallyport_shared_up") == 0 for n in nodes)


def healed(nodes):
    until("they are together again", lambda: all(n.shared()["state"] == "shared" for n in nodes))
    until("agreement", lambda: agree(nodes))
    return True


def outages(redis, a, b):
    nodes = [a, b]
    os.kill(redis.proc.pid, signal.SIGSTOP)
    try:
        T.check("Redis hangs: each node says that it is on its own", alone(nodes, "redis-silent"))
        r = a.store("block", "lonely.example")
        T.check("  a change is made on this node alone", r.returncode == 0 and status_of(a, "sip:x@lonely.example") == 403 and
                a.logged("event=shared-policy-untold"), r.stderr)
        T.check("  the doctor says so, too", "redis-silent" in doctor(a)[0], doctor(a))
        T.check("  and not on the other", "lonely.example" not in b.policy())
    finally:
        os.kill(redis.proc.pid, signal.SIGCONT)
    T.check("  when it is back, so is agreement, and the other has the change", healed(nodes) and "lonely.example" in b.policy())

    redis.stop(signal.SIGKILL)
    T.check("Redis is killed", alone(nodes, "redis-unreachable"))
    T.check("  and SIP goes on", status_of(b, "sip:x@lonely.example") == 403)
    redis = Redis(password="another")
    T.check("a wrong password", alone(nodes, "redis-login"))
    redis.stop()
    redis = Redis(cert="false")
    T.check("a certificate of an unknown authority", alone(nodes, "redis-certificate"))
    redis.stop()
    redis = Redis(cert="other")
    until("both have tried", lambda: all(n.shared()["reason"] == "redis-certificate" and "hostname" in n.shared()["detail"].lower() for n in nodes))
    T.check("  and of another server", True)
    redis.stop()
    redis = Redis()
    T.check("one that is good, and empty: all is told anew", healed(nodes))
    until("the policy is there", lambda: b"lonely.example" in redis.say("HGET", "sallyport:policy", "text"))
    return redis


def poisoned(redis, a, b):
    """Whoever can write to Redis gets no further than an administrator's mistakes would."""
    nodes, before = [a, b], a.policy()
    version = max(max(n.history()) for n in nodes) + 5

    def put(text, number=version, digest=None, line=None):
        digest = digest or hashlib.sha256(text).hexdigest()
        line = line or 'version=%d parent=1 time=2026-01-01T00:00:00Z author="mallory" action=commit sha256=%s note=""' % (number, digest)
        redis.say("HMSET", "sallyport:policy", "version", number, "sha256", digest, "change", line, "text", text)

    put(b"this is no policy\n")
    T.check("a shared text with mistakes is refused, and logged", all(n.logged("event=shared-policy-refused", "mallory") for n in nodes) and
            a.policy() == before == b.policy())
    put(b'@include "/etc/passwd"\n' + PLAIN.encode(), version + 1)
    T.check("one that includes files, too", all(n.logged("event=shared-policy-refused", "include") for n in nodes) and a.policy() == before)
    put(PLAIN.encode() + b"# x\n", version + 2, digest="0" * 64)
    until("they notice that the hash is wrong", lambda: all(n.shared()["reason"] == "redis-nonsense" for n in nodes if n.shared()["state"] == "alone")
          and any(n.cause("redis-nonsense") for n in nodes))
    T.check("one whose hash is not its own", a.policy() == before == b.policy())
    redis.say("HMSET", "sallyport:policy", "version", "-1")
    until("they notice the number", lambda: all(n.cause("redis-nonsense") >= 1 for n in nodes))
    redis.say("DEL", "sallyport:policy")
    redis.say("SET", "sallyport:policy", "a string")
    T.check("a key of another type", alone(nodes, "redis-refused"))
    redis.say("DEL", "sallyport:policy")
    T.check("what was there is there again", healed(nodes) and a.policy() == before)


def no_descriptors(a, b):
    """A version comes while the process that serves has a descriptor for its question, and none for the answer."""
    pid, begin = b.process("sallyport-edge"), len(b.log())
    who, seen = pwd.getpwnam("nobody"), []

    def allow(n):
        # as its own account, since root may not be allowed to in a container
        subprocess.run(["prlimit", "--pid", str(pid), "--nofile=%d:" % n], user=who.pw_uid, group=who.pw_gid, extra_groups=[], check=True)

    def narrow():
        used, now = {int(fd) for fd in os.listdir("/proc/%d/fd" % pid)}, time.monotonic()
        # it may be asking just now; not for longer than that
        seen[:] = [one for one in seen if one[0] > now - 2] + [(now, next(fd for fd in range(len(used) + 1) if fd not in used))]
        allow(min(free for _, free in seen) + 1)

    def states():
        return re.findall(r"event=shared-state state=(\S+)(?: reason=(\S+))?", b.log()[begin:])
    try:
        until("the process that serves has no descriptors left, and says that it hears nothing",
              lambda: narrow() or ("alone", "shared-hung") in states())
        r = a.store("block", "narrow.example")
        until("the other node has the version", lambda: narrow() or "narrow.example" in b.policy())
        mark = b.log().count("event=master")
        until("  and some more answers are lost", lambda: narrow() or b.log().count("event=master") > mark + 1)
        T.check("the process that serves cannot take an answer, when another node's block comes", r.returncode == 0, r.stderr)
    finally:
        allow(1000)
    until("the block is in force", lambda: agree([a, b]) and status_of(b, "sip:x@narrow.example") == 403)
    T.check("  when it can again, the block is in force", True)
    until("the log says that all is well", lambda: states()[-1] == ("shared", "") and b.shared()["state"] == "shared")
    T.check("  and the log says that all is well", True)


def lost_process(a, b):
    os.kill(a.process("shared"), signal.SIGKILL)
    until("it is missed", lambda: a.cause("shared-ended") == 1)
    T.check("the process that asks Redis is killed: it is started again", healed([a, b]))
    T.check("  and nothing else has", a.alive() and a.process("keyd") > 0)


def main():
    prepare()
    Resolver(DNS, named)
    Inside()
    redis = Redis()
    try:
        no_store()
        a = Node("a", PLAIN)
        b = beginning(a)
        changes(a, b)
        two_administrators(a, b)
        budgets(redis, a, b)
        redis = outages(redis, a, b)
        poisoned(redis, a, b)
        no_descriptors(a, b)
        lost_process(a, b)
        T.check("no password in a log", not any("s3cret" in n.log() for n in (a, b)))
        T.check("no process was ended by its fence", not any("sandbox-violation" in n.log() for n in (a, b)))
    except Silent as e:
        T.check(str(e), False, [(n.shared(), n.log()[-800:]) for n in Edge.running])
    finally:
        for e in list(Edge.running):
            T.check("%s ends in order" % os.path.basename(e.dir), e.stop() == 0)
        redis.stop()
    return T.failed


if __name__ == "__main__":
    sys.exit(1 if main() else 0)
