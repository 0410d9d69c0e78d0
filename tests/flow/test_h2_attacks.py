"""The known attacks on HTTP/2 servers, one by one, by a client that is the
attacker. Each is cut off after a bounded number of its frames, or holds only
what is bounded; an honest caller on another connection is served all the
while. For contrast, what honest clients do in the same way is not cut off."""

import struct

import pytest
from support import h2raw, pki, rpc, tokens
from support.h2raw import (ACK, CONTINUATION, DATA, END_HEADERS, END_STREAM,
                           ENHANCE_YOUR_CALM, GOAWAY, HEADERS, PING, PRIORITY,
                           RST_STREAM, SETTINGS, WINDOW_UPDATE, Client, Cut,
                           frame)
from support.meshcert import shared_authority

ALTSVC, UNKNOWN = 10, 0xbe


@pytest.fixture(scope="module")
def one(build):
    yield from shared_authority.__wrapped__(build, "RS256")


@pytest.fixture
def token(one):
    return one.issuer.token("shop", "cart")


def u32(value):
    return struct.pack(">I", value)


def csr_message():
    return rpc.message("istio.v1.auth.IstioCertificateRequest")(
        csr=pki.new_csr(pki.new_key())).SerializeToString()


def rapid_reset(token):
    """CVE-2023-44487: ask and cancel, without end."""
    body = frame(DATA, END_STREAM, 0, h2raw.message(csr_message()))
    block = h2raw.request_block(token=token)

    def unit(n):
        stream = 2 * n + 1
        return frame(HEADERS, END_HEADERS, stream, block) + body[:5] + \
            u32(stream) + body[9:] + frame(RST_STREAM, 0, stream, u32(8))
    return unit


def rapid_reset_of_half_requests(token):
    """CVE-2023-44487, without bodies."""
    block = h2raw.request_block(token=token)
    return lambda n: frame(HEADERS, END_HEADERS, 2 * n + 1, block) + \
        frame(RST_STREAM, 0, 2 * n + 1, u32(8))


def made_you_reset_by_window(token):
    """CVE-2025-8671: what makes the server reset the stream itself."""
    block = h2raw.request_block(token=token)
    return lambda n: frame(HEADERS, END_HEADERS, 2 * n + 1, block) + \
        frame(WINDOW_UPDATE, 0, 2 * n + 1, u32(0))


def made_you_reset_by_overflow(token):
    """CVE-2025-8671, by a window above 2^31 - 1."""
    block = h2raw.request_block(token=token)
    return lambda n: frame(HEADERS, END_HEADERS, 2 * n + 1, block) + \
        frame(WINDOW_UPDATE, 0, 2 * n + 1, u32(0x7fffffff))


def made_you_reset_by_late_data(token):
    """CVE-2025-8671, by DATA behind the end of the stream."""
    block = h2raw.request_block(token=token)
    return lambda n: \
        frame(HEADERS, END_HEADERS | END_STREAM, 2 * n + 1, block) + \
        frame(DATA, 0, 2 * n + 1, b"x")


def reset_flood(_):
    """CVE-2019-9514: requests that can only be reset."""
    block = h2raw.literal("X-Upper", "x") + h2raw.request_block()
    return lambda n: frame(HEADERS, END_HEADERS | END_STREAM, 2 * n + 1,
                           block)


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


def data_on_dead_streams(token):
    """Frames behind a reset: ignored for a while, then not any more."""
    block = h2raw.request_block(token=token)

    def unit(n):
        if n == 0:
            return frame(HEADERS, END_HEADERS, 1, block) + \
                frame(RST_STREAM, 0, 1, u32(8))
        return frame(DATA, 0, 1, b"")
    return unit


class Continued:
    """Units that go on with one stream's header block or body."""


def empty_data(token):
    """CVE-2019-9518: frames that hold nothing and end nothing."""
    block = h2raw.request_block(token=token)
    return lambda n: frame(HEADERS, END_HEADERS, 1, block) if n == 0 else \
        frame(DATA, 0, 1)


def tiny_data(token):
    """The same with a byte in each: a message in sixty thousand frames."""
    block = h2raw.request_block(token=token)
    return lambda n: frame(HEADERS, END_HEADERS, 1, block) if n == 0 else \
        frame(DATA, 0, 1, h2raw.message(bytes(60000))[n - 1:n])


def padded_data(token):
    """The same with padding only."""
    block = h2raw.request_block(token=token)
    return lambda n: frame(HEADERS, END_HEADERS, 1, block) if n == 0 else \
        frame(DATA, 8, 1, b"\xc8" + bytes(200))


def continuation_flood(_):
    """CVE-2024-28182 (nghttp2), CVE-2024-27316: a header block without end."""
    part = h2raw.literal("x-more", "y" * 4000)
    return lambda n: frame(HEADERS, END_STREAM, 1, h2raw.request_block()) \
        if n == 0 else frame(CONTINUATION, 0, 1, part)


def empty_continuations(_):
    """CVE-2019-9518 in the header block."""
    return lambda n: frame(HEADERS, END_STREAM, 1, h2raw.request_block()) \
        if n == 0 else frame(CONTINUATION, 0, 1)


def nameless_headers(_):
    """CVE-2019-9516: headers without name and value, which cost memory."""
    part = b"\0\0\0" * 5000
    return lambda n: frame(HEADERS, END_STREAM | END_HEADERS, 2 * n + 1,
                           h2raw.request_block() + part)


def hpack_bomb(_):
    """CVE-2016-6581: four kilobytes in the table, then a byte for each time
    that they are meant."""
    block = h2raw.request_block() + \
        h2raw.literal("x-bomb", "b" * 3900, index=True) + \
        h2raw.indexed(62) * 12000
    return lambda n: frame(HEADERS, END_STREAM | END_HEADERS, 2 * n + 1,
                           block)


def hpack_table_resizes(_):
    """The size of the dynamic table changed up and down in each block."""
    block = b"\x20\x3f\xe1\x1f" + h2raw.request_block()
    return lambda n: frame(HEADERS, END_STREAM | END_HEADERS, 2 * n + 1,
                           block * 2)


def header_flood(_):
    """CVE-2016-1544 (nghttp2): all the headers that a block holds."""
    block = h2raw.request_block() + h2raw.literal("x", "y") * 3000
    return lambda n: frame(HEADERS, END_STREAM | END_HEADERS, 2 * n + 1,
                           block)


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
        units = is_cut_after(attacker, attack(token))
        assert units < ENOUGH / 2, "it was never cut off"
        assert served()
    print(f"{attack.__name__}: cut after {units} units, "
          f"{attacker.sent} bytes, GOAWAY {attacker.goaway}")
