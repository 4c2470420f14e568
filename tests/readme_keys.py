"""README's table of keys, made from the table of actions. Run as a script it prints it."""

from __future__ import annotations

import sys

from relay_tui.ui.keys.actions import ACTIONS, SHARED_KEYS, format_keys


def table() -> str:
    """The table in Markdown, as it stands between `<!-- keys -->` and `<!-- /keys -->`."""
    rows = [(_code(format_keys(action)), action.help) for action in ACTIONS]
    rows += [(_code(keys), words) for keys, words in SHARED_KEYS]
    return "".join(f"| {keys} | {words} |\n" for keys, words in [("key", "what it does"), ("---", "---"), *rows])


def _code(keys: str) -> str:
    return " ".join(f"`{key}`" for key in keys.split())


if __name__ == "__main__":
    sys.stdout.write(table())
