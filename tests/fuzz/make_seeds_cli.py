"""Writes the seeds of fuzz_cli_answers and fuzz_control:
python3 tests/fuzz/make_seeds_cli.py"""
import base64
import json
import pathlib
import sys

HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE.parent))
from support import pki  # noqa: E402

DUMP, PAGE, STATS, STATUS = range(4)
CA = pki.TestCA("r")
ROOT = pki.cert_pem(CA.cert)
LEAF = pki.cert_pem(CA.issue(pki.new_key(), uris=["spiffe://td/ns/a/sa/b"]))


def write(target, name, first, data):
    if not isinstance(data, (str, bytes)):
        data = json.dumps(data)
    folder = HERE / "seeds" / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(bytes([first]) + (
        data.encode() if isinstance(data, str) else data))


def inline(pem):
    return {"inline_bytes": base64.b64encode(pem.encode()).decode()}


def entry(name, **secret):
    return {"name": name, "version_info": "1", "last_updated": "2026-01-01",
            "secret": {"name": name, **secret}}


def dump(**lists):
    return {"configs": [{"@type": "type.googleapis.com/x.v3.SecretsConfigDump",
                         **lists}]}


DOMAINS = {"custom_validator_config": {"typed_config": {"trust_domains": [
    {"name": "td", "trust_bundle": {"inline_string": ROOT}},
    {"name": "other", "trust_bundle": {}}]}}}
write("cli_answers", "dump", DUMP, dump(
    dynamic_active_secrets=[
        entry("default", tls_certificate={
            "certificate_chain": inline(LEAF), "private_key": {}}),
        entry("ROOTCA", validation_context={"trusted_ca": inline(ROOT)})],
    dynamic_warming_secrets=[
        {**entry("w", tls_certificate={}),
         "error_state": {"details": "no\n\x1b[31m\u009b31m"}}],
    static_secrets=[entry("s", validation_context=DOMAINS), entry("t"),
                    {"secret": {"name": "\u00e4"}}]))
write("cli_answers", "dump-files", DUMP, dump(static_secrets=[
    entry("f", tls_certificate={"certificate_chain": {
        "filename": "/nowhere\u0000x"}}),
    entry("g", validation_context={"trusted_ca": {"inline_bytes": "?"}})]))
write("cli_answers", "dump-none", DUMP, {"configs": [{"@type": "x"}]})
NAMES = [{"name": "default", "state": "nacked", "nack": "bad \x1b[1m key",
          "answered_at": "2026-01-01T00:00:00Z"},
         {"name": "ROOTCA", "state": "acked"}]
PAGE_OF_AGENT = {
    "mode": "ca", "identity": "spiffe://td/ns/a/sa/b", "ready": False,
    "not_ready": "no certificate", "secrets_locked": False,
    "ca": {"address": "istiod:15012", "has_certificate": True,
           "not_after": "2026-01-02T00:00:00Z", "next": "soon",
           "failures": 3, "failing_since": "2026-01-01T00:00:00Z",
           "error": "refused", "advice": "ask", "warning": "odd chain"},
    "clock": {"problem": "early"}, "output": {"dir": "/x", "error": "full"},
    "files": [{"name": "f", "served": True, "error": "no file",
               "failing_since": "x"}],
    "secrets": [
        {"name": "default", "kind": "certificate", "source": "ca",
         "version": "1", "certificates": [LEAF]},
        {"name": "ROOTCA", "kind": "validation", "source": "ca\n",
         "version": "2", "certificates": [ROOT, ROOT]},
        {"name": "none", "certificates": []}],
    "streams": [{"node": "n\x1b1", "names": NAMES}, {"names": NAMES[1:]}]}
WELL = {**PAGE_OF_AGENT, "ready": True, "secrets_locked": True, "ca": {
    **PAGE_OF_AGENT["ca"], "failures": 0, "warning": ""}}
for which in (PAGE, STATUS):
    kind = "page" if which == PAGE else "status"
    write("cli_answers", kind, which, PAGE_OF_AGENT)
    write("cli_answers", f"{kind}-well", which, WELL)
    write("cli_answers", f"{kind}-empty", which, {})
write("cli_answers", "stats", STATS,
      "sds.default.update_success: 7\nsds.default.update_rejected: 1\n"
      "sds.ROOTCA.update_success: 1\nsds.ROOTCA.update_rejected: x\n")

GIVE, CONFINE = 2, 6
write("control", "confine", CONFINE, b"\1/var/lib/x\0/a\0/b/c\0")
write("control", "confine-off", CONFINE, b"\2\0")
write("control", "confine-many", CONFINE, b"\0\0" + b"/r\0" * 17)
write("control", "link", GIVE, "link.authority.0")
write("control", "metrics", GIVE, "metrics.front.12")
