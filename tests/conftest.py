"""Fixtures of flow and peer tests."""

import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from support import tokens  # noqa: E402 (the path comes first)
from support.meshcert import (  # noqa: E402
    Agent, Authority, is_sanitized)
from support.process import Processes  # noqa: E402


# Our processes leave the memory of their one state to the kernel when they
# end: leaks are looked for by the unit tests.
os.environ.setdefault("ASAN_OPTIONS", "detect_leaks=0")


@pytest.fixture(scope="session")
def build():
    """The folder of the programs under test."""
    top = pathlib.Path(__file__).resolve().parent.parent
    return pathlib.Path(os.environ.get("MESHCERT_BUILD", top / "build/gcc"))


@pytest.fixture
def folder():
    """A fresh folder that users other than root may enter: roles drop to
    users of their own. Its path is short enough for Unix sockets."""
    path = pathlib.Path(tempfile.mkdtemp(prefix="meshcert-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def run(build):
    """Runs meshcert with these words to its end."""
    def call(*words):
        return subprocess.run([build / "meshcert", *map(str, words)],
                              capture_output=True, text=True, timeout=60,
                              check=False)
    return call


@pytest.fixture
def procs(folder, request):
    """Starts processes; all are ended with the test, and where it failed
    their logs become part of the report."""
    with Processes(folder) as every:
        request.node.meshcert_processes = every
        yield every
    # Roles are restarted when they die: a test may pass over what a
    # sanitizer found, or an assertion of our own.
    for name, text in every.logs():
        for sign in ("Sanitizer", "runtime error:", "meshcert: bug:"):
            assert sign not in text, f"{name}: {sign}"


@pytest.fixture
def make_ours(procs, folder, build):
    """Makes authorities (not started) that trust the tokens of .issuer."""
    def make(config=None, **more):
        issuer = tokens.Issuer("RS256")
        one = Authority(procs, folder, build, config, issuer=issuer, **more)
        one.issuer = issuer
        return one
    return make


@pytest.fixture
def ours(procs, folder, build):
    """A running meshcert-ca, which trusts the tokens of its .issuer."""
    issuer = tokens.Issuer("RS256")
    one = Authority(procs, folder, build, issuer=issuer)
    one.issuer = issuer
    return one.start()


@pytest.fixture
def authority(ours):
    """In tests/peer: Istio's, too."""
    return ours


@pytest.fixture
def agent_kind():
    """What start_agent starts. In tests/peer: Istio's, too."""
    return Agent


@pytest.fixture
def start_agent(procs, folder, build, authority, agent_kind):
    """Starts an agent for the authority. Its certificates live 12 seconds:
    short enough to see rotations, long enough for a machine under load."""
    def start(name, namespace="shop", account="cart", token=None, life=12):
        if token is None:
            token = authority.issuer.token(namespace, account)
        return agent_kind(
            procs, folder, build, authority.target, authority.root_pem(),
            token, name=name, namespace=namespace, account=account,
            env={"SECRET_TTL": f"{life}s",
                 "ECC_SIGNATURE_ALGORITHM": "ECDSA"}).start()
    return start


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    every = getattr(item, "meshcert_processes", None)
    if report.failed and every is not None:
        for name, text in every.logs():
            report.sections.append((f"log of {name}", text))


@pytest.fixture
def own_memory(build):
    """For tests that look at a program's memory as it is in the field."""
    if is_sanitized(build):
        pytest.skip("skipped because a sanitizer keeps memory of its own")
