"""The record and the audit log of an authority, read by others than its own
code: SQLite's and hashlib's."""

import glob
import hashlib
import json
import os
import shutil
import sqlite3

from cryptography.hazmat.primitives import serialization

INTENT, ISSUED, FAILED = 0, 1, 2


def rows(one, profiles="1"):
    """{serial: row} of the workloads' certificates, from a copy."""
    copy = one.folder / "copy"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(one.data / "store", copy)
    base = sqlite3.connect(copy / "record.db")
    base.row_factory = sqlite3.Row
    try:
        found = base.execute(f"SELECT * FROM cert WHERE profile IN ({profiles})")
        return {int.from_bytes(row["serial"], "big"): dict(row)
                for row in found}
    finally:
        base.close()


def value(one, name):
    rows(one)
    base = sqlite3.connect(one.folder / "copy" / "record.db")
    try:
        row = base.execute("SELECT value FROM value WHERE name = ?",
                           (name,)).fetchone()
        return None if row is None else bytes(row[0])
    finally:
        base.close()


def audit_lines(one):
    """All lines, in order, as bytes without newline."""
    folder = one.data / "audit"
    files = sorted(glob.glob(str(folder / "audit-*.jsonl"))) + \
        [str(folder / "audit.jsonl")]
    return [line for path in files if os.path.exists(path)
            for line in open(path, "rb").read().split(b"\n") if line]


def verify_chain(lines):
    """Every line names the hash of the one before it."""
    before = bytes(32)
    for number, line in enumerate(lines, 1):
        entry = json.loads(line)
        assert entry["n"] == number
        assert entry["prev"] == before.hex()
        before = hashlib.sha256(line + b"\n").digest()
    return before


def check_given(one, certs):
    """Each certificate that a caller got stands in the record as it is, begun
    or completed; none was given out twice."""
    found = rows(one)
    serials = [cert.serial_number for cert in certs]
    assert len(set(serials)) == len(serials)
    for cert in certs:
        row = found[cert.serial_number]
        spki = cert.public_key().public_bytes(
            serialization.Encoding.DER,
            serialization.PublicFormat.SubjectPublicKeyInfo)
        assert row["key_hash"] == hashlib.sha256(spki).digest()
        assert row["not_before"] == cert.not_valid_before_utc.timestamp() * 1000
        assert row["not_after"] == cert.not_valid_after_utc.timestamp() * 1000
        assert row["state"] in (INTENT, ISSUED)
        if row["state"] == ISSUED:
            der = cert.public_bytes(serialization.Encoding.DER)
            assert row["cert_hash"] == hashlib.sha256(der).digest()
