"""Man page and completion of meshcert agree with its option tables."""

import json
import pathlib
import re
import subprocess

import pytest

TOP = pathlib.Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def tables(build):
    done = subprocess.run([build / "meshcert", "--print-options"],
                          capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def sections(page):
    """{command: text} of the .Ss parts."""
    parts = re.split(r"^\.Ss (\w+)$", page, flags=re.M)[1:]
    parts[-1] = parts[-1].split("\n.Sh ")[0]
    return dict(zip(parts[::2], parts[1::2]))


def options_in(text):
    """{(name, letter)} of the .It lines."""
    found = re.findall(r"^\.It (?:Fl (\w) , )?Fl \\-([a-z\\-]+)", text, re.M)
    return {(name.replace("\\-", "-"), letter) for letter, name in found}


def test_man_page_lists_every_command_and_option(tables):
    page = (TOP / "cmd/meshcert/meshcert.1").read_text()
    found = sections(page)
    assert list(found) == list(tables)
    for command, rows in tables.items():
        want = {(row["name"], row["letter"]) for row in rows
                if row["name"] != "help"}
        assert options_in(found[command]) == want, command


def complete(*words):
    """What bash would offer for the last word."""
    script = (f"source {TOP}/deploy/completion/meshcert.bash\n"
              f"COMP_WORDS=({' '.join(repr(w) for w in words)})\n"
              f"COMP_CWORD={len(words) - 1}\n_meshcert\n"
              "printf '%s\\n' \"${COMPREPLY[@]}\"\n")
    done = subprocess.run(["bash", "-c", script], capture_output=True,
                          text=True, check=True)
    return set(done.stdout.split())


def test_completion_offers_every_command_and_option(tables):
    assert complete("meshcert", "") >= set(tables)
    for command, rows in tables.items():
        assert complete("meshcert", command, "--") == {
            "--" + row["name"] for row in rows}, command


def test_completion_offers_values_and_files(tables):
    assert complete("meshcert", "secret", "-o", "") == {"table", "json",
                                                        "yaml"}
    assert str(TOP / "README.md") in complete(
        "meshcert", "inspect", str(TOP / "READ"))


def test_help_of_each_command_names_its_options(build, tables):
    for command, rows in tables.items():
        done = subprocess.run([build / "meshcert", command, "--help"],
                              capture_output=True, text=True, check=False)
        assert done.returncode == 0
        for row in rows:
            assert "--" + row["name"] in done.stdout
        assert max(map(len, done.stdout.splitlines())) <= 80, command


@pytest.mark.parametrize("words", [
    ["nonsense"], [], ["secret", "--nonsense"], ["status", "word"],
    ["request"], ["token"], ["token", "create"], ["verify"], ["inspect"],
    ["init"], ["secret", "-o", "xml"], ["dev", "--ttl", "soon"],
    ["secret", "--socket", "a", "--admin", "b"]])
def test_a_wrong_command_line_is_exit_code_2(build, words):
    done = subprocess.run([build / "meshcert", *words], capture_output=True,
                          text=True, check=False)
    assert done.returncode == 2
    assert done.stderr or not words
