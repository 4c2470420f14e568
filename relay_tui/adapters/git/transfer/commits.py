"""Commits of a base clone: count and read."""

from __future__ import annotations

from pathlib import Path

from relay_tui.adapters.git.refs import BOUNDED_COMMIT_FORMAT, parse_commits
from relay_tui.adapters.git.transfer.trusted_git import run_capture, succeeds
from relay_tui.domain.changes import Commit

NOT_UPSTREAM = ("--not", "--branches", "--tags")
"""rev-list arguments that exclude the upstream's commits: every head and tag of the base clone."""


def count(base: Path, *selection: str) -> int:
    """Return the number of commits that `selection`, in rev-list's syntax, selects."""
    return int(run_capture(base, "rev-list", "--count", *selection, "--", title="Cannot count the commits"))


def read(base: Path, *selection: str, limit: int) -> tuple[Commit, ...]:
    """Return the newest `limit` of the commits that `selection` selects."""
    options = (f"--max-count={limit}", f"--format={BOUNDED_COMMIT_FORMAT}", "--no-show-signature", "--no-mailmap")
    output = run_capture(base, "log", "-z", *options, *selection, "--", title="Cannot read the commits")
    return tuple(parse_commits(output))


def is_ancestor(base: Path, older: str, newer: str) -> bool:
    """Return whether `older` is `newer` or an ancestor of it."""
    return succeeds(base, "merge-base", "--is-ancestor", older, newer)
