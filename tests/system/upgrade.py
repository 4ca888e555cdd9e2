"""upgrade - USR2 under load: nobody is refused, and every request that was accepted is answered or its
connection closed. Sockets from outside (LISTEN_FDS). Run by upgrade.sh."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time

from sipnet import BUILD, PKI, RUN, TOP, Closed, Door, Edge, Silent, Tests, dial, request

OUT, IN, DIR1 = "127.68.0.1", "127.68.1.1", "127.68.1.2"
USERS, INNER = OUT + ":443", IN + ":5061"
POLICY = 'internal_domains = [ "example.com" ];\ninternal_servers = [ "director.int.example.com" ];\n'
T = Tests()


def config(workers=2):
    door = 'certificate = "%s/edge-outer.pem"; key = "%s/edge-outer.key";' % (PKI, PKI)
    return """
user = "nobody"; workers = %d;
log = { level = "info"; };
outer = ( { listen = "%s"; name = "sip.example.com"; %s users = true; } );
inner = { listen = "%s"; name = "edge.int.example.com"; certificate = "%s/edge-inner.pem"; key = "%s/edge-inner.key";
          trust = "%s/ca.pem"; };
directors = ( { name = "director.int.example.com"; address = "%s"; } );
dns = { servers = [ "127.68.0.9:53" ]; timeout = 100; tries = 1; };
""" % (workers, USERS, door, INNER, PKI, PKI, PKI, DIR1)


def director(door, stop):
    """Answers whatever comes, on however many links."""
    def link(c):
        while not stop.is_set():
            try:
                c.send(c.recv(0.5).reply(200))
            except Silent:
                continue
            except Closed:
                return

    while not stop.is_set():
        try:
            threading.Thread(target=link, args=(door.accept(0.5),), daemon=True).start()
        except (Silent, OSError):
            continue


class Load(threading.Thread):
    """Connects, asks a few times, closes, without end."""

    def __init__(self, stop):
        super().__init__(daemon=True)
        self.stop, self.refused, self.unanswered = stop, [], []
        self.connected = self.answered = self.closed = 0

    def run(self):
        while not self.stop.is_set():
            try:
                c = dial(USERS)
            except ConnectionRefusedError as e:
                self.refused.append(str(e))
                continue
            except OSError:
                self.closed += 1    # in the handshake
                continue
            self.connected += 1
            for _ in range(3):
                try:
                    c.send(request())
                    status = c.recv(15).status
                    if status in (200, 503):
                        self.answered += 1
                    else:
                        self.unanswered.append(status)
                except Closed:
                    self.closed += 1
                    break
                except Silent:
                    self.unanswered.append("silence")
                    break
            c.close()


def children(pid):
    out = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True).stdout
    return set(map(int, out.split()))


def until(cond, seconds=10):
    end = time.monotonic() + seconds
    while not cond():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


def under_load():
    stop, far_stop = threading.Event(), threading.Event()
    door = Door(DIR1 + ":5061", "director")
    threading.Thread(target=director, args=(door, far_stop), daemon=True).start()
    edge = Edge("load", config(), POLICY)
    T.check("it begins with links to the Director", edge.logged("event=connected", "side=inner", count=2))
    # from here on with time to drain, which is also a way to take over a changed configuration
    with open(edge.dir + "/edge.conf") as f:
        text = f.read()
    edge.write("edge.conf", text.replace("drain = 0", "drain = 5"))
    edge.proc.send_signal(signal.SIGUSR2)
    T.check("a changed configuration is taken over", edge.logged("event=upgraded", timeout=20) and
            edge.logged("event=connected", "side=inner", count=4))
    load = [Load(stop) for _ in range(4)]
    for one in load:
        one.start()
    for round_ in range(2):
        before = children(edge.proc.pid)
        asked = sum(one.answered for one in load)
        while sum(one.answered for one in load) < asked + 40:
            time.sleep(0.01)
        edge.proc.send_signal(signal.SIGUSR2)
        T.check("round %d: another takes over, in the same process" % (round_ + 1),
                edge.logged("event=upgrade ", count=2 + round_) and edge.logged("event=ready", count=3 + round_, timeout=20) and edge.alive())
        T.check("the one before drains and ends", edge.logged("event=upgraded", "status 0", count=2 + round_, timeout=20) and
                until(lambda: not before & children(edge.proc.pid)), repr((before, children(edge.proc.pid))))
        asked = sum(one.answered for one in load)
        while sum(one.answered for one in load) < asked + 40:
            time.sleep(0.01)
    stop.set()
    for one in load:
        one.join()
    far_stop.set()
    refused = [r for one in load for r in one.refused]
    unanswered = [u for one in load for u in one.unanswered]
    T.check("no connection was refused, of %d" % sum(one.connected for one in load), not refused, repr(refused[:3]))
    T.check("every request was answered (%d), or its connection closed (%d)" %
            (sum(one.answered for one in load), sum(one.closed for one in load)), not unanswered, repr(unanswered[:5]))

    def broken():
        edge.write("policy.conf", POLICY + "nonsense = 1;\n")
        edge.proc.send_signal(signal.SIGUSR2)
        return edge.logged("event=upgrade-refused") and edge.alive() and dial(USERS).sock is not None
    T.run("a configuration that would not do is found before", broken)
    T.check("the edge ends in order, and nothing is left", edge.stop() == 0 and not children(edge.proc.pid))
    door.close()


def given_sockets():
    """One socket for each door, as a service manager gives them, for two workers."""
    run = os.path.join(RUN, "given")
    os.makedirs(run, exist_ok=True)
    with open(run + "/policy.conf", "w") as f:
        f.write(POLICY)
    with open(run + "/edge.conf", "w") as f:
        f.write('policy = "%s/policy.conf";\ncontrol = { socket = ""; };\ntimers = { drain = 0; };\n' % run + config())
    sockets = []
    for addr in (USERS, INNER):
        host, port = addr.split(":")
        s = socket.socket()
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.bind((host, int(port)))
        s.listen(100)
        sockets.append(s)

    def start():
        def place():
            for i, s in enumerate(sockets):
                os.dup2(s.fileno(), 100 + i)
            for i in range(len(sockets)):
                os.dup2(100 + i, 3 + i)
            os.environ.update(LISTEN_FDS=str(len(sockets)), LISTEN_PID=str(os.getpid()))
            os.execv(os.path.join(BUILD, "sallyport-edge"), ["sallyport-edge", "-f", run + "/edge.conf"])
        pid = os.fork()
        if pid == 0:
            log = os.open(run + "/log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            os.dup2(log, 1)
            os.dup2(log, 2)
            place()
        return pid

    pid = start()
    c = dial(USERS)     # waits in the socket's queue until somebody accepts
    c.send(request("NEGOTIATE"))
    T.check("sockets that were given are served", c.recv().status == 405)
    os.kill(pid, signal.SIGTERM)
    T.check("it ends in order", os.waitpid(pid, 0)[1] == 0)
    waiting = socket.create_connection((OUT, 443), 10)
    T.check("meanwhile a connection is not refused", waiting is not None)
    pid = start()
    c = dial(USERS)
    c.send(request("NEGOTIATE"))
    T.check("and is served by the next", c.recv().status == 405)
    os.kill(pid, signal.SIGTERM)
    T.check("which ends in order, too", os.waitpid(pid, 0)[1] == 0)
    for s in sockets:
        s.close()


def main():
    shutil.rmtree(PKI, ignore_errors=True)
    os.makedirs(RUN, exist_ok=True)
    subprocess.run([os.path.join(TOP, "certs-example", "make-pki"), PKI], check=True, stdout=subprocess.DEVNULL)
    for fn in (under_load, given_sockets):
        try:
            fn()
        except Exception as e:
            T.check("%s came to its end" % fn.__name__, False, "(%s: %s)" % (type(e).__name__, e))
        finally:
            for edge in list(Edge.running):
                edge.stop()
    return 1 if T.failed else 0


sys.exit(main())
