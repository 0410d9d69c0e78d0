"""meshcert-agent gets its certificate, renews it, and keeps a good one."""

import datetime
import os
import pathlib
import re
import stat
import subprocess
import threading

import grpc
import pytest
from cryptography.hazmat.primitives import serialization
from support import net, pki, rpc, tokens
from support.fake_ca import FakeCA, status_of
from support.meshcert import Agent, Authority
from support.process import until

ID = "spiffe://cluster.local/ns/shop/sa/client"


def now():
    return datetime.datetime.now(datetime.timezone.utc)


def leaf_of(secret):
    return pki.load_all(secret.tls_certificate.certificate_chain
                        .inline_bytes)[0]


@pytest.fixture
def make_agent(procs, folder, build):
    def make(target, root_pem, token="a.b.c", **more):
        return Agent(procs, folder, build, target, root_pem, token,
                     namespace="shop", account="client", **more)
    return make


@pytest.fixture
def issuer():
    return tokens.Issuer("ES256")


@pytest.fixture
def ca(procs, folder, build, issuer):
    return Authority(procs, folder, build, issuer=issuer).start()


@pytest.fixture
def fake(folder):
    with FakeCA(folder) as one:
        yield one


def test_it_gets_a_certificate_and_serves_key_chain_and_roots(
        ca, issuer, make_agent):
    agent = make_agent(ca.target, ca.root_pem(),
                       issuer.token("shop", "client")).start().await_ready()
    with agent.channel() as channel:
        found = rpc.fetch_secrets(
            channel, ["default", "ROOTCA", ID, "spiffe://cluster.local"])
    leaf = leaf_of(found["default"])
    assert pki.uri_of(leaf) == ID
    key = serialization.load_pem_private_key(
        found["default"].tls_certificate.private_key.inline_bytes, None)
    assert key.public_key() == leaf.public_key()
    roots = found["ROOTCA"].validation_context.trusted_ca.inline_bytes
    assert pki.load_all(roots) == pki.load_all(ca.root_pem())
    assert leaf_of(found[ID]) == leaf
    assert found["spiffe://cluster.local"].validation_context == \
        found["ROOTCA"].validation_context


def test_it_renews_before_the_end_and_pushes_with_a_new_key(
        ca, issuer, make_agent):
    agent = make_agent(ca.target, ca.root_pem(),
                       issuer.token("shop", "client"),
                       env={"SECRET_TTL": "4s"},
                       config={"cert.renew_floor": "100ms"})
    agent.start().await_ready()
    seen = []
    with agent.channel() as channel, \
            rpc.SecretStream(channel, ["default"]) as stream:
        for _ in range(3):
            secret = stream.receive()["default"]
            leaf = leaf_of(secret)
            seen.append((leaf.serial_number,
                         secret.tls_certificate.private_key.inline_bytes))
            assert leaf.not_valid_after_utc > now()
    assert len({serial for serial, _ in seen}) == 3
    assert len({key for _, key in seen}) == 3


def test_the_old_certificate_stays_while_the_authority_is_down(
        ca, issuer, make_agent):
    agent = make_agent(ca.target, ca.root_pem(),
                       issuer.token("shop", "client"),
                       env={"SECRET_TTL": "20s",
                            "SECRET_GRACE_PERIOD_RATIO": "0.9"},
                       config={"cert.renew_floor": "100ms"})
    agent.start().await_ready()
    first = agent.serial()
    ca.stop()
    agent.process.await_line(r"not renewed .* in force stays for")
    until(lambda: status_of(agent)["ca"]["failures"] > 2, "it tried again",
          alive=agent.process)
    assert agent.serial() == first
    assert net.get(agent.status + "/healthz/ready")[0] == 200
    ca.start()
    until(lambda: agent.serial() != first, "it was renewed",
          alive=agent.process)
    assert status_of(agent)["ca"]["failures"] == 0


def test_it_waits_for_an_authority_that_comes_later(
        ca, issuer, make_agent):
    ca.stop()
    root = pki.cert_pem(pki.TestCA("somebody else").cert)
    agent = make_agent(ca.target, root, issuer.token("shop", "client"))
    agent.start()
    agent.process.await_line("no certificate from")
    assert net.get(agent.status + "/healthz/ready")[0] == 503
    ca.start()
    # The wrong roots are refused by name, and read again for each attempt.
    agent.process.await_line("no certificate from .*(trust|root|issuer)")
    agent.root_path.write_text(ca.root_pem())
    agent.await_ready()


def test_the_token_is_read_for_each_request_and_may_vanish(
        ca, issuer, make_agent):
    agent = make_agent(ca.target, ca.root_pem(), None)
    agent.start()
    agent.process.await_line("no token is sent")
    agent.process.await_line("UNAUTHENTICATED: request authenticate failure")
    agent.token_path.write_text(issuer.token("shop", "client"))
    agent.await_ready()
    first = agent.serial()
    agent.token_path.unlink()
    # Without a token its own certificate says who it is.
    agent.process.signal(10)
    until(lambda: agent.serial() != first, "it was renewed",
          alive=agent.process)


def test_what_it_sends_is_what_istio_s_agent_sends(fake, make_agent):
    agent = make_agent(fake.target, fake.root_pem(), "my.jwt.token\n", env={
        "ISTIO_META_CERT_SIGNER": "gold", "CA_HEADER_X-Team": "blue",
        "SECRET_TTL": "1h"}).start().await_ready()
    request, headers = fake.requests[0]
    assert headers["authorization"] == "Bearer my.jwt.token"
    assert headers["clusterid"] == "Kubernetes"
    assert headers["x-team"] == "blue"
    assert request.validity_duration == 3600
    assert [(e.key, e.value.string_value)
            for e in request.metadata.fields] == [("CertSigner", "gold")]
    assert pki.uri_of(leaf_of(agent.secret())) == ID


@pytest.mark.parametrize("what, text", [
    ("identity", "the certificate is for spiffe://cluster.local/ns/x/sa/y"),
    ("key", "for another key"),
    ("chain", "does not verify to the roots"),
    ("expired", "ended at"),
    ("single", "2 entries|a leaf and the roots"),
    ("garbage", "entry 0 of the chain"),
    ("no roots", r"the roots \(last entry\)"),
])
def test_a_bad_answer_is_refused_and_the_good_certificate_stays(
        fake, make_agent, what, text):
    agent = make_agent(fake.target, fake.root_pem(),
                       config={"ca.retry_max": "1s"}).start().await_ready()
    first = agent.serial()
    stranger = pki.TestCA("stranger")
    bad = {
        "identity": lambda r, c: fake.good(
            r, c, uri="spiffe://cluster.local/ns/x/sa/y"),
        "key": lambda r, c: fake.good(r, c, key=pki.new_key().public_key()),
        "chain": lambda r, c: fake.good(r, c, issuer=stranger),
        "expired": lambda r, c: fake.good(r, c, seconds=-5),
        "single": lambda r, c: fake.good(r, c)[:1],
        "garbage": lambda r, c: ["no PEM", fake.root_pem()],
        "no roots": lambda r, c: fake.good(r, c)[:1] + ["no PEM"],
    }[what]
    fake.answer = lambda _, request, context: bad(request, context)
    agent.process.signal(10)
    agent.process.await_line("not renewed .*(" + text + ")")
    assert agent.serial() == first
    assert agent.metric("istio_agent_num_failed_outgoing_requests") >= 1
    fake.answer = FakeCA.good
    until(lambda: agent.serial() != first, "a good answer was taken",
          alive=agent.process)


def test_an_authority_that_does_not_know_us_is_asked_fast_and_then_slowly(
        fake, make_agent):
    def unknown(_self, _request, context):
        context.abort(grpc.StatusCode.UNAUTHENTICATED,
                      "request authenticate failure")
    fake.answer = unknown
    agent = make_agent(fake.target, fake.root_pem(), config={
        "ca.unauthenticated_for": "1s", "ca.retry_min": "50ms",
        "ca.retry_max": "30s"}).start()
    agent.process.await_line(r"attempt [0-9]+: .*UNAUTHENTICATED.*next "
                             r"attempt in (1[5-9]|2\d|30)(\.\d+)?s")
    assert 3 < len(fake.requests) < 20


def test_a_slow_authority_ends_an_attempt_by_its_deadline(fake, make_agent):
    release = threading.Event()
    fake.answer = lambda *_: release.wait(20) or []
    try:
        agent = make_agent(fake.target, fake.root_pem(),
                           config={"ca.timeout": "300ms"}).start()
        agent.process.await_line("no certificate from .*no answer")
        fake.answer = FakeCA.good
        agent.await_ready()
    finally:
        release.set()


def test_a_new_root_reaches_proxies_with_the_renewal(fake, make_agent):
    agent = make_agent(fake.target, fake.root_pem()).start().await_ready()
    other = pki.TestCA("next root")

    def both(_self, request, context):
        leaf, root = fake.good(request, context)
        return [leaf, root + pki.cert_pem(other.cert)]
    with agent.channel() as channel, \
            rpc.SecretStream(channel, ["ROOTCA"]) as stream:
        stream.receive()
        fake.answer = both
        agent.process.signal(10)
        roots = stream.receive()["ROOTCA"].validation_context.trusted_ca
    assert len(pki.load_all(roots.inline_bytes)) == 2
    agent.process.await_line("roots changed")


def test_a_late_clock_is_said_and_does_no_harm(fake, make_agent):
    fake.answer = lambda _, r, c: fake.good(r, c, backdate=-100)
    agent = make_agent(fake.target, fake.root_pem()).start().await_ready()
    agent.process.await_line("clock of this host is late")


def test_the_client_certificate_of_prov_cert_is_shown(folder, make_agent):
    own = pki.TestCA("own")
    prov = folder / "prov"
    cert, key = own.write_leaf(prov, "leaf", uris=[ID])
    cert.rename(prov / "cert-chain.pem")
    key.rename(prov / "key.pem")
    with FakeCA(folder, client_roots=pki.cert_pem(own.cert)) as fake:
        (prov / "root-cert.pem").write_text(fake.root_pem())
        agent = make_agent(fake.target, "", None,
                           env={"PROV_CERT": str(prov)})
        agent.root_path.unlink()
        agent.start().await_ready()
        assert fake.auth[0]["x509_subject_alternative_name"] == [ID.encode()]


def modes(path):
    return {p.name: stat.S_IMODE(p.stat().st_mode)
            for p in pathlib.Path(path).resolve().iterdir()}


def is_pair(folder):
    """The set that ..data names at this moment is whole and one."""
    here = pathlib.Path(os.path.realpath(folder / "..data"))
    key = serialization.load_pem_private_key(
        (here / "key.pem").read_bytes(), None)
    chain = pki.load_all((here / "cert-chain.pem").read_text())
    pki.load_all((here / "root-cert.pem").read_text())
    return key.public_key() == chain[0].public_key()


def test_output_certs_are_always_one_set_and_never_open_to_the_world(
        fake, folder, make_agent):
    out = folder / "out"
    out.mkdir()
    old = fake.sign(pki.new_key().public_key(), ID)
    (out / "cert-chain.pem").write_text(old[0])
    agent = make_agent(fake.target, fake.root_pem(),
                       env={"OUTPUT_CERTS": str(out), "PKCS8_KEY": "true"})
    agent.start().await_ready()
    until(lambda: (out / "key.pem").exists(), "the files are there")
    assert modes(out / "..data") == dict.fromkeys(
        ("key.pem", "cert-chain.pem", "root-cert.pem"), 0o600)
    assert (out / "key.pem").read_text().startswith(
        "-----BEGIN PRIVATE KEY-----")
    for _ in range(10):
        before = os.readlink(out / "..data")
        agent.process.signal(10)

        def swapped():
            try:
                assert is_pair(out)
            except FileNotFoundError:
                pass  # the set went between two opens
            return os.readlink(out / "..data") != before
        until(swapped, "the files were swapped", alive=agent.process)
    until(lambda: [p.name for p in out.iterdir() if p.is_dir() and
                   not p.is_symlink()] == [os.readlink(out / "..data")],
          "the old sets were removed")
    assert (out / "cert-chain.pem").read_text() == \
        agent.secret().tls_certificate.certificate_chain.inline_bytes \
        .decode()


def test_output_certs_are_written_later_where_the_folder_is_no_folder(
        fake, folder, make_agent):
    out = folder / "out"
    out.write_text("in the way")
    agent = make_agent(fake.target, fake.root_pem(),
                       env={"OUTPUT_CERTS": str(out)}).start().await_ready()
    agent.process.await_line("certificates not written to")
    out.unlink()
    until(lambda: (out / "key.pem").exists(), "the files are there",
          alive=agent.process)


@pytest.mark.parametrize("env, kind, form", [
    ({}, "secp256r1", "EC PRIVATE KEY"),
    ({"ECC_SIGNATURE_ALGORITHM": "ECDSA", "ECC_CURVE": "P384"}, "secp384r1",
     "EC PRIVATE KEY"),
    ({"WORKLOAD_RSA_KEY_SIZE": "2048"}, 2048, "RSA PRIVATE KEY"),
    ({"WORKLOAD_RSA_KEY_SIZE": "2048", "PKCS8_KEY": "1"}, 2048,
     "PRIVATE KEY"),
])
def test_the_key_is_of_the_kind_that_the_environment_says(
        ca, issuer, make_agent, env, kind, form):
    agent = make_agent(ca.target, ca.root_pem(),
                       issuer.token("shop", "client"), env=env)
    secret = agent.start().await_ready().secret()
    pem = secret.tls_certificate.private_key.inline_bytes
    assert pem.startswith(f"-----BEGIN {form}-----".encode())
    key = serialization.load_pem_private_key(pem, None)
    assert kind in (key.key_size, getattr(getattr(key, "curve", None),
                                          "name", None))


def test_no_key_is_in_the_log_or_in_the_status(ca, issuer, make_agent):
    agent = make_agent(ca.target, ca.root_pem(),
                       issuer.token("shop", "client"),
                       config={"log.level": "debug"})
    secret = agent.start().await_ready().secret()
    pem = secret.tls_certificate.private_key.inline_bytes.decode()
    middle = pem.splitlines()[1]
    token = agent.token_path.read_text()
    status = net.get(agent.status + "/status")[1]
    everything = "\n".join(agent.process.lines()) + status
    assert leaf_of(secret).serial_number == agent.serial()
    # The same search finds what is there on purpose.
    chain = secret.tls_certificate.certificate_chain.inline_bytes.decode()
    assert chain.splitlines()[1] in status
    assert middle not in everything
    assert token not in everything


def test_a_join_token_gives_the_first_certificate_and_that_the_next(
        procs, folder, build, make_agent):
    ca = Authority(procs, folder, build).start()
    done = subprocess.run(
        [build / "meshcert", "token", "create", "--identity", ID,
         "--socket", ca.data / "admin.sock"], capture_output=True, text=True,
        check=True)
    token = re.search(r"^\S{20,}$", done.stdout, re.M).group(0)
    agent = make_agent(ca.target, ca.root_pem(), token).start().await_ready()
    first = agent.serial()
    agent.process.signal(10)
    until(lambda: agent.serial() != first, "it was renewed",
          alive=agent.process)
    # The token is used up: nobody else gets anything for it.
    other = make_agent(ca.target, ca.root_pem(), token, name="other").start()
    other.process.await_line("no certificate from .*UNAUTHENTICATED")
