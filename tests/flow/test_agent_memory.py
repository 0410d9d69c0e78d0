"""What an agent keeps where: tokens and keys only in memory that is locked and
left out of core files."""

import pathlib
import re

import pytest
from support import pki, rpc
from support.fake_ca import FakeCA
from support.meshcert import Agent
from cryptography.hazmat.primitives import serialization

TOKEN = "head-of-a-token.claims-of-a-token.signature-of-a-token"


def ordinary_memory(pid):
    """Bytes of each writable mapping that a core file would have."""
    place = pathlib.Path(f"/proc/{pid}")
    head = re.compile(r"^([0-9a-f]+)-([0-9a-f]+) (\S+) ")
    span, found = None, []
    for line in (place / "smaps").read_text().splitlines():
        match = head.match(line)
        if match:
            span = (int(match[1], 16), int(match[2], 16), match[3])
        elif line.startswith("VmFlags:"):
            flags = line.split()[1:]
            if span[2].startswith("rw") and "dd" not in flags:
                found.append(span)
    with open(place / "mem", "rb", buffering=0) as memory:
        for start, end, _ in found:
            memory.seek(start)
            yield memory.read(end - start)


def count(pid, needle):
    return sum(data.count(needle) for data in ordinary_memory(pid))


def test_no_token_and_no_key_rests_in_ordinary_memory(procs, folder, build):
    with FakeCA(folder) as fake:
        agent = Agent(procs, folder, build, fake.target, fake.root_pem(),
                      TOKEN, namespace="shop", account="client").start()
        agent.await_ready()
        pid = agent.process.pid
        try:
            # It is this program's memory, and what is no secret is found.
            assert count(pid, b"ns/shop/sa/client") > 0
        except PermissionError:
            pytest.skip("only root may look into the memory of others")
        with agent.channel() as channel:
            found = rpc.fetch_secrets(channel, ["default"])
        pem = found["default"].tls_certificate.private_key.inline_bytes
        key = serialization.load_pem_private_key(pem, None)
        scalar = key.private_numbers().private_value.to_bytes(32, "big")
        assert fake.requests
        found = {"the token": count(pid, TOKEN.encode()),
                 "the PEM text": count(pid, pem.splitlines()[1]),
                 "the scalar": count(pid, scalar),
                 "the scalar, little-endian": count(pid, scalar[::-1])}
        assert not any(found.values()), found
