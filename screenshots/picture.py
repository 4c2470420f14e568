"""Draws what a terminal shows as an SVG that needs no font of its own: frames and blocks are shapes, not letters."""

from __future__ import annotations

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
    """The SVG of what `tmux capture-pane -e` told."""
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


def _shapes(piece: Piece) -> Iterator[str]:
    """Words as text, one element for a run without wide gaps; frames as strokes, blocks as rectangles."""
    column, top, word, start = piece.x, piece.y * HIGH, "", piece.x
    for glyph in piece.text + "\0":
        special = glyph in _LINES or glyph in _BLOCKS or glyph == "\0"
        if special or (glyph == " " and not word.strip()) or word.endswith("  "):
            if word.strip():
                yield _word(word.rstrip(), start, piece)
            word, start = "", column
        if glyph in _LINES:
            yield (
                f'<path d="m{column * WIDE:g} {top:g}{_LINES[glyph]}" fill="none" stroke="{piece.colour}" '
                'stroke-width="1.2"/>'
            )
        elif glyph in _BLOCKS:
            x, y, width, height = _BLOCKS[glyph]
            yield (
                f'<rect x="{(column + x) * WIDE:g}" y="{top + y * HIGH:g}" width="{width * WIDE:g}" '
                f'height="{height * HIGH:g}" fill="{piece.colour}"/>'
            )
        elif glyph != "\0":
            word += glyph
            if not word.strip():
                word, start = "", column + 1
        column += cell_len(glyph) if glyph != "\0" else 0


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
