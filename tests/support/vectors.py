"""What tests/unit/vectors.c says of signatures."""

import subprocess


def judge(build, rows):
    """rows: a form and its fields, as vectors.c has them; bytes become
    hexadecimal. The answers in order: "ok", "signature", ..."""
    lines = "".join(" ".join(
        (f.hex() if isinstance(f, bytes) else f) or "-" for f in row) + "\n"
        for row in rows)
    done = subprocess.run([build / "tests/vectors"], input=lines, check=True,
                          stdout=subprocess.PIPE, text=True, timeout=120)
    answers = done.stdout.split()
    assert len(answers) == len(rows) > 0
    return answers
