"""Commits of a base clone, counted and read."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from relay_tui.adapters.git.transfer.trusted_git import holds, run_capture
from relay_tui.domain.changes import Commit

_FORMAT = "%H%n%at%n%<(200,trunc)%an%n%<(500,trunc)%s"  # a subject may be gigabytes long
UPSTREAM = ("--not", "--branches", "--tags")
"""But for what the upstream has, as the base knows it."""


def count(base: Path, *wanted: str) -> int:
    """How many commits `wanted`, in rev-list's words, names."""
    return int(run_capture(base, "rev-list", "--count", *wanted, "--", title="The commits cannot be counted"))


def read(base: Path, *wanted: str, limit: int) -> tuple[Commit, ...]:
    """The newest `limit` of the commits that `wanted` names."""
    told = run_capture(
        base,
        *("log", "-z", f"--max-count={limit}", f"--format={_FORMAT}", "--no-show-signature", "--no-mailmap"),
        *wanted,
        "--",
        title="The commits cannot be read",
    )
    return tuple(_commit(entry) for entry in told.split("\0") if entry)


def is_ancestor(base: Path, older: str, newer: str) -> bool:
    """Whether `newer` has all that `older` has."""
    return holds(base, "merge-base", "--is-ancestor", older, newer)


def _commit(entry: str) -> Commit:
    commit, seconds, author, subject = [*entry.split("\n", 3), "", "", ""][:4]
    try:
        moment = datetime.fromtimestamp(int(seconds), UTC).isoformat().replace("+00:00", "Z")
    except (ValueError, OverflowError, OSError):
        moment = ""
    return Commit(hash=commit, subject=subject.rstrip(), author=author.rstrip(), authored_at=moment)
