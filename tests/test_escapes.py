"""Typed input, split into escapes and other text, in pieces of any size."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import pytest

from relay_tui.ui.textual_internals.escape_parser import ESCAPE, EscapeParser

PASTE, PASTED = "\x1b[200~", "\x1b[201~"


def joined(parts: Sequence[str | None]) -> list[str | None]:
    """Join the text between two escapes: the boundaries of the pieces do not matter."""
    found: list[str | None] = []
    for part in parts:
        if part is not None and found and found[-1] is not None:
            found[-1] += part
        else:
            found.append(part)
    return found


@pytest.mark.parametrize(
    ("typed", "parts"),
    [
        ("jk", ["jk"]),
        ("a\x1bj", ["a", None, "j"]),
        ("\x1bN\x1b\r", [None, "N", None, "\r"]),
        ("\x1b\x1b", [None, None]),
        ("\x1b\x1bq", [None, None, "q"]),
        ("\x1b[A\x1bOP\x1b[1;3Dj", ["\x1b[A\x1bOP\x1b[1;3Dj"]),
        ("\x1b\x1b[A", [None, "\x1b[A"]),
        ("\x1bP>|xterm\x1b\\", ["\x1bP>|xterm\x1b\\"]),
        ("\x1b\x7f", ["\x1b\x7f"]),
        ("\x1bx", ["\x1bx"]),
        (f"\x1bj{PASTE}a\x1bj\x1b{PASTED}\x1bk", [None, f"j{PASTE}a\x1bj\x1b{PASTED}", None, "k"]),
    ],
)
def test_it_is_the_same_however_it_comes(typed: str, parts: list[str | None]) -> None:
    """In one piece, cut in two anywhere, or one character at a time. x is somebody's key with alt."""
    for cuts in [*([0, at, len(typed)] for at in range(len(typed))), [*range(len(typed) + 1)]]:
        escapes = EscapeParser("x")
        found = [part for a, b in pairwise(cuts) for part in escapes.parts(typed[a:b])]
        begun = escapes.give_up()
        assert joined(found + ([None] if begun == ESCAPE else [begun] if begun else [])) == parts, cuts
