"""Confinement of the authority's running roles. What each one is kept from is
tried call by call in tests/unit/test_sandbox.c; here: that they are in it, and
that it is what the configuration says."""

import os
import pathlib
import signal

import pytest
from support import net, pki, rpc, tokens
from support.meshcert import Authority
from support.process import left_open, until

FILTER = "2"  # Seccomp: in /proc/PID/status, see proc(5)
EVERY_ROLE = {"front", "public", "authority", "signer", "fetch"}


def status_of(pid):
    text = pathlib.Path(f"/proc/{pid}/status").read_text()
    return dict(line.split(":\t", 1) for line in text.splitlines()
                if ":\t" in line)


def issue(one):
    with one.channel() as channel:
        return rpc.create_certificate(
            channel, pki.new_csr(pki.new_key()),
            token=one.issuer.token("shop", "cart"))


@pytest.fixture
def with_all_roles(procs, folder, build):
    """An authority with a key set by URL, so that fetch runs too; not
    started."""
    issuer, far = tokens.Issuer("RS256"), tokens.Issuer("RS256")
    ca = pki.TestCA("jwks root")
    cert, key = ca.write_leaf(folder / "www", "www", dns=["localhost"])
    root = folder / "www/root.pem"
    root.write_text(pki.cert_pem(ca.cert))
    server = net.Server({"/keys": far.jwks()}, cert, key)
    one = Authority(procs, folder, build, issuer=issuer)
    one.config["auth.jwt"].append(
        {"issuer": far.issuer, "ca_file": str(root),
         "jwks_url": f"https://localhost:{server.port}/keys"})
    one.issuer, one.far = issuer, far
    yield one
    server.end()


@pytest.fixture
def kernel(procs, folder, build):
    """Skips where this kernel or this build has no whole sandbox."""
    one = Authority(procs, folder, build, {"sandbox": "required"},
                    name="probe")
    one.start(wait=False)
    line = one.process.await_line(
        r"supervisor\.ready|sandbox: required, but .*")
    one.stop()
    if "required, but" in line.group(0):
        pytest.skip(f"skipped because {line.group(0)}")


@pytest.mark.parametrize("mode", ["required", "auto"])
def test_every_role_is_confined_and_all_of_it_works(
        with_all_roles, kernel, mode):
    one = with_all_roles
    if mode != "auto":
        one.config["sandbox"] = mode
    one.start()
    with one.channel() as channel:
        for issuer in one.issuer, one.far:
            assert rpc.create_certificate(
                channel, pki.new_csr(pki.new_key()),
                token=issuer.token("shop", "cart"))
    roles = one.roles()
    assert EVERY_ROLE <= set(roles)
    for role in EVERY_ROLE:
        for pid in roles[role]:
            found = status_of(pid)
            assert found["Seccomp"] == FILTER, role
            assert found["NoNewPrivs"] == "1", role
    assert status_of(one.process.pid)["Seccomp"] == FILTER
    assert "confined in part only" not in one.process.tail(1000)


def test_with_the_sandbox_off_no_role_is_confined(with_all_roles):
    one = with_all_roles
    one.config["sandbox"] = "off"
    one.start()
    assert issue(one)
    for pids in [[one.process.pid], *one.roles().values()]:
        for pid in pids:
            assert status_of(pid)["Seccomp"] == "0"


def test_the_supervisor_gains_no_rights_and_keeps_nothing_open(
        procs, ours, folder, build):
    """Nor do its roles."""
    with left_open(procs) as is_held:
        # A program that closes nothing.
        careless = procs.start("careless", ["/bin/sleep", "60"])
    assert is_held()
    careless.end()
    until(lambda: not is_held(), "it ended")
    with left_open(procs) as is_held:
        one = Authority(procs, folder, build, name="other").start()
    until(lambda: not is_held(), "it was closed")
    pids = [pid for role in one.roles().values() for pid in role]
    assert len(pids) >= 4
    for pid in [one.process.pid, *pids]:
        assert status_of(pid)["NoNewPrivs"] == "1"


def test_each_file_of_the_authority_is_its_owners(ours):
    """Whatever the umask that it was started with: nobody else writes, and
    nobody else reads but what is for everybody."""
    assert issue(ours)
    for path in ours.data.rglob("*"):
        if path.is_symlink():
            continue
        mode = path.stat().st_mode
        assert not mode & 0o022, path
        if ours.data / "public" not in [path, *path.parents] and \
                path.name != "addresses.json":
            assert not mode & 0o077, path


def test_a_role_that_is_restarted_is_confined_again(ours, kernel):
    (old,) = ours.roles()["signer"]
    mark = ours.process.mark()
    os.kill(old, signal.SIGKILL)
    ours.process.await_line(r"supervisor\.ready", since=mark)
    (new,) = ours.roles()["signer"]
    assert new != old
    assert status_of(new)["Seccomp"] == FILTER
    assert issue(ours)


def test_a_folder_that_opens_the_keys_to_a_role_is_warned_of(
        ours, procs, folder, build):
    assert "give it a folder of its own" in ours.process.tail(1000)
    mine = folder / "issuers"
    mine.mkdir()
    (mine / "jwks").write_text(ours.issuer.jwks())
    other = Authority(procs, folder, build, {"auth.jwt": [
        {"issuer": ours.issuer.issuer, "jwks_file": str(mine / "jwks")}]},
        name="other").start()
    assert "give it a folder of its own" not in other.process.tail(1000)
