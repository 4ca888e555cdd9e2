"""hostile - the world of the tests that attack: an edge with a Director behind it,
a remote user, a partner, and a good client whose service must not suffer."""

import os
import pwd
import shutil
import subprocess
import sys

from sipnet import BUILD, PKI, RUN, TOP, Closed, Door, Edge, Silent, Tests, dial, request

NET = os.environ.get("LAB_NET", "127.75")
OUT, IN, DIRECTOR, PARTNER = NET + ".9.1", NET + ".9.2", NET + ".9.3", NET + ".9.4"
USERS, PARTNERS, INNER = OUT + ":443", OUT + ":5061", IN + ":5061"
ELSEWHERE = NET + ".9.66"       # where nothing may ever be sent
MARK = "ms-edge-proxy-message-trust"
T = Tests()

POLICY = """
internal_domains = [ "example.com" ];
internal_servers = [ "director.int.example.com" ];
federation = true;
partners = ( { name = "Contoso"; server = "sip.contoso.example"; domains = [ "contoso.example" ]; } );
"""


def config(limits="", workers=1, users_door=""):
    door = 'certificate = "%s/edge-outer.pem"; key = "%s/edge-outer.key";' % (PKI, PKI)
    return """
user = "nobody"; workers = %d;
log = { level = "info"; refusals = 0; };
outer = (
  { listen = "%s"; name = "sip.example.com"; %s users = true; %s },
  { listen = "%s"; name = "sip.example.com"; %s trust = "%s/ca.pem"; client_certificate = "required"; partners = true; }
);
inner = { listen = "%s"; name = "edge.int.example.com"; certificate = "%s/edge-inner.pem"; key = "%s/edge-inner.key";
          trust = "%s/ca.pem"; };
directors = ( { name = "director.int.example.com"; address = "%s"; } );
dns = { servers = [ "%s.9.9:53" ]; timeout = 100; tries = 1; };
limits = { %s };
""" % (workers, USERS, door, users_door, PARTNERS, door, PKI, INNER, PKI, PKI, PKI, DIRECTOR, NET, limits)


def pki():
    shutil.rmtree(PKI, ignore_errors=True)
    os.makedirs(RUN, exist_ok=True)
    subprocess.run([os.path.join(TOP, "certs-example", "make-pki"), PKI], check=True, stdout=subprocess.DEVNULL)
    # the edge has given up root by the time it reads its keys
    for name in os.listdir(PKI):
        os.chown(os.path.join(PKI, name), pwd.getpwnam("nobody").pw_uid, -1)


class World:
    """An edge, the Director's end of its link, and whoever dials in."""

    def __init__(self, name, limits="", workers=1, users_door="", program="sallyport-edge"):
        self.door = Door(DIRECTOR + ":5061", "director")
        self.edge = Edge(name, config(limits, workers, users_door), POLICY, program=program)
        self.director = None

    def inside(self):
        """The Director's connection; the edge opens it by itself, and anew when it was closed."""
        if self.director is not None and not self.director.buffer:
            try:
                self.director._more(0)
            except Silent:
                pass
            except Closed:
                self.director = None
        if self.director is None:
            self.director = self.door.accept()
        return self.director

    def user(self):
        return dial(USERS)

    def partner(self):
        return dial(PARTNERS, cert="partner-edge-outer")

    def serves(self, who=None, call=None):
        """Does an ordinary request reach the Director, and its answer the sender?"""
        c = who or self.user()
        if self.director is not None:
            self.inside()
        m = request(call=call)
        want = m.split(b"Call-ID: ")[1].split(b"\r\n")[0].decode()
        c.send(m)
        if self.director is None:
            self.inside()
        got = self.director.recv()
        self.director.send(got.reply(200))
        answer = c.recv()
        if who is None:
            c.close()
        return (got.get("Call-ID") == want and answer.status == 200) or "%r %r" % (got.start, answer.start)

    def end(self):
        """Stop; says how the daemon ended and whether a sanitizer complained."""
        lived = self.edge.alive()
        status = self.edge.stop()
        self.door.close()
        log = self.edge.log()
        found = [line for line in log.split("\n") if "Sanitizer" in line or "runtime error:" in line]
        T.check("%s: the edge lived, and ends in order" % os.path.basename(self.edge.dir), lived and status == 0, "(%s)" % status)
        T.check("%s: no sanitizer complained" % os.path.basename(self.edge.dir), not found, found[:3])


def run(groups):
    """Each group by its name, or those named on the command line; the exit status of the script."""
    pki()
    for name in sys.argv[1:] or groups:
        try:
            groups[name]()
        except Exception as e:  # whatever went wrong is the test's result
            T.check("%s came to its end" % name, False, "(%s: %s)" % (type(e).__name__, e))
        finally:
            for edge in list(Edge.running):
                edge.stop()
            for door in Door.opened:
                door.close()
    return 1 if T.failed else 0
