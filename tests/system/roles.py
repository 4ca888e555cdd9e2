"""roles - what one binary is by configuration alone: a clearing house, a member
of it, a branch office's proxy and its head office. Run by roles.sh, which has
started the name server."""

import base64
import hashlib
import hmac
import json
import os
import pwd
import shutil
import subprocess
import sys
import time

from sipnet import (BUILD, PKI, RUN, TOP, Closed, Door, Edge, Silent, Tests, dial, request)

NET = sys.argv[1]
DNS = NET + ".0.53:53"
MARK, ASSERTED = "ms-edge-proxy-message-trust", "ms-asserted-verification-level"

T = Tests()


def at(organisation, host):
    """1: outer door, 2: inner door, 3: the server inside"""
    return "%s.%d.%d" % (NET, organisation, host)


A, B, HOUSE, D, HEAD, BRANCH, PUBLIC = 11, 12, 13, 14, 15, 16, 17


def pki():
    make = os.path.join(TOP, "certs-example", "make-pki")
    subprocess.run([make, PKI], check=True, stdout=subprocess.DEVNULL)
    names = [("branch", "branch1.office.example"), ("branch-lan", "sip.office.example"), ("stranger", "sip.stranger.example"),
             ("d", "sip.d.example"), ("public", "sip.public.example")]
    for domain in ("a.example", "b.example", "house.example", "example.com"):
        names += [(domain + kind, name + domain) for kind, name in
                  (("-outer", "sip."), ("-inner", "edge.int."), ("-director", "director.int."))]
    for name, dns in names:
        subprocess.run([make, PKI, "cert", name, "--dns", dns], check=True, stdout=subprocess.DEVNULL)
    nobody = pwd.getpwnam("nobody").pw_uid
    for name in os.listdir(PKI):
        os.chown(os.path.join(PKI, name), nobody, -1)


def identity(name):
    return 'certificate = "%s/%s.pem"; key = "%s/%s.key"; ' % (PKI, name, PKI, name)


def config(organisation, domain, users=False, extra=""):
    """An ordinary edge: the partners' door, an inner door, one server inside."""
    doors = ['{ listen = "%s:5061"; name = "sip.%s"; partners = true; client_certificate = "required"; trust = "%s/ca.pem"; %s}' %
             (at(organisation, 1), domain, PKI, identity(domain + "-outer"))]
    if users:
        doors.append('{ listen = "%s:443"; name = "sip.%s"; users = true; %s}' %
                     (at(organisation, 1), domain, identity(domain + "-outer")))
    return """
user = "nobody"; workers = 1; log = { level = "debug"; };
outer = ( %s );
inner = { listen = "%s:5061"; name = "edge.int.%s"; trust = "%s/ca.pem"; %s };
directors = ( { name = "director.int.%s"; address = "%s"; } );
dns = { servers = [ "%s" ]; timeout = 500; tries = 2; };
limits = { failover = 2; connect = 3; };
discovery = { networks = [ "%s.0.0/16" ]; };
%s
""" % (", ".join(doors), at(organisation, 2), domain, PKI, identity(domain + "-inner"), domain, at(organisation, 3), DNS, NET, extra)


def policy(domain, rest):
    return """
internal_domains = [ "%s" ];
internal_servers = [ "director.int.%s" ];
federation = true;
%s
""" % (domain, domain, rest)


class Organisation:
    """An edge and the server inside it, to whom and from whom we speak."""

    def __init__(self, number, domain, rest, users=False, extra=""):
        self.number, self.domain = number, domain
        self.door = Door(at(number, 3) + ":5061", domain + "-director")
        self.edge = Edge(domain, config(number, domain, users, extra), policy(domain, rest))
        self.inbox = self.door.accept()         # what the edge brings inside
        self.outbox()

    def outbox(self):
        self.out = dial(at(self.number, 2) + ":5061", "edge.int." + self.domain, cert=self.domain + "-director")

    def close(self):
        T.check("the edge of %s ends in order" % self.domain, self.edge.stop() == 0)
        self.inbox.close()
        self.out.close()
        self.door.close()


def routes(values):
    return ["Route: " + v for v in values]


# ---- a clearing house and its members ----

def clearinghouse():
    member = 'default_route = { server = "sip.house.example"; };'
    a = Organisation(A, "a.example", member + "archiving_notice = true;")
    b = Organisation(B, "b.example", member)
    house = Organisation(HOUSE, "house.example", """
clearinghouse = true;
blocked = [ "spam.example" ];
partners = (
  { name = "A"; server = "sip.a.example"; domains = [ "a.example", ".a.example" ]; member = true; reaches = [ "B" ]; },
  { name = "B"; server = "sip.b.example"; domains = [ "b.example" ]; member = true; },
  { name = "D"; server = "sip.d.example"; domains = [ "d.example" ]; member = true; reaches = [ "A", "B" ]; }
);""")
    d_door = Door(at(D, 1) + ":5061", "d")
    d = dial(at(HOUSE, 1) + ":5061", "sip.house.example", cert="d")

    def there():
        a.out.send(request(uri="sip:bob@b.example", sender="sip:alice@a.example", body=b"by the house"))
        m = b.inbox.recv()
        mark = m.all(MARK)
        if (m.body != b"by the house" or len(mark) != 1 or len(m.all("Via")) != 4 or m.get(ASSERTED) is not None or
                mark[0] != "ms-source-type=AuthorizedServer;ms-ep-fqdn=edge.int.b.example;ms-source-verified-user=verified;"
                "ms-source-network=federation" or m.get("ms-archiving") != "TRUE" or m.get("Max-Forwards") != "67"):
            return m.raw
        b.inbox.send(m.reply(200, headers=["X-Answer: yes"]))
        r = a.out.recv()
        return (r.status == 200 and r.get("X-Answer") == "yes" and len(r.all("Via")) == 1 and len(r.all(MARK)) == 1 and
                "AuthorizedServer;ms-ep-fqdn=edge.int.a.example;ms-source-verified-user=verified" in r.get(MARK)) or r.raw
    T.run("a message from A by the clearing house to B, and its answer back", there)

    def back():
        b.out.send(request(uri="sip:alice@a.example", sender="sip:bob@b.example"))
        m = a.inbox.recv()
        a.inbox.send(m.reply(404, "Not Found"))
        r = b.out.recv()
        return (r.status == 404 and "verified-user=verified" in m.get(MARK) and m.get("ms-archiving") is None) or (m.raw, r.raw)
    T.run("and from B to A; a refusal from inside A is B's answer", back)
    T.check("nothing of this went inside the clearing house", house.inbox.quiet(0.1))

    def call():
        a.out.send(request("INVITE", uri="sip:bob@b.example", sender="sip:alice@a.example", call="house-call",
                           headers=["Contact: <sip:alice@10.0.0.1:5061;transport=tls>"], body=b"v=0\r\n"))
        invite = b.inbox.recv()
        b.inbox.send(invite.reply(180, "Ringing"))
        b.inbox.send(invite.reply(200, headers=["Contact: <sip:bob@10.9.9.9:5061;transport=tls>"], to_tag="b1"))
        got = [a.out.recv() for _ in range(3)]
        if [r.status for r in got] != [100, 180, 200]:
            return [r.raw for r in got]
        route = got[2].all("Record-Route")
        if route != invite.all("Record-Route") or len(route) != 5:
            return route
        # as the caller's server: the route set is the Record-Route from below
        a.out.send(request("ACK", uri="sip:bob@10.9.9.9:5061", sender="sip:alice@a.example", to="sip:bob@b.example",
                           to_tag="b1", call="house-call", headers=routes(reversed(route))))
        ack = b.inbox.recv()
        if ack.method != "ACK" or ack.get("Route") is not None:
            return ack.raw
        # the called one ends it
        b.out.send(request("BYE", uri="sip:alice@10.0.0.1:5061", sender="sip:bob@b.example", tag="b1", to="sip:alice@a.example",
                           to_tag="a1", call="house-call", cseq=7, headers=routes(route)))
        bye = a.inbox.recv()
        a.inbox.send(bye.reply(200))
        return (bye.method == "BYE" and bye.get("Route") is None and b.out.recv().status == 200) or bye.raw
    T.run("a call by the clearing house, and its end from the other side", call)

    def cancelled():
        a.out.send(request("INVITE", uri="sip:bob@b.example", sender="sip:alice@a.example", call="house-cancel", branch="z9hG4bKcancel"))
        invite = b.inbox.recv()
        b.inbox.send(invite.reply(180, "Ringing"))
        if [a.out.recv().status, a.out.recv().status] != [100, 180]:
            return "no 180"
        a.out.send(request("CANCEL", uri="sip:bob@b.example", sender="sip:alice@a.example", call="house-cancel", branch="z9hG4bKcancel"))
        cancel = b.inbox.recv()
        b.inbox.send(cancel.reply(200) + invite.reply(487, "Request Terminated"))
        ack = b.inbox.recv()
        return (cancel.method == "CANCEL" and ack.method == "ACK" and [a.out.recv().status, a.out.recv().status] == [200, 487])
    T.run("a cancelled call: CANCEL goes all the way", cancelled)

    def raw_member():
        b.out.send(request(uri="sip:x@d.example", sender="sip:bob@b.example",
                           headers=[MARK + ": ms-source-type=DirectPartner", "P-Asserted-Identity: <sip:bob@b.example>",
                                    "ms-diagnostics: 1;reason=\"x\";source=\"inside\""]))
        # D has a connection to the house already, and RFC 5923 lets the house use it
        m = d.recv()
        if (m.get(MARK) is not None or m.all(ASSERTED) != ["ms-source-verified-user=verified"] or len(m.all("Via")) != 3 or
                m.get("P-Asserted-Identity") is not None or m.get("ms-diagnostics") is not None):
            return m.raw
        d.send(m.reply(200, headers=[MARK + ": ms-source-type=DirectPartner", ASSERTED + ": ms-source-verified-user=unverified"]))
        r = b.out.recv()
        return (r.status == 200 and "ms-source-verified-user=unverified" in r.get(MARK) and len(r.all(MARK)) == 1) or r.raw
    T.run("between members no trust header, and the member's own level, request and response", raw_member)

    def level():
        for said, want in (([ASSERTED + ": ms-source-verified-user=verified"], "=verified"),
                           ([ASSERTED + ": ms-source-verified-user=unverified"], "=unverified"), ([], "=unverified")):
            d.send(request(uri="sip:bob@b.example", sender="sip:x@d.example", headers=said))
            m = b.inbox.recv()
            b.inbox.send(m.reply(200))
            if "ms-source-verified-user" + want not in m.get(MARK) or d.recv().status != 200:
                return m.raw
        return True
    T.run("the level that a member gives its sender arrives with the other", level)

    def refused(what, reason, status, send, conn, diagnostics=None):
        def fn():
            n = house.edge.log().count("reason=" + reason)
            conn.send(send)
            r = conn.recv()
            if r.status != status or not house.edge.logged("event=refused", "reason=" + reason, count=n + 1):
                return r.raw
            if diagnostics is not None and not (r.get("ms-diagnostics-public") or "").startswith("%d;" % diagnostics):
                return r.raw
            return (d.quiet(0.05) and b.inbox.quiet(0.05) and a.inbox.quiet(0.05) and house.inbox.quiet(0.05)) or "it went somewhere"
        T.run(what, fn)

    A_SAYS, D_SAYS = dict(sender="sip:alice@a.example"), dict(sender="sip:x@d.example")
    refused("a member whom A may not reach", "member-not-allowed", 403, request(uri="sip:x@d.example", **A_SAYS), a.out)
    refused("a domain of nobody", "to-not-internal", 404, request(uri="sip:x@nobody.example", **A_SAYS), a.out, 1005)
    refused("a member speaks for another", "from-not-of-partner", 403, request(uri="sip:bob@b.example", **A_SAYS), d)
    refused("a member speaks for the house", "spoofed-from", 403, request(uri="sip:bob@b.example", sender="sip:x@house.example"), d, 1017)
    refused("a member registers", "method-not-allowed", 403,
            request("REGISTER", uri="sip:b.example", to="sip:x@d.example", **D_SAYS), d, 1027)
    refused("a member's SERVICE", "method-not-allowed", 403, request("SERVICE", uri="sip:bob@b.example", **D_SAYS), d, 1027)
    refused("a blocked domain", "to-domain-blocked", 403, request(uri="sip:x@spam.example", **D_SAYS), d)
    refused("to the sender's own organisation", "member-not-allowed", 403, request(uri="sip:y@d.example", **D_SAYS), d)
    refused("what a member's own server does not know does not come back to it", "member-not-allowed", 403,
            request(uri="sip:x@lost.a.example", **A_SAYS), a.out)
    refused("too many hops", "too-many-hops", 483, request(uri="sip:bob@b.example", mf=0, **D_SAYS), d)
    refused("a forged route", "route-forged", 481,
            request("BYE", uri="sip:bob@b.example", to_tag="z", headers=["Route: <sip:sip.house.example:5061;transport=tls;lr>"], **D_SAYS), d)

    def loop():
        """The same request a second time round: it has passed the house already."""
        d.send(request(uri="sip:bob@b.example", call="loop", **D_SAYS))
        m = b.inbox.recv()
        b.inbox.send(m.reply(200))
        if d.recv().status != 200:
            return "no answer"
        via = [v for v in m.all("Via") if "sip.house.example" in v]
        d.send(request(uri="sip:bob@b.example", call="loop", tag="a1", headers=["Via: " + v for v in via], **D_SAYS))
        return d.recv().status == 482 and b.inbox.quiet(0.1)
    T.run("a loop ends with 482", loop)

    def stranger():
        s = dial(at(HOUSE, 1) + ":5061", "sip.house.example", cert="stranger")
        s.send(request(uri="sip:bob@b.example", sender="sip:x@stranger.example"))
        r = s.recv()
        s.close()
        return r.status == 403 and house.edge.logged("reason=unknown-peer") and b.inbox.quiet(0.05)
    T.run("who is no member is nobody", stranger)

    def spoofs_us():
        # the house is believed of every domain but ours
        h = dial(at(A, 1) + ":5061", "sip.a.example", cert="house.example-outer")
        h.send(request(uri="sip:alice@a.example", sender="sip:boss@a.example"))
        r = h.recv()
        h.close()
        return r.status == 403 and a.edge.logged("reason=spoofed-from") and a.inbox.quiet(0.05)
    T.run("nobody is one of ours by the way of the clearing house", spoofs_us)

    def down():
        d.close()
        d_door.close()
        if not house.edge.logged("event=disconnected", "class=direct"):
            return "the house has not seen it"
        b.out.send(request(uri="sip:x@d.example", sender="sip:bob@b.example"))
        r = b.out.recv(15)
        if r.status not in (502, 503, 504):
            return r.raw
        b.out.send(request(uri="sip:alice@a.example", sender="sip:bob@b.example"))
        m = a.inbox.recv()
        a.inbox.send(m.reply(200))
        return b.out.recv().status == 200
    T.run("a member that is gone: an answer, and the others go on", down)
    for o in (a, b, house):
        o.close()


# ---- a branch office ----

HEAD_REST = 'branches = [ "branch1.office.example", "branch2.office.example" ];'


def branch_config():
    return """
user = "nobody"; workers = 2; log = { level = "debug"; };
outer = ( { listen = "%s:5061"; name = "sip.office.example"; users = true; %s } );
inner = { listen = "%s:5061"; name = "branch1.office.example"; trust = "%s/ca.pem"; %s };
directors = ( { name = "sip.example.com"; } );
dns = { servers = [ "%s" ]; timeout = 500; tries = 2; };
limits = { failover = 2; connect = 3; };
""" % (at(BRANCH, 1), identity("branch-lan"), at(BRANCH, 2), PKI, identity("branch"), DNS)


BRANCH_POLICY = """
internal_domains = [ "example.com" ];
internal_servers = [ "sip.example.com" ];
"""


class User:
    """A client in the branch office, without a certificate."""

    def __init__(self, name):
        self.name, self.uri, self.cseq = name, "sip:%s@example.com" % name, 0
        self.conn = dial(at(BRANCH, 1) + ":5061", "sip.office.example")
        self.contact = "<sip:%s@10.9.0.4:50222;transport=tls>" % name
        self.port = self.conn.sock.getsockname()[1]

    def register(self, head, status=200, headers=()):
        """Send, let the Director answer; (what arrived there, what came back)."""
        self.cseq += 1
        self.conn.send(request("REGISTER", uri="sip:example.com", sender=self.uri, to=self.uri, cseq=self.cseq,
                               call="reg-" + self.name, via_host="10.9.0.4:50222",
                               headers=["Contact: %s;proxy=replace" % self.contact, "ms-keep-alive: UAC;hop-hop=yes",
                                        "Authorization: Digest username=\"%s\"" % self.name]))
        m = head.inbox.recv()
        head.inbox.send(m.reply(status, "Said", headers=headers))
        self.path = m.all("Path")
        self.at = m.get("Contact")
        return m, self.conn.recv()

    def from_inside(self, head, method="MESSAGE", sender="sip:bob@example.com", conn=None, **more):
        """As the home pool would write it: to the registered Contact, by the Path."""
        (conn or head.out).send(request(method, uri=self.at.split("<")[1].split(">")[0], sender=sender, to=self.uri,
                                        headers=routes(self.path) + more.pop("headers", []), **more))


def branch():
    keys = os.path.join(RUN, "head-flow.keys")
    extra = 'flow_keys = "%s";' % keys
    head = Organisation(HEAD, "example.com", HEAD_REST, extra=extra)
    office = Edge("office", branch_config(), BRANCH_POLICY)
    T.check("the branch's edge connects to the head office, which knows it",
            head.edge.logged("event=connected", "class=branch", "branch1.office.example"))
    eve, fred = User("eve"), User("fred")

    def register():
        m, r = eve.register(head, 401, ['WWW-Authenticate: Digest realm="example.com", nonce="1"'])
        if r.status != 401 or "Digest" not in (r.get("WWW-Authenticate") or "") or len(r.all("Via")) != 1:
            return r.raw
        m, r = eve.register(head)
        vias = m.all("Via")
        if (len(vias) != 3 or "edge.int.example.com" not in vias[0] or "branch1.office.example" not in vias[1] or
                "ms-received-port=%d" % eve.port not in vias[2] or "ms-received" in vias[0] + vias[1]):
            return m.raw
        if [p.split("@")[1].split(";")[0] for p in m.all("Path")] != ["edge.int.example.com", "branch1.office.example"]:
            return m.raw
        if "proxy=replace" in m.get("Contact") or "ms-received-cid=" not in m.get("Contact") or ":%d" % eve.port not in m.get("Contact"):
            return m.raw
        if m.all(MARK) != ["ms-source-type=InternetUser;ms-ep-fqdn=edge.int.example.com;ms-source-verified-user=verified"]:
            return m.raw
        if m.get("Authorization") != 'Digest username="eve"' or "path" not in m.get("Supported"):
            return m.raw
        return (r.status == 200 and r.get("ms-keep-alive") is not None and r.get(MARK) is None) or r.raw
    T.run("a branch's user signs in through both edges: challenge, first hop duties once, two Paths, InternetUser", register)

    def another():
        m, r = fred.register(head)
        return (r.status == 200 and fred.path != eve.path) or r.raw
    T.run("another user over the same link", another)

    def delivered(user, other, sender="sip:bob@example.com"):
        user.from_inside(head, sender=sender, body=b"hello", headers=[MARK + ": ms-source-type=DirectPartner"])
        m = user.conn.recv()
        if m.body != b"hello" or m.get("Route") is not None or len(m.all("Via")) != 3 or m.get(MARK) is not None:
            return m.raw
        user.conn.send(m.reply(200, headers=[MARK + ": forged"]))
        r = head.out.recv()
        return (r.status == 200 and other.conn.quiet(0.1) and r.all(MARK) ==
                ["ms-source-type=InternetUser;ms-ep-fqdn=edge.int.example.com;ms-source-verified-user=verified"]) or r.raw
    T.run("a message from inside reaches a branch's user on its own connection", lambda: delivered(eve, fred))
    T.run("and another's on another", lambda: delivered(fred, eve))
    T.run("a partner's user's message as well", lambda: delivered(eve, fred, "sip:carol@contoso.example"))

    def outgoing():
        eve.conn.send(request(uri="sip:carol@contoso.example", sender=eve.uri, headers=[MARK + ": forged"]))
        m = head.inbox.recv()
        head.inbox.send(m.reply(202, "Accepted", headers=["ms-diagnostics: 1;reason=\"inner\""]))
        r = eve.conn.recv()
        return (m.all(MARK)[0].startswith("ms-source-type=InternetUser") and len(m.all(MARK)) == 1 and r.status == 202 and
                r.get("ms-diagnostics") is None) or (m.raw, r.raw)
    T.run("a branch's user writes to anybody: the head office's Director decides", outgoing)

    def call_out():
        eve.conn.send(request("INVITE", uri="sip:bob@example.com", sender=eve.uri, call="branch-call",
                              headers=["Contact: %s" % eve.contact]))
        invite = head.inbox.recv()
        head.inbox.send(invite.reply(200, headers=["Contact: <sip:bob@10.1.1.1:5061;transport=tls>"], to_tag="b1"))
        got = [eve.conn.recv(), eve.conn.recv()]
        route = got[1].all("Record-Route")
        if [r.status for r in got] != [100, 200] or len(route) != 4 or route != invite.all("Record-Route"):
            return [r.raw for r in got]
        eve.conn.send(request("ACK", uri="sip:bob@10.1.1.1:5061", sender=eve.uri, to="sip:bob@example.com", to_tag="b1",
                              call="branch-call", headers=routes(reversed(route))))
        ack = head.inbox.recv()
        if ack.method != "ACK" or ack.get("Route") is not None:
            return ack.raw
        head.out.send(request("BYE", uri="sip:eve@10.9.0.4:50222", sender="sip:bob@example.com", tag="b1", to=eve.uri, to_tag="a1",
                              call="branch-call", cseq=5, headers=routes(route)))
        bye = eve.conn.recv()
        eve.conn.send(bye.reply(200))
        return (bye.method == "BYE" and bye.get("Route") is None and head.out.recv().status == 200) or bye.raw
    T.run("a call from the branch, ended inside", call_out)

    def call_in():
        eve.from_inside(head, "INVITE", call="branch-called", headers=["Contact: <sip:bob@10.1.1.1:5061;transport=tls>"])
        invite = eve.conn.recv()
        eve.conn.send(invite.reply(200, headers=["Contact: %s" % eve.contact], to_tag="e1"))
        got = [head.out.recv(), head.out.recv()]
        route = got[1].all("Record-Route")
        if [r.status for r in got] != [100, 200] or len(route) != 4:
            return [r.raw for r in got]
        head.out.send(request("ACK", uri="sip:eve@10.9.0.4:50222", sender="sip:bob@example.com", to=eve.uri, to_tag="e1",
                              call="branch-called", headers=routes(reversed(route))))
        if eve.conn.recv().method != "ACK":
            return "no ACK"
        eve.conn.send(request("BYE", uri="sip:bob@10.1.1.1:5061", sender=eve.uri, tag="e1", to="sip:bob@example.com", to_tag="a1",
                              call="branch-called", cseq=9, headers=routes(route)))
        bye = head.inbox.recv()
        head.inbox.send(bye.reply(200))
        return (bye.method == "BYE" and eve.conn.recv().status == 200) or bye.raw
    T.run("a call to the branch, ended there", call_in)

    def not_ours():
        eve.conn.send(request(sender="sip:carol@contoso.example"))
        r = eve.conn.recv()
        return (r.status == 403 and office.logged("reason=from-not-internal") and head.inbox.quiet(0.05)) or r.raw
    T.run("a branch's user speaks for ours only: refused in the branch", not_ours)

    def rogue_branch():
        rogue = dial(at(HEAD, 1) + ":5061", "sip.example.com", cert="branch")
        rogue.send(request(sender="sip:carol@contoso.example"))
        r = rogue.recv()
        rogue.close()
        return (r.status == 403 and head.edge.logged("reason=from-not-internal") and head.inbox.quiet(0.05)) or r.raw
    T.run("and again in the head office", rogue_branch)

    def no_branch():
        s = dial(at(HEAD, 1) + ":5061", "sip.example.com", cert="stranger")
        s.send(request("REGISTER", uri="sip:example.com", sender=eve.uri, to=eve.uri))
        r = s.recv()
        s.close()
        return (r.status == 403 and head.edge.logged("reason=unknown-peer") and head.inbox.quiet(0.05)) or r.raw
    T.run("a server that is no branch registers nobody", no_branch)

    def leaves():
        fred.conn.close()
        if not office.logged("event=disconnected", "class=remote-user"):
            return "the branch has not seen it"
        fred.from_inside(head)
        r = head.out.recv()
        return (r.status == 430 and office.logged("reason=flow-gone")) or r.raw
    T.run("a user who has left the branch: 430 at once", leaves)

    def dismissed():
        head.edge.write("policy.conf", policy("example.com", 'branches = [ "branch2.office.example" ];'))
        head.edge.hup()
        if not head.edge.logged("event=reloaded"):
            return "not reloaded"
        eve.from_inside(head)
        r = head.out.recv()
        eve.conn.send(request("REGISTER", uri="sip:example.com", sender=eve.uri, to=eve.uri, cseq=99))
        mine = eve.conn.recv()
        head.edge.write("policy.conf", policy("example.com", HEAD_REST))
        head.edge.hup()
        return (r.status == 430 and mine.status == 403 and eve.conn.quiet(0.05) and head.inbox.quiet(0.05) and
                head.edge.logged("event=reloaded", count=2) and delivered(eve, eve)) or (r.raw, mine.raw)
    T.run("a branch that policy names no more: nothing comes from it, nothing goes there", dismissed)

    def to_nobody():
        head.out.send(request(uri="sip:x@somewhere.example", sender="sip:bob@example.com"))
        return head.out.recv().status in (403, 404) and eve.conn.quiet(0.05)
    T.run("a branch is no way out for anything else", to_nobody)

    def link_back():
        """The head office restarts: every link to it is new, the users in the branch have noticed nothing."""
        head.inbox.close()
        head.out.close()
        if head.edge.stop() != 0:
            return "no orderly end"
        head.edge = Edge("example.com", config(HEAD, "example.com", extra=extra), policy("example.com", HEAD_REST))
        head.inbox = head.door.accept()
        head.outbox()
        return delivered(eve, eve)
    T.run("the link is another one: a user who stayed connected is reached as before", link_back)

    def by_itself():
        """No word from the users, and the head office cannot call: the branch comes back when it can."""
        again = 'limits = { first_message = 1; sign_in = 1; idle = 1; failover = 2; connect = 3; };'
        head.inbox.close()
        head.out.close()
        head.edge.stop()
        # and now one door for users and servers, which is strict with users
        head.edge = Edge("example.com", config(HEAD, "example.com", extra=extra).replace(
            'partners = true; client_certificate = "required";', 'partners = true; users = true; client_certificate = "optional";').replace(
            "limits = { failover = 2; connect = 3; };", again), policy("example.com", HEAD_REST))
        head.inbox = head.door.accept()
        head.outbox()
        if not head.edge.logged("event=connected", "class=branch", timeout=20):
            return "the branch did not come back"
        silent = dial(at(HEAD, 1) + ":5061", "sip.example.com")
        if not silent.closed() or not head.edge.logged("reason=first-message-timeout"):
            return "a silent user may stay"
        if head.edge.logged("event=disconnected", "class=branch", timeout=1):
            return "a silent branch may not"
        return delivered(eve, eve)
    T.run("the branch comes back by itself, and may be silent where users may not", by_itself)

    def branch_gone():
        status = office.stop()
        if not head.edge.logged("event=disconnected", "class=branch"):
            return "the head office has not seen it"
        eve.from_inside(head)
        r = head.out.recv(15)
        return (status == 0 and r.status in (430, 504) and eve.conn.closed()) or r.raw
    T.run("the branch is gone: an answer", branch_gone)

    def branch_back():
        again = Edge("office", branch_config(), BRANCH_POLICY)
        user = User("eve")
        user.register(head)
        good = delivered(user, eve)
        again.stop()
        return good
    T.run("and is back: users sign in again", branch_back)
    head.close()


# ---- a branch whose link was at another node of the array ----

def path_of(keys, token, host):
    """A Path as the node with that inner name writes it, out of the keys that the nodes share."""
    with open(keys) as f:
        key = bytes.fromhex(f.read().split()[-1])
    mac = hmac.digest(key, ("path 5061\n%s\n%s" % (host, token)).encode(), "sha256")
    signature = base64.urlsafe_b64encode((hashlib.sha256(key).digest()[:1] + mac)[:12]).decode()
    return "<sip:%s.%s@%s;transport=tls;lr>" % (token, signature, host)


def another_nodes_branch():
    keys = os.path.join(RUN, "array-flow.keys")
    head = Organisation(HEAD, "example.com", HEAD_REST, users=True, extra='flow_keys = "%s"; array = ( { name = '
                        '"edge-b.int.example.com"; address = "%s"; } );' % (keys, at(HEAD, 4)))
    office = Edge("office", branch_config(), BRANCH_POLICY)
    head.edge.logged("event=connected", "class=branch", "branch1.office.example")
    eve = User("eve")
    eve.register(head)
    conn = dial(at(HEAD, 1) + ":443", "sip.example.com")
    conn.send(request("REGISTER", uri="sip:example.com", sender="sip:gus@example.com", to="sip:gus@example.com",
                      headers=["Contact: <sip:gus@10.9.0.5:50222;transport=tls>;proxy=replace"]))
    m = head.inbox.recv()
    head.inbox.send(m.reply(200))
    conn.recv()

    def token(path):
        return path.split(":")[1].split("@")[0].rpartition(".")[0]
    own, theirs = token(m.all("Path")[0]), token(eve.path[0])
    T.check("the test writes Paths as an edge does", path_of(keys, theirs, "edge.int.example.com") == eve.path[0],
            (path_of(keys, theirs, "edge.int.example.com"), eve.path[0]))

    def delivered():
        # the number of a connection that here is somebody else's, and of a door that here is none
        number = own.split(".")[0] + "." + theirs.split(".")[1][:-1] + "f"
        eve.path[0] = path_of(keys, number, "edge-b.int.example.com")
        eve.from_inside(head, body=b"for eve")
        m = eve.conn.recv()
        eve.conn.send(m.reply(200))
        return (m.body == b"for eve" and head.out.recv().status == 200 and conn.quiet(0.1)) or m.raw
    T.run("a Path of another node leads to the branch by the link that is here, and not to who has its number here", delivered)

    def called():
        eve.from_inside(head, "INVITE", call="another-nodes", headers=["Contact: <sip:bob@10.1.1.1:5061;transport=tls>"])
        eve.conn.send(eve.conn.recv().reply(200, headers=["Contact: %s" % eve.contact], to_tag="e1"))
        got = [head.out.recv(), head.out.recv()]
        in_dialog = dict(uri="sip:eve@10.9.0.4:50222", sender="sip:bob@example.com", to=eve.uri, to_tag="e1", call="another-nodes",
                         headers=routes(reversed(got[1].all("Record-Route"))))
        head.out.send(request("ACK", **in_dialog) + request("BYE", cseq=2, **in_dialog))
        methods = []
        for _ in range(2):
            m = eve.conn.recv()
            methods.append(m.method)
        eve.conn.send(m.reply(200))
        return (methods == ["ACK", "BYE"] and head.out.recv().status == 200) or (methods, [r.raw for r in got])
    T.run("  and so does what belongs to a call that began so", called)

    def explained(path, words=()):
        name = os.path.join(RUN, "captured")
        with open(name, "wb") as f:
            f.write(request("MESSAGE", uri="sip:gus@10.9.0.5:50222", sender="sip:bob@example.com", to="sip:gus@example.com",
                            headers=["Route: " + path]))
        out = subprocess.run([os.path.join(BUILD, "sallyportctl"), "explain", "--message", name, "--direction", "out", "--json",
                              "--peer-name", "director.int.example.com", "--policy", head.edge.dir + "/policy.conf",
                              "--socket", head.edge.dir + "/edge.sock"], capture_output=True, text=True)
        return out.returncode, out.stdout, out.stderr
    T.run("explain knows the other nodes' names as ours", lambda: (lambda r: r[0] == 0 and '"reason":"allowed"' in r[1].replace(" ", "") or r)(
        explained(path_of(keys, own, "edge-b.int.example.com"))))
    T.run("  and nobody else's", lambda: (lambda r: r[0] == 1 or r)(explained(path_of(keys, own, "edge-c.int.example.com"))))
    conn.close()

    def new_keys(turn, text):
        with open(keys, "w") as f:
            f.write(text + "\n")
        head.edge.hup()
        return head.edge.logged("event=flow-keys-changed", count=turn) and head.edge.logged("event=reloaded", count=turn)

    def by(path, status=200):
        """Is eve reached by that Path?"""
        eve.path[0] = path
        eve.from_inside(head, body=b"turned")
        if status == 200:
            m = eve.conn.recv()
            eve.conn.send(m.reply(200))
        return head.out.recv().status == status

    def turn_keys():
        eve.register(head)
        first = eve.path[0]
        if not new_keys(1, "11" * 32) or not by(first):
            return "what was signed before is no good any more"
        eve.register(head)
        second = eve.path[0]
        if second != path_of(keys, theirs, "edge.int.example.com") or not by(second):
            return "it signs with another: " + second
        return new_keys(2, "11" * 32 + "\n" + "22" * 32) and by(second) and by(first, 481)
    T.run("a reload takes new flow keys; what the file had before is good until it changes once more", turn_keys)

    def bad_keys():
        count = head.edge.log().count("event=reload-refused")
        eve.register(head)
        path = eve.path[0]
        for text in ("no key\n", None):
            if text is None:
                os.unlink(keys)
            else:
                with open(keys, "w") as f:
                    f.write(text)
            head.edge.hup()
            count += 1
            if not head.edge.logged("event=reload-refused", count=count):
                return "such a file is taken"
        return by(path) and not os.path.exists(keys) and head.edge.logged("event=reload", "flow.keys:1: expects 64 hex digits")
    T.run("one with mistakes, or that is gone, leaves those in force, and none is made", bad_keys)
    T.check("the branch ends in order", office.stop() == 0)
    head.close()


# ---- a public IM network ----

def public():
    provider = """providers = ( { name = "Public"; server = "sip.public.example"; public_network = true; enabled = true;
                     verification = "always-unverifiable"; } ); discovery = true; archiving_notice = true;"""
    us = Organisation(HEAD, "example.com", provider)
    door = Door(at(PUBLIC, 1) + ":5061", "public")
    MARKED = ("ms-source-type=AuthorizedServer;ms-ep-fqdn=edge.int.example.com;ms-source-verified-user=unverified;"
              "ms-source-network=publiccloud;ms-remote-fqdn=sip.public.example")

    def out():
        us.out.send(request(uri="sip:dave@msn.example", sender="sip:alice@example.com"))
        conn = door.accept()
        m = conn.recv()
        conn.send(m.reply(200, headers=[ASSERTED + ": ms-source-verified-user=verified"]))
        r = us.out.recv()
        conn.close()
        return (r.status == 200 and r.all(MARK) == [MARKED] and m.all(ASSERTED) == ["ms-source-verified-user=verified"] and
                m.get("ms-archiving") == "TRUE" and m.get(MARK) is None) or (m.raw, r.raw)
    T.run("a message to a public IM network, found by DNS; its answer is marked and never verified", out)

    def inward():
        c = dial(at(HEAD, 1) + ":5061", "sip.example.com", cert="public")
        c.send(request(uri="sip:alice@example.com", sender="sip:dave@msn.example", headers=[ASSERTED + ": ms-source-verified-user=verified"]))
        m = us.inbox.recv()
        us.inbox.send(m.reply(200, headers=["ms-diagnostics: 1;reason=\"inner\""]))
        r = c.recv()
        if m.all(MARK) != [MARKED] or r.status != 200 or r.get("ms-diagnostics") is not None or r.get("ms-archiving") != "TRUE":
            return m.raw, r.raw
        c.send(request(uri="sip:alice@example.com", sender="sip:alice@example.com"))
        if c.recv().status != 403 or not us.edge.logged("reason=spoofed-from"):
            return "spoofed"
        c.close()
        return True
    T.run("and one from it: publiccloud, unverified, whatever it says; never in our name", inward)
    door.close()
    us.close()


# ---- whom a partner in the trust domain may vouch for ----

def vouching():
    us = Organisation(HEAD, "example.com", """blocked = [ "spam.example" ];
partners = ( { name = "A"; server = "sip.a.example"; domains = [ "a.example" ]; trusted = true; },
             { name = "B"; server = "sip.b.example"; domains = [ "b.example" ]; } );
default_route = { server = "sip.house.example"; trusted = true; };""")
    who = {"a.example": dial(at(HEAD, 1) + ":5061", "sip.example.com", cert="a.example-outer"),
           "house.example": dial(at(HEAD, 1) + ":5061", "sip.example.com", cert="house.example-outer")}

    def asserts(domain, identity, arrives):
        def fn():
            c = who[domain]
            c.send(request(uri="sip:alice@example.com", sender="sip:x@" + domain, headers=["P-Asserted-Identity: " + identity]))
            m = us.inbox.recv()
            us.inbox.send(m.reply(200))
            return (m.all("P-Asserted-Identity") == ([identity] if arrives else []) and c.recv().status == 200) or m.raw
        T.run("%s asserts %s: %s" % (domain, identity, "believed" if arrives else "not believed"), fn)

    asserts("a.example", "<sip:y@a.example>", True)
    asserts("a.example", "<tel:+15551234>", True)
    asserts("a.example", "<sip:y@b.example>", False)
    asserts("a.example", "<sip:y@elsewhere.example>", False)
    asserts("a.example", "<sip:y@a.example>, <sip:alice@example.com>", False)
    asserts("house.example", "<sip:y@elsewhere.example>", True)
    asserts("house.example", "<sip:y@b.example>", False)
    asserts("house.example", "<sip:y@mail.spam.example>", False)
    asserts("house.example", "<sip:alice@example.com>", False)

    def diverts(domain, by, arrives):
        def fn():
            c = who[domain]
            c.send(request(uri="sip:alice@example.com", sender="sip:x@" + domain,
                           headers=["Diversion: " + by, "P-Called-Party-ID: " + by, "History-Info: " + by]))
            m = us.inbox.recv()
            us.inbox.send(m.reply(404))
            return (m.all("Diversion") == ([by] if arrives else []) and m.get("P-Called-Party-ID") is None and
                    m.all("History-Info") == [by] and c.recv().status == 404) or m.raw
        T.run("%s says that %s has sent a call on: %s" % (domain, by, "believed" if arrives else "not believed"), fn)

    who["b.example"] = dial(at(HEAD, 1) + ":5061", "sip.example.com", cert="b.example-outer")
    diverts("a.example", "<sip:y@a.example>;reason=unconditional;counter=1", True)
    diverts("a.example", "<sip:alice@example.com>;reason=unconditional", False)
    diverts("b.example", "<sip:y@b.example>;reason=unconditional", False)
    for c in who.values():
        c.close()
    us.close()


# ---- a clearing house that has nothing of its own ----

PURE = """
federation = true;
clearinghouse = true;
partners = (
  { name = "A"; server = "sip.a.example"; domains = [ "a.example" ]; member = true; trusted = true; },
  { name = "B"; server = "sip.b.example"; domains = [ "b.example" ]; member = true; trusted = true; },
  { name = "D"; server = "sip.d.example"; domains = [ "d.example" ]; member = true; }
);
content = ( { classes = [ "direct" ]; links = "block"; files = "block"; direction = "out"; } );
"""


def pure_config(outer=""):
    """As in packaging/examples/clearinghouse: no inner door and no Director."""
    return """
user = "nobody"; workers = 1; log = { level = "debug"; };
outer = ( { listen = "%s:5061"; name = "sip.house.example"; partners = true; client_certificate = "required"; trust = "%s/ca.pem"; %s} %s );
dns = { servers = [ "%s" ]; timeout = 500; tries = 2; };
limits = { failover = 2; connect = 3; };
""" % (at(HOUSE, 1), PKI, identity("house.example-outer"), outer, DNS)


def pure():
    house = Edge("pure-house", pure_config(), PURE)
    a, b, d = (dial(at(HOUSE, 1) + ":5061", "sip.house.example", cert=c) for c in ("a.example-outer", "b.example-outer", "d"))

    def relayed(what, sender, of, to, domain, arrives, headers=(), answer=(), back=None):
        def fn():
            of.send(request(uri="sip:y@" + domain, sender=sender, headers=headers))
            m = to.recv()
            to.send(m.reply(200, headers=answer))
            r = of.recv()
            return (m.all("P-Asserted-Identity") == arrives and r.status == 200 and
                    (back is None or r.all("P-Asserted-Identity") == back)) or (m.raw, r.raw)
        T.run(what, fn)

    def diverted():
        by = "<sip:x@a.example>;reason=unavailable"
        a.send(request(uri="sip:y@b.example", sender="sip:x@a.example", headers=["Diversion: " + by]))
        m = b.recv()
        b.send(m.reply(200))
        if m.all("Diversion") != [by] or a.recv().status != 200:
            return m.raw
        d.send(request(uri="sip:y@b.example", sender="sip:x@d.example", headers=["Diversion: <sip:x@d.example>"]))
        m = b.recv()
        b.send(m.reply(200))
        return m.get("Diversion") is None and d.recv().status == 200 or m.raw
    T.run("who sent it on passes between members in the trust domain, and from none other", diverted)

    def pai(*identities):
        return ["P-Asserted-Identity: " + i for i in identities]

    mine, other = "<sip:x@a.example>", "<sip:y@b.example>"
    relayed("a house without an inside relays", "sip:x@a.example", a, d, "d.example", [])
    relayed("an identity passes between members in the trust domain, both ways", "sip:x@a.example", a, b, "b.example", [mine],
            pai(mine), pai(other), [other])
    relayed("but of their own users only", "sip:x@a.example", a, b, "b.example", [], pai(other), pai(mine), [])
    relayed("not to a member outside of it", "sip:x@a.example", a, d, "d.example", [], pai(mine), pai("<sip:y@d.example>"), [])
    relayed("and not from one", "sip:x@d.example", d, b, "b.example", [], pai("<sip:x@d.example>"), pai(other), [])
    relayed("a preferred identity is nobody's business", "sip:x@a.example", a, b, "b.example", [],
            ["P-Preferred-Identity: " + mine])

    def link():
        a.send(request(uri="sip:y@b.example", sender="sip:x@a.example", headers=["Content-Type: text/plain"], body=b"http://x.example/"))
        r = a.recv()
        return (r.status == 403 and house.logged("event=refused", "reason=content-link") and b.quiet(0.05)) or r.raw
    T.run("the rule about links holds from member to member", link)

    def taken_out():
        a.send(request("INVITE", uri="sip:y@b.example", sender="sip:x@a.example", call="late-offer", headers=["Contact: <sip:x@10.0.0.1>"]))
        invite = b.recv()
        offer = b"v=0\r\nm=message 9 TCP/MSRP *\r\na=file-selector:name:\"x.exe\"\r\n"
        b.send(invite.reply(200, headers=["Contact: <sip:y@10.0.0.2>", "Content-Type: application/sdp"], body=offer))
        got = [a.recv(), a.recv()][1]
        return (got.status == 200 and got.body == b"" and got.get("Content-Length") == "0" and got.get("Content-Type") is None and
                house.logged("event=content-taken-out", "reason=content-file")) or got.raw
    T.run("an offer of a file in the answer to a call is taken out", taken_out)

    def refused(what, status, reason, message):
        def fn():
            a.send(message)
            r = a.recv()
            return (r.status == status and house.logged("event=refused", "reason=" + reason)) or r.raw
        T.run(what, fn)
    refused("there is nobody inside", 404, "to-not-internal", request(uri="sip:y@house.example", sender="sip:x@a.example"))
    refused("and nobody registers", 403, "method-not-allowed", request("REGISTER", uri="sip:a.example", to="sip:x@a.example", sender="sip:x@a.example"))

    def keeps():
        house.write("policy.conf", PURE + 'internal_domains = [ "house.example" ]; internal_servers = [ "x.house.example" ];')
        house.hup()
        if not house.logged("event=reload-refused") or "only a clearing house without domains" not in house.log():
            return "a policy with domains was taken"
        house.write("policy.conf", PURE)
        house.hup()
        return house.logged("event=reloaded")
    T.run("a policy with domains of its own is refused where there is no inside", keeps)
    T.check("the house ends in order", house.stop() == 0)

    def says(what, config_, policy_, *words):
        where = os.path.join(RUN, "pure-check")
        os.makedirs(where, exist_ok=True)
        with open(where + "/policy.conf", "w") as f:
            f.write(policy_)
        with open(where + "/edge.conf", "w") as f:
            f.write('policy = "%s/policy.conf";\n' % where + config_)
        p = subprocess.run([os.path.join(BUILD, "sallyport-edge"), "-n", "-f", where + "/edge.conf"], stdout=subprocess.PIPE,
                           stderr=subprocess.STDOUT)
        out = p.stdout.decode()
        T.check(what, p.returncode == (78 if words else 0) and all(w in out for w in words), out)

    says("such a configuration is good", pure_config(), PURE)
    says("an ordinary edge needs its inside", pure_config(), policy("example.com", ""), "inner: is missing")
    says("all of it, once something of it is there", pure_config() + 'inner = { listen = "%s:5061"; };' % at(HOUSE, 2), PURE,
         "inner.name: is missing", "inner.certificate: is missing", "inner.key: is missing", "inner.trust: is missing",
         "directors: is missing")
    says("and users have nowhere to go", pure_config(', { listen = "%s:443"; name = "sip.house.example"; users = true; %s}' %
                                                     (at(HOUSE, 1), identity("house.example-outer"))), PURE, "admits users, and there is no inside")
    says("nor have branches", pure_config(), PURE + 'branches = [ "b.office.example" ];', "inner: is missing")
    says("who is no clearing house has domains", pure_config(), "federation = true;", "internal_domains: is missing",
         "internal_servers: is missing")
    for c in (a, b, d):
        c.close()


GROUPS = dict(pure=pure, clearinghouse=clearinghouse, branch=branch, another_nodes_branch=another_nodes_branch, public=public, vouching=vouching)


def main():
    shutil.rmtree(PKI, ignore_errors=True)
    os.makedirs(RUN, exist_ok=True)
    pki()
    for name in sys.argv[2:] or GROUPS:
        try:
            GROUPS[name]()
        except Exception as e:
            T.check("%s came to its end" % name, False, "(%s: %s)" % (type(e).__name__, e))
        finally:
            for edge in list(Edge.running):
                edge.stop()
            for door in Door.opened:
                door.close()
    return 1 if T.failed else 0


sys.exit(main())
