"""An agent's memory after many rotations and connections. How many, says
MESHCERT_LEAK_COUNT: a few hundred by default, 10,000 before a release. In a
build with sanitizers the leaks are those that the sanitizer finds at the end;
else the memory at rest must not rise (support/flat.py)."""

import os
import signal

import pytest
from support import flat, rpc, tokens
from support.meshcert import Agent, Authority, is_sanitized

COUNT = int(os.environ.get("MESHCERT_LEAK_COUNT", "300"))
WHO = ("shop", "client")
SAMPLES = 200


@pytest.fixture
def agent(procs, folder, build):
    issuer = tokens.Issuer("ES256")
    ca = Authority(procs, folder, build, issuer=issuer).start()
    return Agent(procs, folder, build, ca.target, ca.root_pem(),
                 issuer.token(*WHO), namespace=WHO[0], account=WHO[1],
                 env={"ASAN_OPTIONS": "detect_leaks=1"}).start().await_ready()


def grown_after(agent, step):
    """KB that the memory at rest grew by over all steps but the first."""
    samples = []
    for i in range(COUNT):
        step()
        if i % max(1, COUNT // SAMPLES) == 0:
            samples.append((i, flat.memory_of(agent.process.pid)["dirty"]))
    return flat.growth(samples)


def judge(agent, build, step):
    grown = grown_after(agent, step)
    print(f"{COUNT} times: {grown:+.0f} KB")
    # The state at rest is known to a page, and the allocator's to some more.
    assert is_sanitized(build) or grown <= flat.LIMIT_KB
    fds = flat.memory_of(agent.process.pid)["fds"]
    assert fds < 40
    assert agent.stop() == 0


def test_rotations_leak_nothing(agent, build):
    with agent.channel() as channel, \
            rpc.SecretStream(channel, ["default"], timeout=900) as stream:
        stream.receive()

        def rotate():
            agent.process.signal(signal.SIGUSR1)
            stream.receive()
        judge(agent, build, rotate)


def test_connections_leak_nothing(agent, build):
    def connect():
        with agent.channel() as channel:
            rpc.fetch_secrets(channel, ["default", "ROOTCA"])
            with rpc.SecretStream(channel, ["default"]) as stream:
                stream.receive()
    judge(agent, build, connect)
