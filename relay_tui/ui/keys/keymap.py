"""Keymap: the user's keys from the configuration file, checked and handed to the app."""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from relay_tui.domain.errors import ConfigError
from relay_tui.ui.keys.actions import ACTIONS, ALIASES, BY_NAME, CHOICES, Action, L

FIXED = frozenset(
    {"j", "k", "g", "G", "up", "down", "left", "right", "home", "end", "pageup", "pagedown"}
    | {"enter", "tab", "shift+tab", "ctrl+d", "ctrl+u", "ctrl+c"}
)
"""Keys that move, choose or interrupt in every pane."""
_NAME = re.compile(r"(?:(?:ctrl|shift|alt)\+)*[A-Za-z0-9_]{1,30}")
_TEXTUAL_NAMES = {
    "solidus": "slash",
    "reverse_solidus": "backslash",
    "commercial_at": "at",
    "hyphen_minus": "minus",
    "plus_sign": "plus",
    "low_line": "underscore",
}
"""Textual's names of characters whose Unicode names differ."""


@dataclass(frozen=True, slots=True)
class Keymap:
    """Keys that replace the default keys of actions."""

    keys: Mapping[str, str] = field(default_factory=dict)
    """By action name, keys as Textual names them, separated by commas."""

    @classmethod
    def from_config(cls, keys: Mapping[str, str], path: Path) -> Keymap:
        """Return the keymap of the configuration's [keys].

        Raises ConfigError, with the file and the key, for an unknown action, a key that is no key and a key that two
        actions would have.
        """
        wanted = _by_action(keys, path)
        for written, action, custom in wanted:
            default = _split(action.keys)
            if action.name == CHOICES and len(custom) != len(default):
                raise _error(path, written, "needs a key for each of its choices: seven, separated by spaces")
            for key in custom:
                if not _NAME.fullmatch(key):
                    raise _error(path, written, f"cannot be '{key}': a character, or a name such as f5, ctrl+t, space")
                if key in FIXED and key not in default:
                    raise _error(path, written, f"cannot be '{key}': that key moves or chooses")
        keymap = cls({action.name: ",".join(custom) for _, action, custom in wanted})
        keymap._check_clashes({action.name: written for written, action, _ in wanted}, path)
        return keymap

    def keys_of(self, action: Action) -> str:
        """Return the action's keys: the user's, else the default ones."""
        return self.keys.get(action.name, action.keys)

    def bindings(self) -> dict[str, str]:
        """Return the keys by binding identifier, as `App.set_keymap` takes them."""
        found = {BY_NAME[name].binding_id: keys for name, keys in self.keys.items() if name != CHOICES}
        if CHOICES in self.keys:
            action = BY_NAME[CHOICES]
            pairs = zip(action.keys.split(","), self.keys[CHOICES].split(","), strict=True)
            found |= {f"{action.binding_id}.{default}": key for default, key in pairs}
        return found

    def _check_clashes(self, written: Mapping[str, str], path: Path) -> None:
        """Raise ConfigError if two actions have the same key; the log's keys win while the log has the focus."""
        for in_log in (True, False):
            taken: dict[str, str] = {}
            for action in (a for a in ACTIONS if (L in a.places) is in_log):
                for key in _split(self.keys_of(action)):
                    if key in taken:
                        mine, other = sorted((action.name, taken[key]), key=lambda name: name not in self.keys)
                        raise _error(path, written.get(mine, mine), f"cannot be '{key}': that is {other}'s")
                    taken[key] = action.name


def _by_action(keys: Mapping[str, str], path: Path) -> list[tuple[str, Action, list[str]]]:
    """Return each name as written, its action and its keys. Raises ConfigError for a name that is unknown or double."""
    found: dict[str, tuple[str, Action, list[str]]] = {}
    known = BY_NAME.keys() | ALIASES.keys()
    for written, custom in keys.items():
        if written not in known:
            near = difflib.get_close_matches(written, known, 1)
            raise _error(path, written, f"is no action (known: {', '.join(sorted(BY_NAME))})", near)
        name = ALIASES.get(written, written)
        if name in found:
            raise _error(path, written, f"is the same action as keys.{found[name][0]}")
        if split := _split(custom):
            found[name] = (written, BY_NAME[name], split)
    return list(found.values())


def _split(keys: str) -> list[str]:
    """Return key names as Textual spells them, from the table or from what the user wrote."""
    parts: Iterator[str] = iter(keys.split(",") if "," in keys and keys != "," else keys.split())
    return [_key(part.strip()) for part in parts if part.strip()]


def _key(written: str) -> str:
    if len(written) != 1 or written.isalnum():
        return written
    name = unicodedata.name(written, "").lower().replace("-", "_").replace(" ", "_")
    return _TEXTUAL_NAMES.get(name, name)


def _error(path: Path, name: str, why: str, near: Sequence[str] = ()) -> ConfigError:
    meant = f"Did you mean {near[0]}? " if near else ""
    return ConfigError(f"{path}: keys.{name} {why}", "", f"{meant}Fix the file.")
