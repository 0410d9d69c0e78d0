"""Man pages agree with the programs' own tables."""

import pathlib
import subprocess

import pytest

TOP = pathlib.Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("program", ["meshcert-ca", "meshcert-agent"])
def test_man_page_lists_every_option_and_key(build, program):
    done = subprocess.run([TOP / "tools/man-keys", "--build", build, program],
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
