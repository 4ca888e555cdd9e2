"""reloads - certificates and keys are renewed ten thousand times in a running daemon, with all its processes: none of
them grows, by memory or by descriptors, and what is shown is always the newest. Run by reloads.sh."""

import os
import re
import signal
import subprocess
import sys
import threading

import signing
import sipnet
from fenced import children, sanitizer, until
from signing import NAME, PKI, RUN, SERVERS, Director
from sipnet import BUILD, TOP, Edge, Tests, dial

OUT, IN, DIR = (signing.NET + ".21.%d" % n for n in (1, 2, 3))
USERS = OUT + ":443"
POLICY = 'internal_domains = [ "example.com" ];\ninternal_servers = [ "director.int.example.com" ];\n'
MADE_BY = sanitizer("sallyport-edge")
# With a sanitizer each takes many times as long; its own checker finds what is never given back.
ROUNDS = 10000 if MADE_BY is None else 600
KEYS = 8
# KiB by which memory may have grown from the first tenth on. What one thread takes and another gives back moves up and
# down by some hundred; a certificate that was left behind by each reload would be twenty thousand.
GROWTH = {"proxy": 4096}
GROWTH_OF_OTHERS = 512

T = Tests()


class Certificates:
    """Certificate and key at paths that do not change, for one of several that do."""

    def __init__(self, name, dns):
        self.name, self.serials = name, []
        for i in range(KEYS):
            made = "%s%d" % (name, i)
            subprocess.run([os.path.join(TOP, "certs-example", "make-pki"), PKI, "cert", made, "--dns", dns], check=True,
                           stdout=subprocess.DEVNULL)
            text = subprocess.run(["openssl", "x509", "-noout", "-serial", "-in", "%s/%s.pem" % (PKI, made)], check=True,
                                  capture_output=True, text=True).stdout
            self.serials.append(text.strip().split("=")[1].lstrip("0"))
        self.use(0)

    def use(self, i):
        """In one step each, as whoever renews them does."""
        for kind in ("pem", "key"):
            fresh = "%s/%s.%s.next" % (PKI, self.name, kind)
            os.symlink("%s%d.%s" % (self.name, i % KEYS, kind), fresh)
            os.rename(fresh, "%s/%s.%s" % (PKI, self.name, kind))
        self.now = self.serials[i % KEYS]


class Log:
    """How often a word has come, without reading the beginning again and again."""

    def __init__(self, path, word):
        self.file, self.word, self.count, self.rest = open(path, "rb"), word.encode(), 0, b""

    def look(self):
        data = self.rest + self.file.read()
        whole, newline, self.rest = data.rpartition(b"\n")
        self.count += (whole + newline).count(self.word)
        return self.count


def family(pid):
    """Names of a daemon's processes, and of those below them: pid."""
    out = {"master": pid}

    def below(parent, prefix):
        for child, status in sorted(children(parent).items()):
            name = prefix + ("proxy" if status["Name"].startswith("sallyport") else status["Name"])
            out[name] = child
            below(child, name + "/")
    below(pid, "")
    return out


def size(pid):
    """(KiB of memory of its own, descriptors)"""
    with open("/proc/%d/status" % pid) as f:
        kib = int(re.search(r"^RssAnon:\s+(\d+) kB", f.read(), re.M).group(1))
    return kib, len(os.listdir("/proc/%d/fd" % pid))


def shown(addr, name, cert):
    c = dial(addr, name, cert)
    serial = c.sock.getpeercert()["serialNumber"].lstrip("0")
    c.close()
    return serial


def renew(daemon, what, certificates, addr, name, cert, rounds):
    log = Log(daemon.log_path, "event=reloaded")
    processes = family(daemon.proc.pid)
    before, wrong, late = {}, [], 0
    for i in range(1, rounds + 1):
        certificates.use(i)
        daemon.proc.send_signal(signal.SIGHUP)
        if not until(lambda: log.look() >= i, 60, 0.0005):
            late = i
            break
        if i == rounds // 10:
            before = {n: size(p) for n, p in processes.items()}
        if i % (rounds // 20) == 0 and not until(lambda: shown(addr, name, cert) == certificates.now, 60):
            wrong.append(i)
    T.check("%s: %d reloads, each with another certificate and key" % (what, rounds), not late and log.look() == rounds,
            "the %d. did not come to its end" % late)
    T.check("%s: what is shown is the newest" % what, not wrong, repr(wrong))
    T.check("%s: the processes are the same" % what, family(daemon.proc.pid) == processes, repr(processes))
    for n, p in processes.items():
        (kib, fds), (was_kib, was_fds) = size(p), before[n]
        T.check("%s: %s has no more descriptors than before" % (what, n), until(lambda: size(p)[1] <= was_fds), "%d, %d before" % (fds, was_fds))
        if MADE_BY is None:
            T.check("%s:   and no more memory" % what, until(lambda: size(p)[0] - was_kib <= GROWTH.get(n, GROWTH_OF_OTHERS)),
                    "%d KiB, %d before" % (kib, was_kib))
    T.check("%s: it ends in order" % what, daemon.stop() == 0)


def edge(outer):
    door = 'certificate = "%s/outer.pem"; key = "%s/outer.key";' % (PKI, PKI)
    e = Edge("edge", """
user = "nobody"; key_user = "daemon"; workers = 1;
outer = ( { listen = "%s"; name = "sip.example.com"; %s users = true; } );
inner = { listen = "%s:5061"; name = "edge.int.example.com"; certificate = "%s/edge-inner.pem"; key = "%s/edge-inner.key";
          trust = "%s/ca.pem"; };
directors = ( { name = "director.int.example.com"; address = "%s"; } );
dns = { servers = [ "%s.21.9:53" ]; timeout = 100; tries = 1; };
""" % (USERS, door, IN, PKI, PKI, PKI, DIR, signing.NET), POLICY)
    renew(e, "edge", outer, USERS, "sip.example.com", None, ROUNDS)


def director(own):
    renew(Director("director"), "Director", own, SERVERS, NAME, "edge-inner", ROUNDS // 10)


def main():
    def run(fn, certificates):
        try:
            fn(certificates)
        except Exception as e:
            T.check("%s came to its end" % fn.__name__, False, "(%s: %s)" % (type(e).__name__, e))
    signing.prepare()
    both = [threading.Thread(target=run, args=(fn, Certificates(name, dns)))
            for fn, name, dns in ((edge, "outer", "sip.example.com"), (director, "director", NAME))]
    for t in both:
        t.start()
    for t in both:
        t.join()
    for e in list(sipnet.Edge.running):
        e.stop()
    return 1 if T.failed else 0


sys.exit(main())
