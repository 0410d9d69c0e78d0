"""What the check scripts share: which files there are, C without comments."""

import pathlib
import re
import subprocess
import sys

TOP = pathlib.Path(__file__).resolve().parent.parent


def files(*patterns):
    """Files of the tree (tracked, or new and not ignored), as paths below
    TOP, that match one of the patterns."""
    out = subprocess.run(["git", "ls-files", "-z", "--cached", "--others",
                          "--exclude-standard", "--", *patterns], cwd=TOP,
                         check=True, stdout=subprocess.PIPE).stdout.decode()
    return sorted(pathlib.PurePosixPath(name)
                  for name in set(out.split("\0"))
                  if name and (TOP / name).is_file())


def read(path):
    return (TOP / path).read_text(encoding="utf-8")


_TOKENS = re.compile(r"""/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|"""
                     r"""'(?:\\.|[^'\\\n])*'""", re.DOTALL)


def code_only(text):
    """C text whose comments and literals are blanked; lines stay in place."""
    def blank(found):
        word = found.group(0)
        if word[0] in "\"'":
            return word[0] + word[0]
        return "\n" * word.count("\n")
    return _TOKENS.sub(blank, text)


def allowed(name):
    """An allow-list: lines of words, '#' begins a comment. The last word is
    a count that may only go down. Returns {words before it: count}."""
    rows = {}
    for line in read(pathlib.PurePosixPath("tools") / name).splitlines():
        words = line.split("#")[0].split()
        if words:
            rows[tuple(words[:-1])] = int(words[-1])
    return rows


def compare(found, name, what):
    """Complaints where found, {key: count}, is above the allow-list, or
    below it: a list that may only shrink is kept as short as the truth."""
    limits = allowed(name)
    complaints = []
    for key in sorted(set(found) | set(limits)):
        have, limit = found.get(key, 0), limits.get(key, 0)
        if have > limit:
            complaints.append(f"{' '.join(key)}: {have} {what}, "
                              f"{limit} allowed")
        elif have < limit:
            complaints.append(f"{' '.join(key)}: only {have} {what}: lower "
                              f"its line in tools/{name}")
    return complaints


def finish(complaints):
    for line in complaints:
        print(line)
    sys.exit(1 if complaints else 0)
