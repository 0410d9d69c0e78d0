"""Every kind of certificate that is issued: linted by pkilint, read and
verified the same by OpenSSL and GnuTLS; by Go in tests/peer."""

import contextlib
import io
import json
import socket
import ssl
import subprocess

import pytest
from pkilint.bin import lint_pkix_cert
from support import meshcert, pki, rpc

URI = "spiffe://cluster.local/ns/shop/sa/cart"
LEAVES = ("p256", "p384", "rsa2048", "ed25519")
AUTHORITIES = {
    "P-256": {"issuer.key": "P-256"},
    "P-384": {"issuer.key": "P-384"},
    "RSA-2048": {"issuer.key": "RSA-2048"},
    "two tiers": {"issuer.tiers": 2},
    "two tiers, RSA-2048": {"issuer.tiers": 2, "issuer.key": "RSA-2048"},
    "name constraints": {"issuer.name_constraints": True},
    "two tiers, name constraints": {"issuer.tiers": 2,
                                    "issuer.name_constraints": True},
    # Plugged in: what others made, and how many stand above ours.
    "plugged in": {"plug": ("p256", 1)},
    "plugged in, the root itself": {"plug": ("p256", 0)},
    "plugged in, two above": {"plug": ("p384", 2)},
    "plugged in, RSA-2048": {"plug": ("rsa2048", 1)},
}
# What pkilint says and we do all the same, each with its reason.
EXCLUDED = (
    # It knows no scheme but those of the web; SPIFFE-ID.md 2 has this one.
    'pkix.invalid_uri_syntax: Invalid URI syntax: "spiffe://cluster.local"',
    f'pkix.invalid_uri_syntax: Invalid URI syntax: "{URI}"',
    # A name without dots is a name in RFC 1034 3.5, and on one host the
    # authority is called so.
    'pkix.invalid_domain_name_syntax: Invalid domain name syntax: '
    '"meshcert-ca"',
    'pkix.invalid_domain_name_syntax: Invalid domain name syntax: '
    '"localhost"',
)


def serving_pem(one):
    """The certificate that the authority itself shows."""
    context = ssl.create_default_context(cadata=one.root_pem())
    context.set_alpn_protocols(["h2"])
    host, port = one.target.rsplit(":", 1)
    with socket.create_connection((host, int(port)), 10) as raw, \
            context.wrap_socket(
                raw, server_hostname=meshcert.SERVING_NAME) as conn:
        return ssl.DER_cert_to_PEM_cert(conn.getpeercert(True))


class Made:
    """Certificates of one authority as files."""

    def __init__(self, one, folder, is_plugged):
        self.root = folder / "root.pem"
        self.root.write_text(one.root_pem())
        self.above, self.leaves = folder / "above.pem", {}
        self.all = {} if is_plugged else {"root": self.root}
        for kind in LEAVES:
            with one.channel() as channel:
                chain = rpc.create_certificate(
                    channel, pki.new_csr(pki.new_key(kind), uris=[URI]),
                    token=one.issuer.token("shop", "cart"))
            self.add(folder, kind, chain[0])
            self.above.write_text("".join(chain[1:-1]))
            if len(chain) > 2 and not is_plugged:
                self.all["issuing"] = self.above
        self.add(folder, "serving", serving_pem(one))

    def add(self, folder, name, pem):
        path = folder / f"{name}.pem"
        path.write_text(pem)
        self.leaves[name] = self.all[name] = path


def plugged(folder, kind, above):
    """The configuration of a CA below so many others."""
    ca = pki.TestCA("root of others", kind)
    for n in range(above):
        ca = pki.TestCA(f"{n + 1} below it", kind, parent=ca)
    return {"issuer.kind": "files",
            "issuer.dir": str(ca.write_cacerts(folder))}


@pytest.fixture(scope="module", params=AUTHORITIES.values(),
                ids=list(AUTHORITIES))
def made(request, build, tmp_path_factory):
    """The certificates of each authority in turn."""
    config = {"csr.allow_ed25519": True, **request.param}
    plug = config.pop("plug", None)
    if plug:
        config.update(plugged(tmp_path_factory.mktemp("cacerts"), *plug))
    with meshcert.shared_authority(build, "RS256", config=config) as one:
        folder = one.folder.parent / "made"
        folder.mkdir()
        yield Made(one, folder, plug is not None)


def run(*words):
    return subprocess.run([str(w) for w in words], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=60,
                          check=False)


def findings(path):
    """{"code: text"} of pkilint, informative ones left out."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        lint_pkix_cert.main(["lint", "-s", "NOTICE", "-f", "JSON",
                             str(path)])
    return {f'{f["code"]}: {f.get("message")}'
            for result in json.loads(out.getvalue())["results"]
            for f in result["finding_descriptions"]}


def test_pkilint_finds_nothing_but_what_is_meant(made):
    found = {name: findings(path) - set(EXCLUDED)
             for name, path in made.all.items()}
    assert found == dict.fromkeys(made.all, set())


def test_pkilint_finds_what_is_wrong(folder):
    """It looks."""
    bad = pki.TestCA()
    path = folder / "bad.pem"
    path.write_text(pki.cert_pem(bad.issue(pki.new_key(), dns=["a b"])))
    assert any("invalid_domain_name_syntax" in one for one in findings(path))


def openssl(made, path, purpose, root=None):
    words = ["openssl", "verify", "-x509_strict", "-purpose", purpose,
             "-CAfile", root or made.root]
    if made.above.stat().st_size:
        words += ["-untrusted", made.above]
    return run(*words, path)


def test_openssl_verifies_strictly(made, folder):
    for name, path in made.leaves.items():
        for purpose in ("sslserver", "sslclient")[:1 if name == "serving"
                                                  else 2]:
            done = openssl(made, path, purpose)
            assert done.returncode == 0, (name, purpose, done.stdout)
    other = folder / "other.pem"
    other.write_text(pki.cert_pem(pki.TestCA().cert))
    assert openssl(made, made.leaves["p256"], "sslserver",
                   other).returncode != 0
    assert openssl(made, made.leaves["p256"], "smimesign").returncode != 0


def gnutls(made, path, root=None):
    chain = path.parent / "chain.pem"
    chain.write_text(path.read_text() + made.above.read_text())
    return run("certtool", "--verify", "--load-ca-certificate",
               root or made.root, "--infile", chain)


def test_gnutls_verifies_and_reads_the_same(made, folder):
    for name, path in made.leaves.items():
        done = gnutls(made, path)
        assert done.returncode == 0, (name, done.stdout)
        shown = run("certtool", "--certificate-info", "--infile", path)
        assert shown.returncode == 0
        serial = pki.load_all(path.read_text())[0].serial_number
        assert f"{serial:x}".zfill(2) in shown.stdout.replace(":", "")
        assert name == "serving" or f"URI: {URI}" in shown.stdout
    other = folder / "other.pem"
    other.write_text(pki.cert_pem(pki.TestCA().cert))
    assert gnutls(made, made.leaves["p256"], other).returncode != 0
