"""Branches of a base clone, rules for branch names, and parsing of git's commits and times."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from relay_tui.adapters.git import process
from relay_tui.adapters.git.errors import git_error
from relay_tui.domain.changes import Commit
from relay_tui.domain.errors import InvalidInputError
from relay_tui.domain.models import Branch

if TYPE_CHECKING:
    from relay_tui.adapters.git.repository import BaseClone

COMMIT_FORMAT = "%H%x00%at%x00%an%x00%s"
"""Fields that parse_commits() reads, for `git log -z --format`."""

BOUNDED_COMMIT_FORMAT = "%H%x00%at%x00%<(200,trunc)%an%x00%<(500,trunc)%s"
"""The same, with author and subject cut to that many columns: a commit's subject may be gigabytes long."""

_HEADS_FORMAT = "%00".join(
    ("%(refname:lstrip=2)", "%(objectname)", "%(committerdate:unix)", "%(HEAD)", "%(contents:subject)")
)


_LISTING = ("--sort=refname", "--sort=-committerdate", f"--format={_HEADS_FORMAT}", "refs/heads/")
"""Arguments of for-each-ref. The most recent commit is first."""

CANNOT_READ = "Cannot read the branches"


def _parse_heads(listing: bytes) -> list[tuple[Branch, bool]]:
    """Return each branch of a listing, and whether HEAD points at it."""
    heads = []
    for line in listing.decode(errors="replace").split("\n"):
        if line:
            name, commit, seconds, marker, subject = line.split("\0", 4)
            heads.append((Branch(name, commit, parse_git_time(seconds), subject), marker == "*"))
    return heads


def branches(base: Path) -> list[Branch]:
    """Return every branch of a base clone, most recent commit first.

    It does not use GitPython, whose import would delay a new session by 100 ms.
    """
    outcome = process.run_git_capture(f"--git-dir={base}", "for-each-ref", *_LISTING)
    if outcome.code:
        raise git_error(outcome, CANNOT_READ)
    return [branch for branch, _ in _parse_heads(outcome.stdout)]


def default_head(repository: BaseClone) -> str:
    """Return the branch that HEAD points at, else main, master or the first by name; '' if there is no branch."""
    heads = _parse_heads(repository.git.for_each_ref(*_LISTING).encode(errors="surrogateescape"))
    names = sorted(branch.name for branch, _ in heads)
    current = [branch.name for branch, is_current in heads if is_current]
    return next((name for name in (*current, "main", "master", *names) if name in names), "")


def is_branch_head(base: Path, name: str) -> bool:
    """Return whether `base` has this branch. Reads packed-refs first, and starts git only if that fails."""
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


def parse_commits(output: str) -> list[Commit]:
    """Return the commits that `git log -z` wrote in COMMIT_FORMAT or BOUNDED_COMMIT_FORMAT."""
    fields = output.split("\0")
    commits = []
    for start in range(0, len(fields) - 3, 4):
        commit, seconds, author, subject = fields[start : start + 4]
        authored_at = parse_git_time(seconds)
        commits.append(Commit(hash=commit, subject=subject.rstrip(), author=author.rstrip(), authored_at=authored_at))
    return commits


def parse_git_time(seconds: str) -> str:
    """Return a Unix time as ISO 8601; '' if it is not a number or out of the calendar's range."""
    try:
        return datetime.fromtimestamp(int(seconds), UTC).isoformat().replace("+00:00", "Z")
    except (ValueError, OverflowError, OSError):
        return ""


_MOST_BYTES = 200  # a file of this name, plus `.lock`, must fit into 255 bytes on every file system
_RULES = (
    (re.compile(r"^$"), "A branch needs a name", ""),
    (re.compile(r"^-"), "A branch name cannot begin with '-'", "git would read it as an option."),
    (re.compile(r"^(HEAD|@)$"), "A branch cannot be named 'HEAD' or '@'", "git reserves both. Choose another name."),
    (re.compile(r"[\x00-\x1f\x7f]"), "A branch name cannot contain control characters", ""),
    (re.compile(r" "), "A branch name cannot contain spaces", "Use '-' instead."),
    (re.compile(r"[~^:?*\[\\]"), "A branch name cannot contain any of ~ ^ : ? * [ \\", ""),
    (re.compile(r"\.\."), "A branch name cannot contain '..'", ""),
    (re.compile(r"@\{"), "A branch name cannot contain '@{'", ""),
    (re.compile(r"^/|/$|//"), "A branch name cannot begin or end with '/', or contain '//'", ""),
    (re.compile(r"(^|/)\."), "No part of a branch name can begin with '.'", ""),
    (re.compile(r"\.$"), "A branch name cannot end with '.'", ""),
    (
        re.compile(r"\.lock(/|$)"),
        "No part of a branch name can end with '.lock'",
        "git uses that suffix for its lock files.",
    ),
)


def check_branch_name(name: str) -> None:
    """Raise InvalidInputError, field 'branch', with the rule that the name breaks."""
    for pattern, title, hint in _RULES:
        if pattern.search(name):
            raise InvalidInputError("branch", title, hint=hint)
    try:
        size = len(name.encode())
    except UnicodeEncodeError as error:
        raise InvalidInputError("branch", "A branch name must be valid Unicode") from error
    if size > _MOST_BYTES:
        raise InvalidInputError("branch", f"A branch name can be at most {_MOST_BYTES} bytes long", f"It has {size}.")
