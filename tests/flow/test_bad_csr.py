"""Requests that must not become certificates, each with the text that names
what was wrong. None of them changes anything, and the next good one is
served."""

import hashlib
import math

import grpc
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from support import der, net, pki, rpc
from support.meshcert import check_books, record_count, shared_authority

CODE = grpc.StatusCode
ID = b"spiffe://cluster.local/ns/shop/sa/cart"
KEY = pki.new_key()
OTHER = pki.new_key()
EC_PUBLIC = "1.2.840.10045.2.1"
P256 = "1.2.840.10045.3.1.7"
CURVE_P = 2**256 - 2**224 + 2**192 + 2**96 - 1


def good(*attributes, **more):
    return der.csr(KEY, *attributes, **more)


def asks(*extensions):
    return good(der.asks_for(*extensions))


def uri(text):
    return asks(der.san((der.URI, text)))


# -- keys


def ec_spki(params, point):
    return der.seq(der.seq(der.oid(EC_PUBLIC), params), der.bits(point))


def point(key=KEY):
    n = key.public_key().public_numbers()
    return b"\x04" + n.x.to_bytes(32, "big") + n.y.to_bytes(32, "big")


def off_curve():
    raw = bytearray(point())
    raw[-1] ^= 1
    return ec_spki(der.oid(P256), bytes(raw))


def explicit_parameters():
    base = bytes.fromhex(
        "046b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296"
        "4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5")
    order = int("ffffffff00000000ffffffffffffffff"
                "bce6faada7179e84f3b9cac2fc632551", 16)
    b = bytes.fromhex("5ac635d8aa3a93e7b3ebbd55769886bc"
                      "651d06b0cc53b0f63bce3c3e27d2604b")
    return ec_spki(der.seq(
        der.integer(1),
        der.seq(der.oid("1.2.840.10045.1.1"), der.integer(CURVE_P)),
        der.seq(der.octets((CURVE_P - 3).to_bytes(32, "big")),
                der.octets(b)),
        der.octets(base), der.integer(order), der.integer(1)), point())


def rsa_spki(n, e):
    return der.seq(der.seq(der.oid("1.2.840.113549.1.1.1"), der.NULL),
                   der.bits(der.seq(der.integer(n), der.integer(e))))


def rsa_key(size, exponent=65537):
    return rsa.generate_private_key(exponent, size)


def rsa_csr_with(e):
    """The modulus of a real key: only the exponent is bad."""
    key = rsa_key(2048)
    return der.csr(key, spki=rsa_spki(key.public_key().public_numbers().n, e))


def forged_rsa_e1():
    """With the exponent 1 the padded digest is its own signature."""
    n = rsa_key(2048).public_key().public_numbers().n
    info = der.seq(b"\x02\x01\x00", der.seq(), rsa_spki(n, 1),
                   der.tlv(0xa0))
    prefix = bytes.fromhex("3031300d060960864801650304020105000420")
    block = prefix + hashlib.sha256(info).digest()
    forged = b"\x00\x01" + b"\xff" * (256 - 3 - len(block)) + b"\x00" + block
    return der.seq(info, der.seq(der.oid(der.RSA_SHA256), der.NULL),
                   der.bits(forged))


def roca():
    """A whole key as the broken generator of ROCA (CVE-2017-15361) made it,
    so that all but its form is right: p = k M + (65537^a mod M)."""
    product = math.prod(p for p in range(2, 702)
                        if all(p % d for d in range(2, int(p**0.5) + 1)))

    def prime(exponent):
        n = pow(65537, exponent, product)
        n += ((3 << 1022) // product + 1) * product
        while any(pow(base, n - 1, n) != 1 for base in (2, 3, 5, 7)):
            n += product
        return n

    p, q = prime(123456789), prime(987654321)
    d = pow(65537, -1, (p - 1) * (q - 1))
    return der.csr(rsa.RSAPrivateNumbers(
        p, q, d, d % (p - 1), d % (q - 1), pow(q, -1, p),
        rsa.RSAPublicNumbers(65537, p * q)).private_key())


def weak_ed25519():
    """The neutral point: zeros are its signature of everything."""
    info = der.seq(b"\x02\x01\x00", der.seq(), der.seq(
        der.seq(der.oid(der.ED25519)), der.bits(b"\x01" + bytes(31))),
        der.tlv(0xa0))
    return der.seq(info, der.seq(der.oid(der.ED25519)),
                   der.bits(b"\x01" + bytes(63)))


PROOF = "no proof that the caller has the private key"
KEYS = {
    "signed by another key": (lambda: der.csr(
        OTHER, spki=der.spki_of(KEY)), PROOF),
    "the signature is empty": (lambda: good(signature=b""), PROOF),
    "the signature is of zeros": (lambda: good(
        signature=der.seq(der.integer(0), der.integer(0))), PROOF),
    "the signature is r||s": (lambda: good(signature=bytes(64)), PROOF),
    "P-224": (lambda: der.csr(ec.generate_private_key(ec.SECP224R1())),
              "1.2.840.10045.2.1, or its parameters, are not supported"),
    "P-521": (lambda: der.csr(pki.new_key("p521")), "a P-521 key"),
    "secp256k1": (lambda: der.csr(ec.generate_private_key(ec.SECP256K1())),
                  "1.2.840.10045.2.1, or its parameters, are not supported"),
    "P-256 with explicit parameters": (
        lambda: good(spki=explicit_parameters()),
        "1.2.840.10045.2.1, or its parameters, are not supported"),
    "a point that is off the curve": (
        lambda: good(spki=off_curve()), "the point is not on curve P-256"),
    "the point at infinity": (
        lambda: good(spki=ec_spki(der.oid(P256), b"\x00")),
        "an uncompressed point of 65 bytes, found 1 bytes of form 0x00"),
    "a compressed point": (
        lambda: good(spki=ec_spki(der.oid(P256),
                                  b"\x02" + point()[1:33])),
        "an uncompressed point of 65 bytes, found 33 bytes of form 0x02"),
    "RSA of 1024 bits": (lambda: der.csr(rsa_key(1024)),
                         "an RSA key of 1024 bits; 2048 to"),
    "RSA of 2056 bits less one": (
        lambda: good(spki=rsa_spki((1 << 2054) + 1, 65537)),
        "2055 bits; the length must be divisible by 8"),
    "RSA of 16384 bits": (
        lambda: good(spki=rsa_spki((1 << 16383) + 1, 65537)),
        "an RSA key of 16384 bits; 2048 to"),
    "RSA of 16392 bits": (
        lambda: good(spki=rsa_spki((1 << 16391) + 1, 65537)),
        "RSA of 16392 bits; 1024 to 16384 are read"),
    "RSA, exponent 1, with the forgery that it allows": (
        forged_rsa_e1, "exponent 1;"),
    "RSA, exponent 3": (lambda: der.csr(rsa_key(2048, 3)), "exponent 3;"),
    "RSA, exponent 65536": (lambda: rsa_csr_with(65536), "even exponent"),
    "RSA, exponent of 65 bits": (lambda: rsa_csr_with((1 << 64) + 1),
                                 "exponent of more than 64 bits"),
    "RSA, even modulus": (lambda: good(spki=rsa_spki(3 << 2046, 65537)),
                          "even modulus"),
    "RSA, ROCA": (roca, "ROCA, CVE-2017-15361"),
    "Ed25519 where it is not allowed": (
        lambda: der.csr(pki.new_key("ed25519")), "an Ed25519 key"),
    "Ed25519, a key of small order": (weak_ed25519, "point of small order"),
    "Ed448": (lambda: good(spki=der.seq(der.seq(der.oid("1.3.101.113")),
                                        der.bits(bytes(57)))),
              "algorithm 1.3.101.113"),
    "Ed25519ph, as a key of its own": (
        lambda: good(spki=der.seq(der.seq(der.oid("1.3.101.114")),
                                  der.bits(bytes(32)))),
        "algorithm 1.3.101.114"),
    "Ed25519ph as the signature algorithm": (
        lambda: good(alg=der.seq(der.oid("1.3.101.114"))),
        "signature algorithm 1.3.101.114 is not supported"),
    "X25519": (lambda: good(spki=der.seq(der.seq(der.oid("1.3.101.110")),
                                         der.bits(bytes(32)))),
               "algorithm 1.3.101.110"),
    "an unknown kind of key": (
        lambda: good(spki=der.seq(der.seq(der.oid("1.2.3.4")),
                                  der.bits(bytes(57)))),
        "algorithm 1.2.3.4"),
    "an unknown signature algorithm": (
        lambda: good(alg=der.seq(der.oid("1.2.3.5"))),
        "signature algorithm 1.2.3.5 is not supported"),
    "ECDSA with SHA-1": (
        lambda: good(alg=der.seq(der.oid("1.2.840.10045.4.1"))),
        "signature algorithm 1.2.840.10045.4.1 is not supported"),
    "RSA with MD5": (
        lambda: good(alg=der.seq(der.oid("1.2.840.113549.1.1.4"), der.NULL)),
        "signature algorithm 1.2.840.113549.1.1.4 is not supported"),
    "an algorithm for another kind of key": (
        lambda: good(alg=der.seq(der.oid(der.RSA_SHA256), der.NULL)),
        "CSR: a signature RSA-SHA256 by a key P-256"),
    "another algorithm than the one that signed": (
        lambda: good(alg=der.seq(der.oid("1.2.840.10045.4.3.3"))), PROOF),
}

# -- what is asked for

EKU = "2.5.29.37"
WISHES = {
    "to be a CA": (lambda: asks(der.extension(
        "2.5.29.19", der.seq(b"\x01\x01\xff"))), "CA:TRUE"),
    "to be a CA with a path length": (lambda: asks(der.extension(
        "2.5.29.19", der.seq(b"\x01\x01\xff", der.integer(0)), True)),
        "CA:TRUE"),
    "keyCertSign": (lambda: asks(der.extension(
        "2.5.29.15", der.bits(b"\x04", 2))), "keyCertSign or cRLSign"),
    "cRLSign": (lambda: asks(der.extension(
        "2.5.29.15", der.bits(b"\x02", 1))), "keyCertSign or cRLSign"),
    "anyExtendedKeyUsage": (lambda: asks(der.extension(
        EKU, der.seq(der.oid("2.5.29.37.0")))), "anyExtendedKeyUsage"),
    "OCSPSigning": (lambda: asks(der.extension(
        EKU, der.seq(der.oid("1.3.6.1.5.5.7.3.9")))), "OCSPSigning"),
    "OCSPSigning behind clientAuth": (lambda: asks(der.extension(
        EKU, der.seq(der.oid("1.3.6.1.5.5.7.3.2"),
                     der.oid("1.3.6.1.5.5.7.3.9")))), "OCSPSigning"),
    "the same extension twice": (
        lambda: asks(der.san((der.URI, ID)), der.san((der.URI, ID))),
        "duplicate extension"),
    "the same attribute twice": (
        lambda: good(der.asks_for(der.san((der.URI, ID))),
                     der.asks_for(der.san((der.URI, ID + b"0")))),
        "duplicate attribute"),
    "an attribute of two values": (
        lambda: good(der.attribute(der.EXTENSION_REQUEST,
                                   der.seq(der.san((der.URI, ID))),
                                   der.seq(der.san((der.URI, ID + b"0"))))),
        "not exactly one list of extensions"),
    "17 attributes": (
        lambda: good(*(der.attribute(f"1.2.3.{i}", der.NULL)
                       for i in range(17))), "more than 16 attributes"),
}

NAMES = {
    "another trust domain": (b"spiffe://else.local/ns/shop/sa/cart", ID),
    "a longer name": (ID + b"x", ID),
    "percent encoding": (ID[:-1] + b"%74", ID),
    "a scheme in capitals": (b"SPIFFE" + ID[6:], ID),
    "a trust domain in capitals": (ID.replace(b"cluster", b"CLUSTER"), ID),
    "dots that climb": (b"spiffe://cluster.local/ns/x/../shop/sa/cart", ID),
    "a slash at the end": (ID + b"/", ID),
    "a dot at the end": (ID + b".", ID),
    "two slashes": (ID.replace(b"/ns", b"//ns"), ID),
    "a query": (ID + b"?a=b", ID),
    "a fragment": (ID + b"#a", ID),
    "a port": (b"spiffe://cluster.local:443/ns/shop/sa/cart", ID),
    "a user": (b"spiffe://me@cluster.local/ns/shop/sa/cart", ID),
    "another scheme": (b"https://cluster.local/ns/shop/sa/cart", ID),
    "2,049 bytes": (ID + b"/" + b"a" * (2048 - len(ID)), ID),
    "a NUL inside": (ID + b"\x00x", b"the byte 0x00"),
    "a NUL at the end": (ID + b"\x00", b"the byte 0x00"),
    "a line feed": (ID + b"\n", b"(not printable)"),
    "punycode for IDN": (b"spiffe://xn--clster-3ya.local/ns/shop/sa/cart",
                         ID),
    "UTF-8 for IDN": ("spiffe://clüster.local/ns/shop/sa/cart".encode(),
                      b"the byte 0xc3"),
    "nothing": (b"", b"is empty"),
}

NONE = "at most one URI"
SANS = {
    "two URIs": ([(der.URI, ID), (der.URI, ID)], NONE),
    "an e-mail address": ([(der.EMAIL, b"a@b.example")], NONE),
    "a DNS name": ([(der.URI, ID), (der.DNS, b"api.example")], NONE),
    "a wildcard": ([(der.DNS, b"*.example")], NONE),
    "an IP address": ([(der.IP, bytes(4))], NONE),
    "an IP address of 5 bytes": ([(der.IP, bytes(5))], "5 bytes"),
    "a UPN as otherName": ([(0xa0, der.oid("1.3.6.1.4.1.311.20.2.3") +
                             der.tlv(0xa0, der.tlv(0x0c, b"a@b")))], NONE),
    "a directory name": ([(0xa4, der.common_names(b"admin"))], NONE),
    "a registered ID": ([(0x88, b"\x2a\x03")], NONE),
    "no name at all": ([], "without a name"),
    "10,000 names": ([(der.DNS, b"")] * 10000, "is too large: 27406 bytes"),
    "1,000 names": ([(der.DNS, b"a.b")] * 1000, "more than"),
    "an unknown kind of name": ([(0x89, b"x")], "SAN"),
}

# -- how it is written


def cut(raw, size):
    return raw[:size]


def indefinite(raw):
    """The outer sequence with BER's indefinite length."""
    return b"\x30\x80" + raw[4:] + b"\x00\x00"


def not_minimal(raw):
    """The outer length in three bytes instead of two."""
    assert raw[1] == 0x81 or raw[1] == 0x82
    head = 1 + 1 + (raw[1] & 0x7f)
    return b"\x30\x83" + (len(raw) - head).to_bytes(3, "big") + raw[head:]


def deep(depth):
    raw = b""
    for _ in range(depth):
        raw = der.seq(raw)
        if len(raw) > 15000:
            break
    return raw


# 'not PKCS#10' has more than one first reason; each names the object.
WRITING = {
    "BER's indefinite length": (lambda: indefinite(good()), "CSR: not"),
    "a length that is not minimal": (lambda: not_minimal(good()),
                                     "CSR: not a DER sequence"),
    "a length of 2^31": (lambda: b"\x30\x84\x80\x00\x00\x00" + good()[4:],
                         "CSR: not a DER sequence"),
    "a length of 2^63": (lambda: b"\x30\x88\x80" + bytes(7) + good()[4:],
                         "CSR: not a DER sequence"),
    "a byte behind it": (lambda: good() + b"\x00",
                         "bytes follow the request"),
    "an element behind the signature": (lambda: good(tail=der.NULL),
                                        "not the three parts of PKCS#10"),
    "an element behind the attributes": (
        lambda: good(info_tail=der.NULL), "bytes follow the attributes"),
    "cut in the middle": (lambda: cut(good(), 100),
                          "CSR: not a DER sequence"),
    "nested deeply": (lambda: deep(10000), "CSR: not the three parts"),
    "nested deeply in an attribute": (
        lambda: good(der.attribute("1.2.3", deep(3000)), tail=b"\x00"),
        "CSR: not the three parts"),
    "version 1": (lambda: good(version=b"\x02\x01\x01"), "the version"),
    "no version": (lambda: good(version=b""), "the version"),
    "a subject that is none": (lambda: good(subject=der.octets(b"x")),
                               "the subject is malformed DER"),
    "an OID of 15,000 bytes": (
        lambda: good(alg=der.seq(der.tlv(0x06, b"\x81" * 14999 + b"\x01"))),
        "signature algorithm"),
    "a key with an OID of 15,000 bytes": (
        lambda: good(spki=der.seq(
            der.seq(der.tlv(0x06, b"\x81" * 14999 + b"\x01")),
            der.bits(b"x"))), "public key: algorithm"),
    "an OID of 40,000 bytes": (
        lambda: good(alg=der.seq(der.tlv(0x06, b"\x81" * 39999 + b"\x01"))),
        "bytes, at most"),
    "a certificate instead of a request": (
        lambda: pki.TestCA().cert.public_bytes(
            pki.serialization.Encoding.DER), "CSR:"),
}

TEXTS = {
    "nothing": (lambda: "", "not PEM"),
    "DER as text": (lambda: "MIIB", "not PEM"),
    "two requests": (lambda: der.pem(good()) * 2,
                     "more follows the one PEM block"),
    "text before it": (lambda: "hello\n" + der.pem(good()), "not PEM"),
    "text behind it": (lambda: der.pem(good()) + "hello\n",
                       "more follows the one PEM block"),
    "a certificate's label": (lambda: der.pem(good(), "CERTIFICATE"),
                              'a PEM block "CERTIFICATE"'),
    "a private key": (lambda: pki.key_pem(KEY),
                      'a PEM block "PRIVATE KEY"'),
    "headers": (lambda: der.pem(good()).replace(
        "-----\n", "-----\nProc-Type: 4,ENCRYPTED\n\n", 1), "has headers"),
    "no END line": (lambda: der.pem(good()).split("-----END")[0],
                    "has no END line"),
    "another END line": (lambda: der.pem(good()).replace(
        "END CERTIFICATE REQUEST", "END CERTIFICATE"), "ends in another"),
    "letters that are not base64": (
        lambda: der.pem(good()).replace("\nM", "\n!", 1), "is not base64"),
    "an empty block": (lambda: der.pem(b""), "is empty"),
    "a NUL inside": (lambda: der.pem(good()).replace("\nM", "\n\0", 1),
                     "CSR"),
    "300 blocks": (lambda: der.pem(b"\x30\x00") * 300,
                   "more follows the one PEM block"),
    "50,000 bytes": (lambda: der.pem(bytes(30000)), "bytes, at most"),
}

MADE = {**KEYS, **{f"asks for {k}": v for k, v in WISHES.items()}, **WRITING}
TABLE = [
    *((k, lambda make=make: der.pem(make()), text)
      for k, (make, text) in MADE.items()),
    *((f"a URI with {k}", lambda name=name: der.pem(uri(name)),
       text.decode()) for k, (name, text) in NAMES.items()),
    *((f"a SAN with {k}",
       lambda names=names: der.pem(asks(der.san(*names))), text)
      for k, (names, text) in SANS.items()),
    *((f"PEM: {k}", make, text) for k, (make, text) in TEXTS.items()),
]


# -- the authority, one for all of them


@pytest.fixture(scope="module")
def shared(build):
    """One authority: that it stands at the end is part of the test."""
    with shared_authority(build, "RS256") as one:
        yield one


def ask(one, csr, **more):
    """(code, text, request id); (OK, chain, None)."""
    with one.channel() as channel:
        try:
            chain = rpc.create_certificate(
                channel, csr, token=one.issuer.token("shop", "cart"), **more)
        except grpc.RpcError as why:
            return why.code(), why.details(), dict(
                why.trailing_metadata()).get("x-request-id")
    return CODE.OK, chain, None


def issued(one):
    return net.metric(one.metrics(),
                      "citadel_server_success_cert_issuance_count")


def state(one):
    """What a bad request must not change."""
    return record_count(one), issued(one)


def counted(one):
    return net.metric(one.metrics(), "citadel_server_csr_count") or 0


# Request ids; LATE: what only the authority, behind the front, could refuse.
REFUSED, LATE = [], []


def test_the_hand_made_request_is_good_where_nothing_is_wrong(shared):
    before = state(shared)
    for csr in (good(), uri(ID), asks(
            der.san((der.URI, ID)),
            der.extension("2.5.29.19", der.seq()),
            der.extension("2.5.29.15", der.bits(b"\xa0", 5)),
            der.extension("1.2.3.4", der.NULL, True))):
        code, chain, _ = ask(shared, der.pem(csr))
        assert code == CODE.OK, chain
        assert pki.uri_of(pki.load_all(chain[0])[0]) == ID.decode()
    after = state(shared)
    assert after == (before[0] + 3, (before[1] or 0) + 3)


@pytest.mark.parametrize("make,text", [row[1:] for row in TABLE],
                         ids=[row[0] for row in TABLE])
def test_it_is_refused_with_its_reason_and_changes_nothing(shared, make,
                                                           text):
    before, count = state(shared), counted(shared)
    code, details, request = ask(shared, make())
    assert (code, details[:19]) == (CODE.INVALID_ARGUMENT,
                                    "CSR signing error (")
    assert counted(shared) == count + 1
    REFUSED.append(request)
    assert text in details
    assert details.isprintable() and len(details) < 1200
    assert state(shared) == before
    assert len(request) == 32


@pytest.mark.parametrize("subject", [
    der.common_names(b"admin"), der.common_names(b"admin", b"root"),
    der.seq(der.set_of(der.seq(der.oid("2.5.4.10"), der.tlv(0x0c, b"x"))))],
    ids=["a CN unlike the SAN", "two CNs", "an organization"])
def test_a_subject_that_is_asked_for_is_never_granted(shared, subject):
    code, chain, _ = ask(shared, der.pem(good(
        der.asks_for(der.san((der.URI, ID))), subject=subject)))
    assert code == CODE.OK
    leaf = pki.load_all(chain[0])[0]
    assert leaf.subject.rdns == [] and pki.uri_of(leaf) == ID.decode()


def test_lines_that_end_in_cr_only_are_no_pem(shared):
    before = state(shared)
    assert ask(shared, der.pem(good(), eol="\r"))[0] == \
        CODE.INVALID_ARGUMENT
    assert state(shared) == before
    assert ask(shared, der.pem(good(), eol="\r\n"))[0] == CODE.OK


@pytest.mark.parametrize("size", [100_000, 8_000_000])
def test_what_is_larger_than_a_message_may_be_never_gets_to_a_parser(
        shared, size):
    before = state(shared)
    code, _, _ = ask(shared, der.pem(bytes(size)))
    assert code == CODE.RESOURCE_EXHAUSTED
    assert state(shared) == before


@pytest.mark.parametrize("seconds", [-1, -600, 90 * 86400 + 1])
def test_a_life_out_of_bounds_is_refused(shared, seconds):
    before = state(shared)
    code, details, request = ask(shared, der.pem(good()), seconds=seconds)
    assert code == CODE.INVALID_ARGUMENT and "TTL" in details
    assert state(shared) == before
    LATE.append(request)


def test_the_key_of_the_ca_itself_is_not_certified(shared):
    """Only who has the CA's key could ask so; it would be two roles in one
    key."""
    key = load_pem_private_key(
        (shared.data / "issuer/root-key.pem").read_bytes(), None)
    before = state(shared)
    code, details, request = ask(shared, der.pem(der.csr(key)))
    assert code == CODE.INVALID_ARGUMENT
    assert "the key is that of a CA certificate" in details
    assert state(shared) == before
    LATE.append(request)


def test_after_all_of_that_the_same_processes_serve(shared):
    code, chain, _ = ask(shared, der.pem(good()))
    assert code == CODE.OK
    check_books(shared, pki.load_all(chain[0])[0].serial_number, REFUSED,
                LATE)
    assert all(len(pids) >= 1 for pids in shared.roles().values())
    assert not [line for line in shared.process.lines()
                if "ended by signal" in line or "bug:" in line]
