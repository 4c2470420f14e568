"""What the terminal around relay is said to be able to do: its size, its colours, its characters."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class TerminalInfo:
    """A terminal as relay sees it. `colours` is 0, 16, 256 or 1 << 24; without a terminal `columns` is 0."""

    columns: int
    lines: int
    colours: int
    locale: str
    """The variable that names it, as 'LANG=C.UTF-8', or ''."""
    utf8: bool
    """Whether that is UTF-8."""
    name: str
    """$TERM."""


def detect_terminal() -> TerminalInfo:
    """The terminal that relay's output goes to."""
    columns, lines = 0, 0
    for stream in (sys.__stdout__, sys.__stderr__):
        try:
            columns, lines = os.get_terminal_size(stream.fileno() if stream else -1)
            break
        except (OSError, ValueError):
            continue
    return TerminalInfo(columns, lines, colours(os.environ), locale(), utf8_locale(), os.environ.get("TERM", ""))


def colours(environ: Mapping[str, str]) -> int:
    """How many colours $TERM and $COLORTERM promise."""
    term = environ.get("TERM", "")
    if environ.get("NO_COLOR") or term in {"", "dumb"}:
        return 0
    if environ.get("COLORTERM", "").strip().lower() in {"truecolor", "24bit"} or term.endswith("-direct"):
        return 1 << 24
    return 256 if "256color" in term or term.startswith(("xterm-kitty", "alacritty", "foot", "wezterm")) else 16


def utf8_locale() -> bool:
    """Whether the locale says UTF-8."""
    value = locale().lower()
    return "utf-8" in value or "utf8" in value


def locale() -> str:
    """The locale as tmux asks for it: the first of LC_ALL, LC_CTYPE, LANG that is set, as 'LANG=C.UTF-8', or ''."""
    for variable in ("LC_ALL", "LC_CTYPE", "LANG"):
        value = os.environ.get(variable, "")
        if value and not (variable == "LC_CTYPE" and _set_by_python(value)):
            return f"{variable}={value}"
    return ""


def _set_by_python(ctype: str) -> bool:
    """Whether LC_CTYPE is Python's own doing: it sets that in a C locale (PEP 538), whatever the terminal can show."""
    if ctype not in {"C.UTF-8", "C.utf8", "UTF-8"}:
        return False
    try:
        return b"\0LC_CTYPE=" not in b"\0" + Path("/proc/self/environ").read_bytes()
    except OSError:
        return False
