"""A wall clock for one process alone, which a test sets: libfaketime. The
monotonic clock, and the machine's clocks, stay as they are."""

import pathlib


def library():
    for path in pathlib.Path("/usr/lib").glob("*/faketime/libfaketime.so.1"):
        return path
    raise FileNotFoundError("libfaketime: run tools/deps")


class Clock:
    """time: "+0" (the right one), "-1h", "+3650d", "@1970-01-01 00:00:10".
    The process must be able to read self.folder all the time."""

    def __init__(self, folder, time="+0"):
        self.folder = pathlib.Path(folder) / "clock"
        self.folder.mkdir()
        self.folder.chmod(0o755)
        self._path = self.folder / "time"
        self.set(time)

    def set(self, time):
        fresh = self._path.with_suffix(".new")
        fresh.write_text(time + "\n")
        fresh.rename(self._path)

    def env(self):
        """For the process that gets this clock."""
        return {"LD_PRELOAD": str(library()),
                "FAKETIME_TIMESTAMP_FILE": str(self._path),
                "FAKETIME_NO_CACHE": "1",
                "FAKETIME_DONT_FAKE_MONOTONIC": "1",
                # A sanitizer would be the first library.
                "ASAN_OPTIONS": "verify_asan_link_order=0"}
