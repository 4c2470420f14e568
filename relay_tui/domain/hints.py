"""Hints that are read in two places: on the screen they name a key, on the command line a command.

A hint is written once, with what differs in braces: a deed of the table below, like `{retry} makes a new one`, with a
name where one is known, like `{start main}`; or both readings themselves, like `{remove it all the same|add --force}`.
It is kept like that, in records too, and read where it is shown.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from types import MappingProxyType
from typing import NamedTuple


class HintAction(NamedTuple):
    """Something that can be done next: an action of the screen's table, and the command that does the same."""

    action: str
    command: str
    """SESSION or PROJECT in it stand for the name of what the hint is about."""


DEEDS = MappingProxyType(
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

_MARK = re.compile(r"\{(?P<deed>[a-z_]+)(?: (?P<name>[^{}|]+))?\}|\{(?P<screen>[^{}|]*)\|(?P<line>[^{}|]*)\}")


def render_for_tui(hint: str, key: Callable[[str], str]) -> str:
    """The hint as the screen says it; `key` answers an action's key."""

    def reading(found: re.Match[str]) -> str:
        deed = DEEDS.get(found["deed"] or "")
        if deed is not None:
            return key(deed.action)
        return found[0] if found["screen"] is None else found["screen"]

    return _MARK.sub(reading, hint) if "{" in hint else hint


def render_for_cli(hint: str, about: str = "") -> str:
    """The hint as the command line says it; `about` names the session or project, as `project/session`."""

    def reading(found: re.Match[str]) -> str:
        deed = DEEDS.get(found["deed"] or "")
        if deed is not None:
            name = found["name"] or about
            return re.sub("SESSION|PROJECT", lambda _: name, deed.command) if name else deed.command
        return found[0] if found["line"] is None else found["line"]

    return _MARK.sub(reading, hint) if "{" in hint else hint
