"""Private keys looked for where they may be: in memory images, core files and
files, in every form that our programs know them in."""

import base64
import collections
import dataclasses
import os
import pathlib
import platform
import re
import struct
import sys

from cryptography.hazmat.primitives.asymmetric import rsa

from .process import until

_HEAD = re.compile(r"^([0-9a-f]+)-([0-9a-f]+) (\S+) \S+ \S+ \S+ *(.*)$")
_STEP = 1 << 22


@dataclasses.dataclass
class Region:
    """A mapping of a process, with its flags of smaps (proc(5))."""
    start: int
    end: int
    rights: str
    path: str
    flags: frozenset = frozenset()

    @property
    def is_guarded(self):
        """Not swapped out, and in no core file."""
        return {"lo", "dd"} <= self.flags

    def __str__(self):
        return f"{self.start:x}-{self.end:x} {self.rights} {self.path}"


def regions(pid):
    found = []
    for line in pathlib.Path(f"/proc/{pid}/smaps").read_text().splitlines():
        head = _HEAD.match(line)
        if head:
            found.append(Region(int(head[1], 16), int(head[2], 16), head[3],
                                head[4]))
        elif line.startswith("VmFlags:"):
            found[-1].flags = frozenset(line.split()[1:])
    return found


def _base64(raw):
    """What stands in base64 text of which raw is a part: three alignments,
    and two pieces, one behind the other, of which a line break spares one."""
    for shift in range(3):
        text = base64.b64encode(bytes(shift) + raw)
        whole = text[(shift * 8 + 5) // 6:(shift + len(raw)) * 8 // 6]
        yield whole[:20]
        yield whole[20:40]


def numbers_of(key):
    """The secret numbers of a private key, big-endian."""
    if isinstance(key, rsa.RSAPrivateKey):
        n = key.private_numbers()
        return [x.to_bytes(key.key_size // 16, "big") for x in (n.p, n.q)]
    scalar = key.private_numbers().private_value
    return [scalar.to_bytes((key.key_size + 7) // 8, "big")]


def forms(key):
    """{form: [bytes]}. Big-endian is what DER has (PKCS#8, RFC 5915, RFC
    8017); little-endian is what the library's limbs are."""
    found = {"big-endian": [], "little-endian": [], "base64": [], "hex": []}
    for number in numbers_of(key):
        found["big-endian"].append(number)
        found["little-endian"].append(number[::-1])
        found["base64"] += _base64(number)
        found["hex"] += [number.hex().encode(),
                         number.hex().upper().encode()]
    return found


def _count(data, key):
    return {form: sum(data.count(needle) for needle in needles)
            for form, needles in forms(key).items()
            if any(needle in data for needle in needles)}


def image(pid):
    """(region, bytes) of each mapping; None where not even root can read:
    memory that the kernel took out of its own map, or the kernel's own."""
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        for region in regions(pid):
            data = b""
            try:
                memory.seek(region.start)
                while len(data) < region.end - region.start:
                    part = memory.read(min(_STEP, region.end - region.start
                                           - len(data)))
                    if not part:
                        break
                    data += part
            except (OSError, OverflowError, ValueError):
                data = data or None
            yield region, data


def await_rest(pid):
    """Waits until it waits: bytes that it is just writing are in a buffer,
    which is wiped when the write returns."""
    until(lambda: pathlib.Path(f"/proc/{pid}/stat").read_text()
          .rsplit(")", 1)[1].split()[0] == "S", "it rests")


def copies(pid, key):
    """[(region, {form: count})] of the readable memory of a process."""
    await_rest(pid)
    found = []
    for region, data in image(pid):
        forms_here = _count(data, key) if data else {}
        if forms_here:
            found.append((region, forms_here))
    return found


def in_file(path, key):
    """{form: count}."""
    return _count(pathlib.Path(path).read_bytes(), key)


def in_core(path, key):
    """{form: count} of the memory in a core file (ELF64, its PT_LOADs). Not
    of its notes: there are the processor's registers, and in them what was
    copied last, a key on its way to a proxy for one."""
    data = pathlib.Path(path).read_bytes()
    (table,), (cnt,) = struct.unpack_from("<Q", data, 32), \
        struct.unpack_from("<H", data, 56)
    found = collections.Counter()
    for i in range(cnt):
        kind, _, at, _, _, size = struct.unpack_from("<IIQQQQ", data,
                                                     table + 56 * i)
        if kind == 1:
            found.update(_count(data[at:at + size], key))
    return dict(found)


def files_with(folder, key):
    return sorted(str(path.relative_to(folder))
                  for path in pathlib.Path(folder).rglob("*")
                  if path.is_file() and not path.is_symlink()
                  and in_file(path, key))


def is_secret_memory(region):
    """Of memfd_secret(2)."""
    return "secretmem" in region.path


# -- cores

CORE_PATTERN = pathlib.Path("/proc/sys/kernel/core_pattern")


class Cores:
    """Cores of dying processes go to a folder; what the kernel is told for the
    whole machine is put back. as_file: the kernel writes them as it usually
    does. Else a program of ours gets them, for which the limit of a process
    (RLIMIT_CORE) does not count."""

    def __init__(self, folder, as_file):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(exist_ok=True)
        self.folder.chmod(0o777)  # roles have users of their own
        writer = self.folder / "writer"
        writer.write_text(f"#!/bin/sh\ncat >{self.folder}/part.$1\n"
                          f"mv {self.folder}/part.$1 {self.folder}/core.$1\n")
        writer.chmod(0o755)
        self._pattern = f"{self.folder}/core.%p" if as_file \
            else f"|{writer} %p"

    def __enter__(self):
        self._old = CORE_PATTERN.read_text()
        CORE_PATTERN.write_text(self._pattern)
        return self

    def __exit__(self, *_):
        CORE_PATTERN.write_text(self._old)

    def of(self, pid):
        """The core file of a process that has ended; None: there is none."""
        path = self.folder / f"core.{pid}"
        return path if path.exists() else None


# -- guards taken away

_NUMBERS = {"x86_64": {"memfd_secret": 447, "prctl": 157, "madvise": 28},
            "aarch64": {"memfd_secret": 447, "prctl": 167, "madvise": 233}}
_ENOSYS, _DONE = 0x00050026, 0x00050000  # SECCOMP_RET_ERRNO
# What the kernel pretends: (call, argument, its value, answer)
_GUARDS = {"secret memory": ("memfd_secret", None, None, _ENOSYS),
           "not dumpable": ("prctl", 0, 4, _DONE),
           "not in cores": ("madvise", 2, 16, _DONE)}

_WITHOUT = """#!{python}
import ctypes, os, struct, sys
code = b""
for nr, arg, value, answer in {rules!r}:
    tail = struct.pack("HBBI", 0x06, 0, 0, answer)
    if arg is not None:
        tail = struct.pack("HBBI", 0x20, 0, 0, 16 + 8 * arg) \\
            + struct.pack("HBBI", 0x15, 0, 1, value) + tail
    code += struct.pack("HBBI", 0x20, 0, 0, 0) \\
        + struct.pack("HBBI", 0x15, 0, len(tail) // 8, nr) + tail
code += struct.pack("HBBI", 0x06, 0, 0, 0x7fff0000)
room = ctypes.create_string_buffer(code)
prog = ctypes.create_string_buffer(
    struct.pack("H6xP", len(code) // 8, ctypes.addressof(room)))
libc = ctypes.CDLL(None, use_errno=True)
assert libc.prctl(38, 1, 0, 0, 0) == 0
assert libc.prctl(22, 2, prog, 0, 0) == 0
os.execv({program!r}, sys.argv)
"""


def without(guards, program, folder):
    """A program that starts this one, and all that comes of it, on a kernel
    that only pretends to guard (names of _GUARDS)."""
    numbers = _NUMBERS[platform.machine()]
    rules = [(numbers[call], arg, value, answer)
             for call, arg, value, answer in (_GUARDS[g] for g in guards)]
    path = pathlib.Path(folder) / f"unguarded-{pathlib.Path(program).name}"
    path.write_text(_WITHOUT.format(python=sys.executable, rules=rules,
                                    program=str(program)))
    path.chmod(0o755)
    return path


def is_root():
    return os.geteuid() == 0
