"""Watcher of the store file: a write of any process ends the wait, at once or at the next check."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from threading import Thread

import pytest

from relay_tui.adapters.store import touched
from relay_tui.adapters.store.touched import LOOK, Touched

LONG = 30.0


def seconds(watch: Touched, does: Callable[[], object], at_most: float = LONG) -> float:
    """Return how long a wait takes while `does` runs."""
    began = time.monotonic()
    thread = Thread(target=does)
    thread.start()
    watch.wait(at_most)
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
    with Touched(file) as watch:
        assert seconds(watch, lambda: does(file)) < LONG / 2
    if place.exists():
        place.chmod(0o700)


def test_what_is_beside_it_does_not(tmp_path: Path) -> None:
    file = tmp_path / "store.json"
    with Touched(file) as watch:
        assert seconds(watch, (tmp_path / "store.lock").touch, at_most=0.3) >= 0.3
        assert seconds(watch, lambda: replaced(file)) < LONG / 2


def test_nothing_is_missed_between_two_waits(tmp_path: Path) -> None:
    file = tmp_path / "store.json"
    with Touched(file) as watch:
        replaced(file)
        assert seconds(watch, lambda: None) < LONG / 2


def test_waking_ends_the_wait_for_ever_and_leaving_it_leaves_nothing_open(tmp_path: Path) -> None:
    before = set(os.listdir("/proc/self/fd"))  # noqa: PTH208
    with Touched(tmp_path / "store.json") as watch:
        assert seconds(watch, watch.wake) < LONG / 2
        assert seconds(watch, lambda: None) < LONG / 2
    assert set(os.listdir("/proc/self/fd")) == before  # noqa: PTH208
    watch.wake()


def test_where_nobody_tells_it_looks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also after a watched directory was replaced by another one."""
    place = tmp_path / "data"
    place.mkdir()
    with Touched(place / "store.json") as watch:
        shutil.rmtree(place)
        watch.wait(LONG)
        place.mkdir()
        assert LOOK <= seconds(watch, lambda: None) < LONG / 2
    monkeypatch.setattr(touched, "_open_inotify", lambda _: None)
    with Touched(place / "store.json") as watch:
        assert LOOK <= seconds(watch, lambda: None) < LONG / 2
