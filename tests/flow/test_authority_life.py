"""The life of the processes: started, told to reload, replaced by a newer
program, stopped; with or without a service manager."""

import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import threading

import grpc
import pytest
import yaml
from support import net, pki, rpc
from support.meshcert import Authority, nested
from support.process import until

CODE = grpc.StatusCode


def request(one, **more):
    with one.channel() as channel:
        return rpc.create_certificate(
            channel, pki.new_csr(pki.new_key()),
            token=one.issuer.token("shop", "cart"), **more)


def status_of(pid):
    """/proc/PID/status as a mapping."""
    text = pathlib.Path(f"/proc/{pid}/status").read_text()
    return dict(line.split(":\t", 1) for line in text.splitlines()
                if ":\t" in line)


def every_role(one):
    return [pid for pids in one.roles().values() for pid in pids]


# -- what each role is left with


def test_no_role_keeps_a_power_of_root(ours):
    if os.getuid() != 0:
        pytest.skip("only root has powers to give up")
    for role, pids in ours.roles().items():
        for pid in pids:
            found = status_of(pid)
            assert set(found["Uid"].split()) != {"0"}, role
            assert "0" not in found["Uid"].split(), role
            assert "0" not in found["Gid"].split(), role
            assert found["Groups"].split() in ([], [found["Gid"].split()[0]])
            for name in ("CapEff", "CapPrm", "CapInh", "CapAmb"):
                assert int(found[name], 16) == 0, (role, name)
            assert found["NoNewPrivs"] == "1", role


def test_no_role_leaves_a_core_file_or_can_be_traced_by_its_user(ours):
    for pid in every_role(ours):
        limits = pathlib.Path(f"/proc/{pid}/limits").read_text()
        (core,) = [line for line in limits.splitlines()
                   if line.startswith("Max core file size")]
        assert core.split()[4:6] == ["0", "0"]


def links_of(pid):
    folder = pathlib.Path(f"/proc/{pid}/fd")
    found = []
    for entry in folder.iterdir():
        try:
            found.append(os.readlink(entry))
        except OSError:
            continue
    return found


def test_only_the_authority_has_the_record_open(ours):
    request(ours)
    for role, pids in ours.roles().items():
        opened = [link for pid in pids for link in links_of(pid)]
        assert any("record.db" in link for link in opened) == \
            (role == "authority"), role
        assert not any("/issuer/" in link for link in opened), role


def inodes_of_listeners():
    text = "".join(pathlib.Path(f"/proc/net/{name}").read_text()
                   for name in ("tcp", "tcp6"))
    return {f"socket:[{line.split()[9]}]" for line in text.splitlines()
            if len(line.split()) > 9 and line.split()[3] == "0A"}


def test_signer_and_authority_have_no_socket_of_the_network(ours):
    listening = inodes_of_listeners()
    has = {role: any(link in listening for pid in pids
                     for link in links_of(pid))
           for role, pids in ours.roles().items()}
    assert has == {"front": True, "public": True, "authority": False,
                   "signer": False}


def test_every_role_ends_with_a_supervisor_that_is_killed(ours):
    roles = every_role(ours)
    ours.process.signal(signal.SIGKILL)
    ours.process.wait()
    until(lambda: not [pid for pid in roles if
                       os.path.exists(f"/proc/{pid}/exe")],
          "all roles had ended")


def test_a_front_that_dies_takes_only_its_own_connections(make_ours):
    one = make_ours({"fronts": 2}).start()
    channels = [one.channel() for _ in range(12)]
    try:
        for channel in channels:
            assert rpc.health(channel) == "SERVING"
        os.kill(one.roles()["front"][0], signal.SIGKILL)

        def usable(channel):
            # Without waiting for a new connection: the old one, or nothing.
            try:
                return rpc.health(channel) == "SERVING"
            except grpc.RpcError:
                return False
        assert any(usable(channel) for channel in channels)
        until(lambda: all(usable(c) for c in channels), "all were back",
              alive=one.process)
        one.await_ready()
    finally:
        for channel in channels:
            channel.close()


# -- reload


def write(one, change):
    """Changes these keys in the file and asks for a reload."""
    kept = {name: value for name, value in one.config.items()
            if not name.startswith("listen.")}
    tree = nested({**kept, **change})
    tree["listen"] = yaml.safe_load(one.config_path.read_text())["listen"]
    one.config_path.write_text(yaml.safe_dump(tree))
    mark = one.process.mark()
    one.process.signal(signal.SIGHUP)
    return mark


def test_log_level_and_limits_are_read_again(make_ours):
    one = make_ours({"log.level": "warn"}).start()
    assert request(one, seconds=7200)
    write(one, {"log.level": "info", "cert.max_ttl": "1h",
                "cert.default_ttl": "30m"})

    def refused():
        try:
            request(one, seconds=7200)
        except grpc.RpcError as why:
            return why.details()
        return None
    assert "max allowed TTL 1h0m0s" in until(refused, "the new maximum")
    leaf = pki.load_all(request(one, seconds=0)[0])[0]
    life = leaf.not_valid_after_utc - leaf.not_valid_before_utc
    assert life.total_seconds() == 1800 + 120
    # Roles that start later know it too.
    (old,) = one.roles()["authority"]
    os.kill(old, signal.SIGKILL)
    until(lambda: one.roles().get("authority", [old]) != [old], "restart")
    until(lambda: "max allowed" in (refused() or ""),
          "it refused by the new maximum", alive=one.process)


@pytest.mark.parametrize("change", [
    {"trust_domain": "other.example"}, {"cert.max_ttl": "nonsense"},
    {"no.such.key": 1}], ids=str)
def test_a_reload_that_cannot_be_is_refused_whole(make_ours, change):
    one = make_ours().start()
    pids = one.roles()
    mark = write(one, {"cert.max_ttl": "25h", **change})
    (name,) = change
    one.process.await_line(
        f"{name}.*the configuration before it stays in force", since=mark)
    assert request(one, seconds=7200000)
    assert one.roles() == pids


# -- upgrade


class Knocker:
    """New connections without end, one request on each."""

    def __init__(self, one):
        self.answers, self.failures = 0, []
        self._one, self._stop = one, threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self):
        host, port = self._one.target.rsplit(":", 1)
        while not self._stop.is_set():
            try:
                with socket.create_connection((host, int(port)), 10):
                    self.answers += 1
            except OSError as why:
                self.failures.append(why)
            self._stop.wait(0.002)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join(20)


def own_copy(one):
    """Its own copy of the programs, so that they can be replaced."""
    folder = one.folder / "bin"
    folder.mkdir()
    for name in ("meshcert-ca", "meshcert-fetch"):
        target = folder / name
        target.write_bytes((one.binary.parent / name).read_bytes())
        target.chmod(0o755)
    one.binary = folder / "meshcert-ca"
    return one.binary


@pytest.mark.parametrize("http", ["127.0.0.1:0", ""],
                         ids=["all listeners", "no http port"])
def test_an_upgrade_refuses_no_connection(make_ours, http):
    one = make_ours({"listen.http": http})
    binary = own_copy(one)
    if http:
        one.start()
    else:
        one.start(wait=False)
        one.process.await_line("supervisor.ready")
        one.target = json.loads((one.data / "addresses.json").read_text()
                                )["grpc"]
    pid, old = one.process.pid, every_role(one)
    with Knocker(one) as knocker:
        until(lambda: knocker.answers > 5, "some connections were made")
        fresh = binary.with_suffix(".new")
        fresh.write_bytes(binary.read_bytes())
        fresh.chmod(0o755)
        fresh.rename(binary)
        mark = one.process.mark()
        one.process.signal(signal.SIGUSR2)
        one.process.await_line("supervisor.ready", since=mark)
        before = knocker.answers
        until(lambda: knocker.answers > before + 5, "and some more")
    assert knocker.failures == []
    assert one.process.pid == pid and one.process.poll() is None
    assert not set(old) & set(every_role(one))
    assert len(request(one)) == 2


def test_requests_go_on_through_an_upgrade_when_asked_again(ours):
    codes, answers, stop = set(), [], threading.Event()

    def ask():
        while not stop.is_set():
            try:
                answers.append(request(ours))
            except grpc.RpcError as why:
                codes.add(why.code())
    client = threading.Thread(target=ask)
    client.start()
    try:
        until(lambda: len(answers) > 5, "answers")
        mark = ours.process.mark()
        ours.process.signal(signal.SIGUSR2)
        ours.process.await_line("supervisor.ready", since=mark)
        now = len(answers)
        until(lambda: len(answers) > now + 5, "answers after it")
    finally:
        stop.set()
        client.join(20)
    assert codes <= {CODE.UNAVAILABLE}


def test_a_program_that_cannot_run_does_not_replace_one_that_does(make_ours):
    one = make_ours()
    binary = own_copy(one)
    one.start()
    pids = one.roles()
    good = one.config_path.read_text()
    one.config_path.write_text("no: sense\n")
    mark = one.process.mark()
    one.process.signal(signal.SIGUSR2)
    one.process.await_line("this one goes on", since=mark)
    one.config_path.write_text(good)
    binary.unlink()
    mark = one.process.mark()
    one.process.signal(signal.SIGUSR2)
    one.process.await_line("goes on", since=mark)
    assert one.roles() == pids
    assert len(request(one)) == 2


# -- the service manager


class Manager:
    """The socket that sd_notify speaks to."""

    def __init__(self, folder):
        self.path = str(folder / "notify")
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(self.path)
        self._socket.settimeout(20)

    def next(self):
        return self._socket.recv(4096).decode()


def test_a_service_manager_is_told_of_ready_reload_and_stop(
        make_ours, folder, monkeypatch):
    manager = Manager(folder)
    monkeypatch.setenv("NOTIFY_SOCKET", manager.path)
    one = make_ours().start()
    assert manager.next() == "READY=1"
    assert len(request(one)) == 2
    one.process.signal(signal.SIGHUP)
    assert [manager.next(), manager.next()] == ["RELOADING=1", "READY=1"]
    one.process.signal(signal.SIGUSR2)
    assert [manager.next(), manager.next()] == ["RELOADING=1", "READY=1"]
    one.process.signal(signal.SIGTERM)
    assert manager.next() == "STOPPING=1"
    assert one.process.wait() == 0


def test_sockets_of_the_service_manager_are_used(make_ours, procs):
    """As with systemd's socket units: LISTEN_FDS, by name."""
    one = make_ours()
    one.config.update({"listen.grpc": "127.0.0.1:1",
                       "listen.http": "127.0.0.1:1"})
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
    grpc_port, http_port = (s.getsockname()[1] for s in sockets)
    one.config_path.write_text(yaml.safe_dump(nested(one.config)))
    # What systemd does between fork and exec.
    code = (f"import os; os.dup2({sockets[0].fileno()}, 3 + 10);"
            f"os.dup2({sockets[1].fileno()}, 4 + 10);"
            f"os.dup2(13, 4); os.dup2(14, 3);"
            f"os.environ.update(LISTEN_FDS='2', LISTEN_FDNAMES='http:grpc',"
            f"LISTEN_PID=str(os.getpid()));"
            f"os.execv({str(one.binary)!r}, ['meshcert-ca', '--config',"
            f"{str(one.config_path)!r}])")
    one.process = procs.start("ca", [sys.executable, "-c", code],
                              pass_fds=[s.fileno() for s in sockets])
    # Asked before anything serves: the manager's socket holds it.
    one.target, one.http = (f"127.0.0.1:{grpc_port}",
                            f"http://127.0.0.1:{http_port}")
    for s in sockets:
        s.close()
    net.await_ok(one.http + "/ready", alive=one.process)
    assert len(request(one)) == 2


# -- addresses and numbers


def test_it_listens_on_ipv4_and_ipv6(make_ours):
    if not socket.has_ipv6 or not os.path.exists("/proc/net/if_inet6"):
        pytest.skip("no IPv6 here")
    one = make_ours({"listen.grpc": ":0", "listen.http": ":0"})
    one.start(wait=False)
    until((one.data / "addresses.json").exists, "it listened",
          alive=one.process)
    found = json.loads((one.data / "addresses.json").read_text())
    grpc_port, http_port = (found[name].rsplit(":", 1)[1]
                            for name in ("grpc", "http"))
    for host in ("127.0.0.1", "[::1]"):
        one.target = f"{host}:{grpc_port}"
        net.await_ok(f"http://{host}:{http_port}/ready", alive=one.process)
        assert len(request(one)) == 2


def test_metrics_are_the_sum_of_all_fronts(make_ours):
    one = make_ours({"fronts": 3}).start()
    until(lambda: net.metric(one.metrics(), "meshcert_ca_fronts_ready") == 3,
          "three fronts served")
    for _ in range(40):
        request(one)
    text = one.metrics()
    assert net.metric(text, "citadel_server_csr_count") == 40
    assert net.metric(text, "meshcert_ca_authenticated_total",
                      method="jwt") == 40
    assert net.metric(text, "citadel_server_success_cert_issuance_count") \
        == 40
    for stage in ("request", "authenticate", "csr", "record", "sign"):
        assert net.metric(text, f"meshcert_ca_{stage}_seconds_count") >= 1
    # Numbers outlive the role that counted them.
    for pid in one.roles()["front"]:
        os.kill(pid, signal.SIGKILL)
    assert net.metric(one.metrics(), "citadel_server_csr_count") == 40


def test_a_token_seen_before_is_answered_from_memory_and_counted(make_ours):
    one = make_ours({"fronts": 1}).start()
    token = one.issuer.token("shop", "cart")
    for seen in (0, 1, 2):
        with one.channel() as channel:
            rpc.create_certificate(channel, pki.new_csr(pki.new_key()),
                                   token=token)
        assert net.metric(one.metrics(),
                          "meshcert_ca_token_cache_hits_total") == seen


def test_it_is_not_ready_while_nothing_can_be_issued(make_ours):
    one = make_ours()
    empty = one.folder / "cacerts"
    empty.mkdir()
    one.config.update({"issuer.kind": "files", "issuer.dir": str(empty)})
    one.start(wait=False)
    until((one.data / "addresses.json").exists, "it listened",
          alive=one.process)
    http = "http://" + json.loads(
        (one.data / "addresses.json").read_text())["http"]
    net.await_ok(http + "/healthz", alive=one.process)
    assert net.get(http + "/ready")[0] == 503
    pki.TestCA("late").write_cacerts(empty)
    net.await_ok(http + "/ready", alive=one.process)


def test_two_authorities_cannot_share_a_data_folder(make_ours, procs):
    one = make_ours().start()
    second = Authority(procs, one.folder.parent, one.binary.parent,
                       {**one.config, "listen.grpc": "127.0.0.1:0",
                        "listen.http": "127.0.0.1:0",
                        "listen.admin": str(one.folder / "second.sock")},
                       name="second")
    second.start(wait=False)
    second.process.await_line("authority.* (in use|open|lock|busy)")
    assert len(request(one)) == 2


@pytest.mark.parametrize("arguments,code", [
    (["--check", "--config", "/no/such/file"], 2),
    (["--check", "--set", "cert.max_ttl=-1s"], 2), (["--nonsense"], 2),
    (["--check"], 0), (["--version"], 0), (["--help"], 0)], ids=str)
def test_the_exit_code_says_whether_a_configuration_is_good(build, arguments,
                                                            code):
    done = subprocess.run([build / "meshcert-ca", *arguments],
                          capture_output=True, timeout=20)
    assert done.returncode == code
