"""The test's side of lib/base/fail.h: what shall happen at which point, and
which points were visited. Only programs built with FAIL=1 take notice."""

import mmap
import pathlib
import re
import struct

from .process import until

NONE, ERROR, KILL, PAUSE, SHORT = range(5)
_ROWS, _NAME, _SIZE, _READY = 256, 72, 96, 2
_NUMBERS = struct.Struct("<6I")  # state visits action left arg fired
_STATE, _VISITS, _ACTION, _LEFT, _ARG, _FIRED = range(6)
TOP = pathlib.Path(__file__).resolve().parent.parent.parent


def declared():
    """{name: file} of every fail_point of the sources."""
    found = {}
    for folder in ("lib", "cmd"):
        for path in sorted((TOP / folder).rglob("*.c")):
            for name in re.findall(r'fail_point\("([^"]+)"\)',
                                   path.read_text()):
                assert name not in found, f"{path}: {name} stands twice"
                found[name] = str(path.relative_to(TOP))
    return found


class Failpoints:
    """A table of failpoints in a folder; .env is what the programs want.
    Points are named "ROLE:POINT": "authority:libc.sync"."""

    def __init__(self, folder):
        self.path = pathlib.Path(folder) / "failpoints"
        self.log_path = pathlib.Path(folder) / "failpoints.log"
        self.path.write_bytes(bytes(_ROWS * _SIZE))
        self.log_path.touch()
        for path in (self.path, self.log_path):
            path.chmod(0o666)  # roles drop to users of their own
        self.env = {"MESHCERT_FAIL": str(self.path)}
        with open(self.path, "r+b") as file:
            self._map = mmap.mmap(file.fileno(), _ROWS * _SIZE)

    def close(self):
        self._map.close()

    # -- rows

    def _find(self, name):
        """Where its row begins; made if it is not there. The programs make
        rows, too: a new one is taken while none of them is at work."""
        for at in range(0, _ROWS * _SIZE, _SIZE):
            if self._get(at, _STATE) == 0:
                raw = name.encode()
                self._map[at:at + _NAME] = raw.ljust(_NAME, b"\0")
                self._set(at, _STATE, _READY)
                return at
            if self._name(at) == name:
                return at
        raise AssertionError("the table of failpoints is full")

    def _name(self, at):
        return self._map[at:at + _NAME].split(b"\0")[0].decode()

    def _get(self, at, what):
        return struct.unpack_from("<I", self._map, at + _NAME + 4 * what)[0]

    def _set(self, at, what, value):
        struct.pack_into("<I", self._map, at + _NAME + 4 * what,
                         value & 0xffffffff)

    # -- what shall happen

    def arm(self, name, action, nth=1, arg=0):
        """At the nth visit from now; nth=0: at each. arg: an errno."""
        at = self._find(name)
        self._set(at, _ACTION, NONE)
        self._set(at, _FIRED, 0)
        self._set(at, _ARG, arg)
        self._set(at, _LEFT, nth)
        self._set(at, _ACTION, action)

    def disarm(self, name):
        self._set(self._find(name), _ACTION, NONE)

    def set_clock(self, role, seconds):
        """The role's wall clock goes so much before (or behind) the real
        one."""
        self._set(self._find(f"{role}:libc.clock"), _ARG, seconds)

    # -- what happened

    def fired(self, name):
        return self._get(self._find(name), _FIRED)

    def await_fired(self, name, alive=None):
        until(lambda: self.fired(name), f"{name} was reached", alive=alive)

    def visits(self, name):
        return self._get(self._find(name), _VISITS)

    def visited(self):
        """{row's name: count} of all points that were passed."""
        found = {}
        for at in range(0, _ROWS * _SIZE, _SIZE):
            if self._get(at, _STATE) != _READY:
                break
            if self._get(at, _VISITS):
                found[self._name(at)] = self._get(at, _VISITS)
        return found

    def log(self):
        """[(nanoseconds, pid, row's name)] in order."""
        rows = [line.split(" ", 2)
                for line in self.log_path.read_text().splitlines()]
        return sorted((int(ns), int(pid), name) for ns, pid, name in rows)
