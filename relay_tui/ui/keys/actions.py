"""Table of all actions. Bindings, key bar, help, palette and the README's key list are made from it."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class Action:
    """One action of the main screen or of a log, with its default keys."""

    name: str
    keys: str
    """Default keys as Textual names them, separated by commas. `keys_of` returns the keys in use."""
    label: str
    """One or two words for the key bar and the palette."""
    help: str
    """One sentence for help, palette and README."""
    group: str
    places: frozenset[str] = frozenset()
    """Panes or tabs in which the action is offered: 'projects', 'sessions', 'detail', 'log', 'changes'; empty: all."""
    footer: int = 0
    """Priority in the key bar; 0: never shown there."""
    alias: str = ""
    """Former name. The configuration still accepts it in [keys]."""

    @property
    def binding_id(self) -> str:
        """Identifier of the binding in Textual's keymap."""
        return f"relay.{self.name}"

    @property
    def is_tab_action(self) -> bool:
        """Whether the action works only while its tab of the detail pane has the focus."""
        return bool(self.places) and self.places <= TABS


L = "log"
P, S, D = frozenset({"projects"}), frozenset({"sessions"}), frozenset({"detail"})
_LOG, _CHANGES = frozenset({L}), frozenset({"changes"})
TABS = _CHANGES | _LOG
"""Tabs of the detail pane that have keys of their own."""

ANYWHERE = frozenset({"back", "help", "command_palette", "quit"})
"""Actions that the merged log has too."""

CHOICES = "log_since"
"""Action with one key for each of its choices."""

ACTIONS: tuple[Action, ...] = (
    Action("new_session", "n", "new session", "Create a session on any branch", "Sessions", P | S | D, 90),
    Action("attach", "a", "attach", "Attach to the main process; ctrl+q leaves it running", "Sessions", S | D, 80),
    Action("shell", "e", "shell", "Open a shell in the container", "Sessions", S | D, 85),
    Action("stop_start", "S", "stop/start", "Stop or start the session", "Sessions", S | D, 50),
    Action("restart", "r", "restart", "Restart the session's container", "Sessions", S | D, 45),
    Action("retry", "R", "retry", "Retry the failed step (clone, image or container)", "Sessions", P | S | D, 70),
    Action("cancel", "c", "cancel", "Cancel the running job", "Sessions", P | S | D, 95),
    Action(
        "remove",
        "D",
        "remove",
        "Remove the session or project (asks first, lists unsaved work)",
        "Sessions",
        P | S | D,
        40,
    ),
    Action("push", "p", "push", "Push the session's commits (shows them first)", "Sessions", S | D, 48),
    Action("update", "M", "update", "Merge or rebase upstream changes inside the container", "Sessions", S | D, 12),
    Action("refresh", "ctrl+r", "refresh", "Refresh the git status", "Sessions", S | D, 10, alias="look_again"),
    Action("stats", "v", "stats", "Show or hide resource columns", "Sessions", P | S, 25, alias="meters"),
    Action("mark", "space", "mark", "Mark the session for the merged log", "Sessions", S),
    Action(
        "merged_log",
        "L",
        "logs",
        "Show the merged log of the marked sessions or of the project",
        "Sessions",
        P | S,
        alias="joint_log",
    ),
    Action("undo", "u", "undo", "Undo the last removal", "Sessions", footer=15),
    Action("new_project", "N", "new project", "Add a project from a repository", "Projects", footer=88),
    Action(
        "edit_source",
        "E",
        "edit source",
        "Edit the source of a project whose clone failed, and clone again",
        "Projects",
        P | D,
        72,
    ),
    Action("fetch", "f", "fetch", "Fetch upstream changes into the base clone", "Projects", P | S | D, 42),
    Action("orphans", "U", "orphans", "Review orphaned clones and containers", "Projects", footer=55, alias="strays"),
    Action("next_file", "right_curly_bracket", "file", "Next changed file", "Changes", _CHANGES, 94),
    Action("previous_file", "left_curly_bracket", "previous file", "Previous changed file", "Changes", _CHANGES),
    Action("next_hunk", "right_parenthesis", "hunk", "Next hunk, also of the next file", "Changes", _CHANGES, 93),
    Action("previous_hunk", "left_parenthesis", "previous hunk", "Previous hunk", "Changes", _CHANGES),
    Action("compare", "b", "compare", "Compare with: last commit, branch point, upstream", "Changes", _CHANGES, 92),
    Action("edit_file", "o", "edit", "Open the file in $EDITOR", "Changes", _CHANGES, 91),
    Action("copy_hunk", "y", "copy hunk", "Copy the selected hunk to the clipboard", "Changes", _CHANGES, 89),
    Action("copy_path", "Y", "copy path", "Copy the file's path to the clipboard", "Changes", _CHANGES, 11),
    Action("filter", "slash", "filter", "Show only rows that contain what you type", "Screen", P | S, 60),
    Action("next_pane", "l,right", "next pane", "Go to the pane on the right (also tab)", "Screen"),
    Action("previous_pane", "h,left", "previous pane", "Go to the pane on the left (also shift+tab)", "Screen"),
    Action("previous_tab", "left_square_bracket", "previous tab", "Previous tab", "Screen"),
    Action("next_tab", "right_square_bracket", "tab", "Next tab: Log, Info, Changes", "Screen", S | D, 30),
    Action("zoom", "z", "zoom", "Toggle full-screen pane", "Screen", footer=35),
    Action("back", "escape", "back", "Close the filter, full-screen view or merged log", "Screen"),
    Action("doctor", "H", "doctor", "Check this machine's setup", "Screen"),
    Action("help", "question_mark", "help", "Show every key", "Screen", footer=100),
    Action("command_palette", "ctrl+p", "palette", "Find any command by name", "Screen", footer=20),
    Action("quit", "q", "quit", "Close the dialog, or quit (sessions keep running)", "Screen", footer=65),
    Action("log_search", "slash", "search", "Search the log", "Log", _LOG, 64),
    Action("log_next", "n", "next", "Next match", "Log", _LOG, 68),
    Action("log_previous", "N", "previous", "Previous match", "Log", _LOG, 67),
    Action("log_filter", "ampersand", "only", "Filter lines by pattern (! inverts)", "Log", _LOG, 63),
    Action("log_follow", "s", "follow", "Toggle follow", "Log", _LOG, 62),
    Action("log_wrap", "w", "wrap", "Toggle line wrap", "Log", _LOG, 61),
    Action("log_times", "t", "times", "Toggle timestamps", "Log", _LOG, 59),
    Action(CHOICES, "0,1,2,3,4,5,6", "since", "Show all lines, or the last 1m, 5m, 15m, 1h, 6h, 24h", "Log", _LOG, 32),
    Action("log_mark", "m", "mark", "Insert a separator line", "Log", _LOG, 28),
    Action("log_full", "f", "full screen", "Toggle full-screen log", "Log", _LOG, 36),
    Action("log_copy", "y", "copy", "Copy the visible lines (works over SSH)", "Log", _LOG, 31),
    Action("log_save", "ctrl+s", "save", "Save the log, or the filtered lines, to a file", "Log", _LOG, 29),
    Action("log_clear", "C", "clear", "Clear the loaded lines", "Log", _LOG, 27),
)

BY_NAME = {action.name: action for action in ACTIONS}
ALIASES = {action.alias: action.name for action in ACTIONS if action.alias}
"""Former action names and the names in use."""

SHARED_KEYS: tuple[tuple[str, str], ...] = (
    ("j k ↓ ↑", "Move the cursor, scroll the log"),
    ("g G", "Go to the first or last line; in the log G follows the end again"),
    ("ctrl+d ctrl+u", "Half a page down or up"),
    ("enter", "Go from projects to sessions to the detail pane"),
)

_custom_keys: ContextVar[Mapping[str, str]] = ContextVar("relay_custom_keys", default=MappingProxyType({}))

_NAMED = {"backslash": "\\", "at": "@", "minus": "-", "plus": "+", "underscore": "_"}
_SYMBOLS = {
    "slash": "/",
    "ampersand": "&",
    "question_mark": "?",
    "left_square_bracket": "[",
    "right_square_bracket": "]",
    "left_curly_bracket": "{",
    "right_curly_bracket": "}",
    "left_parenthesis": "(",
    "right_parenthesis": ")",
    "escape": "esc",
    "right": "→",
    "left": "←",
}


def use_custom_keys(keys: Mapping[str, str]) -> None:
    """Show these keys, by action name, in all texts made in the current context, such as that of a running app."""
    _custom_keys.set(MappingProxyType(dict(keys)))


def keys_of(action: Action) -> str:
    """Return the action's keys in use: the user's, else the default ones."""
    return _custom_keys.get().get(action.name, action.keys)


def key_of(name: str) -> str:
    """Return the first key of the action with that name or alias, as a sentence names it."""
    return format_keys(BY_NAME[ALIASES.get(name, name)]).split(" ")[0]


def format_keys(action: Action, *, ascii_only: bool = False) -> str:
    """Return the action's keys in use as a person reads them, such as '/' or 'l →'."""
    names = [_SYMBOLS.get(key) or _character(key) for key in keys_of(action).split(",")]
    return " ".join(name for name in names if not ascii_only or name.isascii())


def _character(key: str) -> str:
    """Return the character that a key name stands for, such as '!'; the name itself if it has no visible one."""
    if len(key) == 1 or key in _NAMED:
        return _NAMED.get(key, key)
    try:
        found = unicodedata.lookup(key.replace("_", " "))
    except KeyError:
        return key
    return found if found.isprintable() and not found.isspace() else key
