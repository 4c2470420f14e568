"""A relay killed at any instant is one whose next run finishes the job, and no work is lost."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest
from crash_operations import OPERATIONS

HARNESS = Path(__file__).with_name("crash_harness.py")
IN_MEMORY = Path("/dev/shm")  # a killed process loses nothing that it wrote: no disk need be waited for
WHERE: dict[str, tuple[str, ...]] = {"between calls": (), "inside of calls": ("-i",)}

Tried = Callable[[str, str], dict[str, object]]


@pytest.fixture(scope="module")
def tried(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tried]:
    """How the operations fared; all are tried at once, as many side by side as there are cores."""
    place = tmp_path_factory.mktemp("crash")

    def run(operation: str, where: str) -> dict[str, object]:
        root = IN_MEMORY if os.access(IN_MEMORY, os.W_OK) else place
        command: list[str | Path] = [sys.executable, HARNESS, *WHERE[where], root, operation]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        told: dict[str, object] = json.loads(done.stdout)
        return told

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        begun: dict[tuple[str, str], Future[dict[str, object]]] = {
            (operation, where): pool.submit(run, operation, where) for where in WHERE for operation in OPERATIONS
        }
        yield lambda operation, where: begun[operation, where].result()
        for waiting in begun.values():
            waiting.cancel()


@pytest.mark.parametrize("where", WHERE)
@pytest.mark.parametrize("operation", OPERATIONS)
def test_killed_at_every_point(
    tried: Tried, record_property: Callable[[str, object], None], operation: str, where: str
) -> None:
    told = tried(operation, where)
    for name in ("operation", "points", "survived", "lost"):
        record_property(name, told[name])
    assert told["failures"] == []
    assert told["lost"] == 0
    assert told["survived"] == told["points"]
    assert int(str(told["points"])) > 9
