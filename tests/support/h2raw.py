"""HTTP/2 by hand, for clients that do what no library would: frames are
whatever the test says. RFC 9113, RFC 7541 (literals only, no Huffman)."""

import select
import socket
import ssl
import struct

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, \
    WINDOW_UPDATE, CONTINUATION = range(10)
END_STREAM, ACK, END_HEADERS = 1, 1, 4
INITIAL_WINDOW_SIZE = 4
CA_PATH = "/istio.v1.auth.IstioCertificateService/CreateCertificate"


def frame(kind, flags=0, stream=0, payload=b""):
    return struct.pack(">I", len(payload))[1:] + bytes((kind, flags)) + \
        struct.pack(">I", stream) + payload


def _number(value, bits, first):
    most = (1 << bits) - 1
    if value < most:
        return bytes((first | value,))
    out, value = bytearray((first | most,)), value - most
    while value >= 128:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes(out) + bytes((value,))


def _string(text):
    raw = text.encode() if isinstance(text, str) else text
    return _number(len(raw), 7, 0) + raw


def literal(name, value, index=False):
    """A header with its name spelled out; index: into the dynamic table."""
    return bytes((0x40 if index else 0x00,)) + _string(name) + _string(value)


def indexed(number):
    return _number(number, 7, 0x80)


def request_block(path=CA_PATH, token=None, more=()):
    block = indexed(3) + indexed(7) + literal(":path", path) + \
        literal(":authority", "istiod") + \
        literal("content-type", "application/grpc") + \
        literal("te", "trailers")
    if token is not None:
        block += literal("authorization", f"Bearer {token}")
    return block + b"".join(literal(name, value) for name, value in more)


def message(raw):
    """A gRPC message."""
    return struct.pack(">BI", 0, len(raw)) + raw


class Cut(Exception):
    """The other end ended the connection."""


class Client:
    """One connection. What comes is read while sending, so that neither side
    blocks, unless reading is False."""

    def __init__(self, address, root_pem=None, settings=b"", reading=True,
                 alpn=True, receive_buffer=None):
        self.reading, self.goaway, self.resets, self.acks = \
            reading, None, 0, 0
        self.data, self.sent, self.statuses = 0, 0, {}
        self.window = 65535  # of the connection, for send_data
        self._in = b""
        if isinstance(address, str) and ":" in address:
            host, port = address.rsplit(":", 1)
            self.raw = socket.socket()
            if receive_buffer is not None:
                self.raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF,
                                    receive_buffer)
            self.raw.connect((host, int(port)))
            self.raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        else:
            self.raw = socket.socket(socket.AF_UNIX)
            self.raw.connect(str(address))
        self.raw.settimeout(20)
        self.sock = self.raw
        if root_pem is not None:
            context = ssl.create_default_context(cadata=root_pem)
            if alpn:
                context.set_alpn_protocols(["h2"])
            self.sock = context.wrap_socket(
                self.raw, server_hostname="istiod.istio-system.svc")
        self.sock.setblocking(False)
        self.send(PREFACE + frame(SETTINGS, payload=settings))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()

    # -- sending

    def send(self, raw):
        """Cut: the other end closed. Never blocks on one that sends."""
        view = memoryview(raw)
        while view:
            try:
                count = self.sock.send(view)
                view, self.sent = view[count:], self.sent + count
            except (ssl.SSLWantWriteError, BlockingIOError):
                self._await(write=True)
            except ssl.SSLWantReadError:
                self._await()
            except OSError as why:
                self.receive()
                raise Cut from why
            if self.reading:
                self.receive()

    def request(self, stream, token=None, body=None, **more):
        self.send(frame(HEADERS, END_HEADERS, stream,
                        request_block(token=token, **more)) +
                  (b"" if body is None else
                   frame(DATA, END_STREAM, stream, message(body))))

    def send_data(self, stream, body, piece=16384):
        """Pieces of a body that goes on, as the connection's window lets
        them; the stream's window is the caller's care."""
        for at in range(0, len(body), piece):
            part = body[at:at + piece]
            self.until(lambda need=len(part): self.window >= need)
            self.window -= len(part)
            self.send(frame(DATA, 0, stream, part))

    def _await(self, write=False, seconds=20):
        ready = select.select([self.sock] if self.reading or not write
                              else [], [self.sock] if write else [], [],
                              seconds)
        if not any(ready):
            raise TimeoutError("neither takes nor sends anything")
        if self.reading:
            self.receive()

    # -- receiving

    def receive(self):
        """Takes what is there. Cut: the end."""
        while True:
            try:
                more = self.sock.recv(65536)
            except (ssl.SSLWantReadError, BlockingIOError):
                return
            except OSError as why:
                raise Cut from why
            if not more:
                raise Cut
            self._in += more
            self._parse()

    def _parse(self):
        while len(self._in) >= 9:
            size = int.from_bytes(self._in[:3], "big")
            if len(self._in) < 9 + size:
                return
            kind, flags = self._in[3], self._in[4]
            stream = int.from_bytes(self._in[5:9], "big") & 0x7fffffff
            payload, self._in = self._in[9:9 + size], self._in[9 + size:]
            if kind == GOAWAY:
                self.goaway = int.from_bytes(payload[4:8], "big")
            elif kind == RST_STREAM:
                self.resets += 1
            elif kind in (SETTINGS, PING) and flags & ACK:
                self.acks += 1
            elif kind == DATA:
                self.data += size
            elif kind == WINDOW_UPDATE and stream == 0:
                self.window += int.from_bytes(payload, "big")
            elif kind == HEADERS:
                self.statuses[stream] = self.statuses.get(stream, 0) + 1

    def until(self, done, seconds=20):
        """Reads until done() is true."""
        while not done():
            if not select.select([self.sock], [], [], seconds)[0]:
                raise TimeoutError("nothing came")
            self.receive()

    def await_end(self, seconds=20):
        """Reads to the end of the connection: the GOAWAY's code, or None."""
        try:
            self.until(lambda: False, seconds)
        except Cut:
            return self.goaway
