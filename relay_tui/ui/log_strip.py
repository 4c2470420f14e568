"""A log's line as it is drawn: safe text in its colours, folded, with what is sought in it standing out."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache

from rich.cells import cell_len, get_character_cell_size
from rich.color import Color
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from relay_tui.log_line import PLAIN, TRUE_COLOUR, TextStyle, log_runs
from relay_tui.text import ascii_only

_MOST_RUNS = 500  # a line with more changes of style goes on in plain text: hostile ones would fill the cache
TIME_CELLS = 19


def line_strip(raw: str, *, ascii: bool) -> Strip:  # noqa: A002
    """A line drawn whole, in its own colours alone."""
    runs = log_runs(raw)
    if len(runs) > _MOST_RUNS:
        runs[_MOST_RUNS:] = [("".join(text for text, _ in runs[_MOST_RUNS:]), PLAIN)]
    convert = ascii_only if ascii else str
    return Strip([Segment(convert(text), rich_style(style)) for text, style in runs])


def highlighted(strip: Strip, spans: Sequence[tuple[int, int]], style: Style) -> Strip:
    """The strip with these characters in that style."""
    text = strip.text
    cuts: list[int] = []
    for begin, stop in spans:
        start, end = cell_len(text[:begin]), cell_len(text[:stop])
        if cuts and cuts[-1] == start:
            cuts[-1] = end
        else:
            cuts += [start, end]
    if not cuts:
        return strip
    pieces = strip.divide(cuts if cuts[-1] == strip.cell_length else [*cuts, strip.cell_length])
    return Strip.join(
        [Strip(Segment.apply_style(piece, post_style=style)) if at % 2 else piece for at, piece in enumerate(pieces)]
    )


def folded(strip: Strip, width: int) -> list[Strip]:
    """The strip in rows of at most `width` cells, cut between characters."""
    if strip.cell_length <= width or width < 2:
        return [strip]
    return list(strip.divide(_cuts(strip.text, strip.cell_length, width)))


def _cuts(text: str, cells: int, width: int) -> list[int]:
    if cells == len(text):
        return [*range(width, cells, width), cells]
    cuts, at, start = [], 0, 0
    for character in text:
        size = get_character_cell_size(character)
        if at + size - start > width:
            cuts.append(at)
            start = at
        at += size
    return [*cuts, cells]


def time_text(time: bytes) -> str:
    """When a line was written, on this machine's clock, TIME_CELLS wide."""
    return _time_text(time).ljust(TIME_CELLS)


@lru_cache(maxsize=4096)
def _time_text(time: bytes) -> str:
    try:
        moment = datetime.fromisoformat(time.decode()).astimezone()
    except ValueError:
        return ""
    return f"{moment:%m-%d %H:%M:%S}.{moment.microsecond // 1000:03}"


@lru_cache(maxsize=4096)
def rich_style(style: TextStyle) -> Style | None:
    """A log's style in rich's terms; nothing for plain text."""
    if style == PLAIN:
        return None
    return Style(
        color=_colour(style.foreground),
        bgcolor=_colour(style.background),
        bold=style.bold or None,
        dim=style.dim or None,
        italic=style.italic or None,
        underline=style.underline or None,
        reverse=style.reverse or None,
        strike=style.strike or None,
    )


def _colour(number: int | None) -> Color | None:
    if number is None:
        return None
    if number & TRUE_COLOUR:
        return Color.from_rgb(number >> 16 & 255, number >> 8 & 255, number & 255)
    return Color.from_ansi(number)
