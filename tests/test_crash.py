"""A relay killed at any instant is one whose next run finishes the job, and no work is lost."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from crash_operations import OF_PROCESSES, OPERATIONS

HARNESS = Path(__file__).with_name("crash_harness.py")
IN_MEMORY = Path("/dev/shm")  # a killed process loses nothing that it wrote: no disk need be waited for
WHERE: dict[str, tuple[str, ...]] = {
    "between calls": (),
    "inside of calls": ("-i",),
    "of processes": ("-p",),
    "inside, of processes": ("-p", "-i"),
}
MADE = ("session create", "session retry", "session remove")
"""What writes below the processes' directory, and starts what keeps them."""
CASES = [
    *((operation, where) for where in ("between calls", "inside of calls") for operation in OPERATIONS),
    *((operation, "of processes") for operation in OF_PROCESSES),
    *((operation, "inside, of processes") for operation in MADE),
]


def tried(place: Path, operation: str, where: str) -> dict[str, object]:
    """Return the results of the operation, crashed at every point of one kind."""
    root = IN_MEMORY if os.access(IN_MEMORY, os.W_OK) else place
    command: list[str | Path] = [sys.executable, HARNESS, *WHERE[where], root, operation]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    told: dict[str, object] = json.loads(done.stdout)
    return told


@pytest.mark.parametrize(("operation", "where"), CASES)
def test_killed_at_every_point(
    tmp_path: Path, record_property: Callable[[str, object], None], operation: str, where: str
) -> None:
    told = tried(tmp_path, operation, where)
    for name in ("operation", "points", "survived", "lost"):
        record_property(name, told[name])
    assert told["failures"] == []
    assert told["lost"] == 0
    assert told["survived"] == told["points"]
    assert int(str(told["points"])) > (0 if "processes" in where else 9)
