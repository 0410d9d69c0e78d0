"""The helpers of the other tests do what they say, shown without any
program of ours."""

import json
import signal
import sys

import jwt
import pytest
from support import envoy, net, pki, process, rpc, tokens


def python(procs, code, **more):
    return procs.start("child", [sys.executable, "-uc", code], **more)


def test_a_line_is_awaited_and_its_match_returned(procs):
    child = python(procs, "print('port=17'); input()")
    assert child.await_line(r"port=(\d+)").group(1) == "17"


def test_a_child_that_dies_ends_the_wait_with_its_log(procs):
    child = python(procs, "print('my last words'); raise SystemExit(3)")
    with pytest.raises(process.Failed, match="my last words"):
        child.await_line("never")
    assert child.wait() == 3


def test_a_child_that_ignores_the_polite_signal_is_killed(procs):
    child = python(procs, "import signal; signal.signal(15, lambda *a: 0)\n"
                          "print('deaf')\nwhile 1: signal.pause()")
    child.await_line("deaf")
    assert child.end(seconds=0.3) == -signal.SIGKILL


def test_a_server_answers_and_remembers_who_asked():
    with net.Server({"/a": "text"}) as server:
        assert net.get(server.url + "/a") == (200, "text")
        assert net.get(server.url + "/b")[0] == 404
        assert server.requests == ["/a", "/b"]


def test_metrics_are_summed_over_their_series():
    page = '# HELP a x\na{k="1",j="2"} 3\na{k="1",j="3"} 4\na_b 9\nc 5\n'
    assert net.metric(page, "a", k="1") == 7
    assert net.metric(page, "a", j="3") == 4
    assert net.metric(page, "c") == 5
    assert net.metric(page, "b") is None


@pytest.mark.parametrize("alg", ["RS256", "ES256", "ES384", "PS256",
                                 "EdDSA"])
def test_tokens_verify_with_their_jwks(alg):
    issuer = tokens.Issuer(alg)
    token = issuer.token("shop", "cart")
    key = jwt.PyJWKSet.from_json(issuer.jwks())[alg]
    claims = jwt.decode(token, key, algorithms=[alg], audience="istio-ca")
    assert claims["sub"] == "system:serviceaccount:shop:cart"
    other = jwt.PyJWKSet.from_json(tokens.Issuer(alg).jwks())[alg]
    with pytest.raises(jwt.InvalidSignatureError):
        jwt.decode(token, other, algorithms=[alg], audience="istio-ca")


def test_messages_survive_the_way_over_the_wire():
    request = rpc.message("istio.v1.auth.IstioCertificateRequest")(
        csr="x", validity_duration=5)
    rpc.set_struct(request.metadata, {"CertSigner": ""})
    again = type(request).FromString(request.SerializeToString())
    assert again == request
    assert again.metadata.fields[0].key == "CertSigner"


def test_a_bootstrap_is_accepted_by_envoy(procs, folder):
    peers = [{"exact": "spiffe://cluster.local/ns/a/sa/b"}]
    config = envoy.bootstrap("both", folder / "sds", folder / "log",
                             ("127.0.0.1", 1), envoy.server_tls(peers),
                             envoy.client_tls(peers, api="DELTA_GRPC"))
    (folder / "c.json").write_text(json.dumps(config))
    child = procs.start("envoy", [envoy.binary(), "--mode", "validate",
                                  "-c", folder / "c.json"])
    assert child.wait(60) == 0, child.tail()


def test_a_test_authority_signs_what_its_csr_asks():
    root = pki.TestCA()
    middle = pki.TestCA("middle", parent=root)
    uri = "spiffe://cluster.local/ns/a/sa/b"
    leaf = middle.issue(pki.new_key(), uris=[uri])
    leaf.verify_directly_issued_by(middle.cert)
    middle.cert.verify_directly_issued_by(root.cert)
    assert pki.uri_of(leaf) == uri
    assert len(pki.load_all(middle.chain_pem())) == 1
