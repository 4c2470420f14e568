"""Positions of a reader in a log, without a widget."""

from __future__ import annotations

from log_batches import batch

from relay_tui.ui.log.model.buffer import LogBuffer
from relay_tui.ui.log.model.matches import MatchIndex
from relay_tui.ui.log.model.pattern import compile_pattern
from relay_tui.ui.log.model.position import RowPosition
from relay_tui.ui.log.viewport import LogViewport

ROWS = 10


def numbered(first: int, end: int) -> bytes:
    return b"".join(b"line %d\n" % number for number in range(first, end))


def opened(lines: int, heights: dict[int, int] | None = None, max_lines: int = 1_000) -> tuple[LogBuffer, LogViewport]:
    """A buffer and a viewport on it; lines have one row unless `heights` gives another number by line number."""
    buffer = LogBuffer(max_lines=max_lines)
    if lines:
        buffer.append(batch(numbered(0, lines)))
    taller = heights or {}
    return buffer, LogViewport(buffer, lambda number: taller.get(number, 1))


def test_viewport_follows_the_end() -> None:
    buffer, viewport = opened(100)
    assert viewport.top(ROWS) == RowPosition(90)
    buffer.append(batch(numbered(100, 105)))
    viewport.invalidate()
    assert viewport.visible_lines(ROWS) == [(number, 0) for number in range(95, 105)]
    assert viewport.number_below(ROWS) == 105


def test_reader_stays_at_lines_while_others_arrive_and_old_ones_are_dropped() -> None:
    buffer, viewport = opened(100, max_lines=100)
    viewport.move(-20, ROWS)
    assert not viewport.following
    assert viewport.held_line == 70
    buffer.append(batch(numbered(100, 150)))
    viewport.invalidate()
    assert viewport.visible_lines(ROWS)[0] == (70, 0)
    assert viewport.new_lines_below == 50
    buffer.append(batch(numbered(150, 250)))
    viewport.invalidate()
    assert viewport.visible_lines(ROWS)[0] == (buffer.first, 0)


def test_moving_to_the_last_row_follows_again() -> None:
    _, viewport = opened(100)
    viewport.move(-3, ROWS)
    viewport.move(2, ROWS)
    assert not viewport.following
    viewport.move(1, ROWS)
    assert viewport.following
    assert viewport.new_lines_below == 0


def test_rows_of_wrapped_lines_are_counted() -> None:
    _, viewport = opened(20, {19: 4, 12: 30})
    assert viewport.top(ROWS) == RowPosition(13)
    viewport.move(-5, ROWS)
    assert viewport.visible(ROWS)[0] == RowPosition(12, 25)
    viewport.to_line_start()
    assert viewport.visible(ROWS) == [RowPosition(12, row) for row in range(ROWS)]


def test_partial_lines_take_rows_at_the_end_but_not_all() -> None:
    buffer = LogBuffer()
    buffer.append(batch(numbered(0, 100)))
    partial = [3]
    viewport = LogViewport(buffer, lambda _: 1, lambda: partial[0])
    assert viewport.top(ROWS) == RowPosition(93)
    partial[0] = 50
    assert viewport.top(ROWS) == RowPosition(99)


def test_reader_at_the_start_goes_on_to_older_lines() -> None:
    buffer = LogBuffer()
    buffer.append(batch(numbered(50, 100)))
    viewport = LogViewport(buffer, lambda _: 1)
    viewport.to_start(ROWS)
    buffer.prepend([batch(numbered(0, 50))])
    viewport.older_lines_added()
    assert viewport.held_line == buffer.first == -50
    viewport.move(5, ROWS)
    buffer.prepend([batch(numbered(0, 10))])
    viewport.older_lines_added()
    assert viewport.held_line == -45


def test_reveal_moves_only_what_is_out_of_sight() -> None:
    _, viewport = opened(100)
    viewport.reveal(RowPosition(95), ROWS)
    assert viewport.top(ROWS) == RowPosition(90)
    assert not viewport.following
    viewport.reveal(RowPosition(40), ROWS)
    assert viewport.top(ROWS) == RowPosition(36)


def test_columns_are_panned_to_and_limited() -> None:
    _, viewport = opened(1)
    viewport.move_sideways(50, 30)
    assert viewport.left == 30
    viewport.pan(31, 35, 40, 200)
    assert viewport.left == 30
    viewport.pan(100, 110, 40, 200)
    assert viewport.left == 87
    viewport.pan(5, 10, 40, 200)
    assert viewport.left == 0


def test_filtered_lines_are_shown_from_the_held_line_on() -> None:
    buffer, viewport = opened(100)
    viewport.move(-45, ROWS)
    assert viewport.held_line == 45
    pattern = compile_pattern("0$")
    assert pattern is not None
    matches = MatchIndex(buffer, pattern)
    while not matches.advance(1):
        pass
    viewport.show(matches)
    assert viewport.visible_lines(4) == [(number, 0) for number in (50, 60, 70, 80)]


def test_empty_log_has_no_rows() -> None:
    _, viewport = opened(0)
    assert viewport.visible(ROWS) == []
    viewport.move(-1, ROWS)
    assert viewport.number_below(ROWS) == 0
