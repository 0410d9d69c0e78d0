"""meshcert-agent while the clock of its host jumps, or is wrong from the
start: it keeps what it has, says what is wrong, and comes back by itself.

Each agent runs with a wall clock of its own. The kernel, which would wake the
agent when the real clock is set, knows nothing of it: here the question for
its status does (tests/unit/test_ev_clock.c is about the kernel)."""

import datetime

import pytest
from support import net, pki, rpc, tokens
from support.clock import Clock
from support.fake_ca import status_of
from support.meshcert import Agent, Authority
from support.process import until

WHO = ("shop", "client")
TEN_YEARS = 3650


@pytest.fixture
def issuer():
    return tokens.Issuer("ES256")


@pytest.fixture
def ca(procs, folder, build, issuer):
    return Authority(procs, folder, build, issuer=issuer).start()


@pytest.fixture
def clock(folder):
    return Clock(folder)


@pytest.fixture
def agent(procs, folder, build, ca, issuer, clock):
    """Not started."""
    return Agent(procs, folder, build, ca.target, ca.root_pem(),
                 issuer.token(*WHO), namespace=WHO[0], account=WHO[1],
                 env=clock.env(), config=allow(clock))


def allow(clock):
    """The agent's sandbox lets it read its clock."""
    return {"files.allow": [str(clock.folder)]}


def set_clock(agent, clock, time):
    """Returns when the agent has noticed."""
    before = status_of(agent)["clock"]["set"]
    clock.set(time)
    until(lambda: status_of(agent)["clock"]["set"] > before,
          f"the agent noticed the clock {time}", alive=agent.process)


def hours_between(first, then):
    """Of two times of the status page."""
    first, then = (datetime.datetime.fromisoformat(t) for t in (first, then))
    return (then - first) / datetime.timedelta(hours=1)


def test_an_hour_forward_and_back_changes_nothing(agent, clock):
    agent.start().await_ready()
    first, plan = agent.serial(), status_of(agent)["ca"]["next"]
    for time, text in (("+1h", "went forward by (1h0m0|59m59)"),
                       ("+0", "went back by (1h0m0|59m59)"),
                       ("-1h", "went back by (1h0m0|59m59)"),
                       ("+0", "went forward by (1h0m0|59m59)")):
        since = agent.process.mark()
        set_clock(agent, clock, time)
        agent.process.await_line(text, since=since)
        status = status_of(agent)
        assert status["ready"], status
        assert status["ca"]["failures"] == 0
        assert agent.serial() == first
    # The plan was told anew each time, and is where it was.
    assert abs(hours_between(plan, status_of(agent)["ca"]["next"])) < 0.01
    assert agent.metric("meshcert_agent_clock_set_total") == 4
    assert agent.metric("istio_agent_num_outgoing_requests") == 1


def test_a_clock_an_hour_late_is_a_problem_on_the_status_page(agent, clock):
    agent.start().await_ready()
    assert "problem" not in status_of(agent)["clock"]
    set_clock(agent, clock, "-1h")
    assert "the certificate begins at" in status_of(agent)["clock"]["problem"]
    set_clock(agent, clock, "+0")
    assert "problem" not in status_of(agent)["clock"]


def test_ten_years_forward_and_back(agent, clock):
    agent.start().await_ready()
    first = agent.serial()
    set_clock(agent, clock, f"+{TEN_YEARS}d")
    agent.process.await_line(
        "not renewed .*expired at .*compare the clocks.*HAS EXPIRED")
    # What there is, is better than nothing: peers with the right time take
    # it. Probes see that something is wrong, and where.
    assert agent.serial() == first
    status = status_of(agent)
    assert not status["ready"] and "expired" in status["not_ready"]
    assert "compare the clocks" in status["ca"]["advice"]
    assert net.get(agent.status + "/healthz/ready")[0] == 503
    assert agent.metric("meshcert_agent_failures_total", cause="expired") > 0
    # Not at the end of a pause of half a minute, but at once.
    set_clock(agent, clock, "+0")
    until(lambda: status_of(agent)["ready"] and
          status_of(agent)["ca"]["failures"] == 0, "it came back", 5,
          agent.process)
    assert agent.serial() != first


def test_ten_years_back_and_forward(agent, clock):
    agent.start().await_ready()
    first = agent.serial()
    set_clock(agent, clock, f"-{TEN_YEARS}d")
    assert agent.serial() == first
    status = status_of(agent)
    assert status["ready"], status  # peers take it
    assert "begins at" in status["clock"]["problem"]
    # The renewal stays where it was, half a day from now, and not in ten
    # years: by the clock that nobody sets.
    assert 0 < hours_between(status["clock"]["now"], status["ca"]["next"]) < 24
    agent.process.signal(10)
    agent.process.await_line("is not valid before .*compare the clocks")
    assert agent.metric("meshcert_agent_failures_total",
                  cause="not_yet_valid") > 0
    assert agent.serial() == first
    set_clock(agent, clock, "+0")
    until(lambda: agent.serial() != first, "it was renewed",
          alive=agent.process)
    assert status_of(agent)["ca"]["failures"] == 0


def test_renewals_go_on_while_the_clock_is_wrong(
        procs, folder, build, ca, issuer, clock):
    """An hour late, the certificate of the CA being older than that: the
    short-lived one is renewed in time all the same."""
    agent = Agent(procs, folder, build, ca.target, ca.root_pem(),
                  issuer.token(*WHO), namespace=WHO[0], account=WHO[1],
                  env={"SECRET_TTL": "4s", **clock.env()},
                  config={"cert.renew_floor": "100ms", **allow(clock)})
    agent.start().await_ready()
    with agent.channel() as channel, \
            rpc.SecretStream(channel, ["default"]) as stream:
        stream.receive()
        # Within the two minutes that leaf and root begin early.
        set_clock(agent, clock, "-100s")
        for _ in range(3):
            stream.receive()
    assert status_of(agent)["ca"]["failures"] == 0


def test_at_boot_in_1970_it_waits_for_the_clock(agent, clock):
    clock.set("@1970-01-01 00:00:10")
    agent.start()
    agent.process.await_line("no certificate from .*is not valid before .*"
                             "1970-01-01.*compare the clocks")
    until(lambda: status_of(agent).get("ca", {}).get("failures", 0) > 1,
          "it tried again", alive=agent.process)
    status = status_of(agent)
    assert not status["ready"]
    assert "is not valid before" in status["ca"]["error"]
    set_clock(agent, clock, "+0")
    until(lambda: status_of(agent)["ready"], "it was served", 5,
          agent.process)
    assert agent.serial()


def write_pair(folder, ca, **more):
    key = pki.new_key()
    cert = ca.issue(key, uris=["spiffe://cluster.local/ns/shop/sa/files"],
                    **more)
    for name, text in (("key.pem", pki.key_pem(key)),
                       ("cert-chain.pem", pki.cert_pem(cert))):
        fresh = folder / (name + ".new")
        fresh.write_text(text)
        fresh.rename(folder / name)
    return cert.serial_number


def test_file_certificates_of_tomorrow_wait_for_their_time(
        procs, folder, build, clock):
    """And those of yesterday: neither replaces one that is valid."""
    ca = pki.TestCA()
    agent = Agent(procs, folder, build, "127.0.0.1:1", pki.cert_pem(ca.cert),
                  namespace="shop", account="files",
                  env={"CA_PROVIDER": "none", **clock.env()},
                  config=allow(clock))
    certs = agent.folder / "etc/certs"
    certs.mkdir(parents=True)
    (certs / "root-cert.pem").write_text(pki.cert_pem(ca.cert))
    old = write_pair(certs, ca)
    agent.start().await_ready()
    assert agent.serial() == old
    new = write_pair(certs, ca, backdate=-7200, seconds=3 * 86400)
    agent.process.await_line("not valid yet: is the clock")
    assert agent.serial() == old
    assert agent.metric("istio_agent_num_file_secret_failures_total") > 0
    # Two hours later it is taken; and stays when the clock goes back, where
    # the old one is not there any more.
    set_clock(agent, clock, "+3h")
    until(lambda: agent.serial() == new, "the new pair was served",
          alive=agent.process)
    set_clock(agent, clock, "+0")
    assert agent.serial() == new
    set_clock(agent, clock, f"+{TEN_YEARS}d")
    agent.process.await_line("served because there is no other")
    assert agent.serial() == new
    assert not status_of(agent)["ready"]
    set_clock(agent, clock, "+3h")
    assert status_of(agent)["ready"]
