"""The heads of a base clone."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

from relay_tui.adapters.git import process
from relay_tui.adapters.git.errors import git_error
from relay_tui.domain.errors import InvalidInputError
from relay_tui.domain.models import Branch

_FORMAT = "%00".join(
    ("%(refname:lstrip=2)", "%(objectname)", "%(committerdate:unix)", "%(HEAD)", "%(contents:subject)")
)


def _read(base: Path) -> list[tuple[Branch, bool]]:
    """Each head, the most recently committed first, and whether HEAD points at it."""
    outcome = process.run_git_capture(
        f"--git-dir={base}",
        "for-each-ref",
        "--sort=refname",
        "--sort=-committerdate",
        f"--format={_FORMAT}",
        "refs/heads/",
    )
    if outcome.code:
        raise git_error(outcome, "The branches cannot be read")
    heads = []
    for line in outcome.stdout.decode(errors="replace").split("\n"):
        if line:
            name, commit, seconds, marker, subject = line.split("\0", 4)
            heads.append((Branch(name, commit, parse_git_time(seconds), subject), marker == "*"))
    return heads


def branches(base: Path) -> list[Branch]:
    """Every head of a base clone, the most recently committed first."""
    return [branch for branch, _ in _read(base)]


def default_head(base: Path) -> str:
    """The head HEAD points at, else main, master, the first by name; '' when there is no head at all."""
    heads = _read(base)
    names = sorted(branch.name for branch, _ in heads)
    pointed = [branch.name for branch, current in heads if current]
    return next((name for name in (*pointed, "main", "master", *names) if name in names), "")


def is_branch_head(base: Path, name: str) -> bool:
    """Whether `base` has this head. Looks at the files first; only a miss starts git."""
    reference = f"refs/heads/{name}"
    if name.startswith("-") or "\0" in name:
        return False
    try:
        packed = (base / "packed-refs").read_bytes()
    except OSError:
        packed = b""
    if f" {reference}\n".encode(errors="surrogateescape") in packed:
        return True
    return process.run_git_capture(f"--git-dir={base}", "show-ref", "--verify", "--quiet", reference).code == 0


def parse_git_time(seconds: str) -> str:
    """ISO 8601 of a Unix time; '' for a time that no calendar has."""
    try:
        return datetime.fromtimestamp(int(seconds), UTC).isoformat().replace("+00:00", "Z")
    except (ValueError, OverflowError, OSError):
        return ""


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
