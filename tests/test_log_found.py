"""Search matches in long lines: shown on the screen at any position in the line."""

from __future__ import annotations

import pytest
from log_batches import parts
from test_log_view import LogApp, rows, say, settled
from textual.pilot import Pilot

from relay_tui.ui.log.model.pattern import compile_pattern
from relay_tui.ui.log.view import LogView

LONG = b"x" * 3_000 + b" needle " + b"y" * 992


async def find(view: LogView, pilot: Pilot[None], words: str) -> None:
    """Go to the last place where these are."""
    view.set_search(compile_pattern(words))
    await settled(pilot)
    view.search()
    await settled(pilot)
    assert view.state.current


async def test_a_match_far_to_the_right_is_panned_to_and_back_from() -> None:
    view = LogView()
    async with LogApp(view).run_test(size=(60, 10)) as pilot:
        say(view, b"a needle\n" + LONG + b"\n" + b"z\n" * 30)
        await settled(pilot)
        await find(view, pilot, "needle")
        [row] = [row for row in rows(view) if row.startswith("▶")]
        assert "x needle y" in row
        view.search(-1)
        await settled(pilot)
        assert "▶a needle" in rows(view)
        view.search(-1)
        await settled(pilot)
        [row] = [row for row in rows(view) if row.startswith("▶")]
        assert "x needle y" in row


async def test_a_match_that_is_in_sight_moves_nothing() -> None:
    view = LogView()
    async with LogApp(view).run_test(size=(60, 10)) as pilot:
        say(view, b"".join(b"%d %s needle %s\n" % (n, b"x" * 70, b"y" * 70) for n in range(3)))
        await settled(pilot)
        await find(view, pilot, "needle")
        before = [row[1:] for row in rows(view)]
        assert "needle" in before[0]
        view.search(-1)
        await settled(pilot)
        assert [row[1:] for row in rows(view)] == before


async def test_the_end_of_a_line_is_panned_to_whole() -> None:
    view = LogView()
    async with LogApp(view).run_test(size=(60, 10)) as pilot:
        say(view, b"x" * 100 + b" needle\n" + "漢".encode() * 100 + b" other\n")
        await settled(pilot)
        for words in ("needle", "other"):
            await find(view, pilot, words)
            assert any(row.startswith("▶") and row.endswith(words) for row in rows(view))


@pytest.mark.parametrize("filler", [b"x", "漢".encode(), b"\x1b[31mx\x1b[m"], ids=["plain", "wide", "coloured"])
async def test_the_row_of_a_folded_line_with_the_match_is_in_sight(filler: bytes) -> None:
    view = LogView()
    async with LogApp(view).run_test(size=(60, 10)) as pilot:
        say(view, b"a needle\n" + b"z\n" * 30 + filler * 3_000 + b" needle " + filler * 900 + b"\n" + b"z\n" * 30)
        view.set_wrap(True)
        await settled(pilot)
        await find(view, pilot, "needle")
        assert any(" needle" in row for row in rows(view))
        view.search(1)
        await settled(pilot)
        assert "▶a needle" in rows(view)
        view.search(1)
        await settled(pilot)
        assert any(" needle" in row for row in rows(view))


@pytest.mark.parametrize("wrap", [False, True])
async def test_a_match_that_goes_on_in_the_next_piece_of_its_line_is_at_the_end_of_one(*, wrap: bool) -> None:
    view = LogView()
    async with LogApp(view).run_test(size=(60, 10)) as pilot:
        view.extend([parts(b"x" * 3_000 + b"nee", b"dle" + b"y" * 3_000)])
        view.set_wrap(wrap)
        await settled(pilot)
        await find(view, pilot, "needle")
        assert any(row.endswith("xnee") for row in rows(view))
