"""Memory that is not there, once, at each place in turn where any library of
a role asks for it: a clear error, or the role dies (mem.h says when) and is
restarted. Nothing is lost, and no check is passed by."""

import itertools
import signal

import pytest
from support import fail, net, pki
from support.callers import CODE, OURS, Callers
from support.process import until

pytestmark = pytest.mark.no_memory
ROLES = ("front", "authority", "signer")


def every_place(points, row, act, after):
    """act() with the n-th allocation failing, for n = 1, 2, ... until it does
    with fewer. after(n): what must hold then."""
    for n in itertools.count(1):
        points.arm(row, fail.ERROR, n)
        act()
        if not points.fired(row):
            points.disarm(row)
            return n - 1
        after(n)


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("way", ["issue", "renew"])
def test_in_an_issue_and_a_renewal(make_faulty, capsys, role, way):
    one, points = make_faulty({"fronts": 1})
    one.start()
    callers = Callers(one)
    callers.await_issue("the start")
    codes = []
    places = every_place(
        points, f"{role}:libc.alloc",
        lambda: codes.append(getattr(callers, way)()),
        lambda n: callers.await_issue(f"allocation {n} of {role}"))
    callers.check()
    counts = {code.name: codes.count(code) for code in set(codes)}
    with capsys.disabled():
        print(f"\n{role}, {way}: {places} allocations failed: {counts}")
    assert places > 5
    assert set(codes) <= OURS | {CODE.OK}


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("bad", ["signature", "token", "caller"])
def test_no_door_opens(make_faulty, role, bad):
    """What is refused is refused as well where memory is short."""
    one, points = make_faulty({"fronts": 1})
    one.start()
    callers = Callers(one)
    callers.await_issue("the start")
    stranger = pki.TestCA("stranger")
    key = pki.new_key()
    csr = pki.new_csr(key)
    token = one.issuer.token("shop", "cart")
    ask = {
        "signature": lambda: callers.ask(pki.spoiled(csr), token=token),
        "token": lambda: callers.ask(csr, token=token[:-8] + "AAAAAAAA"),
        "caller": lambda: callers.ask(
            csr, pki.cert_pem(stranger.issue(
                key, uris=["spiffe://cluster.local/ns/shop/sa/cart"])),
            pki.key_pem(key)),
    }[bad]
    codes = [ask()]
    assert codes[0] in (CODE.INVALID_ARGUMENT, CODE.UNAUTHENTICATED,
                        CODE.UNAVAILABLE)
    every_place(points, f"{role}:libc.alloc", lambda: codes.append(ask()),
                lambda n: callers.await_issue(f"allocation {n} of {role}"))
    assert set(codes) <= OURS | {codes[0]}
    callers.check()


STRIDE = 9  # of some seven hundred, most of them in reading YAML


def test_at_a_reload(make_faulty):
    """All roles at once."""
    one, points = make_faulty({"fronts": 1})
    one.start()
    callers = Callers(one)
    callers.await_issue("the start")
    rows = [f"{role}:libc.alloc" for role in ROLES + ("public",)]
    for n in itertools.count(1, STRIDE):
        for row in rows:
            points.arm(row, fail.ERROR, n)
        mark = one.process.mark()
        one.process.signal(signal.SIGHUP)
        one.process.await_line("supervisor.reload", since=mark)
        callers.await_issue(f"allocation {n}")
        until(lambda: net.get(one.http + "/ready")[0] == 200,
              f"all were ready after allocation {n}", alive=one.process)
        if not any(points.fired(row) for row in rows):
            break
    assert n > 300
    for row in rows:
        points.disarm(row)
    callers.check()
