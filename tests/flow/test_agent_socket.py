"""Who has the workload socket, who may connect, and what the agent says of
what it understood."""

import os
import pathlib
import re
import socket
import stat
import subprocess
import sys

import grpc
import pytest
from support import net, pki, rpc
from support.fake_ca import FakeCA, status_of
from support.meshcert import Agent
from support.process import until

ID = "spiffe://cluster.local/ns/shop/sa/client"
NOBODY = 65534


@pytest.fixture
def fake(folder):
    with FakeCA(folder) as one:
        yield one


@pytest.fixture
def make_agent(procs, folder, build, fake):
    def make(name="agent", **more):
        return Agent(procs, folder, build, fake.target, fake.root_pem(),
                     "a.b.c", name=name, namespace="shop", account="client",
                     **more)
    return make


def test_a_dead_socket_is_replaced(make_agent):
    agent = make_agent()
    dead = socket.socket(socket.AF_UNIX)
    dead.bind(str(agent.socket))
    dead.close()
    agent.start().await_ready()
    agent.process.await_line("a dead socket, replaced")
    with agent.channel() as channel:
        assert rpc.fetch_secrets(channel, ["default"])


def test_a_socket_that_is_silent_is_replaced(make_agent):
    agent = make_agent()
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(agent.socket))
        silent.listen()
        agent.start().await_ready()
        agent.process.await_line("a dead socket, replaced")


def test_a_server_that_lets_nobody_in_keeps_its_socket(make_agent):
    agent = make_agent()
    with socket.socket(socket.AF_UNIX) as alive:
        alive.bind(str(agent.socket))
        alive.listen()
        place = agent.socket.stat().st_ino
        agent.start()
        alive.settimeout(10)
        alive.accept()[0].close()
        assert agent.process.wait() == 1
        agent.process.await_line("somebody serves there")
        assert agent.socket.stat().st_ino == place


def test_a_foreign_sds_server_is_left_to_serve(folder, make_agent, fake):
    first = make_agent().start().await_ready()
    # Another agent in the same folder finds the first one's socket.
    second = make_agent(config={"files.allow": [str(folder)]})
    second.name = "second"
    pair, key = fake.root.write_leaf(folder, "own", uris=[ID])
    second.start().await_ready()
    second.process.await_line("an SDS server .* serves there")
    assert status_of(second)["mode"] == "foreign"
    assert len(fake.requests) == 1
    with first.channel() as channel:
        assert rpc.fetch_secrets(channel, ["default"])
    files = second.folder / "var/run/secrets/credential-uds/files-socket"
    name = f"file-cert:{pair}~{key}"
    with rpc.unix_channel(files) as channel:
        found = rpc.fetch_secrets(channel, [name])
        assert found[name].tls_certificate.private_key.inline_bytes == \
            key.read_bytes()
        with pytest.raises(grpc.RpcError):
            rpc.fetch_secrets(channel, ["default"], timeout=2)
    second.stop()
    assert first.socket.exists() and not files.exists()


def test_where_foreign_servers_are_not_wanted_one_is_an_error(make_agent):
    make_agent().start().await_ready()
    second = make_agent(config={"socket.foreign": False})
    second.name = "second"
    second.start()
    assert second.process.wait() == 1
    second.process.await_line("an SDS server serves there already")


def test_a_custom_socket_that_is_absent_is_a_start_error(make_agent):
    agent = make_agent(env={"WORKLOAD_IDENTITY_SOCKET_FILE": "spire.sock"})
    agent.start()
    assert agent.process.wait() == 2
    agent.process.await_line("spire.sock, which is not there")


def test_a_file_that_is_no_socket_is_not_touched(make_agent):
    agent = make_agent()
    agent.socket.write_text("precious")
    agent.start()
    assert agent.process.wait() == 2
    agent.process.await_line("is not a socket")
    assert agent.socket.read_text() == "precious"


TRY = """
import grpc._channel, os, sys
sys.path.insert(0, {tests!r})
from support import rpc
rpc.pool()
os.setgroups([]); os.setgid({uid}); os.setuid({uid})
try:
    with rpc.unix_channel({path!r}) as channel:
        rpc.fetch_secrets(channel, ["default"], timeout=5)
    print("served")
except grpc.RpcError as problem:
    print("refused", problem.code())
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="root can be another user")
@pytest.mark.parametrize("config, words", [
    ({}, "refused"),  # the file's mode
    ({"socket.mode": "0666"}, "refused"),  # the credentials
    ({"socket.mode": "0666", "socket.allow": [str(NOBODY + 1)]}, "refused"),
    ({"socket.mode": "0666", "socket.allow": [str(NOBODY)]}, "served"),
    ({"socket.mode": "0666", "socket.allow": ["any"]}, "served"),
    ({"socket.group": str(NOBODY), "socket.allow": [str(NOBODY)]}, "served"),
])
def test_peers_are_let_in_by_mode_and_by_credentials(make_agent, config,
                                                     words):
    agent = make_agent(config=config)
    agent.folder.chmod(0o755)
    agent.socket.parent.rmdir()  # the agent makes it
    agent.start().await_ready()
    assert stat.S_IMODE(agent.socket.stat().st_mode) == \
        int(config.get("socket.mode", "0660"), 8)
    tests = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    done = subprocess.run(
        [sys.executable, "-c", TRY.format(uid=NOBODY, tests=tests,
                                          path=str(agent.socket))],
        capture_output=True, text=True, timeout=30, cwd="/")
    assert done.stdout.startswith(words), done.stdout + done.stderr
    if words == "refused" and "socket.mode" in config:
        agent.process.await_line(f"uid={NOBODY} may not connect")


def test_it_stops_at_once_and_takes_its_socket_with_it(make_agent):
    agent = make_agent().start().await_ready()
    with agent.channel() as channel, \
            rpc.SecretStream(channel, ["default"]) as stream:
        stream.receive()
        assert agent.stop() == 0
    assert not agent.socket.exists()


def test_mounted_files_need_no_authority(folder, make_agent, fake):
    agent = make_agent()
    creds = agent.folder / "var/run/secrets/workload-spiffe-credentials"
    pair, key = fake.root.write_leaf(creds, "leaf", uris=[ID])
    pair.rename(creds / "cert-chain.pem")
    key.rename(creds / "key.pem")
    (creds / "root-cert.pem").write_text(fake.root_pem())
    agent.start().await_ready()
    assert status_of(agent)["mode"] == "files"
    with agent.channel() as channel:
        found = rpc.fetch_secrets(channel, ["default", "ROOTCA"])
    assert pki.load_all(found["ROOTCA"].validation_context.trusted_ca
                        .inline_bytes) == [fake.root.cert]
    assert fake.requests == []


def test_check_says_what_it_understood_and_print_config_what_holds(
        build, folder):
    env = {"CA_ADDR": "ca.example:15012", "SECRET_TTL": "1h",
           "POD_NAMESPACE": "shop", "SERVICE_ACCOUNT": "client",
           "CA_HEADER_Key": "hunter2"}
    run = [build / "meshcert-agent"]
    done = subprocess.run([*run, "--check"], env=env, cwd=folder,
                          capture_output=True, text=True)
    assert done.returncode == 0
    for words in (ID, "ca.example:15012, its name must be ca.example",
                  "NOT THERE", "SECRET_TTL: cert.ttl = 1h"):
        assert words in done.stdout
    assert "hunter2" not in done.stdout
    done = subprocess.run([*run, "--print-config", "--set", "cert.ttl=2h"],
                          env=env, cwd=folder, capture_output=True, text=True)
    assert "ttl: 2h" in done.stdout
    done = subprocess.run([*run, "--check"],
                          env={**env, "SECRET_TTL": "soon"}, cwd=folder,
                          capture_output=True, text=True)
    assert done.returncode == 2 and "SECRET_TTL" in done.stderr


def test_metrics_have_istio_s_names(make_agent):
    agent = make_agent().start().await_ready()
    for path in ("/metrics", "/stats/prometheus"):
        text = net.get(agent.status + path)[1]
        for name in ("istio_agent_cert_expiry_seconds{resource_name="
                     '"default"}',
                     "istio_agent_num_outgoing_requests",
                     "istio_agent_num_failed_outgoing_requests",
                     "istio_agent_num_outgoing_retries",
                     "istio_agent_startup_duration_seconds",
                     "istio_agent_outgoing_latency"):
            assert name in text
    until(lambda: "meshcert_agent_certificates_total 1" in
          net.get(agent.status + "/metrics")[1], "the certificate was counted")


def own_address():
    """An address of this host that is not loopback. Nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return None
        return probe.getsockname()[0]


@pytest.mark.skipif(own_address() is None, reason="no address but loopback")
def test_the_status_page_is_for_this_host_only(make_agent):
    agent = make_agent()
    port = agent.status_port
    agent.config["listen.status"] = f":{port}"
    agent.start().await_ready()
    for path, elsewhere in (("/status", 403), ("/metrics", 200),
                            ("/healthz/ready", 200)):
        # From one's own address: to the agent that is another host's.
        assert net.get(f"http://{own_address()}:{port}{path}")[0] == elsewhere
        assert net.get(f"http://127.0.0.1:{port}{path}")[0] == 200


def test_connections_are_bounded_and_a_free_place_is_given_again(folder,
                                                                 make_agent):
    files, most = 256, 128
    agent = make_agent()
    limited = folder / "limited"
    limited.write_text(f'#!/bin/sh\nulimit -n {files}\n'
                       f'exec {agent.binary} "$@"\n')
    limited.chmod(0o755)
    agent.binary = limited
    agent.start().await_ready()

    def metric(name):
        text = net.get(agent.status + "/metrics")[1]
        return [line for line in text.splitlines()
                if line.startswith(f"meshcert_agent_{name} ")]

    idle = []
    for _ in range(most):
        idle.append(socket.socket(socket.AF_UNIX))
        idle[-1].connect(str(agent.socket))
    until(lambda: metric("connections") ==
          [f"meshcert_agent_connections {most}"], "all were taken")
    with socket.socket(socket.AF_UNIX) as one_more:
        one_more.settimeout(10)
        one_more.connect(str(agent.socket))
        assert one_more.recv(1) == b""
    assert metric("peers_refused_total") == \
        ["meshcert_agent_peers_refused_total 1"]
    for one in idle:
        one.close()
    until(lambda: metric("connections") == ["meshcert_agent_connections 0"],
          "all ended")
    with agent.channel() as channel:
        assert rpc.fetch_secrets(channel, ["default"])


def test_memory_of_connections_that_are_gone_is_given_back(
        make_agent, own_memory):
    agent = make_agent().start().await_ready()
    rollup = pathlib.Path(f"/proc/{agent.process.pid}/smaps_rollup")
    hello = (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0")
    try:
        rollup.read_text()
    except PermissionError:
        pytest.skip("only root may look into the memory of others")

    def own_kb():
        return int(re.search(r"Anonymous: +(\d+)", rollup.read_text())[1])

    before = own_kb()
    peers = [socket.socket(socket.AF_UNIX) for _ in range(400)]
    for peer in peers:
        peer.connect(str(agent.socket))
        peer.sendall(hello)
    for peer in peers:
        assert peer.recv(1)
    grown = own_kb() - before
    assert grown > 2000
    for peer in peers:
        peer.close()
    # Pages that hold something else besides stay.
    until(lambda: own_kb() - before < grown / 3, "most of it was given back")


def test_a_mounted_pair_without_roots_stays_and_the_ca_gives_the_roots(
        make_agent, fake):
    agent = make_agent()
    certs = agent.folder / "etc/certs"
    pair, key = fake.root.write_leaf(certs, "leaf", uris=[ID])
    pair.rename(certs / "cert-chain.pem")
    key.rename(certs / "key.pem")
    agent.start().await_ready()
    until(lambda: "meshcert_agent_certificates_total 1" in
          net.get(agent.status + "/metrics")[1], "the CA has answered")
    with agent.channel() as channel:
        found = rpc.fetch_secrets(channel, ["default", "ROOTCA"])
    assert found["default"].tls_certificate.private_key.inline_bytes == \
        (certs / "key.pem").read_bytes()
    assert pki.load_all(found["ROOTCA"].validation_context.trusted_ca
                        .inline_bytes) == [fake.root.cert]
