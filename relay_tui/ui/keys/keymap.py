"""Keys of a person's own, from the configuration: put into the table before anything is made of it.

So bindings, footer, help, palette and hints all say the same.
"""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from relay_tui.domain.errors import ConfigError
from relay_tui.ui.keys.actions import CHOICES, Action, L

FIXED = frozenset(
    {"j", "k", "g", "G", "up", "down", "left", "right", "home", "end", "pageup", "pagedown"}
    | {"enter", "tab", "shift+tab", "ctrl+d", "ctrl+u", "ctrl+c"}
)
"""Keys that move, choose and interrupt everywhere."""
_NAME = re.compile(r"(?:(?:ctrl|shift|alt)\+)*[A-Za-z0-9_]{1,30}")
_OTHERWISE = {
    "solidus": "slash",
    "reverse_solidus": "backslash",
    "commercial_at": "at",
    "hyphen_minus": "minus",
    "plus_sign": "plus",
    "low_line": "underscore",
}
"""What the terminal's library calls some characters, where that is not their name in Unicode."""


def with_own(table: Sequence[Action], keys: Mapping[str, str], path: Path) -> tuple[Action, ...]:
    """The table with these keys, by action. Raises ConfigError, naming the file and the key."""
    names = {action.name for action in table}
    for name, wanted in keys.items():
        if name not in names:
            near = difflib.get_close_matches(name, names, 1)
            raise _wrong(path, name, f"is no action (known: {', '.join(sorted(names))})", near)
        if name == CHOICES and len(_split(wanted)) != len(_split(_of(table, name).keys)):
            raise _wrong(path, name, "needs a key for each of its choices: seven, separated by spaces")
        for key in _split(wanted):
            if not _NAME.fullmatch(key):
                raise _wrong(path, name, f"cannot be '{key}': a character, or a name such as f5, ctrl+t, space")
            if key in FIXED and key not in _split(_of(table, name).keys):
                raise _wrong(path, name, f"cannot be '{key}': that key moves or chooses")
    own = tuple(replace(a, keys=",".join(_split(keys[a.name]))) if a.name in keys else a for a in table)
    for here in (True, False):  # the log's keys come first where the log has the focus
        taken: dict[str, str] = {}
        for action in (a for a in own if (L in a.places) is here):
            for key in _split(action.keys):
                if key in taken:
                    mine, other = sorted((action.name, taken[key]), key=lambda name: name not in keys)
                    raise _wrong(path, mine, f"cannot be '{key}': that is {other}'s")
                taken[key] = action.name
    return own


def _of(table: Iterable[Action], name: str) -> Action:
    return next(action for action in table if action.name == name)


def _split(keys: str) -> list[str]:
    """Keys as the terminal's library calls them, of a table's or of what a person wrote."""
    parts = keys.split(",") if "," in keys and keys != "," else keys.split()
    return [_key(part.strip()) for part in parts if part.strip()]


def _key(written: str) -> str:
    if len(written) != 1 or written.isalnum():
        return written
    name = unicodedata.name(written, "").lower().replace("-", "_").replace(" ", "_")
    return _OTHERWISE.get(name, name)


def _wrong(path: Path, name: str, why: str, near: Sequence[str] = ()) -> ConfigError:
    meant = f"Did you mean {near[0]}? " if near else ""
    return ConfigError(f"{path}: keys.{name} {why}", "", f"{meant}Mend the file.")
