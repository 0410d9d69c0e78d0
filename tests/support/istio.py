"""Istio's own CA and agent, as tests/peer/build made them."""

import json
import os
import pathlib
import shutil

from . import net, pki, rpc, tokens
from .process import until

FAKE_ENVOY = "#!/bin/sh\nexec sleep 1000000\n"
SERVING_NAME = "istiod.istio-system.svc"


def folder_of_build():
    return pathlib.Path(os.environ["MESHCERT_PEERS_ISTIO"])


class IstioCA:
    """Istio's CA server code behind a small main of ours (ca-harness). It
    takes client certificates, and tokens of `issuer` (RS256: its only one
    with a JWKS URL)."""

    def __init__(self, procs, folder, ttl="24h", cacerts=None, name="istio-ca"):
        self.procs, self.name, self.ttl = procs, name, ttl
        self.folder = pathlib.Path(folder) / name
        self.folder.mkdir()
        self.issuer = tokens.Issuer("RS256")
        self.jwks = net.Server({"/jwks": self.issuer.jwks()})
        self.issuer.issuer = self.jwks.url
        self.cacerts = cacerts or pki.TestCA("cluster.local").write_cacerts(
            self.folder / "cacerts")
        self.target = f"127.0.0.1:{net.free_port()}"
        self.process = None

    def start(self):
        self.process = self.procs.start(self.name, [
            folder_of_build() / "ca-harness", "-addr", self.target,
            "-cacerts", self.cacerts, "-issuer", self.issuer.issuer,
            "-jwks", self.jwks.url + "/jwks", "-ttl", self.ttl],
            cwd=self.folder)
        self.process.await_line(r"^ready ")
        return self

    def stop(self):
        return self.process.end()

    def root_pem(self):
        return (pathlib.Path(self.cacerts) / "root-cert.pem").read_text()

    def channel(self, **more):
        return rpc.tls_channel(self.target, self.root_pem(), SERVING_NAME,
                               **more)


class PilotAgent:
    """Istio's pilot-agent. Its Envoy is stood in for by a script that
    sleeps: without one it serves no SDS. build is there because
    meshcert.Agent has it."""

    def __init__(self, procs, folder, build, ca_target, root_pem, token,
                 name="pilot-agent", namespace="default", account="default",
                 env=None):
        del build
        self.procs, self.name = procs, name
        self.folder = pathlib.Path(folder) / name
        secrets = self.folder / "var/run/secrets"
        self.socket = secrets / "workload-spiffe-uds/socket"
        self.token_path = secrets / "tokens/istio-token"
        files = {self.token_path: token,
                 secrets / "istio/root-cert.pem": root_pem,
                 self.folder / "fake-envoy": FAKE_ENVOY}
        for path, text in files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        (self.folder / "fake-envoy").chmod(0o755)
        lib = self.folder / "var/lib/istio/envoy"
        lib.mkdir(parents=True)
        shutil.copy(folder_of_build() / "envoy_bootstrap.json",
                    lib / "envoy_bootstrap_tmpl.json")
        self.env = {
            "PATH": os.environ["PATH"], "POD_NAME": name,
            "POD_NAMESPACE": namespace, "SERVICE_ACCOUNT": account,
            "INSTANCE_IP": "127.0.0.1", "TRUST_DOMAIN": "cluster.local",
            "ISTIO_META_CLUSTER_ID": "Kubernetes",
            "JWT_POLICY": "third-party-jwt", "ISTIOD_SAN": SERVING_NAME,
            "GRPC_XDS_BOOTSTRAP": "", "CLOUD_PLATFORM": "none",
            "ECC_SIGNATURE_ALGORITHM": "ECDSA",
            "PROXY_CONFIG": json.dumps({
                "discoveryAddress": ca_target,
                "binaryPath": str(self.folder / "fake-envoy"),
                "statusPort": net.free_port(),
                "terminationDrainDuration": "1s"}), **(env or {})}
        self.process = None

    def command(self):
        """What starts it, in its folder and with its environment."""
        return [folder_of_build() / "pilot-agent", "proxy", "sidecar",
                "--domain", "default.svc.cluster.local",
                "--log_output_level=default:info"]

    def start(self):
        self.process = self.procs.start(self.name, self.command(),
                                        env=self.env, cwd=self.folder)
        return self

    def await_ready(self, seconds=20):
        until(self.socket.exists, "its SDS socket was there", seconds,
              self.process)
        return self

    def stop(self):
        return self.process.end()

    def channel(self):
        return rpc.unix_channel(self.socket)
