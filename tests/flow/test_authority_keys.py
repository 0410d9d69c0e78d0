"""The keys of token issuers: from an https URL by way of meshcert-fetch, or
from a file."""

import json
import os
import signal
import threading

import grpc
import pytest
from support import net, pki, rpc, tokens
from support.meshcert import Authority
from support.process import until

CODE = grpc.StatusCode


def ask(one, issuer, timeout=10, **more):
    """None, or the code of the refusal."""
    with one.channel() as channel:
        try:
            rpc.create_certificate(
                channel, pki.new_csr(pki.new_key()), timeout=timeout,
                token=issuer.token("shop", "cart", **more))
        except grpc.RpcError as why:
            return why.code()
    return None


class Remote:
    """An issuer whose keys an https server hands out, and an authority that
    knows its address."""

    def __init__(self, procs, folder, build, **row):
        self.issuer = tokens.Issuer("RS256")
        self.ca = pki.TestCA("jwks root")
        cert, key = self.ca.write_leaf(folder / "www", "www",
                                       dns=["localhost"])
        root = folder / "www/root.pem"
        root.write_text(pki.cert_pem(self.ca.cert))
        self.server = net.Server({"/keys": self.issuer.jwks()}, cert, key)
        self.authority = Authority(procs, folder, build, {"auth.jwt": [{
            "issuer": self.issuer.issuer, "ca_file": str(root),
            "jwks_url": f"https://localhost:{self.server.port}/keys",
            **row}]})

    def publish(self):
        self.server.routes["/keys"] = self.issuer.jwks()

    def asked(self):
        return len(self.server.requests)


@pytest.fixture
def remote(procs, folder, build):
    one = Remote(procs, folder, build)
    yield one
    one.server.end()


def test_keys_come_from_an_https_url(remote):
    one = remote.authority.start()
    assert ask(one, remote.issuer) is None
    stranger = tokens.Issuer("RS256", issuer=remote.issuer.issuer)
    assert ask(one, stranger) == CODE.UNAUTHENTICATED


def test_a_url_whose_certificate_is_not_trusted_gives_no_keys(
        remote, folder):
    pki_of_others = pki.TestCA("others")
    other = folder / "other.pem"
    other.write_text(pki.cert_pem(pki_of_others.cert))
    remote.authority.config["auth.jwt"][0]["ca_file"] = str(other)
    one = remote.authority.start()
    one.process.await_line("its tokens are refused until it answers")
    assert ask(one, remote.issuer) == CODE.UNAUTHENTICATED
    assert remote.asked() == 0


def test_a_redirect_is_not_followed(remote):
    elsewhere = []

    def redirect(handler):
        handler.send_response_only(302)
        handler.send_header("Location", "/stolen")
        handler.send_header("Content-Length", "0")
        handler.end_headers()
        return 200, ""
    remote.server.routes["/keys"] = redirect
    remote.server.routes["/stolen"] = \
        lambda handler: elsewhere.append(handler) or (200, "{}")
    one = remote.authority.start()
    one.process.await_line(r"HTTP status 302")
    assert elsewhere == []


def test_a_new_key_is_fetched_when_a_token_needs_it_but_not_for_each(remote):
    one = remote.authority.start()
    assert ask(one, remote.issuer) is None
    fronts = len(one.roles()["front"])
    # The interval between fetches that tokens cause is over at the start:
    # the fetch of the start counts too.
    before = remote.asked()
    kid = remote.issuer.add_key("ES256", "new")
    remote.publish()
    until(lambda: ask(one, remote.issuer, kid=kid) is None,
          "the new key was known", 25)
    made_up = tokens.Issuer("RS256", issuer=remote.issuer.issuer)
    made_up.add_key("RS256", "nobody")
    for _ in range(20):
        assert ask(one, made_up, kid="nobody") == CODE.UNAUTHENTICATED
    # At most one for each front and each ten seconds.
    assert remote.asked() - before <= 3 * fronts


def test_a_request_waits_for_the_keys_it_needs(remote):
    release = threading.Event()
    keys = remote.issuer.jwks()

    def slow(_):
        release.wait(10)
        return 200, keys
    remote.server.routes["/keys"] = slow
    one = remote.authority.start()
    found = []
    client = threading.Thread(
        target=lambda: found.append(ask(one, remote.issuer)))
    client.start()
    until(lambda: net.metric(one.metrics(), "citadel_server_csr_count"),
          "the request has come")
    assert found == []
    release.set()
    client.join(10)
    assert found == [None]


def test_a_request_waits_for_keys_no_longer_than_its_deadline(remote):
    release = threading.Event()
    remote.server.routes["/keys"] = \
        lambda _: release.wait(20) and None or (500, "")
    one = remote.authority
    one.config["limit.request"] = "1s"
    one.start()
    try:
        assert ask(one, remote.issuer, timeout=0.5) == CODE.DEADLINE_EXCEEDED
        assert ask(one, remote.issuer, timeout=None) == CODE.UNAUTHENTICATED
    finally:
        release.set()


def kill_fetch(one):
    """It comes back and fetches at once."""
    (old,) = one.roles()["fetch"]
    os.kill(old, signal.SIGKILL)
    until(lambda: one.roles().get("fetch", [old]) != [old],
          "it was back", alive=one.process)


def test_the_keys_are_kept_when_the_url_is_down(remote):
    one = remote.authority.start()
    # Each front fetches for itself.
    for i in range(len(one.roles()["front"])):
        one.process.await_line(rf"front\.{i} front\.jwks issuer .*: 1 keys")
    assert ask(one, remote.issuer) is None
    remote.server.end()
    kill_fetch(one)
    one.process.await_line("the keys before stay in force")
    assert ask(one, remote.issuer) is None
    failed = net.metric(one.metrics(),
                        "pilot_jwks_resolver_network_fetch_fail_total")
    assert failed >= 1


@pytest.mark.parametrize("text", ["", "no json", "[]", '{"keys": 1}',
                                  "{}", "x" * (1 << 20)],
                         ids=["empty", "text", "list", "number", "no keys",
                              "too long"])
def test_a_broken_answer_leaves_nobody_with_keys(remote, text):
    remote.server.routes["/keys"] = text
    one = remote.authority.start()
    one.process.await_line("front.jwks issuer .*(stay in force|refused)")
    assert ask(one, remote.issuer) == CODE.UNAUTHENTICATED


def test_a_killed_fetcher_is_back_and_fetches(remote):
    one = remote.authority.start()
    assert ask(one, remote.issuer) is None
    before = remote.asked()
    kill_fetch(one)
    until(lambda: remote.asked() > before, "it fetched")
    assert ask(one, remote.issuer) is None


def jwks_file(one):
    (found,) = one.folder.glob("jwks*")
    return found


def swap(path, text):
    """As careful programs replace a file."""
    fresh = path.with_suffix(".new")
    fresh.write_text(text)
    fresh.rename(path)


def test_a_file_of_keys_is_read_again_when_it_changes(ours):
    kid = ours.issuer.add_key("ES384", "later")
    assert ask(ours, ours.issuer, kid=kid) == CODE.UNAUTHENTICATED
    swap(jwks_file(ours), ours.issuer.jwks())
    until(lambda: ask(ours, ours.issuer, kid=kid) is None,
          "the new key counted")


def test_a_withdrawn_key_counts_no_more_though_its_token_was_good(ours):
    token_of = ours.issuer.token("shop", "cart")

    def code():
        with ours.channel() as channel:
            try:
                rpc.create_certificate(channel, pki.new_csr(pki.new_key()),
                                       token=token_of)
            except grpc.RpcError as why:
                return why.code()
        return None
    assert code() is None
    swap(jwks_file(ours), tokens.Issuer("RS256").jwks())
    until(lambda: code() == CODE.UNAUTHENTICATED, "the key was withdrawn")


def test_a_broken_file_keeps_the_old_keys(ours):
    swap(jwks_file(ours), json.dumps({"keys": "none"}))
    ours.process.await_line("the keys before it stay in force")
    assert ask(ours, ours.issuer) is None
    jwks_file(ours).unlink()
    ours.process.await_line("front.jwks issuer .*: .*jwks")
    assert ask(ours, ours.issuer) is None


@pytest.mark.parametrize("alg", ["RS256", "ES256", "ES384", "EdDSA", "PS256",
                                 "RS384", "RS512"])
def test_each_usual_algorithm_is_taken(make_ours, alg):
    one = make_ours()
    issuer = tokens.Issuer(alg)
    jwks_file(one).write_text(issuer.jwks())
    assert ask(one.start(), issuer) is None


def test_an_identity_may_come_from_a_claim(make_ours):
    one = make_ours()
    one.config["auth.jwt"][0].update(identity="claim", claim="mesh.id")
    one.start()
    uri = "spiffe://cluster.local/vm/7"
    with one.channel() as channel:
        chain = rpc.create_certificate(
            channel, pki.new_csr(pki.new_key()),
            token=one.issuer.token(mesh={"id": uri}))
    assert pki.uri_of(pki.load_all(chain[0])[0]) == uri
    for other in ("spiffe://other.example/vm/7", "vm/7", None, 7):
        assert ask(one, one.issuer, mesh={"id": other}) == \
            CODE.UNAUTHENTICATED
