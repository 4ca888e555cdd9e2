"""control - an edge and a Director asked over their control sockets while they
carry messages: what they say of themselves, what they let be changed, and that
rude clients of the socket cost nobody else anything. Run by control.sh."""

import json
import os
import pwd
import socket
import struct
import subprocess
import sys
import threading
import time

from sipnet import BUILD, PATIENCE, PKI, RUN, TOP, Closed, Door, Edge, Silent, Tests, dial, request

OUT, IN, DIR, PARTNER, DIRECTOR = "127.21.0.1", "127.21.1.1", "127.21.1.2", "127.21.0.2", "127.21.2.1"
USERS, PARTNERS, INNER = OUT + ":443", OUT + ":5061", IN + ":5061"
CTL = os.path.join(BUILD, "sallyportctl")

POLICY = """
internal_domains = [ "example.com" ];
internal_servers = [ "director.int.example.com" ];
federation = true;
discovery = true;
open_federation = true;
partners = ( { name = "Contoso"; server = "sip.contoso.example"; domains = [ "contoso.example" ]; } );
"""

T = Tests()


def config(extra=""):
    door = 'certificate = "%s/edge-outer.pem"; key = "%s/edge-outer.key";' % (PKI, PKI)
    return """
user = "nobody"; workers = 2;
log = { level = "info"; };
outer = (
  { listen = "%s"; name = "sip.example.com"; %s users = true; },
  { listen = "%s"; name = "sip.example.com"; %s trust = "%s/ca.pem"; client_certificate = "required"; partners = true; }
);
inner = { listen = "%s"; name = "edge.int.example.com"; certificate = "%s/edge-inner.pem"; key = "%s/edge-inner.key";
          trust = "%s/ca.pem"; };
directors = ( { name = "director.int.example.com"; address = "%s"; } );
dns = { servers = [ "127.21.0.9:53" ]; timeout = 100; tries = 1; };
%s
""" % (USERS, door, PARTNERS, door, PKI, INNER, PKI, PKI, PKI, DIR, extra)


def pki():
    subprocess.run([os.path.join(TOP, "certs-example", "make-pki"), PKI], check=True, stdout=subprocess.DEVNULL)
    for name in os.listdir(PKI):
        os.chown(os.path.join(PKI, name), pwd.getpwnam("nobody").pw_uid, -1)


class Ctl:
    """sallyportctl, asking one daemon."""

    def __init__(self, path):
        self.path = path

    def run(self, *args, user=None):
        cmd = [CTL, "--socket", self.path] + list(args)
        if user:
            cmd = ["setpriv", "--reuid=%d" % user[0], "--regid=%d" % user[1], "--clear-groups"] + cmd
        p = subprocess.run(cmd, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=90)
        return p.returncode, p.stdout.decode("utf-8"), p.stderr.decode("utf-8")

    def json(self, *args):
        status, out, err = self.run(*args, "--json")
        answer = json.loads(out)
        assert answer["status"] == status, (answer, status, err)
        return answer

    def records(self, kind, *args):
        return [r for r in self.json(*args)["records"] if r["kind"] == kind]


class Answering:
    """A server that takes any number of connections and answers every request with 200."""

    def __init__(self, addr, cert):
        self.door = Door(addr, cert)
        self.status = 200
        self.seen = 0
        self.conns = []
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                conn = self.door.accept(3600)
            except Exception:  # a handshake that fails is not ours to judge; a closed door ends it
                if self.door.sock.fileno() == -1:
                    return
                continue
            self.conns.append(conn)
            threading.Thread(target=self.serve, args=(conn,), daemon=True).start()

    def serve(self, conn):
        try:
            while True:
                m = conn.recv(3600)
                if m.status == 0 and m.method != "ACK":
                    self.seen += 1
                    conn.send(m.reply(self.status))
        except (Closed, Silent, ValueError):
            pass

    def close(self):
        self.door.close()
        for c in self.conns:
            c.close()
