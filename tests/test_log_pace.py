"""Pace of the log: when new lines are drawn, and which work has priority."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from fakes import build
from log_batches import batch
from on_screen import a_project, a_session, shown
from waiting import wait_until

from relay_tui.services.logs.feed import LogFeed
from relay_tui.ui.keys.key_queue import last_key_time
from relay_tui.ui.log.model.pacing import GATHER, KEY, LEAST, MOST, SHARE, RedrawThrottle

LONG_AGO = -1000.0


def drawn(took: float) -> RedrawThrottle:
    """Of a log whose last drawing began at 100 and took so long."""
    pace = RedrawThrottle()
    pace.begin(100.0)
    pace.end(100.0 + took)
    return pace


def test_the_first_lines_of_a_log_are_drawn_at_once() -> None:
    pace = drawn(took=0.2)
    pace.open(100.21)
    assert pace.due(100.22, key_at=100.20) == pytest.approx(GATHER)
    assert pace.due(100.221, key_at=100.20, whole=True) <= 0
    assert pace.due(100.22 + GATHER, key_at=100.20) == pytest.approx(0, abs=1e-9)
    pace.begin(100.23)
    pace.end(100.231)
    assert pace.due(100.24, key_at=100.20) == pytest.approx(LEAST - 0.01)  # the key that opened it counts no more
    assert pace.due(100.24, key_at=100.239) == pytest.approx(LEAST - 0.01)
    assert pace.due(100.30, key_at=100.299) == pytest.approx(KEY - 0.001)


@pytest.mark.parametrize(
    ("took", "between"), [(0.001, LEAST), (LEAST, SHARE * LEAST), (0.06, SHARE * 0.06), (1.0, MOST)]
)
def test_at_most_a_third_of_the_time_goes_into_drawing(took: float, between: float) -> None:
    assert drawn(took).due(100.0, LONG_AGO) == pytest.approx(between)
    assert drawn(took).due(100.0 + between, LONG_AGO) == pytest.approx(0, abs=1e-9)


def test_a_key_goes_first_and_many_keys_hold_nothing_back_for_long() -> None:
    pace = drawn(took=0.001)
    assert pace.due(200.0, key_at=199.99) == pytest.approx(KEY - 0.01)
    assert pace.due(200.0 + MOST - 0.01, key_at=200.0 + MOST - 0.02) == pytest.approx(0.01)
    assert pace.due(200.0 + MOST, key_at=200.0 + MOST) <= 0
    pace.begin(300.0)
    assert pace.due(301.0, key_at=301.0) == pytest.approx(KEY)  # the next lines wait no longer than those did


def test_reading_rests_while_a_key_is_at_work_and_ends_out_of_its_rest(tmp_path: Path) -> None:
    rig = build(tmp_path / "data")
    session = a_session(rig, a_project(rig, "alpha"), "main", output=b"1\n")
    asked: list[float] = []

    def rest() -> float:
        asked.append(time.monotonic())
        return 60.0

    feed = LogFeed(rig.engine, session.container_id, lambda: None, tail=10, rest=rest)
    name = f"log {session.container_id[:12]}"
    try:
        wait_until(lambda: asked, 5, what="the first line, which nothing holds up")
        rig.engine.containers[session.container_id].say(b"2\n3\n")
    finally:
        feed.close()
    wait_until(lambda: all(thread.name != name for thread in threading.enumerate()), 5, what="the reader's end")
    assert sum(len(one) for one in feed.drain()) == 1
    assert len(asked) == 1


async def test_a_key_is_noted_as_it_comes_and_its_effect_is_in_the_border_before_it_is_drawn(tmp_path: Path) -> None:
    rig = build(tmp_path / "data")
    a_session(rig, a_project(rig, "alpha"), "main", output=b"hello\n")
    async with shown(rig) as screen:
        await screen.sees("hello")
        before = time.monotonic()
        assert last_key_time(screen.app) < before
        await screen.press("l")
        assert last_key_time(screen.app) >= before
        view, detail = screen.main.detail.log_view, screen.main.detail
        view.set_wrap(True)
        assert str(detail.border_subtitle) == "following · wrap"


async def test_what_is_only_counted_is_told_now_and_then_and_a_key_at_once(tmp_path: Path) -> None:
    rig = build(tmp_path / "data")
    a_session(rig, a_project(rig, "alpha"), "main", output=b"hello\n")
    async with shown(rig) as screen:
        await screen.sees("hello")
        view, detail = screen.main.detail.log_view, screen.main.detail
        view.buffer.max_lines = 10
        told = []
        for _ in range(50):
            view.extend([batch(b"one\ntwo\n")])
            told.append(str(detail.border_subtitle))
        assert len(set(told)) <= 3
        view.set_times(True)
        assert str(detail.border_subtitle).startswith("following · time")
        await screen.until(lambda: str(detail.border_subtitle) == "following · time · 91 dropped", "the last count")


@pytest.mark.parametrize(("wanted", "beats"), [(None, 240), ("30", 30)])
def test_a_key_waits_for_a_short_beat_or_for_the_one_that_is_asked_for(wanted: str | None, beats: int) -> None:
    env = {name: value for name, value in os.environ.items() if name != "TEXTUAL_FPS"}
    asked = "import relay_tui.ui.app, textual.constants; print(textual.constants.MAX_FPS)"
    done = subprocess.run(
        [sys.executable, "-c", asked], env=env | ({"TEXTUAL_FPS": wanted} if wanted else {}), capture_output=True
    )
    assert int(done.stdout) == beats
