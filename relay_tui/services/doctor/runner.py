"""Runs checks side by side, each with a deadline, and tells each result as it comes. Nothing in it can hang."""

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

ALL = 60.0
"""Seconds for a whole examination."""
AT_ONCE = 24
"""Checks under way at one time: hundreds of remotes are not asked all at once."""

Tell = Callable[[CheckResult], object]
_Answers = queue.SimpleQueue[tuple["_RunningCheck", CheckResult | None]]


@dataclass(eq=False)
class _RunningCheck:
    """A check in its thread."""

    check: Check
    task: TaskContext
    thread: threading.Thread | None = None
    begun: float = 0.0
    given: float = 0.0
    """Seconds: its own, or what is left for all."""

    def begin(self, answers: _Answers, deadline: float) -> None:
        self.begun = time.monotonic()
        self.given = min(self.check.seconds, deadline - self.begun)
        # A daemon: a check that hangs where nothing can reach it keeps nobody from leaving.
        self.thread = threading.Thread(target=self._run, args=(answers,), name=f"check {self.check.name}", daemon=True)
        self.thread.start()

    def _run(self, answers: _Answers) -> None:
        found: CheckResult | None = None
        try:
            found = self.check.run(self.task)
        except CancelledError:
            pass
        except RelayError as error:
            said = f": {error.detail}" if error.detail else ""
            found = CheckResult(self.check.name, CheckStatus.BROKEN, f"{error.title}{said}", error.hint)
        except Exception as error:  # a check is about what is odd: it may meet what nobody thought of
            log.exception("the check %s failed", self.check.name)
            found = CheckResult(self.check.name, CheckStatus.BROKEN, f"The check itself failed: {error!r}")
        answers.put((self, found))

    @property
    def left(self) -> float:
        """Seconds until it counts as hung."""
        return self.begun + self.given - time.monotonic()

    def hung(self) -> CheckResult:
        words = f"No answer within {_rounded(self.given)} s: it hangs"
        return CheckResult(self.check.name, CheckStatus.BROKEN, words, self.check.hung, loss=self.check.loss)


def _rounded(seconds: float) -> str:
    """Without the moments that went before it began."""
    return f"{seconds:.0f}" if seconds >= 1 else f"{seconds:.1g}"


def run_checks(checks: Sequence[Check], tell: Tell, task: TaskContext, seconds: float = ALL) -> list[CheckResult]:
    """Run them all within `seconds`; answer the findings in the order of the checks.

    Raises CancelledError, leaving nothing running.
    """
    look = _Look(checks, tell, seconds)
    try:
        while look.goes_on():
            task.raise_if_cancelled()
    finally:
        look.end()
    return [look.found[check.name] for check in checks]


class _Look:
    """One examination: what waits, what runs, what is found."""

    def __init__(self, checks: Sequence[Check], tell: Tell, seconds: float) -> None:
        self.found: dict[str, CheckResult] = {}
        self._tell = tell
        self._over = f"the {_rounded(seconds)} s for all of it were over"
        self._deadline = time.monotonic() + seconds
        self._answers: _Answers = queue.SimpleQueue()
        self._waiting = list(checks)
        self._names = {check.name for check in checks}
        self._running: set[_RunningCheck] = set()

    def goes_on(self) -> bool:
        """Begin what can begin, wait a moment for what is found; False when all is told."""
        while self._begin():
            pass
        if not self._running:
            return bool(self._waiting)
        for under_way, finding in self._next():
            if under_way not in self._running:
                continue  # it answered after all, when it had been given up
            self._running.discard(under_way)
            if finding is None:
                under_way.task.cancel()
                cut = under_way.given < min(1.0, under_way.check.seconds)
                finding = unknown(under_way.check.name, self._over) if cut else under_way.hung()
            self._say(finding.timed(time.monotonic() - under_way.begun))
        return bool(self._running or self._waiting)

    def _begin(self) -> bool:
        """Begin the first that waits for nothing any more, if there is room; False when there is none.

        What leans on a loss is told without a look, and everything once the time is over.
        """
        late = time.monotonic() >= self._deadline
        for check in self._waiting:
            losses = (self.found[name].loss for name in check.leans_on if name in self.found)
            loss = next(filter(None, losses), "")
            ready = self._names.intersection(check.first) <= self.found.keys()
            if loss or late:
                self._waiting.remove(check)
                self._say(replace(unknown(check.name, loss or self._over), loss=loss))
                return True
            if ready and len(self._running) < AT_ONCE:
                self._waiting.remove(check)
                under_way = _RunningCheck(check, TaskContext())
                self._running.add(under_way)
                under_way.begin(self._answers, self._deadline)
                return True
        return False

    def _say(self, finding: CheckResult) -> None:
        self.found[finding.name] = finding
        self._tell(finding)

    def _next(self) -> list[tuple[_RunningCheck, CheckResult | None]]:
        """The answer that came, or those that will not come any more (None), or nothing yet."""
        patience = max(0.0, min(under_way.left for under_way in self._running))
        try:
            return [self._answers.get(timeout=min(patience, 0.1))]
        except queue.Empty:
            return [(under_way, None) for under_way in self._running if under_way.left <= 0]

    def end(self) -> None:
        """Leave nothing running."""
        for under_way in self._running:
            under_way.task.cancel()
