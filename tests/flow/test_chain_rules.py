"""Chains that others made and that break a rule: refused, or taken with a
warning where the configuration says so for that rule; the text names the
certificate, the rule and what was found."""

import subprocess

import grpc
import pytest
from support import net, pki, rpc
from support.fake_ca import FakeCA
from support.meshcert import SERVING_NAME, Agent
from support.process import until

ID = "spiffe://cluster.local/ns/shop/sa/client"
FOUND = "rule key-ids: no authority key identifier"


@pytest.fixture
def odd():
    """A CA below a root, without authority key identifier."""
    return pki.TestCA("odd", parent=pki.TestCA("odd root"), key_ids=False)


# -- the agent, and what a CA sends it


@pytest.fixture
def make_agent(procs, folder, build):
    def make(fake, *warn):
        return Agent(procs, folder, build, fake.target, fake.root_pem(),
                     "a.b.c", namespace="shop", account="client",
                     config={"chain.warn": list(warn)} if warn else {}).start()
    return make


def answers_by(odd):
    def answer(fake, request, context):
        leaf = FakeCA.good(fake, request, context, issuer=odd)[0]
        return [leaf, odd.chain_pem(), pki.cert_pem(odd.root().cert)]
    return answer


def warned(agent, rule):
    return net.metric(net.get(agent.status + "/metrics")[1],
                      "meshcert_agent_chain_warnings_total", rule=rule)


def test_an_answer_that_breaks_a_rule_is_refused(folder, odd, make_agent):
    with FakeCA(folder, answers_by(odd)) as fake:
        agent = make_agent(fake, "serial", "criticality")
        agent.process.await_line(
            rf"no certificate from .*certificate 1 \(O=odd\): {FOUND}")
        assert not warned(agent, "key-ids")


def test_or_taken_with_a_warning_that_is_counted(folder, odd, make_agent):
    with FakeCA(folder, answers_by(odd)) as fake:
        agent = make_agent(fake, "key-ids").await_ready()
        agent.process.await_line(
            rf"chain.warn: certificate 1 \(O=odd\): {FOUND}")
        assert warned(agent, "key-ids") == 1
        assert not warned(agent, "serial")


def test_so_is_the_chain_of_the_authoritys_port(folder, odd, make_agent):
    with FakeCA(folder, serving=odd) as fake:
        agent = make_agent(fake)
        agent.process.await_line(
            rf"no certificate from .*certificate 1 \(O=odd\): {FOUND}")
        agent.process.end()
        agent = make_agent(fake, "key-ids").await_ready()
        agent.process.await_line(
            rf"chain.warn: {fake.target}: certificate 1 \(O=odd\): {FOUND}")
        assert warned(agent, "key-ids") == 1


# -- the authority, plugged in, and callers below it


def plug(one, ca, *warn):
    folder = ca.write_cacerts(one.folder / "cacerts")
    one.config.update({"issuer.kind": "files", "issuer.dir": str(folder)})
    if warn:
        one.config["chain.warn"] = list(warn)
    return one


def ask(one, root, **more):
    with rpc.tls_channel(one.target, pki.cert_pem(root.cert), SERVING_NAME,
                         **more) as channel:
        return rpc.create_certificate(
            channel, pki.new_csr(pki.new_key()),
            token=None if more else one.issuer.token("shop", "cart"))


def test_a_plugged_in_set_that_breaks_a_rule_is_refused(make_ours, odd):
    one = plug(make_ours(), odd, "serial")
    one.start(wait=False)
    one.process.await_line(
        rf"ca-cert.pem would be refused: certificate 1 \(O=odd\): {FOUND}")


def test_or_used_and_its_callers_renew(make_ours, odd):
    one = plug(make_ours(), odd, "key-ids").start()
    one.process.await_line(
        rf"chain.warn: certificate 1 \(O=odd\): {FOUND}")
    key = pki.new_key()
    cert = odd.issue(key, uris=[ID])
    chain = ask(one, odd.root(), cert=pki.cert_pem(cert) + odd.chain_pem(),
                key=pki.key_pem(key))
    assert pki.uri_of(pki.load_all(chain[0])[0]) == ID
    until(lambda: net.metric(one.metrics(),
                             "meshcert_ca_chain_warnings_total",
                             rule="key-ids") == 2,
          "the set and the caller were counted", alive=one.process)


def test_what_refuses_by_itself_still_does(make_ours):
    """A caller whose own certificate has another broken rule."""
    root = pki.TestCA("good root")
    one = plug(make_ours(), root, "key-ids", "serial").start()
    key = pki.new_key()
    cert = root.issue(key, uris=[ID], dns=["a_b"])
    with pytest.raises(grpc.RpcError):
        ask(one, root, cert=pki.cert_pem(cert), key=pki.key_pem(key))
    one.process.await_line("rule dns-charset")
    assert ask(one, root)


# -- what may be said in a configuration


@pytest.mark.parametrize("program,extra", [
    ("meshcert-ca", "issuer:\n  kind: files\n"), ("meshcert-agent", "")])
@pytest.mark.parametrize("rule,says", [
    ("key-ids, dns-charset", None),
    ("key-size", "the rule key-size cannot be a warning"),
    ("name-constraints", "the rule name-constraints cannot be a warning"),
    ("validity", 'no rule "validity"; key-ids, criticality, leaf-not-ca')])
def test_check_knows_the_rules(build, folder, program, extra, rule, says):
    path = folder / "x.yaml"
    path.write_text(f"{extra}chain:\n  warn: [{rule}]\n")
    done = subprocess.run([build / program, "--config", path, "--check"],
                          capture_output=True, text=True, timeout=30,
                          check=False)
    if says is None:
        assert "chain.warn" not in done.stderr
    else:
        assert done.returncode != 0 and f"chain.warn: {says}" in done.stderr


def test_what_an_authority_makes_itself_is_always_strict(build, folder):
    path = folder / "x.yaml"
    path.write_text("chain:\n  warn: [serial]\n")
    done = subprocess.run([build / "meshcert-ca", "--config", path,
                           "--check"], capture_output=True, text=True,
                          timeout=30, check=False)
    assert done.returncode != 0
    assert "chain.warn is for issuer.kind: files" in done.stderr


# -- meshcert verify


def test_verify_warns_of_one_rule_at_a_time(build, folder, odd):
    (folder / "root.pem").write_text(pki.cert_pem(odd.root().cert))
    (folder / "web.pem").write_text(pki.cert_pem(odd.issue(
        pki.new_key(), dns=["web_1.test"])) + odd.chain_pem())

    def verify(*words):
        return subprocess.run(
            [build / "meshcert", "verify", folder / "web.pem", "--root",
             folder / "root.pem", *words], capture_output=True, text=True,
            timeout=30, check=False)

    done = verify("--warn", "key-ids")
    assert done.returncode == 1
    assert 'certificate 0' in done.stderr and "rule dns-charset: the DNS " \
        'name "web_1.test"' in done.stderr
    done = verify("--warn", "key-ids,dns-charset")
    assert done.returncode == 0
    assert "warning rule key-ids" in done.stdout
    assert "warning rule dns-charset" in done.stdout
    assert FOUND in done.stdout
    done = verify("--warn", "sig-alg")
    assert done.returncode == 2
    assert "--warn: the rule sig-alg cannot be a warning" in done.stderr
