"""Skipped tests: an error if CI is true, because a gate must run all of its checks."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

_TESTS = """
import pytest

def test_runs():
    pass

@pytest.mark.skip(reason="marked so")
def test_marked():
    pass

def test_skips():
    pytest.skip("for want of a thing")

@pytest.fixture
def thing():
    pytest.skip("from a fixture")

def test_thing(thing):
    pass
"""


def _run(tmp_path: Path, tests: str, ci: str) -> subprocess.CompletedProcess[str]:
    (tmp_path / "test_it.py").write_text(tests)
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = -p conftest\n")
    env = {**os.environ, "CI": ci, "PYTHONPATH": str(Path(__file__).parent)}
    command = (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path))
    return subprocess.run(command, env=env, cwd=tmp_path, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("ci", "code", "summary"), [("true", 1, "1 failed, 1 passed, 2 errors"), ("", 0, "1 passed, 3 skipped")]
)
def test_skipped_tests_fail_where_ci_is_true(tmp_path: Path, ci: str, code: int, summary: str) -> None:
    done = _run(tmp_path, _TESTS, ci)
    assert summary in done.stdout
    assert done.returncode == code
    if ci:
        for reason in ("marked so", "for want of a thing", "from a fixture"):
            assert f"skipped, where nothing may be: Skipped: {reason}" in done.stdout


def test_skipped_file_fails_where_ci_is_true(tmp_path: Path) -> None:
    done = _run(tmp_path, 'import pytest\npytest.skip("all of it", allow_module_level=True)\n', "true")
    assert done.returncode == 2
    assert "skipped, where nothing may be: Skipped: all of it" in done.stdout
