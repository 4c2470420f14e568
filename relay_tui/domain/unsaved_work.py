"""Unsaved work: what a removal would lose, and how it can be saved."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class RiskKind(StrEnum):
    """A kind of work that would be lost with a session."""

    DIRTY = "dirty"
    UNTRACKED = "untracked"
    IGNORED = "ignored"
    """Ignored files that are large enough to have cost something."""
    STASHED = "stashed"
    UNPUSHED = "unpushed"
    UNKNOWN = "unknown"
    """git could not tell; it counts as unsaved."""


UNSAVABLE_KINDS = frozenset({RiskKind.IGNORED, RiskKind.UNKNOWN})
"""Work that no copy saves: whoever removes a session all the same was told so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Risk:
    """One kind of work that would be lost: how much of it, where, and some of it by name."""

    hazard: RiskKind
    count: int
    branch: str = ""
    size: int | None = None
    """Bytes, where they were measured."""
    examples: tuple[str, ...] = ()
    """File names, or commits' hashes and subjects; the first few."""
    reason: str = ""
    """Why it is UNKNOWN."""
    session: str = ""
    """Whose it is, where several are told of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RemovalCheck:
    """What stands in the way of removing a session. `safe` tells of work that looks unpushed and is not, and why."""

    risks: tuple[Risk, ...] = ()
    safe: tuple[str, ...] = ()
    trash: str = ""
    """A warning when the trash would take more of the disk than it may, else ''."""


class SaveMethod(StrEnum):
    """How a session's work is brought to safety before it is removed."""

    PUSH = "push"
    KEEP = "keep"
    """As refs/relay/<session id>/* in the project's base clone."""
    BUNDLE = "bundle"
