"""A port before a good server: it passes connections on, or does to them what
a test wants, byte by byte, at each step of TLS, HTTP/2 and gRPC."""

import select
import socket
import ssl
import struct
import threading

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY = 0, 1, 3, 4, 6, 7
END_STREAM, END_HEADERS, ACK = 1, 4, 1


class Gate:
    """mode: None (all goes on to target), or a function(gate, connection)
    that is called in a thread of its own with the accepted socket. Waits of
    those functions end with gate.ended."""

    def __init__(self, target, cert=None, key=None):
        host, port = target.rsplit(":", 1)
        self.target = (host, int(port))
        self.mode, self.accepted = None, 0
        self.ended = threading.Event()
        self.cert, self.key = cert, key
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.ended.set()
        self._listener.close()

    def _accept(self):
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.accepted += 1
            threading.Thread(target=self._serve, args=(connection,),
                             daemon=True).start()

    def _serve(self, connection):
        mode = self.mode or Gate.pass_on
        with connection:
            try:
                mode(self, connection)
            except OSError:
                pass  # the agent had enough of it

    # ---- what modes are made of ------------------------------------------
    def pass_on(self, connection, change=lambda data: [data]):
        """To the good server; change cuts what it answers into pieces."""
        with socket.create_connection(self.target) as good:
            while True:
                ready, _, _ = select.select([connection, good], [], [])
                for end in ready:
                    data = end.recv(65536)
                    if not data:
                        return
                    if end is connection:
                        good.sendall(data)
                        continue
                    for piece in change(data):
                        connection.sendall(piece)

    def drip(self, data):
        """A byte each tenth of a second."""
        for i in range(len(data)):
            if self.ended.wait(0.1):
                return
            yield data[i:i + 1]

    def stall(self):
        self.ended.wait(30)

    def handshake(self, connection, alpn=("h2",), cert=None, key=None):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(cert or self.cert, key or self.key)
        if alpn:
            context.set_alpn_protocols(list(alpn))
        return context.wrap_socket(connection, server_side=True)


def frame(kind, flags=0, stream=0, payload=b""):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + \
        struct.pack(">I", stream) + payload


def header_block(**headers):
    """HPACK without tables or Huffman. Names: _ is -, and a leading _ is
    a colon."""
    out = b""
    for name, value in headers.items():
        name = (":" + name[1:] if name[0] == "_" else name) \
            .replace("_", "-").encode()
        value = value.encode()
        out += b"\0" + bytes([len(name)]) + name + bytes([len(value)]) + value
    return out


def answer_head(status="200", **more):
    return frame(HEADERS, END_HEADERS, 1, header_block(
        _status=status, **(more or {"content_type": "application/grpc"})))


def trailers(status="0", **more):
    return frame(HEADERS, END_HEADERS | END_STREAM, 1,
                 header_block(grpc_status=status, **more))


def message(payload, announced=None):
    return b"\0" + struct.pack(
        ">I", len(payload) if announced is None else announced) + payload


def read_request(tls):
    """Reads preface and frames until the request is whole; answers with our
    settings."""
    tls.sendall(frame(SETTINGS))
    data, at = b"", len(PREFACE)
    while True:
        while len(data) >= at + 9:
            size = int.from_bytes(data[at:at + 3], "big")
            if len(data) < at + 9 + size:
                break
            kind, flags = data[at + 3], data[at + 4]
            if kind in (DATA, HEADERS) and flags & END_STREAM:
                return
            at += 9 + size
        more = tls.recv(65536)
        if not more:
            raise ConnectionError("the request did not come")
        data += more
