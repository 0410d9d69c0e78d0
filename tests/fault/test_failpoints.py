"""The failpoints themselves: they are there, and do what they say."""

import datetime
import json
import signal
import subprocess
import time

import grpc
import pytest
from support import fail, net, pki, rpc
from support.process import until


def test_the_programs_under_test_have_them(build):
    binary = (build / "meshcert-ca").read_bytes()
    missing = [point for point, path in fail.declared().items()
               if path.startswith(("cmd/ca/", "lib/ipc/")) and
               point.encode() not in binary]
    assert missing == []
    symbols = subprocess.run(["nm", "--defined-only", build / "meshcert-ca"],
                             check=True, stdout=subprocess.PIPE,
                             text=True).stdout
    assert " fail_point" in symbols and " libc_fails" in symbols


def certify(one, timeout=10):
    with one.channel() as channel:
        return pki.load_all(rpc.create_certificate(
            channel, pki.new_csr(pki.new_key()), timeout=timeout,
            token=one.issuer.token("shop", "cart"))[0])[0]


def test_the_named_visit_of_the_named_role_and_no_other(make_faulty):
    one, points = make_faulty()
    one.start()
    before = points.visits("signer:signer.taken")
    points.arm("signer:signer.taken", fail.KILL, nth=3)
    certify(one)
    certify(one)
    assert points.fired("signer:signer.taken") == 0
    with pytest.raises(grpc.RpcError):
        certify(one)
    assert points.fired("signer:signer.taken") == 1
    assert points.visits("signer:signer.taken") == before + 3
    one.process.await_line(
        rf"role=signer.0 pid=\d+ signal={int(signal.SIGKILL)}")
    # Only once.
    until(lambda: net.get(one.http + "/ready")[0] == 200, "it was back")
    certify(one)


def test_a_pause_lasts_until_it_is_taken_back(make_faulty):
    one, points = make_faulty()
    one.start()
    points.arm("authority:authority.sent", fail.PAUSE)
    with pytest.raises(grpc.RpcError) as why:
        certify(one, timeout=0.5)
    assert why.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED
    points.disarm("authority:authority.sent")
    certify(one)


def test_the_clock_of_one_role_alone_is_moved(make_faulty):
    one, points = make_faulty()
    one.start()
    points.set_clock("authority", 3600)
    with pytest.raises(grpc.RpcError) as why:
        certify(one)
    # The signer has its own clock, and looks.
    assert "notBefore is in the future" in why.value.details()
    assert why.value.code() == grpc.StatusCode.UNAVAILABLE
    log = one.data / "audit/audit.jsonl"
    until(lambda: b"refused" in log.read_bytes(), "it was written")
    last = json.loads(log.read_text().splitlines()[-1])
    said = datetime.datetime.fromisoformat(last["time"].replace("Z", "+00:00"))
    assert 3500 < said.timestamp() - time.time() < 3700
