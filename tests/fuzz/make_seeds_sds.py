"""Writes the seeds of fuzz_sds_request, fuzz_delta_request and
fuzz_workload_request: python3 tests/fuzz/make_seeds_sds.py"""
import pathlib

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
write("delta_request", "first", field(1, NODE) + field(2, URL) + field(3, b"default") +
      field(5, field(1, b"default") + field(2, b"0123456789abcdef")))
write("delta_request", "change", field(2, URL) + field(3, PAIR) + field(4, b"default") +
      field(6, b"3"))
write("delta_request", "nack", field(2, URL) + field(6, b"3") + field(7, STATUS))
write("workload_request", "empty", b"")
write("workload_request", "unknown", field(1, b"audience") + b"\x10\x07" +
      b"\x1d1234" + b"\x2112345678")
