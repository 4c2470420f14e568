"""Branch names, judged as `git check-ref-format --branch` does, without a process: a form asks at every key."""

from __future__ import annotations

import re

from relay_tui.errors import InvalidInputError

_MOST_BYTES = 200  # a file of this name, plus `.lock`, must fit into 255 bytes on every file system

_RULES = (
    (re.compile(r"^$"), "A branch needs a name", ""),
    (re.compile(r"^-"), "A branch name cannot begin with '-'", "Git would take it for an option."),
    (re.compile(r"^(HEAD|@)$"), "'HEAD' and '@' are git's own words", "Choose another name."),
    (re.compile(r"[\x00-\x1f\x7f]"), "A branch name cannot contain control characters", ""),
    (re.compile(r" "), "A branch name cannot contain spaces", "Use '-' instead."),
    (re.compile(r"[~^:?*\[\\]"), "A branch name cannot contain any of ~ ^ : ? * [ \\", ""),
    (re.compile(r"\.\."), "A branch name cannot contain '..'", ""),
    (re.compile(r"@\{"), "A branch name cannot contain '@{'", ""),
    (re.compile(r"^/|/$|//"), "A branch name cannot begin or end with '/', or contain '//'", ""),
    (re.compile(r"(^|/)\."), "No part of a branch name can begin with '.'", ""),
    (re.compile(r"\.$"), "A branch name cannot end with '.'", ""),
    (re.compile(r"\.lock(/|$)"), "No part of a branch name can end with '.lock'", "Git names its lock files so."),
)


def check_branch_name(name: str) -> None:
    """Raise InvalidInputError, field 'branch', that says which rule the name breaks."""
    for pattern, title, hint in _RULES:
        if pattern.search(name):
            raise InvalidInputError("branch", title, hint=hint)
    try:
        size = len(name.encode())
    except UnicodeEncodeError as error:
        raise InvalidInputError("branch", "A branch name must be valid Unicode") from error
    if size > _MOST_BYTES:
        raise InvalidInputError("branch", f"A branch name can be at most {_MOST_BYTES} bytes long", f"It has {size}.")
