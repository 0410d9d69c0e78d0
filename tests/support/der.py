"""DER by hand, for requests that no library would make."""

import base64

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import (ec, ed25519, padding,
                                                       rsa)

ECDSA_SHA256 = "1.2.840.10045.4.3.2"
RSA_SHA256 = "1.2.840.113549.1.1.11"
ED25519 = "1.3.101.112"
EXTENSION_REQUEST = "1.2.840.113549.1.9.14"
URI, DNS, EMAIL, IP = 0x86, 0x82, 0x81, 0x87
NULL = b"\x05\x00"


def length(size):
    if size < 0x80:
        return bytes([size])
    raw = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([0x80 | len(raw)]) + raw


def tlv(tag, *parts):
    body = b"".join(parts)
    return bytes([tag]) + length(len(body)) + body


def seq(*parts):
    return tlv(0x30, *parts)


def set_of(*parts):
    return tlv(0x31, *parts)


def integer(value):
    return tlv(0x02, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def octets(body):
    return tlv(0x04, body)


def bits(body, unused=0):
    return tlv(0x03, bytes([unused]), body)


def _arc(value):
    out = [value & 0x7f]
    while value := value >> 7:
        out.append(0x80 | value & 0x7f)
    return bytes(reversed(out))


def oid(dotted):
    first, second, *rest = map(int, dotted.split("."))
    return tlv(0x06, _arc(40 * first + second), *map(_arc, rest))


def extension(dotted, body, critical=False):
    return seq(oid(dotted), b"\x01\x01\xff" if critical else b"",
               octets(body))


def san(*names, critical=True):
    """names: (tag, bytes)."""
    return extension("2.5.29.17", seq(*(tlv(t, b) for t, b in names)),
                     critical)


def attribute(dotted, *values):
    return seq(oid(dotted), set_of(*values))


def asks_for(*extensions):
    return attribute(EXTENSION_REQUEST, seq(*extensions))


def common_names(*texts):
    return seq(*(set_of(seq(oid("2.5.4.3"), tlv(0x0c, text)))
                 for text in texts))


def spki_of(key):
    return key.public_key().public_bytes(
        serialization.Encoding.DER,
        serialization.PublicFormat.SubjectPublicKeyInfo)


def sign(key, message):
    """(algorithm identifier, signature)."""
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return seq(oid(ECDSA_SHA256)), key.sign(message,
                                                ec.ECDSA(hashes.SHA256()))
    if isinstance(key, rsa.RSAPrivateKey):
        return seq(oid(RSA_SHA256), NULL), key.sign(
            message, padding.PKCS1v15(), hashes.SHA256())
    assert isinstance(key, ed25519.Ed25519PrivateKey)
    return seq(oid(ED25519)), key.sign(message)


def csr(key, *attributes, spki=None, subject=seq(), version=b"\x02\x01\x00",
        alg=None, signature=None, info_tail=b"", tail=b""):
    """A request, signed by key whatever it says."""
    info = seq(version, subject, spki or spki_of(key),
               tlv(0xa0, *attributes), info_tail)
    its_alg, its_signature = sign(key, info)
    return seq(info, alg or its_alg,
               bits(its_signature if signature is None else signature), tail)


def pem(body, label="CERTIFICATE REQUEST", eol="\n"):
    raw = base64.b64encode(body).decode()
    lines = [raw[i:i + 64] for i in range(0, len(raw), 64)]
    return eol.join([f"-----BEGIN {label}-----", *lines,
                     f"-----END {label}-----", ""])
