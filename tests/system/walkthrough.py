"""walkthrough - doc/first-federation.md, followed to the letter: its files and commands on a host with two interfaces
between an Internet, an inside and a partner, each a network of its own. Run by walkthrough.sh."""

import concurrent.futures
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time

import mdblocks
import netlab
import sipnet
from netlab import Machine
from sipnet import PKI, RUN, TOP, Closed, Door, Silent, Tests, dial, request

PAGE = os.path.join(TOP, "doc", "first-federation.md")
EDGE_OUT, EDGE_IN, DIRECTOR, POOL, STRANGER, ADMIN = "203.0.113.10", "10.0.0.10", "10.0.0.20", "10.0.0.30", "10.0.0.99", "10.0.0.5"
PARTNER, PARTNER_IN, PARTNER_POOL, DNS = "198.51.100.10", "10.1.0.10", "10.1.0.30", "192.0.2.53"
DROPPED = 1.0		# seconds without an answer, which comes in microseconds where it may

T = Tests()


# --- certificates -------------------------------------------------------------------

def make_certificates():
    """A public authority, and one of each organisation for its inside."""
    def make(*args):
        # so long that nobody has to be warned
        subprocess.run([os.path.join(TOP, "certs-example", "make-pki"), PKI, *args, "--days", "300"], check=True, stdout=subprocess.DEVNULL)

    for authority in ("public", "inside", "contoso"):
        make("ca", authority)
    # its edge shows the inside the certificate that it shows everybody
    with open(os.path.join(PKI, "contoso-authorities.pem"), "w") as f:
        for authority in ("contoso", "public"):
            with open(os.path.join(PKI, authority + ".pem")) as part:
                f.write(part.read())
    # as public authorities make them today: for servers; and two as they used to, where Python's TLS looks at them
    make("cert", "sip.example.com", "--issuer", "public", "--dns", "sip.example.com", "--purpose", "serverAuth")
    make("cert", "sip.contoso.example", "--issuer", "public", "--dns", "sip.contoso.example")
    make("cert", "both", "--issuer", "public", "--dns", "sip.example.com")
    make("cert", "front", "--issuer", "public", "--dns", "director.int.example.com")
    make("cert", "director", "--issuer", "inside", "--dns", "director.int.example.com")
    make("cert", "pool", "--issuer", "inside", "--dns", "pool.int.example.com")
    make("cert", "contoso-pool", "--issuer", "contoso", "--dns", "pool.int.contoso.example")


def give(machine, **files):
    for name, source in files.items():
        shutil.copy(os.path.join(PKI, source), os.path.join(machine.home, name.replace("__", "-").replace("_", ".")))


# --- networks -----------------------------------------------------------------------

def make_networks():
    internet, edge, director, partner = (Machine(n) for n in ("internet", "edge", "director", "partner"))
    netlab.cable(internet, "to-edge", edge, "eth0")
    netlab.cable(internet, "to-partner", partner, "eth0")
    netlab.cable(director, "eth0", edge, "eth1")
    internet.must("ip addr add 203.0.113.1/24 dev to-edge\nip addr add 198.51.100.1/24 dev to-partner\nip addr add %s/32 dev lo\n"
                  "sysctl -q -w net.ipv4.ip_forward=1\nip route add 10.0.0.0/24 via %s" % (DNS, EDGE_OUT))
    edge.must("ip addr add %s/24 dev eth0\nip addr add %s/24 dev eth1\nip route add default via 203.0.113.1\n"
              # a host as careless as one can be, before the page is followed
              "sysctl -q -w net.ipv4.ip_forward=1" % (EDGE_OUT, EDGE_IN))
    director.must("ip addr add %s/24 dev eth0\n" % DIRECTOR + "".join("ip addr add %s/24 dev eth0\n" % a for a in (POOL, STRANGER, ADMIN)) +
                  "ip route add default via %s" % EDGE_IN)
    partner.must("ip addr add %s/24 dev eth0\nip route add default via 198.51.100.1\nip addr add %s/32 dev lo\nip addr add %s/32 dev lo" %
                 (PARTNER, PARTNER_IN, PARTNER_POOL))
    public = open(os.path.join(PKI, "public.pem")).read()
    for machine in (edge, partner):
        machine.write("/etc/resolv.conf", "nameserver %s\n" % DNS)
        machine.write("/etc/ssl/certs/ca-certificates.crt", public)
    return internet, edge, director, partner


# --- DNS ----------------------------------------------------------------------------

ZONE = "$ORIGIN %s.\n$TTL 60\n@ SOA ns hostmaster 1 3600 600 86400 60\n@ NS ns\nns A " + DNS + "\n"


def start_dns(internet, ours):
    zones = {"example.com": ours, "contoso.example": "_sipfederationtls._tcp SRV 0 0 5061 sip\nsip A %s\n" % PARTNER,
             "house.example": "sip A 192.0.2.130\n"}
    home = os.path.join(RUN, "dns")
    os.makedirs(home)
    for zone, text in zones.items():
        with open(os.path.join(home, zone + ".zone"), "w") as f:
            f.write(ZONE % zone + text)
    conf = os.path.join(home, "knot.conf")
    with open(conf, "w") as f:
        f.write('server:\n    rundir: "%s"\n    listen: %s@53\n    udp-workers: 1\n    tcp-workers: 1\n    background-workers: 1\n'
                "log:\n  - target: stdout\n    any: info\n"
                'database:\n    storage: "%s"\n    timer-db-max-size: 1M\n'
                'template:\n  - id: default\n    storage: "%s"\n    file: "%%s.zone"\n    zonefile-sync: -1\n    journal-content: none\n'
                "zone:\n%s" % (home, DNS, home, home, "".join("  - domain: %s\n" % z for z in zones)))
    internet.start("dns", "knotd", "-m", "16", "-c", conf, mounts=False)
    return wait(lambda: "server started" in internet.log("dns.log"))


def wait(condition, seconds=30):
    done = threading.Event()
    for _ in range(seconds * 20):
        if condition():
            return True
        done.wait(0.05)
    return False


# --- packets ------------------------------------------------------------------------

def listen(machine, *places):
    """Somebody who takes connections, so that only a firewall can be why there is none."""
    out = []
    with machine.net():
        for host, port in places:
            s = socket.socket()
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            s.bind((host, port))
            s.listen(16)
            out.append(s)
    return out


def reaches(machine, source, host, port):
    with machine.net():
        s = socket.socket()
        try:
            if source:
                s.bind((source, 0))
            s.settimeout(DROPPED if host else None)
            s.connect((host, port))
            return True
        except OSError:
            return False
        finally:
            s.close()


def probe(rows):
    """[(may, what, machine, source, host, port)]: what was not as it should be."""
    with concurrent.futures.ThreadPoolExecutor(len(rows)) as pool:
        got = list(pool.map(lambda r: reaches(*r[2:]), rows))
        # a busy machine may be slow to let through what it lets through
        for i, row in enumerate(rows):
            for _ in range(20):
                if row[0] and not got[i]:
                    got[i] = reaches(*row[2:])
    return ["%s %s" % (row[1], "passes" if g else "does not pass") for row, g in zip(rows, got) if g != row[0]]


class Packets:
    def __init__(self, internet, edge, director, partner):
        self.internet, self.edge, self.director, self.partner = internet, edge, director, partner
        self.rows = [
            (True, "a user to 443", internet, None, EDGE_OUT, 443),
            (True, "a partner to 5061", partner, None, EDGE_OUT, 5061),
            (False, "the Internet to SSH", internet, None, EDGE_OUT, 22),
            (False, "the Internet to the admin page", internet, None, EDGE_OUT, 8060),
            (False, "the Internet to the inner door", internet, None, EDGE_IN, 5061),
            (True, "the Director to the inner door", director, DIRECTOR, EDGE_IN, 5061),
            (False, "another host inside to the inner door", director, STRANGER, EDGE_IN, 5061),
            (False, "the Director to SSH", director, DIRECTOR, EDGE_IN, 22),
            (True, "the administrator to SSH", director, ADMIN, EDGE_IN, 22),
            (False, "somebody inside to the outer door", director, ADMIN, EDGE_OUT, 443),
            (True, "the edge to the Director", edge, None, DIRECTOR, 5061),
            (False, "the edge to the Director's SSH", edge, None, DIRECTOR, 22),
            (False, "the edge to another host inside", edge, None, POOL, 5061),
            (True, "the edge to a partner", edge, EDGE_OUT, PARTNER, 5061),
            (False, "the edge to a web server", edge, None, PARTNER, 80),
            (False, "the edge to another name server", edge, None, PARTNER, 53),
        ]
        self.through = [(False, "the Internet through the edge", internet, None, DIRECTOR, 5061),
                        (False, "the inside through the edge", director, DIRECTOR, PARTNER, 5061)]
        self.open = (listen(edge, (EDGE_OUT, 443), (EDGE_OUT, 5061), (EDGE_OUT, 22), (EDGE_OUT, 8060), (EDGE_IN, 5061), (EDGE_IN, 22)) +
                     listen(director, (DIRECTOR, 5061), (DIRECTOR, 22), (POOL, 5061)) +
                     listen(partner, (PARTNER, 5061), (PARTNER, 80), (PARTNER, 53)))

    def before(self):
        """Without the page, everything gets everywhere: what does not later, the rules have stopped."""
        wrong = probe([(True, *row[1:]) for row in self.rows + self.through])
        T.check("before, every packet gets through", not wrong, wrong)

    def after(self):
        wrong = probe(self.rows)
        T.check("the firewall lets through what it should, and nothing else", not wrong, wrong)
        # even on a host that routes
        self.edge.must("sysctl -q -w net.ipv4.ip_forward=1")
        wrong = probe(self.through)
        self.edge.must("sysctl -q -w net.ipv4.ip_forward=0")
        T.check("the firewall forwards nothing", not wrong, wrong)

    def close(self):
        for s in self.open:
            s.close()


# --- messages -----------------------------------------------------------------------

class Pool:
    """The SIP server of an organisation: believes its own side, answers 200."""

    def __init__(self, machine, address, cert, ca):
        self.messages = []
        self.came = threading.Condition()
        with machine.net():
            self.door = Door(address + ":5061", cert, ca)
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self.accept, daemon=True)
        self.thread.start()

    def accept(self):
        while not self.stopping.is_set():
            try:
                conn = self.door.accept(0.2)
            except (Silent, OSError):
                continue
            threading.Thread(target=self.serve, args=(conn,), daemon=True).start()
        # here, since a socket that another thread waits for stays open
        self.door.close()

    def serve(self, conn):
        try:
            while True:
                m = conn.recv(3600)
                if m.status:
                    continue
                with self.came:
                    self.messages.append(m)
                    self.came.notify_all()
                conn.send(m.reply(200))
        except (Silent, Closed):
            conn.close()

    def close(self):
        self.stopping.set()
        self.thread.join()

    def got(self, text, seconds=30):
        def there():
            return [m for m in self.messages if m.method == "MESSAGE" and text in m.body]
        with self.came:
            self.came.wait_for(there, seconds)
            return there()


def say(machine, server, name, cert, ca, sender, to, text):
    """As the sender's SIP server does; the final status."""
    with machine.net():
        conn = dial(server + ":5061", name, cert, ca)
    conn.send(request(uri="sip:" + to, sender="sip:" + sender, body=text, headers=["Content-Type: text/plain"]))
    try:
        while True:
            m = conn.recv(30)
            if m.status >= 200:
                return m.status
    finally:
        conn.close()


# --- the partner ----------------------------------------------------------------------

def make_partner(partner):
    """The partner does on its side what the page says, with its own names."""
    give(partner, edge_pem="sip.contoso.example.pem", edge_key="sip.contoso.example.key", inside_pem="contoso.pem")
    partner.must("mkdir /etc/sallyport\ninstall -m 644 edge.pem inside.pem /etc/sallyport/\ninstall -m 600 edge.key /etc/sallyport/\n"
                 "sallyportctl init --domain contoso.example --director pool.int.contoso.example=%s --outside %s --inside %s "
                 "--certificate /etc/sallyport/edge.pem --key /etc/sallyport/edge.key --inside-trust /etc/sallyport/inside.pem "
                 "--partner example.com=sip.example.com\nsystemctl enable --now sallyport-edge" % (PARTNER_POOL, PARTNER, PARTNER_IN))


# --- three values -----------------------------------------------------------------------

def three_values(internet, edge, director):
    """The shortest edge.conf there is: its doors are where they belong, and a user of ours gets inside."""
    make_zone = "director.int A %s\n" % DIRECTOR
    if not start_dns(internet, make_zone):
        raise RuntimeError("the name server does not start")
    pem = "".join(open(os.path.join(PKI, "both." + part)).read() for part in ("pem", "key"))
    edge.write("/etc/sallyport/edge.pem", pem, 0o600)
    edge.write("/etc/sallyport/edge.conf", 'domains = [ "example.com" ];\nnext_hop = "director.int.example.com";\n'
               'certificate = "/etc/sallyport/edge.pem";\n')
    inside = Pool(director, DIRECTOR, "front", "public")
    T.run("three values are an edge: sallyportctl check", lambda: "edge.conf: good" in edge.must("sallyportctl check"))
    edge.must("systemctl start sallyport-edge")
    doors = edge.must("ss -Hltn | awk '{ print $4 }' | sort -u").split()
    T.check("it has its doors where they belong", doors == sorted([EDGE_IN + ":5061", EDGE_OUT + ":443", EDGE_OUT + ":5061"]), doors)

    def sign_in():
        with internet.net():
            user = dial(EDGE_OUT + ":443", "sip.example.com", None, "public")
        user.send(request("REGISTER", "sip:example.com", "sip:alice@example.com", to="sip:alice@example.com",
                          headers=["Contact: <sip:alice@192.0.2.53:5061;transport=tls>"]))
        answer = user.recv(30)
        user.close()
        asked = [m for m in inside.messages if m.method == "REGISTER"]
        return (answer.status == 200 and len(asked) == 1 and
                "InternetUser" in (asked[0].get("ms-edge-proxy-message-trust") or "")) or (answer.start, [m.raw for m in asked])

    T.run("a remote user signs in through it", sign_in)
    status, said = edge.sh("sallyportctl explain --policy /etc/sallyport/policy.conf --from a@contoso.example --to b@example.com")
    T.check("there is no policy file, and it does without", status != 0 and "policy.conf" in said, said)
    edge.must("systemctl stop sallyport-edge\nrm -r /etc/sallyport /run/sallyport/*")
    inside.close()
    internet.tasks[0].terminate()
    internet.tasks.pop(0).wait()
    shutil.rmtree(os.path.join(RUN, "dns"))


# --- the page ---------------------------------------------------------------------------

LINPHONE = """[sip]
bind_address=203.0.113.1
sip_port=-1
sip_tcp_port=-1
sip_tls_port=5061
use_ipv6=0
ipv6_migration_done=1
verify_server_certs=1
verify_server_cn=1
root_ca=%(ca)s
register_only_when_network_is_up=0
default_proxy=0
guess_hostname=0
[net]
dns_srv_enabled=1
dns_search_enabled=0
[proxy_0]
reg_proxy=<sip:sip.%(domain)s:443;transport=tls>
reg_route=<sip:sip.%(domain)s:443;transport=tls;lr>
reg_identity=sip:%(who)s
reg_expires=300
reg_sendregister=1
publish=0
[auth_info_0]
username=%(user)s
passwd=Alice-1
realm=%(domain)s
[sound]
playback_dev_id=none
"""


class Page:
    def __init__(self, machines, packets):
        self.machines, self.packets = machines, packets
        self.blocks = mdblocks.blocks(PAGE, "doc/first-federation.md")
        self.zone = [b.text for b in self.blocks if b.get("zone")][0]
        self.pools = {}

    def run(self):
        for block in self.blocks:
            T.run("%s %s" % (block.place, block.first or ("a real client signs in and writes" if block.get("client") else "a message passes")), lambda: self.do(block))

    def do(self, block):
        if block.get("message"):
            return self.message(*block.get("message").split())
        if block.get("client"):
            return self.client(*block.get("client").split())
        if block.get("zone"):
            return None
        on = self.machines.get(block.get("on"))
        if on is None:
            return "nobody says on which machine"
        if block.get("file"):
            on.write(block.get("file"), block.text)
            return None
        if block.language != "sh":
            return "a block that is neither a command nor a file"
        self.about_to(block)
        end = time.monotonic() + 30
        while True:
            status, said = on.sh(block.text)
            if all(text in said for text in block.all("until")) or time.monotonic() > end:
                break
            time.sleep(0.2)
        wanted = int(block.get("exit", "0"))
        if status != wanted:
            return "status %d, not %d: %s" % (status, wanted, said)
        for text in block.all("shows") + block.all("until"):
            if text not in said:
                return "does not show %r: %s" % (text, said)
        if block.get("compare") == "zone":
            printed = [line for line in said.split("\n") if line.strip() and not line.startswith(";")]
            if sorted(printed) != sorted(self.zone.strip().split("\n")):
                return "the page's zone is not what is printed: %s" % said
        return self.after(block)

    def about_to(self, block):
        """What is not the page's to say, but has to be there by now."""
        if "systemctl enable --now sallyport-edge" in block.text:
            self.packets.close()
        if "dns --check" in block.text and not start_dns(self.machines["internet"], self.zone):
            raise RuntimeError("the name server does not start")
        if "doctor" in block.text:
            self.pools["contoso.example"] = Pool(self.machines["partner"], PARTNER_POOL, "contoso-pool", "contoso-authorities")
            make_partner(self.machines["partner"])

    def after(self, block):
        if "sysctl" in block.text:
            T.check("the edge routes nothing", self.machines["edge"].must("cat /proc/sys/net/ipv4/ip_forward") == "0\n")
        if "nft -f" in block.text:
            self.packets.after()
        if "enable --now sallyport-director" in block.text:
            self.pools["example.com"] = Pool(self.machines["director"], POOL, "pool", "inside")
        return None

    def client(self, who, to):
        """A real client, linphonec, somewhere in the Internet."""
        internet = self.machines["internet"]
        internet.write("/etc/resolv.conf", "nameserver %s\n" % DNS)
        os.makedirs(os.path.join(internet.home, ".local/share/linphone"))
        with open(os.path.join(internet.home, "linphonerc"), "w") as f:
            f.write(LINPHONE % {"who": who, "user": who.split("@")[0], "domain": who.split("@")[1], "ca": os.path.join(PKI, "public.pem")})
        log = open(os.path.join(internet.home, "linphonec.log"), "w")
        proc = subprocess.Popen(internet.enter("env", "HOME=" + internet.home, "linphonec", "-c", os.path.join(internet.home, "linphonerc")),
                                stdin=subprocess.PIPE, stdout=log, stderr=subprocess.STDOUT, text=True)
        log.close()
        internet.tasks.append(proc)

        def told(command, sign):
            proc.stdin.write(command + "\n")
            proc.stdin.flush()
            return sign()

        pool = self.pools["example.com"]
        # it tells only when it is asked
        if not wait(lambda: told("status register", lambda: "registered, identity=" in internet.log("linphonec.log")), 60):
            return "it does not sign in: %s" % internet.log("linphonec.log")[:1000]
        told("chat sip:%s written by a real client" % to, lambda: None)
        return None if len(pool.got(b"written by a real client")) == 1 else "the message did not come"

    def message(self, sender, to):
        text = ("from %s to %s" % (sender, to)).encode()
        if sender.endswith("@contoso.example"):
            status = say(self.machines["partner"], PARTNER_IN, "sip.contoso.example", "contoso-pool", "public", sender, to, text)
        else:
            status = say(self.machines["director"], DIRECTOR, "director.int.example.com", "pool", "inside", sender, to, text)
        if status != 200:
            return "status %d" % status
        got = self.pools[to.split("@")[1]].got(text)
        if len(got) != 1:
            return "it came %d times" % len(got)
        mark = got[0].get("ms-edge-proxy-message-trust")
        print("    %s; %s" % (text.decode(), mark))
        return None if mark or got[0].get("P-Asserted-Identity") else "the inside is not told what was proven: %s" % got[0].raw


def prepare(machines):
    """The files that somebody has copied to the machines before the page begins."""
    give(machines["edge"], sip_example_com_pem="sip.example.com.pem", sip_example_com_key="sip.example.com.key",
         inside__ca_pem="inside.pem")
    give(machines["director"], director_pem="director.pem", director_key="director.key", inside__ca_pem="inside.pem",
         public__ca_pem="public.pem")
    with open(os.path.join(machines["director"].home, "bob.password"), "w") as f:
        f.write("Bob-1\n")
    with open(os.path.join(machines["director"].home, "alice.password"), "w") as f:
        f.write("Alice-1\n")


def main():
    why = netlab.impossible()
    if why:
        print("skip " + why)
        return 0
    make_certificates()
    internet, edge, director, partner = make_networks()
    machines = {"internet": internet, "edge": edge, "director": director, "partner": partner}
    prepare(machines)
    T.run("the short form", lambda: three_values(internet, edge, director))
    packets = Packets(internet, edge, director, partner)
    packets.before()
    kernel = subprocess.run(edge.enter("nft", "list", "ruleset"), capture_output=True, text=True)
    if kernel.returncode != 0:
        print("skip the firewall's rules, which this kernel does not load: %s" % kernel.stderr.strip())
        return 1 if T.failed else 0
    page = Page(machines, packets)
    page.run()
    if T.failed:
        for machine, log in ((edge, "sallyport-edge"), (director, "sallyport-director"), (partner, "sallyport-edge")):
            try:
                print("    %s: %s" % (machine.name, "    ".join(machine.log("state/%s.log" % log).splitlines(True)[-15:])))
            except OSError:
                pass
    return 1 if T.failed else 0


def stop(number, frame):
    sys.exit(128 + number)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, stop)
    try:
        result = main()
    finally:
        Machine.stop_all()
    sys.exit(result)
