"""What an agent keeps where: tokens and keys only in memory that is locked and
left out of core files."""

import pytest
from support import memory, rpc
from support.fake_ca import FakeCA
from support.meshcert import Agent
from cryptography.hazmat.primitives import serialization

TOKEN = "head-of-a-token.claims-of-a-token.signature-of-a-token"


def count(pid, needle):
    """In each writable mapping that a core file would have."""
    memory.await_rest(pid)
    return sum(data.count(needle) for region, data in memory.image(pid)
               if data and region.rights.startswith("rw")
               and "dd" not in region.flags)


def test_no_token_and_no_key_rests_in_ordinary_memory(
        procs, folder, build, own_memory):
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
