"""Tokens that must not name a caller. Outside all of them look the same; the
cause is in the log, under the request id that the caller got. None of them
changes anything.

A class has an authority of its own: the log writes some twenty warnings of one
kind in ten seconds, and each cause is looked for."""

import base64
import json
import time

import grpc
import jwt
import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.utils import \
    encode_dss_signature
from support import net, pki, rpc, tokens
from support.meshcert import check_books, record_count, shared_authority
from support.process import until

CODE = grpc.StatusCode
REFUSED = (CODE.UNAUTHENTICATED, "request authenticate failure")
B64 = tokens.b64url


@pytest.fixture(scope="class")
def one(build):
    with shared_authority(build, "RS256", "ES256", "ES384", "EdDSA") as made:
        yield made
        # Nobody was known: the authority behind the front heard of none.
        code, chain, _ = ask(made, make(made.issuer))
        assert code == CODE.OK
        check_books(made, pki.load_all(chain[0])[0].serial_number, [], [])


def text(value):
    return B64(value if isinstance(value, bytes)
               else json.dumps(value).encode())


def sign(issuer, kid, message):
    """Signs as the algorithm of that key says."""
    alg, key = issuer.keys[kid]
    return jwt.algorithms.get_default_algorithms()[alg].sign(message, key)


def make(issuer, header=None, claims=None, kid="RS256", signature=None):
    """A token whose parts may be wrong, signed well all the same."""
    head = {"alg": issuer.keys[kid][0], "kid": kid, "typ": "JWT"}
    if isinstance(header, dict):
        head = {k: v for k, v in {**head, **header}.items()
                if v is not None}
        header = None
    if claims is None or isinstance(claims, dict):
        claims = issuer.claims("shop", "cart", **(claims or {}))
    signed = f"{text(header or head)}.{text(claims)}".encode()
    made = sign(issuer, kid, signed)
    if signature is not None:
        made = signature(made)
    tail = made if isinstance(made, str) else B64(made)
    return f"{signed.decode()}.{tail}"


def ask(one, token, headers=()):
    """(code, text, request id); (OK, chain, None)."""
    with one.channel() as channel:
        try:
            return CODE.OK, rpc.create_certificate(
                channel, pki.new_csr(pki.new_key()), token=token,
                headers=headers), None
        except grpc.RpcError as why:
            return why.code(), why.details(), dict(
                why.trailing_metadata()).get("x-request-id")


def state(one):
    return record_count(one), net.metric(
        one.metrics(), "citadel_server_success_cert_issuance_count")


def is_refused(one, token, cause, headers=()):
    """Says nothing outside, the cause inside, and changes nothing."""
    before = state(one)
    failures = net.metric(one.metrics(),
                          "citadel_server_authentication_failure_count") or 0
    code, details, request = ask(one, token, headers)
    assert (code, details) == REFUSED
    line = one.process.await_line(f"request={request} .*").string
    assert cause in line
    for part in (token or "").split("."):
        assert len(part) < 16 or part not in line
    assert state(one) == before
    assert net.metric(
        one.metrics(),
        "citadel_server_authentication_failure_count") == failures + 1


def table(rows):
    return pytest.mark.parametrize("token,cause", rows.values(),
                                   ids=list(rows))


# -- headers


def hmac(issuer, secret):
    """HS256 with what is public of the RSA key as its secret: libraries that
    let the token choose have taken it."""
    signed = f'{text({"alg": "HS256", "kid": "RS256"})}.' \
             f'{text(issuer.claims("shop", "cart"))}'
    made = jwt.algorithms.HMACAlgorithm(
        jwt.algorithms.HMACAlgorithm.SHA256)
    return f"{signed}.{B64(made.sign(signed.encode(), secret))}"


def public_pem(issuer):
    return issuer.keys["RS256"][1].public_key().public_bytes(
        serialization.Encoding.PEM,
        serialization.PublicFormat.SubjectPublicKeyInfo)


def own_key(issuer, **header):
    """Signed by a key that the token itself brings."""
    other = tokens.Issuer("RS256", issuer=issuer.issuer)
    return make(other, header=header)


def own_jwk(issuer):
    other = tokens.Issuer("RS256", issuer=issuer.issuer)
    return make(other, {"jwk": json.loads(other.jwks())["keys"][0]})


def pss(issuer):
    head = text({"alg": "PS256", "kid": "RS256"})
    signed = f'{head}.{text(issuer.claims("shop", "cart"))}'
    made = issuer.keys["RS256"][1].sign(
        signed.encode(), padding.PSS(padding.MGF1(hashes.SHA256()), 32),
        hashes.SHA256())
    return f"{signed}.{B64(made)}"


ALGS = '"alg" is none of RS256'
UNKNOWN = 'its key ("kid") is not among the 4 keys'
NO_KID = '"kid" is no printable text'
HEADERS = {
    "none": (lambda i: make(i, {"alg": "none"}, signature=lambda s: b""),
             "not three parts"),
    "none with something for a signature": (
        lambda i: make(i, {"alg": "none"}), ALGS),
    "none in other letters": (lambda i: make(i, {"alg": "nOnE"}), ALGS),
    "HS256 with the public key": (lambda i: hmac(i, public_pem(i)), ALGS),
    "HS256 with the key set": (lambda i: hmac(i, i.jwks().encode()), ALGS),
    "RS1": (lambda i: make(i, {"alg": "RS1"}), ALGS),
    "no alg": (lambda i: make(i, {"alg": None}), 'header has no "alg"'),
    "a number": (lambda i: make(i, {"alg": 256}), "alg"),
    "of another kind of key": (
        lambda i: make(i, {"kid": "ES256"}),
        '"alg" RS256 is not for the key that the token names'),
    "PSS with a key that is for PKCS#1": (
        pss, '"alg" PS256 is not for the key that the token names'),
    "kid: a path": (lambda i: make(i, {"kid": "../../../../dev/null"}),
                    UNKNOWN),
    "kid: SQL": (lambda i: make(i, {"kid": "x' UNION SELECT 'y"}), UNKNOWN),
    "kid: a number": (lambda i: make(i, {"kid": 1}), NO_KID),
    "kid: empty": (lambda i: make(i, {"kid": ""}), NO_KID),
    "kid: with a NUL": (lambda i: make(i, {"kid": "RS256\0"}), ""),
    "kid: 256 bytes": (lambda i: make(i, {"kid": "k" * 256}), NO_KID),
}
BRINGS = {
    "jwk": (own_jwk, 'header has "jwk"'),
    "jku": (lambda i: own_key(i, jku="http://127.0.0.1:1/keys"),
            'header has "jku"'),
    "x5u": (lambda i: own_key(i, x5u="http://127.0.0.1:1/cert"),
            'header has "x5u"'),
    "x5c": (lambda i: own_key(i, x5c=["MIIB"]), 'header has "x5c"'),
    "crit": (lambda i: make(i, {"crit": ["exp"]}), 'header has "crit"'),
    "b64": (lambda i: make(i, {"crit": ["b64"], "b64": False}),
            'header has "crit"'),
    "no JSON": (lambda i: make(i, header=b"{alg"), "header is not one JSON"),
    "two algs": (lambda i: make(
        i, header=b'{"alg":"RS256","kid":"RS256","alg":"none"}'),
        "header is not one JSON object without duplicates"),
    "an array": (lambda i: make(i, header=b'["RS256"]'),
                 "header is not one JSON object"),
    "five parts": (lambda i: make(i) + ".a.b", "not three parts"),
    "two parts": (lambda i: make(i).rsplit(".", 1)[0], "not three parts"),
    "no parts": (lambda i: "a", "not three parts"),
    "nested deeply": (lambda i: make(
        i, header=b'{"alg":"RS256","x":' + b"[" * 3000 + b"]" * 3000 + b"}"),
        "header is not one JSON"),
}


class TestAlgorithmsAndKeyNames:
    @table(HEADERS)
    def test_of_these_nobody_is_known(self, one, token, cause):
        is_refused(one, token(one.issuer), cause)

    @pytest.mark.parametrize("kid", ["RS256", "ES256", "ES384", "EdDSA"])
    def test_of_these_the_caller_is(self, one, kid):
        assert ask(one, make(one.issuer, kid=kid))[0] == CODE.OK


class TestWhatTokensBring:
    @table(BRINGS)
    def test_it_counts_for_nothing(self, one, token, cause):
        is_refused(one, token(one.issuer), cause)


# -- claims


def claims(**change):
    return lambda i: make(i, claims=change)


def at(**shift):
    """Dates, in seconds from now."""
    return lambda i: make(i, claims={name: int(time.time()) + seconds
                                     for name, seconds in shift.items()})


OTHERS = "name different service accounts"
NONE = "names none of the 1 configured issuers"
ACCOUNT = "the token names no service account"
CLAIMS = {
    "no exp": (claims(exp=None), 'no "exp"'),
    "exp as text": (claims(exp="2999-01-01"), '"exp" is no date'),
    "exp that is negative": (claims(exp=-1), '"exp" is no date'),
    "exp beyond all dates": (claims(exp=1 << 62), '"exp" is no date'),
    "one second later than clocks may differ": (
        at(exp=-11, nbf=-100, iat=-100), "expired at"),
    "nbf in the future": (at(nbf=600), "not valid before"),
    "iat in the future": (at(iat=600), "issued in the future"),
    "no aud": (claims(aud=None), '"aud" is missing'),
    "another aud": (claims(aud=["vault"]), '"aud" is for somebody else'),
    "aud with a longer name": (claims(aud="istio-ca2"),
                               '"aud" is for somebody else'),
    "aud without any": (claims(aud=[]), '"aud" is for somebody else'),
    "aud as a number": (claims(aud=1), '"aud" is'),
    "another cluster": (claims(iss="https://other.test.example"),
                        NONE),
    "no iss": (claims(iss=None), NONE),
    "iss with a slash more": (claims(iss=tokens.ISSUER + "/"),
                              NONE),
    "not one JSON object": (lambda i: make(i, claims=b"[1]"),
                            "claims is not one JSON"),
    "two subs": (lambda i: make(
        i, claims=json.dumps(i.claims("shop", "cart"))[:-1].encode() +
        b',"sub":"system:serviceaccount:kube-system:admin"}'),
        "without duplicates"),
}
SUBS = {
    "a user": (claims(sub="alice"), ACCOUNT),
    "no sub": (claims(sub=None), ACCOUNT),
    "sub as a list": (claims(sub=["system:serviceaccount:shop:cart"]),
                      ACCOUNT),
    "another account than the claim": (
        claims(sub="system:serviceaccount:shop:admin"), OTHERS),
    "another namespace than the claim": (
        claims(sub="system:serviceaccount:kube-system:cart"), OTHERS),
    **{f"a name with {what}": (
        claims(**{"sub": f"system:serviceaccount:{space}:{name}",
                  "kubernetes.io": None}), "SPIFFE ID")
       for what, space, name in (
           ("a slash", "shop", "a/b"), ("no letter", "shop", ""),
           ("dots", "..", "cart"), ("a colon", "shop", "a:b"),
           ("a NUL", "shop", "a\0"), ("a capital host", "sh%6fp", "a"),
           ("2,100 bytes", "shop", "a" * 2100))},
}


class TestClaims:
    @table(CLAIMS)
    def test_these_are_for_nobody(self, one, token, cause):
        is_refused(one, token(one.issuer), cause)


class TestSubjects:
    @table(SUBS)
    def test_these_are_nobody(self, one, token, cause):
        is_refused(one, token(one.issuer), cause)

    def test_a_second_late_is_within_what_clocks_may_differ(self, one):
        assert ask(one, at(exp=-1, nbf=-100, iat=-100)(one.issuer))[0] == \
            CODE.OK

    def test_a_token_for_several_audiences_is_for_us_too(self, one):
        assert ask(one, make(one.issuer, claims={
            "aud": ["vault", "istio-ca"]}))[0] == CODE.OK


# -- signatures


def es256(change):
    return lambda i: make(i, kid="ES256", signature=change)


def as_der(raw):
    return encode_dss_signature(
        int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))


def by_a_stranger(issuer, kid):
    return make(tokens.Issuer(kid, issuer=issuer.issuer), kid=kid)


def with_other_claims(issuer):
    head, _, tail = make(issuer).split(".")
    return f'{head}.{text(issuer.claims("kube-system", "admin"))}.{tail}'


def unused_bits(raw):
    """The same bytes for readers that pass over unused bits."""
    made = B64(raw)
    letters = ("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
               "0123456789-_")
    assert base64.urlsafe_b64decode(made[:-1] + letters[
        letters.index(made[-1]) + 1] + "==") == raw
    return made[:-1] + letters[letters.index(made[-1]) + 1]


ORDER = bytes.fromhex("ffffffff00000000ffffffffffffffff"
                      "bce6faada7179e84f3b9cac2fc632551")
BAD = "signature does not verify"
FORM = "signature is not base64url"
SIGNATURES = {
    "none at all": (es256(lambda s: b""), "not three parts"),
    "r and s of zeros": (es256(lambda s: bytes(64)), BAD),
    "r and s of the order": (es256(lambda s: ORDER + ORDER), BAD),
    "s of zeros": (es256(lambda s: s[:32] + bytes(32)), BAD),
    "DER": (es256(as_der), BAD),
    "a byte more in front": (es256(lambda s: b"\0" + s), BAD),
    "a byte more in both": (
        es256(lambda s: b"\0" + s[:32] + b"\0" + s[32:]), BAD),
    "a byte behind": (es256(lambda s: s + b"\0"), BAD),
    "a byte less": (es256(lambda s: s[:-1]), BAD),
    "a bit changed": (es256(lambda s: s[:-1] + bytes([s[-1] ^ 1])), BAD),
    "r and s swapped": (es256(lambda s: s[32:] + s[:32]), BAD),
    "padding": (es256(lambda s: B64(s) + "=="), FORM),
    "unused bits": (es256(unused_bits), FORM),
    "the other alphabet": (
        es256(lambda s: base64.b64encode(b"\xff" * 64).decode()), FORM),
    "a stranger's, ES256": (lambda i: by_a_stranger(i, "ES256"), BAD),
}
MORE = {
    "a stranger's, RS256": (lambda i: by_a_stranger(i, "RS256"), BAD),
    "a stranger's, EdDSA": (lambda i: by_a_stranger(i, "EdDSA"), BAD),
    "RSA, a byte more": (lambda i: make(
        i, signature=lambda s: b"\0" + s), BAD),
    "RSA, of other claims": (with_other_claims, BAD),
    "RSA, another digest": (lambda i: make(i, signature=lambda s: i.keys[
        "RS256"][1].sign(b"x", padding.PKCS1v15(), hashes.SHA512())), BAD),
    "Ed25519, a byte less": (lambda i: make(
        i, kid="EdDSA", signature=lambda s: s[:-1]), BAD),
    "17,000 bytes": (lambda i: make(i, claims={"pad": "x" * 12800}),
                     "at most 16384 are taken"),
}


class TestSignaturesOfES256:
    @table(SIGNATURES)
    def test_these_prove_nothing(self, one, token, cause):
        is_refused(one, token(one.issuer), cause)


class TestOtherSignatures:
    @table(MORE)
    def test_these_prove_nothing(self, one, token, cause):
        is_refused(one, token(one.issuer), cause)

    def test_another_scheme_is_no_token(self, one):
        is_refused(one, None, "does not begin with",
                   [("authorization", "Basic " + make(one.issuer))])

    def test_of_two_tokens_none_counts(self, one):
        token = make(one.issuer)
        is_refused(one, None, "2 authorization headers",
                   [("authorization", "Bearer " + token)] * 2)

    def test_a_token_of_1_mb_never_gets_to_a_parser(self, one):
        before = state(one)
        code, _, _ = ask(one, make(one.issuer, claims={"pad": "x" * 750000}))
        assert code not in (CODE.OK, CODE.INTERNAL)
        assert state(one) == before
        assert ask(one, make(one.issuer))[0] == CODE.OK


# -- keys that change


def test_a_key_that_was_taken_back_signs_for_nobody(make_ours):
    """Also for those whose token was taken, and is remembered, before."""
    one = make_ours().start()
    old = make(one.issuer)
    assert ask(one, old)[0] == CODE.OK
    del one.issuer.keys["RS256"]
    one.issuer.add_key("RS256", kid="new")
    (one.folder / "jwks-0").write_text(one.issuer.jwks())
    assert until(lambda: ask(one, old)[0] != CODE.OK and ask(one, old)[:2],
                 "the key was gone", 20, one.process) == REFUSED
    assert ask(one, make(one.issuer, kid="new"))[0] == CODE.OK
