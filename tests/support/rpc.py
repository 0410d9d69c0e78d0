"""gRPC clients in Python, from the project's own .proto files.

The messages get a descriptor pool of their own: some are cut-down versions
of types that Python's protobuf already knows under the same names."""

import functools
import pathlib
import queue
import tempfile

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from grpc_tools import protoc

TOP = pathlib.Path(__file__).resolve().parent.parent.parent
SECRET_TYPE = ("type.googleapis.com/"
               "envoy.extensions.transport_sockets.tls.v3.Secret")
CA_METHOD = "/istio.v1.auth.IstioCertificateService/CreateCertificate"
SDS = "/envoy.service.secret.v3.SecretDiscoveryService/"
WORKLOAD = "/SpiffeWorkloadAPI/"


@functools.cache
def pool():
    """All of proto/, compiled once per process."""
    with tempfile.TemporaryDirectory() as folder:
        out = f"{folder}/set.pb"
        names = [f"proto/{p.name}" for p in (TOP / "proto").glob("*.proto")]
        if protoc.main(["protoc", f"--proto_path={TOP}", "--include_imports",
                        f"--descriptor_set_out={out}", *names]) != 0:
            raise RuntimeError("protoc failed on proto/*.proto")
        files = descriptor_pb2.FileDescriptorSet.FromString(
            pathlib.Path(out).read_bytes())
    made = descriptor_pool.DescriptorPool()
    for file in files.file:
        made.Add(file)
    return made


@functools.cache
def message(name):
    """The class of a message: message("xds.DiscoveryRequest")."""
    return message_factory.GetMessageClass(
        pool().FindMessageTypeByName(name))


def _call(make, path, request, reply):
    return make(path, request_serializer=message(request).SerializeToString,
                response_deserializer=message(reply).FromString)


def tls_channel(target, root_pem, name="istiod.istio-system.svc", cert=None,
                key=None):
    """A channel of its own (never shared), verified as the given name."""
    text = [t.encode() if isinstance(t, str) else t
            for t in (root_pem, key, cert)]
    return grpc.secure_channel(
        target, grpc.ssl_channel_credentials(text[0], text[1], text[2]),
        options=[("grpc.ssl_target_name_override", name),
                 ("grpc.use_local_subchannel_pool", 1),
                 ("grpc.enable_retries", 0)])


def unix_channel(path):
    # The authority that an agent's Envoy sends; grpcio's own default would
    # be the socket's path, encoded.
    return grpc.insecure_channel(
        f"unix:{path}", options=[("grpc.use_local_subchannel_pool", 1),
                                 ("grpc.default_authority", "localhost"),
                                 ("grpc.enable_retries", 0)])


def set_struct(struct, values):
    """Fills a google.protobuf.Struct with strings."""
    for key, text in values.items():
        entry = struct.fields.add()
        entry.key = key
        entry.value.string_value = text


def create_certificate(channel, csr, seconds=86400, token=None, metadata=None,
                       headers=(), timeout=10):
    """The list cert_chain; grpc.RpcError where it was refused."""
    call = _call(channel.unary_unary, CA_METHOD,
                 "istio.v1.auth.IstioCertificateRequest",
                 "istio.v1.auth.IstioCertificateResponse")
    request = message("istio.v1.auth.IstioCertificateRequest")(
        csr=csr, validity_duration=seconds)
    if metadata:
        set_struct(request.metadata, metadata)
    sent = list(headers)
    if token is not None:
        sent.append(("authorization", f"Bearer {token}"))
    return list(call(request, metadata=sent, timeout=timeout).cert_chain)


def health(channel, service="", timeout=5):
    """The name of the serving status."""
    call = _call(channel.unary_unary, "/grpc.health.v1.Health/Check",
                 "grpc.health.v1.HealthCheckRequest",
                 "grpc.health.v1.HealthCheckResponse")
    reply = call(message("grpc.health.v1.HealthCheckRequest")(
        service=service), timeout=timeout)
    field = reply.DESCRIPTOR.fields_by_name["status"]
    return field.enum_type.values_by_number[reply.status].name


class _Requests:
    """An iterator of requests that is fed while the stream runs."""

    def __init__(self):
        self._queue = queue.Queue()

    def __iter__(self):
        return self

    def __next__(self):
        item = self._queue.get()
        if item is None:
            raise StopIteration
        return item

    def put(self, item):
        self._queue.put(item)


class _Stream:
    """What both kinds of SDS stream have: requests out, answers in."""

    def __init__(self, channel, method, kind, timeout):
        self._requests = _Requests()
        call = _call(channel.stream_stream, SDS + method,
                     f"xds.{kind}Request", f"xds.{kind}Response")
        self._answers = call(self._requests, timeout=timeout)
        self.last = None

    def _put(self, request, nonce, error):
        if nonce is not None:
            request.response_nonce = nonce
        if error is not None:
            request.error_detail.code = 13
            request.error_detail.message = error
        self._requests.put(request)

    def close(self):
        self._requests.put(None)
        self._answers.cancel()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class SecretStream(_Stream):
    """StreamSecrets by hand: each request is what the test says."""

    def __init__(self, channel, names, node="node-1", timeout=30, ask=True):
        super().__init__(channel, "StreamSecrets", "Discovery", timeout)
        self.names, self.node = list(names), node
        if ask:
            self.send()

    def send(self, error=None, version=None, nonce=None):
        """A request that carries the last answer's version and nonce: an
        ACK, or a NACK where error is given."""
        request = message("xds.DiscoveryRequest")(
            resource_names=self.names, type_url=SECRET_TYPE)
        if self.node:
            request.node.id = self.node
            request.node.cluster = "tests"
        if self.last is not None:
            request.version_info = self.last.version_info
            request.response_nonce = self.last.nonce
        if version is not None:
            request.version_info = version
        self._put(request, nonce, error)

    def receive(self, ack=True):
        """The next answer's secrets, by name."""
        self.last = next(self._answers)
        if ack:
            self.send()
        secrets = {}
        for resource in self.last.resources:
            assert resource.type_url == SECRET_TYPE
            secret = message("xds.Secret").FromString(resource.value)
            secrets[secret.name] = secret
        return secrets


class DeltaStream(_Stream):
    """DeltaSecrets by hand."""

    def __init__(self, channel, names=(), node="node-1", versions=None,
                 timeout=30):
        super().__init__(channel, "DeltaSecrets", "DeltaDiscovery", timeout)
        self.node = node
        self.send(subscribe=names, versions=versions)

    def send(self, subscribe=(), unsubscribe=(), nonce=None, error=None,
             versions=None):
        request = message("xds.DeltaDiscoveryRequest")(
            type_url=SECRET_TYPE, resource_names_subscribe=subscribe,
            resource_names_unsubscribe=unsubscribe)
        request.node.id = self.node
        request.node.cluster = "tests"
        for name, version in (versions or {}).items():
            entry = request.initial_resource_versions.add()
            entry.key, entry.value = name, version
        self._put(request, nonce, error)

    def receive(self, ack=True):
        """({name: (version, secret)}, [removed names])."""
        self.last = next(self._answers)
        if ack:
            self.send(nonce=self.last.nonce)
        return {r.name: (r.version, message("xds.Secret").FromString(
            r.resource.value)) for r in self.last.resources}, \
            list(self.last.removed_resources)


def fetch_secrets(channel, names, node="node-1", timeout=10):
    """FetchSecrets; {name: secret}."""
    call = _call(channel.unary_unary, SDS + "FetchSecrets",
                 "xds.DiscoveryRequest", "xds.DiscoveryResponse")
    request = message("xds.DiscoveryRequest")(resource_names=names,
                                              type_url=SECRET_TYPE)
    request.node.id = node
    found = [message("xds.Secret").FromString(r.value)
             for r in call(request, timeout=timeout).resources]
    return {secret.name: secret for secret in found}


def fetch_x509_svid(channel, timeout=30, header=True):
    """The stream of X509SVIDResponse messages."""
    call = _call(channel.unary_stream, WORKLOAD + "FetchX509SVID",
                 "workload.X509SVIDRequest", "workload.X509SVIDResponse")
    return call(message("workload.X509SVIDRequest")(), timeout=timeout,
                metadata=[("workload.spiffe.io", "true")] if header else [])


def fetch_x509_bundles(channel, timeout=30, header=True):
    """The stream of X509BundlesResponse messages."""
    call = _call(channel.unary_stream, WORKLOAD + "FetchX509Bundles",
                 "workload.X509BundlesRequest",
                 "workload.X509BundlesResponse")
    return call(message("workload.X509BundlesRequest")(), timeout=timeout,
                metadata=[("workload.spiffe.io", "true")] if header else [])


ADMIN = "/meshcert.admin.v1.Admin/"


def create_token(channel, identity, seconds=0, timeout=10):
    """A join token, over the admin socket."""
    call = _call(channel.unary_unary, ADMIN + "CreateToken",
                 "meshcert.admin.v1.CreateTokenRequest",
                 "meshcert.admin.v1.CreateTokenResponse")
    return call(message("meshcert.admin.v1.CreateTokenRequest")(
        identity=identity, ttl_seconds=seconds), timeout=timeout).token


def status(channel, timeout=10):
    """{topic: [(level, text)]} of the admin socket's status."""
    call = _call(channel.unary_unary, ADMIN + "Status",
                 "meshcert.admin.v1.StatusRequest",
                 "meshcert.admin.v1.StatusResponse")
    reply = call(message("meshcert.admin.v1.StatusRequest")(),
                 timeout=timeout)
    lines = {}
    for line in reply.lines:
        field = line.DESCRIPTOR.fields_by_name["level"]
        level = field.enum_type.values_by_number[line.level].name
        lines.setdefault(line.topic, []).append((level, line.text))
    return lines
