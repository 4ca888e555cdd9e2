"""torture - the messages of tests/sip/torture against a running edge: each has
the verdict of the table there. Run by torture.sh."""

import os
import select
import sys

from hostile import MARK, T, World, run
from sipnet import TOP, Closed, Silent, request

FOLDER = os.path.join(TOP, "tests", "sip", "torture")


def table():
    with open(os.path.join(FOLDER, "verdicts")) as f:
        for line in f:
            if line.strip() and not line.startswith("#"):
                name, _, verdict = line.split()[:3]
                with open(os.path.join(FOLDER, name + ".sip"), "rb") as m:
                    yield name, verdict, m.read()


def lines_of(raw):
    """Header lines with what is folded to them, as bytes; the body comes last."""
    head, _, body = raw.partition(b"\r\n\r\n")
    lines = []
    for line in head.split(b"\r\n")[1:]:
        if line[:1] in b" \t" and lines:
            lines[-1] += b"\r\n" + line
        else:
            lines.append(line)
    return lines, body


def name_of(line):
    return line.split(b":")[0].strip().lower()


def unfaithful(sent, got):
    """The first header that did not arrive byte for byte in its place; None if all did."""
    mine = {b"via", b"v", b"max-forwards", b"record-route", b"path", b"supported", b"route", MARK.encode()}
    lines, body = lines_of(sent)
    theirs, arrived = lines_of(got)
    keep = [line for line in theirs if name_of(line) not in mine]
    for line in (x for x in lines if name_of(x) not in mine):
        if not keep or keep.pop(0) != line:
            return line
    # of Vias only the top one's parameters are the edge's
    vias = [x for x in lines if name_of(x) in (b"via", b"v")]
    back = [x for x in theirs if name_of(x) in (b"via", b"v")][1:]
    if keep or len(vias) != len(back) or vias[1:] != back[1:] or not back[0].startswith(vias[0].split(b";")[0]):
        return keep or back
    return None if body.startswith(arrived) else b"the body"


def fate(world, raw):
    """
    What became of one request: its verdict in the words of the table. An
    ordinary request follows on the same connection; when it comes through,
    everything before it has come to its end.
    """
    c, director = world.user(), world.inside()
    after = request("INFO")
    c.send(raw)
    try:
        c.send(after)
    except Closed:
        pass
    passed, statuses, closed = 0, [], False
    while not closed:
        if not c.buffer and not select.select([c.sock, director.sock], [], [], 5)[0]:
            return "nothing happened"
        while director.buffer or not director.quiet(0):
            m = director.recv()
            director.send(m.reply(200, headers=["Contact: <sip:x@192.0.2.9>"]))
            if m.method == "INFO":
                continue
            wrong = unfaithful(raw, m.raw) if passed == 0 else None
            if wrong is not None:
                return "changed: %r" % wrong
            passed += 1
        try:
            while c.buffer or not c.quiet(0):
                r = c.recv()
                if r.get("CSeq").endswith(" INFO"):
                    closed = True
                elif r.status >= 200 and not passed:
                    statuses.append(str(r.status))
            c._more(0)
        except Closed:
            closed = True
            if not statuses:
                statuses.append("closed")
        except Silent:
            pass
    c.close()
    if passed:
        return "passes" + (":%d" % passed if passed > 1 else "") + ("+closed" if "closed" in statuses else "")
    return statuses[0] if statuses else "dropped"


def requests():
    world = World("requests", limits="message = 1;")
    world.serves()
    for name, verdict, raw in table():
        if not raw.startswith(b"SIP/"):
            T.run("%s: %s" % (name, verdict), lambda raw=raw, v=verdict: (lambda got: got == v or got)(fate(world, raw)))
    T.run("after all of them a good client is served", world.serves)
    world.end()


def answers():
    """A response of the folder, given the addresses of a request that waits for one."""
    world = World("answers", limits="message = 1; request = 1; invite_first = 1;")
    world.serves()

    def one(raw, own_vias, own_cseq, verdict):
        c = world.user()
        c.send(request("OPTIONS"))
        director = world.inside()
        asked = director.recv()
        lines, body = lines_of(raw)
        out = [raw.split(b"\r\n")[0]]
        out += [b"Via: " + v.encode() for v in asked.all("Via")] if own_vias else []
        for line in lines:
            what = name_of(line)
            if what == b"via" and own_vias:
                continue
            if what in (b"from", b"call-id") or (what == b"cseq" and own_cseq):
                line = b"%s: %s" % (what, asked.get(what.decode()).encode())
            out.append(line)
        sent = b"\r\n".join(out) + b"\r\n\r\n" + body
        director.send(sent)
        r = c.recv()
        c.close()
        if verdict == "passes":
            wrong = [x for x in sent.split(b"\r\n\r\n")[0].split(b"\r\n") if not x.startswith(b"Via") and x not in r.raw.split(b"\r\n")]
            return (r.start.encode("latin-1") == raw.split(b"\r\n")[0] and not wrong) or "%r %r" % (r.start, wrong)
        return r.start.split()[1] in ("504", "502") or r.start

    for name, verdict, raw in table():
        if raw.startswith(b"SIP/"):
            T.run("%s: %s" % (name, verdict), lambda raw=raw, v=verdict, n=name: one(raw, n != "bcast", n != "scalarlg", v))
    T.run("after all of them a good client is served", world.serves)
    world.end()


sys.exit(run(dict(requests=requests, answers=answers)))
