"""Authorities and agents with failpoints: what MESHCERT_BUILD names must be a
build with FAIL=1."""

import pytest
from support import fail


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
