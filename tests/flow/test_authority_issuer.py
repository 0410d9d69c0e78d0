"""Where the CA comes from: made by itself, or plugged in, and changed while it
runs."""

import os
import shutil
import socket
import ssl
import stat

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from support import pki, rpc
from support.process import until

URI = "spiffe://cluster.local/ns/shop/sa/cart"


def issue(one, root=None, **more):
    """The chain as certificates: [leaf, issuing ..., roots ...]."""
    channel = one.channel() if root is None else rpc.tls_channel(
        one.target, root, "istiod.istio-system.svc")
    with channel:
        chain = rpc.create_certificate(
            channel, pki.new_csr(pki.new_key()),
            token=one.issuer.token("shop", "cart"), **more)
    return [pki.load_all(entry) for entry in chain]


def verify(chain):
    """Each was issued by the next, the last by a root."""
    flat = [certs[0] for certs in chain[:-1]]
    for child, parent in zip(flat, flat[1:]):
        child.verify_directly_issued_by(parent)
    assert any(flat[-1].issuer == root.subject for root in chain[-1])
    root = next(r for r in chain[-1] if flat[-1].issuer == r.subject)
    flat[-1].verify_directly_issued_by(root)
    return flat


def extension(cert, kind):
    return cert.extensions.get_extension_for_class(kind)


def plug(one, ca, name="cacerts"):
    folder = ca.write_cacerts(one.folder / name)
    one.config.update({"issuer.kind": "files", "issuer.dir": str(folder)})
    return folder


def two_tiers(name="plugged", **more):
    return pki.TestCA(name, parent=pki.TestCA(f"{name} root"), **more)


# -- self-signed


def test_the_root_made_at_first_start_is_as_promised(make_ours):
    root = pki.load_all(make_ours().start().root_pem())[0]
    root.verify_directly_issued_by(root)
    life = root.not_valid_after_utc - root.not_valid_before_utc
    assert 3649 <= life.days <= 3651
    assert root.public_key().curve.name == "secp256r1"
    usage = extension(root, x509.KeyUsage)
    assert usage.critical and usage.value.key_cert_sign \
        and usage.value.crl_sign and not usage.value.digital_signature
    assert extension(root, x509.BasicConstraints).critical
    assert extension(root, x509.SubjectKeyIdentifier)


@pytest.mark.parametrize("key,kind,bits", [
    ("P-384", ec.EllipticCurvePublicKey, 384),
    ("RSA-2048", rsa.RSAPublicKey, 2048)])
def test_the_roots_key_is_chosen_by_configuration(make_ours, key, kind, bits):
    one = make_ours({"issuer.key": key}).start()
    leaf, roots = issue(one)
    public = roots[0].public_key()
    assert isinstance(public, kind) and public.key_size == bits
    verify([leaf, roots])


def test_two_tiers_put_an_issuing_ca_below_the_root(make_ours):
    chain = issue(make_ours({"issuer.tiers": 2}).start())
    leaf, issuing = verify(chain)
    assert len(chain) == 3 and len(chain[-1]) == 1
    assert extension(issuing, x509.BasicConstraints).value.ca
    assert extension(issuing, x509.BasicConstraints).value.path_length == 0
    assert pki.uri_of(leaf) is not None


def test_name_constraints_bind_the_root_to_its_trust_domain(make_ours):
    one = make_ours({"issuer.name_constraints": True}).start()
    (root,) = issue(one)[-1]
    found = extension(root, x509.NameConstraints)
    assert found.critical
    assert [n.value for n in found.value.permitted_subtrees] == \
        ["cluster.local"]


@pytest.mark.parametrize("tiers", [1, 2])
def test_a_restart_keeps_the_same_chain(make_ours, tiers):
    one = make_ours({"issuer.tiers": tiers}).start()
    before = issue(one)[1:]
    one.stop()
    assert issue(one.start())[1:] == before


def test_an_issuing_ca_is_renewed_while_it_runs(make_ours):
    one = make_ours({"issuer.tiers": 2, "issuer.issuing_ttl": "1m",
                     "cert.default_ttl": "10s"})
    one.start()
    first = issue(one)
    until(lambda: issue(one)[1] != first[1], "it was renewed", 75,
          one.process)
    again = issue(one)
    verify(again)
    assert again[1][0].public_key() == first[1][0].public_key()
    assert again[2] == first[2]


def test_keys_and_record_are_readable_for_their_role_only(make_ours):
    one = make_ours().start()
    issue(one)
    owner = {role: os.stat(f"/proc/{pids[0]}").st_uid
             for role, pids in one.roles().items()}
    for folder, role in (("issuer", "signer"), ("store", "authority"),
                         ("audit", "authority")):
        top = one.data / folder
        assert stat.S_IMODE(top.stat().st_mode) == 0o700
        assert top.stat().st_uid == owner[role]
        inside = list(top.iterdir())
        assert inside
        for path in inside:
            assert path.stat().st_uid == owner[role], path
            assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
    assert stat.S_IMODE(
        (one.data / "public/root-cert.pem").stat().st_mode) == 0o644


# -- plugged in


@pytest.mark.parametrize("kind", ["p256", "p384", "rsa2048"])
def test_a_plugged_in_intermediate_signs_and_its_chain_follows(
        make_ours, kind):
    one = make_ours()
    ca = two_tiers(kind=kind)
    plug(one, ca)
    chain = issue(one.start())
    leaf, issuing = verify(chain)
    assert issuing == ca.cert
    assert chain[-1] == [ca.root().cert]
    assert leaf.not_valid_after_utc <= ca.cert.not_valid_after_utc


def test_a_chain_of_three_is_answered_leaf_first(make_ours):
    one = make_ours()
    root = pki.TestCA("the root")
    middle = pki.TestCA("the middle", parent=root)
    ca = pki.TestCA("the issuer", parent=middle)
    plug(one, ca)
    chain = issue(one.start())
    assert [c[0] for c in chain[1:]] == [ca.cert, middle.cert, root.cert]
    assert all(len(entry) == 1 for entry in chain)


def test_all_roots_of_the_file_are_answered_in_one_entry(make_ours):
    one = make_ours()
    ca, other = two_tiers(), pki.TestCA("the next root")
    folder = plug(one, ca)
    with (folder / "root-cert.pem").open("a") as more:
        more.write(pki.cert_pem(other.cert))
    assert issue(one.start())[-1] == [ca.root().cert, other.cert]


def test_the_files_of_cert_manager_are_taken_too(make_ours):
    one = make_ours()
    ca = two_tiers()
    folder = one.folder / "tls"
    folder.mkdir()
    (folder / "tls.key").write_text(pki.key_pem(ca.key))
    (folder / "tls.crt").write_text(ca.chain_pem())
    (folder / "ca.crt").write_text(pki.cert_pem(ca.root().cert))
    one.config.update({"issuer.kind": "files", "issuer.dir": str(folder)})
    chain = issue(one.start())
    verify(chain)
    assert chain[1] == [ca.cert]


def test_an_answers_life_ends_with_the_chain(make_ours):
    one = make_ours()
    ca = pki.TestCA("short", parent=pki.TestCA("root of it"), days=0.25)
    plug(one, ca)
    leaf = issue(one.start())[0][0]
    assert leaf.not_valid_after_utc == ca.cert.not_valid_after_utc


def test_a_ca_without_crl_sign_is_taken_with_a_warning(make_ours):
    one = make_ours()
    plug(one, two_tiers(crl_sign=False))
    issue(one.start())
    assert [level for level, text in one.status()["issuer"]
            if "CRL" in text] == ["STATUS_WARN"]
    plain = make_ours(name="plain")
    plug(plain, two_tiers())
    plain.start()
    assert [level for level, _ in plain.status()["issuer"]] == ["STATUS_OK"]


def renewed(one, ca, trust):
    """Answers come from this CA now. trust: all roots, old and new."""
    def check():
        try:
            return issue(one, trust)[1] == [ca.cert]
        except grpc.RpcError:
            return False
    return check


def roots_of(*cas):
    return "".join(pki.cert_pem(ca.root().cert) for ca in cas)


def test_a_new_set_is_in_force_without_a_restart(make_ours):
    one = make_ours()
    old, new = two_tiers("old"), two_tiers("new")
    folder = plug(one, old)
    one.start()
    pids = one.roles()
    assert issue(one)[1] == [old.cert]
    new.write_cacerts(folder)
    until(renewed(one, new, roots_of(old, new)), "the new CA signed",
          alive=one.process)
    verify(issue(one, roots_of(new)))
    assert one.roles() == pids


def test_the_kubelets_swap_of_a_link_is_seen(make_ours):
    one = make_ours()
    old, new = two_tiers("old"), two_tiers("new")
    folder = one.folder / "mounted"
    old.write_cacerts(folder / "..v1")
    (folder / "..data").symlink_to("..v1")
    for name in ("ca-cert.pem", "ca-key.pem", "cert-chain.pem",
                 "root-cert.pem"):
        (folder / name).symlink_to(f"..data/{name}")
    one.config.update({"issuer.kind": "files", "issuer.dir": str(folder)})
    one.start()
    assert issue(one)[1] == [old.cert]
    new.write_cacerts(folder / "..v2")
    (folder / "..tmp").symlink_to("..v2")
    (folder / "..tmp").rename(folder / "..data")
    shutil.rmtree(folder / "..v1")
    until(renewed(one, new, roots_of(old, new)), "the new CA signed",
          alive=one.process)


def break_key(folder):
    (folder / "ca-key.pem").write_text(pki.key_pem(pki.new_key()))


def break_text(folder):
    (folder / "ca-cert.pem").write_text("not a certificate\n")


def break_root(folder):
    (folder / "root-cert.pem").write_text(
        pki.cert_pem(pki.TestCA("someone else").cert))


def break_leaf(folder):
    ca = pki.TestCA("above")
    key = pki.new_key()
    cert = ca.issue(key, uris=[URI])
    (folder / "ca-key.pem").write_text(pki.key_pem(key))
    (folder / "ca-cert.pem").write_text(pki.cert_pem(cert))
    (folder / "cert-chain.pem").write_text(pki.cert_pem(cert))
    (folder / "root-cert.pem").write_text(pki.cert_pem(ca.cert))


def break_time(folder):
    pki.TestCA("ended", parent=pki.TestCA("ended root"),
               days=-0.001).write_cacerts(folder)


def break_all(folder):
    for path in folder.iterdir():
        path.unlink()


BREAKS = [break_key, break_text, break_root, break_leaf, break_time,
          break_all]


@pytest.mark.parametrize("spoil", BREAKS, ids=lambda f: f.__name__)
def test_a_bad_set_leaves_the_old_in_force_and_status_says_why(
        make_ours, spoil):
    one = make_ours()
    ca = two_tiers()
    folder = plug(one, ca)
    one.start()
    spoil(folder)
    one.process.await_line("the CA before it stays in force")
    assert issue(one)[1] == [ca.cert]
    lines = one.status()["issuer"]
    assert any(level == "STATUS_WARN" and str(folder) in text
               for level, text in lines), lines
    # And it heals by itself.
    ca.write_cacerts(folder)
    until(lambda: [level for level, _ in one.status()["issuer"]] ==
          ["STATUS_OK"], "the status was good again", alive=one.process)


def test_a_bad_set_at_the_start_is_told_and_healed(make_ours):
    one = make_ours()
    ca = two_tiers()
    folder = plug(one, ca)
    break_key(folder)
    one.start(wait=False)
    one.process.await_line("nothing can be issued")
    until((one.data / "admin.sock").exists, "the admin socket was there")
    ((level, text),) = until(
        lambda: [line for line in one.status()["issuer"]
                 if str(folder) in line[1]], "the status said why")
    assert level == "STATUS_BAD"
    ca.write_cacerts(folder)
    one.await_ready()
    assert issue(one)[1] == [ca.cert]


# -- our own serving certificate


def served(one):
    """The certificate that a front shows now."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    host, port = one.target.rsplit(":", 1)
    with socket.create_connection((host, int(port)), 5) as tcp, \
            context.wrap_socket(tcp) as tls:
        return x509.load_der_x509_certificate(tls.getpeercert(True))


def test_our_own_certificate_has_istiods_names_and_is_renewed(make_ours):
    one = make_ours({"serving.ttl": "10s", "fronts": 1}).start()
    cert = served(one)
    names = extension(cert, x509.SubjectAlternativeName).value
    assert "istiod.istio-system.svc" in \
        names.get_values_for_type(x509.DNSName)
    assert names.get_values_for_type(x509.UniformResourceIdentifier) == []
    until(lambda: served(one) != cert, "it was renewed", 15, one.process)
    assert issue(one)


@pytest.mark.parametrize("fronts", [1, 4])
def test_our_own_certificate_may_come_from_files_that_change(make_ours,
                                                             fronts):
    one = make_ours({"fronts": fronts})
    ca = pki.TestCA("company")
    folder = one.folder / "serving"

    def write():
        return ca.write_leaf(folder, "www",
                             dns=["istiod.istio-system.svc"])
    cert, key = write()
    one.config.update({"serving.kind": "files", "serving.cert": str(cert),
                       "serving.key": str(key)})
    one.start()
    root = pki.cert_pem(ca.cert)
    assert issue(one, root)
    before = served(one)
    assert before == pki.load_all(cert.read_text())[0]
    write()
    until(lambda: all(served(one) != before for _ in range(5 * fronts)),
          "every front served the new pair", alive=one.process)
    assert issue(one, root)
    key.write_text(pki.key_pem(pki.new_key()))
    one.process.await_line("the pair before them stays in force")
    assert issue(one, root)
