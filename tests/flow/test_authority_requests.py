"""What may be asked for, and how large and how late a request may be."""

import grpc
import pytest
from cryptography import x509
from support import pki, rpc
from support.process import until

CODE = grpc.StatusCode
URI = "spiffe://cluster.local/ns/shop/sa/cart"
OTHER = "spiffe://cluster.local/ns/kube-system/sa/admin"


def ask(one, csr=None, token=True, channel_args=None, **more):
    """The leaf, or (code, text)."""
    if token is True:
        token = one.issuer.token("shop", "cart")
    with one.channel(**(channel_args or {})) as channel:
        try:
            chain = rpc.create_certificate(
                channel, csr or pki.new_csr(pki.new_key()),
                token=token or None, **more)
        except grpc.RpcError as why:
            return why.code(), why.details()
    return pki.load_all(chain[0])[0]


def refused(found, text):
    code, details = found
    assert code == CODE.INVALID_ARGUMENT
    assert details.startswith("CSR signing error (")
    assert text in details
    return True


# -- times


@pytest.mark.parametrize("seconds", [-1, -(1 << 63), (1 << 63) - 1,
                                     9223372037])
def test_a_negative_or_overflowing_life_is_an_error(ours, seconds):
    assert refused(ask(ours, seconds=seconds), "TTL")


def test_the_longest_life_is_granted_and_one_second_more_is_not(make_ours):
    one = make_ours({"cert.max_ttl": "2h", "cert.default_ttl": "1h"}).start()
    leaf = ask(one, seconds=7200)
    span = leaf.not_valid_after_utc - leaf.not_valid_before_utc
    assert abs(span.total_seconds() - 7320) <= 1
    assert ask(one, seconds=7201) == (
        CODE.INVALID_ARGUMENT,
        "CSR signing error (requested TTL 2h0m1s is greater than the max "
        "allowed TTL 2h0m0s)")
    leaf = ask(one, seconds=0)
    span = leaf.not_valid_after_utc - leaf.not_valid_before_utc
    assert abs(span.total_seconds() - 3720) <= 1


# -- names


@pytest.mark.parametrize("names", [
    {"uris": [OTHER]}, {"uris": [URI, OTHER]},
    {"uris": [URI], "dns": ["kubernetes.default.svc"]},
    {"dns": ["kubernetes.default.svc"]}], ids=str)
def test_a_csr_that_asks_for_other_names_is_refused(ours, names):
    assert refused(ask(ours, pki.new_csr(pki.new_key(), **names)), "CSR")


def test_the_refusal_names_both_identities(ours):
    _, text = ask(ours, pki.new_csr(pki.new_key(), uris=[OTHER]))
    assert URI in text and OTHER in text


@pytest.mark.parametrize("names", [
    {"uris": [OTHER]}, {"uris": [URI, OTHER]},
    {"dns": ["kubernetes.default.svc"]}], ids=str)
def test_where_wishes_are_ignored_only_the_callers_name_is_signed(
        make_ours, names):
    one = make_ours({"csr.san": "ignore"}).start()
    leaf = ask(one, pki.new_csr(pki.new_key(), **names))
    found = leaf.extensions.get_extension_for_class(
        x509.SubjectAlternativeName).value
    assert [name.value for name in found] == [URI]


def test_a_subject_is_never_taken_over(ours):
    csr = pki.new_csr(pki.new_key(), subject=[
        (pki.NameOID.COMMON_NAME, "admin"),
        (pki.NameOID.ORGANIZATION_NAME, "system:masters")])
    assert ask(ours, csr).subject.rdns == []


def test_a_csr_that_asks_to_be_a_ca_gets_a_leaf(ours):
    key = pki.new_key()
    csr = x509.CertificateSigningRequestBuilder() \
        .subject_name(x509.Name([])) \
        .add_extension(x509.BasicConstraints(True, 0), True) \
        .sign(key, pki.hash_for(key)) \
        .public_bytes(pki.serialization.Encoding.PEM).decode()
    found = ask(ours, csr)
    if isinstance(found, tuple):
        assert found[0] == CODE.INVALID_ARGUMENT
    else:
        assert not found.extensions.get_extension_for_class(
            x509.BasicConstraints).value.ca


# -- the leaf


@pytest.mark.parametrize("kind,encipherment", [("p256", False),
                                               ("rsa2048", True)])
def test_the_leaf_is_as_istios_but_for_what_is_better(ours, kind,
                                                      encipherment):
    leaf = ask(ours, pki.new_csr(pki.new_key(kind)))
    find = leaf.extensions.get_extension_for_class
    usage = find(x509.KeyUsage)
    assert usage.critical and usage.value.digital_signature
    assert usage.value.key_encipherment == encipherment
    assert list(find(x509.ExtendedKeyUsage).value) == [
        pki.ExtendedKeyUsageOID.SERVER_AUTH,
        pki.ExtendedKeyUsageOID.CLIENT_AUTH]
    basic = find(x509.BasicConstraints)
    assert basic.critical and not basic.value.ca
    assert find(x509.SubjectAlternativeName).critical
    root = pki.load_all(ours.root_pem())[0]
    assert find(x509.AuthorityKeyIdentifier).value.key_identifier == \
        root.extensions.get_extension_for_class(
            x509.SubjectKeyIdentifier).value.digest
    assert find(x509.SubjectKeyIdentifier)
    assert len(leaf.extensions) == 6


def test_serials_grow_are_positive_and_19_octets_long(ours):
    serials = [ask(ours).serial_number for _ in range(5)]
    assert serials == sorted(serials)
    assert all(0 < s < 1 << (19 * 8 - 1) for s in serials)
    assert all(s >= 1 << (17 * 8) for s in serials)
    assert len({s & ((1 << 104) - 1) for s in serials}) == 5


# -- keys


@pytest.mark.parametrize("kind", ["p521", "rsa1024", "ed25519"])
def test_other_keys_are_refused(ours, kind):
    assert refused(ask(ours, pki.new_csr(pki.new_key(kind))), "")


def test_ed25519_is_certified_where_it_is_allowed(make_ours):
    one = make_ours({"csr.allow_ed25519": True}).start()
    key = pki.new_key("ed25519")
    assert ask(one, pki.new_csr(key)).public_key() == key.public_key()


def test_the_shortest_rsa_key_is_configuration(make_ours):
    one = make_ours({"csr.rsa_bits_min": 3072}).start()
    assert refused(ask(one, pki.new_csr(pki.new_key("rsa2048"))), "3072")


# -- client certificates


def identity(ca, uris=(URI,), **more):
    key = pki.new_key()
    cert = ca.issue(key, uris=list(uris), **more)
    return {"cert": pki.cert_pem(cert) + ca.chain_pem(),
            "key": pki.key_pem(key)}


def plugged(make_ours, ca, **config):
    one = make_ours(config)
    folder = ca.write_cacerts(one.folder / "cacerts")
    one.config.update({"issuer.kind": "files", "issuer.dir": str(folder)})
    return one.start()


@pytest.fixture
def ca():
    return pki.TestCA("issuing", parent=pki.TestCA("root"))


def test_a_client_certificate_renews_its_own_identity(make_ours, ca):
    one = plugged(make_ours, ca)
    leaf = ask(one, token=None, channel_args=identity(ca))
    assert pki.uri_of(leaf) == URI
    assert refused(ask(one, pki.new_csr(pki.new_key(), uris=[OTHER]),
                       token=None, channel_args=identity(ca)), OTHER)


@pytest.mark.parametrize("what", ["foreign", "expired", "trust domain",
                                  "no identity", "two identities"])
def test_a_client_certificate_that_proves_nothing_is_refused(
        make_ours, ca, what):
    one = plugged(make_ours, ca)
    shown = {
        "foreign": lambda: identity(pki.TestCA("foreign")),
        "expired": lambda: identity(ca, seconds=-60, backdate=3600),
        "trust domain": lambda: identity(ca, ["spiffe://other.example/x"]),
        "no identity": lambda: identity(ca, [], dns=["host"]),
        "two identities": lambda: identity(ca, [URI, OTHER]),
    }[what]()
    code, _ = ask(one, token=None, channel_args=shown)
    # Either the handshake fails or the caller is nobody.
    assert code in (CODE.UNAUTHENTICATED, CODE.UNAVAILABLE)


def test_a_certificate_that_ends_while_connected_counts_no_more(
        make_ours, ca):
    one = plugged(make_ours, ca)
    with one.channel(**identity(ca, seconds=3)) as channel:
        csr = pki.new_csr(pki.new_key())
        assert rpc.create_certificate(channel, csr)

        def code():
            try:
                rpc.create_certificate(channel, csr)
            except grpc.RpcError as why:
                return why.code()
            return None
        assert until(code, "it had expired", 10) == CODE.UNAUTHENTICATED


def test_the_order_of_authenticators_is_configuration(make_ours, ca):
    one = plugged(make_ours, ca, **{"auth.order": ["jwt"]})
    assert ask(one, token=None, channel_args=identity(ca))[0] == \
        CODE.UNAUTHENTICATED
    assert pki.uri_of(ask(one)) == URI


def test_a_bad_token_beside_a_good_certificate_does_no_harm(make_ours, ca):
    one = plugged(make_ours, ca)
    leaf = ask(one, token="x.y.z", channel_args=identity(ca))
    assert pki.uri_of(leaf) == URI


# -- bounds


def nested(depth):
    struct = rpc.message("google.protobuf.Struct")()
    at = struct
    for _ in range(depth):
        entry = at.fields.add()
        entry.key = "a"
        at = entry.value.struct_value
    return struct


def raw_request(one, request):
    with one.channel() as channel:
        call = channel.unary_unary(
            rpc.CA_METHOD, request_serializer=None,
            response_deserializer=None)
        try:
            call(request, timeout=10, metadata=[
                ("authorization", "Bearer " + one.issuer.token())])
        except grpc.RpcError as why:
            return why.code()
    return CODE.OK


def request_with(struct):
    made = rpc.message("istio.v1.auth.IstioCertificateRequest")(
        csr=pki.new_csr(pki.new_key()))
    made.metadata.CopyFrom(struct)
    return made.SerializeToString()


def test_the_nesting_of_metadata_is_bounded(ours):
    assert raw_request(ours, request_with(nested(3))) == CODE.OK
    assert raw_request(ours, request_with(nested(30))) == \
        CODE.INVALID_ARGUMENT


def test_the_number_of_metadata_fields_is_bounded(ours):
    struct = rpc.message("google.protobuf.Struct")()
    rpc.set_struct(struct, {f"k{i}": "v" for i in range(20)})
    assert raw_request(ours, request_with(struct)) == CODE.OK
    rpc.set_struct(struct, {f"n{i}": "v" for i in range(2000)})
    assert raw_request(ours, request_with(struct)) == CODE.INVALID_ARGUMENT


@pytest.mark.parametrize("raw", [b"\xff", b"\x0a\xff\xff\xff\xff\x0f",
                                 b"\x0a\x05abc", b""])
def test_a_message_that_is_no_request_is_refused(ours, raw):
    assert raw_request(ours, raw) == CODE.INVALID_ARGUMENT


def test_the_longest_request_is_configuration(make_ours):
    one = make_ours({"limit.message": "4k"}).start()
    pad = " " * 5000
    assert ask(one, pki.new_csr(pki.new_key()) + pad)[0] == \
        CODE.RESOURCE_EXHAUSTED
    wide = make_ours({"limit.message": "1M"}, name="wide").start()
    leaf = ask(wide, metadata={"note": "x" * 100000})
    assert pki.uri_of(leaf) == URI


def test_headers_are_bounded_and_others_go_on(ours):
    with ours.channel() as channel:
        with pytest.raises(grpc.RpcError):
            rpc.create_certificate(channel, pki.new_csr(pki.new_key()),
                                   headers=[("x-long", "y" * 60000)])
        assert rpc.create_certificate(
            channel, pki.new_csr(pki.new_key()),
            token=ours.issuer.token())


def test_a_refused_caller_learns_the_id_under_which_the_cause_is_logged(ours):
    with ours.channel() as channel, pytest.raises(grpc.RpcError) as caught:
        rpc.create_certificate(channel, pki.new_csr(pki.new_key()))
    sent = dict(caught.value.trailing_metadata())
    ours.process.await_line(f"request={sent['x-request-id']} .*nothing says "
                            "who the caller is")
