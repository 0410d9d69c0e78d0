"""What a process used, what a disk costs, and what a load tool says."""

import json
import os
import pathlib
import platform
import re
import resource
import statistics
import subprocess
import time


class Failed(Exception):
    """What was to be measured could not be done; others go on."""


def family(pid):
    """The process and all that it started."""
    found = [pid]
    for one in found:
        for task in pathlib.Path(f"/proc/{one}/task").glob("*/children"):
            found += [int(word) for word in task.read_text().split()]
    return found


def memory_kb(pid):
    """{"Rss": kB, "Private_Dirty": kB, ...} of one process. The sync comes
    first: a freshly linked program's own pages count as dirty until then."""
    os.sync()
    rows = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return {words[0].rstrip(":"): int(words[1])
            for words in map(str.split, rows[1:]) if len(words) == 3}


def pss_kb(pid):
    """Of a family together: shared pages counted once."""
    return sum(memory_kb(one)["Pss"] for one in family(pid))


def wakeups(pid):
    """{process: how often its threads have blocked} of a family. Who blocks
    again has been woken."""
    found = {}
    for one in family(pid):
        found[one] = sum(
            int(line.split()[1])
            for status in pathlib.Path(f"/proc/{one}/task").glob("*/status")
            for line in status.read_text().splitlines()
            if line.startswith("voluntary_ctxt_switches"))
    return found


def file_system(folder):
    """"ext4 on /" of the mount that holds folder."""
    best = ("", "unknown")
    real = str(pathlib.Path(folder).resolve())
    for line in pathlib.Path("/proc/mounts").read_text().splitlines():
        _, at, kind = line.split()[:3]
        if (real + "/").startswith(at.rstrip("/") + "/") and \
                len(at) >= len(best[0]):
            best = (at, kind)
    return f"{best[1]} on {best[0]}"


def sync_us(folder, rounds=100):
    """Median time of a 4 kB append and its fdatasync."""
    path, times = pathlib.Path(folder) / "sync-probe", []
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        for _ in range(rounds):
            start = time.perf_counter()
            os.write(fd, bytes(4096))
            os.fdatasync(fd)
            times.append((time.perf_counter() - start) * 1e6)
    finally:
        os.close(fd)
        path.unlink()
    return statistics.median(times)


def allow_descriptors():
    """As many as the system lets a process have; children inherit it."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def run_json_at_once(count, argv, seconds=300, env=None):
    """The last lines that so many runs of a command print, as JSON."""
    words = [str(word) for word in argv]
    runs = [subprocess.Popen(words, stdin=subprocess.DEVNULL, env=env,
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                             text=True) for _ in range(count)]
    rows = []
    for run in runs:
        out, err = run.communicate(timeout=seconds)
        if run.returncode != 0:
            raise Failed(f"{words[0]} ended with {run.returncode}: {err}")
        rows.append(json.loads(out.splitlines()[-1]))
    return rows


def run_json(argv, seconds=300, env=None):
    return run_json_at_once(1, argv, seconds, env)[0]


def machine():
    """"x86_64, 2 cores (MODEL), Linux 6.1"."""
    found = re.search(r"^model name\s*: (.*)$",
                      pathlib.Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    model = f" ({' '.join(found.group(1).split())})" if found else ""
    return (f"{platform.machine()}, {os.cpu_count()} cores{model}, Linux "
            f"{platform.release()}")
