"""Correctness of a log's status: missing lines, its end, and the numbers of received and dropped lines."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest
from fakes import build
from log_batches import batch, frame, kept, texts
from on_screen import a_project, a_session, shown
from test_log_view import LogApp, numbered, rows, say, settled
from waiting import wait_until

from relay_tui.adapters.runtime_common.log_lines import FramedLines
from relay_tui.domain.errors import EngineUnreachableError
from relay_tui.domain.log_batch import EMPTY_BATCH, NOTICE, LogBatch
from relay_tui.domain.models import SessionState
from relay_tui.ports import ContainerState, LineStream, Runtime
from relay_tui.services import stats_feed
from relay_tui.services.logs import feed as log_feed
from relay_tui.services.logs.feed import LogFeed
from relay_tui.text.ansi import file_text, plain_text
from relay_tui.text.sanitize import terminal_safe
from relay_tui.ui.log.model.buffer import LogBuffer
from relay_tui.ui.log.model.pattern import compile_pattern
from relay_tui.ui.log.view import LogView

MISSING = "── lines are missing here: the engine no longer has them ──"


class Given:
    """A stream of what a test gives."""

    def __init__(self, batches: list[LogBatch]) -> None:
        self._batches = batches

    def __iter__(self) -> Iterator[LogBatch]:
        return iter(self._batches)

    def partial_lines(self) -> LogBatch:
        return EMPTY_BATCH

    def close(self) -> None:
        pass


class Runs:
    """A runtime whose log breaks off after each of its readings, and whose container then is in these states."""

    def __init__(self, *readings: list[LogBatch] | None, states: str) -> None:
        self._readings = list(readings)
        self._states = states.split()

    def log_lines(self, *_: object, follow: bool, **__: object) -> LineStream:
        batches = self._readings[0]
        if follow or batches is None:
            self._readings.pop(0)
        if batches is None:
            raise EngineUnreachableError("The engine is gone")
        return Given(batches)

    def inspect(self, _: str) -> ContainerState:
        status = self._states.pop(0) if self._states[1:] else self._states[0]
        return ContainerState("c", "s", "p", status, 3 if status == "exited" else None)


def followed(runs: Runs) -> LogFeed:
    return LogFeed(cast(Runtime, runs), "c", lambda: None, tail=100)


@pytest.mark.parametrize(
    ("again", "told"),
    [
        (batch(b"b\nc", at=1), ["a", "b", "c"]),
        (batch(b"b", at=1), ["a", "b"]),
        (batch(b"x\ny", at=7), ["a", "b", MISSING, "x", "y"]),
    ],
)
def test_lines_that_the_engine_no_longer_has_leave_a_mark(again: LogBatch, told: list[str]) -> None:
    runs = Runs([batch(b"a\nb")], None, [again], states="running " * 5 + "exited")
    feed = followed(runs)
    wait_until(lambda: feed.status.ended, 10, what="the end")
    batches = feed.drain()
    assert texts(batches) == [*told, "── ended, exit code 3 ──"]
    assert [one.flags[0] & NOTICE for one in batches if MISSING in texts([one])] == [NOTICE] * (MISSING in told)


@pytest.mark.parametrize("gone", [False, True])
def test_a_clock_that_was_set_back_is_no_gap_and_a_gap_is_one_all_the_same(*, gone: bool) -> None:
    """Lines from before the change of the clock have later times than requested.

    They come again, in their own batches.
    """
    before = [batch(b"%d" % n, at=600_000 + n) for n in range(3_000)]
    since, after = batch(b"a\nb", at=5_000), batch(b"c\nd", at=6_000)
    again = [after] if gone else [*before, since, after]
    feed = followed(Runs([*before, since], None, again, states="running " * 5 + "exited"))
    wait_until(lambda: feed.status.ended, 10, what="the end")
    told = [*(str(n) for n in range(3_000)), "a", "b", *[MISSING] * gone, "c", "d", "── ended, exit code 3 ──"]
    assert texts(feed.drain()) == told


def test_an_end_that_the_engine_tells_late_is_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine closes the container's log, then reports it as not running. The feed does not back off in between."""
    monkeypatch.setattr(log_feed, "BACKOFF", (1_000.0,))
    feed = followed(Runs([batch(b"a")], states="running running exited"))
    wait_until(lambda: feed.status.ended, 10, what="the end")
    assert feed.status.exit_code == 3


async def test_the_end_of_a_run_is_told_though_the_next_has_begun(tmp_path: Path) -> None:
    rig = build(tmp_path / "data")
    session = a_session(rig, a_project(rig, "alpha"), "main", output=b"one life\n")
    async with shown(rig) as screen:
        await screen.sees("one life")
        pane = screen.main.detail.log_pane
        feed = pane._feed
        assert feed is not None
        rig.engine.of(session).become("exited", 3)
        deadline = time.monotonic() + 10
        while not feed.status.ended:  # and the screen has no time to look
            assert time.monotonic() < deadline
        rig.engine.of(session).become("running")
        pane.show(replace(session, updated_at="later"))
        await screen.sees("── ended, exit code 3 ──")
        assert not feed.status.ended


async def test_a_run_that_no_row_tells_of_is_seen_in_the_log(tmp_path: Path) -> None:
    """Its container ended and runs again before relay checked it: the row shows it as running all the time."""
    rig = build(tmp_path / "data")
    session = a_session(rig, a_project(rig, "alpha"), "main", output=b"one life\n")
    async with shown(rig) as screen:
        await screen.sees("one life")
        rig.engine.of(session).become("exited", 3)
        await screen.sees("── ended, exit code 3 ──")
        rig.engine.of(session).become("running")
        rig.engine.of(session).say(b"another life\n")
        rig.engine.tell(session.id)
        await screen.sees("another life")
        assert screen.text.count("── ended") == screen.text.count("one life") == 1


async def test_a_log_without_a_line_since_then_says_so_and_not_that_it_ended_before(tmp_path: Path) -> None:
    rig = build(tmp_path / "data")
    session = a_session(rig, a_project(rig, "alpha"), "main", SessionState.STOPPED, output=b"long ago\n")
    ended = rig.engine.of(session)
    ended.exit_code, ended.finished_at = 3, "2026-01-01T00:00:00.5Z"
    async with shown(rig) as screen:
        await screen.sees("── ended, exit code 3 ──")
        await screen.press("l", "1")
        await screen.sees("No output since then.")
        assert "ended, exit code" not in screen.text
        await screen.press("0")
        await screen.sees("── ended, exit code 3 ──")


async def test_logs_and_meters_go_on_at_once_when_the_engine_is_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_feed, "BACKOFF", (1_000.0,))
    monkeypatch.setattr(stats_feed, "PATIENCE", 1_000.0)
    rig = build(tmp_path / "data")
    session = a_session(rig, a_project(rig, "alpha"), "main", output=b"before\n")
    async with shown(rig) as screen:
        await screen.sees("before")
        await screen.until(lambda: session.container_id in rig.engine.measured)
        feed = screen.main.detail.log_pane._feed
        assert feed is not None
        rig.engine.measured.clear()
        rig.engine.go_down()
        rig.engine.of(session).become("exited")
        await screen.until(lambda: feed.status.word == "reconnecting" and screen.main.state.engine.state != "up")
        rig.engine.of(session).become("running")
        rig.engine.come_back()
        rig.engine.of(session).say(b"after\n")
        await screen.sees("after")
        await screen.until(lambda: "reconnecting" not in str(screen.main.detail.border_subtitle))
        await screen.until(lambda: session.container_id in rig.engine.measured)


@pytest.mark.parametrize("filtered", [False, True])
async def test_what_came_and_what_went_is_counted_whatever_the_buffer_holds(*, filtered: bool) -> None:
    view = LogView(buffer=LogBuffer(max_lines=500))
    async with LogApp(view).run_test(size=(80, 24)) as pilot:
        say(view, numbered(0, 500))
        if filtered:
            view.set_filter(compile_pattern("line"))
        await settled(pilot)
        await pilot.press("s", "up")
        view.pause()
        for first in range(500, 5_500, 100):
            say(view, numbered(first, first + 100))
            await pilot.pause()
        await settled(pilot)
        assert view.new_lines_below == 5_000
        deadline = time.monotonic() + 8
        while (view.state.unseen, view.state.dropped) != (5_000, 5_000) or "+5,000 new" not in rows(view)[-1]:
            assert time.monotonic() < deadline
            await pilot.pause(0.02)
        view.follow()
        assert view.new_lines_below == 0


def test_long_lines_weigh_what_they_are() -> None:
    reader, buffer = FramedLines(), LogBuffer()
    line = b"w" * 39_000
    for number in range(40):
        pieces = [line[at : at + 16_384] for at in range(0, len(line), 16_384)]
        data = b"".join(frame(number, piece) for piece in [*pieces[:-1], pieces[-1] + b"\n"])
        buffer.append(reader.feed(data))
    assert len("".join(kept(buffer))) == 40 * len(line)
    assert buffer.size < 40 * len(line) * 1.1


FAMILY = "\U0001f469\u200d\U0001f469\u200d\U0001f466"


def test_what_joins_or_parts_letters_unseen_is_left_out_and_kept_in_a_file() -> None:
    line = f"{FAMILY} co\u00adop \u200bz\ufeff \u2764\ufe0f z{chr(0x335) * 9}"
    drawn = f"\U0001f469\U0001f469\U0001f466 coop z \u2764\ufe0f z{chr(0x335) * 3}"
    assert plain_text(line) == drawn
    assert terminal_safe(line.encode()).decode() == drawn
    assert file_text(line + "\r") == line
    assert file_text(f"\x1b[31mred\x1b[0m\t\x1b]52;c;x\x07{FAMILY}\x07\x9b2J") == f"red\t{FAMILY}"
    assert file_text(f"10 %\r{FAMILY}") == f"{FAMILY}"
    assert file_text("x" * 20_000 + "\r\x1b[K" + "y" * 20_000) == "y" * 20_000
