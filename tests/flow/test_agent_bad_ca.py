"""meshcert-agent and a CA that does not do its part, at each step of the way.

Each row is one fault, on the wire or in the answer. Under it the agent keeps
its certificate and serves it, says what is wrong, counts it, and, as soon as
the CA is good, gets a new one, by itself."""

import base64
import datetime
import os
import pathlib
import shutil
import signal
import tempfile

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from support import gate as g
from support import net, pki, rpc
from support.fake_ca import SERVING_NAME, FakeCA, status_of
from support.gate import Gate
from support.meshcert import Agent
from support.process import Processes, until

WHO = ("shop", "client")
ID = "spiffe://cluster.local/ns/shop/sa/client"
FAILED = "istio_agent_num_failed_outgoing_requests"
CONFIG = {"ca.timeout": "700ms", "ca.retry_min": "50ms",
          "ca.retry_max": "400ms"}


@pytest.fixture(scope="module")
def world(build):
    """A good CA behind a gate, and an agent that has its certificate: shared,
    because each fault leaves them as they were."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="meshcert-"))
    folder.chmod(0o755)
    with FakeCA(folder) as fake, Processes(folder) as procs:
        cert, key = fake.root.write_leaf(folder, "serving",
                                         dns=[SERVING_NAME])
        with Gate(fake.target, cert, key) as gate:
            agent = Agent(procs, folder, build, gate.address,
                          fake.root_pem(), "a.b.c", namespace=WHO[0],
                          account=WHO[1], config=CONFIG)
            agent.start().await_ready()
            yield fake, gate, agent
    for name, text in procs.logs():
        for sign in ("Sanitizer", "runtime error:", "meshcert: bug:"):
            assert sign not in text, f"{name}: {sign}"
    shutil.rmtree(folder, ignore_errors=True)


def suffers(world, text):
    """With the fault in place: what must be said and kept. Then the fault is
    taken away."""
    fake, gate, agent = world
    try:
        with agent.channel() as channel, \
                rpc.SecretStream(channel, ["default"]) as stream:
            stream.receive()
            first = keeps(agent, text)
            gate.mode, fake.answer = None, FakeCA.good
            stream.receive()  # the same stream hears of the new one
        assert agent.serial() != first
        until(lambda: status_of(agent)["ca"]["failures"] == 0,
              "it is well again", alive=agent.process)
    finally:
        gate.mode, fake.answer = None, FakeCA.good


def keeps(agent, text):
    """Asked to renew it fails, says so, tries again, and serves what it had;
    its serial number."""
    first, since = agent.serial(), agent.process.mark()
    failed = agent.metric(FAILED)
    agent.process.signal(signal.SIGUSR1)
    agent.process.await_line(
        f"not renewed .*({text}).*in force stays for .*next attempt in",
        since=since)
    until(lambda: agent.metric(FAILED) >= failed + 2, "it tried again",
          alive=agent.process)
    status = status_of(agent)
    assert status["ready"] and status["ca"]["failures"] > 0
    assert status["ca"]["error"] and status["ca"]["failing_since"]
    assert agent.serial() == first
    return first


# ---- on the wire ------------------------------------------------------------

def tls(then, **how):
    """A mode: a good handshake, and then."""
    def mode(gate, connection):
        with gate.handshake(connection, **how) as conn:
            then(gate, conn)
    return mode


def after_request(*sent):
    """A mode: the request is taken, and answered by these bytes. The
    connection stays open behind them."""
    def then(gate, conn):
        g.read_request(conn)
        for data in sent:
            conn.sendall(data)
        gate.stall()
    return tls(then)


def then_close(*sent):
    def then(_gate, conn):
        g.read_request(conn)
        for data in sent:
            conn.sendall(data)
    return tls(then)


def drip_after(*sent):
    """The last one byte by byte: it would take an hour."""
    def then(gate, conn):
        g.read_request(conn)
        for data in sent[:-1]:
            conn.sendall(data)
        for piece in gate.drip(sent[-1]):
            conn.sendall(piece)
    return tls(then)


def hello(conn):
    conn.recv(65536)


def raw(then):
    """A mode: what comes in answer to the first bytes of TLS."""
    def mode(gate, connection):
        hello(connection)
        then(gate, connection)
    return mode


HTTP1 = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 2\r\n\r\nno"
HTML = g.frame(g.DATA, g.END_STREAM, 1, b"<html>go away</html>")
ZEROS = bytes(16384)


def flood(frame):
    """A mode: the same frame without end, as fast as it goes."""
    def then(gate, conn):
        g.read_request(conn)
        while not gate.ended.is_set():
            conn.sendall(frame * 1000)
    return tls(then)


WIRE = {
    "closes what it accepts": (
        lambda gate, conn: None, "closed"),
    "never speaks": (
        lambda gate, conn: gate.stall(), "no connection|took too long"),
    "closes after the first bytes": (
        raw(lambda gate, conn: None), "closed"),
    "answers TLS with HTTP/1": (
        raw(lambda gate, conn: (conn.sendall(HTTP1), gate.stall())),
        "TLS: "),
    "answers TLS with noise": (
        raw(lambda gate, conn: (conn.sendall(os.urandom(4096)),
                                gate.stall())), "TLS: "),
    "answers TLS with an alert": (
        raw(lambda gate, conn: (
            conn.sendall(bytes.fromhex("15030300020228")), gate.stall())),
        "TLS: .*handshake.failure"),
    "answers TLS byte by byte": (
        lambda gate, conn: gate.pass_on(conn, gate.drip),
        "no connection|took too long"),
    "closes after the handshake": (
        tls(lambda gate, conn: None), "closed"),
    "never speaks after the handshake": (
        tls(lambda gate, conn: gate.stall()), "no answer|no connection"),
    "speaks HTTP/1 inside of TLS": (
        tls(lambda gate, conn: (conn.recv(65536), conn.sendall(HTTP1),
                                gate.stall()), alpn=("http/1.1",)),
        "h2|HTTP/2|ALPN"),
    "says h2 and speaks HTTP/1": (
        tls(lambda gate, conn: (conn.sendall(HTTP1), gate.stall())),
        "h2|HTTP/2"),
    "noise for frames": (
        tls(lambda gate, conn: (conn.sendall(b"\xff" * 4096),
                                gate.stall())), "h2|HTTP/2"),
    "goes away at once": (
        tls(lambda gate, conn: (conn.sendall(
            g.frame(g.SETTINGS) + g.frame(g.GOAWAY, payload=bytes(8))),
            gate.stall())), "going away|GOAWAY|no answer|closed|UNAVAIL"),
    "closes instead of an answer": (then_close(), "closed|UNAVAILABLE"),
    "resets the request": (
        after_request(g.frame(g.RST_STREAM, 0, 1, bytes([0, 0, 0, 2]))),
        "INTERNAL|UNAVAILABLE|reset|CANCEL|UNKNOWN"),
    "never answers the request": (after_request(), "no answer|DEADLINE"),
    "a head and no answer": (
        after_request(g.answer_head()), "no answer|DEADLINE"),
    "closes after the head": (
        then_close(g.answer_head()), "closed|UNAVAILABLE"),
    "closes in the middle of a message": (
        then_close(g.answer_head(), g.frame(
            g.DATA, 0, 1, g.message(ZEROS[:100], 5000))),
        "closed|UNAVAILABLE"),
    "ends in the middle of a message": (
        after_request(g.answer_head(), g.frame(
            g.DATA, 0, 1, g.message(ZEROS[:100], 5000)), g.trailers()),
        "INTERNAL|message|protocol"),
    "ends without a status": (
        after_request(g.answer_head(), g.frame(
            g.DATA, g.END_STREAM, 1, g.message(ZEROS[:100]))),
        "status|trailers|UNKNOWN|INTERNAL"),
    "a message byte by byte": (
        drip_after(g.answer_head(), g.frame(
            g.DATA, 0, 1, g.message(ZEROS, 30000))), "no answer|DEADLINE"),
    "a message of two gigabytes": (
        after_request(g.answer_head(), g.frame(
            g.DATA, 0, 1, g.message(ZEROS[:1000], 1 << 31))),
        "RESOURCE_EXHAUSTED|long|limit|large"),
    "a compressed message that was not agreed on": (
        after_request(g.answer_head(), g.frame(
            g.DATA, 0, 1, b"\1\0\0\0\5hello"), g.trailers()),
        "compress|UNIMPLEMENTED|INTERNAL"),
    "a page for people": (
        after_request(g.answer_head("200", content_type="text/html"), HTML),
        "content.type|text/html|UNKNOWN"),
    "503 of a proxy": (
        after_request(g.answer_head("503", content_type="text/html"), HTML),
        "503|UNAVAILABLE"),
    "no protobuf": (
        after_request(g.answer_head(), g.frame(
            g.DATA, 0, 1, g.message(b"\xff" * 64)), g.trailers()),
        "no IstioCertificateResponse"),
    "an empty message": (
        after_request(g.answer_head(), g.frame(
            g.DATA, 0, 1, g.message(b"")), g.trailers()),
        "the answer has 0 entries"),
    "OK and no message": (
        after_request(g.answer_head(), g.trailers()), "OK without an answer"),
    "two messages": (
        after_request(g.answer_head(), g.frame(
            g.DATA, 0, 1, g.message(b"") * 2), g.trailers()),
        "more than one|entries"),
    "pings without end": (
        flood(g.frame(g.PING, 0, 0, bytes(8))),
        "cheap|flood|too many|no answer|HTTP/2|closed"),
    "empty data without end": (
        tls(lambda gate, conn: (
            g.read_request(conn), conn.sendall(g.answer_head()),
            [conn.sendall(g.frame(g.DATA, 0, 1) * 1000)
             for _ in iter(gate.ended.is_set, True)])),
        "cheap|flood|too many|no answer|HTTP/2|closed"),
}


@pytest.mark.parametrize("what", WIRE)
def test_a_ca_that_fails_on_the_wire(world, what):
    world[1].mode, text = WIRE[what]
    suffers(world, text)


# ---- whose certificate the CA shows -----------------------------------------

@pytest.mark.parametrize("what, text", [
    ("of another name", "name|istiod.istio-system.svc"),
    ("of another root", "root|trust|issuer|path"),
    ("expired", "expired at"),
    ("of tomorrow", "is not valid before"),
])
def test_a_ca_with_a_certificate(world, folder, what, text):
    fake, gate, _ = world
    cert, key = {
        "of another name": lambda: fake.root.write_leaf(
            folder, "x", dns=["somebody.example"]),
        "of another root": lambda: pki.TestCA("stranger").write_leaf(
            folder, "x", dns=[SERVING_NAME]),
        "expired": lambda: fake.root.write_leaf(
            folder, "x", dns=[SERVING_NAME], seconds=-10),
        "of tomorrow": lambda: fake.root.write_leaf(
            folder, "x", dns=[SERVING_NAME], backdate=-3600),
    }[what]()
    gate.mode = tls(lambda gate, conn: gate.stall(), cert=cert, key=key)
    suffers(world, text)


# ---- in the answer ----------------------------------------------------------

def chain_of(fake, request, *cas):
    """An answer whose leaf the last of cas signs."""
    csr = x509.load_pem_x509_csr(request.csr.encode())
    return fake.sign(csr.public_key(), pki.uri_of(csr), issuer=cas[-1])


def leaf_by(fake, request, change):
    """A leaf made by hand: change(builder) -> builder."""
    csr = x509.load_pem_x509_csr(request.csr.encode())
    now = datetime.datetime.now(datetime.timezone.utc)
    builder = x509.CertificateBuilder().subject_name(x509.Name([])) \
        .issuer_name(fake.root.cert.subject) \
        .public_key(csr.public_key()) \
        .serial_number(x509.random_serial_number()) \
        .not_valid_before(now - datetime.timedelta(minutes=1)) \
        .not_valid_after(now + datetime.timedelta(days=1))
    for extension, critical in (
            (pki.usage(digital_signature=True), True),
            (x509.AuthorityKeyIdentifier.from_issuer_public_key(
                fake.root.key.public_key()), False)):
        builder = builder.add_extension(extension, critical)
    cert = change(builder).sign(fake.root.key, pki.hash_for(fake.root.key))
    return [pki.cert_pem(cert), fake.root_pem()]


def names(*values, critical=True):
    return lambda builder: builder.add_extension(
        x509.SubjectAlternativeName(list(values)), critical)


def uri(text):
    return x509.UniformResourceIdentifier(text)


def with_root(root_pem):
    return lambda fake, request: fake.good(request, None)[:1] + [root_pem]


def below(fake, request, *, order, days=3650):
    """Through an intermediate that comes before its leaf, or twice, or not,
    or is over."""
    middle = pki.TestCA("middle", parent=fake.root, days=days)
    leaf, root = chain_of(fake, request, middle)
    entries = {"leaf": leaf, "middle": pki.cert_pem(middle.cert),
               "root": root}
    return [entries[word] for word in order]


ANSWERS = {
    "nothing": (lambda fake, rq: [], "the answer has 0 entries"),
    "empty texts": (lambda fake, rq: ["", ""], r"the roots \(last entry\)"),
    "an empty leaf": (lambda fake, rq: ["", fake.root_pem()],
                      "entry 0 of the chain"),
    "a cut leaf": (lambda fake, rq: [fake.good(rq, None)[0][:300],
                                     fake.root_pem()],
                   "entry 0 of the chain"),
    "a leaf with a changed byte": (
        lambda fake, rq: [spoiled(fake.good(rq, None)[0]), fake.root_pem()],
        "does not verify to the roots|signature"),
    "PEM of a key": (
        lambda fake, rq: [pki.key_pem(pki.new_key()), fake.root_pem()],
        "entry 0 of the chain"),
    "the root for a leaf": (
        lambda fake, rq: [fake.root_pem()] * 2, "URI SAN"),
    "the intermediate before its leaf": (
        lambda fake, rq: below(fake, rq, order=["middle", "leaf", "root"]),
        "URI SAN"),
    "no intermediate": (
        lambda fake, rq: below(fake, rq, order=["leaf", "root"]),
        "does not verify to the roots"),
    "an expired intermediate": (
        lambda fake, rq: below(fake, rq, order=["leaf", "middle", "root"],
                               days=-0.001), "expired at"),
    "more entries than any chain": (
        lambda fake, rq: fake.good(rq, None)[:1] * 40 + [fake.root_pem()],
        "more than"),
    "a megabyte of text": (
        lambda fake, rq: fake.good(rq, None)[:1] +
        [fake.root_pem() * 1500], "more than|longer|limit|RESOURCE"),
    "another root": (with_root(pki.cert_pem(pki.TestCA("other").cert)),
                     "does not verify to the roots"),
    "a leaf for a root": (
        lambda fake, rq: fake.good(rq, None)[:1] * 2,
        r"the roots \(last entry\): .*not a CA"),
    "a leaf among the roots": (
        lambda fake, rq: [fake.good(rq, None)[0],
                          "".join(fake.good(rq, None))],
        r"the roots \(last entry\): .*not a CA"),
    "NUL bytes": (with_root("-----BEGIN CERTIFICATE-----\0\0"),
                  r"the roots \(last entry\)"),
    "two identities": (
        lambda fake, rq: leaf_by(fake, rq, names(uri(ID), uri(ID + "2"))),
        "URI"),
    "no identity": (
        lambda fake, rq: leaf_by(fake, rq, names(x509.DNSName("a.example"))),
        "URI|SPIFFE"),
    "no names at all": (
        lambda fake, rq: leaf_by(fake, rq, lambda b: b), "URI|SPIFFE|names"),
    "another trust domain": (
        lambda fake, rq: fake.good(
            rq, None, uri="spiffe://other/ns/shop/sa/client"),
        "the certificate is for spiffe://other"),
    "a leaf that may sign": (
        lambda fake, rq: leaf_by(fake, rq, lambda b: names(uri(ID))(b)
                                 .add_extension(x509.BasicConstraints(
                                     True, None), True)), "CA"),
    "an unknown critical extension": (
        lambda fake, rq: leaf_by(fake, rq, lambda b: names(uri(ID))(b)
                                 .add_extension(x509.UnrecognizedExtension(
                                     x509.ObjectIdentifier("1.2.3.4"),
                                     b"\5\0"), True)),
        "critical|does not verify"),
}


def spoiled(pem):
    cert = pki.load_all(pem)[0]
    der = bytearray(cert.public_bytes(serialization.Encoding.DER))
    der[-1] ^= 1
    return ("-----BEGIN CERTIFICATE-----\n" +
            base64.encodebytes(bytes(der)).decode() +
            "-----END CERTIFICATE-----\n")


@pytest.mark.parametrize("what", ANSWERS)
def test_an_answer_that_is_not_what_was_asked_for(world, what):
    fake, _, agent = world
    make, text = ANSWERS[what]
    fake.answer = lambda _, request, __: make(fake, request)
    refused = agent.metric("meshcert_agent_answers_refused_total")
    suffers(world, text)
    # Counted as refused, or, where it cannot be an answer, as failed.
    assert agent.metric("meshcert_agent_answers_refused_total") > refused \
        or what in ("nothing", "more entries than any chain",
                    "a megabyte of text")


def test_an_answer_through_an_intermediate_is_taken(world):
    """The contrast to its wrong orders."""
    fake, _, agent = world
    first = agent.serial()
    fake.answer = lambda _, request, __: below(
        fake, request, order=["leaf", "middle", "root"])
    agent.process.signal(signal.SIGUSR1)
    until(lambda: agent.serial() != first, "it was renewed",
          alive=agent.process)
    fake.answer = FakeCA.good
