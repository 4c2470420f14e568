"""Rows of a log's visible region, without a widget."""

from __future__ import annotations

from log_batches import batch

from relay_tui.domain.log_batch import STDERR
from relay_tui.ui.log.canvas import LogCanvas
from relay_tui.ui.log.model.buffer import LogBuffer
from relay_tui.ui.log.model.pattern import Pattern, compile_pattern
from relay_tui.ui.log.renderer import LineRenderer
from relay_tui.ui.log.search import LogSearch
from relay_tui.ui.log.viewport import LogViewport

WIDTH = 20


class Parts:
    """The parts of a log view, put together as the view does."""

    def __init__(self, data: bytes = b"", *, wrap: bool = False) -> None:
        self.buffer = LogBuffer()
        if data:
            self.buffer.append(batch(data))
        self.renderer = LineRenderer(self.buffer)
        self.search = LogSearch(self.buffer)
        self.viewport = LogViewport(
            self.buffer, self.renderer.height, lambda: self.renderer.total_height(self.search.partial_lines())
        )
        self.canvas = LogCanvas(self.buffer, self.viewport, self.search, self.renderer)
        self.set(wrap=wrap)

    def set(self, *, wrap: bool = False, left: int = 0, pattern: Pattern | None = None) -> bool:
        """Set the options that differ."""
        changed = self.renderer.set_options(width=WIDTH, wrap=wrap, times=False, left=left, pattern=pattern)
        self.viewport.invalidate()
        return changed

    def rows(self, height: int, *, placeholder: str = "", new_lines: int = 0) -> list[str]:
        """The texts of the rows, all of the screen's width."""
        strips = self.canvas.rows(height, placeholder=placeholder, new_lines=new_lines)
        assert [strip.cell_length for strip in strips] == [WIDTH] * height
        return [strip.text.rstrip() for strip in strips]


def test_rows_below_the_last_line_are_blank() -> None:
    assert Parts(b"one\ntwo\n").rows(4) == [" one", " two", "", ""]


def test_placeholder_fills_an_empty_log_unless_a_filter_hides_the_lines() -> None:
    parts = Parts()
    assert parts.rows(3, placeholder="nothing") == ["", "      nothing", ""]
    parts.search.set_filter(compile_pattern("x"), None)
    parts.viewport.show(parts.search.lines)
    assert parts.rows(3, placeholder="nothing") == ["", "", ""]


def test_long_lines_are_cut_or_wrapped() -> None:
    line = bytes(range(ord("a"), ord("z") + 1))
    parts = Parts(line + b"\n")
    assert parts.rows(2) == [" abcdefghijklmnopqr…", ""]
    assert parts.set(left=8)
    assert parts.rows(2) == [" ijklmnopqrstuvwxyz", ""]
    assert parts.set(wrap=True)
    assert parts.rows(2) == [" abcdefghijklmnopqrs", " tuvwxyz"]
    assert not parts.set(wrap=True)


def test_partial_lines_are_below_the_last_line() -> None:
    parts = Parts(b"one\ntwo\nthree\n")
    parts.buffer.set_partial(batch(b"10%\r20%", STDERR))
    assert parts.rows(3) == [" two", " three", "▎20%"]
    parts.viewport.to_start(3)
    assert parts.rows(5) == [" one", " two", " three", "▎20%", ""]


def test_selected_match_is_marked_while_there_is_a_search() -> None:
    parts = Parts(b"one\ntwo\n")
    pattern = compile_pattern("o")
    parts.search.set_pattern(pattern)
    parts.search.restart(2)
    parts.set(pattern=pattern)
    assert parts.search.step(1)
    assert parts.search.next_match(0, 2, has_all=True) == 1
    assert parts.rows(2) == [" one", "▶two"]
    parts.search.set_pattern(None)
    assert parts.rows(2) == [" one", " two"]


def test_number_of_new_lines_is_at_the_end_of_the_last_row() -> None:
    assert Parts(b"one\ntwo\n").rows(2, new_lines=1_234) == [" one", " two     +1,234 new"]


def test_rendered_rows_are_reused_until_options_change() -> None:
    parts = Parts(b"one\ntwo\n")
    before = parts.canvas.rows(2)
    assert all(one is other for one, other in zip(before, parts.canvas.rows(2), strict=True))
    parts.set(left=1)
    assert parts.canvas.rows(2)[0] is not before[0]
