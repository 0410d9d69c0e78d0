"""Authorities and agents with failpoints: what MESHCERT_BUILD names must be a
build with FAIL=1."""

import pytest
from support import fail
from support.process import Processes


def pytest_configure(config):
    config.addinivalue_line("markers", "no_memory: roles may die of that")


@pytest.fixture
def failpoints(folder):
    points = fail.Failpoints(folder)
    yield points
    points.close()


@pytest.fixture
def make_faulty(make_ours, failpoints):
    """Makes an authority (not started) and its failpoints. A role that dies
    is restarted at once, however often it died."""
    def make(config=None, **more):
        failpoints.arm("meshcert-ca:supervise.restart", fail.ERROR, nth=0)
        return make_ours(config, env=failpoints.env, **more), failpoints
    return make


@pytest.fixture
def procs(folder, request):
    """As everywhere, but that a role may die where memory is missing: that is
    what mem.h promises. Each place that says so is such a one."""
    with Processes(folder) as every:
        request.node.meshcert_processes = every
        yield every
    for name, text in every.logs():
        for line in text.splitlines():
            assert "Sanitizer" not in line and "runtime error:" not in line
            if "meshcert: bug:" in line:
                assert request.node.get_closest_marker("no_memory"), \
                    f"{name}: {line}"
