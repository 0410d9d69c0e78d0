"""What an agent costs: memory, a fetch, its start, a rotation."""

import collections
import contextlib
import os
import sys

import measure
from support import istio, rpc, tokens
from support.meshcert import Agent, Authority

PILOT = "pilot-agent"
GROUP = "agent"
STREAMS, MANY_STREAMS = 1000, 10000
SETTLE_SECONDS = 2
FETCH_SECONDS = 2
STARTS = 5
PUSHES = 3
# A certificate of so short a life is renewed every few seconds.
ROTATING = {"SECRET_TTL": "8s", "SECRET_GRACE_PERIOD_RATIO": "0.5"}


class Agents:
    """Agents of either kind, in turns, at one authority of ours: what
    differs is the agent."""

    def __init__(self, bench, authority, issuer):
        self.bench, self.authority, self.issuer = bench, authority, issuer
        self.kinds = {"ours": Agent}
        if bench.peers["istio"] is not None:
            self.kinds[PILOT] = istio.PilotAgent

    def make(self, kind, env=None, **more):
        return self.kinds[kind](
            self.bench.procs, self.bench.new_folder(), self.bench.build,
            self.authority.target, self.authority.root_pem(),
            self.issuer.token(), env=env, **more)

    @contextlib.contextmanager
    def running(self, kind, **more):
        agent = self.make(kind, **more).start().await_ready()
        try:
            with agent.channel() as channel:
                first_secret(channel)
            yield agent
        finally:
            agent.stop()

    def streams(self, agent, count, *more):
        """What the tool `streams` says of so many SDS streams, each on a
        connection of its own."""
        done = measure.run_json(
            [self.bench.peers["tools"] / "streams", "-socket", agent.socket,
             "-op", "hold", "-api", "sds", "-client", "raw", "-n", count,
             "-c", "64", "-pids", f"agent={agent.process.pid}", "-json", "-",
             *more],
            # Its garbage is collected by its end, not while it measures.
            env={**os.environ, "GOGC": "off"})
        if done["ready"]["live"] < count:
            raise measure.Failed(f"{done['ready']['live']} of {count} "
                                 f"streams were served: {done['errors']}")
        return done


def first_secret(channel):
    """An SDS stream that has its secret."""
    stream = rpc.SecretStream(channel, ["default"])
    stream.receive()
    return stream


@contextlib.contextmanager
def agents(bench):
    issuer = tokens.Issuer("RS256")
    authority = Authority(bench.procs, bench.new_folder(), bench.build,
                          issuer=issuer).start()
    try:
        yield Agents(bench, authority, issuer)
    finally:
        authority.stop()


class Seen:
    """Figures of both kinds, and why one could not be taken."""

    def __init__(self):
        self.rows = collections.defaultdict(list)
        self.failed = None

    def add(self, kind, name, value):
        self.rows[kind, name].append(value)

    def report(self, results, name, unit, key, most=None, chart=None):
        results.compare(name, unit, self.rows["ours", key], PILOT,
                        self.rows[PILOT, key], most=most,
                        chart=(GROUP, chart) if chart else None,
                        failed=self.failed)


@contextlib.contextmanager
def may_fail(kind, seen):
    """A measurement that fails misses its bar; the others go on."""
    try:
        yield
    except measure.Failed as why:
        print(f"{kind}: {why}", file=sys.stderr)
        if kind == "ours":
            seen.failed = str(why)


# -- memory ----------------------------------------------------------------

def memory_round(fleet, kind, seen):
    """A fresh agent: with one stream, then with a thousand."""
    with fleet.running(kind) as agent, agent.channel() as channel:
        stream = first_secret(channel)
        fleet.bench.settle(SETTLE_SECONDS)
        used = measure.memory_kb(agent.process.pid)
        for key in ("Rss", "Private_Dirty"):
            seen.add(kind, key, used[key] / 1000)
        with may_fail(kind, seen):
            done = fleet.streams(agent, STREAMS, "-settle", "1s")
            seen.add(kind, "stream",
                     done["perstream_agent"]["private_dirty_kb"])
        stream.close()


def memory(bench):
    seen = Seen()
    with agents(bench) as fleet:
        for _ in range(bench.rounds):
            for kind in fleet.kinds:
                memory_round(fleet, kind, seen)
    for name, unit, key, most, chart in (
            ("agent, one certificate and stream: RSS", "MB", "Rss", 6,
             "memory, RSS"),
            ("agent, one certificate and stream: private dirty", "MB",
             "Private_Dirty", 0.7, "memory, private dirty"),
            ("agent, 1,000 streams on 1,000 connections: memory each", "kB",
             "stream", 12, "memory of a stream and its connection")):
        seen.report(bench.results, name, unit, key, most, chart)


# -- fetch, start ----------------------------------------------------------

def fetch(bench):
    """A stream opened, its secret taken and acknowledged, the stream
    closed."""
    seen, tool = Seen(), bench.peers["tools"] / "sdsload"
    with agents(bench) as fleet, contextlib.ExitStack() as ends:
        running = {kind: ends.enter_context(fleet.running(kind))
                   for kind in fleet.kinds}
        for _ in range(bench.rounds):
            for name, more in (("open", []), ("new", ["-new-conn"])):
                for kind, agent in running.items():
                    done = measure.run_json([
                        tool, "-mode", "fetch", "-socket", agent.socket,
                        "-pid", agent.process.pid, "-d", f"{FETCH_SECONDS}s",
                        "-c", "4", *more])
                    if done["errors"]:
                        raise measure.Failed(f"{kind}: {done}")
                    seen.add(kind, name, done["server_cpu_us_per_fetch"])
    seen.report(bench.results, "SDS fetch, open connection: CPU", "us",
                "open", 15, "SDS fetch, open connection: CPU")
    seen.report(bench.results, "SDS fetch, new connection: CPU", "us", "new",
                45, "SDS fetch, new connection: CPU")


def start(bench):
    """From exec to the first certificate that a client has read."""
    seen = Seen()
    with agents(bench) as fleet:
        for _ in range(STARTS):
            for kind in fleet.kinds:
                agent = fleet.make(kind)
                done = measure.run_json(
                    [bench.peers["tools"] / "sdsload", "-mode", "first",
                     "-socket", agent.socket, "-dir", agent.folder,
                     "-log", agent.folder / "log", "-resources", "default",
                     "--", *agent.command()], env=agent.env)
                seen.add(kind, "ms", done["first_cert_ms"])
    seen.report(bench.results, "agent, start to first certificate on SDS",
                "ms", "ms", 10, "start to first certificate")


# -- rotation --------------------------------------------------------------

def push_round(fleet, kind, count, seen):
    more = {"config": {"cert.renew_floor": "100ms"}} if kind == "ours" else {}
    with fleet.running(kind, env=ROTATING, **more) as agent, \
            may_fail(kind, seen):
        done = fleet.streams(agent, count, "-settle", "500ms",
                             "-trigger", "true", "-changed", "svid",
                             "-trigger-count", PUSHES,
                             "-trigger-timeout", "30s")
        for turn, row in enumerate(done["triggers"]):
            if row["updated"] != count:
                raise measure.Failed(f"{row['updated']} of {count} streams "
                                     "got the new certificate")
            used = done[f"cpu_trigger{turn}_agent"]
            seen.add(kind, "spread", row["spread_ms"])
            seen.add(kind, "cpu", used["sched_us"] / used["units"])


def push(bench):
    """A new certificate to every stream: first to last receipt; CPU of the
    whole rotation, ACKs included, for each."""
    for count, spread_ms, cpu_us in ((STREAMS, 10, 8),
                                     (MANY_STREAMS, 200, None)):
        seen = Seen()
        with agents(bench) as fleet:
            for kind in fleet.kinds:
                push_round(fleet, kind, count, seen)
        name = f"rotation pushed to {count:,} streams and connections"
        seen.report(bench.results, f"{name}: first to last", "ms", "spread",
                    spread_ms, f"rotation to {count:,} streams: first to last")
        seen.report(bench.results, f"{name}: CPU each", "us", "cpu", cpu_us,
                    f"rotation to {count:,} streams: CPU each"
                    if cpu_us else None)
