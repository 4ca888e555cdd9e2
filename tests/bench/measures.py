"""What `run` measures, a function for each section of doc/performance.md.

Each takes a Bench, adds what it finds with bench.add(section, system, point, result), and returns when
it is done or when the time is over; a system that fails is noted and does not spoil the others. Rounds
are interleaved (A B C A B C), so that what else the machine does falls on all of them.
"""
import glob
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import time

import dear
import systems
from systems import OUTER, PARTNERS_DOOR

BARE = "bare OpenSSL server"
HANDSHAKES_MIN = 50         # a second; who does fewer has got stuck, and has no cost per handshake
RATES = (1000, 5000, 10000)
INFLIGHT = 64               # requests in flight wherever the number of connections is what varies
FILES_SPARE = 3500          # descriptors that are not users' connections


def say(text):
    print(text, file=sys.stderr, flush=True)


class Bench:
    """The lab, the options, and every measurement as it came: of[section][system][point] is a list."""

    def __init__(self, lab, options, files):
        self.lab, self.o, self.files = lab, options, files
        self.of, self.notes = {}, []
        self.begun = time.monotonic()
        self.end = self.begun + 60 * options.minutes
        self.late = False

    def add(self, section, system, point, value):
        self.of.setdefault(section, {}).setdefault(system, {}).setdefault(str(point), []).append(value)

    def note(self, text):
        if text not in self.notes:
            self.notes.append(text)
            say(f"  note: {text}")

    def values(self, section, system, point, field):
        found = self.of.get(section, {}).get(system, {}).get(str(point), [])
        return [v[field] for v in found if v.get(field) is not None]

    def median(self, section, system, point, field):
        values = self.values(section, system, point, field)
        return statistics.median(values) if values else None

    def over(self, section):
        """Is there no time for more? What was left out is said once."""
        if time.monotonic() < self.end:
            return False
        self.note(f"{section}: left out or cut short, since the {self.o.minutes:g} minutes were over")
        self.late = True
        return True

    def rounds(self, section, n, jobs):
        """Run the jobs, (name, function) each, in turn, n times over."""
        for i in range(n):
            for name, job in jobs:
                if self.over(section):
                    return
                say(f"{section}: {name}" + (f", round {i + 1} of {n}" if n > 1 else ""))
                try:
                    job()
                except systems.Failed as e:
                    self.note(f"{section}, {name}: {e}")

    def load(self, to, *options, pids):
        return self.lab.run_load(to, "--time", self.o.time, *options, pids=pids)

    def checked(self, section, system, result):
        """Answers that were not 200, connections lost: said beside the figures, never hidden."""
        bad = [f"{result[k]} {k}" for k in ("errors", "lost", "strange") if result.get(k)]
        if bad:
            last = f" (such as {result['status']})" if result.get("status") else ""
            self.note(f"{section}, {system.name}: {', '.join(bad)}{last} beside {result.get('done', 0)} answered")
        return result

    def run(self, system, measure, far=()):
        """measure(pids) between a fresh far end and a fresh system. Returns the far end's counts."""
        there = systems.Far(self.lab, more=far)
        try:
            program = system.start()
            try:
                measure([program.pid])
            finally:
                program.stop()
        finally:
            there.stop()
        return there.counts

    def chosen(self, *wanted):
        """Those of the systems that are here."""
        ready = []
        for system in wanted:
            if self.o.only and not any(word in system.name for word in self.o.only.split(",")):
                continue
            if system.missing():
                how = f"not installed (apt-get install {system.package})" if system.package else "not built"
                self.note(f"{system.name}: {how}; left out")
            else:
                ready.append(system)
        return ready

    def edge(self, **more):
        return systems.Edge(self.lab, more.pop("workers", self.o.workers), **more)

    def kamailio(self, kind):
        return systems.Kamailio(self.lab, kind, self.o.workers)

    def haproxy(self):
        return systems.HAProxy(self.lab, self.o.workers)


def check_work(b, name, c):
    """That the system did what it is measured for."""
    asked = c.get("requests", 0)
    if asked == 0:
        b.note(f"{name}: no request reached the far end")
    elif c["forged"] or c["asserted"] or c["marked"] != asked or c["routed"] != c["initial"]:
        b.note(f"{name}: of {asked} requests {c['marked']} carried one mark, {c['forged']} a forged "
               f"one, {c['asserted']} a claimed identity; of {c['initial']} that begin a dialog {c['routed']} a Record-Route: not the same work")


def handshakes(b, section, name, pids, to=OUTER, *more):
    got = b.load(to, "--mode", "handshake", "--connections", 16, "--warmup", 0.3, *more, pids=pids)
    if got["lost"]:
        b.note(f"{section}, {name}: {got['lost']} handshakes failed beside {got['done']}")
    if got["per_second"] < HANDSHAKES_MIN:
        b.note(f"{section}, {name}: only {got['done']} handshakes in {got['seconds']} s, not counted")
        return None
    return got


def comparison(b):
    """The table: every system, the kinds of traffic, latency at fixed rates, handshakes."""
    def job(system):
        def measure(pids):
            users = ["--connections", b.o.users]
            for point, more in (("message", ["--warmup", 0.8]), ("dialog", ["--method", "INVITE", "--warmup", 0.4]),
                                ("register", ["--method", "REGISTER", "--warmup", 0.4])):
                b.add("comparison", system.name, point, b.checked(f"comparison, {point}", system, b.load(OUTER, *users, *more, pids=pids)))
            if not system.name.endswith("session log"):
                for rate in RATES:
                    got = b.load(OUTER, *users, "--rate", rate, "--warmup", 0.3, pids=pids)
                    b.add("comparison", system.name, f"rate {rate}", b.checked(f"comparison, {rate} a second", system, got))
                got = handshakes(b, "comparison", system.name, pids)
                if got:
                    b.add("comparison", system.name, "handshake", got)
        counts = b.run(system, measure)
        if system.same_work:
            check_work(b, system.name, counts)

    def bare():
        far = systems.Far(b.lab, OUTER, "edge-outer", mutual=False)
        try:
            b.add("comparison", BARE, "handshake", handshakes(b, "comparison", BARE, [far.pid]))
        finally:
            far.stop()
    everyone = b.chosen(b.edge(), *([b.edge(build=b.o.against)] if b.o.against else []), b.edge(quiet=True), b.kamailio("plain"),
                        b.kamailio("stateless"), b.kamailio("tm"), b.haproxy())
    b.rounds("comparison", b.o.rounds, [(s.name, lambda s=s: job(s)) for s in everyone] + [(BARE, bare)])


def federated(b, n):
    return ["--method", "FEDERATED", "--partners", n, "--connections", n, "--inflight", INFLIGHT, "--window", INFLIGHT,
            "--warmup", 0.4, "--issuer", b.lab.cert("example"), "--issuer-key", b.lab.key("example")]


def federation(b):
    """A thousand partners, each with its certificate, through the policy; and fewer of them."""
    def job(system, door, n, point):
        def measure(pids):
            b.add("federation", system.name, point, b.checked(f"federation, {point}", system, b.load(door, *federated(b, n), pids=pids)))
        check_work(b, f"federation, {system.name}", b.run(system, measure))
    mix = [(s.name, lambda s=s, d=d: job(s, d, 1000, 1000))
           for s, d in ((b.edge(), PARTNERS_DOOR), (b.kamailio("federated"), OUTER)) if b.chosen(s)]
    b.rounds("federation", b.o.rounds, mix)
    few = [(f"{n} partner{'s' * (n > 1)}", lambda n=n: job(b.edge(partners=n), PARTNERS_DOOR, n, n)) for n in (1, 10, 100)]
    b.rounds("federation", max(1, b.o.rounds - 1), few)


def crowds(b):
    """How many users there can be: below the descriptors that a process may have."""
    least = b.files - FILES_SPARE
    if b.o.quick:
        return (1, 10, 100, 1000)
    most = 50000 if least >= 50000 else least // 1000 * 1000
    if most < 50000:
        b.note(f"connections: a process may have {b.files} descriptors here, so {most:,} takes the place of 50,000")
    return (1, 10, 100, 1000, 10000, most)


def connections(b):
    """So many users signed in: what each occupies, and what a message costs while all are there."""
    def job(system, n):
        def measure(pids):
            got = b.load(OUTER, "--mode", "idle", "--connections", n, "--inflight", INFLIGHT, "--window", INFLIGHT, "--warmup", 0.4, pids=pids)
            b.checked(f"connections, {n:,} users", system, got)
            b.add("connections", system.name, n, {**got, **b.checked(f"connections, {n:,} users", system, got.pop("traffic"))})
        b.run(system, measure)
    for n in crowds(b):
        who = [b.edge()]
        if n <= 10000:
            who += [b.kamailio("stateless")]
            if n * 2 < b.files - FILES_SPARE:
                who += [b.haproxy()]
        jobs = [(f"{n:,} users, {s.name}", lambda s=s, n=n: job(s, n)) for s in b.chosen(*who)]
        b.rounds("connections", 1 if n > 1000 else max(1, b.o.rounds - 1), jobs)

    def bare():
        far = systems.Far(b.lab, OUTER, "edge-outer", mutual=False)
        try:
            b.add("connections", BARE, 1000, b.load(OUTER, "--mode", "idle", "--connections", 1000, pids=[far.pid]))
        finally:
            far.stop()
    b.rounds("connections", 1, [(BARE, bare)])


SIZES = (1, 2, 4, 8, 16, 32, 63)


def sizes(b):
    """Messages of 1 to 63 KiB; few in flight, so that no queue fills."""
    def job(system):
        def measure(pids):
            for size in SIZES:
                got = b.load(OUTER, "--connections", 16, "--body", size * 1024 - 730, "--warmup", 0.2, pids=pids)
                b.add("sizes", system.name, size, b.checked(f"sizes, {size} KiB", system, got))
        b.run(system, measure)
    jobs = [(s.name, lambda s=s: job(s)) for s in b.chosen(b.edge(), b.kamailio("stateless"), b.haproxy())]
    b.rounds("sizes", max(1, b.o.rounds - 1), jobs)


def workers(b):
    """One worker and two."""
    def job(n):
        system = b.edge(workers=n)

        def measure(pids):
            b.add("workers", system.name, n, b.checked("workers", system, b.load(OUTER, "--connections", b.o.users, "--warmup", 0.5, pids=pids)))
        b.run(system, measure)
    b.rounds("workers", b.o.rounds, [(f"{n} worker{'s' * (n > 1)}", lambda n=n: job(n)) for n in (1, 2)])


def storms(b):
    """Everybody at once, as after a power cut."""
    def job(system):
        def measure(pids):
            for n in (100, 1000, 4000):
                got = b.load(OUTER, "--mode", "storm", "--connections", n, pids=pids)
                b.add("storms", system.name, n, b.checked(f"storms, {n}", system, got))
        b.run(system, measure)
    jobs = [(s.name, lambda s=s: job(s)) for s in b.chosen(b.edge(), b.kamailio("stateless"), b.haproxy())]
    b.rounds("storms", 1, jobs)


def fan(b):
    """One publishes inside, and a thousand users outside are told."""
    def job(point, n, how):
        system = b.edge(workers=n)

        def measure(pids):
            got = b.load(OUTER, "--mode", "fan", "--method", "REGISTER", "--connections", 1000, "--warmup", 0, pids=pids)
            b.add("fan", system.name, point, b.checked(f"fan, {point}", system, got))
        b.run(system, measure, far=["--fan", how])
    b.rounds("fan", max(1, b.o.rounds - 1), [
        (point, lambda p=point, n=n, how=how: job(p, n, how)) for point, n, how in (
            ("one worker", 1, "own"), ("two workers, by the link of the registration", 2, "own"),
            ("two workers, all by one link", 2, "one"))])


def refused(b):
    """What a stranger can have for nothing."""
    lab = b.lab
    impostor = ["--cert", lab.cert("impostor"), "--key", lab.key("impostor")]
    shakes = (("whole handshake, user's door", OUTER, []),
              ("no certificate at the partners' door", PARTNERS_DOOR, []),
              ("certificate of an unknown authority", PARTNERS_DOOR, impostor),
              ("no cipher in common (TLS 1.2)", OUTER, ["--tls12", "--ciphers", "AES128-SHA"]),
              ("HTTP instead of TLS", OUTER, ["--garbage", "GET / HTTP/1.0\r\n\r\n"]))

    def job():
        system = b.edge()

        def measure(pids):
            for point, door, more in shakes:
                mode = [] if point.startswith("whole") else ["--refused"]
                got = b.load(door, "--mode", "handshake", "--connections", 16, "--warmup", 0.3, *mode, *more, pids=pids)
                b.add("refused handshakes", system.name, point, got)
            for point, text, status in dear.refusals():
                path = os.path.join(lab.work, "request")
                with open(path, "w", newline="") as f:
                    f.write(text)
                got = b.load(OUTER, "--connections", 20, "--warmup", 0.3, "--request", path, "--body", 0, pids=pids)
                if (got["errors"] != got["done"] if status else got["errors"]) or got["status"] != status:
                    b.note(f"refused, {point}: {got['errors']} of {got['done']} refused, the last with {got['status']}")
                b.add("refused messages", system.name, point, got)
        b.run(system, measure)
    b.rounds("refused", max(1, b.o.rounds - 1), [("sallyport-edge", job)])


def dearest(b):
    """User instructions of the messages that cost most, by callgrind."""
    if shutil.which("valgrind") is None:
        b.note("dearest: valgrind is not installed (apt-get install valgrind)")
        return
    try:
        dear.measure(b)
    except systems.Failed as e:
        b.note(f"dearest: {e}")


def director(b):
    """Sign-ins and signed traffic at the Director."""
    where = os.path.join(b.lab.source, "tests/bench/director")
    for kind in ("ntlm", "digest"):
        if b.over("director"):
            return
        say(f"director: {kind}")
        done = subprocess.run([where, "--build", b.lab.build, "--users", str(100 if b.o.quick else 300), "--messages", "2000",
                               "--kind", kind, "--json"], capture_output=True, text=True, timeout=180)
        if done.returncode != 0:
            b.note(f"director, {kind}: {(done.stderr or done.stdout).strip()[-300:]}")
        for line in done.stdout.splitlines():
            if line.startswith("{"):
                b.add("director", "sallyport-director", kind, json.loads(line))


PARTS = (("kernel", ("[kernel.kallsyms]", "[kernel]", "[vdso]", "kernel")), ("OpenSSL", ("libcrypto", "libssl")),
         ("Sofia-SIP", ("libsofia",)), ("libc", ("libc.so", "libc-", "libpthread", "ld-linux")), ("Sallyport", ("sallyport",)))


def part_of(dso):
    for name, words in PARTS:
        if any(word in dso for word in words):
            return name
    return "other"


def family(pid):
    """The process and all that it has started."""
    found = [pid]
    for parent in found:
        for path in glob.glob(f"/proc/{parent}/task/*/children"):
            with open(path) as f:
                found += map(int, f.read().split())
    return found


def sampled(b, system, pids):
    """Run messages through the system with perf looking on; False when it saw nothing."""
    data = os.path.join(b.lab.work, "perf.data")
    everyone = ",".join(map(str, family(pids[0])))
    with subprocess.Popen(["perf", "record", "-q", "-F", "2999", "-e", "cpu-clock", "-o", data, "-p", everyone, "--",
                           "sleep", str(b.o.time + 2.3)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as perf:
        got = b.load(OUTER, "--connections", b.o.users, "--warmup", 0.8, "--time", b.o.time + 1, pids=pids)
        perf.wait(60)
    told = subprocess.run(["perf", "report", "-i", data, "--stdio", "--no-children", "-g", "none", "--sort", "dso,symbol", "-t", "|"],
                          capture_output=True, text=True, timeout=120).stdout
    parts, symbols = {}, {}
    for line in told.splitlines():
        found = re.match(r"\s*([\d.]+)%\s*\|(.*?)\|([^|]*)", line)
        if found:
            share, part, symbol = float(found[1]) / 100, part_of(found[2].strip()), re.sub(r"^\[.\] ", "", found[3].strip())
            parts[part] = parts.get(part, 0) + share
            symbols[f"{symbol} ({part})"] = symbols.get(f"{symbol} ({part})", 0) + share
    if not parts:
        return False
    b.add("profile", system.name, "parts", {"cpu_us": got["cpu_us"], **parts})
    b.add("profile", system.name, "symbols", dict(sorted(symbols.items(), key=lambda i: -i[1])[:24]))
    return True


def profile(b):
    """Where each microsecond goes, sampled by perf while messages flow."""
    if shutil.which("perf") is None:
        b.note("profile: perf is not installed (apt-get install linux-perf)")
        return

    def job(system):
        def measure(pids):
            # now and then perf gets nothing at its first try
            if not (sampled(b, system, pids) or sampled(b, system, pids)):
                b.note(f"profile, {system.name}: perf saw nothing")
        b.run(system, measure)
    jobs = [(s.name, lambda s=s: job(s)) for s in b.chosen(b.edge(), b.kamailio("stateless"), b.haproxy())]
    b.rounds("profile", 1, jobs)


# What matters most first, in case the time is not enough; the document has its own order.
SECTIONS = (comparison, federation, workers, refused, dearest, profile, director, fan, sizes, connections, storms)
