"""meshcert secret, against an SDS server and Envoys that others wrote."""

import base64
import json
import subprocess

import pytest
import yaml
from support import envoy, net, pki
from support.process import until
from support.sds import Server

ME = "spiffe://cluster.local/ns/shop/sa/client"
COLUMNS = ["RESOURCE NAME", "TYPE", "STATUS", "VALID CERT", "SERIAL NUMBER",
           "NOT AFTER", "NOT BEFORE"]


@pytest.fixture
def run(build):
    """meshcert with these arguments."""
    def call(*words, stdin=None):
        return subprocess.run([build / "meshcert", *map(str, words)],
                              input=stdin, capture_output=True, text=True,
                              timeout=60, check=False)
    return call


class Material:
    """A root, an intermediate, a leaf of the intermediate."""

    def __init__(self, **more):
        self.root = pki.TestCA("test root")
        self.middle = pki.TestCA("test middle", parent=self.root)
        self.key = pki.new_key()
        self.leaf = self.middle.issue(self.key, uris=[ME], **more)
        self.chain = pki.cert_pem(self.leaf) + self.middle.chain_pem()
        self.roots = pki.cert_pem(self.root.cert)

    def serve(self, server):
        server.put("default", chain=self.chain, key=pki.key_pem(self.key))
        server.put("ROOTCA", roots=self.roots)


@pytest.fixture
def sds(folder):
    with Server(folder / "sds.sock") as server:
        server.path = folder / "sds.sock"
        yield server


def start_envoy(procs, folder, path):
    """One that needs default and ROOTCA before it is ready."""
    tls = envoy.server_tls([{"exact": ME}])
    config = envoy.bootstrap("envoy", path, folder / "access",
                             ("127.0.0.1", 1), inbound_tls=tls)
    return envoy.Envoy(procs, folder, "envoy", config)


def test_a_socket_shows_every_certificate_in_istioctl_columns(run, sds):
    made = Material()
    made.serve(sds)
    done = run("secret", "--socket", sds.path)
    assert done.returncode == 0, done.stderr
    head, *lines = done.stdout.splitlines()
    at = [head.index(column) for column in COLUMNS]
    assert at == sorted(at)
    assert [line.split()[0] for line in lines] == ["default", "default",
                                                   "ROOTCA"]
    assert f"{made.leaf.serial_number:032x}" in lines[0]
    assert f"{made.middle.cert.serial_number:032x}" in lines[1]
    assert "1/2" in lines[0] and ME in lines[0] and "P-256" in lines[0]
    assert "Cert Chain     ACTIVE     true" in lines[0]
    assert "CA             ACTIVE     true" in lines[2]
    # Not all have one: the column is not there.
    assert "TRUST DOMAIN" not in head


def test_no_output_form_shows_a_private_key(run, sds):
    made = Material()
    made.serve(sds)
    secret = pki.key_pem(made.key).splitlines()[1]
    for form in ("table", "json", "yaml"):
        done = run("secret", "--socket", sds.path, "-o", form)
        assert done.returncode == 0
        assert secret not in done.stdout and "PRIVATE" not in done.stdout
    # The search would find it: it is in what the server sends.
    assert secret in str(sds._secrets["default"])


def test_json_keeps_the_names_of_istioctl_and_yaml_says_the_same(run, sds):
    made = Material()
    made.serve(sds)
    found = json.loads(run("secret", "--socket", sds.path, "-o",
                           "json").stdout)
    cert, ca = found
    assert set(cert) >= {"resource_name", "cert", "source", "destination",
                         "state", "trust_domain", "cert_valid",
                         "serial_number", "not_after", "not_before", "type"}
    assert cert["resource_name"] == "default"
    assert cert["cert_valid"] is True
    assert cert["trust_domain"] == "cluster.local"
    assert int(cert["serial_number"], 16) == made.leaf.serial_number
    assert cert["not_after"] == \
        made.leaf.not_valid_after_utc.strftime("%Y-%m-%dT%H:%M:%SZ")
    assert pki.load_all(cert["cert"]) == [made.leaf, made.middle.cert]
    assert [c["issuer"] for c in cert["certificates"]] == [
        "O=test middle", "O=test root"]
    assert ca["type"] == "CA" and ca["resource_name"] == "ROOTCA"
    text = run("secret", "--socket", sds.path, "-o", "yaml").stdout
    assert yaml.safe_load(text) == found


def test_an_expired_certificate_is_not_valid(run, sds):
    Material(seconds=-60, backdate=3600).serve(sds)
    found = json.loads(run("secret", "--socket", sds.path, "-o",
                           "json").stdout)
    assert [one["cert_valid"] for one in found] == [False, True]


def test_a_name_that_is_not_served_is_said_and_is_a_no(run, sds):
    Material().serve(sds)
    done = run("secret", "--socket", sds.path, "--timeout", "2s",
               "default", "absent")
    assert done.returncode == 1
    assert "absent: the server has sent nothing for this name" in done.stdout
    assert ME in done.stdout


def test_it_is_the_same_no_where_the_server_sees_the_deadline(run, sds):
    Material().serve(sds)
    sds.deadline_passed.add("absent")
    done = run("secret", "--socket", sds.path, "--timeout", "30s",
               "default", "absent")
    assert done.returncode == 1
    assert "absent: the server has sent nothing for this name" in done.stdout
    assert ME in done.stdout


def test_a_socket_that_is_not_there_is_exit_code_3(run, folder):
    done = run("secret", "--socket", folder / "none")
    assert done.returncode == 3
    assert str(folder / "none") in done.stderr


def test_an_envoy_shows_what_it_was_given(run, sds, procs, folder):
    made = Material()
    made.serve(sds)
    proxy = start_envoy(procs, folder, sds.path).await_ready()
    done = run("secret", "--admin", proxy.admin[7:], "-o", "json")
    assert done.returncode == 0, done.stderr
    found = {one["resource_name"]: one for one in json.loads(done.stdout)}
    assert int(found["default"]["serial_number"], 16) == \
        made.leaf.serial_number
    assert found["default"]["state"] == "ACTIVE"
    assert found["default"]["ack"] == "ACK"
    assert len(found["default"]["certificates"]) == 2
    assert found["ROOTCA"]["type"] == "CA"
    assert "PRIVATE" not in done.stdout


def test_an_update_that_envoy_refuses_shows_as_nack(run, sds, procs, folder):
    made = Material()
    made.serve(sds)
    proxy = start_envoy(procs, folder, sds.path).await_ready()
    sds.put("default", chain=made.chain, key=pki.key_pem(pki.new_key()))
    until(lambda: sds.errors, "Envoy refused the wrong key")
    done = run("secret", "--admin", proxy.admin[7:], "default")
    assert "NACK (1 of 2)" in done.stdout
    # What it took before stays in force.
    assert f"{made.leaf.serial_number:032x}" in done.stdout


def test_a_secret_that_envoy_waits_for_is_warming(run, sds, procs, folder):
    made = Material()
    sds.put("ROOTCA", roots=made.roots)
    proxy = start_envoy(procs, folder, sds.path)
    until(lambda: "ROOTCA" in run("secret", "--admin",
                                  proxy.admin[7:]).stdout,
          "the CA has come")
    done = run("secret", "--admin", proxy.admin[7:])
    lines = {line.split()[0]: line for line in done.stdout.splitlines()}
    assert "WARMING" in lines["default"] and "ACTIVE" in lines["ROOTCA"]


def test_a_saved_dump_reads_like_the_live_one(run, sds, procs, folder):
    Material().serve(sds)
    proxy = start_envoy(procs, folder, sds.path).await_ready()
    _, text = proxy.get("/config_dump")
    done = run("secret", "--file", "-", "-o", "json", stdin=text)
    assert done.returncode == 0, done.stderr
    assert {one["resource_name"] for one in json.loads(done.stdout)} == \
        {"ROOTCA", "default"}


def test_an_envoy_without_secrets_says_so(run):
    done = run("secret", "--file", "-", stdin='{"configs": []}')
    assert done.returncode == 1
    assert done.stdout == "No active or warming secrets found.\n"


def test_an_answer_that_is_no_dump_is_named(run):
    with net.Server({"/": "hello"}) as other:
        done = run("secret", "--admin", other.url[7:])
    assert done.returncode == 1
    assert "answered 404: is this Envoy's admin port?" in done.stderr


def test_spiffe_bundles_have_a_row_for_each_trust_domain(run):
    roots = {name: pki.TestCA(name) for name in ("one.test", "two.test")}
    domains = [{"name": name, "trust_bundle": {"inline_bytes":
                base64.b64encode(pki.cert_pem(ca.cert).encode()).decode()}}
               for name, ca in roots.items()]
    dump = {"configs": [{
        "@type": "type.googleapis.com/envoy.admin.v3.SecretsConfigDump",
        "dynamic_active_secrets": [{"name": "ALL", "secret": {
            "name": "ALL", "validation_context": {
                "custom_validator_config": {"typed_config": {
                    "trust_domains": domains}}}}}]}]}
    done = run("secret", "--file", "-", stdin=json.dumps(dump))
    head, *lines = done.stdout.splitlines()
    assert "TRUST DOMAIN" in head and len(lines) == 2
    assert "one.test" in lines[0] and "two.test" in lines[1]
