"""A front, a public and a fetch role that were taken over ask the others for
everything that their messages can express. The supervisor and all other roles
are the real ones. What was asked, and how it ended, is printed as a table
(pytest -s)."""

import collections
import itertools
import mmap
import os
import pathlib
import shutil
import sqlite3
import struct

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from support import pki, rpc, taken, tokens
from support.meshcert import Authority
from support.process import until
from support.taken import counted, read_result
from support.taken import issue_message as issue

ISSUE, RESULT, CHAIN, SIGN, SIGNED, SIGN_HEAD, HEAD_SIGNED, FETCH, FETCHED = \
    range(1, 10)
WORKLOAD, SERVING = 1, 2
CLIENT_CERT, JWT, JOIN_TOKEN, SELF = 1, 2, 3, 4
URI = "spiffe://cluster.local/ns/shop/sa/cart"
MAX_TTL = 86400  # of our configuration

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0, reason="skipped because only root has roles of "
    "different users")


class Table:
    """What was asked, and how it ended."""

    def __init__(self, title):
        self.title, self.rows = title, collections.Counter()

    def add(self, asked, ended):
        self.rows[asked, ended] += 1

    def show(self):
        print(f"\n{self.title}")
        for (asked, ended), count in sorted(self.rows.items()):
            print(f"  {count:6}  {asked:44} {ended}")


class World:
    """A running authority with some roles taken over."""

    def __init__(self, procs, folder, build, monkeypatch, roles, fetch=False):
        self.takeover = taken.Takeover(folder, roles)
        for name, value in self.takeover.env.items():
            monkeypatch.setenv(name, value)
        self.issuer, self.far = tokens.Issuer("ES256"), tokens.Issuer("ES256")
        one = self.authority = Authority(
            procs, folder, build, {
                # A taken role does not stop when it is told to.
                "fronts": 2, "cert.max_ttl": "24h", "drain": "100ms"},
            issuer=self.issuer)
        one.issuer = self.issuer
        one.binary = pathlib.Path(build) / "tests/taken"
        if not one.binary.exists():
            pytest.skip(f"skipped because {one.binary} was not built")
        one.config["fetch_program"] = str(
            one.binary if fetch else pathlib.Path(build) / "meshcert-fetch")
        if fetch:
            one.config["auth.jwt"].append(
                {"issuer": self.far.issuer,
                 "jwks_url": "https://localhost:1/keys"})
        one.start(wait=False)
        self.roles = {}
        for _ in roles:
            role = self.takeover.next()
            self.roles[role.name] = role
            role.ready()
        # A public that was taken over answers nobody.
        one.process.await_line("supervisor.ready")
        if "public.0" not in roles:
            one.await_ready()
        self.mark = one.process.mark()
        self.pids = self.honest()

    def honest(self):
        """Processes that nobody took over."""
        ours = {role.pid for role in self.roles.values()}
        return {role: [p for p in pids if p not in ours]
                for role, pids in self.authority.roles().items()}

    def code_of(self, token):
        """What an honest caller is told, by the honest front."""
        with self.authority.channel() as channel:
            try:
                rpc.create_certificate(channel, pki.new_csr(pki.new_key()),
                                       token=token)
            except grpc.RpcError as why:
                return why.code()
        return None

    def check_unharmed(self):
        """The same processes serve the same callers."""
        assert self.honest() == self.pids
        assert self.code_of(self.issuer.token("shop", "cart")) is None
        text = "\n".join(self.authority.process.lines()[self.mark:])
        for role in "signer", "authority", "front.1", "public.0":
            if role not in self.roles:
                assert f"role_died role={role}" not in text

    def recorded(self):
        """{serial: (profile, identity)} of the durable record."""
        copy = self.authority.folder / "copy"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(self.authority.data / "store", copy)
        base = sqlite3.connect(copy / "record.db")
        rows = base.execute("SELECT serial, profile, identity FROM cert")
        found = {int.from_bytes(s, "big"): (p, i) for s, p, i in rows}
        base.close()
        return found


@pytest.fixture
def world(procs, folder, build, monkeypatch):
    every = []

    def make(*roles, **more):
        every.append(World(procs, folder, build, monkeypatch, roles, **more))
        return every[-1]
    yield make
    for one in every:
        one.takeover.close()


def spki(key):
    return key.public_key().public_bytes(
        serialization.Encoding.DER,
        serialization.PublicFormat.SubjectPublicKeyInfo)


def check_harmless(cert, identity, serving_names):
    """No CA, no foreign trust domain, no longer life, no other use."""
    get = cert.extensions.get_extension_for_class
    assert not get(x509.BasicConstraints).value.ca
    assert not get(x509.KeyUsage).value.key_cert_sign
    assert not get(x509.KeyUsage).value.crl_sign
    san = get(x509.SubjectAlternativeName).value
    uris = san.get_values_for_type(x509.UniformResourceIdentifier)
    if uris:
        assert uris == [identity]
        assert uris[0].startswith("spiffe://cluster.local/")
        assert len(san) == 1
    else:
        assert set(san.get_values_for_type(x509.DNSName)) == serving_names
        assert len(san) == len(serving_names)
    life = cert.not_valid_after_utc - cert.not_valid_before_utc
    assert life.total_seconds() <= MAX_TTL + 3600


PROFILES = [0, WORKLOAD, SERVING, 3, 4, 999, 2**31, 2**32 - 1]
AUTHS = [0, CLIENT_CERT, JWT, JOIN_TOKEN, SELF, 5, 999, 2**32 - 1]
IDENTITIES = {
    "ours": URI, "another's of ours": "spiffe://cluster.local/vm/7",
    "foreign trust domain": "spiffe://other.example/ns/a/sa/b",
    "trust domain that begins alike":
        "spiffe://cluster.local.other.example/ns/a/sa/b",
    "the trust domain itself": "spiffe://cluster.local",
    "the authority's name": "istiod.istio-system.svc", "none": "",
    "two in one": URI + "\0" + URI, "a path upwards":
        "spiffe://cluster.local/ns/../sa/x", "no text": b"\xff\xfe\x00"}
TTLS = [0, 1, 3600, MAX_TTL, MAX_TTL + 1, -1, 2**62, -2**63]


def is_grantable(profile, auth, identity, ttl):
    """The oracle: what policy lets any front have."""
    if profile == SERVING:
        return auth == SELF
    return profile == WORKLOAD and auth in (CLIENT_CERT, JWT) and \
        identity in ("ours", "another's of ours") and 0 <= ttl <= MAX_TTL


def test_a_taken_front_gets_leaves_of_its_trust_domain_only(world):
    """Every value of every field; a certificate is given only where policy
    gives it to any front, and each one is on record."""
    one = world("front.0")
    link = one.roles["front.0"].link("link.authority.0")
    chain = link.await_kind(CHAIN)[1]
    key = spki(pki.new_key())
    table, got = Table("a front asks the authority"), {}
    asked = list(itertools.product(PROFILES, AUTHS, IDENTITIES, TTLS))
    serving_names = None
    for start in range(0, len(asked), 64):
        part = asked[start:start + 64]
        # All with one id: the authority must not rely on ours.
        for profile, auth, name, ttl in part:
            link.send(ISSUE, 7, issue(profile, auth, ttl,
                                      identity=IDENTITIES[name],
                                      token=bytes(32), spki=key))
        answers = []
        for _ in part:
            ident, payload = link.await_kind(RESULT)
            assert ident == 7
            answers.append(read_result(payload))
        # Refusals overtake what waits for the disk: compared as sets.
        wanted = sum(is_grantable(*row) for row in part)
        certs = [cert for error, _, cert in answers if cert]
        assert len(certs) == wanted, part
        for error, text, cert in answers:
            assert (error == 0) == (cert is not None)
            assert cert or text
        for cert in certs:
            if serving_names is None and pki.uri_of(cert) is None:
                serving_names = set(cert.extensions.get_extension_for_class(
                    x509.SubjectAlternativeName).value.get_values_for_type(
                        x509.DNSName))
                assert "istiod.istio-system.svc" in serving_names
            uri = pki.uri_of(cert)
            assert uri in (None, URI, IDENTITIES["another's of ours"])
            check_harmless(cert, uri, serving_names)
            got[cert.serial_number] = uri
        for row in part:
            table.add(f"profile {row[0]}, {row[2]}",
                      "a leaf, on record" if is_grantable(*row)
                      else "refused")
    table.show()
    record = one.recorded()
    assert len(got) == sum(is_grantable(*row) for row in asked) > 50
    for serial, uri in got.items():
        assert record[serial] == ((SERVING, "") if uri is None
                                  else (WORKLOAD, uri))
    assert chain
    one.check_unharmed()


def test_a_taken_front_cannot_have_every_key_certified(world):
    """Keys of CAs, weak ones, none at all, and what is no key."""
    one = world("front.0")
    link = one.roles["front.0"].link("link.authority.0")
    root = pki.load_all(one.authority.root_pem())[0]
    keys = {
        "the CA's own": root.public_key().public_bytes(
            serialization.Encoding.DER,
            serialization.PublicFormat.SubjectPublicKeyInfo),
        "weak": spki(pki.new_key("rsa1024")),
        "small exponent": spki(rsa.generate_private_key(3, 2048)),
        "not allowed curve": spki(pki.new_key("p521")),
        "none": b"", "zeros": bytes(91), "half": spki(pki.new_key())[:40],
        "with a tail": spki(pki.new_key()) + b"\0", "long": bytes(16384)}
    table = Table("a front has keys certified")
    for profile, auth, identity in ((WORKLOAD, JWT, URI),
                                    (SERVING, SELF, "")):
        for name, key in keys.items():
            link.send(ISSUE, 3, issue(profile, auth, identity=identity,
                                      spki=key))
            error, text, cert = read_result(link.await_kind(RESULT)[1])
            table.add(f"profile {profile}, key: {name}", text[:60])
            assert error and cert is None and text
    table.show()
    one.check_unharmed()


def test_who_breaks_the_rules_of_a_channel_loses_it(world):
    """It gets a new one only by dying. Each way to break a rule, on links that
    a test can make as it likes, is in test_authority_hostile.py."""
    one = world("front.0")
    table = Table("a front breaks the rules of its channel")
    for what, kind, payload in (
            ("type of the signer", SIGNED, struct.pack(">II", 0, 0) +
             counted("") + counted(b"")),
            ("more than a message", ISSUE, issue() + b"\0"),
            ("a frame of 1 GB", None, b"")):
        role = one.roles["front.0"]
        link = role.link("link.authority.0")
        if kind is None:
            link.sock.sendall(struct.pack(">IHQ", 1 << 30, ISSUE, 1))
        else:
            link.send(kind, 1, payload)
        assert link.is_cut()
        table.add(what, "cut off")
        os.kill(role.pid, 9)
        one.roles["front.0"] = one.takeover.next()
        one.roles["front.0"].ready()
    table.show()
    one.check_unharmed()


def test_descriptors_where_none_belong_go_nowhere(world):
    one = world("front.0")
    link = one.roles["front.0"].link("link.authority.0")
    (authority,) = one.pids["authority"]
    fds = pathlib.Path(f"/proc/{authority}/fd")
    key = spki(pki.new_key())
    link.send(ISSUE, 1, issue(spki=key))
    link.await_kind(RESULT)
    before = len(list(fds.iterdir()))
    with open("/etc/passwd", "rb") as stray:
        for _ in range(100):
            link.send(ISSUE, 1, issue(spki=key), fds=[stray.fileno()] * 4)
            assert read_result(link.await_kind(RESULT)[1])[0] == 0
    assert len(list(fds.iterdir())) == before
    one.check_unharmed()


def test_thousands_of_requests_leave_others_their_part(world):
    """Without reading one answer."""
    one = world("front.0")
    link = one.roles["front.0"].link("link.authority.0")
    message = taken.frame(ISSUE, 1, issue(spki=spki(pki.new_key()))) * 50
    link.sock.settimeout(1)
    sent = 0
    try:
        while sent < 20000:
            link.sock.sendall(message)
            sent += 50
    except (TimeoutError, ConnectionError):
        pass
    assert sent >= 1000
    one.check_unharmed()


def test_a_taken_role_tells_its_supervisor_only_that_it_is_ready(world):
    """Every other type, and a descriptor, ends the role: by the supervisor's
    hand."""
    one = world("front.0")
    table = Table("a role speaks to its supervisor")
    for what, kind, payload, with_fd in (
            ("a configuration", taken.CONFIG, b"sandbox: off\n", False),
            ("a descriptor", taken.READY, b"", True),
            ("a reload", taken.RELOAD, b"trust_domain: other.example\n",
             False)):
        role = one.roles["front.0"]
        if with_fd:
            role.control.send(kind | taken.FD_FLAG, 0, payload,
                              fds=[role.control.sock.fileno()])
        else:
            role.control.send(kind, 0, payload)
        one.roles["front.0"] = one.takeover.next()
        table.add(what, "killed, another one started")
        assert one.roles["front.0"].pid != role.pid
        one.roles["front.0"].ready()
    table.show()
    one.check_unharmed()


def test_a_taken_public_cannot_write_what_it_reads(world):
    one = world("public.0")
    role = one.roles["public.0"]
    table = Table("public and the counters of the others")
    blocks = {n: fd for n, fd in role.given.items()
              if n.startswith("metrics.")}
    assert {"metrics.front.0", "metrics.authority.0", "metrics.signer.0"} \
        <= set(blocks)
    for name, fd in blocks.items():
        size = os.fstat(fd).st_size
        attempts = {
            "map it for writing": lambda fd=fd, size=size: mmap.mmap(
                fd, size, prot=mmap.PROT_READ | mmap.PROT_WRITE),
            "write": lambda fd=fd: os.write(fd, b"\xff" * 64),
            "open it again": lambda fd=fd: os.open(f"/proc/self/fd/{fd}",
                                                   os.O_RDWR),
            "cut it": lambda fd=fd: os.ftruncate(fd, 0)}
        for what, attempt in attempts.items():
            why = role.as_its_user(attempt)
            table.add(f"{name}: {what}", str(why))
            assert why is not None, f"{name}: {what}"
        # It can be read: the attempts failed for their rights.
        assert role.as_its_user(
            lambda fd=fd, size=size: mmap.mmap(fd, size, prot=mmap.PROT_READ)
        ) is None
    assert not any(name.startswith("link.") for name in role.given)
    table.show()


def fetched(error=0, status=200, text="", body=""):
    return struct.pack(">II", error, status) + counted(text) + counted(body)


def test_a_taken_fetch_makes_tokens_of_its_own_issuer_only(world):
    """An answer that nobody asked for counts nothing, and none touches an
    issuer whose keys are a file."""
    one = world("fetch.0", fetch=True)
    role, table = one.roles["fetch.0"], Table("fetch answers the fronts")
    evil = tokens.Issuer("ES256")
    evil.issuer = one.issuer.issuer
    links = [role.link(f"link.front.{i}") for i in range(2)]
    first = tokens.Issuer("ES256")
    first.issuer = one.far.issuer
    for link in links:
        ident, _ = link.await_kind(FETCH)
        # It was asked for these: this is what a taken fetch can do.
        link.send(FETCHED, ident, fetched(body=first.jwks()))
    until(lambda: one.code_of(first.token("shop", "cart")) is None,
          "its answer counted")
    table.add("the set that it was asked for", "tokens of that issuer count")
    late = tokens.Issuer("ES256")
    late.issuer = one.far.issuer
    for link in links:
        for ident in (0, 1, 2, 63, 2**32, 2**63, 2**64 - 1):
            for body in (evil.jwks(), late.jwks(), "", "{", "[]" * 1000,
                         '{"keys": 1}', "x" * (1 << 19)):
                assert link.send(FETCHED, ident, fetched(body=body))
    for ident, name in ((evil, "an issuer whose keys are a file"),
                        (late, "an issuer of its own, unasked")):
        assert one.code_of(ident.token("shop", "cart")) == \
            grpc.StatusCode.UNAUTHENTICATED
        table.add(f"a set for {name}", "not used")
    assert one.code_of(first.token("shop", "cart")) is None
    one.check_unharmed()
    for kind, head, link in zip((RESULT, SIGNED), (12, 8), links):
        link.send(kind, 1, bytes(head) + counted("") + counted(b""))
        assert link.is_cut()
        table.add(f"a message of type {kind}", "cut off")
    table.show()
    one.check_unharmed()


def test_nothing_is_a_hook_in_a_normal_build(build):
    """The way in is of tests/unit/taken.c alone."""
    for program in pathlib.Path(build).glob("meshcert*"):
        if program.is_file():
            assert b"TAKEN_ROLES" not in program.read_bytes()
    assert b"TAKEN_ROLES" in (
        pathlib.Path(build) / "tests/taken").read_bytes()
