"""make bench: what is fast, measured beside what it must cost and beside
peers. See bench/README.md for the method.

    bench/run.py --build build/gcc [--rounds N] [--only issue,load,agent]
"""

import argparse
import collections
import os
import pathlib
import platform
import statistics
import subprocess
import sys
import tempfile

TOP = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(TOP / "tests"))

import measure  # noqa: E402 (the path comes first)
from support import istio, pki, rpc, tokens  # noqa: E402
from support.meshcert import Agent, Authority  # noqa: E402
from support.process import Processes  # noqa: E402

IDENTITIES = 1000
REQUESTS = 4000  # of one load
FLIGHTS = (8, 64)
LIMIT_ROUNDS, LIMIT_CALLS = "15", "200"
NO_TOOLS = "load tools not built (make peers)"
NO_ISTIO = "Istio's CA not built (make peers)"

# name -> (text, at most of the limit, at most of Istio's CPU)
CASES = {"cert": ("client certificate", 1.6, 0.4),
         "jwt-cold": ("JWT RS256, each token new", 2.0, 0.35),
         "jwt-warm": ("JWT RS256, tokens seen before", 2.0, 0.35)}


def peers():
    """{"istio": folder, "tools": folder}, each None where not built."""
    out = subprocess.run([TOP / "tests/peer/build", "--print"], check=True,
                         stdout=subprocess.PIPE, text=True).stdout
    found = {}
    for line in out.split():
        name, path = line.split("=", 1)
        found[name] = pathlib.Path(path) if os.path.isdir(path) else None
    if found["istio"] is not None:
        os.environ["MESHCERT_PEERS_ISTIO"] = str(found["istio"])
    return found


class Load:
    """A server under createcert: what one certificate costs it."""

    def __init__(self, tool, folder, name, server, issuer):
        self.tool, self.server, self.issuer = tool, server, issuer
        self.folder = folder / f"load-{name}"
        self.folder.mkdir()
        (self.folder / "root.pem").write_text(server.root_pem())
        self._get_client_cert()
        self._write_tokens("jwt-warm", IDENTITIES)

    def _get_client_cert(self):
        key = pki.new_key()
        csr = pki.new_csr(key, uris=[
            "spiffe://cluster.local/ns/default/sa/default"])
        with self.server.channel() as channel:
            chain = rpc.create_certificate(channel, csr,
                                           token=self.issuer.token())
        (self.folder / "cert.pem").write_text("".join(chain))
        (self.folder / "key.pem").write_text(pki.key_pem(key))

    def _write_tokens(self, name, count):
        rows = [self.issuer.token("default", f"app-{i % IDENTITIES}")
                for i in range(count)]
        (self.folder / name).write_text("\n".join(rows) + "\n")

    def _credentials(self, case):
        if case == "cert":
            return ["-cert", self.folder / "cert.pem", "-key",
                    self.folder / "key.pem"]
        if case == "jwt-cold":
            # Some are used up before the clock runs.
            self._write_tokens(case, REQUESTS + 200)
        return ["-tokens", self.folder / case, "-san", ""]

    def run(self, case, flight):
        """CPU of one certificate in microseconds."""
        pids = measure.family(self.server.process.pid)
        done = measure.run_json([
            self.tool, "-addr", self.server.target, "-ca",
            self.folder / "root.pem", "-c", flight, "-n", REQUESTS,
            "-warmup", "1s" if case == "jwt-warm" else "0s",
            "-pid", ",".join(map(str, pids)), *self._credentials(case)])
        if done["errors"] or done["bad"]:
            raise RuntimeError(f"{case}, {flight} in flight: {done}")
        return done["server_cpu_us_per_cert"]


class Bench:
    def __init__(self, build, folder, procs, rounds):
        self.build, self.folder, self.procs = build, folder, procs
        self.rounds = rounds
        self.results = measure.Results()
        self.peers = peers()

    def limit(self):
        """One verify and one sign, now, with every core busy: a load keeps
        them busy too, and cores that share hardware slow each other."""
        rows = measure.run_json_at_once(os.cpu_count(), [
            self.build / "bench/bench_issue", LIMIT_ROUNDS, LIMIT_CALLS])
        return statistics.mean(row["limit_us"] for row in rows)

    def issue(self):
        rows = [measure.run_json([self.build / "bench/bench_issue", "25",
                                  "400"]) for _ in range(self.rounds)]
        for name, key in (("limit: P-256 verify + sign", "limit_us"),
                          ("issue in process", "path_us")):
            self.results.add(name, statistics.median(r[key] for r in rows),
                             "us")
        self.results.add("issue in process, of what the limit allows",
                         statistics.median(r["ratio"] for r in rows), "ratio",
                         ">= 0.80", least=0.80)

    # -- end to end ------------------------------------------------------

    def _servers(self):
        """Istio's CA first: both take the tokens of its issuer."""
        found = {}
        issuer = tokens.Issuer("RS256")
        if self.peers["istio"] is not None:
            theirs = istio.IstioCA(self.procs, self.folder)
            issuer = theirs.issuer
            found["istio"] = theirs.start()
        ours = Authority(self.procs, self.folder, self.build,
                         issuer=issuer).start()
        self.results.add("data folder: " + measure.file_system(ours.data),
                         measure.sync_us(ours.data), "us a sync")
        return {"ours": ours, **found}, issuer

    def _round(self, loads, case, flight, seen):
        """Both servers in turn, each load between two looks at the limit."""
        used = {}
        limit = self.limit()
        for name, load in loads.items():
            used[name] = load.run(case, flight)
            after = self.limit()
            seen[name, "us"].append(used[name])
            seen[name, "of limit"].append(used[name] * 2 / (limit + after))
            limit = after
        if len(used) == 2:
            seen["of istio"].append(used["ours"] / used["istio"])

    def _report(self, case, flight, seen):
        text, of_limit, of_istio = CASES[case]
        name = f"{text}, {flight} in flight"
        middle = {key: statistics.median(rows) for key, rows in seen.items()}
        self.results.add(f"{name}: CPU a certificate", middle["ours", "us"],
                         "us")
        self.results.add(f"{name}: of the limit", middle["ours", "of limit"],
                         "ratio", f"<= {of_limit}", most=of_limit)
        self.results.add(f"{name}: Istio's CA", middle.get(("istio", "us")),
                         "us")
        self.results.add(f"{name}: of Istio's CA", middle.get("of istio"),
                         "ratio", f"<= {of_istio}", most=of_istio,
                         reason=None if "of istio" in middle else NO_ISTIO)

    def load(self):
        if self.peers["tools"] is None:
            for text, most, _ in CASES.values():
                self.results.add(f"{text}: of the limit", None, "ratio",
                                 f"<= {most}", reason=NO_TOOLS)
            return
        servers, issuer = self._servers()
        loads = {name: Load(self.peers["tools"] / "createcert", self.folder,
                            name, server, issuer)
                 for name, server in servers.items()}
        for case in CASES:
            for flight in FLIGHTS:
                seen = collections.defaultdict(list)
                for _ in range(self.rounds):
                    self._round(loads, case, flight, seen)
                self._report(case, flight, seen)
        for server in servers.values():
            server.stop()

    # -- memory ----------------------------------------------------------

    def agent(self):
        """An agent with one certificate and one SDS stream."""
        issuer = tokens.Issuer("RS256")
        authority = Authority(self.procs, self.folder, self.build,
                              issuer=issuer, name="ca-of-agent").start()
        agent = Agent(self.procs, self.folder, self.build, authority.target,
                      authority.root_pem(),
                      issuer.token()).start().await_ready()
        with agent.channel() as channel:
            stream = rpc.SecretStream(channel, ["default"])
            stream.receive()
            used = measure.memory_kb(agent.process.pid)
            stream.close()
        self.results.add("agent, one certificate and stream: RSS",
                         used["Rss"] / 1000, "MB", "<= 6", most=6)
        self.results.add("agent, one certificate and stream: private dirty",
                         used["Private_Dirty"] / 1000, "MB", "<= 0.7",
                         most=0.7)


def main():
    options = argparse.ArgumentParser(description="benchmarks")
    options.add_argument("--build", type=pathlib.Path, required=True)
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--only", default="issue,load,agent")
    given = options.parse_args()
    build = given.build.resolve()
    with tempfile.TemporaryDirectory(prefix="meshcert-bench-") as folder, \
            Processes(folder) as procs:
        # As root, the roles run as users of their own.
        os.chmod(folder, 0o755)
        bench = Bench(build, pathlib.Path(folder), procs, given.rounds)
        for part in given.only.split(","):
            getattr(bench, part)()
        bench.results.write(TOP / "build/bench/results.json")
        print(f"{platform.machine()}, {os.cpu_count()} cores, Linux "
              f"{platform.release()}; medians of {given.rounds} rounds")
        bench.results.show()


if __name__ == "__main__":
    main()
