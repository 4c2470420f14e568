"""Conversion of one log line to the text a terminal shows: cells, overwriting and colours."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import groupby
from typing import NamedTuple

from rich.cells import cell_len, get_character_cell_size

from relay_tui.text.sanitize import LOG_LINE_CELLS, SEQUENCE, limit_combining_marks, strip_controls

HOME = "\x1c"
"""Separator in a raw log line. The text before it is relay's, and the text after it cannot overwrite it."""
_TOKEN = re.compile(f"(?P<move>[\\t\\r\\b{HOME}])|{SEQUENCE.pattern}")


class TextStyle(NamedTuple):
    """Style of a part of a log line. A colour is 0..255 of the palette, `TRUE_COLOUR | 0xRRGGBB`, or None."""

    foreground: int | None = None
    background: int | None = None
    bold: bool = False
    dim: bool = False
    italic: bool = False
    underline: bool = False
    reverse: bool = False
    strike: bool = False


TRUE_COLOUR = 1 << 24
PLAIN = TextStyle()

Run = tuple[str, TextStyle]


def styled_runs(raw: str) -> list[Run]:
    """Return one raw log line as safe text runs with styles, as a terminal shows it after the whole line.

    Colours and other text attributes are kept. Carriage returns and backspaces overwrite, and tabs move to every eighth
    column. Every other escape sequence is dropped. The text of all runs is free of control characters.
    """
    if raw.isascii() and raw.isprintable():
        return [(raw, PLAIN)] if raw else []
    line = _Line()
    _apply_controls(line, raw.rstrip("\r\n"))
    return line.runs()


def _apply_controls(line: _Line, raw: str) -> None:
    at = 0
    style = PLAIN
    for token in _TOKEN.finditer(raw):
        if token.start() > at:
            line.write(raw[at : token.start()], style)
        at = token.end()
        if token["move"]:
            line.move(token["move"], style)
        elif token["final"] == "m" and not token["between"]:
            style = _styled(style, token["parameters"])
        elif token["final"] in ("K", "G") and not token["between"]:
            line.edit(token["final"], token["parameters"])
    if at < len(raw):
        line.write(raw[at:], style)


def plain_text(raw: str) -> str:
    """Return the safe text of one raw log line without styles, for searching, copying and pipes."""
    if raw.isascii() and raw.isprintable():
        return raw
    return "".join(text for text, _ in styled_runs(raw))


def file_text(raw: str) -> str:
    """Return one raw log line for a file: the whole text without control sequences.

    A line that overwrote itself is returned as a terminal shows it in the end.
    """
    if raw.isascii() and raw.isprintable():
        return raw
    raw = raw.rstrip("\r\n")
    if _OVERWRITES.search(raw):
        line = _Line(most=sys.maxsize, without=_without_control_characters)
        _apply_controls(line, raw)
        return line.text()
    return _without_control_characters(SEQUENCE.sub("", raw))


_OVERWRITES = re.compile("[\r\b]|(?:\x1b\\[|\x9b)[0-9]*[KG]")
_CONTROLS = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f\ud800-\udfff]")


def _without_control_characters(text: str) -> str:
    return _CONTROLS.sub("", text)


_NARROW = re.compile("[ -~\xa0-\xac\xae-\u02ff\u0370-\u0482\u2010-\u2027\u2500-\u25fc\u2800-\u28ff\ufffd]*")
_MOST_MARKS = 100  # zero-width characters that are combined with one character
_EMOJI = "\ufe0f"


class _Line:
    """One row of a terminal: cells, their styles and a cursor. An empty cell follows a wide character."""

    def __init__(self, most: int = LOG_LINE_CELLS, without: Callable[[str], str] = strip_controls) -> None:
        self._most = most
        self._without = without
        self._marks = ""  # accents before the first character
        self._cells: list[str] = []
        self._styles: list[TextStyle] = []
        self._column = self._home = 0

    def text(self) -> str:
        """Return the whole row."""
        return self._marks + "".join(self._cells)

    def write(self, text: str, style: TextStyle) -> None:
        """Write `text` at the cursor, over the existing cells."""
        room = max(0, self._most - self._column)
        text = self._without(text)[:room]
        cells: Sequence[str] = text
        if not text.isascii() and not _NARROW.fullmatch(text):
            marks, cells = _in_cells(text)
            if marks:
                self._accent(marks)
            if len(cells) > room:
                cells = cells[: room - (cells[room] == "")]
        end = self._column + len(cells)
        self._part(self._column)
        self._part(end)
        self._cells[self._column : end] = cells
        self._styles[self._column : end] = [style] * len(cells)
        self._column = end

    def _accent(self, marks: str) -> None:
        """Add combining marks to the character before the cursor."""
        at = self._column - 1
        if not self._cells:
            self._marks = (self._marks + marks)[:_MOST_MARKS]
        elif at >= self._home:
            at -= self._cells[at] == ""
            self._cells[at] = (self._cells[at] + marks)[:_MOST_MARKS]

    def _part(self, column: int) -> None:
        """Replace a wide character across a column by blanks, because one half is overwritten."""
        if 0 < column < len(self._cells) and not self._cells[column]:
            self._cells[column - 1] = self._cells[column] = " "

    def move(self, control: str, style: TextStyle) -> None:
        """Apply a tab, carriage return or backspace. Only the first HOME counts."""
        if control == "\r":
            self._column = self._home
        elif control == "\b":
            self._column = max(self._home, self._column - 1)
        elif control == HOME:
            self._home = self._home or self._column
        else:
            target = (self._column // 8 + 1) * 8
            missing = target - max(len(self._cells), self._column)
            if missing > 0:
                self._column = target - missing
                self.write(" " * missing, style)
            self._column = min(target, len(self._cells))

    def edit(self, final: str, parameters: str) -> None:
        """Apply `erase in line` (K) or `cursor to column` (G). Progress bars use them."""
        number = int(parameters) if parameters.isascii() and parameters.isdigit() and len(parameters) < 6 else 0
        if final == "G":
            self._column = min(self._home + max(number - 1, 0), len(self._cells))
        elif number == 0:
            self._part(self._column)
            del self._cells[self._column :], self._styles[self._column :]
        else:
            end = min(self._column + 1, len(self._cells)) if number == 1 else len(self._cells)
            self._part(end)
            self._cells[self._home : end] = " " * (end - self._home)
            self._styles[self._home : end] = [PLAIN] * (end - self._home)

    def runs(self) -> list[Run]:
        """Return the text runs. Neighbouring cells of one style are joined."""
        runs = [(limit_combining_marks(self._marks), PLAIN)] if self._marks else []
        at = 0
        for style, group in groupby(self._styles):
            end = at + len(list(group))
            runs.append((limit_combining_marks("".join(self._cells[at:end])), style))
            at = end
        return runs


def _in_cells(text: str) -> tuple[str, list[str]]:
    """Return the part of `text` that belongs to the previous character, and its cells with their combining marks."""
    widths = {character: get_character_cell_size(character) for character in set(text)}
    if 0 not in widths.values():
        halves = {character: (character, "")[:width] for character, width in widths.items()}
        return "", [cell for character in text for cell in halves[character]]
    cells: list[str] = []
    start = 0
    for at, character in enumerate(text):
        if widths[character]:
            cells += _halves(text[start:at])
            start = at
    cells += _halves(text[start:])
    leading = "" if widths[text[0]] else cells.pop(0)
    return leading, cells


def _halves(character: str) -> tuple[str, ...]:
    return (character, "")[: cell_len(character) or 1] if character else ()


@lru_cache(maxsize=1024)
def _styled(style: TextStyle, parameters: str) -> TextStyle:
    """Return `style` after a select-graphic-rendition sequence. Unknown codes are skipped."""
    if parameters[:1] in ("<", "=", ">", "?"):  # a private sequence that has the same final character
        return style
    changes = style._asdict()
    codes = parameters.split(";")
    while codes:
        code, *details = codes.pop(0).split(":")
        number = _number(code)
        if number in (38, 48, 58):
            colour = _extended_colour(details, codes)
            if colour is not None and number != 58:
                changes["foreground" if number == 38 else "background"] = colour
        elif number == 4 and details == ["0"]:
            changes["underline"] = False
        elif number == 0:
            changes = PLAIN._asdict()
        else:
            changes.update(_SIMPLE_CODES.get(number, {}))
    return TextStyle(**changes)


def _extended_colour(details: list[str], codes: list[str]) -> int | None:
    """Return a palette (5) or true colour (2) from sub-parameters, or else from the front of `codes`."""
    if details:
        numbers = [_number(code) for code in details]
        rgb = numbers[-3:] if len(numbers) >= 4 else []
    else:
        numbers = [_number(code) for code in codes[:4]]
        del codes[: {5: 2, 2: 4}.get(numbers[0] if numbers else 0, 1)]
        rgb = numbers[1:4]
    if numbers[:1] == [5] and len(numbers) > 1 and 0 <= numbers[1] <= 255:
        return numbers[1]
    if numbers[:1] == [2] and len(rgb) == 3 and all(0 <= part <= 255 for part in rgb):
        return TRUE_COLOUR | rgb[0] << 16 | rgb[1] << 8 | rgb[2]
    return None


def _number(code: str) -> int:
    """Return a parameter's value: 0 if it is empty, -1 if it is not a number."""
    if not code:
        return 0
    return int(code) if code.isascii() and code.isdigit() and len(code) < 6 else -1


_SIMPLE_CODES: dict[int, dict[str, int | bool | None]] = {
    1: {"bold": True},
    2: {"dim": True},
    3: {"italic": True},
    4: {"underline": True},
    7: {"reverse": True},
    9: {"strike": True},
    21: {"underline": True},
    22: {"bold": False, "dim": False},
    23: {"italic": False},
    24: {"underline": False},
    27: {"reverse": False},
    29: {"strike": False},
    39: {"foreground": None},
    49: {"background": None},
    **{30 + colour: {"foreground": colour} for colour in range(8)},
    **{40 + colour: {"background": colour} for colour in range(8)},
    **{90 + colour: {"foreground": 8 + colour} for colour in range(8)},
    **{100 + colour: {"background": 8 + colour} for colour in range(8)},
}
