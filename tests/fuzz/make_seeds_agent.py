"""Writes the seeds of fuzz_agent_answer: python3 tests/fuzz/make_seeds_agent.py

Answers of a CA, packed by hand: field 1 is repeated, one text each."""
import pathlib
import sys

HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE.parent))
from support import pki  # noqa: E402

SEEDS = HERE / "seeds" / "agent_answer"
ME = "spiffe://td.test/ns/shop/sa/web"


def answer(*texts):
    out = b""
    for text in texts:
        data = text.encode()
        out += b"\x0a" + bytes([len(data) & 0x7f | 0x80, len(data) >> 7])
        out += data
    return out


root = pki.TestCA("r", parent=None)
middle = pki.TestCA("m", parent=root)
roots = pki.cert_pem(root.cert)
leaf = pki.cert_pem(root.issue(pki.new_key(), uris=[ME]))
deep = pki.cert_pem(middle.issue(pki.new_key(), uris=[ME]))
SEEDS.mkdir(parents=True, exist_ok=True)
(SEEDS / "leaf").write_bytes(answer(leaf, roots))
(SEEDS / "intermediate").write_bytes(
    answer(deep, middle.chain_pem(), roots))
(SEEDS / "stranger").write_bytes(answer(
    pki.cert_pem(root.issue(pki.new_key(), uris=[ME + "2"])), roots))
(SEEDS / "long").write_bytes(answer(leaf, *[middle.chain_pem()] * 9, roots))
(SEEDS / "many").write_bytes(answer(*["x"] * 70))
(SEEDS / "no-message").write_bytes(answer(leaf, roots) + b"\x0b")
(SEEDS / "other-fields").write_bytes(answer(leaf, roots) + b"\x10\x07")
(SEEDS / "two-in-one").write_bytes(answer(leaf + leaf, roots))
(SEEDS / "chain-no-pem").write_bytes(answer(leaf, "x", roots))
(SEEDS / "not-below").write_bytes(answer(deep, roots))
(SEEDS / "root-no-ca").write_bytes(answer(leaf, leaf))
(SEEDS / "no-roots").write_bytes(answer(leaf, "x"))
(SEEDS / "one").write_bytes(answer(leaf))
(SEEDS / "no-pem").write_bytes(b"\x0a\x01a\x0a\x01b")
