"""Go's crypto/x509 reads and verifies every kind of certificate that is issued:
tests/flow/test_lint.py has the same for OpenSSL and GnuTLS. And zlint, with its
lints of RFCs."""

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


def zlint(folders, *paths):
    """[(file, lint, status ...)], and how many lints looked at each file."""
    done = run(folders["tools"] / "zlint", *paths)
    assert done.returncode == 0, done.stdout
    rows = [line.split() for line in done.stdout.splitlines()]
    return [row for row in rows if row[1] != "lints"], \
        {row[0]: int(row[2]) for row in rows if row[1] == "lints"}


def test_zlint_finds_nothing(folders, made):  # noqa: F811
    found, looked = zlint(folders, *made.all.values())
    assert found == []
    assert len(looked) == len(made.all) and min(looked.values()) > 50


def test_zlint_finds_what_is_wrong(folders, folder):
    path = folder / "bad.pem"
    path.write_text(pki.cert_pem(pki.TestCA().issue(pki.new_key(),
                                                    uris=["no-scheme"])))
    assert zlint(folders, path)[0]
