"""More requests than may be, and more than can be: limits, turns, deadlines,
and connections without end. Whoever is within their limits is served."""

import concurrent.futures
import contextlib
import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading

import grpc
import pytest
from support import flat, h2raw, net, pki, rpc
from support.fake_ca import FakeCA
from support.meshcert import Agent, with_few_files
from support.process import until

CODE = grpc.StatusCode


def ask(one, account="cart", csr=None, **more):
    """The chain, or the error."""
    with one.channel() as channel:
        try:
            return rpc.create_certificate(
                channel, csr or pki.new_csr(pki.new_key()),
                token=one.issuer.token("shop", account), **more)
        except grpc.RpcError as why:
            return why


def is_refused(answer, code):
    return isinstance(answer, grpc.RpcError) and answer.code() == code


def start_call(channel, csr, token, timeout=60):
    """A call that is under way."""
    request = rpc.message("istio.v1.auth.IstioCertificateRequest")(csr=csr)
    call = channel.unary_unary(
        rpc.CA_METHOD,
        request_serializer=lambda m: m.SerializeToString(),
        response_deserializer=rpc.message(
            "istio.v1.auth.IstioCertificateResponse").FromString)
    return call.future(request, timeout=timeout, metadata=[
        ("authorization", f"Bearer {token}")])


def events(one, kind):
    lines = (one.data / "audit/audit.jsonl").read_text().splitlines()
    return [e for e in map(json.loads, lines) if e["event"] == kind]


def issued(one):
    return net.metric(one.metrics(),
                      "citadel_server_success_cert_issuance_count") or 0


# -- rates


def test_an_identity_over_its_rate_is_refused_and_told_when_to_come(
        make_ours):
    one = make_ours({"fronts": 1, "limit.identity_rate": 1,
                     "limit.identity_burst": 5}).start()
    for _ in range(5):
        assert isinstance(ask(one), list)
    late = until(lambda: next((a for a in [ask(one)] if is_refused(
        a, CODE.RESOURCE_EXHAUSTED)), None), "one was refused")
    assert "limit.identity_rate" in late.details()
    trailers = dict(late.trailing_metadata())
    wait_ms = int(trailers["grpc-retry-pushback-ms"])
    assert 0 < wait_ms <= 1000
    status = rpc.message("google.rpc.Status").FromString(
        trailers["grpc-status-details-bin"])
    assert (status.code, status.message) == (8, late.details())
    (detail,) = status.details
    assert detail.type_url == "type.googleapis.com/google.rpc.RetryInfo"
    delay = rpc.message("google.rpc.RetryInfo").FromString(
        detail.value).retry_delay
    assert delay.seconds * 1000 + delay.nanos // 1000000 == wait_ms
    # Another one is served, and after the wait the first is too.
    assert isinstance(ask(one, "other"), list)
    until(lambda: isinstance(ask(one), list), "it was served again")


def test_without_a_rate_nobody_is_refused(make_ours):
    """The contrast."""
    one = make_ours({"fronts": 1, "limit.identity_rate": 0,
                     "limit.identity_burst": 1}).start()
    with one.channel() as channel:
        for _ in range(50):
            assert rpc.create_certificate(
                channel, pki.new_csr(pki.new_key()),
                token=one.issuer.token("shop", "cart"))


def test_many_fronts_give_no_more_and_refusals_are_counted_not_listed(
        make_ours):
    """The limit is the authority's. Each front lets as many through as the
    limit says; what the authority refuses of them is one line of the audit
    log."""
    one = make_ours({"fronts": 4, "limit.identity_rate": 1,
                     "limit.identity_burst": 40}).start()
    csr, token = pki.new_csr(pki.new_key()), one.issuer.token("shop", "cart")

    def flood(_):
        with one.channel() as channel:
            calls = [start_call(channel, csr, token) for _ in range(40)]
            return sum(call.code() == CODE.OK for call in calls)

    def counted():
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            list(pool.map(flood, range(8)))
        found = net.metric(one.metrics(), "meshcert_ca_failures_total",
                           cause="excess")
        return found and found > 400
    until(counted, "the fronts and the authority refused many")
    one.stop()
    assert len(events(one, "issued")) <= 40 + 30
    assert events(one, "refused") == []
    many = events(one, "refused_many")
    assert 1 <= len(many) <= 10
    assert {e["identity"] for e in many} == {
        "spiffe://cluster.local/ns/shop/sa/cart"}
    assert all("limit.identity_rate" in e["reason"] for e in many)
    assert sum(e["count"] for e in many) > 0


def test_made_up_join_tokens_do_not_fill_the_audit_log(make_ours):
    """Anybody can make them up: from some number on they are counted."""
    one = make_ours({"fronts": 1}).start()
    csr = pki.new_csr(pki.new_key())
    total, each = 2700, 90
    # Fewer on each connection than it may bring strangers.
    for at in range(0, total, each):
        with one.channel() as channel:
            calls = [start_call(channel, csr, f"mjt_{at + n:043d}")
                     for n in range(each)]
            assert {c.code() for c in calls} == {CODE.UNAUTHENTICATED}
    one.stop()
    lines = len(events(one, "refused"))
    many = events(one, "refused_many")
    assert 1000 <= lines < 2500
    assert lines + sum(e["count"] for e in many) == total
    assert len(many) <= 8


def test_the_rate_of_all_callers_makes_them_wait_not_fail(make_ours):
    """Those that find a place in the queue are served later."""
    one = make_ours({"fronts": 1, "limit.rate": 10,
                     "limit.burst": 3}).start()
    csr = pki.new_csr(pki.new_key())
    with one.channel() as channel:
        calls = [start_call(channel, csr, one.issuer.token("shop", f"a{n}"))
                 for n in range(12)]
        assert {c.code() for c in calls} == {CODE.OK}


def test_what_finds_no_place_is_refused_by_the_rate_of_all(make_ours):
    """The same with a queue of four; the contrast above has room."""
    one = make_ours({"fronts": 1, "limit.rate": 1, "limit.burst": 1,
                     "limit.queue": 4}).start()
    csr = pki.new_csr(pki.new_key())
    with one.channel() as channel:
        calls = [start_call(channel, csr, one.issuer.token("shop", f"a{n}"))
                 for n in range(40)]
        codes = [c.code() for c in calls]
        assert CODE.OK in codes
        refused = [c for c, code in zip(calls, codes) if code != CODE.OK]
        assert len(refused) > 20
        assert {c.code() for c in refused} <= {CODE.UNAVAILABLE,
                                               CODE.RESOURCE_EXHAUSTED}
        for call in refused:
            assert int(dict(call.trailing_metadata())[
                "grpc-retry-pushback-ms"]) > 0


# -- turns


def place_of(one, count, is_it):
    """Of the last `count` certificates, in the order of the audit log: the
    place of the one that is_it(event)."""
    def written():
        found = [e for e in events(one, "issued") if "/sa/" in e["identity"]]
        return found[-count:] if len(found) >= count else None
    found = until(written, "all were in the audit log")
    (place,) = [at for at, event in enumerate(found) if is_it(event, found)]
    return place


def comes_alone(event, found):
    """It is the only one from its connection."""
    return sum(e["peer"] == event["peer"] for e in found) == 1


@pytest.fixture
def held_up(make_ours):
    """(authority, hold, let go): the signer is stopped, so that requests
    wait in the authority."""
    one = make_ours({"fronts": 1, "limit.streams": 4000}).start()
    (signer,) = one.roles()["signer"]

    def waiting(count):
        until(lambda: net.metric(one.metrics(), "meshcert_ca_queue") >= count,
              f"{count} requests were waiting")

    yield one, lambda: os.kill(signer, signal.SIGSTOP), \
        lambda: os.kill(signer, signal.SIGCONT), waiting
    with contextlib.suppress(ProcessLookupError):  # a test may have ended it
        os.kill(signer, signal.SIGCONT)


FLOOD = 1200
AT_SIGNER = 256 + 64  # and the batch that went over


def place_of_the_victim(held_up, account):
    """After how many of a flood of shop/flood it was signed."""
    one, hold, go, waiting = held_up
    csr = pki.new_csr(pki.new_key())
    flood, other = (one.issuer.token("shop", name)
                    for name in ("flood", account))
    hold()
    with one.channel() as channel, one.channel() as own:
        calls = [start_call(channel, csr, flood) for _ in range(FLOOD)]
        waiting(FLOOD)
        victim = start_call(own, csr, other)
        waiting(FLOOD + 1)
        go()
        assert {c.code() for c in [*calls, victim]} == {CODE.OK}
    return place_of(one, FLOOD + 1, comes_alone)


def test_who_floods_delays_another_only_by_what_is_at_the_signer(held_up):
    assert place_of_the_victim(held_up, "victim") <= AT_SIGNER + 1


def test_in_one_line_the_last_one_is_served_last(held_up):
    """The contrast: what the victim would suffer without turns, for it has
    the flood's own identity."""
    assert place_of_the_victim(held_up, "flood") == FLOOD


FLEET = 700


def place_behind_a_fleet(held_up, known_before):
    """A fleet of many identities renews; one more comes."""
    one, hold, go, waiting = held_up
    csr = pki.new_csr(pki.new_key())
    fleet = [one.issuer.token("shop", f"app-{n}") for n in range(FLEET)]
    newcomer = one.issuer.token("shop", "newcomer")
    with one.channel() as channel, one.channel() as own:
        for token in fleet + [newcomer] * known_before:
            assert start_call(channel, csr, token).code() == CODE.OK
        hold()
        calls = [start_call(channel, csr, token) for token in fleet]
        waiting(FLEET)
        call = start_call(own, csr, newcomer)
        waiting(FLEET + 1)
        go()
        assert {c.code() for c in [*calls, call]} == {CODE.OK}
    return place_of(one, FLEET + 1, comes_alone)


def test_a_first_issue_goes_before_the_renewals_of_a_fleet(held_up):
    assert place_behind_a_fleet(held_up, False) <= AT_SIGNER + 1


def test_a_renewal_waits_for_its_turn_among_the_fleet_s(held_up):
    """The contrast: the same caller, served before."""
    assert place_behind_a_fleet(held_up, True) == FLEET


def test_what_a_dead_front_asked_for_is_not_signed(held_up):
    """But what was at the signer already."""
    one, hold, go, waiting = held_up
    csr, token = pki.new_csr(pki.new_key()), one.issuer.token("shop", "flood")
    (front,) = one.roles()["front"]
    hold()
    with one.channel() as channel:
        calls = [start_call(channel, csr, token) for _ in range(FLOOD)]
        waiting(FLOOD)
        os.kill(front, signal.SIGKILL)
        assert {c.code() for c in calls} == {CODE.UNAVAILABLE}
        until(lambda: one.roles().get("front", [front]) != [front],
              "another front was there")
    go()
    until(lambda: isinstance(ask(one, "other"), list), "it went on")
    one.stop()
    signed = sum(e["identity"].endswith("/flood")
                 for e in events(one, "issued"))
    gone = sum(e["count"] for e in events(one, "refused_many")
               if "front that asked" in e["reason"])
    assert signed <= AT_SIGNER
    assert signed + gone == FLOOD


def test_past_its_deadline_nothing_is_done_for_a_request(make_ours):
    one = make_ours({"fronts": 1}).start()
    csr, token = pki.new_csr(pki.new_key()), one.issuer.token("shop", "cart")
    (authority,) = one.roles()["authority"]
    before = issued(one)
    with one.channel() as channel:
        os.kill(authority, signal.SIGSTOP)
        try:
            patient = start_call(channel, csr, token, timeout=60)
            hasty = [start_call(channel, csr, token, timeout=0.5)
                     for _ in range(20)]
            assert {c.code() for c in hasty} == {CODE.DEADLINE_EXCEEDED}
        finally:
            os.kill(authority, signal.SIGCONT)
        assert patient.code() == CODE.OK
        assert ask(one)
    assert issued(one) == before + 2
    one.stop()
    assert len([e for e in events(one, "issued")
                if e["identity"].endswith("/cart")]) == 2
    late = [e for e in events(one, "refused_many")
            if "deadline" in e["reason"]]
    assert sum(e["count"] for e in late) == 20


# -- connections


def test_who_comes_when_all_is_full_gets_the_place_of_the_longest_unused(
        make_ours):
    one = make_ours({"limit.connections": 2, "fronts": 1}).start()
    held = [one.channel() for _ in range(2)]
    try:
        for channel in held:
            assert rpc.health(channel) == "SERVING"
        assert isinstance(ask(one), list)
        one.process.await_line("front.full.*room is made")
    finally:
        for channel in held:
            channel.close()


@contextlib.contextmanager
def all_busy(one, accounts):
    """Connections with a request under way each; its calls."""
    (authority,) = one.roles()["authority"]
    csr = pki.new_csr(pki.new_key())
    with contextlib.ExitStack() as stack:
        held = [stack.enter_context(one.channel()) for _ in accounts]
        stack.callback(os.kill, authority, signal.SIGCONT)
        os.kill(authority, signal.SIGSTOP)
        calls = [start_call(channel, csr, one.issuer.token("shop", account))
                 for channel, account in zip(held, accounts, strict=True)]
        until(lambda: net.metric(one.metrics(), "meshcert_ca_"
                                 "authenticated_total") == len(calls),
              "all were under way")
        yield calls, authority


def test_a_connection_with_a_request_under_way_keeps_its_place(make_ours):
    """The contrast, and the bound: then the newcomer is refused."""
    one = make_ours({"limit.connections": 2, "fronts": 1}).start()
    with all_busy(one, ["cart", "other"]) as (calls, authority):
        assert is_refused(ask(one), CODE.UNAVAILABLE)
        os.kill(authority, signal.SIGCONT)
        assert {c.code() for c in calls} == {CODE.OK}


@pytest.mark.parametrize("share, is_let_in", [(50, True), (90, False),
                                              (100, False)])
def test_one_identity_cannot_fill_a_front_with_busy_connections(
        make_ours, share, is_let_in):
    """Three of four are more than half, and less than nine tenths."""
    one = make_ours({"limit.connections": 4, "fronts": 1,
                     "limit.identity_share": share}).start()
    with all_busy(one, ["greedy", "other"] + ["greedy"] * 2) as (
            calls, authority), concurrent.futures.ThreadPoolExecutor() as pool:
        newcomer = pool.submit(ask, one, "new")
        if is_let_in:
            one.process.await_line("front.full.*room is made")
        else:
            assert is_refused(newcomer.result(), CODE.UNAVAILABLE)
        os.kill(authority, signal.SIGCONT)
        assert isinstance(newcomer.result(), list) == is_let_in
        codes = [c.code() for c in calls]
        assert codes[1] == CODE.OK
        assert codes.count(CODE.OK) == (3 if is_let_in else 4)


def test_one_request_under_way_does_not_keep_the_place_of_others(make_ours):
    """The connection unused for the longest time has a request that never
    ends; the one that makes room is another, which has none."""
    one = make_ours({"limit.connections": 2, "fronts": 1}).start()
    csr, token = pki.new_csr(pki.new_key()), one.issuer.token("shop", "cart")
    with one.channel() as slow, one.channel() as unused:
        stream = slow.stream_unary(rpc.CA_METHOD)
        held = threading.Event()
        call = stream.future(iter(held.wait, True), timeout=60, metadata=[
            ("authorization", f"Bearer {token}")])
        until(lambda: net.metric(one.metrics(), "meshcert_ca_"
                                 "authenticated_total") == 1,
              "the first was under way")
        assert start_call(unused, csr, token).code() == CODE.OK
        assert isinstance(ask(one), list)
        assert not call.done()
        held.set()


def connect_many(one, count, source="127.0.0.1"):
    """Connections that say nothing."""
    host, port = one.target.rsplit(":", 1)
    held = []
    for _ in range(count):
        sock = socket.socket()
        sock.bind((source, 0))
        sock.connect((host, int(port)))
        held.append(sock)
    return held


def test_connections_that_prove_nothing_lock_nobody_out(make_ours):
    one = make_ours({"limit.connections": 50, "fronts": 1}).start()
    with one.channel() as known:
        token = one.issuer.token("shop", "known")
        csr = pki.new_csr(pki.new_key())
        assert start_call(known, csr, token).code() == CODE.OK
        held = connect_many(one, 300)
        try:
            # The known one stays, a new one is let in.
            assert start_call(known, csr, token).code() == CODE.OK
            assert isinstance(ask(one), list)
            assert net.metric(one.metrics(), "meshcert_ca_connections") <= 50
        finally:
            for sock in held:
                sock.close()


def test_a_front_with_few_descriptors_serves_on(make_ours):
    """Far more connections than descriptors."""
    one = make_ours({"fronts": 1})
    one.binary = with_few_files(one.binary, one.folder, 200)
    one.start()
    one.process.await_line("front.files.*connections are taken")
    with one.channel() as known:
        token = one.issuer.token("shop", "known")
        csr = pki.new_csr(pki.new_key())
        assert start_call(known, csr, token).code() == CODE.OK
        held = connect_many(one, 1000)
        try:
            assert start_call(known, csr, token).code() == CODE.OK
            assert isinstance(ask(one), list)
        finally:
            for sock in held:
                sock.close()
        assert start_call(known, csr, token).code() == CODE.OK
    assert isinstance(ask(one), list)


def test_a_public_role_without_descriptors_comes_back_by_itself(make_ours):
    """Its port is flooded; certificates go on, and then it answers again."""
    one = make_ours({"fronts": 1}).start()
    host, port = one.http.removeprefix("http://").rsplit(":", 1)
    old = one.roles()["public"]
    held = []
    try:
        for _ in range(1500):
            sock = socket.socket()
            sock.setblocking(False)
            sock.connect_ex((host, int(port)))
            held.append(sock)
        assert isinstance(ask(one), list)
    finally:
        for sock in held:
            sock.close()
    net.await_ok(one.http + "/ready", alive=one.process)
    assert one.roles()["public"] == old


CROWD = """
import socket, sys
host, port, source, count = sys.argv[1:]
held = []
for _ in range(int(count)):
    sock = socket.socket()
    sock.bind((source, 0))
    sock.settimeout(20)
    sock.connect((host, int(port)))
    held.append(sock)
print("there", flush=True)
sys.stdin.read()
"""


def test_twenty_thousand_connections_stop_nobody_who_is_served(make_ours):
    """From four processes: a process may hold twenty thousand descriptors
    at most. Most are dropped for lack of room, the oldest first."""
    one = make_ours().start()
    csr, token = pki.new_csr(pki.new_key()), one.issuer.token("shop", "known")
    host, port = one.target.rsplit(":", 1)
    served, stop, failures = [], threading.Event(), []

    def go_on(channel):
        while not stop.is_set():
            call = start_call(channel, csr, token)
            (served if call.code() == CODE.OK else failures).append(call)
    with one.channel() as known:
        assert start_call(known, csr, token).code() == CODE.OK
        thread = threading.Thread(target=go_on, args=(known,))
        thread.start()
        crowd = [subprocess.Popen(
            [sys.executable, "-c", CROWD, host, port, f"127.0.0.{9 + n}",
             "5000"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            for n in range(4)]
        try:
            for child in crowd:
                assert child.stdout.readline() == b"there\n"
            during = len(served)
            assert isinstance(ask(one), list)
            until(lambda: len(served) > during + 10, "it was served on")
        finally:
            for child in crowd:
                child.communicate(b"")
            stop.set()
            thread.join()
    assert not failures
    assert net.metric(one.metrics(), "meshcert_ca_connections_total") > 20000
    until(lambda: net.metric(one.metrics(), "meshcert_ca_connections") < 10,
          "they were gone")
    assert isinstance(ask(one), list)


# -- requests that never become whole


def bring_half_requests(client, block, streams=100):
    """Nearly all of a long request in each stream; all of it has come."""
    body = h2raw.message(bytes(60000))[:59000]
    for n in range(streams):
        stream = 2 * n + 1
        client.send(h2raw.frame(h2raw.HEADERS, h2raw.END_HEADERS, stream,
                                block))
        client.send_data(stream, body)
    before = client.acks
    client.send(h2raw.frame(h2raw.PING, payload=bytes(8)))
    client.until(lambda: client.acks > before)


def growth_by_half_requests(make_ours, budget):
    """(MB that a front grew by, requests refused) with one caller's 20
    connections of 100 streams; another caller is served meanwhile."""
    one = make_ours({"fronts": 1, "limit.message": "1M",
                     "limit.unfinished": budget}).start()
    (front,) = one.roles()["front"]
    block = h2raw.request_block(token=one.issuer.token("shop", "greedy"))
    assert isinstance(ask(one), list)
    before = flat.memory_of(front)["rss"]
    held = [h2raw.Client(one.target, one.root_pem()) for _ in range(20)]
    try:
        for client in held:
            client.until(lambda at=client: at.acks > 0)
            bring_half_requests(client, block)
            assert isinstance(ask(one, "other"), list)
        grown = flat.memory_of(front)["rss"] - before
        refused = net.metric(one.metrics(), "meshcert_ca_failures_total",
                             cause="excess") or 0
    finally:
        for client in held:
            client.sock.close()
    print(f"limit.unfinished {budget}: {grown >> 10} MB, {refused} refused")
    return grown / 1024, refused


def test_half_requests_take_no_more_memory_than_their_budget(
        make_ours, own_memory):
    grown, refused = growth_by_half_requests(make_ours, "8M")
    assert grown < 8 + 8
    assert refused > 1800


def test_without_a_budget_half_requests_take_much_memory(make_ours):
    """The contrast: what is left is the bound of each connection."""
    grown, _ = growth_by_half_requests(make_ours, "16G")
    assert grown > 60


# -- the agent


@pytest.mark.parametrize("said", [None, 700])
def test_the_agent_waits_as_long_as_the_ca_says(folder, procs, build, said):
    def answer(ca, request, context):
        if len(ca.requests) > 1:
            return FakeCA.good(ca, request, context)
        if said is not None:
            context.set_trailing_metadata(
                [("grpc-retry-pushback-ms", str(said))])
        context.abort(CODE.RESOURCE_EXHAUSTED, "not now")
    with FakeCA(folder, answer) as ca:
        agent = Agent(procs, folder, build, ca.target, ca.root_pem(), "a.b.c",
                      env={"SECRET_TTL": "1h"}).start()
        line = agent.process.await_line("attempt 1: .*next attempt in .*")
        agent.await_ready()
    (pause,) = re.findall(r"next attempt in (\d+)ms", line[0])
    if said is None:
        assert int(pause) <= 100
    else:
        assert said <= int(pause) <= said * 5 // 4
