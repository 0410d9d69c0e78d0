#!/usr/bin/env python3
"""Makes the seeds of the gRPC and protobuf targets, in seeds/ beside this."""
import os
import struct

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "seeds")
SECRET = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret"


def put(target, name, data):
    os.makedirs(os.path.join(HERE, target), exist_ok=True)
    with open(os.path.join(HERE, target, name), "wb") as f:
        f.write(data)


def field(number, data):
    if isinstance(data, str):
        data = data.encode()
    assert len(data) < 128
    return bytes([number << 3 | 2, len(data)]) + data


def number(n, v):
    return bytes([n << 3, v])


def frame(kind, flags, stream, payload):
    return struct.pack(">I", len(payload))[1:] + struct.pack(
        ">BBI", kind, flags, stream) + payload


def literal(name, value):
    name, value = name.encode(), value.encode()
    return bytes([0, len(name)]) + name + bytes([len(value)]) + value


def request(stream, path, message):
    headers = bytes([0x83, 0x86]) + literal(":path", path) + literal(
        ":authority", "h") + literal(
            "content-type", "application/grpc") + literal(
                "te", "trailers") + literal("grpc-timeout", "1m")
    body = struct.pack(">BI", 0, len(message)) + message
    return frame(1, 4, stream, headers) + frame(0, 1, stream, body)


def main():
    message = struct.pack(">BI", 0, 3) + b"abc"
    put("grpc_frame", "two", b"\x06" + message + message)
    put("grpc_frame", "cut", b"\x02" + message + message[:6])
    put("grpc_frame", "compressed", b"\x00\x01" + message[1:])
    put("grpc_frame", "timeout", b"\x00100m")
    settings = frame(4, 0, 0, b"")
    put("h2_server", "echo", settings + request(1, "/a", b"hello"))
    put("h2_server", "keep", settings + request(1, "/b", b"hello") +
        request(3, "/b", b"") + frame(3, 0, 3, b"\0\0\0\x08"))
    put("h2_server", "control", settings + frame(6, 0, 0, b"12345678") +
        frame(8, 0, 0, b"\0\0\1\0") + frame(2, 0, 1, b"\0\0\0\0\x10"))
    put("h2_scan", "echo", b"\5" + settings + request(1, "/a", b"hello"))
    put("h2_scan", "all", b"\0" + b"".join(
        frame(kind, flags, 1, b"x" * size)
        for kind in range(11) for flags, size in ((0, 0), (1, 3), (8, 20))))
    put("h2_scan", "cut", b"\x20" + frame(0, 0, 1, b"x" * 300)[:100])
    value = field(1, "k") + field(2, field(3, "text"))
    nested = field(1, field(1, "n") + field(2, field(5, field(1, value))))
    listed = field(1, field(1, "l") + field(2, field(6, field(
        1, bytes([0x11]) + struct.pack("<d", 1.5)))))
    put("pbscan", "struct", field(1, value) + nested + listed)
    put("pbscan", "numbers", number(1, 7) + bytes([0x15, 1, 2, 3, 4]))
    csr = "-----BEGIN CERTIFICATE REQUEST-----\n"
    put("pb_istio", "request", field(1, csr) + number(3, 60) +
        field(4, field(1, value) + nested))
    put("pb_istio", "response", field(1, "leaf") + field(1, "root"))
    node = field(1, "n1") + field(2, "c1") + field(4, field(1, "r"))
    put("pb_discovery", "first", field(2, node) + field(3, "default") +
        field(4, SECRET))
    put("pb_discovery", "nack", field(1, "6") + field(3, "default") +
        field(5, "a2") + field(6, number(1, 13) + field(2, "bad key")))
    put("pb_discovery", "delta", field(1, node) + field(2, SECRET) +
        field(3, "default") + field(5, field(1, "a") + field(2, "1")))
    put("pb_discovery", "secret", field(1, "default") + field(2, field(
        1, field(2, "CERT")) + field(2, field(2, "KEY"))))
    put("pb_workload", "jwt", field(1, "aud") + field(2, "spiffe://td/a"))
    put("pb_workload", "svid", field(1, field(1, "spiffe://td/a") +
        field(2, b"\x30\x00") + field(3, b"\x30\x00")) +
        field(3, field(1, "spiffe://b") + field(2, b"\x30\x00")))
    put("pb_workload", "status", field(1, number(1, 2) + field(2, "ca") +
        field(3, "bad") + field(5, "mend it")))


if __name__ == "__main__":
    main()
