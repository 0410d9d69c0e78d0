"""Each role is killed at each step of an issue, and at the steps around it.
Whatever a caller got is on record, no serial is used twice, nothing is signed
that was not recorded before, and the authority comes back by itself."""

import concurrent.futures
import os
import signal
import sqlite3

import grpc
import pytest
from support import fail, net, pki, rpc
from support.process import until
from support.record import audit_lines, check_given, rows, verify_chain

CALLERS = 4


def certify(one):
    """A certificate, or None where that was refused or cut off."""
    try:
        with one.channel() as channel:
            return pki.load_all(rpc.create_certificate(
                channel, pki.new_csr(pki.new_key()), timeout=10,
                token=one.issuer.token("shop", "cart"))[0])[0]
    except grpc.RpcError:
        return None


def burst(one, given):
    """Some callers at once, each on a connection of its own."""
    with concurrent.futures.ThreadPoolExecutor(CALLERS) as pool:
        given += [cert for cert in pool.map(lambda _: certify(one),
                                            range(CALLERS)) if cert]


def kill(role):
    """A way to where its successor is told what is in force."""
    def way(one, _):
        for pid in one.roles().get(role, [])[:1]:
            os.kill(pid, signal.SIGKILL)
    return way


# Where a burst of requests does not lead.
OTHER_WAYS = {"authority:authority.roots_published": kill("signer"),
              "front:front.chain_taken": kill("front")}


def steps():
    """"ROLE:POINT" of every step: points of cmd/ca are named by the role in
    which they stand."""
    return [f"{name.split('.')[0]}:{name}"
            for name, path in fail.declared().items()
            if path.startswith("cmd/ca/")]


def check_signed(one, points):
    """Each signature, that of a head of the audit log apart, has an intent
    of its own."""
    signatures = points.visits("signer:signer.signed")
    assert 0 < signatures <= len(rows(one, "1, 2"))


def test_killed_at_any_step_nothing_is_lost(make_faulty, capsys):
    one, points = make_faulty()
    one.start()
    given = []
    for step in steps():
        # At the first caller of a burst, and at a later one.
        for nth in (1, CALLERS - 1):
            points.arm(step, fail.KILL, nth)
            before = len(given)
            end = until(
                lambda: (OTHER_WAYS.get(step, burst)(one, given),
                         points.fired(step))[1],
                f"{step} was reached", alive=one.process)
            assert end == 1
            until(lambda: burst(one, given) or len(given) > before,
                  f"it issued again after {step}", alive=one.process)
    until(lambda: net.get(one.http + "/ready")[0] == 200, "all were ready")
    assert one.stop() == 0
    check_given(one, given)
    check_signed(one, points)
    verify_chain(audit_lines(one))
    for name, path in fail.declared().items():
        if path.startswith("lib/ipc/"):
            assert any(row.endswith(f":{name}") for row in points.visited())
    one.start()
    levels = [level for level, _ in one.status()["audit"]]
    assert levels == ["STATUS_OK"]
    with capsys.disabled():
        print(f"\n{len(steps())} steps, each killed twice, "
              f"{len(given)} certificates given out:")
        for step in steps():
            print(f"  {step} visited {points.visited()[step]} times")


def test_a_certificate_without_its_record_would_be_found(make_faulty):
    one, points = make_faulty()
    one.start()
    given = [certify(one) for _ in range(3)]
    assert one.stop() == 0
    check_given(one, given)
    with sqlite3.connect(one.data / "store/record.db") as base:
        base.execute("DELETE FROM cert WHERE serial = ?",
                     (given[1].serial_number.to_bytes(19, "big"),))
    base.close()
    with pytest.raises(KeyError):
        check_given(one, given)
    with pytest.raises(AssertionError):
        check_given(one, [given[0], given[0]])


@pytest.mark.parametrize("at, role", [
    # The request is at the signer, unsigned; signed, and on no way back.
    ("signer:signer.taken", "authority"),
    ("signer:signer.signed", "authority"),
    ("signer:signer.signed", "front"),
    # The answer is on its way through the authority.
    ("authority:authority.signed_taken", "front"),
    ("authority:authority.committed", "signer"),
    ("authority:authority.committed", "front"),
    ("front:front.result_taken", "authority"),
])
def test_one_role_waits_while_another_is_killed(make_faulty, at, role):
    one, points = make_faulty()
    one.start()
    given = [certify(one)]
    points.arm(at, fail.PAUSE)
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        waits = pool.submit(certify, one)
        points.await_fired(at, one.process)
        for pid in one.roles()[role]:
            os.kill(pid, signal.SIGKILL)
        points.disarm(at)
        given.append(waits.result())
    given.append(until(lambda: certify(one), "it issued again",
                       alive=one.process))
    assert one.stop() == 0
    check_given(one, [cert for cert in given if cert])
    check_signed(one, points)
    verify_chain(audit_lines(one))


def test_the_intent_is_synced_before_the_signer_hears_of_it(make_faulty):
    one, points = make_faulty()
    one.start()
    for _ in range(5):
        assert certify(one)
    assert one.stop() == 0
    log = points.log()
    taken = [at for at, _, name in log if name == "signer:signer.taken"]
    assert len(taken) >= 5
    for at in taken:
        before = [name for when, _, name in log if when < at]
        # Backwards from there; another batch may have begun meanwhile.
        before = before[:last(before, "authority:authority.sent")]
        before = before[:last(before, "authority:authority.committed")]
        assert last(before, "authority:authority.before_commit") < \
            last(before, "authority:libc.sync")


def last(names, name):
    return len(names) - 1 - names[::-1].index(name)
