"""What the attacks of tests/flow/test_h2_attacks.py cost us and the attacker.

    bench/attacks.py --build build/gcc [--connections N]

For each attack: CPU of the authority and of the attacker (this process, in
Python: a real one is cheaper) for each connection, until it is cut off, and
for each unit of the attack. The first row is the yardstick: a connection that
asks for nothing. Whoever is cut off must pay that again, and so must we."""

import argparse
import pathlib
import sys
import tempfile
import time

TOP = pathlib.Path(__file__).resolve().parent.parent
sys.path[:0] = [str(TOP / "tests"), str(TOP / "tests/flow")]

import measure  # noqa: E402 (the path comes first)
import test_h2_attacks as attacks  # noqa: E402
from support import h2raw, tokens  # noqa: E402
from support.meshcert import Authority  # noqa: E402
from support.process import Processes  # noqa: E402


def cpu_us(pids):
    """CPU that the kernel's scheduler has counted for them."""
    return sum(int(pathlib.Path(f"/proc/{pid}/schedstat").read_text()
                   .split()[0]) for pid in pids) / 1000


def one_connection(server, root, unit):
    """Units sent until the end."""
    with h2raw.Client(server.target, root) as client:
        if unit is None:
            client.until(lambda: client.acks > 0)
            return 0
        return attacks.is_cut_after(client, unit)


def row(server, root, pids, name, unit, count):
    before, mine, units = cpu_us(pids), time.process_time(), 0
    for _ in range(count):
        units += one_connection(server, root, unit)
    time.sleep(0.1)  # the last one's end is still handled
    ours = (cpu_us(pids) - before) / count
    theirs = (time.process_time() - mine) * 1e6 / count
    units /= count
    each = f"{ours / units:9.2f}" if units >= 1 else f"{'':9}"
    print(f"{name:32} {units:8.0f} {ours:10.0f} {theirs:10.0f} {each}",
          flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--build", type=pathlib.Path, required=True)
    parser.add_argument("--connections", type=int, default=10)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="meshcert-") as name:
        folder = pathlib.Path(name)
        folder.chmod(0o755)
        issuer = tokens.Issuer("RS256")
        with Processes(folder) as procs:
            server = Authority(procs, folder, args.build.resolve(),
                               {"fronts": 1}, issuer=issuer).start()
            pids = measure.family(server.process.pid)
            root = server.root_pem()
            block = h2raw.request_block(token=issuer.token("shop", "cart"))
            print(f"{'microseconds of CPU':32} {'units':>8} {'ours':>10} "
                  f"{'attacker':>10} {'our unit':>9}")
            row(server, root, pids, "a connection alone", None,
                args.connections)
            for attack in attacks.FLOODS:
                row(server, root, pids, attack.__name__, attack(block),
                    args.connections)


if __name__ == "__main__":
    main()
