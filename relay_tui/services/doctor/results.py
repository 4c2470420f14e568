"""What an examination answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from relay_tui.ports.task import TaskContext


class CheckStatus(StrEnum):
    """How something is."""

    OK = "ok"
    WARNING = "warning"
    """It works, but not as well or as safely as it could."""
    BROKEN = "broken"
    ABSENT = "absent"
    """It is not there, and need not be."""
    UNKNOWN = "unknown"
    """It was not looked at, for the reason that is told."""


@dataclass(frozen=True, slots=True)
class CheckResult:
    """One result: `found` is one line in words, `mend` the command or the step that sets it right."""

    name: str
    verdict: CheckStatus
    found: str
    mend: str = ""
    seconds: float = 0.0
    """How long it took to find out."""
    loss: str = ""
    """Why nothing that leans on it need be looked at: 'the engine does not answer'. One cause is told once."""

    def timed(self, seconds: float) -> CheckResult:
        """The same, with the time it took."""
        return replace(self, seconds=round(seconds, 3))


@dataclass(frozen=True, slots=True)
class Check:
    """One thing to find out. After `seconds` it counts as hung, which `hung` says what to do about."""

    name: str
    run: Callable[[TaskContext], CheckResult]
    seconds: float = 5.0
    hung: str = ""
    loss: str = ""
    """The finding's `loss` when it hangs."""
    after: str = ""
    """The check that is to be told first."""
    leans_on: tuple[str, ...] = ()
    """Checks that are to be told first, and whose loss says all that there is to say here."""

    @property
    def first(self) -> tuple[str, ...]:
        """What it waits for."""
        return (*self.leans_on, self.after) if self.after else self.leans_on


def ok(name: str, found: str) -> CheckResult:
    """All is well."""
    return CheckResult(name, CheckStatus.OK, found)


def warning(name: str, found: str, mend: str = "") -> CheckResult:
    """It could be better."""
    return CheckResult(name, CheckStatus.WARNING, found, mend)


def broken(name: str, found: str, mend: str = "", loss: str = "") -> CheckResult:
    """It does not work."""
    return CheckResult(name, CheckStatus.BROKEN, found, mend, loss=loss)


def absent(name: str, found: str, mend: str = "") -> CheckResult:
    """It is not there, and need not be."""
    return CheckResult(name, CheckStatus.ABSENT, found, mend)


def unknown(name: str, why: str) -> CheckResult:
    """It was not looked at."""
    return CheckResult(name, CheckStatus.UNKNOWN, f"Not looked at: {why}")


def summary(findings: Sequence[CheckResult]) -> str:
    """How many there are of each verdict, the worst first."""
    order = (CheckStatus.BROKEN, CheckStatus.WARNING, CheckStatus.UNKNOWN, CheckStatus.ABSENT, CheckStatus.OK)
    counts = [(sum(found.verdict is verdict for found in findings), verdict) for verdict in order]
    return ", ".join(f"{count} {verdict}" for count, verdict in counts if count)
