"""Go's crypto/x509 reads and verifies every kind of certificate that is issued:
tests/flow/test_lint.py has the same for OpenSSL and GnuTLS."""

from flow.test_lint import URI, made, run  # noqa: F401 (a fixture)
from support import pki


def verify(folders, made, path, purpose, root=None):  # noqa: F811
    return run(folders["tools"] / "verify", root or made.root, made.above,
               path, purpose)


def test_go_verifies_and_reads_the_same(folders, made, folder):  # noqa: F811
    for name, path in made.leaves.items():
        for purpose in ("server",) if name == "serving" else ("server",
                                                              "client"):
            done = verify(folders, made, path, purpose)
            assert done.returncode == 0, (name, purpose, done.stdout)
            serial, *uris = done.stdout.split()
            leaf = pki.load_all(path.read_text())[0]
            assert int(serial) == leaf.serial_number
            assert name == "serving" or uris == [URI]
    other = folder / "other.pem"
    other.write_text(pki.cert_pem(pki.TestCA().cert))
    leaf = made.leaves["p256"]
    assert verify(folders, made, leaf, "server", other).returncode == 1
    assert verify(folders, made, leaf, "email").returncode == 1
