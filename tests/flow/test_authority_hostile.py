"""What a role that was taken over can get from the others. The tests speak to
the real signer and the real authority as their supervisor and their peers
would, over the messages of doc/ipc.md."""

import itertools
import secrets
import socket
import struct
import subprocess
import time

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from support import pki
from support.taken import (counted, frame, issue_message, read_result,
                           read_signed)

CONTROL_FD = 3
CONFIG, GIVE, GO = 1, 2, 3
ISSUE, RESULT, CHAIN, SIGN, SIGNED, SIGN_HEAD = 1, 2, 3, 4, 5, 6
WORKLOAD, SERVING = 1, 2
CLIENT_CERT, JWT, JOIN_TOKEN, SELF = 1, 2, 3, 4
URI = "spiffe://cluster.local/ns/shop/sa/cart"


class Link:
    """One end of a channel."""

    def __init__(self, sock):
        self.sock = sock
        sock.settimeout(20)

    def send(self, kind, ident=0, payload=b""):
        self.sock.sendall(frame(kind, ident, payload))

    def _exactly(self, size):
        got = b""
        while len(got) < size:
            more = self.sock.recv(size - len(got))
            if not more:
                raise EOFError
            got += more
        return got

    def receive(self, want):
        """(id, payload) of the next message of this kind."""
        while True:
            (size,) = struct.unpack(">I", self._exactly(4))
            body = self._exactly(size)
            kind, ident = struct.unpack(">HQ", body[:10])
            if kind == want:
                return ident, body[10:]

    def is_cut(self):
        """Waits for the other end to close; False when it answers."""
        try:
            while self.sock.recv(65536):
                pass
            return True
        except ConnectionResetError:
            return True
        except TimeoutError:
            return False


class Role:
    """A role's process, with this test as its supervisor."""

    def __init__(self, build, name, config):
        ours, theirs = socket.socketpair()
        self.control = Link(ours)
        self.child = subprocess.Popen(
            ["bash", "-c", f"exec \"$0\" \"$@\" {CONTROL_FD}<&"
             f"{theirs.fileno()}", str(build / "meshcert-ca"), "--role",
             name, "--index", "0"], pass_fds=[theirs.fileno()])
        theirs.close()
        self.control.send(CONFIG, payload=config.encode())

    def give(self, name, sock):
        message = frame(GIVE | 0x8000, 0, name.encode())
        socket.send_fds(self.control.sock, [message], [sock.fileno()])

    def link(self, name):
        """Our end of a link that the role takes for a peer."""
        ours, theirs = socket.socketpair()
        self.give(name, theirs)
        theirs.close()
        return Link(ours)

    def go(self):
        self.control.send(GO)

    def end(self):
        self.control.sock.close()
        assert self.child.wait(20) == 0


@pytest.fixture
def data(folder):
    for name in ("store", "audit", "issuer", "public"):
        (folder / name).mkdir(mode=0o700)
    return folder


@pytest.fixture
def signer(build, data):
    """(role, a link to it as its authority has one)."""
    role = Role(build, "signer", f"data_dir: {data}\ncert:\n  max_ttl: 24h\n")
    link = role.link("link.authority.0")
    role.go()
    link.receive(CHAIN)
    yield link
    role.end()


@pytest.fixture
def front_links(build, data):
    """Makes links to an authority, as a front that died gets new ones."""
    config = f"data_dir: {data}\ncert:\n  max_ttl: 24h\n"
    sign, rule = Role(build, "signer", config), \
        Role(build, "authority", config)
    one, other = socket.socketpair()
    sign.give("link.authority.0", one)
    rule.give("link.signer.0", other)
    one.close()
    other.close()
    with socket.socket(socket.AF_UNIX) as admin:
        admin.bind(str(data / "admin"))
        admin.listen()
        rule.give("listen.admin", admin)
    sign.go()
    rule.go()
    yield lambda: rule.link("link.front.0")
    rule.end()
    sign.end()


@pytest.fixture
def authority(front_links):
    """A link to an authority, with a signer, as a front has one."""
    link = front_links()
    link.receive(CHAIN)
    return link


def spki_of(kind="p256"):
    return pki.new_key(kind).public_key().public_bytes(
        serialization.Encoding.DER,
        serialization.PublicFormat.SubjectPublicKeyInfo)


def now_ms():
    return int(time.time()) * 1000


_serials = itertools.count(time.time_ns() // 1000000)


def growing_serial():
    return next(_serials).to_bytes(6, "big") + secrets.token_bytes(13)


def sign_request(profile=WORKLOAD, identity=URI, spki=None, serial=None,
                 before=-120, after=3600):
    return struct.pack(">I", profile) + (serial or growing_serial()) + \
        struct.pack(">qq", now_ms() + before * 1000,
                    now_ms() + after * 1000) + \
        counted(identity) + counted(spki or spki_of())


def signed(link, payload):
    link.send(SIGN, 7, payload)
    ident, answer = link.receive(SIGNED)
    assert ident == 7
    return read_signed(answer)


def test_what_an_honest_authority_asks_for_is_signed(signer):
    error, text, cert = signed(signer, sign_request())
    assert (error, text) == (0, "")
    assert pki.uri_of(cert) == URI
    assert not cert.extensions.get_extension_for_class(
        x509.BasicConstraints).value.ca


BAD = {
    "another trust domain": {"identity": "spiffe://other.example/ns/a/sa/b"},
    "a trust domain that begins alike":
        {"identity": "spiffe://cluster.local.evil.example/ns/a/sa/b"},
    "the trust domain itself": {"identity": "spiffe://cluster.local"},
    "no SPIFFE ID": {"identity": "https://cluster.local/x"},
    "no identity": {"identity": ""},
    "two identities in one": {"identity": URI + "\0" + URI},
    "a root": {"profile": 3}, "an issuing CA": {"profile": 4},
    "no profile": {"profile": 0}, "a made-up profile": {"profile": 999},
    "a long life": {"after": 86400 * 400},
    "a life in the future": {"before": 86400, "after": 86400 + 60},
    "a life that has ended": {"before": -7200, "after": -3600},
    "a life backwards": {"before": 3000, "after": 60},
    "a start long ago": {"before": -86400 * 30},
    "a life of the CA's length": {"after": 86400 * 3650},
    "a weak key": {"spki": None, "kind": "rsa1024"},
    "a curve that is not allowed": {"spki": None, "kind": "p521"},
    "a key that is not allowed": {"spki": None, "kind": "ed25519"},
    "no key": {"spki": b"\0"},
    "a serial of the past": {"serial": b"\x01" + bytes(18)},
    "a negative serial": {"serial": b"\xff" * 19},
}


@pytest.mark.parametrize("what", BAD)
def test_the_signer_refuses_an_authority_that_asks_for(signer, what):
    change = dict(BAD[what])
    kind = change.pop("kind", None)
    if kind is not None:
        change["spki"] = spki_of(kind)
    # Something before it, so that serials have to grow.
    assert signed(signer, sign_request())[0] == 0
    error, text, cert = signed(signer, sign_request(**change))
    assert error != 0 and cert is None and text != ""
    # The next honest one is served.
    assert signed(signer, sign_request())[0] == 0


def test_the_signer_signs_no_serial_twice(signer):
    serial = growing_serial()
    assert signed(signer, sign_request(serial=serial))[0] == 0
    error, text, cert = signed(signer, sign_request(serial=serial))
    assert error != 0 and cert is None and "serial" in text


def test_a_serving_certificate_has_the_configured_names_whoever_asks(signer):
    _, _, cert = signed(signer, sign_request(profile=SERVING, identity=""))
    names = cert.extensions.get_extension_for_class(
        x509.SubjectAlternativeName).value
    assert "istiod.istio-system.svc" in \
        names.get_values_for_type(x509.DNSName)
    assert pki.uri_of(cert) is None
    error, _, other = signed(signer, sign_request(profile=SERVING))
    assert error != 0 and other is None


@pytest.mark.parametrize("kind,payload", [
    (99, b""), (ISSUE, b""), (SIGN, b""), (SIGN, b"\0" * 20),
    (SIGN_HEAD, b"\0")], ids=["unknown", "a front's", "empty", "zeros",
                              "half a head"])
def test_the_signer_cuts_off_who_breaks_the_rules_of_the_channel(
        signer, kind, payload):
    signer.send(kind, 1, payload)
    assert signer.is_cut()


def test_a_frame_that_is_too_long_ends_the_channel(signer):
    signer.sock.sendall(struct.pack(">IHQ", 1 << 30, SIGN, 1))
    assert signer.is_cut()


# -- a front


def issue_request(spki=None, **more):
    return issue_message(spki=spki or spki_of(), **more)


def asked(link, payload):
    link.send(ISSUE, 9, payload)
    ident, answer = link.receive(RESULT)
    assert ident == 9
    return read_result(answer)


def test_what_an_honest_front_asks_for_is_issued(authority):
    error, _, cert = asked(authority, issue_request())
    assert error == 0 and pki.uri_of(cert) == URI


BAD_ISSUE = {
    "another trust domain": {"identity": "spiffe://other.example/ns/a/sa/b"},
    "the trust domain itself": {"identity": "spiffe://cluster.local"},
    "another name than it says the caller has":
        {"wanted": "spiffe://cluster.local/ns/a/sa/other"},
    "no identity": {"identity": ""},
    "a root": {"profile": 3}, "an issuing CA": {"profile": 4},
    "a made-up profile": {"profile": 999},
    "the authority's own names for a workload": {"profile": SERVING},
    "a long life": {"ttl": 86400 * 400}, "a negative life": {"ttl": -1},
    "a join token that there is not":
        {"auth": JOIN_TOKEN, "identity": "", "token": bytes(32)},
    "a join token that is none": {"auth": JOIN_TOKEN, "identity": ""},
    "a weak key": {"kind": "rsa1024"},
}


@pytest.mark.parametrize("what", BAD_ISSUE)
def test_the_authority_refuses_a_front_that_asks_for(authority, what):
    change = dict(BAD_ISSUE[what])
    kind = change.pop("kind", None)
    if kind is not None:
        change["spki"] = spki_of(kind)
    error, text, cert = asked(authority, issue_request(**change))
    assert error != 0 and cert is None and text != ""
    assert asked(authority, issue_request())[0] == 0


@pytest.mark.parametrize("payload", [
    b"", issue_request(identity="spiffe://cluster.local/" + "a" * 100000),
    issue_request(caller="x" * 100000), issue_request() + b"\0",
    issue_request()[:-1]],
    ids=["empty", "long identity", "long caller", "more", "less"])
def test_the_authority_cuts_off_who_breaks_the_rules_of_the_channel(
        authority, payload):
    authority.send(ISSUE, 1, payload)
    assert authority.is_cut()


EVERY_TYPE = [*range(0, 17), 64, 255, 0x7fff, 0x8001, 0x8009, 0xffff]


def mutilated():
    """Messages of a front that no honest one sends: {what: (type, bytes)}."""
    good = issue_request()
    found = {f"type {kind:#x}": (kind, good) for kind in EVERY_TYPE
             if kind != ISSUE}
    found |= {f"the first {size} bytes": (ISSUE, good[:size])
              for size in (*range(0, 60, 3), len(good) - 1)}
    found |= {f"{name} too long": (ISSUE, issue_request(**{name: b"x" * size}))
              for name, size in (("identity", 2049), ("wanted", 16385),
                                 ("caller", 513), ("token", 33),
                                 ("spki", 16385))}
    found["a length beyond the end"] = (ISSUE, good[:24] + b"\xff" * 8)
    found["one byte more"] = (ISSUE, good + b"\0")
    found["twice"] = (ISSUE, good + good)
    return found


def test_each_broken_rule_costs_a_front_its_channel_and_nobody_else(
        front_links):
    honest = front_links()
    honest.receive(CHAIN)
    for what, (kind, payload) in mutilated().items():
        link = front_links()
        link.receive(CHAIN)
        link.send(kind, 1, payload)
        assert link.is_cut(), what
        print(f"{what:30} cut off")
    link = front_links()
    link.receive(CHAIN)
    assert asked(link, issue_request())[0] == 0


def test_a_front_may_not_speak_as_a_signer(authority):
    authority.send(SIGNED, 1, struct.pack(">II", 0, 0) + counted("") +
                   counted(b"not a certificate"))
    assert authority.is_cut()


def test_who_reads_no_answers_fills_a_bounded_queue_only(authority):
    """A front that asks without end and reads nothing: it may be refused or
    cut off, but the authority's memory stays bounded."""
    request = frame(ISSUE, 1, issue_request())
    authority.sock.settimeout(2)
    sent = 0
    try:
        while sent < 20000:
            authority.sock.sendall(request)
            sent += 1
    except (TimeoutError, ConnectionError):
        pass
    assert sent > 0
