"""What the linker made of it."""

import pathlib
import subprocess

import pytest
from support import fail

PROGRAMS = ("meshcert-ca", "meshcert-agent", "meshcert", "meshcert-fetch")
# Names that AWS-LC surely has, in each of its two libraries.
LIBCRYPTO, LIBSSL = "EVP_DigestSign", "SSL_do_handshake"


def symbols(path, *options):
    """Names that the file defines."""
    out = subprocess.run(["nm", "--defined-only", *options, path],
                         check=True, stdout=subprocess.PIPE,
                         stderr=subprocess.DEVNULL, text=True).stdout
    return {line.split()[-1] for line in out.splitlines() if line.strip()}


@pytest.fixture(scope="module")
def awslc():
    top = pathlib.Path(__file__).resolve().parent.parent.parent
    out = subprocess.run([top / "tools/deps", "--print"], check=True,
                         stdout=subprocess.PIPE, text=True).stdout
    folder = pathlib.Path(dict(line.split("=", 1)
                               for line in out.split())["awslc"])
    names = {name for lib in ("libcrypto.a", "libssl.a")
             for name in symbols(folder / "lib" / lib, "--extern-only")
             if ":" not in name}
    assert LIBCRYPTO in names and LIBSSL in names
    return names


@pytest.mark.parametrize("name", PROGRAMS)
def test_no_symbol_of_awslc_leaves_the_program(build, awslc, name):
    # C++'s inline functions are weak in every library; they are not AWS-LC's.
    mine = {s for s in symbols(build / name, "-D")
            if not s.startswith("_Z")}
    assert mine & awslc == set()


def test_the_programs_that_need_it_have_it_inside(build):
    """The test above would pass for a program without AWS-LC, too."""
    for name in ("meshcert-ca", "meshcert-agent", "meshcert"):
        assert LIBCRYPTO in symbols(build / name)


def test_fetch_has_nothing_of_awslc(build, awslc):
    mine = {s for s in symbols(build / "meshcert-fetch")
            if not s.startswith("_")}
    assert mine & awslc == set()


def needed(path):
    out = subprocess.run(["readelf", "-d", path], check=True,
                         stdout=subprocess.PIPE, text=True).stdout
    return {line.split("[")[1].rstrip("]") for line in out.splitlines()
            if "(NEEDED)" in line}


def test_only_fetch_brings_libcurl_and_no_program_openssl(build):
    for name in PROGRAMS:
        libs = needed(build / name)
        assert any(lib.startswith("libcurl") for lib in libs) == \
            (name == "meshcert-fetch")
        assert not any(lib.startswith(("libssl", "libcrypto"))
                       for lib in libs)


@pytest.mark.parametrize("name", PROGRAMS)
def test_no_failpoint_is_left_in_the_program(build, name):
    """tests/fault/test_failpoints.py finds them where they belong."""
    assert not [s for s in symbols(build / name)
                if s.startswith(("fail_", "libc_fail"))]
    binary = (build / name).read_bytes()
    assert [point for point in fail.declared()
            if point.encode() in binary] == []
    assert b"MESHCERT_FAIL" not in binary


@pytest.mark.parametrize("name", PROGRAMS)
def test_hardening_is_on(build, name):
    def readelf(option):
        return subprocess.run(["readelf", "-W", option, build / name],
                              check=True, stdout=subprocess.PIPE,
                              text=True).stdout
    assert "DYN" in readelf("-h")  # position independent
    assert "GNU_RELRO" in readelf("-l")
    dynamic = readelf("-d")
    assert "BIND_NOW" in dynamic or "Flags: NOW" in dynamic
    stack = [line for line in readelf("-l").splitlines()
             if "GNU_STACK" in line]
    assert stack and "RWE" not in stack[0]
