"""fenced - the processes of a daemon, as the tests that kill them and break into them see them."""

import os
import re
import subprocess
import time

from sipnet import BUILD


def sanitizer(program):
    """Which one that program was built with: "asan", "tsan" or None."""
    symbols = subprocess.run(["nm", os.path.join(BUILD, program)], capture_output=True).stdout
    return "asan" if b"__asan_init" in symbols else "tsan" if b"__tsan_init" in symbols else None


def until(cond, seconds=10, every=0.01):
    end = time.monotonic() + seconds
    while not cond():
        if time.monotonic() > end:
            return False
        time.sleep(every)
    return True


def status_of(pid):
    """What /proc says of it, by name; None when it is gone."""
    try:
        with open("/proc/%s/status" % pid) as f:
            return dict(line.rstrip("\n").split(":\t", 1) for line in f if ":\t" in line)
    except OSError:
        return None


def children(pid):
    """pid: status, of those that live"""
    out = {}
    for entry in os.listdir("/proc"):
        status = status_of(entry) if entry.isdigit() else None
        if status and status["PPid"] == str(pid) and not status["State"].startswith("Z"):
            out[int(entry)] = status
    return out


class Family:
    """The processes below a master: keyd, authd (None: there is none), proxy, which is the rest."""

    def __init__(self, daemon):
        self.all = children(daemon.proc.pid)
        self.keyd, self.authd = self._named("keyd"), self._named("authd")
        rest = [p for p in self.all if p not in (self.keyd, self.authd)]
        self.proxy = rest[-1] if rest else None

    def _named(self, name):
        found = [p for p, s in self.all.items() if s["Name"] == name]
        return found[-1] if found else None


def threads(pid):
    for task in os.listdir("/proc/%d/task" % pid):
        with open("/proc/%d/task/%s/status" % (pid, task)) as f:
            yield dict(line.rstrip("\n").split(":\t", 1) for line in f if ":\t" in line)


def key_numbers(path):
    """The private and the public number of an EC key."""
    text = subprocess.run(["openssl", "pkey", "-in", path, "-text", "-noout"], capture_output=True, text=True, check=True).stdout

    def part(name):
        body = re.search(name + r":\n((?: +[0-9a-f:]+\n)+)", text).group(1)
        return bytes.fromhex(re.sub(r"[^0-9a-f]", "", body))
    return part("priv").lstrip(b"\0"), part("pub")


MASK = 0x5a     # as in tests/planted/planted.c


def masked(data):
    """What a planted hole is to look for, so that it does not find the question."""
    return bytes(b ^ MASK for b in data).hex()
