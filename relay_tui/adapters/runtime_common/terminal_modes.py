"""Terminal modes that a program sets, recorded so that they can be reset after it."""

from __future__ import annotations

import re

_PRIVATE = re.compile(rb"\x1b\[\?([0-9;]+)([hl])")
_KEYBOARD = re.compile(rb"\x1b\[(?:([>=<])[0-9;]*u|(>4)(?:;([0-9]+))?m)")
_UNFINISHED = re.compile(rb"\x1b(?:\[[?>=<0-9;]{0,30})?$")

_CURSOR = 25
_ALTERNATE = (47, 1047, 1049)
_RESETTABLE = frozenset({1, 9, 1000, 1001, 1002, 1003, 1004, 1005, 1006, 1015, 1016, 2004, 2026, *_ALTERNATE})


class TerminalModes:
    """Recorder of the terminal modes that a program's output leaves set."""

    def __init__(self) -> None:
        self._on: set[int] = set()
        self._cursor_hidden = False
        self._kitty = 0
        self._modify_keys = False
        self._rest = b""

    def feed(self, data: bytes) -> None:
        """Scan output. A sequence can be split between two calls."""
        if b"\x1b" not in data and not self._rest:
            return
        data = self._rest + data
        for parameters, action in _PRIVATE.findall(data):
            for mode in (int(number) for number in parameters.split(b";") if number):
                self._set(mode, on=action == b"h")
        for action, modify, level in _KEYBOARD.findall(data):
            if modify:
                self._modify_keys = level not in (b"", b"0")
            else:
                self._kitty = max(0, self._kitty + {b">": 1, b"<": -1, b"=": 0}[action])
        unfinished = _UNFINISHED.search(data)
        self._rest = unfinished[0] if unfinished else b""

    def _set(self, mode: int, *, on: bool) -> None:
        if mode == _CURSOR:
            self._cursor_hidden = not on
        elif mode in _RESETTABLE:
            (self._on.add if on else self._on.discard)(mode)

    def undo(self) -> bytes:
        """Return the bytes that reset the modes that are still set, the alternate screen last; b"" if none is set."""
        keys = b"\x1b[<u" * self._kitty + (b"\x1b[>4;0m" if self._modify_keys else b"")
        ordered = sorted(self._on, key=lambda mode: (mode in _ALTERNATE, mode))
        modes = b"".join(b"\x1b[?%dl" % mode for mode in ordered)
        cursor = b"\x1b[?25h" if self._cursor_hidden else b""
        plain = b"\x1b[0m" if keys or modes or cursor else b""
        return plain + keys + modes + cursor
