"""What our programs and the peers take while nothing happens."""

import contextlib
import time

import agent
import issue
import measure
from support import istio, tokens
from support.meshcert import Agent, Authority

SETTLE_SECONDS, WATCH_SECONDS = 4, 20
AUTHORITY_MB, WAKEUPS = 25, 1


def start_ours(bench, ends):
    issuer = tokens.Issuer("RS256")
    folder = bench.new_folder()
    authority = Authority(bench.procs, folder, bench.build,
                          issuer=issuer).start()
    return start_agent(bench, ends, folder, Agent, authority, issuer)


def start_theirs(bench, ends):
    folder = bench.new_folder()
    authority = istio.IstioCA(bench.procs, folder).start()
    ends.callback(authority.jwks.end)
    return start_agent(bench, ends, folder, istio.PilotAgent, authority,
                       authority.issuer)


def start_agent(bench, ends, folder, kind, authority, issuer):
    """Each with its own authority: an agent whose stream has a secret."""
    ends.callback(authority.stop)
    one = kind(bench.procs, folder, bench.build, authority.target,
               authority.root_pem(), issuer.token()).start().await_ready()
    ends.callback(one.stop)
    channel = ends.enter_context(one.channel())
    ends.callback(agent.first_secret(channel).close)
    return {"authority": authority.process.pid, "agent": one.process.pid}


def watch(pids):
    """{name: (wake-ups a second of the whole family, of its busiest
    process)}."""
    before = {name: measure.wakeups(pid) for name, pid in pids.items()}
    began = time.monotonic()
    time.sleep(WATCH_SECONDS)
    seconds = time.monotonic() - began
    found = {}
    for name, pid in pids.items():
        rates = [(count - before[name].get(one, 0)) / seconds
                 for one, count in measure.wakeups(pid).items()]
        found[name] = sum(rates), max(rates)
    return found


def idle(bench):
    with contextlib.ExitStack() as ends:
        running = {"ours": start_ours(bench, ends)}
        if bench.peers["istio"] is not None:
            running["theirs"] = start_theirs(bench, ends)
        bench.settle(SETTLE_SECONDS)
        memory = {who: [measure.pss_kb(pids["authority"]) / 1000]
                  for who, pids in running.items()}
        rates = watch({(who, what): pid for who, pids in running.items()
                       for what, pid in pids.items()})
    results = bench.results
    results.compare("authority idle, all roles: PSS", "MB", memory["ours"],
                    issue.ISTIO, memory.get("theirs", []), most=AUTHORITY_MB,
                    chart=("idle", "authority, all roles: PSS"))
    for what, text, peer in (("agent", "agent idle", agent.PILOT),
                             ("authority", "authority idle, all roles",
                              issue.ISTIO)):
        theirs = rates.get(("theirs", what), [])
        results.compare(f"{text}: wake-ups a second", "1/s",
                        rates["ours", what][:1], peer, theirs[:1],
                        most=WAKEUPS)
        if what == "authority":
            results.add(f"{text}: of its busiest role", rates["ours", what][1],
                        "1/s", most=WAKEUPS)
