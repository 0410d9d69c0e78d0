"""Ports, and HTTP as a client and as a small server."""

import http.client
import http.server
import json
import random
import socket
import ssl
import threading
import urllib.parse

from .process import until

_given = set()


def free_port():
    """A free loopback port below the range that outgoing connections use:
    under load one of those would take it before its server does."""
    while True:
        port = random.randrange(12000, 30000)
        if port in _given:
            continue
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        _given.add(port)
        return port


def get(url, seconds=5, headers=None, method="GET"):
    """(status, text); (0, reason) where nothing answers."""
    parts = urllib.parse.urlsplit(url)
    conn = http.client.HTTPConnection(parts.hostname, parts.port,
                                      timeout=seconds)
    try:
        path = parts.path or "/"
        conn.request(method, path + ("?" + parts.query if parts.query
                                     else ""), headers=headers or {})
        answer = conn.getresponse()
        return answer.status, answer.read().decode(errors="replace")
    except OSError as why:
        return 0, str(why)
    finally:
        conn.close()


def get_json(url):
    status, text = get(url)
    return json.loads(text) if status == 200 else None


def await_ok(url, seconds=20, alive=None):
    until(lambda: get(url)[0] == 200, f"{url} answered 200", seconds, alive)


def metric(text, name, **labels):
    """A value of a Prometheus text page; the sum of all series that have
    these labels; None where there is none."""
    total = None
    for line in text.splitlines():
        if line.startswith("#") or not line.startswith(name):
            continue
        rest = line[len(name):]
        if rest[:1] not in (" ", "{"):
            continue
        if all(f'{key}="{value}"' in rest for key, value in labels.items()):
            total = (total or 0.0) + float(line.rsplit(" ", 1)[1])
    return total


class Server:
    """A small HTTP(S) server in a thread. routes: {path: text | bytes |
    function(handler) -> (status, body)}; may be changed while it runs.
    requests: what was asked."""

    def __init__(self, routes, cert=None, key=None):
        outer = self
        self.routes, self.requests = routes, []

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_GET(self):
                outer.requests.append(self.path)
                found = outer.routes.get(self.path.split("?")[0])
                status, body = 200, found
                if callable(found):
                    status, body = found(self)
                elif found is None:
                    status, body = 404, "not here\n"
                if isinstance(body, str):
                    body = body.encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0),
                                                       Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        scheme = "http"
        if cert is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(cert, key)
            self._server.socket = context.wrap_socket(self._server.socket,
                                                      server_side=True)
            scheme = "https"
        self.url = f"{scheme}://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._server.serve_forever,
                                        kwargs={"poll_interval": 0.05},
                                        daemon=True)
        self._thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()

    def end(self):
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)
