"""What issuing costs: in process, end to end over long-lived connections and
over new ones, and how long a caller waits for it."""

import collections
import contextlib
import os
import statistics

import measure
from support import istio, pki, rpc, tokens
from support.meshcert import Authority

ISTIO = "Istio's CA"
GROUP = "authority: CPU a certificate"
IDENTITIES = 1000
IDENTITY = "spiffe://cluster.local/ns/default/sa/default"
REQUESTS = 6000      # of one load on a long-lived connection
NEW_REQUESTS = 1500  # of one load of new connections
USED_UP = 200        # tokens that a load takes before its clock runs
FLIGHTS = (8, 64)
LIMIT_ROUNDS, LIMIT_CALLS = "15", "200"
PEAK_SECONDS, LATENCY_SECONDS, LATENCY_MS = 3, 4, 20

# Credentials, text, connections, at most of the limit, at most of Istio's CPU
LONG_LIVED = (("cert", "client certificate", 1, 1.6, 0.4),
              ("cert", "client certificate, 8 connections", 8, None, None),
              ("jwt-cold", "JWT RS256, each token new", 1, 2.0, 0.35),
              ("jwt-warm", "JWT RS256, tokens seen before", 1, 2.0, 0.35))
NEW = (("jwt-cold", "JWT RS256, each token new", 0.35),
       ("cert-cold", "client certificate, each new", 0.45),
       ("cert", "client certificate, seen before", None))


class Tokens:
    """Tokens of 1,000 identities. Both servers get the same ones: each is
    new to each of them."""

    def __init__(self, issuer, folder):
        self.issuer, self.folder, self._count = issuer, folder, 0

    def write(self, count):
        """A file of so many that were never used."""
        rows = [self.issuer.token("default", f"app-{i % IDENTITIES}")
                for i in range(count)]
        self._count += 1
        path = self.folder / f"tokens-{self._count}"
        path.write_text("\n".join(rows) + "\n")
        return path


class Load:
    """A server under createcert."""

    def __init__(self, tool, folder, name, server, token):
        self.tool, self.server = tool, server
        self.folder = folder / f"load-{name}"
        self.folder.mkdir()
        (self.folder / "root.pem").write_text(server.root_pem())
        key = pki.new_key()
        with self.server.channel() as channel:
            chain = rpc.create_certificate(
                channel, pki.new_csr(key, uris=[IDENTITY]), token=token)
        # The last element is the roots: nobody shows those.
        (self.folder / "cert.pem").write_text("".join(chain[:-1]))
        (self.folder / "key.pem").write_text(pki.key_pem(key))

    def run(self, *more, path=None, env=None):
        """What createcert says. path: tokens; else the client certificate
        proves who asks."""
        pids = measure.family(self.server.process.pid)
        proof = ["-cert", self.folder / "cert.pem",
                 "-key", self.folder / "key.pem"] \
            if path is None else ["-tokens", path, "-san", ""]
        done = measure.run_json([
            self.tool, "-addr", self.server.target,
            "-ca", self.folder / "root.pem",
            "-pid", ",".join(map(str, pids)), *proof, *more], env=env)
        if done["errors"] or done["bad"]:
            raise measure.Failed(f"{self.server.name}: {more}: {done}")
        return done

    def cpu_us(self, *more, path=None):
        return self.run(*more, path=path)["server_cpu_us_per_cert"]


@contextlib.contextmanager
def servers(bench):
    """({"ours": Load, "istio": Load}, Tokens); ours alone where Istio's CA
    is not built. Its issuer first: it takes no other."""
    issuer, theirs = tokens.Issuer("RS256"), None
    with contextlib.ExitStack() as ends:
        folder = bench.new_folder()
        if bench.peers["istio"] is not None:
            theirs = istio.IstioCA(bench.procs, folder)
            issuer = theirs.issuer
            theirs.start()
            ends.callback(theirs.jwks.end)
            ends.callback(theirs.stop)
        # The loads are one caller's hundred thousands: see README.md.
        ours = Authority(bench.procs, folder, bench.build,
                         {"limit.identity_rate": 0, "limit.rate": 0},
                         issuer=issuer).start()
        ends.callback(ours.stop)
        bench.note_disk(ours.data)
        found = {"ours": ours}
        if theirs is not None:
            found["istio"] = theirs
        yield ({name: Load(bench.peers["tools"] / "createcert", folder, name,
                           server, issuer.token())
                for name, server in found.items()}, Tokens(issuer, folder))


def in_process(bench):
    rows = [measure.run_json([bench.build / "bench/bench_issue", "25", "400"])
            for _ in range(bench.rounds)]
    for name, key in (("limit: P-256 verify + sign", "limit_us"),
                      ("issue in process", "path_us")):
        bench.results.add(name, statistics.median(r[key] for r in rows), "us")
    bench.results.add("issue in process, of what the limit allows",
                      statistics.median(r["ratio"] for r in rows), "ratio",
                      least=0.8)


# -- long-lived connections ------------------------------------------------

def limits(bench):
    """{"busy", "quiet"}: one verify and one sign, now, with every core busy
    as under a load, and with one."""
    argv = [bench.build / "bench/bench_issue", LIMIT_ROUNDS, LIMIT_CALLS]
    return {name: statistics.mean(
        row["limit_us"] for row in measure.run_json_at_once(count, argv))
        for name, count in (("busy", os.cpu_count()), ("quiet", 1))}


def long_lived_round(bench, loads, more, path, seen):
    """Both servers in turn, each load between two looks at the limits."""
    before = limits(bench)
    for who, load in loads.items():
        used = load.cpu_us(*more, path=path)
        after = limits(bench)
        seen[who].append(used)
        for name in before:
            limit = (before[name] + after[name]) / 2
            seen[who, name].append(used / limit)
            seen["limit", name].append(limit)
        before = after


def long_lived(bench):
    with servers(bench) as (loads, pool):
        known = pool.write(IDENTITIES)
        for case, text, connections, of_limit, of_istio in LONG_LIVED:
            for flight in FLIGHTS:
                seen = collections.defaultdict(list)
                more = ["-c", flight, "-conns", connections, "-n", REQUESTS,
                        "-warmup", "1s" if case == "jwt-warm" else "0s"]
                for _ in range(bench.rounds):
                    path = {"jwt-warm": known, "cert": None}.get(case, case)
                    if path == "jwt-cold":
                        path = pool.write(REQUESTS + USED_UP)
                    long_lived_round(bench, loads, more, path, seen)
                report_long_lived(bench.results, text, flight, of_limit,
                                  of_istio, seen)


def report_long_lived(results, text, flight, of_limit, of_istio, seen):
    name = f"{text}, {flight} in flight"
    results.compare(f"{name}: CPU a certificate", "us", seen["ours"], ISTIO,
                    seen["istio"], of_peer=of_istio,
                    chart=(GROUP, name) if of_istio else None)
    for key, cores, most in (("busy", "all cores busy", of_limit),
                             ("quiet", "one core busy", None)):
        results.add(f"{name}: limit, {cores}",
                    statistics.median(seen["limit", key]), "us")
        results.add(f"{name}: of the limit, {cores}",
                    statistics.median(seen["ours", key]), "ratio", most=most)


# -- new connections -------------------------------------------------------

def new_connections(bench):
    """One for each request, TLS 1.3 with the groups that Go prefers."""
    with servers(bench) as (loads, pool):
        for case, text, of_istio in NEW:
            seen = collections.defaultdict(list)
            more = ["-new-conn", "-c", "8", "-n", NEW_REQUESTS, "-warmup",
                    "0s"]
            if case == "cert-cold":
                more += ["-clients", NEW_REQUESTS + USED_UP]
            for _ in range(bench.rounds):
                path = pool.write(NEW_REQUESTS + USED_UP) \
                    if case == "jwt-cold" else None
                for who, load in loads.items():
                    seen[who].append(load.cpu_us(*more, path=path))
            name = f"new connection each, {text}"
            bench.results.compare(
                f"{name}: CPU a certificate", "us", seen["ours"], ISTIO,
                seen["istio"], of_peer=of_istio,
                chart=(GROUP, name) if of_istio else None)


# -- latency ---------------------------------------------------------------

def latency(bench):
    """Requests come at random moments, at half of the rate that the server
    reached; the record's sync is part of the wait."""
    with servers(bench) as (loads, _):
        peak = collections.defaultdict(list)
        waits = collections.defaultdict(list)
        # The client's own pauses are none of the server's.
        quiet = {**os.environ, "GOGC": "off"}
        for who, load in loads.items():
            peak[who] = [load.run("-c", "64", "-warmup", "1s", "-d",
                                  f"{PEAK_SECONDS}s")["certs_per_s"]]
        for _ in range(bench.rounds):
            for who, load in loads.items():
                done = load.run("-rate", peak[who][0] / 2, "-warmup", "1s",
                                "-d", f"{LATENCY_SECONDS}s", env=quiet)
                for key in ("p50_us", "p99_us"):
                    waits[who, key].append(done[key] / 1000)
        results = bench.results
        results.compare("peak rate, client certificate, 64 in flight",
                        "certs/s", peak["ours"], ISTIO, peak["istio"])
        for key, text, most in (("p50_us", "p50", None),
                                ("p99_us", "p99", LATENCY_MS)):
            results.compare(
                f"latency at half of its own peak rate: {text}", "ms",
                waits["ours", key], ISTIO, waits["istio", key], most=most)
