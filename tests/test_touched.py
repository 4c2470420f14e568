"""Watcher of the store file: a write of any process ends the wait, at once or at the next check."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from threading import Thread

import pytest

from relay_tui.adapters.store import file_watcher
from relay_tui.adapters.store.file_watcher import LOOK, FileWatcher

LONG = 30.0


def seconds(task: FileWatcher, does: Callable[[], object], at_most: float = LONG) -> float:
    """Return how long a wait takes while `does` runs."""
    began = time.monotonic()
    thread = Thread(target=does)
    thread.start()
    task.wait(at_most)
    thread.join()
    return time.monotonic() - began


def replaced(file: Path) -> None:
    """Replace the file as the store does."""
    other = file.with_suffix(".new")
    other.write_text("other")
    other.replace(file)


@pytest.mark.parametrize(
    "does",
    [
        replaced,
        Path.unlink,
        lambda file: file.write_text("by hand"),
        lambda file: file.rename(file.with_suffix(".away")),
        lambda file: file.chmod(0o400),
        lambda file: file.parent.chmod(0o500),
        lambda file: shutil.rmtree(file.parent),
    ],
)
def test_whatever_happens_to_the_file_ends_the_wait(tmp_path: Path, does: Callable[[Path], object]) -> None:
    place = tmp_path / "data"
    place.mkdir()
    file = place / "store.json"
    file.write_text("{}")
    with FileWatcher(file) as task:
        assert seconds(task, lambda: does(file)) < LONG / 2
    if place.exists():
        place.chmod(0o700)


def test_what_is_beside_it_does_not(tmp_path: Path) -> None:
    file = tmp_path / "store.json"
    with FileWatcher(file) as task:
        assert seconds(task, (tmp_path / "store.lock").touch, at_most=0.3) >= 0.3
        assert seconds(task, lambda: replaced(file)) < LONG / 2


def test_nothing_is_missed_between_two_waits(tmp_path: Path) -> None:
    file = tmp_path / "store.json"
    with FileWatcher(file) as task:
        replaced(file)
        assert seconds(task, lambda: None) < LONG / 2


def test_waking_ends_the_wait_for_ever_and_leaving_it_leaves_nothing_open(tmp_path: Path) -> None:
    before = set(os.listdir("/proc/self/fd"))  # noqa: PTH208
    with FileWatcher(tmp_path / "store.json") as task:
        assert seconds(task, task.wake) < LONG / 2
        assert seconds(task, lambda: None) < LONG / 2
    assert set(os.listdir("/proc/self/fd")) == before  # noqa: PTH208
    task.wake()


def test_where_nobody_tells_it_looks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also after a watched directory was replaced by another one."""
    place = tmp_path / "data"
    place.mkdir()
    with FileWatcher(place / "store.json") as task:
        shutil.rmtree(place)
        task.wait(LONG)
        place.mkdir()
        assert LOOK <= seconds(task, lambda: None) < LONG / 2
    monkeypatch.setattr(file_watcher, "_open_inotify", lambda _: None)
    with FileWatcher(place / "store.json") as task:
        assert LOOK <= seconds(task, lambda: None) < LONG / 2
