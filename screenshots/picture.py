"""Draws what a terminal shows as an SVG that needs no font of its own: frames and blocks are shapes, not letters."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from html import escape

from rich.cells import cell_len
from rich.console import Console
from rich.style import Style
from rich.terminal_theme import TerminalTheme
from rich.text import Text

THEME = TerminalTheme(
    (0x14, 0x17, 0x1A),
    (0xD3, 0xD7, 0xDC),
    [
        *((28, 32, 36), (217, 96, 90), (127, 179, 107), (216, 166, 87)),
        *((74, 165, 201), (177, 128, 190), (95, 178, 178), (211, 215, 220)),
    ],
)
FONTS = "ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono','Liberation Mono',monospace"
SIZE, WIDE, HIGH = 14.0, 8.4, 18.0
"""The font's size, and a cell's width and height, in pixels."""
BAR, EDGE = 34.0, 14.0
"""Room for the title above, and around the cells."""

_X, _Y = WIDE / 2, HIGH / 2
_LINES = {
    "│": f"m{_X} 0v{HIGH}",
    "─": f"m0 {_Y}h{WIDE}",
    "╭": f"m{_X} {HIGH}v-{_Y - 4}q0-4 4-4h{_X - 4:.1f}",
    "╮": f"m0 {_Y}h{_X - 4:.1f}q4 0 4 4v{_Y - 4}",
    "╰": f"m{_X} 0v{_Y - 4}q0 4 4 4h{_X - 4:.1f}",
    "╯": f"m0 {_Y}h{_X - 4:.1f}q4 0 4-4v-{_Y - 4}",
}
_BLOCKS = {"▌": (0.0, 0.0, 0.5, 1.0), "▐": (0.5, 0.0, 0.5, 1.0), "█": (0.0, 0.0, 1.0, 1.0)}
_BLOCKS |= {glyph: (0.0, 1 - n / 8, 1.0, n / 8) for n, glyph in enumerate("▁▂▃▄▅▆▇", 1)}
_BLOCKS |= {glyph: (0.0, 0.0, n / 8, 1.0) for n, glyph in enumerate("▏▎▍", 1)}
_BLOCKS |= {"▔": (0.0, 0.0, 1.0, 1 / 8), "▀": (0.0, 0.0, 1.0, 0.5), "▕": (7 / 8, 0.0, 1 / 8, 1.0)}
_BLOCKS |= {"━": (0.0, 0.42, 1.0, 0.16), "╸": (0.0, 0.42, 0.5, 0.16), "╺": (0.5, 0.42, 0.5, 0.16)}
_DRAWN = "".join((*_LINES, *_BLOCKS))
_TOKEN = re.compile(rf"─+|[{_DRAWN}]|[^\s{_DRAWN}]+(?: [^\s{_DRAWN}]+)*")


@dataclass(frozen=True, slots=True)
class Piece:
    """Some cells of one line that look the same, from column `x` on."""

    x: int
    y: int
    text: str
    colour: str
    background: str
    style: Style


def draw(capture: str, title: str) -> str:
    """Return the SVG of a capture made by `tmux capture-pane -e`."""
    lines = list(Text.from_ansi(capture.rstrip("\n")).split("\n", allow_blank=True))
    pieces = [piece for y, line in enumerate(lines) for piece in _pieces(line, y)]
    width = max(line.cell_len for line in lines) * WIDE + 2 * EDGE
    height = len(lines) * HIGH + BAR + EDGE
    back, front = THEME.background_color.hex, THEME.foreground_color.hex
    return "\n".join(
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" role="img">',
            f"<title>{escape(title)}</title>",
            f"<style>text{{font:{SIZE:g}px {FONTS};white-space:pre}}</style>",
            f'<rect x=".5" y=".5" width="{width - 1:g}" height="{height - 1:g}" rx="8" fill="{back}"',
            ' stroke="#3a4046"/>',
            *(f'<circle cx="{20 + 18 * n}" cy="18" r="5" fill="#3a4046"/>' for n in range(3)),
            f'<text x="{width / 2:g}" y="22" fill="{front}" fill-opacity=".6" text-anchor="middle">',
            f"{escape(title)}</text>",
            f'<g transform="translate({EDGE:g} {BAR:g})">',
            *_backgrounds(pieces),
            *_frames(pieces),
            *(shape for piece in pieces for shape in _shapes(piece)),
            "</g>\n</svg>\n",
        )
    )


def _pieces(line: Text, y: int) -> Iterator[Piece]:
    """A line in pieces of one look; background and colour resolved, reverse and dim applied."""
    x = 0
    for segment in line.render(Console(width=1000, color_system="truecolor")):
        text = segment.text.replace("\n", "")
        style = segment.style or Style()
        front = style.color.get_truecolor(THEME) if style.color else THEME.foreground_color
        back = style.bgcolor.get_truecolor(THEME, foreground=False) if style.bgcolor else THEME.background_color
        if style.reverse:
            front, back = back, front
        if style.dim:
            front = type(front)(*(round(f * 0.6 + b * 0.4) for f, b in zip(front, back, strict=True)))
        if text:
            yield Piece(x, y, text, front.hex, back.hex, style)
        x += cell_len(text)


def _backgrounds(pieces: Iterable[Piece]) -> Iterator[str]:
    """One rectangle for neighbours of one background."""
    runs: list[tuple[int, int, int, str]] = []
    for piece in pieces:
        if piece.background == THEME.background_color.hex:
            continue
        end = piece.x + cell_len(piece.text)
        if runs and runs[-1][1:] == (piece.y, piece.x, piece.background):
            runs[-1] = (runs[-1][0], piece.y, end, piece.background)
        else:
            runs.append((piece.x, piece.y, end, piece.background))
    for start, y, end, colour in runs:
        yield (
            f'<rect x="{start * WIDE:g}" y="{y * HIGH:g}" width="{(end - start) * WIDE:g}" height="{HIGH:g}" '
            f'fill="{colour}" shape-rendering="crispEdges"/>'
        )


def _tokens(piece: Piece) -> Iterator[tuple[int, str]]:
    """The column and the text of each word, frame and block in it."""
    for match in _TOKEN.finditer(piece.text):
        yield piece.x + cell_len(piece.text[: match.start()]), match[0]


def _frames(pieces: Iterable[Piece]) -> Iterator[str]:
    """Everything that is drawn with lines, one element a colour."""
    strokes: dict[str, list[str]] = {}
    for piece in pieces:
        for column, token in _tokens(piece):
            if token[0] in _LINES:
                line = f"m0 {_Y:g}h{len(token) * WIDE:g}" if token[0] == "─" else _LINES[token]
                strokes.setdefault(piece.colour, []).append(f"M{column * WIDE:g} {piece.y * HIGH:g}{line}")
    for colour, lines in strokes.items():
        yield f'<path d="{"".join(lines)}" fill="none" stroke="{colour}" stroke-width="1.2"/>'


def _shapes(piece: Piece) -> Iterator[str]:
    """Words as text, blocks as rectangles."""
    for column, token in _tokens(piece):
        if token in _BLOCKS:
            x, y, width, height = _BLOCKS[token]
            yield (
                f'<rect x="{(column + x) * WIDE:g}" y="{(piece.y + y) * HIGH:g}" width="{width * WIDE:g}" '
                f'height="{height * HIGH:g}" fill="{piece.colour}"/>'
            )
        elif token[0] not in _LINES:
            yield _word(token, column, piece)


def _word(text: str, x: int, piece: Piece) -> str:
    style = piece.style
    looks = "".join(
        f' {name}="{value}"'
        for wanted, name, value in (
            (style.bold, "font-weight", "bold"),
            (style.italic, "font-style", "italic"),
            (style.underline, "text-decoration", "underline"),
            (style.strike, "text-decoration", "line-through"),
        )
        if wanted
    )
    return (
        f'<text x="{x * WIDE:g}" y="{piece.y * HIGH + 13.5:g}" fill="{piece.colour}"{looks} '
        f'textLength="{cell_len(text) * WIDE:g}" lengthAdjust="spacingAndGlyphs">{escape(text, quote=False)}</text>'
    )
