"""Run checks in parallel, each with a deadline. A check that hangs blocks nothing else."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from relay_tui.domain.errors import CancelledError, RelayError
from relay_tui.ports.task import TaskContext
from relay_tui.services.doctor.results import Check, CheckResult, CheckStatus, unknown

log = logging.getLogger(__name__)

TOTAL_SECONDS = 60.0
"""Seconds for all checks together."""
MAX_PARALLEL = 24
"""Checks that run at the same time: with hundreds of projects, not all remotes are queried at once."""

OnResult = Callable[[CheckResult], object]
_Outcomes = queue.SimpleQueue[tuple["_RunningCheck", CheckResult | None]]


@dataclass(eq=False)
class _RunningCheck:
    """A check in its own thread."""

    check: Check
    task: TaskContext
    thread: threading.Thread | None = None
    started_at: float = 0.0
    timeout: float = 0.0
    """Seconds: the check's own, or the rest of the total."""

    def start(self, outcomes: _Outcomes, deadline: float) -> None:
        self.started_at = time.monotonic()
        self.timeout = min(self.check.seconds, deadline - self.started_at)
        # A daemon thread: a check that hangs in the kernel must not keep the process from exiting.
        self.thread = threading.Thread(target=self._run, args=(outcomes,), name=f"check {self.check.name}", daemon=True)
        self.thread.start()

    def _run(self, outcomes: _Outcomes) -> None:
        result: CheckResult | None = None
        try:
            result = self.check.run(self.task)
        except CancelledError:
            pass
        except RelayError as error:
            detail = f": {error.detail}" if error.detail else ""
            result = CheckResult(self.check.name, CheckStatus.BROKEN, f"{error.title}{detail}", error.hint)
        except Exception as error:  # checks look at broken systems, so they can fail in unexpected ways
            log.exception("the check %s failed", self.check.name)
            result = CheckResult(self.check.name, CheckStatus.BROKEN, f"The check itself failed: {error!r}")
        outcomes.put((self, result))

    @property
    def remaining(self) -> float:
        """Seconds until the check counts as hung."""
        return self.started_at + self.timeout - time.monotonic()

    def hung_result(self) -> CheckResult:
        found = f"No answer within {_format_seconds(self.timeout)} s: the check hangs"
        return CheckResult(self.check.name, CheckStatus.BROKEN, found, self.check.hung, loss=self.check.loss)


def _format_seconds(seconds: float) -> str:
    """Round the seconds, so that the time before the check started does not show."""
    return f"{seconds:.0f}" if seconds >= 1 else f"{seconds:.1g}"


def run_checks(
    checks: Sequence[Check], on_result: OnResult, task: TaskContext, seconds: float = TOTAL_SECONDS
) -> list[CheckResult]:
    """Run all checks within `seconds`; return the results in the order of the checks.

    `on_result` is called with each result, in the caller's thread. Raises CancelledError; no check runs on then.
    """
    run = _Run(checks, on_result, seconds)
    try:
        while run.advance():
            task.raise_if_cancelled()
    finally:
        run.cancel_running()
    return [run.results[check.name] for check in checks]


class _Run:
    """State of one run: waiting checks, running checks, results."""

    def __init__(self, checks: Sequence[Check], on_result: OnResult, seconds: float) -> None:
        self.results: dict[str, CheckResult] = {}
        self._on_result = on_result
        self._out_of_time = f"the {_format_seconds(seconds)} s for all checks were over"
        self._deadline = time.monotonic() + seconds
        self._outcomes: _Outcomes = queue.SimpleQueue()
        self._waiting = list(checks)
        self._names = {check.name for check in checks}
        self._running: set[_RunningCheck] = set()

    def advance(self) -> bool:
        """Start the checks that can start, and wait briefly for results; return False when all have a result."""
        while self._start_next():
            pass
        if not self._running:
            return bool(self._waiting)
        for running, result in self._next_outcomes():
            if running in self._running:  # not one that answered after it counted as hung
                self._running.discard(running)
                self._publish(self._final_result(running, result).timed(time.monotonic() - running.started_at))
        return bool(self._running or self._waiting)

    def _start_next(self) -> bool:
        """Start or skip the first check that waits for no other; return False if there is none.

        A check is skipped if one that it depends on has a loss, or if the total time is over.
        """
        out_of_time = time.monotonic() >= self._deadline
        for check in self._waiting:
            losses = (self.results[name].loss for name in check.leans_on if name in self.results)
            loss = next(filter(None, losses), "")
            if loss or out_of_time:
                self._waiting.remove(check)
                self._publish(replace(unknown(check.name, loss or self._out_of_time), loss=loss))
                return True
            is_ready = self._names.intersection(check.first) <= self.results.keys()
            if is_ready and len(self._running) < MAX_PARALLEL:
                self._waiting.remove(check)
                running = _RunningCheck(check, TaskContext())
                self._running.add(running)
                running.start(self._outcomes, self._deadline)
                return True
        return False

    def _final_result(self, running: _RunningCheck, result: CheckResult | None) -> CheckResult:
        """Return the result; for None, which stands for no result in time, cancel the check first."""
        if result is not None:
            return result
        running.task.cancel()
        cut_short = running.timeout < min(1.0, running.check.seconds)
        return unknown(running.check.name, self._out_of_time) if cut_short else running.hung_result()

    def _publish(self, result: CheckResult) -> None:
        self.results[result.name] = result
        self._on_result(result)

    def _next_outcomes(self) -> list[tuple[_RunningCheck, CheckResult | None]]:
        """Return the next result; or, with None as result, the checks whose time is over; or nothing yet."""
        patience = max(0.0, min(running.remaining for running in self._running))
        try:
            return [self._outcomes.get(timeout=min(patience, 0.1))]
        except queue.Empty:
            return [(running, None) for running in self._running if running.remaining <= 0]

    def cancel_running(self) -> None:
        """Cancel all running checks."""
        for running in self._running:
            running.task.cancel()
