"""The load tools, for a moment: Go's gRPC and TLS against our programs."""

import json
import subprocess

import pytest
from support.meshcert import Agent


def run(command):
    done = subprocess.run([str(word) for word in command],
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, check=False,
                          timeout=120)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("more", [
    [], ["-new-conn"], ["-new-conn", "-clients", "20"], ["-rate", "500"],
    ["-csr-key", "rsa2048", "-pool", "4"]], ids=[
        "long-lived", "new-connections", "new-callers", "open-loop", "rsa"])
def test_the_authority_answers_each_of_many_requests(folders, folder, ours,
                                                     more):
    token, root = folder / "token", folder / "root.pem"
    token.write_text(ours.issuer.token("default", "default"))
    root.write_text(ours.root_pem())
    figures = run([folders["tools"] / "createcert", "-addr", ours.target,
                   "-ca", root, "-token", token, "-d", "2s", "-warmup",
                   "100ms", "-verify-every", "1", *more])
    assert figures["certs"] > 100
    assert (figures["errors"], figures["bad"]) == (0, 0)


def test_the_agent_answers_each_of_many_fetches(procs, folders, folder,
                                                build, ours):
    agent = Agent(procs, folder, build, ours.target, ours.root_pem(),
                  ours.issuer.token()).start().await_ready()
    figures = run([folders["tools"] / "sdsload", "-mode", "fetch",
                   "-socket", agent.socket, "-d", "2s"])
    assert figures["fetches"] > 100
    assert figures["errors"] == 0


def test_each_of_many_streams_gets_a_renewed_certificate(
        procs, folders, folder, build, ours):
    agent = Agent(procs, folder, build, ours.target, ours.root_pem(),
                  ours.issuer.token(), env={"SECRET_TTL": "4s"},
                  config={"cert.renew_floor": "100ms"}).start().await_ready()
    figures = run([folders["tools"] / "streams", "-socket", agent.socket,
                   "-op", "hold", "-api", "sds", "-n", "100", "-settle",
                   "100ms", "-verify-all", "-trigger", "true", "-changed",
                   "svid", "-trigger-count", "1", "-json", "-"])
    assert (figures["ready"]["live"], figures["errors"]) == (100, {})
    assert [row["updated"] for row in figures["triggers"]] == [100]
