"""Writes the seeds of fuzz_chain, fuzz_issuer_files, fuzz_privkey, fuzz_audit,
fuzz_ra, fuzz_inspect, fuzz_agent_env and fuzz_h2_client:
python3 tests/fuzz/make_seeds_input.py

Keys are new in each run, and are nobody's; the shapes are what matters."""
import base64
import datetime
import hashlib
import ipaddress
import json
import pathlib
import struct
import sys

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE.parent))
from support import pki  # noqa: E402

SEEDS = HERE / "seeds"
DER, PEM = serialization.Encoding.DER, serialization.Encoding.PEM
ME = "spiffe://td/ns/a/sa/b"
DAY = datetime.timedelta(days=1)
BEGIN = datetime.datetime(2026, 1, 1)


def write(target, name, data):
    folder = SEEDS / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(data if isinstance(data, bytes)
                                else data.encode())


def pem(cert):
    return cert.public_bytes(PEM)


def der(cert):
    return cert.public_bytes(DER)


# ---- certificates ------------------------------------------------------------

def make(subject, issuer, key, signer, *extensions, begin=BEGIN, days=9000):
    """A certificate; subject, issuer: CN, None, or a whole name."""
    def name(text):
        if isinstance(text, x509.Name):
            return text
        return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)]
                         if text else [])
    builder = x509.CertificateBuilder().subject_name(name(subject)) \
        .issuer_name(name(issuer)).public_key(key.public_key()) \
        .serial_number(0x1122334455).not_valid_before(begin) \
        .not_valid_after(begin + days * DAY)
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical)
    return builder.sign(signer, pki.hash_for(signer))


def ids(key, signer):
    return [(x509.SubjectKeyIdentifier.from_public_key(key.public_key()),
             False),
            (x509.AuthorityKeyIdentifier.from_issuer_public_key(
                signer.public_key()), False)]


def ca(subject, issuer, key, signer, *more, pathlen=None, **dates):
    return make(subject, issuer, key, signer,
                (x509.BasicConstraints(True, pathlen), True),
                (pki.usage(key_cert_sign=True, crl_sign=True), True),
                *ids(key, signer), *more, **dates)


def leaf(issuer, key, signer, *names, subject=None, **more):
    uses = x509.ExtendedKeyUsage([x509.ExtendedKeyUsageOID.SERVER_AUTH,
                                  x509.ExtendedKeyUsageOID.CLIENT_AUTH])
    return make(subject, issuer, key, signer,
                (x509.BasicConstraints(False, None), True),
                (pki.usage(digital_signature=True), True), (uses, False),
                (x509.SubjectAlternativeName(names), subject is None),
                *ids(key, signer), **more)


def constraints(permitted=(), excluded=()):
    return (x509.NameConstraints(list(permitted) or None,
                                 list(excluded) or None), True)


URI, DNS = x509.UniformResourceIdentifier, x509.DNSName
KEYS = [ec.generate_private_key(ec.SECP256R1()) for _ in range(4)]
K_LEAF, K_MID, K_ROOT, K_OTHER = KEYS
ROOT = ca("root", "root", K_ROOT, K_ROOT)
MID = ca("mid", "root", K_MID, K_ROOT)
LEAF = leaf("mid", K_LEAF, K_MID, URI(ME), DNS("a.b"))


def make_chains():
    def chain(name, *certs):
        write("chain", name, b"".join(der(cert) for cert in certs))
    bound = ca("mid", "root", K_MID, K_ROOT, constraints(
        [URI("td"), DNS("b")], [URI(".bad.td"), DNS("c.b")]), pathlen=0)
    chain("good", LEAF, MID, ROOT)
    chain("constraints", LEAF, bound, ROOT)
    chain("excluded", leaf("mid", K_LEAF, K_MID, URI("spiffe://x.bad.td/y")),
          bound, ROOT)
    chain("twins", LEAF, ca("mid", "root", K_OTHER, K_ROOT), MID, ROOT)
    chain("loop", LEAF, ca("mid", "low", K_MID, K_OTHER),
          ca("low", "mid", K_OTHER, K_MID), ROOT)
    chain("ca-as-leaf", MID, ROOT)
    chain("one", ROOT)
    chain("bare", make("x", "root", K_LEAF, K_ROOT), ROOT)
    big = rsa.generate_private_key(65537, 2048)
    chain("rsa", leaf("root", big, K_ROOT, DNS("*.a_b"), subject="x"), ROOT)
    chain("ed25519", leaf("root", ed25519.Ed25519PrivateKey.generate(),
                          K_ROOT, URI(ME)), ROOT)
    chain("p521", leaf("root", ec.generate_private_key(ec.SECP521R1()),
                       K_ROOT, x509.IPAddress(
                           ipaddress.ip_address("10.0.0.1"))), ROOT)


def make_sets():
    names = ["ca-cert.pem", "ca-key.pem", "cert-chain.pem", "root-cert.pem",
             "tls.crt", "tls.key", "ca.crt"]

    def plug(name, **files):
        write("issuer_files", name, b"".join(
            struct.pack(">BH", names.index(key), len(text)) + text
            for key, text in files.items()))

    def key(k, form=serialization.PrivateFormat.PKCS8):
        return k.private_bytes(PEM, form, serialization.NoEncryption())
    plug("istio", **{"ca-cert.pem": pem(MID), "ca-key.pem": key(K_MID),
                     "cert-chain.pem": pem(MID), "root-cert.pem": pem(ROOT)})
    plug("root", **{"ca-cert.pem": pem(ROOT), "ca-key.pem": key(
        K_ROOT, serialization.PrivateFormat.TraditionalOpenSSL),
                    "root-cert.pem": pem(ROOT)})
    plug("cert-manager", **{"tls.crt": pem(MID), "tls.key": key(K_MID),
                            "ca.crt": pem(ROOT)})
    plug("wrong-key", **{"ca-cert.pem": pem(MID), "ca-key.pem": key(K_ROOT),
                         "root-cert.pem": pem(ROOT)})
    plug("leaf", **{"ca-cert.pem": pem(LEAF), "ca-key.pem": key(K_LEAF),
                    "cert-chain.pem": pem(LEAF) + pem(MID),
                    "root-cert.pem": pem(ROOT)})
    plug("no-key", **{"ca-cert.pem": pem(MID), "root-cert.pem": pem(ROOT)})


def make_keys():
    for name, key in (("p256", K_LEAF),
                      ("p384", ec.generate_private_key(ec.SECP384R1())),
                      ("ed25519", ed25519.Ed25519PrivateKey.generate()),
                      ("rsa", rsa.generate_private_key(65537, 2048))):
        for form, to in (("pkcs8", serialization.PrivateFormat.PKCS8),
                         ("old",
                          serialization.PrivateFormat.TraditionalOpenSSL)):
            if name == "ed25519" and form == "old":
                continue
            write("privkey", f"{name}-{form}", key.private_bytes(
                DER, to, serialization.NoEncryption()))
    write("privkey", "locked", K_LEAF.private_bytes(
        DER, serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"x")))


# ---- texts -------------------------------------------------------------------

def log(*fields):
    out, before = b"", bytes(32)
    for n, text in enumerate(fields, 1):
        line = f'{{"n":{n},"prev":"{before.hex()}",{text}}}\n'.encode()
        before = hashlib.sha256(line).digest()
        out += line
    return out


def make_logs():
    three = log('"event":"start"', '"event":"issued","serial":"01"',
                '"event":"stop"')
    write("audit", "three", three)
    write("audit", "half", three + b'{"n":4,"prev":"00')
    write("audit", "changed", three.replace(b"01", b"02"))
    write("audit", "missing", b"".join(three.splitlines(True)[::2]))


def make_callers():
    good = {"iss": "https://issuer.test", "aud": "istio-ca",
            "exp": 1800000100, "sub": "system:serviceaccount:shop:cart",
            "kubernetes.io": {"namespace": "shop", "serviceaccount":
                              {"name": "cart"}, "pod": {"name": "cart-1"}}}
    write("ra", "account", b"\1" + json.dumps(good).encode())
    write("ra", "other", b"\1" + json.dumps(
        {**good, "sub": "system:serviceaccount:shop:admin"}).encode())
    write("ra", "claim", b"\2" + json.dumps(
        {**good, "id": {"text": "spiffe://td.test/x"}}).encode())
    write("ra", "claim-domain", b"\2" + json.dumps(
        {**good, "id": {"text": "spiffe://else.test/x"}}).encode())
    write("ra", "no-account", b"\1" + json.dumps(
        {**good, "sub": "x"}).encode())
    write("ra", "claim-none", b"\2" + json.dumps(good).encode())
    write("ra", "claim-no-path", b"\2" + json.dumps(
        {**good, "id": {"text": "spiffe://td.test"}}).encode())
    write("ra", "join-cut", b"\0Bearer mjt_" + b"A" * 42)
    write("ra", "join", b"\0Bearer mjt_" + b"A" * 43)
    write("ra", "basic", b"\0Basic x")
    write("ra", "token", b"\0Bearer " + b".".join(
        base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=")
        for part in ({"alg": "EdDSA"}, good)) + b"." + b"A" * 86)


def make_files():
    csr = pki.new_csr(K_LEAF, uris=[ME], dns=["a.b"])
    text = (csr if isinstance(csr, str) else csr.decode()) + \
        pem(LEAF).decode() + pki.key_pem(K_LEAF)
    write("inspect", "pem", b"\0" + text.encode())
    write("inspect", "der", b"\0" + der(LEAF))
    write("inspect", "csr-der", b"\0" + x509.load_pem_x509_csr(
        csr.encode() if isinstance(csr, str) else csr).public_bytes(DER))
    write("inspect", "key-der", b"\0" + K_LEAF.private_bytes(
        DER, serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption()))
    b64 = base64.b64encode(pem(LEAF)).decode()
    write("inspect", "secret", f"""\1apiVersion: v1
kind: Secret
metadata:
  name: cacerts
data:
  tls.crt: {b64}
  other: AAAA
stringData:
  ca.crt: |
    {pem(ROOT).decode().replace(chr(10), chr(10) + "    ").strip()}
---
kind: List
items: [{{kind: Secret, data: {{a: {b64}}}}}]
""")
    write("inspect", "config-map", "\1kind: ConfigMap\ndata: {a: b}\n")


def make_environments():
    write("agent_env", "istio", "\0".join((
        "CA_ADDR=istiod.istio-system.svc:15012", "TRUST_DOMAIN=td",
        "POD_NAMESPACE=shop", "SERVICE_ACCOUNT=cart", "SECRET_TTL=24h0m0s",
        "ISTIO_META_CLUSTER_ID=Kubernetes", "PKCS8_KEY=true",
        "ECC_SIGNATURE_ALGORITHM=ECDSA", "ECC_CURVE=P384",
        "SECRET_GRACE_PERIOD_RATIO=0.5", "FILE_MOUNTED_CERTS=false",
        'PROXY_CONFIG={"discoveryAddress":"istiod:15012",'
        '"proxyMetadata":{"A":"b"}}', "OUTPUT_CERTS=/tmp/x",
        "WORKLOAD_IDENTITY_SOCKET_FILE=socket")))
    write("agent_env", "rsa", "WORKLOAD_RSA_KEY_SIZE=4096\0CA_PROVIDER=GKE\0"
          "ISTIOD_SAN=x\0CA_ROOT_CA=SYSTEM\0PROV_CERT=/etc/x")
    write("agent_env", "headers", "CA_HEADER_X=y\0CA_HEADER_=\0=\0A")
    for name, value in (("CREDENTIAL_FETCHER_TYPE", "JWT"),
                        ("JWT_POLICY", "first-party-jwt"),
                        ("CA_HEADER_", "x"), ("PKCS8_KEY", "1"),
                        ("WORKLOAD_IDENTITY_SOCKET_FILE", "a/b"),
                        ("ECC_CURVE", "P521"), ("SECRET_TTL", "1"),
                        ("XDS_ROOT_CA", "x"), ("TRUST_DOMAIN", "A")):
        write("agent_env", f"one-{name.lower()}", f"{name}={value}\0"
              "ECC_SIGNATURE_ALGORITHM=ECDSA")
    write("agent_env", "rsa-4096", "WORKLOAD_RSA_KEY_SIZE=4096")
    write("agent_env", "proxy-config",
          'PROXY_CONFIG={"discoveryAddress":"a:1"}\0ISTIOD_SAN=b')

    def settings(name, *pairs):
        write("agent_env", f"set-{name}", "\0".join(
            f"--set {pair}" for pair in pairs))
    settings("identity", "identity.spiffe_id=spiffe://td/ns/a/sa/b",
             "identity.trust_domain=td", "socket.group=7",
             "socket.allow=[any, 12]", "cert.renew_ratio=.5",
             "chain.warn=[key-ids, serial]", "ca.headers=[\"a: b\"]")
    for number, pair in enumerate((
            "identity.spiffe_id=spiffe://else/a", "identity.spiffe_id=x",
            "socket.group=x", "socket.allow=[x]", "cert.renew_ratio=1.5",
            "cert.renew_jitter=0.x", "chain.warn=[none]",
            "ca.headers=[x]", "key.rsa_bits=2049", "ca.retry_min=2h", "x",
            "x.y=z")):
        settings(f"bad-{number}", pair)
    settings("both", "files.mounted=true", "ca.client_cert_dir=/x")


# ---- servers -----------------------------------------------------------------

def frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + \
        struct.pack(">I", stream) + payload


def literal(name, value):
    return b"\0" + bytes([len(name)]) + name + bytes([len(value)]) + value


def make_answers():
    head = b"\x88" + literal(b"content-type", b"application/grpc")
    good = literal(b"grpc-status", b"0")
    settings, ack = frame(4, 0, 0), frame(4, 1, 0)
    data = b"\0\0\0\0\5hello"
    write("h2_client", "unary", settings + ack + frame(1, 4, 1, head) +
          frame(0, 0, 1, data) + frame(1, 5, 1, good))
    write("h2_client", "refused", settings + frame(
        1, 5, 1, head + literal(b"grpc-status", b"16") +
        literal(b"grpc-message", b"who%20%c3%a4re you")))
    write("h2_client", "later", settings + frame(1, 4, 1, head) + frame(
        1, 5, 1, literal(b"grpc-status", b"8") +
        literal(b"grpc-retry-pushback-ms", b"1500")) + frame(
            1, 5, 3, head + literal(b"grpc-status", b"14") +
            literal(b"grpc-retry-pushback-ms", b"-1")))
    write("h2_client", "stream", settings + frame(1, 4, 3, head) +
          frame(0, 0, 3, data + data[:7]) + frame(0, 0, 3, data[7:]) +
          frame(1, 5, 3, good))
    write("h2_client", "goaway", settings + frame(1, 4, 1, head) +
          frame(7, 0, 0, struct.pack(">II", 1, 11) + b"calm") +
          frame(3, 0, 5, struct.pack(">I", 7)))
    write("h2_client", "html", settings + frame(
        1, 4, 1, b"\x8d" + literal(b"content-type", b"text/html")) +
        frame(0, 1, 1, b"<html>"))
    write("h2_client", "control", frame(4, 0, 0, struct.pack(
        ">HIHIHI", 1, 0, 3, 1, 4, 100)) + frame(6, 0, 0, b"12345678") +
        frame(8, 0, 0, b"\0\0\1\0") + frame(8, 0, 1, b"\0\0\1\0"))


if __name__ == "__main__":
    for make_some in (make_chains, make_sets, make_keys, make_logs,
                      make_callers, make_files, make_environments,
                      make_answers):
        make_some()
