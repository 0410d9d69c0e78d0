"""Confinement of the running agent. What it is kept from is tried call by call
in tests/unit/test_sandbox.c; here: that it is in it, that all of it works
there, and that it is what the configuration says."""

import pathlib
import signal

import pytest
from support import rpc
from support.fake_ca import FakeCA
from support.meshcert import Agent
from support.process import left_open, until

FILTER, NONE = "2", "0"  # Seccomp: in /proc/PID/status, see proc(5)
PARTLY = "confined in part only"


def status_of(pid):
    text = pathlib.Path(f"/proc/{pid}/status").read_text()
    return dict(line.split(":\t", 1) for line in text.splitlines()
                if ":\t" in line)


@pytest.fixture
def fake(folder):
    with FakeCA(folder) as one:
        yield one


@pytest.fixture
def make(procs, folder, build, fake):
    def make(target=None, **more):
        return Agent(procs, folder, build, target or fake.target,
                     fake.root_pem(), "a.b.c", namespace="shop",
                     account="client", **more)
    return make


@pytest.fixture
def kernel(make):
    """Skips where this kernel or this build has no whole sandbox."""
    one = make(name="probe").start()
    one.await_ready()
    partly = PARTLY in one.process.tail(1000)
    one.stop()
    if partly:
        pytest.skip("skipped because the kernel has no whole sandbox")


def settled(agent):
    """Three filters: from the start on, what it enters with, and what ends
    its start."""
    return status_of(agent.process.pid).get("Seccomp_filters") == "3"


@pytest.mark.parametrize("how", ["default", "key", "environment"])
def test_the_agent_is_confined_and_serves(make, kernel, how):
    one = make(config={"sandbox": "required"} if how == "key" else None,
               env={"MESHCERT_SANDBOX": "required"}
               if how == "environment" else None).start().await_ready()
    found = status_of(one.process.pid)
    assert found["Seccomp"] == FILTER
    assert found["NoNewPrivs"] == "1"
    until(lambda: settled(one), "it settled")
    with one.channel() as channel:
        assert "default" in rpc.fetch_secrets(channel, ["default"])
    assert PARTLY not in one.process.tail(1000)


def test_with_the_sandbox_off_it_is_not(make):
    one = make(env={"MESHCERT_SANDBOX": "off"}).start().await_ready()
    assert status_of(one.process.pid)["Seccomp"] == NONE


def test_a_ca_is_found_by_its_name(make, kernel, fake):
    """By a child, in the same sandbox."""
    port = fake.target.rsplit(":", 1)[1]
    one = make(f"localhost:{port}",
               env={"MESHCERT_SANDBOX": "required"}).start()
    one.await_ready()


def test_a_restart_over_a_dead_socket_is_confined_too(make, kernel):
    one = make().start().await_ready()
    one.process.child.kill()
    one.process.wait()
    assert one.socket.exists()
    one.start().await_ready()
    until(lambda: settled(one), "it settled")
    one.process.await_line("a dead socket, replaced")
    with one.channel() as channel:
        assert "default" in rpc.fetch_secrets(channel, ["default"])


@pytest.mark.parametrize("mode", ["auto", "off"])
def test_it_reads_nothing_but_its_folders(make, kernel, folder, mode):
    """A link that is put later in the token's place."""
    one = make(env={"MESHCERT_SANDBOX": mode, "SECRET_TTL": "1h"})
    other = folder / "other"
    other.mkdir()
    (other / "token").write_text("d.e.f")
    one.start().await_ready()
    fresh = one.token_path.with_suffix(".new")
    fresh.symlink_to(other / "token")
    fresh.rename(one.token_path)
    mark = one.process.mark()
    one.process.signal(signal.SIGUSR1)
    if mode == "off":
        one.process.await_line(" certificate ", since=mark)
    else:
        one.process.await_line("istio-token.*Permission denied", since=mark)


def test_what_was_left_open_is_closed(procs, make):
    with left_open(procs) as is_held:
        make().start().await_ready()
    until(lambda: not is_held(), "it was closed")
