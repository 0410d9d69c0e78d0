"""Roles of a real authority that were taken over: the descriptors that its
supervisor gave them are the test's (tests/unit/taken.c). Whoever holds them
can say whatever a hostile program in the role's place can."""

import os
import pathlib
import socket
import struct

from cryptography import x509

CONFIG, GIVE, GO, RELOAD, STOP, CONFINE, READY = 1, 2, 3, 4, 5, 6, 64
FD_FLAG = 0x8000


def counted(raw):
    raw = raw.encode() if isinstance(raw, str) else raw
    return struct.pack(">I", len(raw)) + raw


def frame(kind, ident=0, payload=b""):
    return struct.pack(">IHQ", 10 + len(payload), kind, ident) + payload


def issue_message(profile=1, auth=2, ttl=3600, deadline=0, ends=0,
                  identity="spiffe://cluster.local/ns/shop/sa/cart", wanted="",
                  caller="jwt", peer="127.0.0.1:1", request_id="0" * 32,
                  token=b"", spki=b""):
    """An ISSUE (doc/ipc.md)."""
    return struct.pack(">IIqQq", profile, auth, ttl, deadline, ends) + \
        b"".join(counted(part) for part in (
            identity, wanted, caller, peer, request_id, token, spki))


def read_signed(payload):
    """(error, text, certificate or None) of a SIGNED."""
    error, _ = struct.unpack(">II", payload[:8])
    rest, parts = payload[8:], []
    while rest:
        (size,) = struct.unpack(">I", rest[:4])
        parts.append(rest[4:4 + size])
        rest = rest[4 + size:]
    text, cert = parts
    return error, text.decode(errors="replace"), \
        x509.load_der_x509_certificate(cert) if cert else None


def read_result(payload):
    """The same of a RESULT: it has the time to wait behind its generation."""
    return read_signed(payload[:8] + payload[12:])


class Channel:
    """One end of a channel between roles (doc/ipc.md)."""

    def __init__(self, sock):
        self.sock, self._got, self._fds = sock, b"", []
        sock.setblocking(True)
        sock.settimeout(20)

    def send(self, kind, ident=0, payload=b"", fds=()):
        """False: the other end is gone."""
        message = frame(kind, ident, payload)
        try:
            if fds:
                socket.send_fds(self.sock, [message], list(fds))
            else:
                self.sock.sendall(message)
            return True
        except ConnectionError:
            return False

    def receive(self):
        """(kind, id, payload, fd or None) of the next message. EOFError: the
        other end is gone."""
        while True:
            if len(self._got) >= 4:
                (size,) = struct.unpack(">I", self._got[:4])
                if len(self._got) >= 4 + size:
                    body = self._got[4:4 + size]
                    self._got = self._got[4 + size:]
                    kind, ident = struct.unpack(">HQ", body[:10])
                    fd = self._fds.pop(0) if kind & FD_FLAG else None
                    return kind & ~FD_FLAG, ident, body[10:], fd
            try:
                more, fds, _, _ = socket.recv_fds(self.sock, 65536, 16)
            except ConnectionError:
                more, fds = b"", []
            if not more:
                raise EOFError
            self._got += more
            self._fds += fds

    def await_kind(self, want):
        while True:
            kind, ident, payload, _ = self.receive()
            if kind == want:
                return ident, payload

    def is_cut(self):
        """Waits for the other end to close; False when it does not."""
        self.sock.settimeout(5)
        try:
            while True:
                self.receive()
        except EOFError:
            return True
        except TimeoutError:
            return False


class Role:
    """A role that was taken over, with all that it was given."""

    def __init__(self, name, pid, uid, control):
        self.name, self.pid, self.uid = name, pid, uid
        self.control, self.given, self.config = Channel(control), {}, b""
        while True:
            kind, _, payload, fd = self.control.receive()
            if kind == CONFIG:
                self.config = payload
            elif kind == GIVE:
                self.given[payload.decode()] = fd
            elif kind == GO:
                return

    def link(self, name):
        """A peer that starts later is linked later."""
        while name not in self.given:
            kind, _, payload, fd = self.control.receive()
            if kind == GIVE:
                self.given[payload.decode()] = fd
        return Channel(socket.socket(fileno=os.dup(self.given[name])))

    def ready(self):
        self.control.send(READY)

    def as_its_user(self, attempt):
        """What attempt() ends in when this role's user makes it: None, or the
        text of its OSError."""
        out, into = os.pipe()
        pid = os.fork()
        if pid == 0:
            text = ""
            try:
                os.setgroups([])
                os.setgid(self.uid)
                os.setuid(self.uid)
                attempt()
            except (OSError, ValueError) as why:
                text = str(why) or "failed"
            os.write(into, text.encode())
            os._exit(0)
        os.close(into)
        with os.fdopen(out) as reader:
            text = reader.read()
        os.waitpid(pid, 0)
        return text or None


class Takeover:
    """Awaits the roles that are taken over."""

    def __init__(self, folder, roles):
        path = pathlib.Path(folder) / "taken.sock"
        self._server = socket.socket(socket.AF_UNIX)
        self._server.bind(str(path))
        path.chmod(0o777)
        self._server.listen(16)
        self._server.settimeout(20)
        self.env = {"TAKEN_ROLES": " ".join(roles), "TAKEN_SOCKET": str(path)}

    def next(self):
        """The next one that starts."""
        sock, _ = self._server.accept()
        text, fds, _, _ = socket.recv_fds(sock, 96, 1)
        name, pid, uid = text.decode().split()
        return Role(name, int(pid), int(uid), socket.socket(fileno=fds[0]))

    def close(self):
        self._server.close()
