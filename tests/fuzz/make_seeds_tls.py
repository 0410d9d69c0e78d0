"""Writes the seeds of fuzz_tls_server: python3 tests/fuzz/make_seeds_tls.py

First flights of Python's own TLS client; the first byte is the size of the
pieces in which the target feeds them (0: whole)."""
import pathlib
import ssl

SEEDS = pathlib.Path(__file__).parent / "seeds" / "tls_server"


def hello(name, step, version, alpn):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = context.maximum_version = version
    if alpn:
        context.set_alpn_protocols(alpn)
    out = ssl.MemoryBIO()
    client = context.wrap_bio(ssl.MemoryBIO(), out, server_hostname="db.x.svc")
    try:
        client.do_handshake()
    except ssl.SSLWantReadError:
        pass
    (SEEDS / name).write_bytes(bytes([step]) + out.read())


SEEDS.mkdir(parents=True, exist_ok=True)
hello("tls13", 0, ssl.TLSVersion.TLSv1_3, ["h2"])
hello("tls13-pieces", 7, ssl.TLSVersion.TLSv1_3, ["http/1.1", "h2"])
hello("tls12", 0, ssl.TLSVersion.TLSv1_2, ["h2"])
hello("tls13-no-alpn", 0, ssl.TLSVersion.TLSv1_3, None)
(SEEDS / "http").write_bytes(b"\0GET / HTTP/1.1\r\n\r\n")
(SEEDS / "alert").write_bytes(b"\0\x15\x03\x03\x00\x02\x02\x28")
