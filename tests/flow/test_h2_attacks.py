"""The known attacks on HTTP/2 servers, one by one, by a client that is the
attacker. Each is cut off after a bounded number of its frames, or holds only
what is bounded; an honest caller on another connection is served all the
while. For contrast, what honest clients do in the same way is not cut off."""

import select
import socket
import ssl
import struct

import pytest
from support import h2raw, net, pki, rpc
from support.h2raw import (ACK, CONTINUATION, DATA, END_HEADERS, END_STREAM,
                           GOAWAY, HEADERS, PING, PRIORITY, RST_STREAM,
                           SETTINGS, WINDOW_UPDATE, Client, Cut, frame)
from support.meshcert import Agent, shared_authority, with_few_files
from support.process import until

ALTSVC, UNKNOWN = 10, 0xbe


@pytest.fixture(scope="module")
def one(build):
    with shared_authority(build, "RS256") as running:
        yield running


@pytest.fixture
def token(one):
    return one.issuer.token("shop", "cart")


def u32(value):
    return struct.pack(">I", value)


def csr_message():
    return rpc.message("istio.v1.auth.IstioCertificateRequest")(
        csr=pki.new_csr(pki.new_key())).SerializeToString()


def rapid_reset(block):
    """CVE-2023-44487: ask and cancel, without end."""
    body = frame(DATA, END_STREAM, 0, h2raw.message(csr_message()))

    def unit(n):
        stream = 2 * n + 1
        return frame(HEADERS, END_HEADERS, stream, block) + body[:5] + \
            u32(stream) + body[9:] + frame(RST_STREAM, 0, stream, u32(8))
    return unit


def rapid_reset_of_half_requests(block):
    """CVE-2023-44487, without bodies."""
    return lambda n: frame(HEADERS, END_HEADERS, 2 * n + 1, block) + \
        frame(RST_STREAM, 0, 2 * n + 1, u32(8))


def made_you_reset_by_window(block):
    """CVE-2025-8671: what makes the server reset the stream itself."""
    return lambda n: frame(HEADERS, END_HEADERS, 2 * n + 1, block) + \
        frame(WINDOW_UPDATE, 0, 2 * n + 1, u32(0))


def made_you_reset_by_overflow(block):
    """CVE-2025-8671, by a window above 2^31 - 1."""
    return lambda n: frame(HEADERS, END_HEADERS, 2 * n + 1, block) + \
        frame(WINDOW_UPDATE, 0, 2 * n + 1, u32(0x7fffffff))


def made_you_reset_by_late_data(block):
    """CVE-2025-8671, by DATA behind the end of the stream."""
    return lambda n: \
        frame(HEADERS, END_HEADERS | END_STREAM, 2 * n + 1, block) + \
        frame(DATA, 0, 2 * n + 1, b"x")


def reset_flood(block):
    """CVE-2019-9514: requests that can only be reset."""
    bad = h2raw.literal("X-Upper", "x") + block
    return lambda n: frame(HEADERS, END_HEADERS | END_STREAM, 2 * n + 1, bad)


def ping_flood(_):
    """CVE-2019-9512."""
    return lambda n: frame(PING, 0, 0, bytes(8))


def ping_ack_flood(_):
    return lambda n: frame(PING, ACK, 0, bytes(8))


def settings_flood(_):
    """CVE-2019-9515."""
    return lambda n: frame(SETTINGS)


def large_settings_flood(_):
    """CVE-2020-11080: thousands of entries in each."""
    entries = struct.pack(">HI", 4, 65535) * 2700
    return lambda n: frame(SETTINGS, 0, 0, entries)


def settings_ack_flood(_):
    return lambda n: frame(SETTINGS, ACK)


def priority_loop(_):
    """CVE-2019-9513: the priority tree is turned over and over."""
    return lambda n: frame(PRIORITY, 0, 1 + 2 * (n % 100),
                           u32(1 + 2 * ((n + 1) % 100)) + bytes((n % 256,)))


def window_updates(_):
    """A window given in pieces of one byte."""
    return lambda n: frame(WINDOW_UPDATE, 0, 0, u32(1))


def unknown_frames(_):
    """Frames of types that nobody knows are to be ignored: at a price."""
    return lambda n: frame(UNKNOWN, 0, 0, b"")


def unknown_frames_on_streams(_):
    return lambda n: frame(ALTSVC, 0, 2 * n + 1, b"x" * 8)


def goaway_flood(_):
    return lambda n: frame(GOAWAY, 0, 0, bytes(8))


def data_on_dead_streams(block):
    """Frames behind a reset: ignored for a while, then not any more."""

    def unit(n):
        if n == 0:
            return frame(HEADERS, END_HEADERS, 1, block) + \
                frame(RST_STREAM, 0, 1, u32(8))
        return frame(DATA, 0, 1, b"")
    return unit


def empty_data(block):
    """CVE-2019-9518: frames that hold nothing and end nothing."""
    return lambda n: frame(HEADERS, END_HEADERS, 1, block) if n == 0 else \
        frame(DATA, 0, 1)


def tiny_data(block):
    """The same with a byte in each: a message in sixty thousand frames."""
    return lambda n: frame(HEADERS, END_HEADERS, 1, block) if n == 0 else \
        frame(DATA, 0, 1, h2raw.message(bytes(60000))[n - 1:n])


def padded_data(block):
    """The same with padding only."""
    return lambda n: frame(HEADERS, END_HEADERS, 1, block) if n == 0 else \
        frame(DATA, 8, 1, b"\xc8" + bytes(200))


def continuation_flood(block):
    """CVE-2024-28182 (nghttp2), CVE-2024-27316: a header block without end."""
    part = h2raw.literal("x-more", "y" * 4000)
    return lambda n: frame(HEADERS, END_STREAM, 1, block) \
        if n == 0 else frame(CONTINUATION, 0, 1, part)


def empty_continuations(block):
    """CVE-2019-9518 in the header block."""
    return lambda n: frame(HEADERS, END_STREAM, 1, block) \
        if n == 0 else frame(CONTINUATION, 0, 1)


def nameless_headers(block):
    """CVE-2019-9516: headers without name and value, which cost memory."""
    part = b"\0\0\0" * 5000
    return lambda n: frame(HEADERS, END_STREAM | END_HEADERS, 2 * n + 1,
                           block + part)


def hpack_bomb(block):
    """CVE-2016-6581: four kilobytes in the table, then a byte for each time
    that they are meant."""
    bomb = block + \
        h2raw.literal("x-bomb", "b" * 3900, index=True) + \
        h2raw.indexed(62) * 12000
    return lambda n: frame(HEADERS, END_STREAM | END_HEADERS, 2 * n + 1, bomb)


def hpack_table_resizes(block):
    """The size of the dynamic table changed up and down in each block."""
    return lambda n: frame(HEADERS, END_STREAM | END_HEADERS, 2 * n + 1,
                           2 * (b"\x20\x3f\xe1\x1f" + block))


def header_flood(block):
    """CVE-2016-1544 (nghttp2): all the headers that a block holds."""
    return lambda n: frame(HEADERS, END_STREAM | END_HEADERS, 2 * n + 1,
                           block + h2raw.literal("x", "y") * 3000)


def strangers(_):
    """Requests of nobody: each is refused, and never one is not."""
    return lambda n: frame(HEADERS, END_STREAM | END_HEADERS, 2 * n + 1,
                           h2raw.request_block(token=f"x.{n}.y"))


def unknown_methods(_):
    return lambda n: frame(HEADERS, END_STREAM | END_HEADERS, 2 * n + 1,
                           h2raw.request_block(path=f"/no/{n}"))


FLOODS = [rapid_reset, rapid_reset_of_half_requests, made_you_reset_by_window,
          made_you_reset_by_overflow, made_you_reset_by_late_data,
          reset_flood, ping_flood, ping_ack_flood, settings_flood,
          large_settings_flood, settings_ack_flood, priority_loop,
          window_updates, unknown_frames, unknown_frames_on_streams,
          goaway_flood, data_on_dead_streams, empty_data, tiny_data,
          padded_data, continuation_flood, empty_continuations,
          nameless_headers, hpack_bomb, hpack_table_resizes, header_flood,
          strangers, unknown_methods]
ENOUGH = 50000  # units; whoever may send these is not cut off
SDS_PATH = rpc.SDS + "StreamSecrets"


def is_cut_after(client, unit):
    """How many units were sent until the end; ENOUGH: there was none."""
    try:
        for n in range(0, ENOUGH, 10):
            client.send(b"".join(unit(i) for i in range(n, n + 10)))
            if client.goaway is not None:
                client.await_end()
                return n
    except Cut:
        return n
    return ENOUGH


@pytest.mark.parametrize("attack", FLOODS, ids=lambda a: a.__name__)
def test_a_flood_is_cut_off_and_others_are_served(one, token, attack):
    with one.channel() as honest, \
            Client(one.target, one.root_pem()) as attacker:
        def served():
            return rpc.create_certificate(
                honest, pki.new_csr(pki.new_key()),
                token=one.issuer.token("shop", "honest"))
        assert served()
        units = is_cut_after(attacker,
                             attack(h2raw.request_block(token=token)))
        assert units < ENOUGH / 2, "it was never cut off"
        assert served()
    print(f"{attack.__name__}: cut after {units} units, "
          f"{attacker.sent} bytes, GOAWAY {attacker.goaway}")


def test_no_flood_on_the_agent_s_socket_reaches_its_other_peers(start_agent):
    agent = start_agent("flooded", life=3600).await_ready()
    with agent.channel() as honest, \
            rpc.SecretStream(honest, ["default"]) as stream:
        assert stream.receive()
        for attack in FLOODS:
            if attack is strangers:
                continue  # it knows its peers by the socket
            with Client(agent.socket) as attacker:
                units = is_cut_after(attacker, attack(
                    h2raw.request_block(path=SDS_PATH)))
            assert units < ENOUGH / 2, attack.__name__
            assert "default" in rpc.fetch_secrets(honest, ["default"])


def test_the_agent_s_socket_bounds_streams(start_agent):
    agent = start_agent("bounded", life=3600).await_ready()
    with agent.channel() as honest, Client(agent.socket) as attacker:
        for n in range(5000):
            attacker.request(2 * n + 1, path=SDS_PATH)
            if attacker.resets > 0 or attacker.goaway is not None:
                break
        attacker.until(lambda: attacker.resets > 0)
        assert "default" in rpc.fetch_secrets(honest, ["default"])


def test_the_agent_s_socket_bounds_connections(folder, procs, build, ours):
    """Whoever opens more than there is room for is closed at once; streams
    that are there go on."""
    agent = Agent(procs, folder, build, ours.target, ours.root_pem(),
                  ours.issuer.token())
    agent.binary = with_few_files(agent.binary, folder, 600)
    agent.start().await_ready()
    held = []
    with agent.channel() as honest, \
            rpc.SecretStream(honest, ["default"]) as stream:
        assert stream.receive()
        try:
            with pytest.raises((Cut, OSError)):
                for _ in range(2000):
                    held.append(Client(agent.socket))
                    held[-1].until(lambda: held[-1].acks > 0)
            assert 100 < len(held) < 600
            assert "default" in rpc.fetch_secrets(honest, ["default"])
        finally:
            for client in held:
                client.sock.close()
    with agent.channel() as late:
        until(lambda: "default" in rpc.fetch_secrets(late, ["default"]),
              "there was room again")


# -- honest clients do some of it too


def test_a_busy_honest_client_is_not_cut_off(one, token):
    """A ping and a window update with each of two thousand requests, as
    gRPC libraries send them."""
    body = csr_message()
    with Client(one.target, one.root_pem()) as client:
        for n in range(2000):
            stream = 2 * n + 1
            client.request(stream, token=token, body=body)
            client.send(frame(PING, 0, 0, bytes(8)) +
                        frame(WINDOW_UPDATE, 0, 0, u32(2000)))
            # No more under way than the server takes.
            client.until(lambda: len(client.statuses) > n - 50)
        client.until(lambda: len(client.statuses) == 2000)
        assert client.goaway is None and client.resets == 0


# -- slow ones


def silent(one):
    """A connection, and nothing on it."""
    sock = socket.create_connection(one.target.rsplit(":", 1))
    return lambda: sock.recv(1) == b""


def drip(one):
    """A ClientHello that comes in pieces (slow loris)."""
    sock = socket.create_connection(one.target.rsplit(":", 1))
    hello = ssl.MemoryBIO()
    tls = ssl.create_default_context(cadata=one.root_pem()).wrap_bio(
        ssl.MemoryBIO(), hello, server_hostname="x.test")
    with pytest.raises(ssl.SSLWantReadError):
        tls.do_handshake()
    raw = hello.read()
    sock.settimeout(0.05)

    def ended():
        for at in range(len(raw)):
            try:
                sock.send(raw[at:at + 1])
                if sock.recv(1) == b"":
                    return True
            except TimeoutError:
                continue
            except OSError:
                return True
        return False
    return ended


def speechless(one):
    """TLS is there, HTTP/2 never begins to ask."""
    client = Client(one.target, one.root_pem())
    return lambda: client.await_end() is not None or True


def half_headers(one):
    """A header block that never ends."""
    client = Client(one.target, one.root_pem())
    client.send(frame(HEADERS, 0, 1, h2raw.request_block()))
    return lambda: client.await_end() is not None or True


def half_a_body(one):
    """A known caller that never says what it wants."""
    client = Client(one.target, one.root_pem())
    token = one.issuer.token("shop", "cart")
    for n in range(50):
        client.request(2 * n + 1, token=token)
        client.send(frame(DATA, 0, 2 * n + 1, b"\0\0\0\x08\0xxxxxxxxxxxxxxx"))
    return lambda: client.await_end() is not None or True


def pings_only(one):
    """Pings are no work."""
    client = Client(one.target, one.root_pem())

    def ended():
        try:
            while True:
                client.send(frame(PING, 0, 0, bytes(8)))
                client.until(lambda: select.select(
                    [client.sock], [], [], 0.1)[0] == [])
        except Cut:
            return True
    return ended


def zero_window(one):
    """CVE-2016-1546, CVE-2019-9517: answers are asked for and never taken:
    no window for them."""
    client = Client(one.target, one.root_pem(), settings=struct.pack(
        ">HI", h2raw.INITIAL_WINDOW_SIZE, 0))
    token, body = one.issuer.token("shop", "cart"), csr_message()
    for n in range(90):
        client.request(2 * n + 1, token=token, body=body)
    return lambda: client.await_end() is not None or True


def closed_socket_buffer(one):
    """CVE-2019-9517: the window is wide, but nobody reads the socket."""
    client = Client(one.target, one.root_pem(), reading=False,
                    receive_buffer=4096)
    token, body = one.issuer.token("shop", "cart"), csr_message()
    for n in range(90):
        client.request(2 * n + 1, token=token, body=body)

    def ended():
        # Whatever was on its way when the server gave up, then the end.
        return client.await_end() is not None or True
    return ended


def dribble(one):
    """CVE-2019-9511: the answer is taken byte by byte."""
    client = Client(one.target, one.root_pem(), settings=struct.pack(
        ">HI", h2raw.INITIAL_WINDOW_SIZE, 1))
    token, body = one.issuer.token("shop", "cart"), csr_message()
    for n in range(90):
        client.request(2 * n + 1, token=token, body=body)

    def ended():
        try:
            for n in range(100000):
                client.send(frame(WINDOW_UPDATE, 0, 2 * (n % 90) + 1, u32(1)))
        except Cut:
            return True
        return False
    return ended


SLOW = [silent, drip, speechless, half_headers, half_a_body, pings_only,
        zero_window, closed_socket_buffer, dribble]


def test_slow_ones_are_cut_off_and_others_are_served(make_ours):
    one = make_ours({"fronts": 1, "limit.handshake": "1s",
                     "limit.idle": "1s", "limit.request": "1s"}).start()

    def served():
        with one.channel() as honest:
            return rpc.create_certificate(
                honest, pki.new_csr(pki.new_key()),
                token=one.issuer.token("shop", "honest"))
    assert served()
    ends = {start.__name__: start(one) for start in SLOW}
    assert served()
    for name, ended in ends.items():
        assert ended(), name
    assert served()
    until(lambda: net.metric(one.metrics(), "meshcert_ca_connections") == 0,
          "every connection was over")


def test_slow_ones_are_kept_where_the_limits_are_wide(make_ours):
    """The contrast: it is the limits that end them."""
    one = make_ours({"fronts": 1, "limit.handshake": "5m",
                     "limit.idle": "10m", "limit.request": "5m"}).start()
    kept = [start for start in SLOW if start not in (dribble, pings_only)]
    ends = [start(one) for start in kept]
    with one.channel() as honest:
        rpc.create_certificate(honest, pki.new_csr(pki.new_key()),
                               token=one.issuer.token("shop", "honest"))
        assert net.metric(one.metrics(), "meshcert_ca_connections") == \
            len(ends) + 1
