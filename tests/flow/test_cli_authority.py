"""meshcert token, request and status against a running authority."""

import json
import os
import re
import stat

import pytest
from cryptography.hazmat.primitives import serialization
from support import pki

ME = "spiffe://cluster.local/ns/shop/sa/web"


@pytest.fixture
def token(run, ours):
    """A fresh join token for an identity."""
    def make(identity=ME):
        done = run("token", "create", "-d", ours.data, "-i", identity)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()
    return make


@pytest.fixture
def request_with(run, ours, folder):
    """meshcert request to the authority, into folder/out."""
    def call(*words, out="out"):
        (folder / "root.pem").write_text(ours.root_pem())
        return run("request", "--ca", ours.target, "--root",
                   folder / "root.pem", "--out", folder / out, *words)
    return call


def test_a_join_token_becomes_key_chain_and_root(folder, ours, token,
                                                 request_with):
    done = request_with("--join-token", token())
    assert done.returncode == 0, done.stderr
    out = folder / "out"
    key = serialization.load_pem_private_key((out / "key.pem").read_bytes(),
                                             None)
    leaf, *rest = pki.load_all((out / "cert-chain.pem").read_text())
    assert pki.uri_of(leaf) == ME
    assert leaf.public_key() == key.public_key()
    roots = pki.load_all((out / "root-cert.pem").read_text())
    assert roots == pki.load_all(ours.root_pem())
    leaf.verify_directly_issued_by((rest + roots)[0])
    assert stat.S_IMODE(os.stat(out / "key.pem").st_mode) == 0o600


def test_a_token_works_once_and_a_refusal_writes_nothing(folder, token,
                                                         request_with):
    one = token()
    assert request_with("--join-token", one).returncode == 0
    done = request_with("--join-token", one, out="again")
    assert done.returncode == 1
    assert "refuses" in done.stderr and "UNAUTHENTICATED" in done.stderr
    assert not (folder / "again").exists()


def test_a_token_file_works_as_the_token_does(folder, ours, request_with):
    (folder / "token").write_text(ours.issuer.token("shop", "web") + "\n")
    done = request_with("--token", folder / "token", "--ttl", "1h",
                        "--key-kind", "RSA-2048", "--identity", ME)
    assert done.returncode == 0, done.stderr
    leaf = pki.load_all((folder / "out/cert-chain.pem").read_text())[0]
    assert leaf.public_key().key_size == 2048
    life = leaf.not_valid_after_utc - leaf.not_valid_before_utc
    assert 3600 <= life.total_seconds() <= 3600 + 130


def test_a_certificate_renews_itself(folder, token, request_with):
    assert request_with("--join-token", token()).returncode == 0
    done = request_with("--cert", folder / "out/cert-chain.pem", "--key",
                        folder / "out/key.pem", out="renewed")
    assert done.returncode == 0, done.stderr
    leaf = pki.load_all((folder / "renewed/cert-chain.pem").read_text())[0]
    assert pki.uri_of(leaf) == ME


def test_another_identity_than_the_callers_is_refused(token, request_with):
    done = request_with("--join-token", token(), "--identity",
                        "spiffe://cluster.local/ns/shop/sa/other")
    assert done.returncode == 1
    assert "refuses" in done.stderr


def test_a_ca_that_the_roots_do_not_know_gets_no_token(folder, ours, run,
                                                       token):
    other = pki.TestCA("another root")
    (folder / "other.pem").write_text(pki.cert_pem(other.cert))
    one = token()
    done = run("request", "--ca", ours.target, "--root", folder / "other.pem",
               "--join-token", one, "--out", folder / "out")
    assert done.returncode == 1
    assert "neither in the chain nor among" in done.stderr
    # It was not sent: it can still be used.
    (folder / "root.pem").write_text(ours.root_pem())
    done = run("request", "--ca", ours.target, "--root", folder / "root.pem",
               "--join-token", one, "--out", folder / "out")
    assert done.returncode == 0, done.stderr


def test_nobody_at_the_address_is_exit_code_3(folder, ours, run):
    (folder / "root.pem").write_text(ours.root_pem())
    done = run("request", "--ca", "127.0.0.1:1", "--root",
               folder / "root.pem", "-j", "x", "--out", folder / "out")
    assert done.returncode == 3 and "127.0.0.1:1" in done.stderr


def test_a_token_for_a_foreign_domain_is_refused_with_the_reason(run, ours):
    done = run("token", "create", "-d", ours.data, "-i", "spiffe://other/x")
    assert done.returncode == 1
    assert "not in the trust domain cluster.local" in done.stderr


def test_a_token_as_json_says_for_whom_and_until_when(run, ours):
    done = run("token", "create", "-d", ours.data, "-i", ME, "-t", "1m",
               "-o", "json")
    found = json.loads(done.stdout)
    assert found["identity"] == ME
    assert re.fullmatch(r"mjt_[\w-]{43}", found["token"])
    assert found["expires"].endswith("Z")


def test_status_of_a_good_authority_is_good(run, ours, token, request_with):
    assert request_with("--join-token", token()).returncode == 0
    done = run("status", "-d", ours.data)
    assert done.returncode == 0, done.stdout
    lines = {line.split()[2]: line for line in done.stdout.splitlines()[1:]}
    assert set(lines) >= {"issuer", "record", "audit", "fronts"}
    found = json.loads(run("status", "-d", ours.data, "-o", "json").stdout)
    assert {one["level"] for one in found} == {"OK"}
    assert found[0].keys() == {"level", "who", "topic", "text", "since",
                               "action"}


def test_status_of_a_stopped_authority_is_bad_and_says_what_to_do(run, ours):
    ours.stop()
    done = run("status", "-d", ours.data)
    assert done.returncode == 3
    assert "BAD" in done.stdout and "is meshcert-ca running" in done.stdout
