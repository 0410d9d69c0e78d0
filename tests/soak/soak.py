#!/usr/bin/env python3
"""make soak: certificates of a few seconds' life, for twenty minutes.

    client --HTTP--> Envoy A --mutual TLS--> Envoy B --HTTP--> backend
                        |  certificates        |
                     agent A                agent B      agent C -- streams
                        '----------- meshcert-ca ----------'

Each agent renews about once a second, and the authority its own certificate
every half minute. Requests come at a low, steady rate, each on a TLS
connection of its own, without retries. Agent C holds many SDS and Workload
API streams, which must all stay and hear of each rotation. Nothing may fail,
nothing may be restarted, and the memory of each of our processes must be flat
(support/flat.py says what that means); beside them runs a process with a planted
leak, which the same rule must find.

The summary's last line is 'N passed, N failed, N skipped'.
"""

import argparse
import collections
import pathlib
import shutil
import statistics
import sys
import tempfile
import threading
import time

import grpc

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from support import (  # noqa: E402 (the path comes first)
    envoy, flat, net, process, rpc, tokens)
from support.load import Load  # noqa: E402
from support.meshcert import Agent, Authority  # noqa: E402

SIDES = {"client": ("shop", "client"), "server": ("shop", "server")}
LIFE = 4  # seconds
LEFT = 0.75  # part of the life that is left when a certificate is renewed
RENEWED_AFTER = LIFE * (1 - LEFT)
SAMPLE_EVERY = 1.0
CHANNELS, STREAMS_EACH = 10, 5
WORKLOAD_STREAMS = 10
RECORD_KB = 0.4  # of a certificate, in the pages of the record
# A page each time, until twice the limit is reached.
LEAK = """
import sys, time
kept = []
while True:
    kept.append(bytearray(b"x" * 4096))
    time.sleep(float(sys.argv[1]))
"""


def spiffe_id(side):
    return "spiffe://cluster.local/ns/{}/sa/{}".format(*SIDES[side])


class Streams:
    """Streams of one agent that never end: how often each heard something,
    and which ended."""

    def __init__(self, socket, seconds):
        self.heard = collections.Counter()
        self.ended = []
        self._stopping = False
        self._seconds = seconds
        self._channels, self._threads = [], []
        for i in range(CHANNELS):
            channel = rpc.unix_channel(socket)
            self._channels.append(channel)
            for k in range(STREAMS_EACH):
                self._start(f"sds {i}.{k}", self._sds, channel)
        for i in range(WORKLOAD_STREAMS):
            channel = rpc.unix_channel(socket)
            self._channels.append(channel)
            self._start(f"workload {i}", self._workload, channel)

    def _start(self, name, listen, channel):
        thread = threading.Thread(target=self._run, daemon=True,
                                  args=(name, listen, channel))
        self._threads.append(thread)
        thread.start()

    def _run(self, name, listen, channel):
        why = "the stream ended"
        try:
            for _ in listen(channel):
                self.heard[name] += 1
        except grpc.RpcError as error:
            why = f"{error.code().name}: {error.details()}"
        if not self._stopping:
            self.ended.append(f"{name}: {why}")

    def _sds(self, channel):
        stream = rpc.SecretStream(channel, ["default", "ROOTCA"],
                                  timeout=self._seconds)
        while True:
            yield stream.receive()

    def _workload(self, channel):
        return rpc.fetch_x509_svid(channel, timeout=self._seconds)

    def count(self):
        return len(self._threads)

    def stop(self):
        self._stopping = True
        for channel in self._channels:
            channel.close()
        for thread in self._threads:
            thread.join(5)


class Soak:
    def __init__(self, args, folder, procs):
        self.args, self.folder, self.procs = args, folder, procs
        self.agents, self.samples = {}, {}
        self.passed = self.failed = 0

    # ---- what runs ------------------------------------------------------
    def start(self, backend_port):
        issuer = tokens.Issuer("ES256")
        self.ca = Authority(self.procs, self.folder, self.args.build,
                            {"serving.ttl": "60s"}, issuer=issuer).start()
        for side, who in {**SIDES, "streams": ("shop", "streams")}.items():
            self.agents[side] = self.start_agent(side, who,
                                                 issuer.token(*who))
        self.envoys = envoy.start_pair(
            self.procs, self.folder,
            {side: self.agents[side].socket for side in SIDES},
            {side: spiffe_id(side) for side in SIDES}, backend_port)
        port = self.envoys["client"].port()
        net.await_ok(f"http://127.0.0.1:{port}/hello")
        self.agents["streams"].await_ready()
        self.streams = Streams(self.agents["streams"].socket,
                               self.args.seconds + 600)
        process.until(lambda: len(self.streams.heard) ==
                      self.streams.count() or self.streams.ended,
                      "all streams heard of a certificate")
        self.load = Load(port, self.args.rate)

    def start_agent(self, side, who, token):
        return Agent(
            self.procs, self.folder, self.args.build, self.ca.target,
            self.ca.root_pem(), token, name=f"agent-{side}",
            namespace=who[0], account=who[1],
            env={"SECRET_TTL": f"{LIFE}s",
                 "SECRET_GRACE_PERIOD_RATIO": str(LEFT),
                 "ECC_SIGNATURE_ALGORITHM": "ECDSA"},
            config={"cert.renew_floor": "100ms"}).start()

    def start_leak(self):
        """Over the window that is judged it grows by twice the limit."""
        window = (1 - flat.WARM_UP) * self.args.seconds
        pause = window * 4 / (2 * flat.LIMIT_KB)
        return self.procs.start("planted", [sys.executable, "-c", LEAK,
                                            str(pause)])

    def watched(self):
        """{name: pid}: ours, the Envoys beside them, and the planted leak."""
        found = {"ca supervisor": self.ca.process.pid,
                 "planted leak": self.leak.pid}
        for role, pids in sorted(self.ca.roles().items()):
            for i, pid in enumerate(sorted(pids)):
                found[f"ca {role}" + (f" {i}" if len(pids) > 1 else "")] = pid
        for side, agent in self.agents.items():
            found[f"agent {side}"] = agent.process.pid
        for side, one in self.envoys.items():
            found[f"envoy {side}"] = one.process.pid
        return found

    # ---- the run ---------------------------------------------------------
    def run(self):
        self.leak = self.start_leak()
        self.pids = self.watched()
        self.samples = {name: [] for name in self.pids}
        self.asked_before = self.counts()
        self.load.start()
        start = time.monotonic()
        next_row = 0.0
        while (now := time.monotonic() - start) < self.args.seconds:
            self.sample(now)
            if now >= next_row:
                self.print_progress(now)
                next_row += self.args.seconds / 20
            time.sleep(SAMPLE_EVERY)
        self.load.stop()
        self.rotations = {side: int(self.metric(side,
                          "meshcert_agent_certificates_total"))
                          for side in self.agents}
        self.heard = dict(self.streams.heard)
        self.open_streams = self.metric("streams", "meshcert_agent_streams")
        self.pids_after = self.watched()
        self.streams.stop()

    def sample(self, now):
        for name, pid in self.pids.items():
            found = flat.memory_of(pid)
            if found is not None:
                self.samples[name].append((now, found))

    def counts(self):
        """Sockets and handshakes so far, which the load's come on top of."""
        client = self.envoys["client"].stat("^cluster.upstream")
        server = self.envoys["server"].stat("ssl")
        return {"connections": client.get(
                    "cluster.upstream.upstream_cx_total", 0),
                "retries": client.get("cluster.upstream.upstream_rq_retry",
                                      0),
                "resumed": client.get("cluster.upstream.ssl.session_reused",
                                      0),
                "handshakes": sum(v for k, v in server.items()
                                  if k.startswith("listener.") and
                                  k.endswith(".ssl.handshake")),
                "updates": {side: sum(
                    v for k, v in one.stat("ssl_context_update_by_sds")
                    .items()) for side, one in self.envoys.items()}}

    def metric(self, side, name):
        text = net.get(self.agents[side].status + "/metrics")[1]
        return net.metric(text, name) or 0.0

    def print_progress(self, now):
        rss = {name: rows[-1][1]["rss"] for name, rows in
               self.samples.items() if name.startswith("agent") and rows}
        print(f"{now:7.0f} s  {self.load.done} requests, "
              f"{len(self.load.failures)} failed, "
              f"{len(self.streams.ended)} streams ended, RSS [KB] " +
              ", ".join(f"{k}: {v}" for k, v in rss.items()), flush=True)

    # ---- what came of it -------------------------------------------------
    def expect(self, good, text):
        print(f"{'ok' if good else 'not ok'} {text}")
        if good:
            self.passed += 1
        else:
            self.failed += 1

    def judge_traffic(self):
        after, before = self.counts(), self.asked_before
        done, failures = self.load.done, self.load.failures
        for text, count in collections.Counter(
                text for _, text in failures).most_common(5):
            print(f"  failure, {count} times: {text}")
        self.expect(not failures and
                    done >= 0.9 * self.args.rate * self.args.seconds,
                    f"{done} requests, {len(failures)} failed")
        self.expect(all(after[k] - before[k] >= done
                        for k in ("connections", "handshakes")),
                    f"each on a connection of its own: "
                    f"{after['connections'] - before['connections']} "
                    f"connections, "
                    f"{after['handshakes'] - before['handshakes']} whole "
                    f"handshakes")
        self.expect(after["retries"] == 0 and after["resumed"] == 0,
                    f"{after['retries']} repeated, {after['resumed']} "
                    f"sessions resumed")
        for side, count in after["updates"].items():
            self.expect(count - before["updates"][side] >= self.wanted(),
                        f"envoy {side}: {count} certificates taken")

    def wanted(self):
        """Rotations that a run must have: most of what its length gives."""
        return 0.8 * self.args.seconds / RENEWED_AFTER

    def judge_agents(self):
        for side in self.agents:
            failed = self.metric(
                side, "istio_agent_num_failed_outgoing_requests")
            refused = self.metric(side, "meshcert_agent_sds_rejected_total")
            self.expect(self.rotations[side] >= self.wanted() and
                        failed == 0 and refused == 0,
                        f"agent {side}: {self.rotations[side]} rotations, "
                        f"{failed:.0f} requests failed, {refused:.0f} "
                        f"secrets refused")
        for text in self.streams.ended[:5]:
            print(f"  {text}")
        self.expect(not self.streams.ended and
                    self.open_streams == self.streams.count(),
                    f"{self.streams.count()} streams, all open at the end "
                    f"({self.open_streams:.0f} say the metrics), "
                    f"{len(self.streams.ended)} ended")
        least = min(self.heard.values())
        self.expect(len(self.heard) == self.streams.count() and
                    least >= self.wanted(),
                    f"{sum(self.heard.values())} secrets heard of, the "
                    f"slowest stream {least}")

    def judge_processes(self):
        self.expect(self.pids_after == self.pids,
                    f"{len(self.pids)} processes, none restarted")
        fds = {name: [row["fds"] for _, row in flat.judged(rows)]
               for name, rows in self.samples.items()}
        more = {name: min(rows[len(rows) // 2:]) - min(rows[:len(rows) // 2])
                for name, rows in fds.items() if self.is_ours(name)}
        self.expect(all(n <= 0 for n in more.values()),
                    "descriptors: no process of ours has more at rest" +
                    "".join(f"; {k} {v:+d}" for k, v in more.items() if v))

    @staticmethod
    def is_ours(name):
        return name.startswith(("ca ", "agent "))

    def grown(self, name):
        return flat.growth([(t, row["dirty"]) for t, row in
                            self.samples[name]])

    def judge_memory(self):
        """The authority keeps the pages of its record in memory, up to a
        bound that a soak does not reach: it may grow by these."""
        kept = RECORD_KB * (1 - flat.WARM_UP) * sum(self.rotations.values())
        for name in self.samples:
            if not self.is_ours(name):
                continue
            grown, allowed = self.grown(name), flat.LIMIT_KB
            if name == "ca authority":
                allowed += kept
            self.expect(grown <= allowed,
                        f"memory of {name}: {grown:+.0f} KB, at most "
                        f"{allowed:.0f} KB")
        grown = self.grown("planted leak")
        self.expect(grown > flat.LIMIT_KB,
                    f"the planted leak is found: {grown:+.0f} KB")

    def table(self):
        columns = 9
        print("\nprivate dirty memory at rest and RSS over time [KB]")
        for name in self.samples:
            for kind in ("dirty", "rss"):
                rows = flat.minima([(t, row[kind]) for t, row in
                                    self.samples[name]], columns)
                print(f"  {name:20} {kind:8}" +
                      "".join(f"{value:8}" for _, value in rows))
        window = (1 - flat.WARM_UP) * self.args.seconds / RENEWED_AFTER
        print(f"  a leak of {1024 * flat.LIMIT_KB / window:.0f} bytes for "
              f"each rotation would be found")
        print(f"  latency p50 / p99 / max [ms]: " + " / ".join(
            f"{self.load.percentile(p):.1f}" for p in (0.5, 0.99, 1.0)))
        print(f"  rotations: {sum(self.rotations.values())} in all, median "
              f"of what a stream heard: "
              f"{statistics.median(self.heard.values()):.0f}\n")

    def judge(self):
        self.table()
        self.judge_traffic()
        self.judge_agents()
        self.judge_processes()
        self.judge_memory()


def run(args, folder):
    """(passed, failed)"""
    with net.Server({"/hello": "hello from the backend\n"}) as backend, \
            process.Processes(folder) as procs:
        soak = Soak(args, folder, procs)
        try:
            soak.start(backend.port)
            soak.run()
            soak.judge()
        except process.Failed as why:
            soak.expect(False, str(why))
        if soak.failed:
            for name, text in procs.logs():
                print(f"---- the end of {name}\n" + "\n".join(
                    text.splitlines()[-15:]))
    return soak.passed, soak.failed


def main():
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, required=True)
    parser.add_argument("--seconds", type=int, default=1200)
    parser.add_argument("--rate", type=float, default=20.0,
                        help="requests a second")
    args = parser.parse_args()
    args.build = args.build.resolve()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="meshcert-soak-"))
    folder.chmod(0o755)
    failed = True
    try:
        passed, failed = run(args, folder)
        print(f"{passed} passed, {failed} failed, 0 skipped")
    finally:
        if failed:
            print(f"logs: {folder}", file=sys.stderr)
        else:
            shutil.rmtree(folder, ignore_errors=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
