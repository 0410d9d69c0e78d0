"""An authority in Python that answers as a test wants: well, or wrongly."""

import concurrent.futures
import json

import grpc
from cryptography import x509

from . import pki, rpc

SERVING_NAME = "istiod.istio-system.svc"


class FakeCA:
    """Istio's CA API over TLS; serving: a CA that made its certificate, by
    default the root that it signs with. answer(self, request, context): the list of
    PEM texts, or whatever it does to the context. What came is kept in
    self.requests: (request, headers)."""

    def __init__(self, folder, answer=None, client_roots=None, port=0,
                 serving=None):
        self.root = serving.root() if serving else pki.TestCA("fake root")
        self.answer = answer or FakeCA.good
        self.requests, self.auth = [], []
        key = pki.new_key()
        serving = serving or self.root
        chain = pki.cert_pem(serving.issue(key, dns=[SERVING_NAME])) + \
            serving.chain_pem()
        method = grpc.unary_unary_rpc_method_handler(
            self._handle,
            request_deserializer=rpc.message(
                "istio.v1.auth.IstioCertificateRequest").FromString,
            response_serializer=lambda reply: reply.SerializeToString())
        self.server = grpc.server(
            concurrent.futures.ThreadPoolExecutor(4),
            options=[("grpc.so_reuseport", 0)])
        self.server.add_generic_rpc_handlers((
            grpc.method_handlers_generic_handler(
                "istio.v1.auth.IstioCertificateService",
                {"CreateCertificate": method}),))
        credentials = grpc.ssl_server_credentials(
            [(pki.key_pem(key).encode(), chain.encode())],
            client_roots and client_roots.encode(),
            require_client_auth=client_roots is not None)
        self.port = self.server.add_secure_port(f"127.0.0.1:{port}",
                                                credentials)
        self.target = f"127.0.0.1:{self.port}"
        self.server.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()

    def end(self):
        self.server.stop(None).wait()

    def root_pem(self):
        return pki.cert_pem(self.root.cert)

    def _handle(self, request, context):
        self.requests.append((request, dict(context.invocation_metadata())))
        self.auth.append({name: list(values) for name, values in
                          context.auth_context().items()})
        return rpc.message("istio.v1.auth.IstioCertificateResponse")(
            cert_chain=self.answer(self, request, context))

    def good(self, request, _context, uri=None, key=None, **more):
        """What was asked for."""
        csr = x509.load_pem_x509_csr(request.csr.encode())
        return self.sign(key or csr.public_key(),
                         uri or pki.uri_of(csr), **more)

    def sign(self, public_key, uri, issuer=None, seconds=86400, **more):
        issuer = issuer or self.root
        leaf = issuer.issue(_Public(public_key), uris=[uri], seconds=seconds,
                            **more)
        return [pki.cert_pem(leaf), self.root_pem()]


class _Public:
    """As much of a key as TestCA.issue needs."""

    def __init__(self, key):
        self._key = key

    def public_key(self):
        return self._key


def status_of(agent):
    """/status of an agent; {} while nobody answers."""
    from . import net
    try:
        code, text = net.get(agent.status + "/status")
    except OSError:
        return {}
    return json.loads(text) if code == 200 else {}
