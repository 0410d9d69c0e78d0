"""An SDS server of the tests' own, in Python: it serves what it is told to,
good or bad, and keeps what clients answer."""

from concurrent import futures
import threading

import grpc

from . import rpc


class Server:
    """secrets: {name: xds.Secret}, given with put. Every stream hears of
    every change. A name that is not there is never answered."""

    def __init__(self, path):
        self.target = f"unix:{path}"
        self._secrets, self._version = {}, 0
        self.deadline_passed = set()  # names that end a stream so
        self._news = threading.Condition()
        self.errors = []  # texts of NACKs
        self._server = grpc.server(futures.ThreadPoolExecutor(16))
        handler = grpc.method_handlers_generic_handler(
            rpc.SDS.strip("/"), {
                "StreamSecrets": grpc.stream_stream_rpc_method_handler(
                    self._stream, rpc.message(
                        "xds.DiscoveryRequest").FromString,
                    rpc.message("xds.DiscoveryResponse").SerializeToString)})
        self._server.add_generic_rpc_handlers((handler,))
        self._server.add_insecure_port(self.target)

    def __enter__(self):
        self._server.start()
        return self

    def __exit__(self, *_):
        self._server.stop(0.2)

    def put(self, name, chain=None, key=None, roots=None):
        secret = rpc.message("xds.Secret")(name=name)
        if chain is not None:
            secret.tls_certificate.certificate_chain.inline_bytes = \
                chain.encode()
            secret.tls_certificate.private_key.inline_bytes = key.encode()
        if roots is not None:
            secret.validation_context.trusted_ca.inline_bytes = roots.encode()
        with self._news:
            self._secrets[name] = secret
            self._version += 1
            self._news.notify_all()

    def _listen(self, requests, state):
        try:
            for request in requests:
                with self._news:
                    state["names"] = list(request.resource_names)
                    if request.error_detail.message:
                        self.errors.append(request.error_detail.message)
                    self._news.notify_all()
        except grpc.RpcError:
            pass
        with self._news:
            state["done"] = True
            self._news.notify_all()

    def _stream(self, requests, context):
        state, sent = {"names": [], "done": False}, None
        context.add_callback(lambda: state.update(done=True))
        threading.Thread(target=self._listen, args=(requests, state),
                         daemon=True).start()
        while not state["done"]:
            if self.deadline_passed & set(state["names"]):
                context.abort(grpc.StatusCode.DEADLINE_EXCEEDED, "too late")
            with self._news:
                found = [self._secrets[n] for n in state["names"]
                         if n in self._secrets]
                if not found or sent == self._version:
                    self._news.wait(0.5)
                    continue
                sent = self._version
                answer = rpc.message("xds.DiscoveryResponse")(
                    type_url=rpc.SECRET_TYPE, version_info=str(sent),
                    nonce=str(sent))
                for secret in found:
                    one = answer.resources.add()
                    one.type_url = rpc.SECRET_TYPE
                    one.value = secret.SerializeToString()
            yield answer
