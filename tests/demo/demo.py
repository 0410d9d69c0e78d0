#!/usr/bin/env python3
"""make demo: an authority, two agents, two Envoys, mutual TLS between them.

    client --HTTP--> Envoy A --mutual TLS--> Envoy B --HTTP--> backend
                        |  certificates        |
                     agent A                agent B
                        '----- meshcert-ca ----'

Certificates live one minute. Requests come at a steady rate, each on a TLS
connection of its own, without retries, while certificates rotate, the
authority is stopped and started again, its roles are killed, and an agent is
killed. The demo has worked when not one request has failed.
"""

import argparse
import collections
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from support import envoy, net, tokens  # noqa: E402 (the path comes first)
from support.load import Load  # noqa: E402
from support.meshcert import Agent, Authority  # noqa: E402
from support.process import Failed, Processes, until  # noqa: E402

SIDES = {"client": ("shop", "client"), "server": ("shop", "server")}
ROTATIONS = 3
LOAD_SECONDS_MAX = 300


def spiffe_id(side):
    return "spiffe://cluster.local/ns/{}/sa/{}".format(*SIDES[side])


class Serials:
    """Watches which leaf each Envoy uses: {side: [(when, serial)]}."""

    def __init__(self, envoys):
        self.envoys = envoys
        self.seen = {side: [] for side in envoys}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def _watch(self):
        while not self._stop.wait(0.2):
            for side, one in self.envoys.items():
                known = {serial for _, serial in self.seen[side]}
                for serial in sorted(one.serials() - known):
                    self.seen[side].append((time.monotonic(), serial))

    def stop(self):
        self._stop.set()
        self._thread.join(10)

    def rotations(self):
        """What the slower side has seen."""
        return min(len(rows) for rows in self.seen.values()) - 1


class Steps:
    """What happened, when, and how long it took."""

    def __init__(self):
        self.start = time.monotonic()
        self.rows = []

    def add(self, what, since, note=""):
        now = time.monotonic()
        self.rows.append((since - self.start, now - since, what, note))
        print(f"{now - self.start:7.1f} s  {what}"
              f"{': ' + note if note else ''}", flush=True)

    def table(self):
        print("\n   at [s]  took [s]  what")
        for at, took, what, note in self.rows:
            print(f"  {at:7.1f}  {took:8.2f}  {what}"
                  f"{'  (' + note + ')' if note else ''}")


class Demo:
    def __init__(self, args, folder, procs):
        self.args, self.folder, self.procs = args, folder, procs
        self.steps = Steps()
        self.agents, self.envoys = {}, {}
        self.problems = []

    # ---- what runs ------------------------------------------------------
    def start_authority(self):
        since = time.monotonic()
        self.issuer = tokens.Issuer("ES256")
        self.ca = Authority(self.procs, self.folder, self.args.build,
                            issuer=self.issuer).start()
        self.steps.add("authority serves", since)

    def start_agent(self, side):
        namespace, account = SIDES[side]
        self.agents[side] = Agent(
            self.procs, self.folder, self.args.build, self.ca.target,
            self.ca.root_pem(), self.issuer.token(namespace, account),
            name=f"agent-{side}", namespace=namespace, account=account,
            env={"SECRET_TTL": f"{self.args.life}s",
                 "ECC_SIGNATURE_ALGORITHM": "ECDSA"}).start()

    def start(self, backend_port):
        self.start_authority()
        since = time.monotonic()
        for side in SIDES:
            self.start_agent(side)
        self.envoys = envoy.start_pair(
            self.procs, self.folder,
            {side: self.agents[side].socket for side in SIDES},
            {side: spiffe_id(side) for side in SIDES}, backend_port)
        self.port = self.envoys["client"].port()
        self.steps.add("both Envoys have their certificates", since)
        since = time.monotonic()
        status, text = net.get(f"http://127.0.0.1:{self.port}/hello")
        if status != 200:
            raise Failed(f"the first request got {status}: {text}")
        self.steps.add("first request over mutual TLS", since, text.strip())

    # ---- what is done to it ---------------------------------------------
    def await_rotations(self, count, what):
        since = time.monotonic()
        until(lambda: self.serials.rotations() >= count or
              self.load.failures, f"{count} rotations were seen",
              3 * self.args.life)
        if self.serials.rotations() >= count:
            self.steps.add(what, since,
                           f"rotation {self.serials.rotations()} on both "
                           "sides")

    def stop_authority_for_a_while(self):
        """It is away when both agents want to renew, at half the life of
        their certificates, and back before those end."""
        since = time.monotonic()
        self.ca.stop()
        self.steps.add("authority stopped", since)
        since = time.monotonic()
        time.sleep(0.6 * self.args.life)  # this is the outage itself
        self.ca.start()
        self.steps.add("authority was away and serves again", since)

    def kill_roles(self):
        for role in sorted(self.ca.roles()):
            since = time.monotonic()
            pids = self.ca.roles()[role]
            for pid in pids:
                subprocess.run(["kill", "-KILL", str(pid)], check=True)
            until(lambda: len(set(self.ca.roles().get(role, [])) -
                              set(pids)) == len(pids),
                  f"role {role} was started again",
                  alive=self.ca.process)
            self.ca.await_ready()
            self.steps.add(f"role {role} killed and back", since,
                           f"{len(pids)} process(es)")

    def kill_agent(self, side):
        since = time.monotonic()
        old = len(self.serials.seen[side])
        self.agents[side].process.signal(signal.SIGKILL)
        self.agents[side].process.wait()
        self.agents[side].start()
        until(lambda: len(self.serials.seen[side]) > old or
              self.load.failures, "the new agent's certificate was in use",
              2 * self.args.life)
        self.steps.add(f"agent of the {side} killed and started again",
                       since)

    def run(self):
        self.serials = Serials(self.envoys)
        self.load = Load(self.port, self.args.rate).start()
        since = time.monotonic()
        self.await_rotations(1, "steady load")
        self.stop_authority_for_a_while()
        self.await_rotations(self.serials.rotations() + 1,
                             "rotation after the outage")
        self.kill_roles()
        self.await_rotations(self.serials.rotations() + 1,
                             "rotation after the kills")
        self.kill_agent("server")
        until(lambda: (self.load.done >= self.args.requests and
                       self.serials.rotations() >= ROTATIONS) or
              self.load.failures, "enough requests were answered",
              LOAD_SECONDS_MAX)
        self.load.stop()
        self.serials.stop()
        self.steps.add("load ended", since,
                       f"{self.load.done} requests")

    # ---- what came of it -------------------------------------------------
    def expect(self, good, text):
        if not good:
            self.problems.append(text)

    def judge(self):
        client = self.envoys["client"].stat("^cluster.upstream")
        server = self.envoys["server"].stat("ssl")
        connections = client.get("cluster.upstream.upstream_cx_total", 0)
        handshakes = sum(v for k, v in server.items()
                         if k.startswith("listener.") and
                         k.endswith(".ssl.handshake"))
        asked = self.load.done + 1  # and the first request
        self.expect(not self.load.failures,
                    f"{len(self.load.failures)} requests failed")
        self.expect(self.load.done >= self.args.requests,
                    f"only {self.load.done} requests were sent")
        self.expect(self.serials.rotations() >= ROTATIONS,
                    f"only {self.serials.rotations()} rotations were seen")
        self.expect(connections >= asked and handshakes >= asked,
                    f"{asked} requests, but only {connections} connections "
                    f"and {handshakes} handshakes")
        self.expect(client.get("cluster.upstream.upstream_rq_retry", 0) == 0,
                    "Envoy sent requests again")
        self.expect(client.get("cluster.upstream.ssl.session_reused", 0) == 0,
                    "TLS sessions were resumed")
        return connections, handshakes

    def report(self):
        connections, handshakes = self.judge()
        self.steps.table()
        rows = [("requests", self.load.done),
                ("failed", len(self.load.failures)),
                ("TLS connections of Envoy A", connections),
                ("TLS handshakes seen by Envoy B", handshakes),
                ("latency p50 / p99 / max [ms]", "{:.1f} / {:.1f} / {:.1f}"
                 .format(*(self.load.percentile(p)
                           for p in (0.5, 0.99, 1.0))))]
        rows += [(f"serials seen at the {side}", len(seen))
                 for side, seen in self.serials.seen.items()]
        print()
        for name, value in rows:
            print(f"  {name:32} {value}")
        kinds = collections.Counter(text for _, text in self.load.failures)
        for text, count in kinds.most_common(5):
            print(f"  failure, {count} times: {text}")
        for side, one in self.envoys.items():
            print(f"\n$ meshcert secret --admin {one.admin[7:]}"
                  f"      # the {side}'s Envoy", flush=True)
            done = subprocess.run(
                [self.args.build / "meshcert", "secret", "--admin",
                 one.admin[7:]], stdin=subprocess.DEVNULL, check=False)
            self.expect(done.returncode == 0,
                        f"meshcert secret ended with {done.returncode}")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, required=True)
    parser.add_argument("--requests", type=int, default=5000)
    parser.add_argument("--rate", type=float, default=60.0,
                        help="requests a second")
    parser.add_argument("--life", type=int, default=60,
                        help="seconds that a certificate lives")
    parser.add_argument("--keep", action="store_true",
                        help="keep the folder with all logs")
    args = parser.parse_args()
    args.build = args.build.resolve()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="meshcert-demo-"))
    folder.chmod(0o755)
    good = False
    try:
        with net.Server({"/hello": "hello from the backend\n"}) as backend, \
                Processes(folder) as procs:
            demo = Demo(args, folder, procs)
            try:
                demo.start(backend.port)
                demo.run()
                demo.report()
                good = not demo.problems
            except Failed as why:
                demo.problems.append(str(why))
            if not good:
                for name, text in procs.logs():
                    print(f"---- the end of {name}\n" + "\n".join(
                        text.splitlines()[-15:]))
            for problem in demo.problems:
                print(f"PROBLEM: {problem}")
    finally:
        if args.keep or not good:
            print(f"logs: {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)
    print(f"\ndemo: {'zero failed requests' if good else 'FAILED'}")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
