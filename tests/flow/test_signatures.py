"""Whole requests and whole tokens whose signatures are spoiled as those of
Wycheproof are, of each algorithm: with our own keys, so that what is signed is a
request or a token, and the whole way of it is gone."""

import hashlib
import itertools
import json

import jwt
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa, utils
from support import der, vectors
from support.tokens import b64url

HASHES = {"256": ("2.16.840.1.101.3.4.2.1", hashes.SHA256()),
          "384": ("2.16.840.1.101.3.4.2.2", hashes.SHA384()),
          "512": ("2.16.840.1.101.3.4.2.3", hashes.SHA512())}
SHA1 = "1.3.14.3.2.26"
CURVES = {"p256": (ec.SECP256R1(), 32, int(
    "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551", 16)),
          "p384": (ec.SECP384R1(), 48, int(
              "ffffffffffffffffffffffffffffffffffffffffffffffff"
              "c7634d81f4372ddf581a0db248b0a77aecec196accc52973", 16))}
ED_L = 2 ** 252 + 27742317777372353535851937790883648493
NOW = 1800000000


def digest(size, data):
    return hashlib.new("sha1" if size == "1" else f"sha{size}", data).digest()


# ---- RSA ---------------------------------------------------------------------

def raw_rsa(key, em):
    """The number that em is, to the power of the private exponent."""
    private = key.private_numbers()
    n = private.public_numbers.n
    return pow(int.from_bytes(em, "big"), private.d, n).to_bytes(
        key.key_size // 8, "big")


def around_rsa(key, good):
    """What may be done to a good signature without the key."""
    n = key.public_key().public_numbers().n
    number = int.from_bytes(good, "big")
    size = len(good)
    yield "empty", b""
    yield "cut", good[:-1]
    yield "longer", good + b"\0"
    yield "zero before", b"\0" + good
    yield "n added", (number + n).to_bytes(size + 1, "big")
    yield "a bit", bytes([*good[:-1], good[-1] ^ 1])
    for value in (0, 1, n - 1, n):
        yield f"the number {value % 7}", value.to_bytes(size, "big")


def pkcs1(key, size, message):
    """Paddings of RFC 8017 9.2, the good one first."""
    hash_oid, _ = HASHES[size]
    h, room = digest(size, message), key.key_size // 8

    def info(name=hash_oid, null=der.NULL, value=h, tail=b""):
        return der.seq(der.seq(der.oid(name), null), der.octets(value), tail)

    def em(data, head=b"\0\1", fill=b"\xff", tail=b""):
        pad = fill * (room - len(data) - len(head) - len(tail) - 1)
        return head + pad + b"\0" + data + tail
    good = info()
    other = "512" if size != "512" else "256"
    yield "good", em(good)
    yield "no NULL", em(info(null=b""))
    yield "other parameters", em(info(null=b"\x30\x00"))
    yield "garbage in parameters", em(info(null=b"\x05\x01\0"))
    yield "other hash named", em(info(HASHES[other][0]))
    yield "other hash", em(info(HASHES[other][0], value=digest(other,
                                                               message)))
    yield "SHA-1", em(info(SHA1, value=digest("1", message)))
    yield "tail in the info", em(info(tail=b"\0\0"))
    yield "long length", em(b"\x30\x81" + good[1:])
    yield "no info", em(h)
    yield "hash cut", em(info(value=h[:-1]))
    yield "hash longer", em(info(value=h + b"\0"))
    yield "short padding, garbage behind", \
        b"\0\1" + b"\xff" * 8 + b"\0" + good + \
        bytes(room - len(good) - 11)
    yield "block type 2", em(good, head=b"\0\2")
    yield "block type 0", em(good, head=b"\0\0", fill=b"\0")
    yield "padding of zeros", em(good, fill=b"\0")
    yield "first byte", em(good, head=b"\1\1")
    yield "padding broken", em(good)[:20] + b"\xfe" + em(good)[21:]
    yield "no end of padding", em(good).replace(b"\0" + good, b"\xff" + good)


def mgf1(size, seed, length):
    out = b"".join(digest(size, seed + n.to_bytes(4, "big"))
                   for n in range(length // len(digest(size, b"")) + 1))
    return out[:length]


def pss(key, size, message):
    """Paddings of RFC 8017 9.1.1, the good one first."""
    h = len(digest(size, b""))
    room, bits = key.key_size // 8, key.key_size - 1

    def em(salt=h, mgf=size, own=size, tail=b"\xbc", one=b"\1", fill=b"\0",
           zeros=bytes(8), top=0, clear=True):
        salted = bytes(range(salt))
        hashed = digest(own, zeros + digest(own, message) + salted)
        pad = room - salt - len(hashed) - 2
        db = fill * pad + one + salted
        masked = bytearray(a ^ b for a, b in zip(db, mgf1(mgf, hashed,
                                                          len(db))))
        if clear:
            masked[0] &= 0xff >> 8 * room - bits
        masked[0] |= top
        return bytes(masked) + hashed + tail
    other = "512" if size != "512" else "256"
    yield "good", em()
    for salt in (0, 20, h - 1, h + 1):
        yield f"salt of {salt}", em(salt=salt)
    yield "MGF1 of another hash", em(mgf=other)
    yield "MGF1 of SHA-1", em(mgf="1")
    yield "other hash", em(own=other)
    yield "SHA-1", em(own="1", mgf="1")
    yield "trailer", em(tail=b"\xcc")
    yield "trailer of zero", em(tail=b"\0")
    yield "no one before the salt", em(one=b"\0")
    yield "two before the salt", em(one=b"\2")
    yield "fill", em(fill=b"\1")
    yield "top bit", em(top=0x80 >> 8 * room - bits - 1)
    yield "no zeros hashed", em(zeros=b"")
    yield "ones hashed", em(zeros=b"\xff" * 8)
    yield "the hash alone", bytes(room - h) + digest(size, message)


def rsa_cases(paddings):
    def cases(key, size, message):
        made = [(name, raw_rsa(key, em))
                for name, em in paddings(key, size, message)
                if int.from_bytes(em, "big") <
                key.public_key().public_numbers().n]
        assert made[0][0] == "good" and len(made) > 15
        return made + list(around_rsa(key, made[0][1]))
    return cases


# ---- ECDSA, Ed25519 ----------------------------------------------------------

def pairs(key, size, message):
    """(name, r, s), the good one first."""
    n = CURVES[f"p{key.key_size}"][2]
    r, s = utils.decode_dss_signature(key.sign(message, ec.ECDSA(
        HASHES[size][1])))
    yield "good", r, s
    # RFC 6979 or not, ECDSA has both: a proof for who can make one.
    yield "good, the other s", r, n - s
    edge = (0, 1, n - 1, n, n + 1)
    yield from ((f"edges {i} {j}", a, b) for (i, a), (j, b) in
                itertools.product(enumerate(edge), repeat=2))
    yield "r + n", r + n, s
    yield "s + n", r, s + n
    yield "swapped", s, r
    yield "-r", n - r, s
    yield "no r", 0, s
    yield "no s", r, 0
    yield "a bit of s", r, s ^ 1
    yield "other hash", *utils.decode_dss_signature(key.sign(
        message, ec.ECDSA(hashes.SHA512() if size != "512"
                          else hashes.SHA256())))


def ecdsa_der(key, size, message):
    made = list(pairs(key, size, message))
    r, s = made[0][1:]
    a, b = der.integer(r), der.integer(s)
    good = der.seq(a, b)
    yield from ((name, der.seq(der.integer(x), der.integer(y)))
                for name, x, y in made)
    yield "empty", b""
    yield "cut", good[:-1]
    yield "longer", good + b"\0"
    yield "tail inside", der.seq(a, b, b"\0")
    yield "NULL inside", der.seq(a, b, der.NULL)
    yield "long length", b"\x30\x81" + good[1:] \
        if len(good) < 130 else good + b"\0"
    yield "long length of r", der.seq(b"\2\x81" + a[1:], b)
    yield "indefinite", b"\x30\x80" + a + b + b"\0\0"
    yield "a set", b"\x31" + good[1:]
    yield "zero before r", der.seq(der.tlv(2, b"\0", a[2:]), b)
    yield "zero before s", der.seq(a, der.tlv(2, b"\0", b[2:]))
    yield "negative r", der.seq(der.tlv(2, (r | 1 << key.key_size - 1)
                                        .to_bytes(key.key_size // 8,
                                                  "big")), b)
    yield "no number", der.seq(der.tlv(2), b)
    yield "one number", der.seq(a)
    yield "an octet string", der.seq(der.tlv(4, a[2:]), b)
    yield "r||s", b"".join(v.to_bytes(key.key_size // 8, "big")
                           for v in (r, s))


def ecdsa_raw(key, size, message):
    width = key.key_size // 8
    made = list(pairs(key, size, message))
    r, s = made[0][1:]
    for name, x, y in made:
        width_now = max(width, *((v.bit_length() + 7) // 8 for v in (x, y)))
        yield name, b"".join(v.to_bytes(width_now, "big") for v in (x, y))
    good = r.to_bytes(width, "big") + s.to_bytes(width, "big")
    yield "empty", b""
    yield "cut", good[:-1]
    yield "longer", good + b"\0"
    yield "zero before", b"\0" + good
    yield "wider", b"".join(v.to_bytes(width + 1, "big") for v in (r, s))
    yield "half", good[:width]
    yield "DER", utils.encode_dss_signature(r, s)


def ed25519_cases(key, _, message):
    good = key.sign(message)
    s = int.from_bytes(good[32:], "little")
    yield "good", good
    yield "s + L", good[:32] + (s + ED_L).to_bytes(32, "little")
    for value in (0, ED_L, 2 ** 255 - 1, 2 ** 256 - 1):
        yield f"s of {value % 1009}", good[:32] + value.to_bytes(32, "little")
    for point in (0, 1, 2 ** 255 - 19, 2 ** 255 - 18, 1 << 255):
        point = point.to_bytes(32, "little")
        yield f"R of {point.hex()}", point + good[32:]
        yield f"R of {point.hex()}, s of 0", point + bytes(32)
    yield "sign of R", good[:31] + bytes([good[31] ^ 0x80]) + good[32:]
    yield "empty", b""
    yield "cut", good[:-1]
    yield "longer", good + b"\0"
    yield "swapped", good[32:] + good[:32]
    yield "of another message", key.sign(message + b"x")
    yield "prehashed", key.sign(hashlib.sha512(message).digest())


# ---- requests and tokens -----------------------------------------------------

def rsa_alg(number):
    return der.seq(der.oid(f"1.2.840.113549.1.1.{number}"), der.NULL)


def pss_alg(size):
    own = der.seq(der.oid(HASHES[size][0]), der.NULL)
    return der.seq(der.oid("1.2.840.113549.1.1.10"), der.seq(
        der.tlv(0xa0, own),
        der.tlv(0xa1, der.seq(der.oid("1.2.840.113549.1.1.8"), own)),
        der.tlv(0xa2, der.integer(int(size) // 8))))


KEYS = {"rsa2048": lambda: rsa.generate_private_key(65537, 2048),
        "rsa3072": lambda: rsa.generate_private_key(65537, 3072),
        "p256": lambda: ec.generate_private_key(ec.SECP256R1()),
        "p384": lambda: ec.generate_private_key(ec.SECP384R1()),
        "ed25519": ed25519.Ed25519PrivateKey.generate}
# (key, hash, cases, algorithm identifier)
REQUESTS = {
    **{f"RSA {key} SHA-{size}": (key, size, rsa_cases(pkcs1), rsa_alg(number))
       for key in ("rsa2048", "rsa3072")
       for size, number in (("256", 11), ("384", 12), ("512", 13))},
    **{f"PSS {key} SHA-{size}": (key, size, rsa_cases(pss), pss_alg(size))
       for key in ("rsa2048", "rsa3072") for size in HASHES},
    **{f"ECDSA {key} SHA-{size}": (
        key, size, ecdsa_der, der.seq(der.oid(f"1.2.840.10045.4.3.{n}")))
       for key in CURVES for n, size in ((2, "256"), (3, "384"),
                                         (4, "512"))},
    "Ed25519": ("ed25519", None, ed25519_cases, der.seq(der.oid(der.ED25519))),
}
TOKENS = {
    **{f"RS{size} {key}": (key, size, rsa_cases(pkcs1))
       for key in ("rsa2048", "rsa3072") for size in HASHES},
    "PS256 rsa2048": ("rsa2048", "256", rsa_cases(pss)),
    "PS256 rsa3072": ("rsa3072", "256", rsa_cases(pss)),
    "ES256 p256": ("p256", "256", ecdsa_raw),
    "ES384 p384": ("p384", "384", ecdsa_raw),
    "EdDSA ed25519": ("ed25519", None, ed25519_cases),
}


def request_info(key):
    return der.seq(b"\x02\x01\x00", der.seq(), der.spki_of(key),
                   der.tlv(0xa0))


def token_text(alg):
    return ".".join(b64url(json.dumps(part).encode()) for part in (
        {"alg": alg}, {"iss": "x", "exp": NOW + 600}))


def key_set(alg, key):
    kind = "RS256" if alg.startswith("PS") else alg
    row = jwt.get_algorithm_by_name(kind).to_jwk(key.public_key(),
                                                 as_dict=True)
    row.pop("key_ops", None)
    return json.dumps({"keys": [row]}).encode()


def check(made, answers):
    """Good ones are taken and nothing else."""
    found = [(name, answer) for (name, _), answer in zip(made, answers)]
    assert {name for name, answer in found if answer == "ok"} == \
        {name for name, _ in made if name.startswith("good")}
    # A token without the third part is none.
    assert {answer for name, answer in found
            if answer != "syntax" or name != "empty"} == {"ok", "signature"}
    assert len(found) > 20


@pytest.mark.parametrize("name", REQUESTS)
def test_a_requests_signature_is_good_or_it_is_refused(build, name):
    kind, size, cases, alg = REQUESTS[name]
    key = KEYS[kind]()
    info = request_info(key)
    made = list(cases(key, size, info))
    check(made, vectors.judge(build, [
        ("request", der.seq(info, alg, der.bits(one))) for _, one in made]))


@pytest.mark.parametrize("name", TOKENS)
def test_a_tokens_signature_is_good_or_it_is_refused(build, name):
    kind, size, cases = TOKENS[name]
    alg, key = name.split()[0], KEYS[kind]()
    text, keys = token_text(alg), key_set(alg, key)
    made = list(cases(key, size, text.encode()))
    check(made, vectors.judge(build, [
        ("token", keys, f"{text}.{b64url(one)}".encode()) for _, one in made]))


@pytest.mark.parametrize("alg", ["PS384", "PS512", "ES512", "ES256K"])
def test_a_good_token_of_an_algorithm_that_is_not_ours(build, alg):
    """The first line says that nothing else is wrong with it."""
    key = KEYS["rsa3072"]()
    keys = key_set("RS256", key)
    rows = []
    for its, size in (("PS256", "256"), (alg, alg[2:5])):
        text = token_text(its)
        (_, em), *_ = pss(key, size if size in HASHES else "256",
                          text.encode())
        rows.append(("token", keys,
                     f"{text}.{b64url(raw_rsa(key, em))}".encode()))
    assert vectors.judge(build, rows) == ["ok", "unsupported"]


def test_signatures_go_with_one_algorithm_only(build):
    """A signature is none under the name of another algorithm or key."""
    keys = {kind: make() for kind, make in KEYS.items()}
    made = []
    for kind, size, cases, _ in REQUESTS.values():
        info = request_info(keys[kind])
        good = next(iter(cases(keys[kind], size, info)))[1]
        made.append((kind, info, good))
    rows = [("request", der.seq(info, alg, der.bits(good)))
            for kind, info, good in made for *_, alg in REQUESTS.values()]
    answers = iter(vectors.judge(build, rows))
    for (kind, _, _), (_, _, _, own) in zip(made, REQUESTS.values()):
        for *_, alg in REQUESTS.values():
            assert (next(answers) == "ok") == (alg == own), kind
