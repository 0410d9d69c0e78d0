"""make bench: what is fast, measured beside what it must cost and beside
peers. See bench/README.md for the method.

    bench/run.py --build build/gcc [--rounds N] [--only in-process,start]
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

TOP = pathlib.Path(__file__).resolve().parent.parent
OUT = TOP / "build/bench"
sys.path.insert(0, str(TOP / "tests"))

import agent  # noqa: E402 (the path comes first)
import chart  # noqa: E402
import idle  # noqa: E402
import issue  # noqa: E402
import measure  # noqa: E402
import results  # noqa: E402
from support import process  # noqa: E402

# What is measured, in this order; and whether the load tools are needed.
PARTS = {"in-process": (issue.in_process, False),
         "long-lived": (issue.long_lived, True),
         "new-connections": (issue.new_connections, True),
         "latency": (issue.latency, True),
         "memory": (agent.memory, True),
         "fetch": (agent.fetch, True),
         "start": (agent.start, True),
         "push": (agent.push, True),
         "idle": (idle.idle, False)}
NO_TOOLS = "load tools not built (make peers)"


def peers():
    """{"istio": folder, "tools": folder}, each None where not built."""
    out = subprocess.run([TOP / "tests/peer/build", "--print"], check=True,
                         stdout=subprocess.PIPE, text=True).stdout
    found = {}
    for line in out.split():
        name, path = line.split("=", 1)
        found[name] = pathlib.Path(path) if os.path.isdir(path) else None
    if found["istio"] is not None:
        os.environ["MESHCERT_PEERS_ISTIO"] = str(found["istio"])
    return found


class Bench:
    """What the parts share: programs, peers, a place for files, the
    figures."""

    def __init__(self, build, folder, procs, rounds):
        self.build, self.procs, self.rounds = build, procs, rounds
        self.results = results.Results()
        self.peers = peers()
        self._folder, self._count = folder, 0
        self._noted = False

    def new_folder(self):
        self._count += 1
        found = self._folder / str(self._count)
        found.mkdir()
        return found

    def note_disk(self, folder):
        """Which disk the record is on, said once."""
        if not self._noted:
            self.results.add("data folder: " + measure.file_system(folder),
                             measure.sync_us(folder), "us a sync")
            self._noted = True

    def settle(self, seconds):
        """What was started comes to rest."""
        time.sleep(seconds)

    def run(self, name):
        function, needs_tools = PARTS[name]
        began = time.monotonic()
        if needs_tools and self.peers["tools"] is None:
            self.results.add(name, None, "", reason=NO_TOOLS)
        else:
            try:
                function(self)
            except (measure.Failed, process.Failed) as why:
                self.results.add(name, None, "", failed=str(why))
        print(f"{name}: {time.monotonic() - began:.0f} s", file=sys.stderr)


def main():
    options = argparse.ArgumentParser(description="benchmarks")
    options.add_argument("--build", type=pathlib.Path, required=True)
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--only", default=",".join(PARTS),
                         help="parts, with commas: " + ", ".join(PARTS))
    given = options.parse_args()
    measure.allow_descriptors()
    with tempfile.TemporaryDirectory(prefix="meshcert-bench-") as folder, \
            process.Processes(folder) as procs:
        # As root, the roles run as users of their own.
        os.chmod(folder, 0o755)
        bench = Bench(given.build.resolve(), pathlib.Path(folder), procs,
                      given.rounds)
        for name in given.only.split(","):
            bench.run(name)
    bench.results.write(OUT / "results.json")
    about = {"date": time.strftime("%Y-%m-%d"), "machine": measure.machine(),
             "rounds": given.rounds, "pairs": bench.results.pairs}
    (OUT / "comparison.json").write_text(json.dumps(about, indent=1) + "\n")
    print(f"{about['machine']}; medians of {given.rounds} rounds")
    bench.results.show()
    chart.draw(about, OUT / "figures.svg")


if __name__ == "__main__":
    main()
