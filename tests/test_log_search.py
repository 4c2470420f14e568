"""Search and filter of a log, without a widget."""

from __future__ import annotations

import pytest
from log_batches import batch

from relay_tui.ui.log.model.buffer import LogBuffer
from relay_tui.ui.log.model.pattern import Pattern, compile_pattern
from relay_tui.ui.log.search import LogSearch


def pattern(text: str) -> Pattern:
    found = compile_pattern(text, invertible=True)
    assert found is not None
    return found


@pytest.fixture
def buffer() -> LogBuffer:
    found = LogBuffer()
    found.append(batch(b"".join(b"line %d\n" % number for number in range(100))))
    return found


def searched(buffer: LogBuffer, text: str, *, wanted: str = "") -> LogSearch:
    """A complete search."""
    search = LogSearch(buffer)
    if wanted:
        search.set_filter(pattern(wanted), None)
    search.set_pattern(pattern(text))
    search.restart(buffer.end)
    while not search.step(1):
        pass
    return search


def test_steps_go_from_match_to_match_and_wrap_around(buffer: LogBuffer) -> None:
    search = searched(buffer, "5$")
    assert search.match_count == 10
    assert search.current_rank == 0
    assert search.next_match(0, 100, has_all=True) == 95
    assert search.current_rank == 10
    assert search.next_match(-1, 100, has_all=True) == 85
    assert search.next_match(1, 100, has_all=True) == 95
    assert search.next_match(1, 100, has_all=False) is None
    assert search.next_match(1, 100, has_all=True) == 5
    assert search.next_match(0, 30, has_all=True) == 25


def test_a_step_beyond_examined_lines_is_not_known() -> None:
    buffer = LogBuffer()
    buffer.append(batch(b"needle\n" + b"hay\n" * 20_000))
    search = LogSearch(buffer)
    search.set_pattern(pattern("needle"))
    search.restart(buffer.end)
    assert not search.step(0)
    assert search.next_match(0, buffer.end, has_all=True) is None
    while not search.step(0):
        pass
    assert search.is_complete
    assert search.next_match(0, buffer.end, has_all=True) == 0


def test_filter_limits_lines_and_matches(buffer: LogBuffer) -> None:
    search = searched(buffer, "5", wanted="!line 5")
    assert len(search.lines) == 89
    assert search.match_count == 8
    assert search.next_match(1, 100, has_all=True) == 95
    search.set_filter(None, None)
    assert len(search.lines) == 100


def test_dropped_lines_are_no_matches(buffer: LogBuffer) -> None:
    search = searched(buffer, "5$")
    buffer.max_lines = 50
    buffer.append(batch(b"more\n"))
    search.forget_dropped()
    assert search.match_count == 5
    assert not search.is_complete
    assert search.step(1)


def test_partial_lines_are_filtered(buffer: LogBuffer) -> None:
    search = LogSearch(buffer)
    buffer.set_partial(batch(b"prompt> "))
    assert [line.raw for line in search.partial_lines()] == ["prompt> "]
    search.set_filter(pattern("line"), None)
    assert search.partial_lines() == []


def test_end_of_search_forgets_match_and_pending_steps(buffer: LogBuffer) -> None:
    search = searched(buffer, "5$")
    search.next_match(0, 100, has_all=True)
    search.pending = (1, 1)
    search.set_pattern(None)
    search.restart(100)
    assert (search.match_count, search.current_rank, search.current) == (None, 0, None)
    assert not search.pending
    assert search.next_match(1, 100, has_all=True) is None
    assert not search.is_given_up
