"""What a process used, what a disk costs, and the table of figures."""

import json
import os
import pathlib
import statistics
import subprocess
import time

TICK = os.sysconf("SC_CLK_TCK")


def family(pid):
    """The process and all that it started."""
    found = [pid]
    for one in found:
        for task in pathlib.Path(f"/proc/{one}/task").glob("*/children"):
            found += [int(word) for word in task.read_text().split()]
    return found


def cpu_us(pid):
    """User and system time of a family, microseconds."""
    ticks = 0
    for one in family(pid):
        text = pathlib.Path(f"/proc/{one}/stat").read_text()
        words = text[text.rindex(")") + 2:].split()
        ticks += int(words[11]) + int(words[12])
    return ticks * 1e6 / TICK


def memory_kb(pid):
    """{"Rss": kB, "Private_Dirty": kB, ...} of one process. The sync comes
    first: a freshly linked program's own pages count as dirty until then."""
    os.sync()
    rows = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return {words[0].rstrip(":"): int(words[1])
            for words in map(str.split, rows[1:]) if len(words) == 3}


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


def run_json_at_once(count, argv, seconds=300):
    """The last lines that so many runs of a command print, as JSON."""
    words = [str(word) for word in argv]
    runs = [subprocess.Popen(words, stdin=subprocess.DEVNULL,
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                             text=True) for _ in range(count)]
    rows = []
    for run in runs:
        out, err = run.communicate(timeout=seconds)
        if run.returncode != 0:
            raise RuntimeError(f"{words[0]} ended with {run.returncode}:\n"
                               f"{err}")
        rows.append(json.loads(out.splitlines()[-1]))
    return rows


def run_json(argv, seconds=300):
    return run_json_at_once(1, argv, seconds)[0]


class Results:
    """The figures: a table for people, a list for programs. met is null
    where a bar has nothing of the same run to compare with; reason says
    what is missing."""

    def __init__(self):
        self.rows = []

    def add(self, name, value, unit, bar=None, most=None, least=None,
            reason=None):
        """bar: its text; most or least: its number."""
        met = None
        if value is not None and reason is None:
            if most is not None:
                met = value <= most
            elif least is not None:
                met = value >= least
        row = {"name": name, "value": value, "unit": unit, "bar": bar,
               "met": met}
        if reason is not None:
            row["reason"] = reason
        self.rows.append(row)

    def write(self, path):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(self.rows, indent=1) + "\n")

    def show(self):
        wide = max(len(row["name"]) for row in self.rows)
        for row in self.rows:
            value = "-" if row["value"] is None else f"{row['value']:.2f}" \
                if isinstance(row["value"], float) else str(row["value"])
            met = {True: "met", False: "NOT MET", None: ""}[row["met"]]
            print(f"{row['name']:{wide}}  {value:>10} {row['unit']:<10}"
                  f" {row['bar'] or '':<12} {row.get('reason', met)}")
