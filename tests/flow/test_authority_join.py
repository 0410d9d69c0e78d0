"""Join tokens: made over the admin socket, good for one host, once."""

import concurrent.futures
import os
import subprocess
import sys
import time

import grpc
import pytest
from support import pki, rpc

URI = "spiffe://cluster.local/ns/edge/sa/host-1"
REFUSED = (grpc.StatusCode.UNAUTHENTICATED, "request authenticate failure")


def new_token(one, identity=URI, seconds=600):
    with one.admin() as channel:
        return rpc.create_token(channel, identity, seconds)


def join(one, token, key=None, **more):
    """(chain, None) or (None, (code, text))."""
    with one.channel() as channel:
        try:
            return rpc.create_certificate(
                channel, pki.new_csr(key or pki.new_key()), token=token,
                **more), None
        except grpc.RpcError as why:
            return None, (why.code(), why.details())


def as_nobody(path):
    """What another user sees who connects and waits to be cut off."""
    code = (f"import os, socket; os.setgid(65534); os.setuid(65534);"
            f"s = socket.socket(socket.AF_UNIX); s.connect({str(path)!r});"
            f"s.recv(1)")
    return subprocess.run([sys.executable, "-c", code], capture_output=True,
                          text=True, timeout=10).stderr


def test_a_join_token_gives_its_own_identity(ours):
    chain, refusal = join(ours, new_token(ours))
    assert refusal is None
    assert pki.uri_of(pki.load_all(chain[0])[0]) == URI


def test_another_identity_than_the_tokens_is_refused(ours):
    token = new_token(ours)
    with ours.channel() as channel, pytest.raises(grpc.RpcError) as caught:
        rpc.create_certificate(
            channel, pki.new_csr(pki.new_key(), uris=[URI + "0"]),
            token=token)
    assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    # That try has not used it up.
    assert join(ours, token)[1] is None


def test_the_same_key_may_ask_again_but_no_other(ours):
    token, key = new_token(ours), pki.new_key()
    assert join(ours, token, key)[1] is None
    assert join(ours, token)[1] == REFUSED
    assert join(ours, token, key)[1] is None
    ours.process.await_line("used already, with another key")


def test_after_the_time_of_repeats_not_even_the_same_key(make_ours):
    one = make_ours({"token.repeat": "1s"}).start()
    token, key = new_token(one), pki.new_key()
    assert join(one, token, key)[1] is None
    time.sleep(1.1)  # the time itself is what is shown here
    assert join(one, token, key)[1] == REFUSED


def test_of_a_hundred_keys_at_once_exactly_one_wins(ours):
    token = new_token(ours)
    with concurrent.futures.ThreadPoolExecutor(20) as pool:
        found = list(pool.map(lambda _: join(ours, token), range(100)))
    won = [chain for chain, _ in found if chain is not None]
    assert len(won) == 1
    assert [refusal for _, refusal in found if refusal] == [REFUSED] * 99


def test_a_token_is_used_up_for_good_also_after_a_restart(ours):
    token = new_token(ours)
    assert join(ours, token)[1] is None
    assert ours.stop() == 0
    ours.start()
    assert join(ours, token)[1] == REFUSED


def test_an_expired_token_is_refused(ours):
    token = new_token(ours, seconds=1)
    time.sleep(1.1)  # the time itself is what is shown here
    assert join(ours, token)[1] == REFUSED
    ours.process.await_line("join token: it has expired")


@pytest.mark.parametrize("token", ["mjt_", "mjt_" + "A" * 43,
                                   "mjt_" + "A" * 500])
def test_made_up_tokens_are_refused(ours, token):
    assert join(ours, token)[1] == REFUSED


@pytest.mark.parametrize("identity", [
    "spiffe://other.example/ns/a/sa/b", "spiffe://cluster.local", "host-1",
    ""])
def test_no_token_is_made_for_an_identity_of_no_workload(ours, identity):
    with pytest.raises(grpc.RpcError) as caught:
        new_token(ours, identity)
    assert caught.value.code() != grpc.StatusCode.OK


@pytest.mark.parametrize("seconds", [-1, 86401, 1 << 62])
def test_a_tokens_life_has_bounds(ours, seconds):
    with pytest.raises(grpc.RpcError) as caught:
        new_token(ours, seconds=seconds)
    assert "token.max_ttl" in caught.value.details()


def test_the_token_itself_is_neither_stored_nor_logged(ours):
    token = new_token(ours)
    assert join(ours, token)[1] is None
    assert ours.stop() == 0
    secret = token.removeprefix("mjt_").encode()
    found = [path for path in ours.folder.rglob("*")
             if path.is_file() and secret in path.read_bytes()]
    assert found == []
    assert secret.decode() not in "\n".join(ours.process.lines())


def test_other_users_cannot_use_the_admin_socket(ours):
    if os.getuid() != 0:
        pytest.skip("another user is needed to show it")
    path = ours.data / "admin.sock"
    assert "PermissionError" in as_nobody(path)
    # Even where the file's mode lets them in, who they are is asked.
    path.chmod(0o666)
    assert "PermissionError" not in as_nobody(path)
    ours.process.await_line("refused: only root and uid")
    assert ours.status()["record"][0][0] == "STATUS_OK"
