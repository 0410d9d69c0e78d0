"""What the roles keep in memory after many requests of each kind."""

import pathlib
import re

from support import pki, rpc

COUNT = 10_000
FLIGHT = 32


def private_kb(pid):
    text = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
    return sum(int(kb) for kb in re.findall(r"Private_\w+:\s+(\d+)", text))


def sizes(one):
    return {role: sum(private_kb(pid) for pid in pids)
            for role, pids in one.roles().items()}


def issue_many(one, count, **more):
    """On one connection, many in flight."""
    method = rpc.message("istio.v1.auth.IstioCertificateRequest")
    request = method(csr=pki.new_csr(pki.new_key())).SerializeToString()
    headers = [("authorization",
                "Bearer " + one.issuer.token("shop", "cart"))]
    with one.channel(**more) as channel:
        call = channel.unary_unary(rpc.CA_METHOD)
        under_way = []
        for _ in range(count):
            under_way.append(call.future(
                request, metadata=() if more else headers, timeout=60))
            if len(under_way) == FLIGHT:
                under_way.pop(0).result()
        for one_call in under_way:
            one_call.result()


def connect_many(one, count):
    for _ in range(count):
        with one.channel() as channel:
            assert rpc.health(channel) == "SERVING"


def a_pair(one):
    key = pki.new_key()
    with one.channel() as channel:
        chain = rpc.create_certificate(
            channel, pki.new_csr(key),
            token=one.issuer.token("shop", "cart"))
    return {"cert": "".join(chain[:-1]), "key": pki.key_pem(key)}


def test_ten_thousand_requests_leave_nothing(make_ours, own_memory):
    one = make_ours({"fronts": 1}).start()
    pair = a_pair(one)

    def round_of(count):
        issue_many(one, count)
        issue_many(one, count // 10, **pair)
        connect_many(one, count // 10)

    round_of(COUNT // 5)
    before = sizes(one)
    round_of(COUNT)
    after = sizes(one)
    grown = {role: after[role] - before[role] for role in before}
    print(f"\nkB before {before}, grown by {grown}")
    # The record's pages are kept by SQLite, up to 8 MB of them.
    assert grown.pop("authority") < 10_000
    assert max(grown.values()) < 512, grown
