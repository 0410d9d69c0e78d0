"""Is a process' memory flat? Samples over time, and a verdict that also finds
a small leak.

A sample falls anywhere in a rotation, whose TLS connection and answer are a
burst of some hundred kilobytes. So time is cut into buckets of several
rotations, of which only the least is kept: the state at rest. Through these
minima goes a Theil-Sen line (the median of the slopes of all pairs), which
single outliers do not move. Memory is flat where that line rises by no more
than LIMIT over the window that is judged.

The first part of a run is not judged: caches fill, the allocator finds its
size.
"""

import pathlib
import statistics

WARM_UP = 0.25  # part of the run that is not judged
BUCKETS = 24
LIMIT_KB = 64


def memory_of(pid):
    """{"rss", "dirty", "fds"}: kilobytes, and open descriptors. None where it
    has ended. Dirty: private and written to; what is only read (programs,
    libraries) is private or shared by who else runs on the machine."""
    try:
        rows = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
        fds = len(list(pathlib.Path(f"/proc/{pid}/fd").iterdir()))
    except (FileNotFoundError, ProcessLookupError):
        return None
    kb = {}
    for row in rows.splitlines()[1:]:
        name, value, *_ = row.replace(":", "").split()
        kb[name] = int(value)
    return {"rss": kb["Rss"], "fds": fds,
            "dirty": kb["Private_Dirty"]}


def minima(samples, buckets=BUCKETS):
    """[(time, least)] of [(time, value)], cut by time."""
    first, last = samples[0][0], samples[-1][0]
    width = (last - first) / buckets or 1.0
    least = {}
    for when, value in samples:
        at = min(int((when - first) / width), buckets - 1)
        if at not in least or value < least[at][1]:
            least[at] = (when, value)
    return [least[at] for at in sorted(least)]


def slope(points):
    """Theil-Sen: the median of the slopes of all pairs."""
    found = [(v2 - v1) / (t2 - t1)
             for i, (t1, v1) in enumerate(points)
             for t2, v2 in points[i + 1:] if t2 > t1]
    return statistics.median(found) if found else 0.0


def judged(samples):
    """What is left of [(time, value)] behind the warm-up."""
    first, last = samples[0][0], samples[-1][0]
    since = first + WARM_UP * (last - first)
    return [row for row in samples if row[0] >= since]


def growth(samples):
    """By how much the line through the rest states rises over the window
    that is judged."""
    points = minima(judged(samples))
    return slope(points) * (points[-1][0] - points[0][0])
