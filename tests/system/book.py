"""book - every command that the pages of doc/ and README.md show is run, and the examples of sallyportctl(8) with them, in a world where doc/first-federation.md
has been followed: an edge, a Director, an inside and a partner, each a network of its own (netlab.py). Run by book.sh.

A block of `sh` is run with `set -eu`, as root on the edge, in the directory where files were copied to. Blocks of a page are
run in their order; before each page, policy is what first-federation.md left. A comment before a block
(`<!-- test: KEY=VALUE; ... -->`) says what is otherwise:

    on=MACHINE           edge (the default), director, partner, house, branch; bare, on which nothing has been done
    input=TEXT           a line that somebody types
    exit=N               the status, 0 by default
    shows=TEXT           what it prints has this text; may be repeated
    until=TEXT           the same, in the end: what it looks at may take a moment
    file=PATH            the block is a file, which is written there
    bring=MACHINE FILE   before it, a file is copied from another machine
    message=FROM TO      before it, such a message is sent from one organisation to the other and answered 200,
    status=N             or with that status
    while=FROM TO        the same while the command runs, until it ends
    by=TEST              the command is run by another test, which has to name its program

A block of `sh` that cannot be run fails, as do commands that stand in no block of `sh`.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time

import mdblocks
import netlab
import walkthrough
from netlab import Machine
from sipnet import BUILD, PKI, TOP, Tests

HOUSE, BRANCH = "192.0.2.130", "192.0.2.66"
PATIENCE = 30.0
OTHERS = "first-federation.md"		# walkthrough.py's
# what looks like a command and is in no block
COMMAND = re.compile(r"^(\$ |# )?(sudo |\./)?(sallyport[a-z-]*|systemctl|journalctl|apt-get|apt|make|nft|openssl|autoreconf|quickstart|runtests|"
                     r"packaging/\S+|certs-example/\S+|kill|useradd|install|curl|dig)( |$)")
MENTIONED = re.compile(r"`sallyportctl ([a-z][a-z-]*)")

T = Tests()


# --- the world ------------------------------------------------------------------------

JOURNALCTL = """#!/bin/sh
# stands for journalctl where there is no journal: -u UNIT --grep PATTERN
exec grep -e "$4" "/run/sallyport/$2.log"
"""


def more_machines(internet, edge, director, partner):
    """A clearing house and a branch office, of which some pages speak."""
    house, branch, bare = Machine("house"), Machine("branch"), Machine("bare", accounts="")
    netlab.cable(internet, "to-house", house, "eth0")
    netlab.cable(internet, "to-branch", branch, "eth0")
    internet.must("ip addr add 192.0.2.129/25 dev to-house\nip addr add 192.0.2.65/26 dev to-branch")
    house.must("ip addr add %s/25 dev eth0\nip route add default via 192.0.2.129" % HOUSE)
    branch.must("ip addr add %s/26 dev eth0\nip route add default via 192.0.2.65\nip addr add 10.9.0.1/32 dev lo" % BRANCH)
    public = open(os.path.join(PKI, "public.pem")).read()

    def make(name, *args):
        subprocess.run([os.path.join(TOP, "certs-example", "make-pki"), PKI, "cert", name, "--issuer", "public", "--days", "300",
                        *args], check=True, stdout=subprocess.DEVNULL)

    make("house", "--dns", "sip.house.example")
    make("branch", "--dns", "branch1.example.com")
    make("office", "--dns", "sip.branch1.example.com")
    make("both-names", "--dns", "edge.int.example.com")
    make("new", "--dns", "sip.example.com")
    # connected to nobody: two organisations do not have one address
    bare.must("ip addr add %s/32 dev lo\nip addr add %s/32 dev lo" % (walkthrough.EDGE_OUT, walkthrough.EDGE_IN))
    for name, source in (("outer", "new"), ("inner", "both-names")):
        for part, mode in (("pem", 0o644), ("key", 0o600)):
            bare.write("/etc/sallyport/%s.%s" % (name, part), open(os.path.join(PKI, source + "." + part)).read(), mode)
    bare.write("/etc/sallyport/inside-ca.pem", open(os.path.join(PKI, "inside.pem")).read())
    bare.write("/etc/ssl/certs/ca-certificates.crt", public)
    for machine, names in ((house, ["house"]), (branch, ["branch", "office"])):
        machine.write("/etc/resolv.conf", "nameserver %s\n" % walkthrough.DNS)
        machine.write("/etc/ssl/certs/ca-certificates.crt", public)
        for name in names:
            for part, mode in (("pem", 0o644), ("key", 0o600)):
                machine.write("/etc/sallyport/%s.%s" % (name, part), open(os.path.join(PKI, name + "." + part)).read(), mode)
    walkthrough.give(edge, new_pem="new.pem", new_key="new.key", contoso_pem="sip.contoso.example.pem")
    for machine in (edge, director, partner):
        path = os.path.join(machine.home, "bin", "journalctl")
        with open(path, "w") as f:
            f.write(JOURNALCTL)
        os.chmod(path, 0o755)
    return {"house": house, "branch": branch, "bare": bare}


class World(walkthrough.Page):
    """What first-federation.md leaves behind, made by doing what it says."""

    def make(self):
        for block in self.blocks:
            wrong = None if block.get("message") or block.get("compare") or block.get("client") or block.get("until") else self.do(block)
            if wrong:
                raise RuntimeError("%s: %s" % (block.place, wrong))
        self.machines["edge"].must("cp -a /etc/sallyport /etc/sallyport.kept")

    def about_to(self, block):
        if "systemctl enable --now sallyport-edge" not in block.text:
            super().about_to(block)

    def after(self, block):
        if "enable --now sallyport-director" in block.text:
            super().after(block)

    def again(self):
        """For the next page."""
        self.machines["edge"].must("cp -a /etc/sallyport.kept/. /etc/sallyport/\nrm -rf /var/lib/sallyport/policy\nsallyportctl reload")


# --- pages ------------------------------------------------------------------------------

def elsewhere(block):
    """Another test runs it: that has to speak of each program in it."""
    path = os.path.join(TOP, block.get("by"))
    if not os.path.exists(path):
        return "there is no %s" % block.get("by")
    with open(path) as f:
        text = f.read()
    for line in block.text.replace("\\\n", " ").replace("&&", "\n").split("\n"):
        words = line.split("#")[0].split()
        if words and os.path.basename(words[0]) not in text:
            return "%s does not run %s" % (block.get("by"), words[0])
    return None


class Book:
    def __init__(self, world):
        self.world = world
        self.ran = 0

    def page(self, path, name):
        with open(path, encoding="utf-8") as f:
            self.look(name, f.read().split("\n"))
        if os.path.basename(path) == OTHERS:
            return
        blocks = mdblocks.blocks(path, name)
        if any(not b.get("by") for b in blocks):
            self.world.again()
        for block in blocks:
            if block.language == "sh" or block.keys:
                T.run("%s %s" % (block.place, block.first or "somebody writes"), lambda: self.do(block))

    def look(self, name, lines):
        """Commands that no test would see, and subcommands that are none."""
        fence, wrong = None, []
        for number, line in enumerate(lines, 1):
            begin = mdblocks.FENCE.match(line)
            if begin and fence is None:
                fence = begin.group(3) or "none"
                continue
            if begin:
                fence = None
                continue
            if fence not in (None, "sh") and COMMAND.match(line.strip()) and not line.startswith("#"):
                wrong.append("%s:%d: a command in a block that is not sh: %s" % (name, number, line.strip()))
            if fence is None and line.startswith("    ") and COMMAND.match(line.strip()):
                wrong.append("%s:%d: a command that is in no block of sh: %s" % (name, number, line.strip()))
            for word in MENTIONED.findall(line) if fence is None else []:
                if word not in SUBCOMMANDS:
                    wrong.append("%s:%d: there is no sallyportctl %s" % (name, number, word))
            for cell in re.findall(r"^\| (.*?) \|", line) if name.endswith("refusals.md") else []:
                for word in re.findall(r"`([a-z-]+)`", cell):
                    if word not in REASONS:
                        wrong.append("%s:%d: there is no reason %s" % (name, number, word))
        T.check("%s: what it speaks of is there, and every command is one that is run" % name, not wrong, "\n    ".join(wrong))

    def do(self, block):
        if block.get("by"):
            return elsewhere(block)
        machine = self.world.machines.get(block.get("on", "edge"))
        if machine is None:
            return "there is no machine %s" % block.get("on")
        if block.get("message"):
            wrong = self.send(*block.get("message").split(), int(block.get("status", "200")))
            if wrong or not block.text:
                return wrong
        if block.get("bring"):
            source, name = block.get("bring").split()
            shutil.copy(os.path.join(self.world.machines[source].home, name), machine.home)
        if block.get("file"):
            machine.write(os.path.join(machine.home, block.get("file")), block.text)
            return None
        if block.language != "sh":
            return "neither a command nor a file"
        self.ran += 1
        stop = threading.Event()
        sender = threading.Thread(target=self.keep_sending, args=(block.get("while"), stop), daemon=True)
        if block.get("while"):
            sender.start()
        typed = block.get("input")
        end = time.monotonic() + PATIENCE
        while True:
            status, said = machine.sh(block.text, input=typed + "\n" if typed else None)
            if all(text in said for text in block.all("until")) or time.monotonic() > end:
                break
            time.sleep(0.2)
        stop.set()
        if block.get("while"):
            sender.join()
        wanted = int(block.get("exit", "0"))
        if status != wanted:
            return "status %d, not %d: %s" % (status, wanted, said)
        for text in block.all("shows") + block.all("until"):
            if text not in said:
                return "does not show %r: %s" % (text, said)
        if os.environ.get("BOOK_SHOWS"):
            print("    " + said.replace("\n", "\n    "))
        return None

    def send(self, sender, to, wanted):
        w = walkthrough
        machines = self.world.machines
        text = b"written for the book"
        if sender.endswith("@contoso.example"):
            got = w.say(machines["partner"], w.PARTNER_IN, "sip.contoso.example", "contoso-pool", "public", sender, to, text)
        else:
            got = w.say(machines["director"], w.DIRECTOR, "director.int.example.com", "pool", "inside", sender, to, text)
        return None if got == wanted else "the message was answered %d, not %d" % (got, wanted)

    def keep_sending(self, who, stop):
        while not stop.is_set():
            self.send(*who.split(), 200)
            stop.wait(0.2)


def manual(world, page):
    """The examples of a manual page: each is a command that is understood, whatever comes of it here."""
    text = open(os.path.join(TOP, "man", page), encoding="utf-8").read().replace("\\-", "-").replace("\\(aq", "'").replace("\\&", "")
    section = re.search(r"^\.SH EXAMPLES\n(.*?)^\.S[Hh] ", text, re.M | re.S)
    examples = [line for line in section.group(1).split("\n") if line and not line.startswith(".")]
    T.check("%s has examples" % page, len(examples) > 3, examples)
    for line in examples:
        def understood():
            # what goes on until it is stopped is stopped; an editor leaves the text as it is
            status, said = world.machines["edge"].sh("export EDITOR=true\n" + re.sub(r"\bsallyportctl\b", "timeout 3 sallyportctl", line))
            return None if status not in (64, 126, 127) else "status %d: %s" % (status, said)
        T.run("%s: %s" % (page, line), understood)


def main():
    why = netlab.impossible()
    if why:
        print("skip " + why)
        return 0
    walkthrough.make_certificates()
    machines = dict(zip(("internet", "edge", "director", "partner"), walkthrough.make_networks()))
    walkthrough.prepare(machines)
    machines.update(more_machines(**machines))
    world = World(machines, None)
    world.make()
    book = Book(world)
    book.page(os.path.join(TOP, "README.md"), "README.md")
    pages = sorted(n for n in os.listdir(os.path.join(TOP, "doc")) if n.endswith(".md"))
    for page in pages:
        book.page(os.path.join(TOP, "doc", page), "doc/" + page)
    world.again()
    manual(world, "sallyportctl.8")
    T.check("commands were run", book.ran > 20, book.ran)
    if T.failed:
        for name in ("edge", "director", "partner", "house", "branch"):
            for log in ("sallyport-edge", "sallyport-director"):
                path = os.path.join(machines[name].home, "state", log + ".log")
                if os.path.exists(path):
                    print("    %s: %s" % (name, "    ".join(machines[name].log("state/%s.log" % log).splitlines(True)[-8:])))
    return 1 if T.failed else 0


SUBCOMMANDS = set(re.findall(r"^  ([a-z-]+) ", subprocess.run([os.path.join(BUILD, "sallyportctl"), "--help"], capture_output=True,
                                                               text=True).stdout, re.M))
with open(os.path.join(TOP, "policy", "reason.h")) as reasons:
    REASONS = set(re.findall(r'^\tX\(\w+, "([a-z-]+)"', reasons.read(), re.M))

if __name__ == "__main__":
    signal.signal(signal.SIGTERM, walkthrough.stop)
    try:
        result = main()
    finally:
        Machine.stop_all()
    sys.exit(result)
