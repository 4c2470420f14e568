"""A line of a log is what a terminal would leave of it, by its cells."""

from __future__ import annotations

import sys

import pytest
from rich.cells import cell_len, get_character_cell_size

from relay_tui.text import ansi
from relay_tui.text.ansi import PLAIN, TextStyle, file_text, plain_text, styled_runs
from relay_tui.text.sanitize import LOG_LINE_CELLS

HEART = "\u2764\ufe0f"


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("漢字漢字\rabc", "abc 漢字"),
        ("abcdef\r漢", "漢cdef"),
        ("漢字\tX", "漢字    X"),
        ("漢字漢字\tX", "漢字漢字        X"),
        ("漢\bx", " x"),
        ("漢字\r\x1b[3Gx", "漢x "),
        ("漢字\x1b[4Gx", "漢 x"),
        ("漢字\x1b[4G\x1b[K!", "漢 !"),
        ("漢字\x1b[1G\x1b[1Kx", "x 字"),
        ("e\u0301f\rx", "xf"),
        ("e\x1b[1m\u0301f\tx", "e\u0301f      x"),
        ("漢\x1b[m\u0301字\tx", "漢\u0301字    x"),
        (f"{HEART}\tx", f"{HEART}      x"),
        ("\u0301e\tx", "\u0301e       x"),
        ("ab\r\u0301c", "cb"),
        ("ひらがな 10 %\rひらがな 100 %", "ひらがな 100 %"),
        ("█░░\t30 %\r██░\t60 %\r███", "███     60 %"),
    ],
)
def test_wide_characters_take_two_cells(raw: str, shown: str) -> None:
    assert plain_text(raw) == shown
    if "\r" in raw:
        assert file_text(raw) == shown


def test_a_half_that_is_left_keeps_its_style_and_is_blank() -> None:
    red = TextStyle(foreground=1)
    assert styled_runs("\x1b[31m漢字\x1b[m\rabc") == [("abc", PLAIN), (" ", red)]
    assert styled_runs("\x1b[31mab漢\x1b[m\rabc") == [("abc", PLAIN), (" ", red)]


def test_a_line_is_as_many_cells_as_are_drawn() -> None:
    for raw in ("漢" * 10_000, "a" + "漢" * 10_000, "\t漢" * 10_000):
        assert LOG_LINE_CELLS - 1 <= cell_len(plain_text(raw)) <= LOG_LINE_CELLS


def test_what_counts_as_narrow_is() -> None:
    narrow = [chr(code) for code in range(sys.maxunicode) if ansi._NARROW.fullmatch(chr(code))]
    assert {get_character_cell_size(character) for character in narrow} == {1}


@pytest.mark.parametrize("evil", ["\u0301\x1b[m", "e\u0301\b", "漢\b", "漢\r", "漢\t", "\u0301\r"])
def test_no_line_takes_long(evil: str) -> None:
    written = file_text(evil * 50_000 + "\r")
    assert len(written) <= 50_000 * 9
    assert cell_len(plain_text(evil * 50_000)) <= LOG_LINE_CELLS
