"""The peers that tests/peer/build made."""

import os
import pathlib
import subprocess
import sys

import pytest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from support import istio  # noqa: E402 (the path comes first)
from support.meshcert import Agent  # noqa: E402

# What tests/flow asks of our authority is asked of Istio's, too.
pytest.register_assert_rewrite("flow.test_authority_answers",
                               "flow.test_agent_envoys")


@pytest.fixture(scope="session", autouse=True)
def folders():
    """{"istio": path, "tools": path}; also in the environment, where
    support/istio.py looks."""
    out = subprocess.run([HERE / "build", "--print"], check=True,
                         stdout=subprocess.PIPE, text=True).stdout
    found = dict(line.split("=", 1) for line in out.split())
    os.environ["MESHCERT_PEERS_ISTIO"] = found["istio"]
    return {name: pathlib.Path(path) for name, path in found.items()}


@pytest.fixture
def theirs(procs, folder):
    """Istio's CA."""
    authority = istio.IstioCA(procs, folder).start()
    yield authority
    authority.jwks.end()


@pytest.fixture(params=["theirs", "ours"])
def authority(request):
    """Each of them in turn: what a caller sees is the same."""
    return request.getfixturevalue(request.param)


@pytest.fixture(params=[istio.PilotAgent, Agent],
                ids=["pilot-agent", "meshcert-agent"])
def agent_kind(request):
    return request.param
