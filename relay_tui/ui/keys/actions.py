"""The one table of what keys do: bindings, footer, help, palette and the README's key list come from it."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Action:
    """Something a key does. `name` is the app's `action_<name>`; `places` are the panes it is offered in."""

    name: str
    keys: str
    label: str
    """A word or two, for the footer."""
    help: str
    """A sentence, for help, palette and README."""
    group: str
    places: frozenset[str] = frozenset()
    """'projects', 'sessions', 'detail', or one of the detail's tabs: 'log', 'changes'; empty: everywhere."""
    footer: int = 0
    """How much it deserves a place in the footer; 0: none."""

    @property
    def binding_id(self) -> str:
        """What a user's own key map calls it."""
        return f"relay.{self.name}"


P, S, D, L = "projects", "sessions", "detail", "log"
C = frozenset({"changes"})
TABS = C | {L}
"""Tabs of the detail that have keys of their own: those mean something only while the tab has the focus."""

ANYWHERE = frozenset({"back", "help", "command_palette", "quit"})
"""Actions that a screen over the panes has as well."""

CHOICES = "log_since"
"""The action each key of which is a choice of its own."""

ACTIONS: tuple[Action, ...] = (
    Action("new_session", "n", "new session", "Create a session on any branch", "Sessions", frozenset({P, S, D}), 90),
    Action(
        "attach",
        "a",
        "attach",
        "Attach to the main process; ctrl-q leaves it running",
        "Sessions",
        frozenset({S, D}),
        80,
    ),
    Action("shell", "e", "shell", "Open a shell in the container", "Sessions", frozenset({S, D}), 85),
    Action("stop_start", "S", "stop/start", "Stop the session, or start it", "Sessions", frozenset({S, D}), 50),
    Action("restart", "r", "restart", "Restart the session's container", "Sessions", frozenset({S, D}), 45),
    Action(
        "retry",
        "R",
        "retry",
        "Go on from what failed: the clone, the image, the container",
        "Sessions",
        frozenset({P, S, D}),
        70,
    ),
    Action("cancel", "c", "cancel", "Cancel the clone or whatever is under way", "Sessions", frozenset({P, S, D}), 95),
    Action(
        "remove",
        "D",
        "remove",
        "Remove the session or the project; says first what goes",
        "Sessions",
        frozenset({P, S, D}),
        40,
    ),
    Action("push", "p", "push", "Push the session's commits; shows first what goes", "Sessions", frozenset({S, D}), 48),
    Action(
        "update",
        "M",
        "update",
        "Merge or rebase what is new upstream, in the container",
        "Sessions",
        frozenset({S, D}),
        12,
    ),
    Action("look_again", "ctrl+r", "look again", "Look again at what changed", "Sessions", frozenset({S, D}), 10),
    Action(
        "meters",
        "v",
        "meters",
        "Show or hide CPU, memory, processes and network of each",
        "Sessions",
        frozenset({P, S}),
        25,
    ),
    Action("mark", "space", "mark", "Mark the session, for a log of several", "Sessions", frozenset({S})),
    Action("joint_log", "L", "logs", "One log of the marked sessions, or the project's", "Sessions", frozenset({P, S})),
    Action("undo", "u", "undo", "Bring back what was removed last", "Sessions", frozenset(), 15),
    Action("strays", "U", "strays", "Adopt or remove what no record knows", "Projects", frozenset(), 55),
    Action(
        "new_project",
        "N",
        "new project",
        "Add a repository: its clone and a first session",
        "Projects",
        frozenset(),
        88,
    ),
    Action(
        "edit_source",
        "E",
        "edit source",
        "Edit the source of a failed project and clone again",
        "Projects",
        frozenset({P, D}),
        72,
    ),
    Action(
        "fetch",
        "f",
        "fetch",
        "Fetch what is new upstream into the project's base",
        "Projects",
        frozenset({P, S, D}),
        42,
    ),
    Action("next_file", "right_curly_bracket", "file", "The next changed file", "Changes", C, 94),
    Action("previous_file", "left_curly_bracket", "file before", "The changed file before", "Changes", C),
    Action("next_hunk", "right_parenthesis", "hunk", "The next hunk, then the next file's first", "Changes", C, 93),
    Action("previous_hunk", "left_parenthesis", "hunk before", "The hunk before", "Changes", C),
    Action("compare", "b", "compare", "Compare with: last commit, branch point, upstream", "Changes", C, 92),
    Action("edit_file", "o", "edit", "Open the file in $EDITOR", "Changes", C, 91),
    Action("copy_hunk", "y", "copy hunk", "Copy the marked hunk to the clipboard", "Changes", C, 89),
    Action("copy_path", "Y", "copy path", "Copy the file's path to the clipboard", "Changes", C, 11),
    Action("filter", "slash", "filter", "Show only rows that contain what you type", "Screen", frozenset({P, S}), 60),
    Action("next_pane", "l,right", "next pane", "Go to the pane on the right (also tab)", "Screen"),
    Action("previous_pane", "h,left", "previous pane", "Go to the pane on the left (also shift+tab)", "Screen"),
    Action("previous_tab", "left_square_bracket", "previous tab", "Show the tab before", "Screen"),
    Action(
        "next_tab",
        "right_square_bracket",
        "tab",
        "Show the next tab: Log, Info, Changes",
        "Screen",
        frozenset({S, D}),
        30,
    ),
    Action("zoom", "z", "zoom", "Give the pane the whole screen, or take it back", "Screen", frozenset(), 35),
    Action("back", "escape", "back", "Leave: the filter, the zoom, the pane, a log of several", "Screen"),
    Action("doctor", "H", "doctor", "Look at what relay needs on this machine, and what mends it", "Screen"),
    Action("help", "question_mark", "help", "Show every key", "Screen", frozenset(), 100),
    Action("command_palette", "ctrl+p", "palette", "Find any command by name", "Screen", frozenset(), 20),
    Action("quit", "q", "quit", "Leave relay, or what covers it; sessions go on running", "Screen", frozenset(), 65),
    Action("log_search", "slash", "search", "Seek a pattern in the log", "Log", frozenset({L}), 64),
    Action("log_next", "n", "next", "Go to the next match, once something is sought", "Log", frozenset({L}), 68),
    Action("log_previous", "N", "previous", "Go to the match before", "Log", frozenset({L}), 67),
    Action(
        "log_filter",
        "ampersand",
        "only",
        "Show only lines that match a pattern, or with ! do not",
        "Log",
        frozenset({L}),
        63,
    ),
    Action("log_follow", "s", "follow", "Stop following the end, or follow it again", "Log", frozenset({L}), 62),
    Action("log_wrap", "w", "wrap", "Fold long lines, or cut them", "Log", frozenset({L}), 61),
    Action("log_times", "t", "times", "Show when each line was written", "Log", frozenset({L}), 59),
    Action(
        CHOICES,
        "0,1,2,3,4,5,6",
        "since",
        "Show all, or since 1m, 5m, 15m, 1h, 6h, 24h ago",
        "Log",
        frozenset({L}),
        32,
    ),
    Action("log_mark", "m", "mark", "Draw a line under what is there", "Log", frozenset({L}), 28),
    Action("log_full", "f", "full screen", "Give the log the whole screen, or take it back", "Log", frozenset({L}), 36),
    Action("log_copy", "y", "copy", "Copy the lines on the screen, over SSH too", "Log", frozenset({L}), 31),
    Action(
        "log_save",
        "ctrl+s",
        "save",
        "Save the log, or what the filter leaves, to a file",
        "Log",
        frozenset({L}),
        29,
    ),
    Action("log_clear", "C", "clear", "Forget the lines that are there", "Log", frozenset({L}), 27),
)

BY_NAME = {action.name: action for action in ACTIONS}


def use(table: tuple[Action, ...]) -> None:
    """Have this be the table. Before anything else is imported that is made of it."""
    global ACTIONS, BY_NAME
    ACTIONS, BY_NAME = table, {action.name: action for action in table}


SHARED_KEYS: tuple[tuple[str, str], ...] = (
    ("j k ↓ ↑", "Move the cursor, scroll the log"),
    ("g G", "First, last; in the log G follows the end again"),
    ("ctrl+d ctrl+u", "Half a page down, up"),
    ("enter", "Choose: from projects to sessions to the detail"),
)

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


def _character(key: str) -> str:
    """The character that is named, such as '!' for exclamation_mark; the name itself, where it is none to be seen."""
    if len(key) == 1 or key in _NAMED:
        return _NAMED.get(key, key)
    try:
        found = unicodedata.lookup(key.replace("_", " "))
    except KeyError:
        return key
    return found if found.isprintable() and not found.isspace() else key


def key_of(name: str) -> str:
    """The first key of the action of that name, for what is said of it in a sentence."""
    return format_keys(BY_NAME[name]).split(" ")[0]


def format_keys(action: Action, *, ascii_only: bool = False) -> str:
    """The action's keys as a person reads them: '/', 'l →'."""
    names = [_SYMBOLS.get(key) or _character(key) for key in action.keys.split(",")]
    return " ".join(name for name in names if not ascii_only or name.isascii())
