"""Where private keys are: in guarded memory of the one role that needs them, in
their own file, and nowhere else. Root looks through the memory, the core files
and the files of every process."""

import os
import signal
import subprocess
import sys

import pytest
from support import memory, pki, rpc, tokens
from support.meshcert import Agent, Authority
from support.process import ended, until
from cryptography.hazmat.primitives import serialization

pytestmark = pytest.mark.skipif(
    not memory.is_root(), reason="skipped because only root may look into "
    "the memory of others")

# What holds a key, and what it does with it in the meantime, see started().
OWNERS = {"CA": "signer", "audit": "signer", "serving": "front",
          "workload": "agent", "file": "agent"}


def load(path):
    return serialization.load_pem_private_key(path.read_bytes(), None)


class Everything:
    """An authority with keys that we know and an agent of it, both used."""

    def __init__(self, procs, folder, build, kind, without):
        self.folder = folder
        ca = pki.TestCA("plugged", kind=kind, parent=pki.TestCA("the root"))
        www = pki.TestCA("www root")
        issuer = tokens.Issuer("ES256")
        one = self.authority = Authority(procs, folder, build, issuer=issuer)
        outside = folder / "outside"
        outside.mkdir()
        cacerts = ca.write_cacerts(outside / "cacerts")
        cert, key = www.write_leaf(
            outside / "www", "www", dns=["istiod.istio-system.svc"])
        one.config.update({
            "issuer.kind": "files", "issuer.dir": str(cacerts),
            "serving.kind": "files", "serving.cert": str(cert),
            "serving.key": str(key)})
        self.www_root = pki.cert_pem(www.cert)
        one.binary = memory.without(without, one.binary, folder)
        one.start()
        self.keys = {"CA": ca.key, "serving": load(key),
                     "audit": load(one.data / "issuer/audit-key.pem")}
        self._start_agent(procs, build, issuer, ca, without, kind)

    def _start_agent(self, procs, build, issuer, ca, without, kind):
        agent = self.agent = Agent(
            procs, self.folder, build, self.authority.target, self.www_root,
            issuer.token("shop", "cart"), namespace="shop", account="cart",
            env={"ISTIOD_SAN": "istiod.istio-system.svc",
                 **({"WORKLOAD_RSA_KEY_SIZE": "2048"}
                    if kind.startswith("rsa") else {})})
        agent.binary = memory.without(without, agent.binary, self.folder)
        place = agent.folder / "etc/certs2"
        cert, key = ca.write_leaf(place, "shop", dns=["shop.example"])
        self.keys["file"] = load(key)
        agent.config["files.allow"] = [str(place)]
        agent.start().await_ready()
        self.name = f"file-cert:{cert}~{key}"
        # A stream that stays open, and calls that ended.
        self.channel = agent.channel()
        self.stream = rpc.SecretStream(self.channel, ["default", self.name])
        got = {}
        while {"default", self.name} - set(got):
            got.update(self.stream.receive())
        self.keys["workload"] = serialization.load_pem_private_key(
            got["default"].tls_certificate.private_key.inline_bytes, None)

    def processes(self):
        found = {"supervisor": self.authority.process.pid,
                 "agent": self.agent.process.pid}
        for role, pids in self.authority.roles().items():
            for i, pid in enumerate(pids):
                found[f"{role}.{i}"] = pid
        return found


@pytest.fixture
def start(procs, folder, build, own_memory):
    every = []

    def start(kind="p256", without=()):
        every.append(Everything(procs, folder, build, kind, without))
        return every[-1]
    yield start
    for one in every:
        one.stream.close()
        one.channel.close()


def test_what_is_planted_is_found(folder, careless):
    """The search itself: each form, in memory and in a file."""
    for kind in "p256", "rsa2048":
        key = pki.new_key(kind)
        for form, needles in memory.forms(key).items():
            for needle in needles:
                (folder / "planted").write_bytes(b"x" * 5000 + needle)
                assert memory.files_with(folder, key) == ["planted"], form
        text = pki.key_pem(key).encode()
        (folder / "planted").write_bytes(text)
        assert "base64" in memory.in_file(folder / "planted", key)
    child, key = careless()
    found = memory.copies(child.pid, key)
    assert found and not any(region.is_guarded for region, _ in found)


@pytest.mark.parametrize("old_kernel", [False, True],
                         ids=["secret memory", "locked memory"])
@pytest.mark.parametrize("kind", ["p256", "rsa2048"])
def test_keys_are_in_guarded_memory_of_their_owner_only(
        start, kind, old_kernel):
    """With secret memory of the kernel not even root finds a copy. Where the
    kernel has none, the copies are counted."""
    every = start(kind, ["secret memory"] if old_kernel else [])
    table = []
    for process, pid in every.processes().items():
        for name, key in every.keys.items():
            for region, found in memory.copies(pid, key):
                table.append((process, name, region, found))
    for process, name, region, found in table:
        print(f"{process:12} {name:9} {found} in {region}"
              f"{' (guarded)' if region.is_guarded else ''}")
    wrong = [row for row in table if not row[2].is_guarded
             or not row[0].startswith(OWNERS[row[1]])]
    assert not wrong, [f"{p}: {n} key: {f} in {r}" for p, n, r, f in wrong]
    seen = {(process.split(".")[0], name) for process, name, _, _ in table}
    secret = [process for process, pid in every.processes().items()
              if any(memory.is_secret_memory(r) for r in
                     memory.regions(pid))]
    if old_kernel:
        assert not secret
        assert seen == {(role, name) for name, role in OWNERS.items()}
    elif secret:
        assert not seen
        assert {"agent", "signer.0", "front.0"} <= set(secret)
        for process, pid in every.processes().items():
            for region in memory.regions(pid):
                if memory.is_secret_memory(region):
                    assert region.is_guarded, f"{process}: {region}"


def test_keys_are_in_their_own_files_only(start, folder):
    every = start()
    os.sync()
    own = {"CA": ["outside/cacerts/ca-key.pem"],
           "serving": ["outside/www/www.key"],
           "audit": ["ca/data/issuer/audit-key.pem"],
           "workload": [], "file": ["agent/etc/certs2/shop.key"]}
    found = {name: memory.files_with(folder, key)
             for name, key in every.keys.items()}
    for name, paths in own.items():
        assert len(found[name]) == len(paths), found
        for path in paths:
            assert path.rsplit("/", 1)[0] in found[name][0], found


# -- cores: guards, one after the other taken away

@pytest.fixture
def core_pattern():
    try:
        memory.CORE_PATTERN.write_text(memory.CORE_PATTERN.read_text())
    except OSError as why:
        pytest.skip(f"skipped because of {memory.CORE_PATTERN}: {why}")


def abort(pid):
    """Ends it as a failed assertion would, while it has nothing to do."""
    memory.await_rest(pid)
    os.kill(pid, signal.SIGABRT)
    until(lambda: ended(pid), "it ended")


@pytest.fixture
def careless(folder):
    """Starts a program without any guard; the key in its memory."""
    every = []

    def start():
        key = pki.new_key()
        child = subprocess.Popen(
            [sys.executable, "-c", "import resource, signal, sys\n"
             "resource.setrlimit(resource.RLIMIT_CORE, (-1, -1))\n"
             "kept = sys.stdin.read()\n"
             "print('ready', flush=True)\nsignal.pause()"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        every.append(child)
        child.stdin.write(pki.key_pem(key).encode())
        child.stdin.close()
        assert child.stdout.readline() == b"ready\n"
        return child, key
    yield start
    for child in every:
        child.kill()
        child.wait()


def abort_all(every, cores, leave_some):
    """Each process; {name: core or None}. The kernel does not wait for the
    writer of a core."""
    found, last = {}, {"supervisor": 2, "agent": 1}
    for process, pid in sorted(every.processes().items(),
                               key=lambda p: last.get(p[0], 0)):
        abort(pid)
        found[process] = pid
    for child in every.agent.process, every.authority.process:
        child.wait()
    if leave_some:
        until(lambda: all(cores.of(pid) for pid in found.values()),
              "all were dumped")
    return {process: cores.of(pid) for process, pid in found.items()}


@pytest.mark.parametrize("as_file,without", [
    (True, ["not dumpable"]), (False, [])], ids=["its limit", "not dumpable"])
def test_each_guard_alone_keeps_a_core_from_being_written(
        start, folder, core_pattern, careless, as_file, without):
    every = start(without=without)
    with memory.Cores(folder / "cores", as_file) as cores:
        assert not any(abort_all(every, cores, False).values())
        # Whoever has no guard leaves one, with its key.
        child, key = careless()
        abort(child.pid)
        core = until(lambda: cores.of(child.pid), "it was dumped")
        assert memory.in_core(core, key)


@pytest.mark.parametrize("without", [
    ["not dumpable"], ["not dumpable", "secret memory"],
    ["not dumpable", "secret memory", "not in cores"]],
    ids=["secret memory", "left out of cores", "unguarded"])
def test_where_a_core_is_written_all_the_same_it_has_no_key(
        start, folder, core_pattern, without):
    """And with the last guard gone it has."""
    every = start(without=without)
    with memory.Cores(folder / "cores", False) as cores:
        found = abort_all(every, cores, True)
    keys = set()
    for process, core in found.items():
        # It is the memory of this process.
        assert b"cluster.local" in core.read_bytes(), process
        for name, key in every.keys.items():
            if memory.in_core(core, key):
                keys.add((process.split(".")[0], name))
    unguarded = "not in cores" in without
    assert keys == ({(role, name) for name, role in OWNERS.items()}
                    if unguarded else set())
