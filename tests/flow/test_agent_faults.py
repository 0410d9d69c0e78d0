"""meshcert-agent and what fails around it: its token, its roots, the time
that runs out, the folder that it writes to, the files of others. It keeps
what is good, says what is wrong, and comes back by itself."""

import datetime
import os
import pathlib
import re
import signal
import subprocess

import grpc
import pytest
import yaml
from support import net, pki, rpc
from support.fake_ca import FakeCA, status_of
from support.meshcert import Agent, Authority, nested
from support.process import until

WHO = ("shop", "client")
ID = "spiffe://cluster.local/ns/shop/sa/client"
TOKEN = "head.claims.signature"
FAST = {"ca.retry_min": "50ms", "ca.retry_max": "400ms"}


def leaf_of(secret):
    return pki.load_all(secret.tls_certificate.certificate_chain
                        .inline_bytes)[0]


def status_lines(build, agent):
    """What an operator sees."""
    done = subprocess.run(
        [build / "meshcert", "status", "--agent", agent.status[7:]],
        capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


@pytest.fixture
def make_agent(procs, folder, build):
    def make(target, root_pem, token=TOKEN, config=None, **more):
        return Agent(procs, folder, build, target, root_pem, token,
                     namespace=WHO[0], account=WHO[1],
                     config={**FAST, **(config or {})}, **more)
    return make


@pytest.fixture
def fake(folder):
    """Wants a token."""
    def wants_token(self, request, context):
        sent = dict(context.invocation_metadata()).get("authorization")
        if sent != f"Bearer {TOKEN}":
            context.abort(grpc.StatusCode.UNAUTHENTICATED, "who are you?")
        return self.good(request, context)
    with FakeCA(folder, wants_token) as one:
        yield one


def ask(agent):
    agent.process.signal(signal.SIGUSR1)


def renewed(agent, first):
    until(lambda: agent.serial() != first, "it was renewed",
          alive=agent.process)


# ---- the token --------------------------------------------------------------

def unlink(path):
    path.unlink()


def folder_instead(path):
    path.unlink()
    path.mkdir()


def pipe_instead(path):
    path.unlink()
    os.mkfifo(path)


TOKENS = {
    "vanishes": (unlink, "no token is sent: .*cannot open it"),
    "is empty": (lambda p: p.write_text(""), "no token is sent: .*is empty"),
    "is white space": (lambda p: p.write_text(" \n\n"),
                       "no token is sent: .*is empty"),
    "holds bytes of no token": (lambda p: p.write_bytes(b"\0\1\2\xff"),
                                "no token is sent: .*bytes that no token"),
    "holds two lines": (lambda p: p.write_text("a.b.c\nx-evil: 1"),
                        "no token is sent: .*bytes that no token"),
    "is too long": (lambda p: p.write_text("x" * 70000),
                    "no token is sent: .*larger than"),
    "is a folder": (folder_instead, "no token is sent: .*cannot read it"),
    "is a pipe": (pipe_instead, "no token is sent: .*a pipe"),
    "is somebody else's": (lambda p: p.write_text("a.b.c"),
                           "UNAUTHENTICATED: who are you"),
}


@pytest.mark.parametrize("what", TOKENS)
def test_a_token_that(fake, make_agent, what):
    spoil, text = TOKENS[what]
    agent = make_agent(fake.target, fake.root_pem()).start().await_ready()
    first, since = agent.serial(), agent.process.mark()
    spoil(agent.token_path)
    ask(agent)
    agent.process.await_line(text, since=since)
    agent.process.await_line("not renewed .*in force stays for", since=since)
    assert agent.serial() == first
    assert agent.metric("meshcert_agent_failures_total",
                  cause="unauthenticated") > 0
    # Put back, as a kubelet does, it is read by itself.
    fresh = agent.token_path.with_suffix(".new")
    fresh.write_text(TOKEN)
    if agent.token_path.is_dir():
        agent.token_path.rmdir()
    fresh.rename(agent.token_path)
    renewed(agent, first)
    assert status_of(agent)["ca"]["failures"] == 0


# ---- the roots --------------------------------------------------------------

ROOTS = {
    "vanishes": (unlink, "roots for the CA .*cannot open it"),
    "is empty": (lambda p: p.write_text(""), "roots for the CA .*PEM"),
    "is noise": (lambda p: p.write_bytes(os.urandom(5000)),
                 "roots for the CA "),
    "is cut": (lambda p: p.write_text(p.read_text()[:200]),
               "roots for the CA "),
    "is a folder": (folder_instead, "roots for the CA .*cannot read it"),
    "is somebody else's": (
        lambda p: p.write_text(pki.cert_pem(pki.TestCA("else").cert)),
        "TLS: server certificate"),
}


@pytest.mark.parametrize("what", ROOTS)
def test_a_root_file_that(fake, make_agent, what):
    spoil, text = ROOTS[what]
    agent = make_agent(fake.target, fake.root_pem()).start().await_ready()
    first, since = agent.serial(), agent.process.mark()
    roots = agent.secret("ROOTCA").validation_context
    spoil(agent.root_path)
    ask(agent)
    agent.process.await_line(f"not renewed .*{text}.*in force stays for",
                             since=since)
    assert agent.serial() == first
    assert agent.secret("ROOTCA").validation_context == roots
    if agent.root_path.is_dir():
        agent.root_path.rmdir()
    agent.root_path.write_text(fake.root_pem())
    renewed(agent, first)


def test_the_authority_s_root_is_replaced_under_it(folder, make_agent):
    """Another root on the same port: the agent trusts it when its root file
    does, without a restart; proxies then hear of the new root."""
    with FakeCA(folder) as old:
        agent = make_agent(old.target, old.root_pem()).start().await_ready()
        first, port = agent.serial(), old.port
    with FakeCA(folder, port=port) as new:
        ask(agent)
        agent.process.await_line("not renewed .*TLS: server certificate")
        with agent.channel() as channel, \
                rpc.SecretStream(channel, ["ROOTCA"]) as stream:
            served = stream.receive()["ROOTCA"].validation_context
            assert pki.load_all(served.trusted_ca.inline_bytes) == \
                [old.root.cert]
            agent.root_path.write_text(old.root_pem() + new.root_pem())
            served = stream.receive()["ROOTCA"].validation_context
            assert pki.load_all(served.trusted_ca.inline_bytes) == \
                [new.root.cert]
        renewed(agent, first)


# ---- the edge of life -------------------------------------------------------

def test_what_has_expired_is_replaced_by_nothing_but_a_good_one(
        folder, build, make_agent):
    with FakeCA(folder) as fake:
        agent = make_agent(fake.target, fake.root_pem(),
                           env={"SECRET_TTL": "3s"},
                           config={"cert.renew_floor": "100ms"})
        fake.answer = lambda self, rq, c: self.good(rq, c, seconds=3)
        agent.start().await_ready()
        port = fake.port
    # From here on nobody answers.
    agent.process.await_line("not renewed .*HAS EXPIRED and peers refuse it")
    with agent.channel() as channel, \
            rpc.SecretStream(channel, ["default"]) as stream:
        late = leaf_of(stream.receive()["default"])
        assert late.not_valid_after_utc < \
            datetime.datetime.now(datetime.timezone.utc)
        svid = next(rpc.fetch_x509_svid(channel))
        assert svid.svids[0].spiffe_id == ID
        status = status_of(agent)
        assert not status["ready"] and "expired" in status["not_ready"]
        assert net.get(agent.status + "/healthz/ready")[0] == 503
        assert net.get(agent.status + "/healthz/live")[0] == 200
        assert agent.metric("istio_agent_cert_expiry_seconds",
                      resource_name="default") <= 0
        assert "the certificate has expired" in status_lines(build, agent)
        with FakeCA(folder, port=port) as again:
            agent.root_path.write_text(again.root_pem())
            good = leaf_of(stream.receive()["default"])
            assert good.serial_number != late.serial_number
            agent.await_ready()
    pauses_are_within_bounds(agent.process.lines(), 0.05, 0.4)


def pauses_are_within_bounds(lines, least, most):
    """Of the n-th failure: doubled each time up to the bound, of which up to
    half is taken off; less where the end is near, but never below least/2."""
    told = [re.search(r"attempt (\d+): .*next attempt in ([\d.]+)(ms|s)$",
                      line) for line in lines]
    rows = [(int(m[1]), float(m[2]) / (1000 if m[3] == "ms" else 1))
            for m in told if m]
    assert len(rows) > 5
    for count, pause in rows:
        bound = min(least * 2 ** (count - 1), most)
        assert least / 2 - 0.001 <= pause <= bound + 0.001, (count, pause)
    assert len({pause for _, pause in rows}) > len(rows) / 2  # jitter


def test_an_expired_join_certificate_says_that_a_token_is_wanted(
        procs, folder, build, make_agent):
    ca = Authority(procs, folder, build).start()
    with ca.admin() as channel:
        token = rpc.create_token(channel, ID)
    agent = make_agent(ca.target, ca.root_pem(), token,
                       env={"SECRET_TTL": "2s"},
                       config={"cert.renew_floor": "100ms"})
    agent.start().await_ready()
    ca.stop()
    agent.process.await_line("HAS EXPIRED")
    ca.start()
    agent.process.await_line("UNAUTHENTICATED.*put a token into ca.token_file")
    assert "put a token" in status_lines(build, agent)
    with ca.admin() as channel:
        agent.token_path.write_text(rpc.create_token(channel, ID))
    agent.await_ready()


# ---- the folder that it writes to -------------------------------------------

def is_one_set(out):
    here = pathlib.Path(os.path.realpath(out / "..data"))
    return sorted(p.name for p in here.iterdir()) == [
        "cert-chain.pem", "key.pem", "root-cert.pem"]


def sets_of(out):
    return [p.name for p in out.iterdir() if p.name.startswith("..set-")]


def test_an_output_folder_that_becomes_read_only(
        fake, folder, build, make_agent):
    """As a user whom modes bind: root writes where it wants."""
    out = folder / "out"
    out.mkdir()
    uid = 12345 if os.getuid() == 0 else None
    if uid is not None:
        os.chown(out, uid, uid)
    agent = make_agent(fake.target, fake.root_pem(), uid=uid,
                       env={"OUTPUT_CERTS": str(out)}).start().await_ready()
    until(lambda: (out / "key.pem").exists(), "the files were written")
    before = (out / "cert-chain.pem").read_text()
    first = agent.serial()
    out.chmod(0o555)
    ask(agent)
    agent.process.await_line("certificates not written to .*again in")
    renewed(agent, first)  # proxies get it all the same
    assert is_one_set(out)
    assert (out / "cert-chain.pem").read_text() == before
    assert agent.metric("meshcert_agent_output_failures_total") > 0
    assert status_of(agent)["output"]["error"]
    assert "make the folder writable" in status_lines(build, agent)
    out.chmod(0o755)
    until(lambda: (out / "cert-chain.pem").read_text() != before,
          "the files were written", alive=agent.process)
    assert status_of(agent)["output"]["error"] == ""


def can_mount():
    return subprocess.run(["unshare", "-m", "mount", "-t", "tmpfs", "x",
                           "/mnt"], capture_output=True,
                          check=False).returncode == 0


def test_an_output_folder_that_is_full(fake, folder, make_agent):
    if not can_mount():
        pytest.skip("a small file system of one's own needs root")
    out = folder / "out"
    out.mkdir()
    agent = make_agent(fake.target, fake.root_pem(),
                       env={"OUTPUT_CERTS": str(out)})
    program = agent.folder / "in-a-small-world"
    program.write_text("#!/bin/sh\nmount -t tmpfs -o size=64k,mode=755 small "
                       f"{out}\nexec {agent.binary.resolve()} \"$@\"\n")
    program.chmod(0o755)
    shim = agent.folder / "shim"
    shim.write_text(f"#!/bin/sh\nexec unshare -m {program} \"$@\"\n")
    shim.chmod(0o755)
    agent.binary = shim
    agent.start().await_ready()
    out = pathlib.Path(f"/proc/{agent.process.pid}/root{out}")
    until(lambda: (out / "key.pem").is_symlink(), "the files were written")
    inside = out / os.readlink(out / "..data")
    before = (inside / "cert-chain.pem").read_text()
    filler = out / "filler"
    with open(filler, "wb", buffering=0) as f, pytest.raises(OSError):
        while True:
            f.write(bytes(1024))
    first = agent.serial()
    ask(agent)
    agent.process.await_line("certificates not written to .*No space|no space")
    renewed(agent, first)
    assert (inside / "cert-chain.pem").read_text() == before
    assert sets_of(out) == [inside.name]  # nothing half-done piles up
    filler.unlink()
    until(lambda: os.readlink(out / "..data") != inside.name,
          "the files were written", alive=agent.process)


# ---- the files of others ----------------------------------------------------

@pytest.fixture
def mounted(procs, folder, build):
    """An agent that gets its certificate from files."""
    ca = pki.TestCA()
    agent = Agent(procs, folder, build, "127.0.0.1:1", pki.cert_pem(ca.cert),
                  namespace=WHO[0], account=WHO[1],
                  env={"CA_PROVIDER": "none"})
    agent.ca = ca
    agent.certs = agent.folder / "etc/certs"
    agent.certs.mkdir(parents=True)
    put(agent.certs / "root-cert.pem", pki.cert_pem(ca.cert))
    put_pair(agent)
    return agent.start().await_ready()


def put(path, text):
    fresh = path.with_name(path.name + ".new")
    fresh.write_text(text)
    if path.is_dir():
        path.rmdir()
    fresh.rename(path)


def put_pair(agent, ca=None, **more):
    key = pki.new_key()
    cert = (ca or agent.ca).issue(key, uris=[ID], **more)
    put(agent.certs / "key.pem", pki.key_pem(key))
    put(agent.certs / "cert-chain.pem", pki.cert_pem(cert))
    return cert.serial_number


FILES = {
    "no key": (lambda a: (a.certs / "key.pem").unlink(), "cannot open it"),
    "no chain": (lambda a: (a.certs / "cert-chain.pem").unlink(),
                 "cannot open it"),
    "an empty chain": (lambda a: put(a.certs / "cert-chain.pem", ""), "PEM"),
    "half a chain": (lambda a: put(
        a.certs / "cert-chain.pem",
        (a.certs / "cert-chain.pem").read_text()[:300]), "PEM"),
    "a chain of noise": (lambda a: put(a.certs / "cert-chain.pem",
                                       "noise " * 100), "PEM"),
    "a chain that is too long": (lambda a: put(
        a.certs / "cert-chain.pem", "x" * (8 << 20)), "larger than|limit"),
    "another key": (lambda a: put(a.certs / "key.pem",
                                  pki.key_pem(pki.new_key())),
                    "is not that of"),
    "a key of noise": (lambda a: put(a.certs / "key.pem", "noise"), "PEM"),
    "a folder for a key": (lambda a: folder_instead(a.certs / "key.pem"),
                           "cannot read it"),
    "a pipe for a key": (lambda a: pipe_instead(a.certs / "key.pem"),
                         "a pipe"),
    "an expired pair": (lambda a: put_pair(a, seconds=-10), "expired at"),
    "a pair of tomorrow": (lambda a: put_pair(a, backdate=-3600),
                           "not valid yet"),
}


@pytest.mark.parametrize("what", FILES)
def test_file_certificates_with(mounted, build, what):
    spoil, text = FILES[what]
    first, since = mounted.serial(), mounted.process.mark()
    spoil(mounted)
    mounted.process.await_line(
        f"file certificate cannot be used name=default: .*({text}).*the one "
        "before stays in use", since=since)
    assert mounted.serial() == first
    assert mounted.metric("istio_agent_num_file_secret_failures_total") > 0
    entry, = (f for f in status_of(mounted)["files"]
              if f["name"] == "default")
    assert entry["served"] and entry["error"] and entry["failing_since"]
    assert "mend the files" in status_lines(build, mounted)
    new = put_pair(mounted)
    until(lambda: mounted.serial() == new, "the mended pair was served",
          alive=mounted.process)
    entry, = (f for f in status_of(mounted)["files"]
              if f["name"] == "default")
    assert "error" not in entry


# ---- the configuration ------------------------------------------------------

def reload(agent, config):
    """Changes keys in its file, and tells it."""
    since = agent.process.mark()
    path = agent.folder / "agent.yaml"
    agent.config.update(config)
    path.write_text(yaml.safe_dump(nested(agent.config)))
    agent.process.signal(signal.SIGHUP)
    return since


def test_a_reload_takes_what_can_change_and_mends_what_failed(
        fake, make_agent):
    agent = make_agent("127.0.0.1:1", fake.root_pem(), env={"CA_ADDR": ""},
                       config={"ca.address": "127.0.0.1:1",
                               "ca.retry_max": "30s"}).start()
    agent.process.await_line("no certificate from 127.0.0.1:1, attempt 3")
    since = reload(agent, {"ca.address": fake.target, "cert.ttl": "1h",
                           "log.level": "debug"})
    agent.process.await_line("configuration read again", since=since)
    agent.await_ready(5)
    assert fake.requests[0][0].validity_duration == 3600


def test_a_reload_is_refused_whole_and_names_what_needs_a_restart(
        fake, make_agent):
    agent = make_agent(fake.target, fake.root_pem()).start().await_ready()
    first = agent.serial()
    since = reload(agent, {"cert.ttl": "2h", "ca.token_file": "/elsewhere",
                           "listen.status": "127.0.0.1:1"})
    agent.process.await_line("ca.token_file, listen.status: changed, which "
                             "needs a restart; the configuration before it",
                             since=since)
    since = reload(agent, {"ca.token_file": str(agent.token_path),
                           "cert.renew_ratio": "seven"})
    agent.process.await_line("cert.renew_ratio: seven is no number.*stays in "
                             "force", since=since)
    ask(agent)
    renewed(agent, first)
    assert fake.requests[-1][0].validity_duration == 86400
