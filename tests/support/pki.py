"""Keys, CSRs and authorities for tests, made with Python's cryptography:
an implementation that shares nothing with ours."""

import base64
import datetime
import pathlib

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

KINDS = {
    "p256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "p384": lambda: ec.generate_private_key(ec.SECP384R1()),
    "p521": lambda: ec.generate_private_key(ec.SECP521R1()),
    "rsa1024": lambda: rsa.generate_private_key(65537, 1024),
    "rsa2048": lambda: rsa.generate_private_key(65537, 2048),
    "ed25519": ed25519.Ed25519PrivateKey.generate,
}


def new_key(kind="p256"):
    return KINDS[kind]()


def hash_for(key):
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return None
    if isinstance(key, ec.EllipticCurvePrivateKey) and key.key_size == 384:
        return hashes.SHA384()
    return hashes.SHA256()


def key_pem(key):
    return key.private_bytes(serialization.Encoding.PEM,
                             serialization.PrivateFormat.PKCS8,
                             serialization.NoEncryption()).decode()


def cert_pem(cert):
    return cert.public_bytes(serialization.Encoding.PEM).decode()


def load_all(pem):
    """All certificates of a PEM text."""
    if isinstance(pem, str):
        pem = pem.encode()
    return x509.load_pem_x509_certificates(pem)


def uri_of(cert):
    """The SPIFFE ID of a certificate; None where there is no URI."""
    try:
        names = cert.extensions.get_extension_for_class(
            x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return None
    uris = names.get_values_for_type(x509.UniformResourceIdentifier)
    return uris[0] if uris else None


def new_csr(key, uris=(), dns=(), subject=()):
    """A CSR as PEM. subject: (NameOID, text) pairs; pilot-agent's is an
    empty organization."""
    name = x509.Name([x509.NameAttribute(oid, text, _validate=False)
                      for oid, text in subject])
    builder = x509.CertificateSigningRequestBuilder().subject_name(name)
    names = [x509.UniformResourceIdentifier(u) for u in uris] + \
        [x509.DNSName(d) for d in dns]
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names),
                                        critical=True)
    return builder.sign(key, hash_for(key)) \
        .public_bytes(serialization.Encoding.PEM).decode()


def spoiled(csr):
    """The same CSR with its signature's last bit changed."""
    raw = bytearray(base64.b64decode("".join(csr.splitlines()[1:-1])))
    raw[-1] ^= 1
    return ("-----BEGIN CERTIFICATE REQUEST-----\n" +
            base64.encodebytes(bytes(raw)).decode() +
            "-----END CERTIFICATE REQUEST-----\n")


def usage(**on):
    every = dict.fromkeys(
        ("digital_signature", "content_commitment", "key_encipherment",
         "data_encipherment", "key_agreement", "key_cert_sign", "crl_sign",
         "encipher_only", "decipher_only"), False)
    return x509.KeyUsage(**{**every, **on})


class TestCA:
    """An authority of the tests' own: a root, or an intermediate below
    parent."""

    __test__ = False  # not a test, whatever its name says to pytest

    def __init__(self, name="test root", kind="p256", parent=None,
                 crl_sign=True, days=3650, key_ids=True):
        self.key, self.parent = new_key(kind), parent
        subject = x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME,
                                                name)])
        issuer = parent or self
        now = datetime.datetime.now(datetime.timezone.utc)
        builder = x509.CertificateBuilder().subject_name(subject) \
            .issuer_name(parent.cert.subject if parent else subject) \
            .public_key(self.key.public_key()) \
            .serial_number(x509.random_serial_number()) \
            .not_valid_before(now - datetime.timedelta(minutes=5)) \
            .not_valid_after(now + datetime.timedelta(days=days)) \
            .add_extension(x509.BasicConstraints(True, None), True) \
            .add_extension(usage(key_cert_sign=True, crl_sign=crl_sign),
                           True) \
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(
                self.key.public_key()), False)
        if parent is not None and key_ids:
            builder = builder.add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(
                    parent.key.public_key()), False)
        self.cert = builder.sign(issuer.key, hash_for(issuer.key))

    def root(self):
        return self.parent.root() if self.parent else self

    def chain_pem(self):
        """Itself and what stands between it and the root."""
        return "" if self.parent is None else \
            cert_pem(self.cert) + self.parent.chain_pem()

    def issue(self, key, uris=(), dns=(), ips=(), seconds=86400,
              backdate=120):
        now = datetime.datetime.now(datetime.timezone.utc)
        names = [x509.UniformResourceIdentifier(u) for u in uris] + \
            [x509.DNSName(d) for d in dns] + [x509.IPAddress(i) for i in ips]
        return x509.CertificateBuilder().subject_name(x509.Name([])) \
            .issuer_name(self.cert.subject) \
            .public_key(key.public_key()) \
            .serial_number(x509.random_serial_number()) \
            .not_valid_before(now - datetime.timedelta(seconds=backdate)) \
            .not_valid_after(now + datetime.timedelta(seconds=seconds)) \
            .add_extension(x509.BasicConstraints(False, None), True) \
            .add_extension(usage(digital_signature=True), True) \
            .add_extension(x509.ExtendedKeyUsage(
                [ExtendedKeyUsageOID.SERVER_AUTH,
                 ExtendedKeyUsageOID.CLIENT_AUTH]), False) \
            .add_extension(x509.SubjectAlternativeName(names), True) \
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(
                    self.key.public_key()), False) \
            .sign(self.key, hash_for(self.key))

    def write_cacerts(self, folder):
        """The four files of a plugged-in CA."""
        folder = pathlib.Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "ca-key.pem").write_text(key_pem(self.key))
        (folder / "ca-cert.pem").write_text(cert_pem(self.cert))
        (folder / "cert-chain.pem").write_text(self.chain_pem())
        (folder / "root-cert.pem").write_text(cert_pem(self.root().cert))
        return folder

    def write_leaf(self, folder, name, **more):
        """name.pem (with its chain) and name.key; their paths."""
        key = new_key(more.pop("kind", "p256"))
        cert = self.issue(key, **more)
        folder = pathlib.Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        cert_path, key_path = folder / f"{name}.pem", folder / f"{name}.key"
        cert_path.write_text(cert_pem(cert) + self.chain_pem())
        key_path.write_text(key_pem(key))
        return cert_path, key_path
