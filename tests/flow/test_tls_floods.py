"""What a client can make us compute inside of TLS, after the handshake: new
keys for each record (KeyUpdate, RFC 8446 4.6.3), and a handshake anew on an
old connection (renegotiation, which there is none of)."""

import ctypes
import ctypes.util
import socket

import pytest
from support import pki, rpc

FLOOD = 2000
TLS1_2 = 0x0303
SET_MAX_PROTO_VERSION = 124
ALPN_H2 = b"\x02h2"


def load_openssl():
    lib = ctypes.CDLL(ctypes.util.find_library("ssl"))
    for name in ("TLS_client_method", "SSL_CTX_new", "SSL_new"):
        getattr(lib, name).restype = ctypes.c_void_p
    return lib


class Client:
    """OpenSSL itself: Python's module has no way to change keys."""

    def __init__(self, one, version_max=0):
        self.lib = load_openssl()
        host, port = one.target.rsplit(":", 1)
        self.sock = socket.create_connection((host, int(port)), timeout=None)
        self.ctx = ctypes.c_void_p(self.lib.SSL_CTX_new(
            ctypes.c_void_p(self.lib.TLS_client_method())))
        self.lib.SSL_CTX_ctrl(self.ctx, SET_MAX_PROTO_VERSION,
                              ctypes.c_long(version_max), None)
        self.ssl = ctypes.c_void_p(self.lib.SSL_new(self.ctx))
        self.lib.SSL_set_alpn_protos(self.ssl, ALPN_H2, len(ALPN_H2))
        self.lib.SSL_set_fd(self.ssl, self.sock.fileno())
        assert self.lib.SSL_connect(self.ssl) == 1

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.lib.SSL_free(self.ssl)
        self.lib.SSL_CTX_free(self.ctx)
        self.sock.close()

    def update_key(self, asks_too):
        """Whether it went out."""
        assert self.lib.SSL_key_update(self.ssl, int(asks_too)) == 1
        return self.lib.SSL_do_handshake(self.ssl) == 1

    def renegotiate(self):
        """Whether that came to an end."""
        assert self.lib.SSL_renegotiate(self.ssl) == 1
        return self.lib.SSL_do_handshake(self.ssl) == 1

    def exchange(self):
        """Whether it can still send and be heard: the server's SETTINGS."""
        room = ctypes.create_string_buffer(64)
        preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + \
            b"\0\0\0\4\0\0\0\0\0"
        return self.lib.SSL_write(self.ssl, preface, len(preface)) > 0 and \
            self.lib.SSL_read(self.ssl, room, len(room)) > 0


def served(one):
    with one.channel() as honest:
        return rpc.create_certificate(honest, pki.new_csr(pki.new_key()),
                                      token=one.issuer.token("shop", "cart"))


@pytest.mark.parametrize("asks_too", [False, True],
                         ids=["own", "asked-of-us"])
def test_a_flood_of_key_updates_is_cut_off(ours, asks_too):
    with Client(ours) as attacker:
        for _ in range(FLOOD):
            if not attacker.update_key(asks_too):
                break
        assert not attacker.exchange(), "it was never cut off"
    ours.process.await_line("peer=.*more than 100 key updates")
    assert served(ours)


@pytest.mark.parametrize("asks_too", [False, True])
def test_a_few_key_updates_are_anybody_s_right(ours, asks_too):
    with Client(ours) as client:
        assert all(client.update_key(asks_too) for _ in range(100))
        assert client.exchange()


def test_there_is_no_renegotiation(ours):
    with Client(ours, TLS1_2) as attacker:
        assert attacker.exchange()
        assert not attacker.renegotiate()
    assert served(ours)
