"""The house rules' scripts find what they are there to find."""

import pathlib
import shutil
import subprocess

import pytest

TOP = pathlib.Path(__file__).resolve().parent.parent.parent
GOOD = """/* x.h - a module for this test. */
#ifndef EV_X_H
#define EV_X_H

/* Does x. */
int x_do(int a);

#endif
"""


@pytest.fixture
def tree(tmp_path):
    shutil.copytree(TOP / "tools", tmp_path / "tools",
                    ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(TOP / "third_party", tmp_path / "third_party")
    shutil.copy(TOP / ".clang-format", tmp_path)
    for name in ("banned-allowed", "sizes-allowed"):
        (tmp_path / "tools" / name).write_text("")
    put(tmp_path, "lib/ev/x.h", GOOD)
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    return tmp_path


def put(tree, name, text):
    path = tree / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def check(tree, name):
    done = subprocess.run([tree / f"tools/check-{name}"], cwd=tree,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, check=False)
    return done.returncode, done.stdout


@pytest.mark.parametrize("name", ["format", "layers", "headers", "banned",
                                  "sizes", "docs"])
def test_a_good_file_passes(tree, name):
    assert check(tree, name) == (0, "")


LONG = "int\nf(void)\n{\n" + "\tg();\n" * 60 + "}\n"
LEFT = "/* TO" + "DO: later */\n"
BAD = [
    ("format", "lib/ev/x.c", "int f( void ){return 1;}\n", "lib/ev/x.c"),
    ("layers", "lib/ev/x.c", '#include "h2/h2.h"\n', "stands above"),
    ("layers", "lib/h2/h2.c", "#include <uv.h>\n", "only lib/ev"),
    ("layers", "lib/ev/x.c", '#include "proto/a.pb-c.h"\n', "lib/h2"),
    ("layers", "lib/ev/x.c", "#include <openssl/ssl.h>\n", "only lib/tls"),
    ("layers", "lib/strange/x.c", "\n", "has no line in tools/layers"),
    ("layers", "cmd/ca/x.c", '#include "agent/y.h"\n', "is a program"),
    ("headers", "lib/ev/y.h", "size_t f(void);\n", "does not compile alone"),
    ("banned", "lib/ev/x.c", "\tstrcpy(a, b);\n", "strcpy: use"),
    ("banned", "lib/ev/x.c", "\tp = malloc(4);\n", "1 calls, 0 allowed"),
    ("banned", "lib/ev/x.c", "\tmemcmp(a, secret, 4);\n", "secret_eq"),
    ("banned", "lib/ev/x.c", LEFT, "unfinished work"),
    ("banned", "tools/banned-allowed", "lib/ev/a.c free 2\n", "lower its"),
    ("sizes", "lib/ev/x.c", LONG, "f: 63 lines, 0 allowed"),
    ("sizes", "lib/ev/x.c", "\n" * 801, "file: 801 lines"),
    ("sizes", "lib/ev/x.c", "\t" * 10 + "x = y;\n", "80 columns"),
    ("docs", "lib/ev/y.h", "int y_do(void);\n", "y_do has no comment"),
    ("docs", "cmd/ca/x.8", ".Dd now\n.Dt X 8\n.Sh NAME\n.Xx\n", "x.8"),
]


@pytest.mark.parametrize("name,path,text,complaint", BAD,
                         ids=[row[3].replace(" ", "_") for row in BAD])
def test_a_bad_file_is_named(tree, name, path, text, complaint):
    put(tree, "lib/h2/h2.h", "/* h2.h - above ev. */\n")
    put(tree, "cmd/agent/y.h", "/* y.h - of another program. */\n")
    put(tree, path, text)
    code, output = check(tree, name)
    assert code == 1
    assert complaint in output


def test_what_a_comment_or_string_says_is_no_call(tree):
    put(tree, "lib/ev/x.c", '/* malloc(1) */\nconst char *x = "free(p)";\n')
    assert check(tree, "banned") == (0, "")
