"""lying - two edges and a Redis server that is none: one that sends a byte now and then, takes nothing, promises
arrays without end, or has a policy that does not do on a node. What is told of that is one state with one reason, the
node goes on by what it has, and what could not be told is told later. Run by lying.sh."""

import hashlib
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time

import shared
from shared import NET, PLAIN, REDIS, Node, T, agree, healed, holds_lock, prepare, status_of, until
from sipnet import BUILD, PKI, Edge, Resolver, Silent, dial, request

WRITES = ("HSET", "HMSET", "DEL", "EXPIRE", "MULTI", "EXEC")
BY_BITS = 0.25      # seconds between two bytes; each of them is in time


class Liar:
    """What the nodes say to Redis, understood; answers as `mood` says."""

    def __init__(self):
        self.hashes, self.lock, self.mood, self.asked = {}, threading.Lock(), "good", []
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(os.path.join(PKI, "redis.pem"), os.path.join(PKI, "redis.key"))
        self.sock = socket.create_server((REDIS, 6379))
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            conn, _ = self.sock.accept()
            threading.Thread(target=self.serve, args=(conn,), daemon=True).start()

    def serve(self, conn):
        try:
            if self.mood == "gone":
                return
            with self.context.wrap_socket(conn, server_side=True) as tls:
                f = tls.makefile("rb")
                queue = None
                while True:
                    words = self.read(f)
                    if words is None or self.mood == "gone":
                        return
                    name = words[0].upper()
                    with self.lock:
                        self.asked.append(words)
                        if name == "MULTI" and self.mood != "reads":
                            queue, reply = [], b"+OK\r\n"
                        elif name == "EXEC" and queue is not None:
                            reply = b"*%d\r\n" % len(queue) + b"".join(self.answer(w) for w in queue)
                            queue = None
                        elif queue is not None:
                            queue.append(words)
                            reply = b"+QUEUED\r\n"
                        else:
                            reply = self.answer(words)
                    if self.mood == "bits" and name != "AUTH":
                        reply = b"$1000\r\n" + b"x" * 1000
                        for c in reply:
                            tls.sendall(bytes([c]))
                            time.sleep(BY_BITS)
                    elif self.mood == "endless" and name == "HMGET":
                        tls.sendall(b"*1000000000\r\n")
                    else:
                        tls.sendall(reply)
        except (OSError, ValueError, IndexError):
            return
        finally:
            conn.close()

    @staticmethod
    def read(f):
        line = f.readline()
        if not line:
            return None
        words = []
        for _ in range(int(line[1:])):
            n = int(f.readline()[1:])
            words.append(f.read(n + 2)[:-2].decode())
        return words

    def answer(self, w):
        name = w[0].upper()
        if name in WRITES and self.mood == "reads":
            return b"-READONLY You can't write against a read only replica.\r\n"
        if name in ("HSET", "HMSET"):
            self.hashes.setdefault(w[1], {}).update(zip(w[2::2], w[3::2]))
            return b":1\r\n" if name == "HSET" else b"+OK\r\n"
        if name == "HMGET":
            h = self.hashes.get(w[1], {})
            return b"*%d\r\n" % len(w[2:]) + b"".join(bulk(h.get(k)) for k in w[2:])
        if name == "HGETALL":
            flat = [x for pair in self.hashes.get(w[1], {}).items() for x in pair]
            return b"*%d\r\n" % len(flat) + b"".join(bulk(x) for x in flat)
        return b":1\r\n" if name == "EXPIRE" else b"+OK\r\n"

    def put(self, text, version, digest=None):
        digest = digest or hashlib.sha256(text.encode()).hexdigest()
        line = 'version=%d parent=1 time=2026-01-01T00:00:00Z author="mallory" action=commit sha256=%s note=""' % (version, digest)
        with self.lock:
            self.hashes["sallyport:policy"] = {"version": str(version), "sha256": digest, "change": line, "text": text}

    def kept(self):
        with self.lock:
            return dict(self.hashes["sallyport:policy"])

    def restore(self, policy):
        with self.lock:
            self.hashes["sallyport:policy"] = policy

    def tries(self, node):
        """How often the node has begun a round; its first words are that it is there."""
        with self.lock:
            return sum(w[0] == "HSET" and w[1] == "sallyport:nodes" and w[2] == node for w in self.asked)

    def told(self, node):
        """The requests of unlisted partners that the node has told of, each time."""
        with self.lock:
            return [int(w[3].split()[1]) for w in self.asked if w[0] == "HSET" and ":partner:" in w[1] and w[2] == node]


def bulk(text):
    return b"$-1\r\n" if text is None else b"$%d\r\n%s\r\n" % (len(text.encode()), text.encode())


def states(node):
    """Every change of state that the log has."""
    return re.findall(r"event=shared-state state=(\S+)(?: reason=(\S+))?", node.log())


def in_three(fn):
    """On a machine that is too slow for a round, other states come between: what is wrong is so each time."""
    for _ in range(3):
        got = fn()
        if got is True:
            break
    return got


def one_state(nodes, liar, cause, begin, end):
    """Told once, however often it is looked at."""
    end()
    healed(nodes)
    before = [len(states(n)) for n in nodes]
    begin()
    until(cause, lambda: all(n.shared()["state"] == "alone" and n.shared()["reason"] == cause for n in nodes))
    mark = [liar.tries("edge-%s.int.example.com" % n.node) for n in nodes]
    until("some more tries", lambda: all(liar.tries("edge-%s.int.example.com" % n.node) >= k + 2 for n, k in zip(nodes, mark)))
    got = [states(n)[k:] for n, k in zip(nodes, before)]
    return got == [[("alone", cause)]] * len(nodes) and all(n.shared()["reason"] == cause and n.cause(cause) >= 1 for n in nodes) or got


# ---- the tests ----

def moods(liar, nodes):
    a = nodes[0]
    for mood, cause, what in (("bits", "redis-silent", "a reply that comes byte by byte, each in time"),
                              ("reads", "redis-refused", "a server that is read and not written"),
                              ("endless", "redis-nonsense", "an array that is promised to be without end")):
        T.run("%s: one state, one reason (%s)" % (what, cause), lambda: in_three(
            lambda: one_state(nodes, liar, cause, lambda: setattr(liar, "mood", mood), lambda: setattr(liar, "mood", "good"))))
        T.check("  and the node goes by what it has", status_of(a, "sip:x@blocked.example") == 403)
        if mood == "reads":
            T.check("  it says what it was answered", "READONLY" in a.shared()["detail"], a.shared())
        if mood == "endless":
            with open("/proc/%d/status" % a.process("shared")) as f:
                peak = int(re.search(r"VmPeak:\s+(\d+)", f.read()).group(1))
            with open("/proc/%d/status" % a.process("keyd")) as f:
                other = int(re.search(r"VmPeak:\s+(\d+)", f.read()).group(1))
            T.check("  and makes no room for it", peak < other + 500000, (peak, other))
        liar.mood = "good"
        T.check("  when it is over, so is that", healed(nodes))


def unfit(liar, nodes):
    a, text = nodes[0], nodes[0].policy()
    good = liar.kept()
    version = int(good["version"]) + 10
    for bad, digest, cause, what in (
            ("this is no policy\n", None, "shared-policy", "a policy with mistakes"),
            (text + "# changed\n", "0" * 64, "redis-nonsense", "one whose hash is another's")):
        version += 1
        T.run("%s is shared: one state, one reason (%s)" % (what, cause), lambda: in_three(
            lambda: one_state(nodes, liar, cause, lambda: liar.put(bad, version, digest), lambda: liar.restore(good))))
        T.check("  each node keeps its own", all(n.policy() == text and n.obeys(text) for n in nodes))
        if cause == "shared-policy":
            lines = [l for l in a.log().split("\n") if "event=shared-policy-refused" in l and "version=%d " % version in l]
            T.check("  why is said once", len(lines) == 1, lines)
        liar.restore(good)
        T.check("  when it is gone, all is well", healed(nodes))


def counts(liar, nodes):
    """What unlisted partners were let pass while nobody could be told, the others hear afterwards, once."""
    a = nodes[0]
    conn = dial("%s.51.1:5061" % NET, cert="careful")

    def pass_some(n):
        for _ in range(n):
            conn.send(request(uri="sip:one@example.com", sender="sip:x@careful.example"))
            if conn.recv().status != 200:
                raise Silent("a request was refused")
    name = "edge-a.int.example.com"

    def once():
        begin = len(liar.told(name))
        pass_some(2)
        until("it is told", lambda: sum(liar.told(name)[begin:]) >= 2)
        liar.mood = "gone"
        until("Redis is gone", lambda: a.shared()["state"] == "alone")
        for _ in range(3):
            pass_some(5)
            time.sleep(0.7)     # so that they are of several exchanges; however many these are, what counts is the sum
        liar.mood = "good"
        healed(nodes)
        until("it is told of what passed meanwhile", lambda: sum(liar.told(name)[begin:]) >= 17)
        mark = len(liar.told(name))
        pass_some(1)
        until("and of what passed since", lambda: sum(liar.told(name)[mark:]) >= 1)
        until("and that it is silent", lambda: liar.told(name)[-1] == 0)
        return sum(liar.told(name)[begin:]) == 18 or liar.told(name)[begin:]
    T.run("what could not be told is told when it can, and once", lambda: in_three(once))
    conn.close()


def hung(liar, nodes):
    """The process that asks Redis stands still."""
    a = nodes[0]
    pid, before = a.process("shared"), len(states(a))
    os.kill(pid, signal.SIGSTOP)
    try:
        until("the master notices", lambda: a.shared()["state"] == "alone" and a.shared()["reason"] == "shared-hung")
        T.check("the process that asks Redis hangs: status, log and metric say so", states(a)[before:].count(("alone", "shared-hung")) == 1 and
                a.cause("shared-hung") >= 1 and a.metric("sallyport_shared_up") == 0, states(a))
        T.check("  SIP goes on", status_of(a, "sip:x@blocked.example") == 403)
        until("it is made anew", lambda: a.logged("event=shared-hung", timeout=0) and a.process("shared") not in (0, pid))
    finally:
        try:
            os.kill(pid, signal.SIGCONT)
        except ProcessLookupError:
            pass    # as it should be
    T.check("  in the end it is made anew", healed(nodes) and a.alive())


def claims(liar, nodes):
    """Who changes the policy waits for the array. Nobody else does."""
    a = nodes[0]
    pid = a.process("shared")
    for _ in range(3):      # on a machine that is too slow to ask in time the first time shows nothing
        os.kill(pid, signal.SIGSTOP)
        untold = a.log().count("event=shared-policy-untold")
        late = subprocess.Popen([os.path.join(BUILD, "sallyportctl"), "block", "slow%d.example" % untold, "--store", a.dir + "/store",
                                 "--policy", a.dir + "/policy.conf", "--socket", a.dir + "/edge.sock"], stdout=subprocess.DEVNULL)
        try:
            until("it waits", lambda: late.poll() is not None or holds_lock(a))
            r = a.ctl("reload", "--socket", a.dir + "/edge.sock")
            waits = a.log().count("event=shared-policy-untold") == untold and late.poll() is None
            late.wait(60)
        finally:
            os.kill(pid, signal.SIGCONT)
        # the round that it was stopped in is late when it goes on
        mark = liar.tries("edge-a.int.example.com")
        until("it goes on", lambda: liar.tries("edge-a.int.example.com") >= mark + 3)
        healed(nodes)
        if waits:
            break
    T.check("while a change waits for the array, the edge reloads", r.returncode == 0 and waits, r.stderr)
    T.check("  and the change is made in the end", late.returncode == 0 and "slow%d.example" % untold in a.policy())


def main():
    prepare()
    Resolver(shared.DNS, shared.named)
    shared.Inside()
    liar = Liar()
    plain = PLAIN + 'blocked = [ "blocked.example" ];\n'
    nodes = [Node("a", plain)]
    try:
        until("the first node says what is in force", lambda: nodes[0].logged("event=shared-policy-told", timeout=0))
        nodes.append(Node("b", PLAIN))
        until("the second takes it", lambda: agree(nodes))
        healed(nodes)
        moods(liar, nodes)
        unfit(liar, nodes)
        counts(liar, nodes)
        claims(liar, nodes)
        hung(liar, nodes)
        T.check("no process was ended by its fence", not any("sandbox-violation" in n.log() for n in nodes))
    except Silent as e:
        T.check(str(e), False, [(n.shared(), n.log()[-800:]) for n in nodes])
    finally:
        for e in list(Edge.running):
            T.check("%s ends in order" % os.path.basename(e.dir), e.stop() == 0)
    return T.failed


if __name__ == "__main__":
    sys.exit(1 if main() else 0)
