"""The heads of a base clone."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from relay_tui.adapters.git import process
from relay_tui.adapters.git.faults import translate
from relay_tui.model import Branch

if TYPE_CHECKING:
    from relay_tui.adapters.git.repository import BaseClone

_FORMAT = "%00".join(
    ("%(refname:lstrip=2)", "%(objectname)", "%(committerdate:unix)", "%(HEAD)", "%(contents:subject)")
)
_LISTING = ("--sort=refname", "--sort=-committerdate", f"--format={_FORMAT}", "refs/heads/")
"""Arguments of for-each-ref: the most recently committed first."""
CANNOT_READ = "The branches cannot be read"


def _parse(listed: bytes) -> list[tuple[Branch, bool]]:
    """Each head that for-each-ref listed, and whether HEAD points at it."""
    heads = []
    for line in listed.decode(errors="replace").split("\n"):
        if line:
            name, commit, seconds, marker, subject = line.split("\0", 4)
            heads.append((Branch(name, commit, utc(seconds), subject), marker == "*"))
    return heads


def branches(base: Path) -> list[Branch]:
    """Every head of a base clone, the most recently committed first.

    It does without GitPython, whose import would delay a new session by 100 ms.
    """
    outcome = process.ask(f"--git-dir={base}", "for-each-ref", *_LISTING)
    if outcome.code:
        raise translate(outcome, CANNOT_READ)
    return [branch for branch, _ in _parse(outcome.stdout)]


def default_head(repository: BaseClone) -> str:
    """The head HEAD points at, else main, master, the first by name; '' when there is no head at all."""
    heads = _parse(repository.git.for_each_ref(*_LISTING).encode(errors="surrogateescape"))
    names = sorted(branch.name for branch, _ in heads)
    pointed = [branch.name for branch, current in heads if current]
    return next((name for name in (*pointed, "main", "master", *names) if name in names), "")


def is_head(base: Path, name: str) -> bool:
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
    return process.ask(f"--git-dir={base}", "show-ref", "--verify", "--quiet", reference).code == 0


def utc(seconds: str) -> str:
    """ISO 8601 of a Unix time; '' for a time that no calendar has."""
    try:
        return datetime.fromtimestamp(int(seconds), UTC).isoformat().replace("+00:00", "Z")
    except (ValueError, OverflowError, OSError):
        return ""
