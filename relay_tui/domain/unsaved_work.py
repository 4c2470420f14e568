"""Unsaved work: what a removal would lose, and how it can be saved."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class RiskKind(StrEnum):
    """Kind of unsaved work."""

    DIRTY = "dirty"
    UNTRACKED = "untracked"
    IGNORED = "ignored"
    """Ignored files above a minimum size."""
    STASHED = "stashed"
    UNPUSHED = "unpushed"
    UNKNOWN = "unknown"
    """The state could not be determined. It counts as unsaved."""


UNSAVABLE_KINDS = frozenset({RiskKind.IGNORED, RiskKind.UNKNOWN})
"""Kinds that cannot be saved. The removal dialog lists them before the user confirms."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Risk:
    """Unsaved work of one kind: amount, branch and examples."""

    hazard: RiskKind
    count: int
    branch: str = ""
    size: int | None = None
    """Size in bytes, if measured."""
    examples: tuple[str, ...] = ()
    """First few file names, or commit hashes with subjects."""
    reason: str = ""
    """Reason for the kind UNKNOWN."""
    session: str = ""
    """Name of the session, in a list for several sessions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RemovalCheck:
    """Result of the check before a removal. `safe` lists commits that look unpushed but reached the upstream."""

    risks: tuple[Risk, ...] = ()
    safe: tuple[str, ...] = ()
    trash: str = ""
    """Warning if the trash would use more of the disk than allowed, else ''."""


class SaveMethod(StrEnum):
    """Method of saving a session's work before its removal."""

    PUSH = "push"
    KEEP = "keep"
    """Save as refs/relay/<session id>/* in the project's base clone."""
    BUNDLE = "bundle"
