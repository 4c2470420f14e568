"""README's tables of keys, one for each group of the table of actions. Run as a script it prints them."""

from __future__ import annotations

import sys
from itertools import groupby

from relay_tui.ui.keys.actions import ACTIONS, SHARED_KEYS, format_keys

_TITLES = {
    "Sessions": "Sessions",
    "Projects": "Projects",
    "Changes": "Changes tab, while it has the focus",
    "Screen": "Screen",
    "Log": "Log, while it has the focus (before all other keys)",
}


def table() -> str:
    """Return the tables in Markdown, as they are between `<!-- keys -->` and `<!-- /keys -->`."""
    groups = [
        _group(_TITLES[name], [(format_keys(action), action.help) for action in actions])
        for name, actions in groupby(ACTIONS, key=lambda action: action.group)
    ]
    return "\n".join([*groups, _group("Lists and log", list(SHARED_KEYS))])


def _group(title: str, rows: list[tuple[str, str]]) -> str:
    lines = [f"| {title} | |", "| --- | --- |", *(f"| {_code(keys)} | {words} |" for keys, words in rows)]
    return "".join(f"{line}\n" for line in lines)


def _code(keys: str) -> str:
    return " ".join(f"`{key}`" for key in keys.split())


if __name__ == "__main__":
    sys.stdout.write(table())
