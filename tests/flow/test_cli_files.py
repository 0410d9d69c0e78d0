"""meshcert inspect, verify, init and dev."""

import base64
import json
import os
import signal
import ssl
import subprocess

import pytest
import yaml
from support import pki, rpc
from support.process import until

ME = "spiffe://cluster.local/ns/shop/sa/web"


@pytest.fixture
def made(folder):
    """root.pem, web.pem (leaf and intermediate), web.key in a folder."""
    root = pki.TestCA("test root")
    middle = pki.TestCA("test middle", parent=root)
    where = folder / "pki"
    where.mkdir()
    (where / "root.pem").write_text(pki.cert_pem(root.cert))
    middle.write_leaf(where, "web", uris=[ME], dns=["web.test"])
    middle.write_leaf(where, "old", uris=[ME], seconds=-60, backdate=3600)
    return where


# ---- inspect ---------------------------------------------------------------

def test_a_file_shows_each_certificate(run, made):
    done = run("inspect", made / "web.pem")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count(": certificate") == 2
    assert f"URI:{ME}" in done.stdout and "DNS:web.test" in done.stdout
    assert "issuer      O=test middle" in done.stdout


def test_of_a_key_only_its_kind_is_shown(run, made):
    done = run("inspect", made / "web.key", "-o", "json")
    assert json.loads(done.stdout)[0]["key"] == "P-256, 256 bits"
    assert (made / "web.key").read_text().splitlines()[1] not in done.stdout


def test_an_expired_certificate_is_marked_and_is_a_no(run, made):
    done = run("inspect", made / "old.pem")
    assert done.returncode == 1 and "EXPIRED" in done.stdout


def test_a_request_shows_its_names(run, folder):
    path = folder / "a.csr"
    good = pki.new_csr(pki.new_key(), uris=[ME])
    path.write_text(good)
    done = run("inspect", path)
    assert done.returncode == 0 and f"URI:{ME}" in done.stdout
    path.write_text(pki.spoiled(good))
    done = run("inspect", path)
    assert done.returncode == 1 and "WHICH HAS NOT SIGNED IT" in done.stdout


def test_a_folder_is_walked_in_order(run, made):
    (made / "notes.txt").write_text("nothing of ours\n")
    done = run("inspect", made, "-o", "json")
    found = [one["where"].rsplit("/", 1)[1] for one in
             json.loads(done.stdout)]
    assert found == ["old.key", "old.pem", "old.pem", "root.pem", "web.key",
                     "web.pem", "web.pem"]


@pytest.mark.parametrize("form", ["yaml", "json"])
def test_a_secret_manifest_is_opened(run, made, folder, form):
    secret = {"apiVersion": "v1", "kind": "Secret",
              "metadata": {"name": "gateway"},
              "data": {"tls.crt": base64.b64encode(
                           (made / "web.pem").read_bytes()).decode(),
                       "tls.key": base64.b64encode(
                           (made / "web.key").read_bytes()).decode()},
              "stringData": {"ca.crt": (made / "root.pem").read_text()}}
    path = folder / f"secret.{form}"
    path.write_text(yaml.safe_dump(secret, sort_keys=False)
                    if form == "yaml" else json.dumps(secret))
    done = run("inspect", path, "-o", "json")
    found = [(one["where"].split(": ", 1)[1], one["what"])
             for one in json.loads(done.stdout)]
    assert found == [("gateway data[tls.crt]", "certificate"),
                     ("gateway data[tls.crt]", "certificate"),
                     ("gateway data[tls.key]", "private key"),
                     ("gateway stringData[ca.crt]", "certificate")]


def test_a_der_file_is_known_without_its_name(run, made, folder):
    cert = pki.load_all((made / "root.pem").read_text())[0]
    path = folder / "root.bin"
    path.write_bytes(ssl.PEM_cert_to_DER_cert(pki.cert_pem(cert)))
    done = run("inspect", path)
    assert done.returncode == 0 and "O=test root" in done.stdout


def test_a_server_shows_the_chain_that_it_presents(run, ours):
    done = run("inspect", ours.target, "-o", "json")
    assert done.returncode == 0, done.stderr
    leaf = json.loads(done.stdout)[0]["certificate"]
    assert "DNS:istiod.istio-system.svc" in leaf["names"]


def test_what_is_nothing_is_said(run, folder):
    path = folder / "x.txt"
    path.write_text("hello\n")
    done = run("inspect", path)
    assert done.returncode == 1 and "neither PEM nor DER" in done.stderr
    assert run("inspect", folder / "none").returncode == 1
    assert run("inspect", "127.0.0.1:1").returncode == 3


# ---- verify ----------------------------------------------------------------

def test_a_good_certificate_is_good_for_its_names_only(run, made):
    ask = ["verify", "--lenient", made / "web.pem", "--root",
           made / "root.pem"]
    done = run(*ask, "--identity", ME, "--host", "web.test", "--purpose",
               "server")
    assert done.returncode == 0, done.stderr
    assert f"good: {ME}" in done.stdout
    for words in (["--identity", ME + "2"], ["--host", "other.test"],
                  ["--identity", "spiffe://other/ns/shop/sa/web"],
                  ["--at", "2020-01-01T00:00:00Z"]):
        done = run(*ask, *words)
        assert done.returncode == 1, words
        assert "not good" in done.stderr


def test_a_missing_intermediate_is_named_and_chain_brings_it(run, made,
                                                             folder):
    leaf, middle = pki.load_all((made / "web.pem").read_text())
    (folder / "leaf.pem").write_text(pki.cert_pem(leaf))
    (folder / "middle.pem").write_text(pki.cert_pem(middle))
    ask = ["verify", "--lenient", folder / "leaf.pem", "--root",
           made / "root.pem"]
    done = run(*ask)
    assert done.returncode == 1 and "O=test middle" in done.stderr
    assert run(*ask, "--chain", folder / "middle.pem").returncode == 0


def test_a_rule_beyond_the_path_refuses_or_warns(run, folder):
    """Here the intermediate has no authority key identifier."""
    root = pki.TestCA("test root")
    middle = pki.TestCA("test middle", parent=root, key_ids=False)
    (folder / "root.pem").write_text(pki.cert_pem(root.cert))
    (folder / "web.pem").write_text(
        pki.cert_pem(middle.issue(pki.new_key(), dns=["web.test"])) +
        middle.chain_pem())
    ask = ["verify", folder / "web.pem", "--root", folder / "root.pem"]
    done = run(*ask)
    assert done.returncode == 1
    assert "rule key-ids: no authority key identifier" in done.stderr
    done = run(*ask, "--lenient")
    assert done.returncode == 0
    assert "warning rule key-ids" in done.stdout


# ---- init, dev -------------------------------------------------------------

def test_init_makes_files_that_the_programs_take(run, build, folder):
    done = run("init", folder / "made", "--trust-domain", "mesh.test")
    assert done.returncode == 0, done.stderr
    for program, name in (("meshcert-ca", "ca"), ("meshcert-agent", "agent")):
        path = folder / f"made/{name}.yaml"
        again = subprocess.run([build / program, "--config", path,
                                "--print-config"], capture_output=True,
                               text=True, check=True).stdout
        assert "mesh.test" in again
        keys = json.loads(subprocess.run(
            [build / program, "--print-keys"], capture_output=True,
            text=True, check=True).stdout)
        text = path.read_text()
        for key in keys:
            assert key["name"].split(".")[-1] + ":" in text
    (folder / "made/ca.yaml").write_text("mine")
    done = run("init", folder / "made")
    assert done.returncode == 1 and "--force" in done.stderr
    assert (folder / "made/ca.yaml").read_text() == "mine"


def test_dev_brings_a_certificate_and_ends_everything(run, build, folder,
                                                      procs):
    where = folder / "d"
    dev = procs.start("dev", [build / "meshcert", "dev", "--dir", where,
                              "--identity", ME, "--ttl", "20s"])
    line = dev.await_line(r"status --data-dir (\S+) --agent (\S+)", 60)
    secrets = rpc.fetch_secrets(rpc.unix_channel(where / "agent.sock"),
                                ["default"])
    chain = secrets["default"].tls_certificate.certificate_chain
    assert pki.uri_of(pki.load_all(chain.inline_bytes)[0]) == ME
    done = run("status", "--data-dir", line.group(1), "--agent",
               line.group(2))
    assert done.returncode == 0, done.stdout
    assert f"{ME} is served" in done.stdout
    until(lambda: (where / "certs/key.pem").exists(), "the files are there")
    found = json.loads(run("secret", "--agent", line.group(2), "default",
                           "-o", "json").stdout)
    assert found[0]["source"].startswith("ca 127.0.0.1:")
    pid = json.loads((where / "ca/addresses.json").read_text())["pid"]
    dev.signal(signal.SIGINT)
    assert dev.wait() == 0
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_dev_says_which_log_tells_why_it_cannot(run, folder):
    done = run("dev", "--dir", folder / ("x" * 80))
    assert done.returncode == 1 and "too long" in done.stderr
