"""Writes the seeds of fuzz_msg: python3 tests/fuzz/make_seeds_msg.py"""
import pathlib
import struct

SEEDS = pathlib.Path(__file__).parent / "seeds" / "msg"


def u32(value):
    return struct.pack(">I", value)


def u64(value):
    return struct.pack(">Q", value)


def text(value):
    return u32(len(value)) + value


ID = text(b"spiffe://td/ns/a/sa/b")
CERTS = text(b"issuing") + text(b"root 1") + text(b"root 2")
MESSAGES = {
    "issue": (1, u32(1) + u32(2) + u64(3600) + u64(0) + u64(0) + ID + text(b"spiffe://td/w") + text(b"jwt iss=x sub=y")
              + text(b"127.0.0.1:1") + text(b"0123456789abcdef") + text(b"") + text(b"spki")),
    "issue-token": (1, u32(1) + u32(3) + u64(0) + u64(1 << 40) + u64(1 << 41) + text(b"") * 2 + text(b"join_token") + text(b"p")
                    + text(b"r") + text(bytes(32)) + text(b"spki")),
    "result": (2, u32(0) + u32(7) + u32(1000) + text(b"") + text(b"cert")),
    "chain": (3, u32(7) + u32(1) + u64(1 << 39) + u64(1 << 40) + text(b"no cRLSign") + bytes((1, 2)) + CERTS),
    "sign": (4, u32(1) + bytes(19) + u64(1 << 40) + u64(1 << 41) + ID + text(b"spki")),
    "signed": (5, u32(9) + u32(7) + text(b"refused") + text(b"")),
    "head": (6, u64(12) + text(bytes(32)) + text(b"")),
    "fetch": (8, u32(65536) + u32(10000) + text(b"https://issuer.test/keys") + text(b"/ca.pem")),
    "fetched": (9, u32(0) + u32(200) + text(b"") + text(b'{"keys":[]}')),
}

SEEDS.mkdir(parents=True, exist_ok=True)
for name, (kind, payload) in MESSAGES.items():
    (SEEDS / name).write_bytes(bytes((kind,)) + payload)
