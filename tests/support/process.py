"""Processes that end with their owner."""

import collections
import contextlib
import functools
import os
import pathlib
import re
import select
import signal
import subprocess
import threading
import time

WAIT = 20.0  # default deadline of whatever is awaited, seconds


class Failed(AssertionError):
    """What was awaited did not come."""


def until(check, what, seconds=WAIT, alive=None):
    """Calls check() until it gives something true, which is returned. For
    what has no event to wait for. alive: a Process that must not end."""
    end = time.monotonic() + seconds
    while True:
        found = check()
        if found:
            return found
        if alive is not None and alive.poll() is not None:
            raise Failed(f"{alive.name} ended with {alive.poll()} before "
                         f"{what}\n{alive.tail()}")
        if time.monotonic() > end:
            tail = "" if alive is None else "\n" + alive.tail()
            raise Failed(f"{seconds:.0f} s passed before {what}{tail}")
        time.sleep(0.02)


class Process:
    """A child whose output (both streams) is read line by line: it can be
    awaited, and is kept in a log file."""

    def __init__(self, name, argv, folder, env=None, cwd=None, uid=None,
                 stdin=subprocess.DEVNULL, pass_fds=()):
        self.name = name
        self.log_path = pathlib.Path(folder) / f"{name}.log"
        self._lines = []
        self._done = False
        self._news = threading.Condition()
        full = dict(os.environ if env is None else env)
        user = {} if uid is None else {"user": uid, "group": uid,
                                       "extra_groups": []}
        self.child = subprocess.Popen(
            [str(word) for word in argv], stdin=stdin, env=full, cwd=cwd,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            pass_fds=pass_fds, **user)
        self.pid = self.child.pid
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()

    def _read(self):
        with open(self.log_path, "ab") as log:
            for raw in self.child.stdout:
                log.write(raw)
                log.flush()
                with self._news:
                    self._lines.append(raw.decode(errors="replace")
                                       .rstrip("\n"))
                    self._news.notify_all()
        with self._news:
            self._done = True
            self._news.notify_all()

    def poll(self):
        """The exit code, None while it runs."""
        return self.child.poll()

    def lines(self):
        with self._news:
            return list(self._lines)

    def mark(self):
        """A place in the output, for await_line(since=...)."""
        with self._news:
            return len(self._lines)

    def tail(self, count=40):
        with self._news:
            last = self._lines[-count:]
        return "\n".join(f"  {self.name}| {line}" for line in last)

    def await_line(self, pattern, seconds=WAIT, since=0):
        """The first match of pattern in a line from since on."""
        want, end, at = re.compile(pattern), time.monotonic() + seconds, since
        with self._news:
            while True:
                for line in self._lines[at:]:
                    found = want.search(line)
                    if found:
                        return found
                at = len(self._lines)
                left = end - time.monotonic()
                if self._done or left <= 0:
                    break
                self._news.wait(left)
        how = "ended" if self._done else f"{seconds:.0f} s passed"
        raise Failed(f"{self.name} {how} before a line like {pattern!r}\n"
                     f"{self.tail()}")

    def signal(self, signo):
        if self.child.poll() is None:
            self.child.send_signal(signo)

    def wait(self, seconds=WAIT):
        """Waits for its end; the exit code."""
        try:
            code = self.child.wait(seconds)
        except subprocess.TimeoutExpired:
            raise Failed(f"{self.name} still runs after {seconds:.0f} s\n"
                         f"{self.tail()}") from None
        self._reader.join(2)
        return code

    def end(self, seconds=WAIT):
        """Asks it to end, then makes it; the exit code."""
        self.signal(signal.SIGTERM)
        try:
            code = self.child.wait(seconds)
        except subprocess.TimeoutExpired:
            self.child.kill()
            code = self.child.wait()
        self._reader.join(2)
        return code


class Processes:
    """All children of one test, ended in reverse order."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self._all = []
        self._names = collections.Counter()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()

    def start(self, name, argv, **more):
        self._names[name] += 1
        if self._names[name] > 1:
            name = f"{name}-{self._names[name]}"
        child = Process(name, argv, self.folder, **more)
        self._all.append(child)
        return child

    def end(self):
        for child in reversed(self._all):
            child.end()

    def logs(self):
        """(name, text) of each, for the report of a failure."""
        return [(c.name, c.tail(400)) for c in self._all]


def ended(pid):
    """Whether that process is dead, reaped or not. If it leaves a core, that is
    written by then."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
            return stat.read().rsplit(")", 1)[1].split()[0] in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return True


@contextlib.contextmanager
def left_open(procs):
    """What procs starts inside is given a descriptor that it was not meant to
    have. Gives a function for afterwards: whether any process still has it. A
    pipe says so to everybody; /proc/PID/fd only to root, where a program is
    not dumpable."""
    read, write = (os.fdopen(fd, mode, 0)
                   for fd, mode in zip(os.pipe(), ("rb", "wb")))
    start = procs.start
    procs.start = functools.partial(start, pass_fds=[write.fileno()])
    with write:
        yield lambda: not select.select([read], [], [], 0)[0]
    procs.start = start


def roles_of(pid):
    """{role: [pids]}: a supervisor's children by their --role argument, or
    by their program's name where they are programs of their own."""
    roles = collections.defaultdict(list)
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            try:
                words = pathlib.Path(f"/proc/{child}/cmdline") \
                    .read_bytes().decode(errors="replace").split("\0")
            # It has just ended; between open and read that is ESRCH.
            except (FileNotFoundError, ProcessLookupError):
                continue
            if words == [""]:  # ended, and not yet waited for
                continue
            role = words[words.index("--role") + 1] \
                if "--role" in words else pathlib.Path(words[0]).name
            roles[role].append(int(child))
    return dict(roles)
