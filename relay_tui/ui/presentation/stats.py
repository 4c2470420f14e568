"""Readings as figures, sparklines and cells: pure functions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.cells import cell_len
from textual.content import Content

from relay_tui.ui.presentation.columns import Cell, cell
from relay_tui.ui.presentation.formatting import TONES, Tone
from relay_tui.ui.presentation.sessions import FIGURES

if TYPE_CHECKING:
    from relay_tui.ports import Stats

UNKNOWN = "\u2013"
NO_CELLS = (Cell(),) * len(FIGURES)
"""Of a session that does not run."""
_BARS, _ASCII_BARS = "▁▂▃▄▅▆▇█", "_.:-=+*#"
_FULL = 0.9
"""From this share of its memory on, a session is near to being killed."""
_SHAPES = (
    (16, True, True),
    (10, True, True),
    (10, False, True),
    (6, False, True),
    (6, False, False),
    (0, False, False),
)
"""What the line holds where there is room for it: cells of each sparkline, limits, processes and network."""


def ratio(part: float | None, whole: float | None) -> float | None:
    """`part` of `whole`, where both are known."""
    return None if part is None or not whole else part / whole


def percent(value: float | None) -> str:
    """A share as '23%'."""
    return UNKNOWN if value is None else f"{value * 100:.0f}%"


def short_size(size: float | None) -> str:
    """Bytes in at most four characters: '0B', '9.8K', '213M'."""
    if size is None:
        return UNKNOWN
    units = iter("BKMGTPE")
    unit = next(units)
    while size >= 999.5:
        size, unit = size / 1024, next(units)
    return f"{size:.1f}{unit}" if size < 9.95 and unit != "B" else f"{size:.0f}{unit}"


def sparkline(values: Sequence[float | None], width: int, *, ascii_only: bool = False) -> str:
    """The last `width` shares (0..1) as bars, the newest at the right; a gap where one is not known."""
    bars = _ASCII_BARS if ascii_only else _BARS
    drawn = "".join(
        " " if value is None else bars[min(len(bars) - 1, max(0, int(value * len(bars))))] for value in values[-width:]
    )
    return drawn.rjust(width) if width else ""


def stats_cells(history: Sequence[Stats]) -> tuple[Cell, ...]:
    """The newest reading as cells for FIGURES; of a running session that has none yet, marks that they come."""
    if not history:
        return (cell("…", "dim"),) * len(FIGURES)
    last = history[-1]
    return (
        cell(percent(ratio(last.cpu, last.cpus))),
        cell(short_size(last.memory), _memory_tone(last)),
        cell(UNKNOWN if last.pids is None else str(last.pids)),
        cell(short_size(last.received), "dim"),
        cell(short_size(last.sent), "dim"),
    )


def stats_line(history: Sequence[Stats], width: int, *, ascii_only: bool = False) -> Content:
    """The newest reading and the minute before it in one line, as much of it as there is room for."""
    shapes = (_line(history, *shape, ascii_only=ascii_only) for shape in _SHAPES)
    return next((shape for shape in shapes if cell_len(shape.plain) <= width), Content(""))


def _line(history: Sequence[Stats], bars: int, limits: bool, more: bool, *, ascii_only: bool) -> Content:
    last = history[-1]
    arrows = ("in", "out") if ascii_only else ("↓", "↑")
    unknown = "?" if ascii_only else UNKNOWN
    cpu = sparkline([ratio(s.cpu, s.cpus) for s in history], bars, ascii_only=ascii_only)
    memory = sparkline([ratio(s.memory, s.memory_limit) for s in history], bars, ascii_only=ascii_only)
    pieces: list[tuple[str, str]] = [
        ("cpu", _LABEL),
        (f" {percent(ratio(last.cpu, last.cpus)):>4}", ""),
        (f" of {last.cpus:g}" if limits and last.cpus else "", _LABEL),
        (f" {cpu}" if bars else "", _BAR),
        ("  mem", _LABEL),
        (f" {short_size(last.memory):>4}", TONES[_memory_tone(last)]),
        (f" of {short_size(last.memory_limit)}" if limits and last.memory_limit else "", _LABEL),
        (f" {memory}" if bars else "", _BAR),
    ]
    if more:
        of = f" of {last.pids_limit}" if limits and last.pids_limit else ""
        pieces += [("  pids", _LABEL), (f" {unknown if last.pids is None else last.pids:>3}", ""), (of, _LABEL)]
        pieces += [("  net ", _LABEL), (f"{arrows[0]}{short_size(last.received):>4} ", "")]
        pieces += [(f"{arrows[1]}{short_size(last.sent):>4}", ""), ("/s", _LABEL)]
    return Content.assemble(*((text.replace(UNKNOWN, unknown), style) for text, style in pieces if text))


_LABEL, _BAR = "$foreground-muted", "$primary-lighten-1"


def _memory_tone(stats: Stats) -> Tone:
    used = ratio(stats.memory, stats.memory_limit)
    return "bad" if used is not None and used >= _FULL else ""
