"""Writes the seeds of fuzz_tls_server and fuzz_tls_client:
python3 tests/fuzz/make_seeds_tls.py

What Python's own TLS says to itself; the first byte is the size of the pieces
in which the targets feed it (0: whole). In TLS 1.2 the certificates go in
clear and do not depend on what the other side said: they are below the root
whose key stands in tls_fuzz.h."""
import datetime
import pathlib
import ssl
import tempfile

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID
from make_seeds_input import DNS, URI, ca, leaf, pem, write

# The root of tls_fuzz.h, as lib/pki/build.c names it; its now is TEST_NOW_SEC.
KEY = ec.derive_private_key(int.from_bytes(b"\7" * 32, "big"), ec.SECP256R1())
KEY_ID = x509.SubjectKeyIdentifier.from_public_key(KEY.public_key()).digest
ROOT = x509.Name([
    x509.NameAttribute(NameOID.ORGANIZATION_NAME, "a.test"),
    x509.NameAttribute(NameOID.COMMON_NAME,
                       f"meshcert root {KEY_ID[:4].hex()}")])
BEGIN = datetime.datetime.fromtimestamp(1800000000 - 3600, datetime.UTC) \
    .replace(tzinfo=None)
DATES = {"begin": BEGIN, "days": 1}
K_MID, K_LEAF = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
ME = URI("spiffe://a.test/x")
GOOD = [leaf(ROOT, K_LEAF, KEY, ME, DNS("db.x.svc"), **DATES)]
MID = ca("mid", ROOT, K_MID, KEY, pathlen=0, **DATES)
BELOW = [leaf("mid", K_LEAF, K_MID, ME, **DATES), MID]


def talk(version, client=None, server=(BELOW, K_LEAF), alpn=("h2",)):
    """[all that the client said, all that the server said]. Each side is a
    chain and its key; client None: the server asks for none."""
    sides, bios, said = [], [ssl.MemoryBIO(), ssl.MemoryBIO()], [b"", b""]
    for protocol, own in ((ssl.PROTOCOL_TLS_CLIENT, client),
                          (ssl.PROTOCOL_TLS_SERVER, server)):
        context = ssl.SSLContext(protocol)
        context.minimum_version = context.maximum_version = version
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        # We ask for no ticket, and refuse one.
        context.options |= ssl.OP_NO_TICKET
        if alpn:
            context.set_alpn_protocols(alpn)
        if own:
            load(context, *own)
        if protocol == ssl.PROTOCOL_TLS_SERVER and client is not None:
            context.verify_mode = ssl.CERT_OPTIONAL
        sides.append(context)
    sides = [sides[0].wrap_bio(bios[1], bios[0], server_hostname="db.x.svc"),
             sides[1].wrap_bio(bios[0], bios[1], server_side=True)]
    for n in (0, 1, 0):
        try:
            sides[n].do_handshake()
        except ssl.SSLWantReadError:
            pass
        data = bios[n].read()
        said[n] += data
        bios[n].write(data)
    return said


def load(context, chain, key):
    with tempfile.NamedTemporaryFile() as where:
        where.write(key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption()) + b"".join(pem(c) for c in chain))
        where.flush()
        context.load_cert_chain(where.name)


def hello(name, step, version, alpn=("h2",)):
    said = talk(version, alpn=alpn)[0]
    size = 5 + int.from_bytes(said[3:5], "big")
    write("tls_server", name, bytes([step]) + said[:size])


V12, V13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
hello("tls13", 0, V13)
hello("tls13-pieces", 7, V13, ["http/1.1", "h2"])
hello("tls12", 0, V12)
hello("tls13-no-alpn", 0, V13, None)
write("tls_server", "http", b"\0GET / HTTP/1.1\r\n\r\n")
for target in ("tls_server", "tls_client"):
    write(target, "alert", b"\0\x15\x03\x03\x00\x02\x02\x28")
write("tls_client", "http", b"\0HTTP/1.1 400 Bad Request\r\n\r\n")

RSA = rsa.generate_private_key(65537, 2048)
CHAINS = {
    "good": (GOOD, K_LEAF),
    "below": (BELOW, K_LEAF),
    "rsa": ([leaf(ROOT, RSA, KEY, ME, **DATES)], RSA),
    "other-domain": ([leaf(ROOT, K_LEAF, KEY, URI("spiffe://b.test/x"),
                           **DATES)], K_LEAF),
    "no-identity": ([leaf(ROOT, K_LEAF, KEY, DNS("y"), **DATES)], K_LEAF),
    "old": ([leaf(ROOT, K_LEAF, KEY, ME, days=1)], K_LEAF),
    "alone": (BELOW[:1], K_LEAF),
}
for which, own_chain in CHAINS.items():
    write("tls_server", f"cert-{which}", b"\0" + talk(V12, own_chain)[0])
    write("tls_client", f"cert-{which}",
          b"\0" + talk(V12, server=own_chain)[1])
# No server says anything with this one.
write("tls_server", "cert-ca", b"\0" + talk(
    V12, ([ca("x", ROOT, K_LEAF, KEY, **DATES)], K_LEAF))[0])
write("tls_server", "cert-none", b"\0" + talk(V12, ())[0])
write("tls_server", "cert-pieces", b"\x09" + talk(V12, CHAINS["below"])[0])
write("tls_client", "tls12-pieces", b"\x09" + talk(V12)[1])
write("tls_client", "tls13", b"\0" + talk(V13)[1])
