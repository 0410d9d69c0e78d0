"""The SPIFFE Workload API as others' clients see it."""

import json
import subprocess

import grpc
import pytest
from support import pki, rpc
from support.meshcert import Agent

ID = "spiffe://cluster.local/ns/shop/sa/cart"


@pytest.fixture
def agent(procs, folder, build, ours):
    """An agent whose certificate is renewed every few seconds."""
    one = Agent(procs, folder, build, ours.target, ours.root_pem(),
                ours.issuer.token("shop", "cart"), namespace="shop",
                account="cart", env={"SECRET_TTL": "8s",
                                     "ECC_SIGNATURE_ALGORITHM": "ECDSA"})
    return one.start().await_ready()


def wlclient(folders, agent, *words):
    done = subprocess.run(
        [folders["tools"] / "wlclient", "-socket", agent.socket, *words],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr + done.stdout
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    return [row for row in rows if "update" in row]


def test_go_spiffe_gets_an_identity_that_it_verifies(folders, agent):
    (row,) = wlclient(folders, agent, "-updates", "1")
    (svid,) = row["svids"]
    assert svid["id"] == svid["verified"] == ID
    assert [b["trust_domain"] for b in row["bundles"]] == ["cluster.local"]


def test_go_spiffe_sees_each_renewal(folders, agent):
    rows = wlclient(folders, agent, "-updates", "3", "-timeout", "40s")
    assert len({row["svids"][0]["serial"] for row in rows}) == 3
    assert {row["svids"][0]["verified"] for row in rows} == {ID}


def test_go_spiffe_gets_the_bundle_alone(folders, agent, ours):
    (row,) = wlclient(folders, agent, "-bundles")
    roots = pki.load_all(ours.root_pem())
    assert row["bundles"] == [{
        "trust_domain": "cluster.local",
        "sha256": [root.fingerprint(pki.hashes.SHA256()).hex()
                   for root in roots]}]


def test_a_python_client_sees_renewals(agent):
    serials = set()
    with agent.channel() as channel:
        for answer in rpc.fetch_x509_svid(channel, timeout=60):
            (svid,) = answer.svids
            leaf = pki.x509.load_der_x509_certificate(svid.x509_svid)
            key = pki.serialization.load_der_private_key(
                svid.x509_svid_key, None)
            assert svid.spiffe_id == pki.uri_of(leaf) == ID
            assert key.public_key() == leaf.public_key()
            serials.add(leaf.serial_number)
            if len(serials) == 3:
                return
    raise AssertionError(f"the stream ended after {len(serials)} serials")


@pytest.mark.parametrize("call", [rpc.fetch_x509_svid,
                                  rpc.fetch_x509_bundles])
def test_a_call_without_the_security_header_is_refused(agent, call):
    with agent.channel() as channel, \
            pytest.raises(grpc.RpcError) as caught:
        next(call(channel, header=False))
    assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT
