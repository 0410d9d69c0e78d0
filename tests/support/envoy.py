"""Real Envoys, from the PyPI wheel."""

import json
import pathlib
import sysconfig

from . import net
from .process import until

TLS = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3."
HCM = ("type.googleapis.com/envoy.extensions.filters.network."
       "http_connection_manager.v3.HttpConnectionManager")
ROUTER = ("type.googleapis.com/envoy.extensions.filters.http.router.v3."
          "Router")
FILE_LOG = ("type.googleapis.com/envoy.extensions.access_loggers.file.v3."
            "FileAccessLog")
HTTP_OPTIONS = ("type.googleapis.com/envoy.extensions.upstreams.http.v3."
                "HttpProtocolOptions")
OPTIONS_KEY = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"


def binary():
    """The wheel's `envoy` script only execs this file: started itself, the
    process id is Envoy's."""
    path = pathlib.Path(sysconfig.get_paths()["purelib"]) / "envoy/_bin/envoy"
    if not path.exists():
        raise FileNotFoundError(f"{path}: run tools/deps")
    return path


def _address(host, port):
    return {"socket_address": {"address": host, "port_value": port}}


def _cluster(name, address, **more):
    return {"name": name, "type": "STATIC", "connect_timeout": "2s",
            "load_assignment": {"cluster_name": name, "endpoints": [
                {"lb_endpoints": [{"endpoint": {"address": address}}]}]},
            **more}


def _sds(name, api="GRPC"):
    return {"name": name, "sds_config": {
        "resource_api_version": "V3", "initial_fetch_timeout": "0s",
        "api_config_source": {
            "api_type": api, "transport_api_version": "V3",
            "set_node_on_first_message_only": True,
            "grpc_services": [{"envoy_grpc": {"cluster_name": "sds"}}]}}}


def _common_tls(cert, trust, peers, api):
    """cert, trust: SDS names. peers: the SPIFFE IDs that are let in."""
    return {
        "tls_params": {"tls_minimum_protocol_version": "TLSv1_2",
                       "tls_maximum_protocol_version": "TLSv1_3"},
        "tls_certificate_sds_secret_configs": [_sds(cert, api)],
        "combined_validation_context": {
            "default_validation_context": {
                "match_typed_subject_alt_names": [
                    {"san_type": "URI", "matcher": peer} for peer in peers]},
            "validation_context_sds_secret_config": _sds(trust, api)}}


def _http_filter(name, cluster, log):
    return {"name": "envoy.filters.network.http_connection_manager",
            "typed_config": {
                "@type": HCM, "stat_prefix": name,
                "access_log": [{"name": "envoy.access_loggers.file",
                                "typed_config": {
                                    "@type": FILE_LOG, "path": str(log),
                                    "log_format": {"json_format": {
                                        "status": "%RESPONSE_CODE%",
                                        "flags": "%RESPONSE_FLAGS%",
                                        "details":
                                            "%RESPONSE_CODE_DETAILS%",
                                        "upstream_failure": "%UPSTREAM_"
                                        "TRANSPORT_FAILURE_REASON%",
                                        "peer": "%DOWNSTREAM_PEER_URI_SAN%",
                                        "serial":
                                            "%DOWNSTREAM_PEER_SERIAL%"}}}}],
                "http_filters": [{"name": "envoy.filters.http.router",
                                  "typed_config": {"@type": ROUTER}}],
                "route_config": {"name": name, "virtual_hosts": [{
                    "name": "all", "domains": ["*"], "routes": [
                        {"match": {"prefix": "/"},
                         "route": {"cluster": cluster,
                                   "timeout": "10s"}}]}]}}}


def _socket(kind, context):
    return {"name": "envoy.transport_sockets.tls",
            "typed_config": {"@type": TLS + kind, **context}}


def bootstrap(name, sds_socket, log, upstream, inbound_tls=None,
              outbound_tls=None):
    """A listener `main` that passes HTTP on to upstream (host, port), with
    TLS on either side where a context is given."""
    chain = {"filters": [_http_filter(name, "upstream", log)]}
    if inbound_tls:
        chain["transport_socket"] = _socket("DownstreamTlsContext",
                                            inbound_tls)
    more = {}
    if outbound_tls:
        more["transport_socket"] = _socket("UpstreamTlsContext", outbound_tls)
        # Each request on a TLS connection of its own.
        more["typed_extension_protocol_options"] = {OPTIONS_KEY: {
            "@type": HTTP_OPTIONS,
            "common_http_protocol_options": {
                "max_requests_per_connection": 1},
            "explicit_http_config": {"http_protocol_options": {}}}}
    http2 = {OPTIONS_KEY: {"@type": HTTP_OPTIONS, "explicit_http_config": {
        "http2_protocol_options": {}}}}
    return {
        "node": {"id": name, "cluster": name},
        "admin": {"address": _address("127.0.0.1", 0)},
        "static_resources": {
            "listeners": [{"name": "main",
                           "address": _address("127.0.0.1", 0),
                           "filter_chains": [chain]}],
            "clusters": [
                _cluster("upstream", _address(*upstream), **more),
                _cluster("sds", {"pipe": {"path": str(sds_socket)}},
                         typed_extension_protocol_options=http2)]}}


def server_tls(peers, cert="default", trust="ROOTCA", api="GRPC"):
    """mTLS towards callers. peers: matchers, {"exact": "spiffe://..."}"""
    return {"require_client_certificate": True,
            "common_tls_context": _common_tls(cert, trust, peers, api)}


def client_tls(peers, cert="default", trust="ROOTCA", api="GRPC"):
    """mTLS towards a server; no resumption: each handshake is whole."""
    return {"max_session_keys": 0,
            "common_tls_context": _common_tls(cert, trust, peers, api)}


class Envoy:
    """A running Envoy with its admin port."""

    def __init__(self, procs, folder, name, config, level="warning"):
        folder = pathlib.Path(folder)
        self.config_path = folder / f"{name}.json"
        self._address_path = folder / f"{name}.admin"
        self._address_path.unlink(missing_ok=True)
        self.config_path.write_text(json.dumps(config, indent=1))
        self.process = procs.start(name, [
            binary(), "-c", self.config_path, "--concurrency", "1",
            "--disable-hot-restart", "-l", level,
            "--admin-address-path", self._address_path])
        self.admin = "http://" + until(
            lambda: self._address_path.exists() and
            self._address_path.read_text().strip(),
            f"{name} wrote its admin address", alive=self.process)

    def get(self, path):
        return net.get(self.admin + path)

    def get_json(self, path):
        return net.get_json(self.admin + path)

    def await_ready(self, seconds=20):
        """Serves: its secrets have come."""
        net.await_ok(self.admin + "/ready", seconds, self.process)
        return self

    def port(self):
        """Where its listener accepts."""
        def look():
            found = self.get_json("/listeners?format=json") or {}
            rows = [row["local_address"]["socket_address"]["port_value"]
                    for row in found.get("listener_statuses", [])
                    if row["name"] == "main"]
            return rows and rows[0]
        return until(look, "the listener's port was known",
                     alive=self.process)

    def serials(self):
        """Serial numbers of the leaves that are in use now."""
        found = (self.get_json("/certs") or {}).get("certificates", [])
        return {entry["cert_chain"][0]["serial_number"] for entry in found
                if entry.get("cert_chain")}

    def roots(self):
        found = (self.get_json("/certs") or {}).get("certificates", [])
        return {ca["serial_number"] for entry in found
                for ca in entry.get("ca_cert", [])}

    def stat(self, pattern):
        """{name: value} of the counters and gauges that match."""
        _, text = self.get(f"/stats?usedonly&filter={pattern}")
        rows = (line.split(": ", 1) for line in text.splitlines()
                if ": " in line)
        return {name: int(value) for name, value in rows
                if value.lstrip("-").isdigit()}


def start_pair(procs, folder, sockets, ids, backend_port):
    """{"client": Envoy, "server": Envoy}: HTTP into the client's port goes
    over mutual TLS to the server's and on to the backend. sockets, ids: the
    SDS socket and SPIFFE ID of each side."""
    tls = {"server": {"inbound_tls": server_tls([{"exact": ids["client"]}])},
           "client": {"outbound_tls": client_tls([{"exact":
                                                   ids["server"]}])}}
    pair, upstream = {}, ("127.0.0.1", backend_port)
    for side in ("server", "client"):
        config = bootstrap(f"envoy-{side}", sockets[side],
                           pathlib.Path(folder) / f"envoy-{side}.access",
                           upstream, **tls[side])
        pair[side] = Envoy(procs, folder, f"envoy-{side}", config)
        upstream = ("127.0.0.1", pair[side].await_ready().port())
    return pair
