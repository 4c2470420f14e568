"""Hint templates. The screen renders a hint with keys, the command line with commands.

The parts that differ are in braces: an action of the table below, as in `{retry} creates a new one`, with a name if
one is known, as in `{start main}`; or both texts, as in `{remove it anyway|add --force}`. Records store the template.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from types import MappingProxyType
from typing import NamedTuple


class HintAction(NamedTuple):
    """Next step: an action of the screen's table, and the command that does the same."""

    action: str
    command: str
    """SESSION and PROJECT are placeholders for the name of the hint's subject."""


HINT_ACTIONS = MappingProxyType(
    {
        "cancel": HintAction("cancel", "ctrl+c where it runs"),
        "push": HintAction("push", "relay session push SESSION"),
        "remove_project": HintAction("remove", "relay project remove PROJECT"),
        "restart": HintAction("restart", "relay session restart SESSION"),
        "retry": HintAction("retry", "relay session retry SESSION"),
        "retry_project": HintAction("retry", "relay project retry PROJECT"),
        "shell": HintAction("shell", "relay session shell SESSION"),
        "start": HintAction("stop_start", "relay session start SESSION"),
        "update": HintAction("update", "relay session update SESSION"),
    }
)

_MARK = re.compile(r"\{(?P<action>[a-z_]+)(?: (?P<name>[^{}|]+))?\}|\{(?P<screen>[^{}|]*)\|(?P<line>[^{}|]*)\}")


def render_for_tui(hint: str, key: Callable[[str], str]) -> str:
    """Return the hint for the screen. `key` returns the key of an action."""

    def replacement(found: re.Match[str]) -> str:
        action = HINT_ACTIONS.get(found["action"] or "")
        if action is not None:
            return key(action.action)
        return found[0] if found["screen"] is None else found["screen"]

    return _MARK.sub(replacement, hint) if "{" in hint else hint


def render_for_cli(hint: str, about: str = "") -> str:
    """Return the hint for the command line. `about` is the subject's name, as `project/session`."""

    def replacement(found: re.Match[str]) -> str:
        action = HINT_ACTIONS.get(found["action"] or "")
        if action is not None:
            name = found["name"] or about
            return re.sub("SESSION|PROJECT", lambda _: name, action.command) if name else action.command
        return found[0] if found["line"] is None else found["line"]

    return _MARK.sub(replacement, hint) if "{" in hint else hint
