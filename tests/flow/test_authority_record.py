"""The record and the audit log: durable before anything is signed, chained,
and what happens when the disk is full."""

import concurrent.futures
import hashlib
import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess

import grpc
import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from support import net, pki, rpc
from support.process import ended, until
from support.record import (ISSUED, audit_lines, rows, value, verify_chain)

CODE = grpc.StatusCode
URI = "spiffe://cluster.local/ns/shop/sa/cart"


def request(one, **more):
    with one.channel() as channel:
        return pki.load_all(rpc.create_certificate(
            channel, pki.new_csr(pki.new_key()),
            token=one.issuer.token("shop", "cart"), **more)[0])[0]


def code_of(one):
    try:
        request(one)
    except grpc.RpcError as why:
        return why.code()
    return CODE.OK


# -- the record


def test_each_certificate_stands_in_the_record_with_its_hash(ours):
    leaf = request(ours)
    row = until(lambda: [r for s, r in rows(ours).items()
                         if s == leaf.serial_number and
                         r["state"] == ISSUED], "it was completed")[0]
    der = leaf.public_bytes(serialization.Encoding.DER)
    spki = leaf.public_key().public_bytes(
        serialization.Encoding.DER,
        serialization.PublicFormat.SubjectPublicKeyInfo)
    assert row["identity"] == URI
    assert row["cert_hash"] == hashlib.sha256(der).digest()
    assert row["key_hash"] == hashlib.sha256(spki).digest()
    assert "system:serviceaccount:shop:cart" in row["caller"]
    assert row["not_after"] == leaf.not_valid_after_utc.timestamp() * 1000


def test_a_stop_completes_what_was_signed(ours):
    serials = {request(ours).serial_number for _ in range(10)}
    assert ours.stop() == 0
    found = rows(ours)
    assert serials == set(found)
    assert {row["state"] for row in found.values()} == {ISSUED}


def test_every_certificate_given_out_is_on_record_after_a_crash(ours):
    serials = {request(ours).serial_number for _ in range(10)}
    roles = [p for pids in ours.roles().values() for p in pids]
    # Or it starts others, which hold its port for a moment longer.
    ours.process.signal(signal.SIGSTOP)
    for pid in roles:
        os.kill(pid, signal.SIGKILL)
    ours.process.signal(signal.SIGKILL)
    ours.process.wait()
    until(lambda: all(ended(pid) for pid in roles), "all were dead")
    assert serials <= set(rows(ours))
    ours.start()
    assert request(ours).serial_number > max(serials)
    assert serials <= set(rows(ours))


def can_trace():
    """Roles are not dumpable: root's alone."""
    return os.geteuid() == 0 and shutil.which("strace") is not None and \
        subprocess.run(["strace", "-o", "/dev/null", "true"],
                       capture_output=True).returncode == 0


@pytest.mark.skipif(not can_trace(), reason="strace may not trace here")
def test_the_intent_is_synced_before_the_signer_hears_of_it(
        make_ours, procs):
    one = make_ours({"fronts": 1}).start()
    request(one)
    (pid,) = one.roles()["authority"]
    out = one.folder / "trace"
    tracer = procs.start("strace", [
        "strace", "-y", "-x", "-s", "64", "-o", out, "-e",
        "trace=fdatasync,fsync,pwrite64,sendmsg,sendto,write,writev", "-p",
        str(pid)])
    tracer.await_line("attached")
    request(one)
    tracer.end()
    # A frame to the signer: length, type 4 (SIGN), its id.
    sign = re.compile(r'"(\\x..){4}\\x00\\x04')
    signed_at = synced_at = written_at = None
    for at, line in enumerate(out.read_text().splitlines()):
        if line.startswith("pwrite64") and "record.db-wal" in line:
            written_at = at
        elif line.startswith(("fdatasync", "fsync")) and \
                "record.db-wal" in line and line.endswith("= 0"):
            synced_at = at
        elif sign.search(line) and line.startswith("send"):
            signed_at = at
            break
    assert written_at is not None and synced_at is not None
    assert signed_at is not None, out.read_text()
    assert written_at < synced_at < signed_at


def test_many_requests_at_once_share_a_sync(make_ours):
    one = make_ours({"fronts": 1}).start()
    csr = pki.new_csr(pki.new_key())
    token = one.issuer.token("shop", "cart")
    with one.channel() as channel, \
            concurrent.futures.ThreadPoolExecutor(32) as pool:
        answers = list(pool.map(lambda _: rpc.create_certificate(
            channel, csr, token=token), range(300)))
    assert len(answers) == 300
    text = one.metrics()
    assert net.metric(text, "meshcert_ca_record_intents_total") >= 300
    assert net.metric(text, "meshcert_ca_record_batches_total") < 300


def commits_of(one, ask):
    """How many transactions there were while ask() ran."""
    name = "meshcert_ca_record_batches_total"
    before = net.metric(one.metrics(), name)
    ask()
    return net.metric(one.metrics(), name) - before


def test_who_comes_soon_after_a_commit_waits_for_others(make_ours):
    one = make_ours({"fronts": 1, "record.gather": "1s"}, name="gathers")
    other = make_ours({"fronts": 1, "record.gather": "0s"}, name="hurries")
    one.start()
    other.start()
    request(one)
    with concurrent.futures.ThreadPoolExecutor(12) as pool:
        gathered = commits_of(one, lambda: list(pool.map(
            request, [one] * 12)))
    single = commits_of(other, lambda: [request(other) for _ in range(12)])
    # Completions may have one of their own.
    assert 1 <= gathered <= 5
    assert single >= 12


# -- the audit log


def test_the_audit_log_tells_who_got_what_and_who_did_not(ours):
    leaf = request(ours)
    with ours.channel() as channel, pytest.raises(grpc.RpcError):
        rpc.create_certificate(
            channel, pki.new_csr(pki.new_key()), seconds=1 << 40,
            token=ours.issuer.token("shop", "cart"))
    until(lambda: sum(b"\"refused\"" in line for line in audit_lines(ours)),
          "the refusal was written")
    lines = audit_lines(ours)
    verify_chain(lines)
    events = [json.loads(line) for line in lines]
    (issued,) = [e for e in events if e["event"] == "issued"
                 and e["identity"] == URI]
    assert int(issued["serial"], 16) == leaf.serial_number
    assert issued["auth"] == "jwt" and "127.0.0.1" in issued["peer"]
    (refused,) = [e for e in events if e["event"] == "refused"]
    assert "TTL" in refused["reason"] and refused["identity"] == URI


def test_the_head_is_signed_into_the_record(ours):
    for _ in range(3):
        request(ours)

    def head():
        raw = value(ours, "audit.head")
        return raw if raw and int.from_bytes(raw[:8], "big") >= 4 else None
    raw = until(head, "the head was stored")
    count, digest = int.from_bytes(raw[:8], "big"), raw[8:40]
    length = int.from_bytes(raw[40:44], "big")
    signature = raw[44:]
    assert len(signature) == length
    assert verify_chain(audit_lines(ours)[:count]) == digest
    key = serialization.load_pem_private_key(
        (ours.data / "issuer/audit-key.pem").read_bytes(), None)
    key.public_key().verify(
        signature, b"meshcert audit head v1" + raw[:40],
        ec.ECDSA(hashes.SHA256()))


def test_the_log_rotates_and_its_chain_goes_on(make_ours):
    one = make_ours({"audit.rotate_size": "64k"}).start()
    csr = pki.new_csr(pki.new_key())
    token = one.issuer.token("shop", "cart")
    with one.channel() as channel:
        while not list((one.data / "audit").glob("audit-*.jsonl")):
            rpc.create_certificate(channel, csr, token=token)
    request(one)
    assert one.stop() == 0
    verify_chain(audit_lines(one))
    one.start()
    request(one)
    assert one.stop() == 0
    verify_chain(audit_lines(one))


def test_a_head_that_the_signer_did_not_sign_shows(ours):
    """Log and record rewritten together, by somebody without the key."""
    request(ours)
    until(lambda: value(ours, "audit.head"), "the head was signed")
    ours.stop()
    ours.start()
    assert [level for level, _ in ours.status()["audit"]] == ["STATUS_OK"]
    ours.stop()
    head = bytearray(value(ours, "audit.head"))
    head[-1] ^= 1
    with sqlite3.connect(ours.data / "store/record.db") as base:
        base.execute("UPDATE value SET value = ? WHERE name = 'audit.head'",
                     (bytes(head),))
    base.close()
    ours.start()
    until(lambda: [level for level, _ in ours.status()["audit"]] ==
          ["STATUS_BAD"], "the status tells")
    assert "not signed by this signer" in ours.status()["audit"][0][1]
    events = [json.loads(line)["event"] for line in audit_lines(ours)]
    assert "audit_mismatch" in events


def test_a_tail_that_was_cut_off_shows(ours):
    for _ in range(5):
        request(ours)
    until(lambda: (value(ours, "audit.head") or b"")[:8] >=
          (6).to_bytes(8, "big"), "the head was stored")
    assert ours.stop() == 0
    path = ours.data / "audit/audit.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:-4]))
    ours.start()
    ours.process.await_line("lines were removed or changed")
    request(ours)
    request(ours)
    assert [level for level, _ in ours.status()["audit"]] == ["STATUS_BAD"]
    events = [json.loads(line)["event"] for line in audit_lines(ours)]
    assert "audit_mismatch" in events


# -- a full disk


@pytest.fixture
def small_disk(make_ours):
    """Makes an authority whose folder is a file system that can be
    filled. Gives (authority, fill, empty)."""
    if os.getuid() != 0:
        pytest.skip("only root can mount a small file system")
    mounted = []

    def make(where, **config):
        one = make_ours(config)
        target = one.data if where == "." else one.data / where
        target.mkdir(parents=True)
        done = subprocess.run(["mount", "-t", "tmpfs", "-o",
                               "size=1m,mode=0755", "tmpfs", str(target)],
                              capture_output=True, text=True)
        if done.returncode != 0:
            pytest.skip(f"mount: {done.stderr.strip()}")
        mounted.append(target)
        ballast = target / "ballast"

        def fill():
            with open(ballast, "wb", buffering=0) as out:
                try:
                    while out.write(b"x" * 4096):
                        pass
                except OSError:
                    pass

        return one, fill, ballast.unlink
    yield make
    for target in mounted:
        # Its users end a moment later, with the other fixtures.
        subprocess.run(["umount", "-l", str(target)], check=False)


@pytest.mark.parametrize("where", ["store", "audit", "."])
def test_on_a_full_disk_nothing_is_signed_and_it_heals_by_itself(
        small_disk, where):
    one, fill, empty = small_disk(where)
    one.start()
    issued = [request(one).serial_number for _ in range(3)]
    fill()
    # What was under way may still find room in a block that is open.
    until(lambda: code_of(one) == CODE.UNAVAILABLE, "it refused")
    assert code_of(one) == CODE.UNAVAILABLE
    levels = {topic: [level for level, _ in lines]
              for topic, lines in one.status().items()}
    assert ["STATUS_BAD"] in (levels["record"], levels["audit"])
    empty()
    until(lambda: code_of(one) == CODE.OK, "it signed again",
          alive=one.process)
    until(lambda: [lines[0][0] for topic, lines in one.status().items()
                   if topic in ("record", "audit")] == ["STATUS_OK"] * 2,
          "the status was good again")
    assert one.stop() == 0
    verify_chain(audit_lines(one))
    assert set(issued) <= set(rows(one))


def test_a_full_audit_disk_may_be_signed_over_by_configuration(small_disk):
    one, fill, empty = small_disk("audit", **{"audit.on_full": "sign"})
    one.start()
    fill()
    until(lambda: [level for level, _ in one.status()["audit"]] ==
          ["STATUS_BAD"] if code_of(one) == CODE.OK else None,
          "the log could not be written")
    leaf = request(one)
    assert leaf.serial_number in rows(one)
    empty()
    until(lambda: code_of(one) == CODE.OK and [
        level for level, _ in one.status()["audit"]] == ["STATUS_OK"],
        "the log was written again")
    assert one.stop() == 0
    # What could not be written then is written now.
    lines = audit_lines(one)
    verify_chain(lines)
    assert any(f"{leaf.serial_number:038x}".encode() in line
               for line in lines)
