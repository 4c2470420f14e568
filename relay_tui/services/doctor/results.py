"""Checks and their results."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from relay_tui.ports.task import TaskContext


class CheckStatus(StrEnum):
    """Outcome of a check."""

    OK = "ok"
    WARNING = "warning"
    """Usable, but slower or less safe than it could be."""
    BROKEN = "broken"
    ABSENT = "absent"
    """Not installed, and not required."""
    UNKNOWN = "unknown"
    """Not checked; the result gives the reason."""


@dataclass(frozen=True, slots=True)
class CheckResult:
    """Result of one check: `found` is one line of text, `fix` the command or the step that fixes a problem."""

    name: str
    verdict: CheckStatus
    found: str
    fix: str = ""
    seconds: float = 0.0
    """Duration of the check."""
    loss: str = ""
    """Reason for skipping the checks that depend on this one, like 'the engine does not answer'."""

    def timed(self, seconds: float) -> CheckResult:
        """Return the result with the duration of the check."""
        return replace(self, seconds=round(seconds, 3))


@dataclass(frozen=True, slots=True)
class Check:
    """One check. After `seconds` it counts as hung; `hung` is then the fix."""

    name: str
    run: Callable[[TaskContext], CheckResult]
    seconds: float = 5.0
    hung: str = ""
    loss: str = ""
    """The result's `loss` if the check hangs."""
    after: str = ""
    """A check that has to finish first."""
    leans_on: tuple[str, ...] = ()
    """Checks that have to finish first. This check is skipped if one of them has a `loss`."""

    @property
    def first(self) -> tuple[str, ...]:
        """All checks that have to finish first."""
        return (*self.leans_on, self.after) if self.after else self.leans_on


def ok(name: str, found: str) -> CheckResult:
    """Return a result with status ok."""
    return CheckResult(name, CheckStatus.OK, found)


def warning(name: str, found: str, fix: str = "") -> CheckResult:
    """Return a result with status warning."""
    return CheckResult(name, CheckStatus.WARNING, found, fix)


def broken(name: str, found: str, fix: str = "", loss: str = "") -> CheckResult:
    """Return a result with status broken."""
    return CheckResult(name, CheckStatus.BROKEN, found, fix, loss=loss)


def absent(name: str, found: str, fix: str = "") -> CheckResult:
    """Return a result with status absent."""
    return CheckResult(name, CheckStatus.ABSENT, found, fix)


def unknown(name: str, reason: str) -> CheckResult:
    """Return the result of a check that was skipped."""
    return CheckResult(name, CheckStatus.UNKNOWN, f"Not checked: {reason}")


def format_counts(results: Sequence[CheckResult]) -> str:
    """Return the number of results of each status, the worst first."""
    order = (CheckStatus.BROKEN, CheckStatus.WARNING, CheckStatus.UNKNOWN, CheckStatus.ABSENT, CheckStatus.OK)
    counts = [(sum(result.verdict is status for result in results), status) for status in order]
    return ", ".join(f"{count} {status}" for count, status in counts if count)
