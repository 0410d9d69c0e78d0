"""JSON web tokens and their issuer's keys."""

import base64
import json
import time
import uuid

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

ISSUER = "https://issuer.test.example"


def _new_key(alg):
    if alg.startswith(("RS", "PS")):
        return rsa.generate_private_key(65537, 2048)
    if alg == "EdDSA":
        return ed25519.Ed25519PrivateKey.generate()
    return ec.generate_private_key({"ES256": ec.SECP256R1(),
                                    "ES384": ec.SECP384R1()}[alg])


def _algorithm(alg):
    return jwt.algorithms.get_default_algorithms()[alg]


def b64url(raw):
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


class Issuer:
    """Signs tokens with one key per algorithm. kid is the algorithm's name
    unless add_key gave another."""

    def __init__(self, *algs, issuer=ISSUER):
        self.issuer = issuer
        self.keys = {}
        for alg in algs or ("RS256", "ES256"):
            self.add_key(alg)

    def add_key(self, alg, kid=None):
        self.keys[kid or alg] = (alg, _new_key(alg))
        return kid or alg

    def jwks(self):
        """The public keys as a JWKS text."""
        rows = []
        for kid, (alg, key) in self.keys.items():
            row = json.loads(_algorithm(alg).to_jwk(key.public_key()))
            row.pop("key_ops", None)
            rows.append({**row, "kid": kid, "alg": alg, "use": "sig"})
        return json.dumps({"keys": rows}, indent=1)

    def claims(self, namespace="default", account="default", seconds=3600,
               **change):
        """As in a projected Kubernetes service account token. A claim given
        as None is left out."""
        now = int(time.time())
        claims = {
            "iss": self.issuer, "aud": ["istio-ca"], "iat": now, "nbf": now,
            "exp": now + seconds, "jti": str(uuid.uuid4()),
            "sub": f"system:serviceaccount:{namespace}:{account}",
            "kubernetes.io": {
                "namespace": namespace,
                "node": {"name": "node-1", "uid": str(uuid.uuid4())},
                "pod": {"name": "app-0", "uid": str(uuid.uuid4())},
                "serviceaccount": {"name": account,
                                   "uid": str(uuid.uuid4())}}}
        claims.update(change)
        return {k: v for k, v in claims.items() if v is not None}

    def token(self, namespace="default", account="default", kid=None,
              seconds=3600, **change):
        kid = kid or next(iter(self.keys))
        alg, key = self.keys[kid]
        return jwt.encode(self.claims(namespace, account, seconds, **change),
                          key, algorithm=alg, headers={"kid": kid})
