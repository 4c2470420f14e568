"""Properties of relay's terminal: size, colours, characters."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class TerminalInfo:
    """Terminal properties. `colours` is 0, 16, 256 or 1 << 24. Without a terminal `columns` is 0."""

    columns: int
    lines: int
    colours: int
    locale: str
    """Variable that sets the locale, as 'LANG=C.UTF-8', or ''."""
    utf8: bool
    """Whether the locale is UTF-8."""
    name: str
    """$TERM."""


def detect_terminal() -> TerminalInfo:
    """Return the properties of the terminal that relay writes to."""
    columns, lines = 0, 0
    for stream in (sys.__stdout__, sys.__stderr__):
        try:
            columns, lines = os.get_terminal_size(stream.fileno() if stream else -1)
            break
        except (OSError, ValueError):
            continue
    return TerminalInfo(columns, lines, colours(os.environ), locale(), utf8_locale(), os.environ.get("TERM", ""))


def colours(environ: Mapping[str, str]) -> int:
    """Return the number of colours according to $TERM and $COLORTERM."""
    term = environ.get("TERM", "")
    if environ.get("NO_COLOR") or term in {"", "dumb"}:
        return 0
    if environ.get("COLORTERM", "").strip().lower() in {"truecolor", "24bit"} or term.endswith("-direct"):
        return 1 << 24
    return 256 if "256color" in term or term.startswith(("xterm-kitty", "alacritty", "foot", "wezterm")) else 16


def utf8_locale() -> bool:
    """Return whether the locale is UTF-8."""
    value = locale().lower()
    return "utf-8" in value or "utf8" in value


def locale() -> str:
    """Return the first of LC_ALL, LC_CTYPE, LANG that is set, as 'LANG=C.UTF-8', or ''. tmux does the same."""
    for variable in ("LC_ALL", "LC_CTYPE", "LANG"):
        value = os.environ.get(variable, "")
        if value and not (variable == "LC_CTYPE" and _set_by_python(value)):
            return f"{variable}={value}"
    return ""


def _set_by_python(ctype: str) -> bool:
    """Return whether Python set LC_CTYPE itself. It does so in a C locale (PEP 538), whatever the terminal supports."""
    if ctype not in {"C.UTF-8", "C.utf8", "UTF-8"}:
        return False
    try:
        return b"\0LC_CTYPE=" not in b"\0" + Path("/proc/self/environ").read_bytes()
    except OSError:
        return False
