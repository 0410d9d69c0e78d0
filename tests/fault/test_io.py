"""Each read, write, sync and other call of a role for its files and sockets
fails once, or does less than it was asked for once: in an issue, in what comes
a moment after it, at the start of a role and at a reload. What was given out
is on record, and all goes on by itself."""

import errno
import itertools
import os
import signal

import pytest
from support import fail, net, pki
from support.callers import OURS, CODE, Callers
from support.process import until
from support.record import audit_lines, rows

SHORT = (fail.SHORT, 0)
IO, FULL = (fail.ERROR, errno.EIO), (fail.ERROR, errno.ENOSPC)


def every_call(points, row, how, act, after):
    """act() with the n-th call failing, n = 1, 2, ... until it makes fewer."""
    for n in itertools.count(1):
        points.arm(row, how[0], n, how[1])
        act()
        if not points.fired(row):
            points.disarm(row)
            return n - 1
        after(f"{row} {n}")


def begin(make_faulty, **config):
    one, points = make_faulty({"fronts": 1, **config})
    one.start()
    callers = Callers(one)
    callers.await_issue("the start")
    return one, points, callers


@pytest.mark.parametrize("row, how", [
    ("authority:libc.write", IO), ("authority:libc.write", FULL),
    ("authority:libc.write", SHORT), ("authority:libc.sync", IO),
    ("authority:libc.recv", SHORT), ("authority:libc.send", SHORT),
    ("signer:libc.recv", SHORT), ("signer:libc.send", SHORT),
    ("front:libc.recv", SHORT), ("front:libc.send", SHORT),
    ("front:libc.accept", (fail.ERROR, errno.ECONNABORTED)),
    ("front:libc.accept", (fail.ERROR, errno.EMFILE)),
    ("front:libc.watch", (fail.ERROR, errno.ENOMEM)),
], ids=lambda v: v if isinstance(v, str) else f"{v[0]}-{v[1]}")
def test_in_an_issue(make_faulty, row, how):
    one, points, callers = begin(make_faulty)
    codes = []
    calls = every_call(points, row, how,
                       lambda: codes.append(callers.issue()),
                       callers.await_issue)
    assert calls > 0
    if how == SHORT:
        assert set(codes) == {CODE.OK}
    assert set(codes) <= OURS | {CODE.OK}
    callers.check()
    assert len(callers.given) <= len(rows(one))


@pytest.mark.parametrize("how", [IO, FULL, SHORT], ids=["EIO", "ENOSPC",
                                                        "short"])
@pytest.mark.parametrize("row", ["authority:libc.write",
                                 "authority:libc.sync"])
def test_in_what_comes_after_an_issue(make_faulty, row, how):
    """Completions, the sync of the audit log, the head that is signed."""
    if how == SHORT and row.endswith("sync"):
        pytest.skip("a sync has no length")
    one, points, callers = begin(make_faulty)

    def act():
        before = points.visits("authority:authority.audit_synced")
        heads = points.visits("authority:authority.head_stored")
        assert callers.issue() == CODE.OK
        until(lambda: points.fired(row) or (
            points.visits("authority:authority.audit_synced") > before and
            points.visits("authority:authority.head_stored") > heads),
            "the second after it had passed", alive=one.process)

    def settle(what):
        callers.await_issue(what, 30)

    # What the issue itself writes is tested above.
    first = points.visits(row)
    assert callers.issue() == CODE.OK
    for n in itertools.count(points.visits(row) - first + 1):
        points.arm(row, how[0], n, how[1])
        act()
        if not points.fired(row):
            points.disarm(row)
            break
        settle(f"{row} {n}")
    callers.check()
    one.start()
    callers.await_issue("a restart")
    levels = {topic: [level for level, _ in lines]
              for topic, lines in one.status().items()}
    assert levels["audit"] == ["STATUS_OK"], one.status()["audit"]
    callers.check()


def test_a_front_that_cannot_listen_again_tries_again(make_faulty):
    """It had no descriptor for a moment, and no memory after that: those
    who are connected notice nothing."""
    one, points, callers = begin(make_faulty)
    before = one.roles()["front"]
    points.arm("front:libc.watch", fail.ERROR, 1, errno.ENOMEM)
    points.arm("front:libc.accept", fail.ERROR, 1, errno.EMFILE)
    callers.await_issue("it listened again")
    assert points.fired("front:libc.watch")
    assert points.fired("front:libc.accept")
    assert one.roles()["front"] == before


def test_who_signs_without_an_audit_log_is_told_to_restart(make_faulty):
    """audit.on_full: sign. What a failed sync left is not known, and this role
    goes on: only its next life writes again."""
    one, points, callers = begin(make_faulty, **{"audit.on_full": "sign"})
    row = "authority:libc.sync"
    synced = points.visits("authority:authority.audit_synced")
    points.arm(row, fail.ERROR, 0, errno.EIO)
    assert callers.issue() in OURS
    until(lambda: points.visits("authority:authority.audit_synced") > synced,
          "the audit log was to be synced", alive=one.process)
    points.disarm(row)
    callers.await_issue("syncs succeed")
    (line,) = one.status()["audit"]
    assert line[0] == "STATUS_BAD"
    assert "restart" in str(line)
    callers.check()
    one.start()
    callers.await_issue("a restart")
    (line,) = one.status()["audit"]
    assert "restart" not in str(line)


@pytest.mark.parametrize("how", [IO, SHORT], ids=["EIO", "short"])
@pytest.mark.parametrize("role, calls", [
    ("authority", ("read", "write", "sync", "open", "rename", "resize")),
    ("signer", ("read", "write", "sync", "open", "rename", "resize")),
    ("front", ("read", "open")),
])
def test_at_the_start_of_a_role(make_faulty, role, calls, how):
    one, points, callers = begin(make_faulty)

    def restart():
        (old,) = one.roles()[role]
        os.kill(old, signal.SIGKILL)
        until(lambda: one.roles().get(role, [old]) != [old] and
              net.get(one.http + "/ready")[0] == 200, f"{role} was back",
              alive=one.process)

    for call in calls:
        if how == SHORT and call not in ("read", "write"):
            continue
        every_call(points, f"{role}:libc.{call}", how, restart,
                   callers.await_issue)
    callers.check()
    events = b"".join(audit_lines(one))
    assert b"audit_mismatch" not in events


@pytest.mark.parametrize("how", [IO, SHORT], ids=["EIO", "short"])
@pytest.mark.parametrize("row", ["meshcert-ca:libc.read",
                                 "meshcert-ca:libc.send",
                                 "meshcert-ca:libc.open",
                                 "signer:libc.read", "signer:libc.recv"])
def test_when_a_plugged_in_ca_is_replaced(make_faulty, row, how):
    """The one before it stays in force, or the new one comes: never none. A
    set that could not be read is refused, and read again in a second."""
    if how == IO and row not in ("signer:libc.read", "meshcert-ca:libc.open"):
        pytest.skip("a broken link between roles is tested by killing them")
    root = pki.TestCA("root")
    sets = [pki.TestCA(f"issuing {i}", parent=root) for i in range(2)]
    one, points = make_faulty({"fronts": 1})
    folder = sets[0].write_cacerts(one.folder / "cacerts")
    one.config.update({"issuer.kind": "files", "issuer.dir": str(folder)})
    one.start()
    callers = Callers(one)
    callers.await_issue("the start")
    turn = itertools.cycle((1, 0))

    def by(ca):
        return callers.issue() == CODE.OK and \
            callers.given[-1].issuer == ca.cert.subject

    def replace():
        ca = sets[next(turn)]
        ca.write_cacerts(folder)
        until(lambda: by(ca) or points.fired(row), "it was replaced",
              alive=one.process)
        if how == IO and points.fired(row):
            assert callers.issue() == CODE.OK
        until(lambda: by(ca), "the new one was in force by itself",
              alive=one.process)

    every_call(points, row, how, replace, callers.await_issue)
    if how == IO:
        assert "tried again in 1 s" in one.process.tail(10000)
    callers.check()
