"""Writes the seeds of fuzz_csr, fuzz_cert, fuzz_san and fuzz_spiffe_id:
python3 tests/fuzz/make_seeds_pki.py

Keys and times are new in each run; the shapes are what matters."""
import datetime
import ipaddress
import pathlib

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

SEEDS = pathlib.Path(__file__).parent / "seeds"
DER, PEM = serialization.Encoding.DER, serialization.Encoding.PEM
NOW = datetime.datetime(2026, 1, 1)
URI = x509.UniformResourceIdentifier("spiffe://td/ns/a/sa/b")
EMPTY = x509.Name([])


def write(parser, name, data):
    folder = SEEDS / parser
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(data)


def name(text):
    return x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "O, x"),
                      x509.NameAttribute(NameOID.COMMON_NAME, text)])


def usage(**bits):
    every = ("digital_signature content_commitment key_encipherment "
             "data_encipherment key_agreement key_cert_sign crl_sign "
             "encipher_only decipher_only").split()
    return x509.KeyUsage(**{bit: bits.get(bit, False) for bit in every})


def csr(key, names, subject=EMPTY, extra=()):
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject)
    if names:
        builder = builder.add_extension(
            x509.SubjectAlternativeName(names), True)
    for extension, critical in extra:
        builder = builder.add_extension(extension, critical)
    return builder.sign(key, None if isinstance(
        key, ed25519.Ed25519PrivateKey) else hashes.SHA256())


def certificate(subject, extensions):
    key = ec.generate_private_key(ec.SECP256R1())
    builder = (x509.CertificateBuilder().subject_name(subject)
               .issuer_name(subject or name("issuer"))
               .not_valid_before(NOW)
               .not_valid_after(NOW + datetime.timedelta(days=9000))
               .serial_number(0x1122334455667788)
               .public_key(key.public_key()))
    ids = [(x509.SubjectKeyIdentifier.from_public_key(key.public_key()),
            False),
           (x509.AuthorityKeyIdentifier.from_issuer_public_key(
               key.public_key()), False)]
    for extension, critical in extensions + ids:
        builder = builder.add_extension(extension, critical)
    return builder.sign(key, hashes.SHA256())


def make_csrs():
    key = ec.generate_private_key(ec.SECP256R1())
    blank = x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "",
                                          _validate=False)])
    agent = csr(key, [URI], blank)
    write("csr", "agent", agent.public_bytes(DER))
    write("csr", "agent-pem", agent.public_bytes(PEM))
    write("csr", "no-names", csr(key, []).public_bytes(DER))
    write("csr", "ed25519", csr(ed25519.Ed25519PrivateKey.generate(),
                                [URI]).public_bytes(DER))
    write("csr", "wants-more", csr(key, [URI, x509.DNSName("a.b")], name("x"), [
        (x509.BasicConstraints(False, None), True),
        (usage(digital_signature=True), True),
        (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False),
    ]).public_bytes(DER))


def make_certs():
    both = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH,
                                  ExtendedKeyUsageOID.CLIENT_AUTH])
    leaf = certificate(EMPTY, [
        (x509.BasicConstraints(False, None), True),
        (usage(digital_signature=True), True), (both, False),
        (x509.SubjectAlternativeName([URI, x509.DNSName("a.b")]), True)])
    root = certificate(name("root"), [
        (x509.BasicConstraints(True, 1), True),
        (usage(key_cert_sign=True, crl_sign=True), True),
        (x509.NameConstraints(
            [x509.UniformResourceIdentifier("td"), x509.DNSName("a.b")],
            [x509.UniformResourceIdentifier(".td")]), True)])
    write("cert", "leaf", leaf.public_bytes(DER))
    write("cert", "root", root.public_bytes(DER))
    write("cert", "pem", root.public_bytes(PEM) + leaf.public_bytes(PEM))
    sans = [URI, x509.DNSName("*.x.svc"), x509.RFC822Name("a@b"),
            x509.IPAddress(ipaddress.ip_address("127.0.0.1")),
            x509.IPAddress(ipaddress.ip_address("::1")),
            x509.RegisteredID(x509.ObjectIdentifier("1.2.3")),
            x509.DirectoryName(name("x"))]
    write("san", "all", x509.SubjectAlternativeName(sans).public_bytes())
    write("san", "one", x509.SubjectAlternativeName([URI]).public_bytes())


make_csrs()
make_certs()
for label, text in {"k8s": "spiffe://cluster.local/ns/web/sa/default",
                    "domain": "spiffe://td", "dots": "spiffe://a..b/.../a.b",
                    "refused": "spiffe://td/a/../b"}.items():
    write("spiffe_id", label, text.encode())
