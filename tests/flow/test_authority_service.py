"""The authority as a service: health, deadlines, its HTTP port, its stop."""

import os
import shutil
import signal
import threading

import grpc
import pytest
from support import net, pki, rpc, tokens
from support.meshcert import Authority
from support.process import until


def request(ours, channel, **more):
    return rpc.create_certificate(
        channel, pki.new_csr(pki.new_key()),
        token=ours.issuer.token("shop", "cart"), **more)


def test_health_is_told_to_anyone(ours):
    with ours.channel() as channel:
        assert rpc.health(channel) == "SERVING"


def test_health_of_an_unknown_service_is_not_found(ours):
    with ours.channel() as channel, \
            pytest.raises(grpc.RpcError) as caught:
        rpc.health(channel, "no.such.Service")
    assert caught.value.code() == grpc.StatusCode.NOT_FOUND


def test_a_deadline_ends_a_call_that_cannot_be_answered_in_time(ours):
    (authority_role,) = ours.roles()["authority"]
    with ours.channel() as channel:
        assert len(request(ours, channel)) == 2
        os.kill(authority_role, signal.SIGSTOP)
        try:
            with pytest.raises(grpc.RpcError) as caught:
                request(ours, channel, timeout=0.3)
        finally:
            os.kill(authority_role, signal.SIGCONT)
        assert caught.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED
        assert len(request(ours, channel)) == 2


def test_a_message_above_the_limit_is_refused_and_the_rest_goes_on(ours):
    with ours.channel() as channel:
        with pytest.raises(grpc.RpcError) as caught:
            rpc.create_certificate(channel, "x" * (8 << 20),
                                   token=ours.issuer.token())
        assert caught.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
        assert len(request(ours, channel)) == 2


def test_the_http_port_tells_its_state_and_counts(ours):
    assert net.get(ours.http + "/healthz")[0] == 200
    assert net.get(ours.http + "/ready")[0] == 200
    assert "AWS-LC" in net.get(ours.http + "/version")[1]
    name = "citadel_server_success_cert_issuance_count"
    before = net.metric(ours.metrics(), name) or 0
    with ours.channel() as channel:
        for _ in range(3):
            request(ours, channel)
    assert net.metric(ours.metrics(), name) == before + 3


def test_a_stop_ends_every_process_and_loses_no_accepted_request(ours):
    roles = [pid for pids in ours.roles().values() for pid in pids]
    assert roles
    answers, refused = [], []

    def ask_until_refused():
        with ours.channel() as channel:
            while True:
                try:
                    answers.append(request(ours, channel))
                except grpc.RpcError as why:
                    refused.append(why.code())
                    return
    clients = [threading.Thread(target=ask_until_refused) for _ in range(4)]
    for one in clients:
        one.start()
    until(lambda: len(answers) >= 20 or refused, "20 answers had come")
    ours.process.signal(signal.SIGTERM)
    assert ours.process.wait() == 0
    for one in clients:
        one.join(20)
    # Not one call was cut off in its midst: a call that was not accepted
    # says that it may be sent again.
    assert set(refused) == {grpc.StatusCode.UNAVAILABLE}
    assert not [pid for pid in roles if os.path.exists(f"/proc/{pid}")]


@pytest.mark.parametrize("sub", ["system:serviceaccount:shop",
                                 "system:serviceaccount:",
                                 "system:serviceaccount::cart",
                                 "system:serviceaccount:shop:cart:more"])
def test_a_token_that_names_half_an_account_is_refused(ours, sub):
    """Not in test_authority_answers: Istio's CA ends with a panic on it."""
    with ours.channel() as channel, \
            pytest.raises(grpc.RpcError) as caught:
        rpc.create_certificate(
            channel, pki.new_csr(pki.new_key()), token=ours.issuer.token(
                sub=sub, **{"kubernetes.io": None}))
    assert caught.value.code() == grpc.StatusCode.UNAUTHENTICATED
    assert caught.value.details() == "request authenticate failure"


def test_a_token_that_names_two_accounts_is_refused(ours):
    token = ours.issuer.token(
        "shop", "cart", **{"kubernetes.io": {
            "namespace": "kube-system",
            "serviceaccount": {"name": "cart", "uid": "1"}}})
    with ours.channel() as channel, \
            pytest.raises(grpc.RpcError) as caught:
        rpc.create_certificate(channel, pki.new_csr(pki.new_key()),
                               token=token)
    assert caught.value.code() == grpc.StatusCode.UNAUTHENTICATED
    ours.process.await_line("name different service accounts")


class Clients:
    """Asks without end from several threads; counts answers and codes."""

    def __init__(self, ours, count=3):
        self.answers, self.codes = 0, set()
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(ours,))
                         for _ in range(count)]
        for one in self._threads:
            one.start()

    def _run(self, ours):
        while not self._stop.is_set():
            with ours.channel() as channel:
                try:
                    while not self._stop.is_set():
                        request(ours, channel)
                        self.answers += 1
                except grpc.RpcError as why:
                    self.codes.add(why.code())

    def more(self, count=20):
        """Awaits so many answers more."""
        want = self.answers + count
        until(lambda: self.answers >= want, f"{count} more answers came")

    def stop(self):
        self._stop.set()
        for one in self._threads:
            one.join(20)


@pytest.mark.parametrize("role", ["front", "authority", "signer", "public"])
def test_a_killed_role_comes_back_and_callers_need_only_ask_again(ours, role):
    clients = Clients(ours)
    try:
        for _ in range(2):
            clients.more()
            old = ours.roles()[role]
            for pid in old:
                os.kill(pid, signal.SIGKILL)
            until(lambda: len(set(ours.roles().get(role, [])) - set(old)) ==
                  len(old), f"{role} was started again", alive=ours.process)
            clients.more()
            ours.await_ready()
    finally:
        clients.stop()
    # What a killed role had accepted is lost, but says that it may be asked
    # again: nobody is refused for good.
    assert clients.codes <= {grpc.StatusCode.UNAVAILABLE}


def test_it_runs_as_an_ordinary_user_too(procs, folder, build):
    nobody = 65534
    if os.getuid() != 0:
        pytest.skip("the other tests show it: this is not root")
    issuer = tokens.Issuer("RS256")
    # The checkout may lie where only root may look.
    programs = folder / "programs"
    shutil.copytree(build, programs, ignore=lambda _, names: [
        n for n in names if not n.startswith("meshcert") or "." in n])
    one = Authority(procs, folder, programs, issuer=issuer, uid=nobody)
    one.issuer = issuer
    one.start()
    with one.channel() as channel:
        assert len(request(one, channel)) == 2
    users = {os.stat(f"/proc/{pid}").st_uid
             for pids in one.roles().values() for pid in pids}
    assert users == {nobody}


def test_as_root_each_role_is_a_user_of_its_own(ours):
    if os.getuid() != 0:
        pytest.skip("only root can give each role a user")
    users = {role: {os.stat(f"/proc/{pid}").st_uid for pid in pids}
             for role, pids in ours.roles().items()}
    assert {"front", "public", "authority", "signer"} <= set(users)
    every = [uid for found in users.values() for uid in found]
    assert 0 not in every
    assert len(set(every)) == len(users)
