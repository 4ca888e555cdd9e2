"""Writes doc/performance.md and its plots from what `run` has measured."""
import os
import platform
import re
import statistics
import subprocess
import time

import measures
import plot

HERE = os.path.dirname(os.path.abspath(__file__))
EDGE, STATELESS, TM, HAPROXY, PLAIN = "sallyport-edge", "kamailio stateless", "kamailio tm", "haproxy bytes only", "kamailio plain"


def spread(values, form="{:.1f}"):
    """"median (min to max)"."""
    if not values:
        return "–"
    if len(values) == 1:
        return form.format(values[0])
    return (f"{form} ({form} to {form})").format(statistics.median(values), min(values), max(values))


def table(rows):
    """Markdown, its columns aligned so that it can be read as it stands."""
    rows = [[str(c) for c in row] for row in rows]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = ["| " + " | ".join(c.ljust(w) if i == 0 else c.rjust(w) for i, (c, w) in enumerate(zip(row, widths))) + " |" for row in rows]
    lines.insert(1, "|" + "|".join("-" * (w + 2) if i == 0 else "-" * (w + 1) + ":" for i, w in enumerate(widths)) + "|")
    return lines


def ratio(a, b):
    return f"{a / b:.2f}" if a and b else "–"


class Document:
    """The lines of the document, and the plots beside it."""

    def __init__(self, folder):
        self.folder, self.lines = folder, []

    def say(self, *lines):
        self.lines += [*lines, ""]

    def plot(self, name, alt, svg):
        if self.folder:
            with open(os.path.join(self.folder, f"performance-{name}.svg"), "w") as f:
                f.write(svg)
        self.say(f"![{alt}](performance-{name}.svg)")


def points_of(b, section, system):
    return sorted(map(int, b.of.get(section, {}).get(system, {})))


def series(b, section, names, field, divide=1):
    found = {}
    for name in names:
        points = [(p, b.median(section, name, p, field)) for p in points_of(b, section, name)]
        points = [(p, v / divide) for p, v in points if v]
        if points:
            found[name] = points
    return found


def comparison_rows(b):
    rows = [["system", "CPU µs a transaction", "of it kernel", "transactions/s", "CPU µs a dialog", "CPU µs a REGISTER", "CPU µs a handshake"]]
    for name in b.of.get("comparison", {}):
        kernel = [s / (s + u) for s, u in zip(b.values("comparison", name, "message", "system_us"),
                                              b.values("comparison", name, "message", "user_us")) if s + u > 0]
        rows.append([name, spread(b.values("comparison", name, "message", "cpu_us")),
                     f"{statistics.median(kernel):.0%}" if kernel else "–",
                     spread(b.values("comparison", name, "message", "per_second"), "{:.0f}"),
                     spread(b.values("comparison", name, "dialog", "cpu_us")),
                     spread(b.values("comparison", name, "register", "cpu_us")),
                     spread(b.values("comparison", name, "handshake", "cpu_us"), "{:.0f}")])
    return rows


def ratios(b):
    """(text, ratio) of the figures to hold, those that were measured."""
    ours = b.median("comparison", EDGE, "message", "cpu_us")
    shake, bare = b.median("comparison", EDGE, "handshake", "cpu_us"), b.median("comparison", measures.BARE, "handshake", "cpu_us")
    found = [(f"CPU a transaction, against {name}", ours / other, aim)
             for name, aim in ((HAPROXY, "0.65"), (STATELESS, "0.50"), (TM, "0.25"), (PLAIN, ""))
             if ours and (other := b.median("comparison", name, "message", "cpu_us"))]
    if shake and bare:
        found.append(("CPU a handshake, against a bare OpenSSL server", shake / bare, "1.15"))
    one, two = b.median("workers", EDGE, 1, "cpu_us"), b.median("workers", EDGE, 2, "cpu_us")
    if one and two:
        found.append(("what a second worker is worth of the first (CPU a transaction with one, against two)", one / two, "0.9"))
    for rate in measures.RATES:
        a, k = b.median("comparison", EDGE, f"rate {rate}", "p99_us"), b.median("comparison", STATELESS, f"rate {rate}", "p99_us")
        if a and k:
            found.append((f"99th percentile of latency at {rate:,}/s, against {STATELESS}", a / k, "1"))
    return found


def plain(b):
    """For the terminal."""
    rows = comparison_rows(b)
    lines = table(rows) if len(rows) > 1 else []
    lines += [f"{text}: {value:.2f}" + (f" (aim {aim})" if aim else "") for text, value, aim in ratios(b)]
    return lines + [f"note: {n}" for n in b.notes]


def write_comparison(b, d):
    if "comparison" not in b.of:
        return
    d.say("## The same work, side by side")
    d.say(*table(comparison_rows(b)))
    d.say("A transaction is a MESSAGE of 850 bytes and its 200; a dialog INVITE, 100, 180, 200, ACK, BYE and 200; a REGISTER is without",
          "authentication, which is the Director's. CPU time is that of all processes of a system; medians of the rounds, least and most in",
          "brackets. Transactions a second are what the machine reached with generator and far end beside the system, which together take more of it.")
    bars = [(name, b.values("comparison", name, "message", "cpu_us")) for name in b.of["comparison"]]
    d.plot("cpu", "CPU time a transaction by system",
           plot.bars("CPU time of a MESSAGE and its 200", "microseconds, all processes of the system; the mark is least to most",
                     [(n, statistics.median(v), min(v), max(v)) for n, v in bars if v]))
    found = ratios(b)
    if found:
        d.say(*table([["figure to hold", "measured", "aim"]] + [[t, f"{v:.2f}", aim or "–"] for t, v, aim in found]))
    rows = [["system"] + [f"{w} at {rate:,}/s" for rate in measures.RATES for w in ("p50", "p90", "p99", "p99.9")]]
    for name in b.of["comparison"]:
        cells = [spread([statistics.median(v)] if (v := b.values("comparison", name, f"rate {rate}", f)) else [], "{:.0f}")
                 for rate in measures.RATES for f in ("p50_us", "p90_us", "p99_us", "p999_us")]
        if any(c != "–" for c in cells):
            rows.append([name] + cells)
    if len(rows) > 1:
        d.say("### Latency at fixed load")
        d.say(*table(rows))
        d.say("Microseconds from when a message was due, and not from when it could be sent, to its 200; medians of the rounds.")
        lat = {name: [(rate, b.median("comparison", name, f"rate {rate}", "p99_us")) for rate in measures.RATES
                      if b.median("comparison", name, f"rate {rate}", "p99_us")] for name in b.of["comparison"]}
        d.plot("latency", "99th percentile of latency by load", plot.curves(
            "99th percentile of latency", "messages a second", "microseconds", {n: p for n, p in lat.items() if p}, logy=True))


def write_federation(b, d):
    if "federation" not in b.of:
        return
    d.say("## Federation: a thousand partners")
    rows = [["system", "CPU µs a transaction", "transactions/s", "p99 µs"]]
    for name in b.of["federation"]:
        rows.append([name, spread(b.values("federation", name, "1000", "cpu_us")), spread(b.values("federation", name, "1000", "per_second"), "{:.0f}"),
                     spread(b.values("federation", name, "1000", "p99_us"), "{:.0f}")])
    d.say(*table(rows))
    d.say("A thousand connections, each with a certificate of its own that policy has to know and that must prove the domain of From;",
          f"{measures.INFLIGHT} requests in flight. Kamailio verifies the chain and compares the certificate's name with the domain; it has no list of partners.")
    points = series(b, "federation", [EDGE], "cpu_us")
    if len(points.get(EDGE, [])) > 1:
        d.plot("partners", "CPU time by number of partners", plot.curves(
            "CPU time by number of partners", "partners in policy, all of them connected and sending", "CPU µs a transaction", points))


def write_connections(b, d):
    if "connections" not in b.of:
        return
    d.say("## Many users")
    names = [n for n in b.of["connections"] if n != measures.BARE]
    counts = sorted({p for n in names for p in points_of(b, "connections", n)})
    rows = [["users"] + [f"{n}, {what}" for n in names for what in ("µs", "bytes a user")]]
    for count in counts:
        row = [f"{count:,}"]
        for n in names:
            memory = b.median("connections", n, count, "bytes_per_user")
            row += [spread(b.values("connections", n, count, "cpu_us")), f"{memory:,.0f}" if memory and count >= 1000 else "–"]
        rows.append(row)
    d.say(*table(rows))
    bare = b.median("connections", measures.BARE, 1000, "bytes_per_user")
    d.say(f"CPU time a transaction with {measures.INFLIGHT} requests in flight, from the users in turn, while all are connected: what grows with them are the",
          "cache misses of each one's TLS state. Bytes: proportional set size of all processes, divided by the users beyond the first twentieth.",
          *([f"A bare OpenSSL server that keeps nothing else took {bare:,.0f} bytes a user."] if bare else []))
    d.plot("connections", "CPU time by number of users", plot.curves(
        "CPU time by number of users", "users connected", "CPU µs a transaction", series(b, "connections", names, "cpu_us")))
    memory = {n: [p for p in points if p[0] >= 1000] for n, points in series(b, "connections", names, "bytes_per_user", 1024).items()}
    if any(memory.values()):
        d.plot("memory", "Memory by number of users", plot.curves(
            "Memory of an idle user", "users connected", "KiB a user", {n: p for n, p in memory.items() if p}))


def write_sizes(b, d):
    names = list(b.of.get("sizes", {}))
    if not names:
        return
    d.say("## Larger messages")
    sizes = sorted({p for n in names for p in points_of(b, "sizes", n)})
    d.say(*table([["size"] + names] + [[f"{s} KiB"] + [spread(b.values("sizes", n, s, "cpu_us")) for n in names] for s in sizes]))
    d.plot("sizes", "CPU time by size of the message", plot.curves(
        "CPU time by size of the message", "KiB", "CPU µs a transaction", series(b, "sizes", names, "cpu_us")))


def write_workers(b, d):
    if "workers" in b.of:
        d.say("## Workers")
        d.say(*table([["workers", "CPU µs a transaction", "transactions/s"]] + [
            [n, spread(b.values("workers", EDGE, n, "cpu_us")), spread(b.values("workers", EDGE, n, "per_second"), "{:.0f}")]
            for n in points_of(b, "workers", EDGE)]))
        d.say("Generator and far end run on the same processors and take their part, so transactions a second do not double where there are few.")
    if "fan" in b.of:
        d.say("### Presence: one tells, a thousand are told")
        rows = [["", "CPU µs a NOTIFY", "NOTIFYs/s", "until half have it", "until 99 % have it"]]
        for point in b.of["fan"][EDGE]:
            rows.append([point, spread(b.values("fan", EDGE, point, "cpu_us")), spread(b.values("fan", EDGE, point, "per_second"), "{:.0f}")] + [
                f"{b.median('fan', EDGE, point, f) / 1000:.1f} ms" for f in ("p50_us", "p99_us")])
        d.say(*table(rows))
        d.say("The inside sends a thousand registered users a NOTIFY each, by the flow token in their Path; all answer. Over the link that a",
              "registration came by, the NOTIFY arrives at the worker that has the user; over one link for all, half of them are handed to the other.")


def write_storms(b, d):
    if "storms" not in b.of:
        return
    d.say("## Everybody at once")
    rows = [["system", "connections", "CPU µs a handshake", "all up after", "half up after"]]
    for name in b.of["storms"]:
        for n in points_of(b, "storms", name):
            rows.append([name, f"{n:,}", spread(b.values("storms", name, n, "cpu_us"), "{:.0f}"),
                         f"{b.median('storms', name, n, 'max_us') / 1000:.0f} ms", f"{b.median('storms', name, n, 'p50_us') / 1000:.0f} ms"])
    d.say(*table(rows))
    d.say("So many connections begun in the same moment, full TLS 1.3 handshakes with ECDSA P-256. The generator's half costs more than the server's.")


def write_refused(b, d):
    if "refused messages" not in b.of:
        return
    d.say("## What a stranger can have for nothing")
    for section, what in (("refused handshakes", "handshake"), ("refused messages", "message")):
        found = b.of[section][EDGE]
        first = next(iter(found))
        base = b.median(section, EDGE, first, "cpu_us")
        d.say(*table([[f"refused {what}", f"CPU µs", f"against {first}"]] + [
            [p, spread(b.values(section, EDGE, p, "cpu_us")), ratio(b.median(section, EDGE, p, "cpu_us"), base)] for p in found]))
    d.say("A refused handshake includes its connection, its lines in the log as far as `log.refusals` lets them, and its end. That of a server with a certificate of an",
          "unknown authority is the dearest: our half of the handshake is done before the peer's certificate arrives, and OpenSSL decodes the key in each",
          "certificate before anybody can say no. No signature of the peer's is verified, neither on its certificates nor of the handshake.")


def write_dearest(b, d):
    found = b.of.get("dearest", {}).get(EDGE, {})
    if "ordinary" not in found:
        return
    base = b.median("dearest", EDGE, "ordinary", "instructions")
    plain_body = b.median("dearest", EDGE, "64 KiB of text", "instructions")
    rows = [["message", "bytes", "user instructions", "against the ordinary one", "an octet", "answer"]]
    for name, v in sorted(found.items(), key=lambda i: (i[1][0]["long"], -i[1][0]["instructions"])):
        v = v[0]
        own = b.median("dearest", EDGE, "ordinary INVITE", "instructions") if v["method"] == "INVITE" and "ordinary INVITE" in found else base
        rows.append([name, f"{v['bytes']:,}", f"{v['instructions']:,.0f}", ratio(v["instructions"], own),
                     f"{v['instructions'] / v['bytes']:.1f}", v["status"] or 200])
    d.say("## The dearest message within the limits")
    d.say(*table(rows))
    d.say("User instructions by callgrind, request and response, with the content filter switched on for links and files (it is off by default). Each message",
          "asks for as much of one kind of work as the limits allow. The short ones are compared with an ordinary MESSAGE, calls with an ordinary INVITE, which are four messages. Those of 64 KiB cost by their length, since",
          "the filter reads each character of a text as every likely reader might, and are to be compared with each other" + (f" ({plain_body:,.0f} for plain text)." if plain_body else "."))


def write_director(b, d):
    found = b.of.get("director", {}).get("sallyport-director", {})
    if not found:
        return
    d.say("## The Director")
    rows = [["", "CPU µs", "a second on one processor"]]
    for kind in found:
        for field, text in (("sign_in_us", f"sign-in with {kind.upper() if kind == 'ntlm' else kind.capitalize()}"),
                            ("message_us", f"MESSAGE and its 200, {'signed both ways' if kind == 'ntlm' else 'with Digest'}")):
            v = b.median("director", "sallyport-director", kind, field)
            if v:
                rows.append([text, f"{v:.0f}", f"{1e6 / v:,.0f}"])
    d.say(*table(rows))
    memory = b.median("director", "sallyport-director", "ntlm", "bytes_per_user")
    d.say("All processes of the Director. A sign-in is all of its REGISTERs: three with NTLM, two with Digest.", *(
        [f"Signed in, a user took {memory:,.0f} bytes."] if memory else []))


def write_profile(b, d):
    if "profile" not in b.of:
        return
    d.say("## Where each microsecond goes")
    names = list(b.of["profile"])
    parts = sorted({p for n in names for p in b.of["profile"][n]["parts"][0] if p != "cpu_us"},
                   key=lambda p: -b.of["profile"][names[0]]["parts"][0].get(p, 0))
    rows = [["CPU µs a transaction"] + names]
    for p in parts + ["all"]:
        rows.append([p] + [f"{v['cpu_us'] * (1 if p == 'all' else v.get(p, 0)):.1f}" for v in (b.of["profile"][n]["parts"][0] for n in names)])
    d.say(*table(rows))
    d.say("Sampled by perf (cpu-clock) while messages flow; the share of each part times the CPU time of that run. What Kamailio and HAProxy do themselves is in `other`.")
    symbols = b.of["profile"].get(EDGE, {}).get("symbols", [{}])[0]
    us = b.of["profile"][EDGE]["parts"][0]["cpu_us"] if EDGE in b.of["profile"] else 0
    if symbols:
        d.say("The functions of sallyport-edge's processes that take most:")
        d.say(*table([["function", "µs a transaction", "share"]] + [[f"`{s}`", f"{v * us:.2f}", f"{v:.1%}"] for s, v in symbols.items()]))


def machine():
    def first(pattern, path):
        try:
            with open(path) as f:
                found = re.search(pattern, f.read(), re.M)
            return found[1].strip() if found else "?"
        except OSError:
            return "?"
    openssl = subprocess.run(["openssl", "version"], capture_output=True, text=True).stdout.split()[1:2]
    return (f"{os.cpu_count()} processors ({first(r'^model name.*: (.*)', '/proc/cpuinfo')}), "
            f"{first(r'^PRETTY_NAME=.(.*).$', '/etc/os-release')}, Linux {platform.release()}, OpenSSL {''.join(openssl)}")


def text_of(name):
    with open(os.path.join(HERE, name)) as f:
        return f.read().rstrip()


def write(b, folder):
    """performance.md and its plots, in that folder."""
    os.makedirs(folder, exist_ok=True)
    for old in os.listdir(folder):
        if re.fullmatch(r"performance-[a-z]+\.svg", old):
            os.unlink(os.path.join(folder, old))
    d = Document(folder)
    d.say("# Performance")
    d.say("This page and its plots are written by `make bench`; do not edit them. What is measured, and how, stands at the end.",
          f"Measured in {time.strftime('%B %Y')} on {machine()}; it took {(time.monotonic() - b.begun) / 60:.0f} minutes"
          + (", in quick mode" if b.o.quick else "") + ".")
    for part in (write_comparison, write_federation, write_connections, write_sizes, write_workers, write_storms, write_refused,
                 write_dearest, write_director, write_profile):
        part(b, d)
    d.say(text_of("tried.md"))
    d.say(text_of("method.md"))
    if b.notes:
        d.say("## Notes of this run")
        d.say(*[f"- {re.sub(chr(10), ' ', n)}" for n in b.notes])
    with open(os.path.join(folder, "performance.md"), "w") as f:
        f.write("\n".join(d.lines).rstrip() + "\n")
