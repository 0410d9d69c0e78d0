"""Our own programs, started as a user would: a configuration file, an
environment, a folder."""

import contextlib
import json
import os
import pathlib
import shutil
import sqlite3
import tempfile

import yaml

from . import net, pki, process, rpc, tokens

SERVING_NAME = "istiod.istio-system.svc"


def nested(flat):
    """{"listen.grpc": x} as the mappings of a YAML file."""
    tree = {}
    for name, value in flat.items():
        *path, last = name.split(".")
        at = tree
        for word in path:
            at = at.setdefault(word, {})
        at[last] = value
    return tree



def is_sanitized(build):
    return "address" in build.resolve().name


class Authority:
    """A running meshcert-ca. config: keys of its table, dotted. It can be
    stopped and started again on the same ports and data."""

    def __init__(self, procs, folder, build, config=None, issuer=None,
                 name="ca", uid=None, env=None):
        self.procs, self.name, self.uid = procs, name, uid
        self.env = None if env is None else {**os.environ, **env}
        self.folder = pathlib.Path(folder) / name
        self.folder.mkdir(exist_ok=True)
        self.data = self.folder / "data"
        self.binary = pathlib.Path(build) / "meshcert-ca"
        self.target = self.http = None
        self.config = {"data_dir": str(self.data),
                       "listen.grpc": "127.0.0.1:0",
                       "listen.http": "127.0.0.1:0"}
        if issuer is not None:
            self.config["auth.jwt"] = [self.jwt_row(issuer)]
        self.config.update(config or {})
        self.config_path = self.folder / "ca.yaml"
        self.process = None
        if uid is not None:
            os.chown(self.folder, uid, uid)

    def jwt_row(self, issuer):
        """A row of auth.jwt that trusts a tokens.Issuer."""
        jwks = self.folder / f"jwks-{len(list(self.folder.glob('jwks*')))}"
        jwks.write_text(issuer.jwks())
        return {"issuer": issuer.issuer, "jwks_file": str(jwks)}

    def start(self, wait=True):
        self.config_path.write_text(yaml.safe_dump(nested(self.config)))
        self.process = self.procs.start(
            self.name, [self.binary, "--config", self.config_path],
            env=self.env, uid=self.uid)
        if wait:
            self.await_ready()
        return self

    def await_ready(self, seconds=20):
        """Also learns the ports that the system chose, and keeps them for
        the next start."""
        addresses = self.data / "addresses.json"
        process.until(addresses.exists, "addresses.json was written",
                      seconds, self.process)
        found = json.loads(addresses.read_text())
        self.target, self.http = found["grpc"], "http://" + found["http"]
        self.config["listen.grpc"] = found["grpc"]
        self.config["listen.http"] = found["http"]
        net.await_ok(self.http + "/ready", seconds, self.process)

    def stop(self):
        return self.process.end()

    def roles(self):
        return process.roles_of(self.process.pid)

    def root_pem(self):
        """What its callers trust."""
        return (self.data / "public/root-cert.pem").read_text()

    def channel(self, **more):
        return rpc.tls_channel(self.target, self.root_pem(), SERVING_NAME,
                               **more)

    def metrics(self):
        return net.get(self.http + "/metrics")[1]

    def admin(self):
        """A channel to the admin socket."""
        return rpc.unix_channel(self.data / "admin.sock")

    def status(self):
        with self.admin() as channel:
            return rpc.status(channel)


def with_few_files(program, folder, most):
    """The program, as a script that lets it open so many files only."""
    script = pathlib.Path(folder) / f"{pathlib.Path(program).name}-few"
    script.write_text(f'#!/bin/sh\nulimit -n {most}\n'
                      f'exec {program} "$@"\n')
    script.chmod(0o755)
    return script


@contextlib.contextmanager
def shared_authority(build, *algorithms, config=None):
    """A running authority for the tests of one class or module: for those
    that change nothing. It trusts the tokens of its .issuer."""
    top = pathlib.Path(tempfile.mkdtemp(prefix="meshcert-"))
    top.chmod(0o755)  # roles drop to users of their own
    issuer = tokens.Issuer(*algorithms)
    with process.Processes(top) as every:
        one = Authority(every, top, build, config, issuer=issuer)
        one.issuer = issuer
        yield one.start()
    shutil.rmtree(top, ignore_errors=True)


def record_of(one, query):
    """Rows of the record."""
    # Not in its folder: the authority watches that.
    copy = one.folder.parent / "copy"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(one.data / "store", copy)
    base = sqlite3.connect(copy / "record.db")
    try:
        return base.execute(query).fetchall()
    finally:
        base.close()


def record_count(one):
    """How many certificates are on record, those begun included."""
    return record_of(one, "SELECT count(*) FROM cert")[0][0]


def audit_lines(one):
    """The events of the audit log."""
    return [json.loads(line) for line in
            (one.data / "audit/audit.jsonl").read_text().splitlines()]


def check_books(one, serial, refused, late):
    """At the end of many bad requests, the last good one having got `serial`:
    record and audit log have the same certificates, each serial once, and the
    log has refusals of these request ids only, the late ones (of the authority
    itself) among them."""
    process.until(lambda: any(int(line.get("serial", "0"), 16) == serial
                              for line in audit_lines(one)),
                  "the last good one is in the audit log", alive=one.process)
    lines = audit_lines(one)
    issued = [line["serial"] for line in lines if line["event"] == "issued"]
    assert len(set(issued)) == len(issued)
    assert sorted(issued) == sorted(
        row[0].lower() for row in
        record_of(one, "SELECT hex(serial) FROM cert"))
    found = {line["request_id"] for line in lines
             if line["event"] == "refused"}
    assert set(late) <= found <= set(refused) | set(late)


class Agent:
    """A running meshcert-agent in a folder laid out as Istio's image is."""

    def __init__(self, procs, folder, build, ca_target, root_pem, token=None,
                 name="agent", namespace="default", account="default",
                 env=None, config=None, uid=None):
        self.procs, self.name, self.uid = procs, name, uid
        self.folder = pathlib.Path(folder) / name
        self.binary = pathlib.Path(build) / "meshcert-agent"
        self.status_port = net.free_port()
        self.status = f"http://127.0.0.1:{self.status_port}"
        secrets = self.folder / "var/run/secrets"
        self.socket = secrets / "workload-spiffe-uds/socket"
        self.token_path = secrets / "tokens/istio-token"
        self.root_path = secrets / "istio/root-cert.pem"
        for path in (self.token_path, self.root_path, self.socket):
            path.parent.mkdir(parents=True, exist_ok=True)
        self.root_path.write_text(root_pem)
        if token is not None:
            self.token_path.write_text(token)
        self.env = {"PATH": os.environ["PATH"], "CA_ADDR": ca_target,
                    "POD_NAME": name, "POD_NAMESPACE": namespace,
                    "SERVICE_ACCOUNT": account, "INSTANCE_IP": "127.0.0.1",
                    "TRUST_DOMAIN": "cluster.local",
                    "ISTIO_META_CLUSTER_ID": "Kubernetes", **(env or {})}
        self.config = {"listen.status": f"127.0.0.1:{self.status_port}",
                       **(config or {})}
        self.process = None

    def command(self):
        """What starts it, in its folder and with its environment."""
        path = self.folder / "agent.yaml"
        path.write_text(yaml.safe_dump(nested(self.config)))
        return [self.binary, "--config", path]

    def start(self):
        argv = self.command()
        if self.uid is not None:
            for entry in (self.folder, *self.folder.rglob("*")):
                os.chown(entry, self.uid, self.uid)
        self.process = self.procs.start(self.name, argv, env=self.env,
                                        cwd=self.folder, uid=self.uid)
        return self

    def await_ready(self, seconds=20):
        net.await_ok(self.status + "/healthz/ready", seconds, self.process)
        return self

    def stop(self):
        return self.process.end()

    def channel(self):
        return rpc.unix_channel(self.socket)

    def secret(self, name="default"):
        """What it serves over SDS."""
        with self.channel() as channel:
            return rpc.fetch_secrets(channel, [name])[name]

    def leaf(self):
        return pki.load_all(self.secret().tls_certificate.certificate_chain
                            .inline_bytes)[0]

    def serial(self):
        return self.leaf().serial_number

    def metric(self, name, **labels):
        return net.metric(net.get(self.status + "/metrics")[1], name,
                          **labels)
