"""A role that hangs while it starts, or does not get all that it asks for in
it: it is ended and started again, alone, and all goes on."""

import contextlib
import itertools
import os
import signal

import pytest
from support import fail, net
from support.callers import CODE, Callers
from support.process import until

STEPS = {"role.config": "reading its configuration",
         "role.confine": "entering its sandbox",
         "role.start": "beginning to work"}
ROLES = ("front", "authority", "signer", "public")


def kill(one, role):
    """A fault that was armed late may just have ended it, before this."""
    for pid in until(lambda: one.roles().get(role), f"{role} was there"):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def await_ready(one, what):
    until(lambda: net.get(one.http + "/ready")[0] == 200,
          f"all were ready after {what}", alive=one.process)


def begin(make_faulty, **config):
    one, points = make_faulty({"fronts": 1, **config})
    one.start()
    callers = Callers(one)
    callers.await_issue("the start")
    return one, points, callers


@pytest.mark.parametrize("role", ROLES)
def test_a_role_that_hangs_at_a_step_of_its_start(make_faulty, role):
    one, points, callers = begin(make_faulty, start="1s")
    for step, text in STEPS.items():
        points.arm(f"{role}:{step}", fail.PAUSE)
        mark = one.process.mark()
        kill(one, role)
        points.await_fired(f"{role}:{step}", one.process)
        line = one.process.await_line(
            rf"start_deadline role={role}\.0 .*", since=mark).group()
        assert text in line and "key start" in line
        callers.await_issue(f"{role} hung at {step}")
        await_ready(one, f"{role} hung at {step}")
    callers.check()


def test_a_role_that_started_may_wait_for_a_ca_for_ever(make_faulty):
    """Fronts are not ready without a CA, and it is not their fault."""
    one, points = make_faulty({"fronts": 1, "start": "1s"})
    folder = one.folder / "cacerts"
    folder.mkdir()
    one.config.update({"issuer.kind": "files", "issuer.dir": str(folder)})
    points.arm("public:role.start", fail.PAUSE)
    one.start(wait=False)
    one.process.await_line(r"start_deadline role=public\.0 ")
    assert one.process.tail(400).count("start_deadline role=") == 1


# Of how many allocations of a start one fails; most are in reading YAML.
STRIDES = {"front": 3, "authority": 29, "signer": 29}


@pytest.mark.no_memory
@pytest.mark.parametrize("role", STRIDES)
def test_memory_is_short_while_a_role_starts(make_faulty, role):
    """No link that both ends hold is lost: nobody waits for one in vain."""
    one, points, callers = begin(make_faulty, sandbox="off")
    row = f"{role}:libc.alloc"
    before = points.visits(row)
    kill(one, role)
    await_ready(one, "a kill")
    callers.await_issue("a kill")
    count = points.visits(row) - before
    codes, fired = [], 0
    for n in itertools.count(1, STRIDES[role]):
        if n > count:
            break
        points.arm(row, fail.ERROR, n)
        kill(one, role)
        until(lambda: codes.append(callers.issue()) or codes[-1] == CODE.OK,
              f"it issued again after allocation {n}", alive=one.process)
        fired += points.fired(row)
    points.disarm(row)
    # The last ones are of requests, whose number varies.
    assert fired > 0.8 * count / STRIDES[role]
    assert " link to the " not in one.process.tail(100000)
    callers.check()
