"""Writes the seeds of fuzz_jwt and fuzz_jwks: python3 tests/fuzz/make_seeds_jose.py

The keys are numbers of the right form, not keys of anybody."""
import base64
import json
import pathlib

SEEDS = pathlib.Path(__file__).parent / "seeds"


def b64(data):
    if not isinstance(data, bytes):
        data = json.dumps(data, separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def write(folder, name, text):
    path = SEEDS / folder
    path.mkdir(parents=True, exist_ok=True)
    (path / name).write_text(text)


CLAIMS = {"iss": "https://issuer.test", "aud": "istio-ca", "exp": 1800000100,
          "nbf": 1799999000, "iat": 1799999000}
# The base point of P-256 is a point of the curve.
GX = bytes.fromhex("6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296")
GY = bytes.fromhex("4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5")
EC = {"kty": "EC", "crv": "P-256", "kid": "a", "use": "sig", "x": b64(GX), "y": b64(GY)}
RSA = {"kty": "RSA", "kid": "b", "alg": "RS256", "e": "AQAB",
       "n": b64(bytes([0xc1] + [0x5b] * 254 + [0x35]))}
OKP = {"kty": "OKP", "crv": "Ed25519", "key_ops": ["verify"],
       "x": b64(bytes.fromhex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"))}

write("jwt", "claims", json.dumps(CLAIMS))
write("jwt", "claims-audiences", json.dumps(dict(CLAIMS, aud=["a", "istio-ca"])))
write("jwt", "claims-real", '{"exp":1800000100.0,"iss":"https://issuer.test","aud":"istio-ca"}')
for alg, length in (("RS256", 256), ("ES256", 64), ("EdDSA", 64), ("none", 0)):
    header = {"alg": alg, "kid": "a"}
    write("jwt", "token-" + alg, ".".join((b64(header), b64(CLAIMS), b64(bytes(length)))))
write("jwt", "token-jwk", ".".join((b64({"alg": "ES256", "jwk": EC}), b64(CLAIMS), b64(bytes(64)))))
write("jwks", "ec", json.dumps({"keys": [EC]}))
write("jwks", "rsa", json.dumps({"keys": [RSA]}))
write("jwks", "okp", json.dumps({"keys": [OKP]}))
write("jwks", "mixed", json.dumps({"keys": [EC, {"kty": "oct", "k": "AAAA"}, OKP]}))
