"""netlab - machines of a test, each a network namespace with its own interfaces, and its own /etc,
/run and /var/lib, as a page of the documentation or an administrator finds them.

A Machine lives as long as the process that holds its namespaces; when that ends, nothing of it is left.
"""

import contextlib
import ctypes
import os
import re
import shlex
import signal
import subprocess
import time

from sipnet import BUILD, RUN

CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)
PROGRAMS = ("sallyportctl", "sallyport-edge", "sallyport-director", "sallyport-admin")

# Where no init runs, this stands in its place: starts and stops a daemon, and waits until it is ready.
SYSTEMCTL = r"""#!/bin/sh
set -eu
now=
action=$1
shift
run=/run/sallyport
start() {
	: >"$run/$1.log"
	setsid "$1" >>"$run/$1.log" 2>&1 &
	echo $! >"$run/$1.pid"
	until grep -q event=ready "$run/$1.log"; do
		kill -0 "$(cat "$run/$1.pid")" 2>/dev/null || { cat "$run/$1.log" >&2; exit 1; }
		sleep 0.05
	done
}
stop() {
	pid=$(cat "$run/$1.pid")
	kill "$pid"
	while kill -0 "$pid" 2>/dev/null; do sleep 0.05; done
}
for unit; do
	case $unit in
	--now)	now=yes; continue ;;
	esac
	unit=${unit%.service}
	case $action in
	enable)		[ -z "$now" ] || start "$unit" ;;
	start)		start "$unit" ;;
	stop)		stop "$unit" ;;
	restart)	stop "$unit"; start "$unit" ;;
	reload)		kill -HUP "$(cat "$run/$unit.pid")" ;;
	*)		echo "systemctl: $action is not what this stands for" >&2; exit 64 ;;
	esac
done
"""

# The machine's own view: files that the page writes are nobody else's.
SETUP = r"""
set -eu
home=$1 accounts=$2 sysconf=$3 state=$4
mount -t tmpfs tmpfs "$home/mnt"
mkdir "$home/mnt/etc" "$home/mnt/lib" "$home/mnt/run"
cp -a /etc/. "$home/mnt/etc/"
sed -i '/^sallyport/d' "$home/mnt/etc/passwd" "$home/mnt/etc/group" "$home/mnt/etc/shadow"
id=64123
for name in $accounts; do
	echo "$name:x:$id:$id::/nonexistent:/usr/sbin/nologin" >>"$home/mnt/etc/passwd"
	echo "$name:x:$id:" >>"$home/mnt/etc/group"
	id=$((id + 1))
done
rm -rf "$home/mnt/etc/sallyport"
mkdir "$home/mnt/lib/sallyport" "$home/mnt/run/sallyport"
if [ "${sysconf#/usr/local/}" != "$sysconf" ]; then
	# programs of a build for /usr/local find what the page writes
	mkdir "$home/mnt/local"
	mount -t tmpfs tmpfs "$home/mnt/local"
	mkdir -p "$home/mnt/local$(dirname "${sysconf#/usr/local}")" "$home/mnt/local$(dirname "${state#/usr/local}")"
	for child in /usr/local/*; do
		[ -d "$child" ] || continue
		case $sysconf/$state in
		*"$child"/*)	continue ;;
		esac
		mkdir -p "$home/mnt/local/${child##*/}"
		mount --bind "$child" "$home/mnt/local/${child##*/}"
	done
	ln -s /etc/sallyport "$home/mnt/local${sysconf#/usr/local}"
	ln -s /var/lib/sallyport "$home/mnt/local${state#/usr/local}"
	mount --rbind "$home/mnt/local" /usr/local
fi
mount --bind "$home/mnt/etc" /etc
mount --bind "$home/mnt/lib" /var/lib
mount --bind "$home/mnt/run" /run
mount --bind "$home/state" /run/sallyport
ip link set lo up
echo ready
exec sleep 100000
"""


def impossible():
    """None, or a sentence that says why there cannot be machines here."""
    if os.geteuid() != 0:
        return "machines in namespaces need root"
    for what, command in (("namespaces", "true"), ("mounts", "mount -t tmpfs tmpfs /tmp"),
                          ("pairs of interfaces (veth)", "ip link add a0 type veth peer name b0"),
                          ("settings of a network", "sysctl -q -w net.ipv4.ip_forward=1")):
        done = subprocess.run(["unshare", "--mount", "--net", "--propagation", "private", "sh", "-c", command],
                              capture_output=True, text=True)
        if done.returncode != 0:
            return "this system grants no %s of our own (%s)" % (what, done.stderr.strip())
    sysconf, state = places()
    if not (sysconf == "/etc/sallyport" or (sysconf.startswith("/usr/local/") and state.startswith("/usr/local/"))):
        return "these programs read %s, which is neither below /etc nor /usr/local" % sysconf
    return None


def places():
    """Where these programs look for files, and where they keep things."""
    text = subprocess.run([os.path.join(BUILD, "sallyportctl"), "init", "--dry-run", "--domain", "a.example", "--director",
                           "d.a.example", "--outside", "192.0.2.1", "--inside", "192.0.2.2", "--certificate", "/c"],
                          capture_output=True, text=True, check=True).stdout
    return (os.path.dirname(re.search(r"^# (/\S+/edge\.conf)$", text, re.M).group(1)),
            os.path.dirname(re.search(r'^flow_keys = "(\S+)";', text, re.M).group(1)))


class Machine:
    all = []		# that are alive

    def __init__(self, name, accounts="sallyport"):
        self.name = name
        self.home = os.path.join(RUN, name)
        for part in ("bin", "mnt", "state"):
            os.makedirs(os.path.join(self.home, part))
        for program in PROGRAMS:
            os.symlink(os.path.join(BUILD, program), os.path.join(self.home, "bin", program))
        with open(os.path.join(self.home, "bin", "systemctl"), "w") as f:
            f.write(SYSTEMCTL)
        os.chmod(f.name, 0o755)
        self.holder = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", "unshare", "--mount", "--net", "--propagation", "private", "sh", "-c", SETUP, "sh", self.home,
                                        accounts, *places()], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.tasks = []
        Machine.all.append(self)
        said = self.holder.stdout.readline()
        if said != "ready\n":
            raise RuntimeError("%s: %s%s" % (name, said, self.holder.stdout.read()))

    def enter(self, *command, mounts=True):
        return ["nsenter", "-t", str(self.holder.pid), "--net"] + (["--mount"] if mounts else []) + ["--", *command]

    def sh(self, script, input=None, timeout=120):
        """What an administrator types there, in the directory where the files are that were copied to it."""
        env = dict(os.environ, PATH=os.path.join(self.home, "bin") + ":/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                   LC_ALL="C")
        out = os.path.join(self.home, "output")
        # a file, since a daemon that is started here keeps a pipe open
        with open(out, "w+", errors="replace") as f:
            done = subprocess.run(self.enter("sh", "-c", "cd %s\nset -eu\n%s" % (shlex.quote(self.home), script)), stdout=f,
                                  stderr=subprocess.STDOUT, env=env, timeout=timeout,
                                  **({"input": input, "text": True} if input is not None else {"stdin": subprocess.DEVNULL}))
            f.seek(0)
            return done.returncode, f.read()

    def must(self, script):
        status, said = self.sh(script)
        if status != 0:
            raise RuntimeError("%s: %s: status %d\n%s" % (self.name, script, status, said))
        return said

    def write(self, path, text, mode=0o644):
        """A file in the machine's own view."""
        subprocess.run(self.enter("sh", "-c", 'mkdir -p "$(dirname "$1")" && cat >"$1" && chmod "$2" "$1"', "sh", path, oct(mode)[2:]),
                       input=text, text=True, check=True)

    def start(self, name, *command, mounts=True):
        """A server that stays; its output in NAME.log."""
        log = open(os.path.join(self.home, name + ".log"), "w")
        proc = subprocess.Popen(self.enter(*command, mounts=mounts), stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
        log.close()
        self.tasks.append(proc)
        return proc

    def log(self, name):
        with open(os.path.join(self.home, name), errors="replace") as f:
            return f.read()

    @contextlib.contextmanager
    def net(self):
        """Sockets that are made inside of this are this machine's, and stay so. For one thread."""
        back = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        there = os.open("/proc/%d/ns/net" % self.holder.pid, os.O_RDONLY)
        try:
            if _libc.setns(there, CLONE_NEWNET) != 0:
                raise OSError(ctypes.get_errno(), "setns")
            yield
        finally:
            if _libc.setns(back, CLONE_NEWNET) != 0:
                os._exit(70)
            os.close(there)
            os.close(back)

    def daemons(self):
        """The process ids of those that systemctl has started."""
        state = os.path.join(self.home, "state")
        pids = []
        for name in os.listdir(state):
            if name.endswith(".pid"):
                with open(os.path.join(state, name)) as f:
                    pids.append(int(f.read()))
        return pids

    def stop(self):
        end = time.monotonic() + 15
        for pid in self.daemons():
            with contextlib.suppress(ProcessLookupError):
                while time.monotonic() < end:
                    os.kill(pid, 0)
                    time.sleep(0.05)
                os.kill(pid, signal.SIGKILL)
        for proc in self.tasks:
            proc.terminate()
            try:
                proc.wait(15)
            except subprocess.TimeoutExpired:
                proc.kill()
                proc.wait()
        self.holder.kill()
        self.holder.wait()

    @staticmethod
    def stop_all():
        for machine in Machine.all:
            for pid in machine.daemons():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGTERM)
        for machine in reversed(Machine.all):
            machine.stop()
        Machine.all.clear()


def cable(one, one_name, other, other_name):
    """A pair of interfaces between two machines. Both are up; addresses come after."""
    one.must("ip link add %s type veth peer name %s netns %d\nip link set %s up" % (one_name, other_name, other.holder.pid, one_name))
    other.must("ip link set %s up" % other_name)
