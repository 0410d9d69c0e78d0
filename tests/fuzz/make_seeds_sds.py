"""Writes the seeds of fuzz_sds_request, fuzz_delta_request and
fuzz_sds_talk: python3 tests/fuzz/make_seeds_sds.py"""
import pathlib
import struct

SEEDS = pathlib.Path(__file__).parent / "seeds"
URL = b"type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret"


def field(number, data):
    assert number < 16 and len(data) < 128
    return bytes([number << 3 | 2, len(data)]) + data


def write(folder, name, data):
    path = SEEDS / folder
    path.mkdir(parents=True, exist_ok=True)
    (path / name).write_bytes(data)


NODE = field(1, b"n1") + field(2, b"c1") + \
    field(3, field(1, field(1, b"k") + field(2, field(3, b"v"))))
STATUS = b"\x08\x0d" + field(2, b"bad key")
PAIR = b"file-cert:/etc/certs/a.pem~/etc/certs/a.key"

write("sds_request", "first", field(2, NODE) + field(3, b"default") + field(4, URL))
write("sds_request", "ack", field(1, b"7") + field(3, b"default") + field(4, URL) +
      field(5, b"1"))
write("sds_request", "nack", field(1, b"6") + field(3, b"ROOTCA") + field(4, URL) +
      field(5, b"2") + field(6, STATUS))
write("sds_request", "names", field(2, NODE) + field(3, PAIR) +
      field(3, b"file-root:system") + field(3, b"spiffe://td.test/ns/a/sa/b") +
      field(3, b"td.test") + field(4, URL))
write("sds_request", "bad-names", b"".join(field(3, n) for n in (
    b"", b"file-cert:a", b"file-root:", b"spiffe://", b"a/b")) + b"\x18\x07")
write("sds_request", "many", field(3, b"a") * 300)
write("sds_request", "cut", field(2, NODE) + b"\x1a\x09x")
write("delta_request", "first", field(1, NODE) + field(2, URL) + field(3, b"default") +
      field(5, field(1, b"default") + field(2, b"0123456789abcdef")))
write("delta_request", "change", field(2, URL) + field(3, PAIR) + field(4, b"default") +
      field(6, b"3"))
write("delta_request", "nack", field(2, URL) + field(6, b"3") + field(7, STATUS))

# Steps of fuzz_sds_talk, as it describes them.
OPEN, SEND, SET, REMOVE, HALF_CLOSE, CANCEL, TURN, READER = range(8)
STREAM, DELTA, FETCH, SVID, BUNDLES, JWT = range(6)
# Of what can be set.
(CERT, ROOTS, CERT_2, ROOTS_2, FILE, NO_ID, NO_KEY, ALIAS) = range(8)


def step(what, call=0, more=0):
    return bytes([what | call << 3 | more << 5])


def opened(method, call=0, no_guard=0):
    return step(OPEN, call, no_guard) + bytes([method])


def sent(message, call=0):
    return step(SEND, call) + struct.pack(">H", len(message)) + message + \
        step(TURN)


def asks(*names, nonce=b"", more=b""):
    return field(2, NODE) + b"".join(field(3, n) for n in names) + \
        field(4, URL) + (field(5, nonce) if nonce else b"") + more


def changes(add=(), drop=(), nonce=b"", more=b""):
    return field(1, NODE) + field(2, URL) + \
        b"".join(field(3, n) for n in add) + \
        b"".join(field(4, n) for n in drop) + \
        (field(6, nonce) if nonce else b"") + more


def swap(which):
    return step(SET, more=which) + step(TURN)


def gone(which):
    return step(REMOVE, more=which) + step(TURN)


START = step(SET, more=CERT) + step(SET, more=ROOTS)
FILE_NAME = b"file-cert:/a~/b"


def talk(name, *steps):
    write("sds_talk", name, b"".join(steps))


talk("stream", START, opened(STREAM), sent(asks(b"default")),
     sent(asks(b"default", nonce=b"1")), swap(CERT_2),
     sent(asks(b"default", nonce=b"2", more=field(6, STATUS))),
     sent(asks(b"default", b"ROOTCA", nonce=b"2")),
     sent(asks(b"ROOTCA", nonce=b"3")), sent(asks(b"ROOTCA", nonce=b"1")),
     swap(ROOTS_2), gone(ROOTS), sent(asks(b"ROOTCA")), step(HALF_CLOSE))
talk("stream-names", opened(STREAM), sent(asks(
    b"none", b"a/b", b"a\0", FILE_NAME, b"spiffe://a.test/ns/a/sa/b")),
     swap(FILE), swap(ALIAS), gone(FILE), step(CANCEL), step(TURN))
talk("stream-bad", opened(STREAM), sent(field(3, b"default")),
     opened(STREAM), sent(field(2, NODE) + field(4, b"x")),
     opened(STREAM), sent(b"\x0b"), opened(DELTA), sent(b"\x0b"),
     opened(FETCH), sent(b"\x0b"), opened(STREAM),
     sent(field(4, b"type.googleapis.com/istio.v1.HealthInformation")))
talk("delta", START, opened(DELTA), sent(changes([b"default", b"none"])),
     sent(changes(nonce=b"1")), sent(changes(nonce=b"2")), swap(CERT_2),
     sent(changes(nonce=b"3", more=field(7, STATUS))),
     sent(changes([b"ROOTCA"], [b"none"])), sent(changes(nonce=b"9")),
     gone(CERT), sent(changes([b"default", FILE_NAME])),
     sent(changes([], [b"ROOTCA", b"x"])), swap(CERT))
talk("fetch", START, opened(FETCH), sent(asks(b"default")),
     opened(FETCH), sent(asks(b"default", b"ROOTCA")),
     opened(FETCH), sent(asks(b"none", b"a/b")),
     opened(FETCH), sent(asks(FILE_NAME)))
talk("workload", opened(SVID), sent(b""), START, opened(SVID), sent(b""),
     opened(BUNDLES, 1), sent(b"", 1), swap(CERT_2), swap(ROOTS_2),
     sent(b""), opened(SVID, 2, 1), opened(JWT, 3), opened(JWT, 2, 1),
     step(TURN), gone(CERT))
talk("workload-odd", START, opened(SVID), sent(
    field(1, b"audience") + b"\x10\x07\x1d1234\x2112345678"),
     swap(NO_KEY), opened(SVID), sent(b""), swap(NO_ID), opened(BUNDLES),
     sent(b""), opened(SVID), sent(b"\x0b"), gone(ROOTS))
# Versions overtake each other while nobody reads, or before anything is sent.
talk("slow", START, opened(STREAM), sent(asks(b"default", b"ROOTCA")),
     opened(SVID, 1), sent(b"", 1), opened(DELTA, 2),
     sent(changes([b"default", b"ROOTCA"]), 2), step(READER),
     (swap(CERT_2) + swap(ROOTS_2) + swap(CERT) + swap(ROOTS)) * 3,
     step(SET, more=CERT_2) + step(SET, more=CERT), step(READER), step(TURN),
     step(SET, more=CERT_2) + step(SET, more=ROOTS_2), step(TURN))
