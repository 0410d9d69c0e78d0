"""What a gRPC client in Python sees of the authority. tests/peer runs the same
tests against Istio's: a caller cannot tell the two apart."""

import grpc
import pytest
from support import pki, rpc

URI = "spiffe://cluster.local/ns/shop/sa/cart"
REFUSED = (grpc.StatusCode.UNAUTHENTICATED, "request authenticate failure")


def csr_of(kind="p256", **more):
    key = pki.new_key(kind)
    return key, pki.new_csr(key, **{"uris": [URI], **more})


def refusal(authority, csr=None, **more):
    """(code, text) of a call that must fail."""
    with authority.channel() as channel, \
            pytest.raises(grpc.RpcError) as caught:
        rpc.create_certificate(channel, csr or csr_of()[1], **more)
    return caught.value.code(), caught.value.details()


def own_token(authority):
    return authority.issuer.token("shop", "cart")


def issue(authority, csr, **more):
    with authority.channel() as channel:
        return rpc.create_certificate(channel, csr,
                                      token=own_token(authority), **more)


def test_the_answer_has_the_shape_that_agents_read(authority):
    key, csr = csr_of()
    chain = issue(authority, csr, metadata={"CertSigner": ""})
    assert len(chain) == 2
    assert all(entry.endswith("\n") for entry in chain)
    (leaf,), roots = pki.load_all(chain[0]), pki.load_all(chain[-1])
    leaf.verify_directly_issued_by(roots[0])
    assert leaf.public_key() == key.public_key()
    assert pki.uri_of(leaf) == URI
    assert leaf.extensions.get_extension_for_class(
        pki.x509.SubjectAlternativeName).critical
    assert leaf.subject.rdns == []
    assert roots == pki.load_all(authority.root_pem())


@pytest.mark.parametrize("kind", ["p256", "p384", "rsa2048"])
def test_the_usual_keys_are_certified(authority, kind):
    key, csr = csr_of(kind)
    leaf = pki.load_all(issue(authority, csr)[0])[0]
    assert leaf.public_key() == key.public_key()


def test_the_empty_organization_of_pilot_agent_is_taken(authority):
    _, csr = csr_of(subject=[(pki.NameOID.ORGANIZATION_NAME, "")])
    leaf = pki.load_all(issue(authority, csr)[0])[0]
    assert leaf.subject.rdns == []


def test_a_csr_without_names_gets_the_callers_identity(authority):
    _, csr = csr_of(uris=[])
    assert pki.uri_of(pki.load_all(issue(authority, csr)[0])[0]) == URI


@pytest.mark.parametrize("seconds,life", [(0, 86400), (600, 600)])
def test_the_life_is_what_was_asked_or_the_default(authority, seconds, life):
    _, csr = csr_of()
    leaf = pki.load_all(issue(authority, csr, seconds=seconds)[0])[0]
    span = leaf.not_valid_after_utc - leaf.not_valid_before_utc
    assert abs(span.total_seconds() - life - 120) <= 2


def test_a_renewal_needs_no_token_but_the_last_certificate(authority):
    key, csr = csr_of()
    chain = issue(authority, csr)
    _, again = csr_of()
    with authority.channel(cert="".join(chain[:-1]),
                           key=pki.key_pem(key)) as channel:
        renewed = rpc.create_certificate(channel, again)
    assert pki.uri_of(pki.load_all(renewed[0])[0]) == URI


def test_without_any_credential_the_caller_is_refused(authority):
    assert refusal(authority) == REFUSED


def test_bad_tokens_are_refused_without_saying_why(authority):
    good = authority.issuer.token
    stranger = type(authority.issuer)("RS256",
                                      issuer=authority.issuer.issuer)
    bad = {
        "expired": good(exp=1, iat=0, nbf=0),
        "for another audience": good(aud=["else"]),
        "of another issuer": good(iss="https://else.example"),
        "signed by a stranger": stranger.token(),
        "without a signature": good().rsplit(".", 1)[0] + ".",
        "not a service account": good(sub="alice"),
        "no token at all": "x.y.z",
    }
    found = {what: refusal(authority, token=token)
             for what, token in bad.items()}
    assert found == dict.fromkeys(bad, REFUSED)


@pytest.mark.parametrize("csr", [
    "nonsense", "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n"
    "-----END CERTIFICATE REQUEST-----\n"], ids=["text", "empty"])
def test_a_csr_that_is_none_is_the_callers_fault(authority, csr):
    code, text = refusal(authority, csr,
                         token=own_token(authority))
    assert code == grpc.StatusCode.INVALID_ARGUMENT
    assert text.startswith("CSR signing error (")


def test_a_csr_signed_with_another_key_is_refused(authority):
    code, text = refusal(authority, pki.spoiled(csr_of()[1]),
                         token=own_token(authority))
    assert code == grpc.StatusCode.INVALID_ARGUMENT
    assert text.startswith("CSR signing error (")


def test_a_life_above_the_maximum_is_refused_with_istios_text(authority):
    code, text = refusal(authority, token=own_token(authority),
                         seconds=8000000)
    assert code == grpc.StatusCode.INVALID_ARGUMENT
    assert text == ("CSR signing error (requested TTL 2222h13m20s is greater "
                    "than the max allowed TTL 2160h0m0s)")


def test_impersonation_is_refused_where_nobody_may(authority):
    assert refusal(authority, token=own_token(authority),
                   metadata={"ImpersonatedIdentity": URI}) == \
        (grpc.StatusCode.UNAUTHENTICATED,
         "request impersonation authentication failure")


def test_an_unknown_method_is_unimplemented(authority):
    with authority.channel() as channel, \
            pytest.raises(grpc.RpcError) as caught:
        channel.unary_unary("/istio.v1.auth.IstioCertificateService/Nope")(
            b"", timeout=10)
    assert caught.value.code() == grpc.StatusCode.UNIMPLEMENTED
