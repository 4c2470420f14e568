"""Runs checks side by side, each with a deadline, and tells each result as it comes. Nothing in it can hang."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from relay_tui.errors import CancelledError, RelayError
from relay_tui.services.doctor.findings import Check, Finding, Verdict
from relay_tui.services.watch import Watch

log = logging.getLogger(__name__)

AT_ONCE = 12
"""Checks under way at one time: a hundred remotes are not asked all at once."""

Tell = Callable[[Finding], object]
_Answers = queue.SimpleQueue[tuple["_UnderWay", Finding | None]]


@dataclass(eq=False)
class _UnderWay:
    """A check in its thread."""

    check: Check
    watch: Watch
    thread: threading.Thread | None = None
    begun: float = 0.0

    def begin(self, answers: _Answers) -> None:
        self.begun = time.monotonic()
        # A daemon: a check that hangs where nothing can reach it keeps nobody from leaving.
        self.thread = threading.Thread(target=self._run, args=(answers,), name=f"check {self.check.name}", daemon=True)
        self.thread.start()

    def _run(self, answers: _Answers) -> None:
        found: Finding | None = None
        try:
            found = self.check.run(self.watch)
        except CancelledError:
            pass
        except RelayError as error:
            said = f": {error.detail}" if error.detail else ""
            found = Finding(self.check.name, Verdict.BROKEN, f"{error.title}{said}", error.hint)
        except Exception as error:  # a check is about what is odd: it may meet what nobody thought of
            log.exception("the check %s failed", self.check.name)
            found = Finding(self.check.name, Verdict.BROKEN, f"The check itself failed: {error!r}")
        answers.put((self, found))

    @property
    def left(self) -> float:
        """Seconds until it counts as hung."""
        return self.begun + self.check.seconds - time.monotonic()

    def hung(self) -> Finding:
        words = f"No answer within {self.check.seconds:g} s: it hangs"
        return Finding(self.check.name, Verdict.BROKEN, words, self.check.hung)


def examine(checks: Sequence[Check], tell: Tell, watch: Watch) -> list[Finding]:
    """Run them all; answer the findings in the order of the checks. Raises CancelledError, leaving nothing running."""
    answers: _Answers = queue.SimpleQueue()
    waiting = deque(_UnderWay(check, Watch()) for check in checks)
    order = [check.name for check in checks]
    running: set[_UnderWay] = set()
    found: dict[str, Finding] = {}
    try:
        while waiting or running:
            watch.check()
            while waiting and len(running) < AT_ONCE:
                begun = waiting.popleft()
                running.add(begun)
                begun.begin(answers)
            for under_way, finding in _next(answers, running):
                if under_way not in running:
                    continue  # it answered after all, when it had been given up
                running.discard(under_way)
                if finding is None:
                    under_way.watch.cancel()
                    finding = under_way.hung()
                finding = finding.timed(time.monotonic() - under_way.begun)
                found[under_way.check.name] = finding
                tell(finding)
    finally:
        for under_way in running:
            under_way.watch.cancel()
    return [found[name] for name in order]


def _next(answers: _Answers, running: set[_UnderWay]) -> list[tuple[_UnderWay, Finding | None]]:
    """The answer that came, or those that will not come any more (None), or nothing yet."""
    patience = max(0.0, min(under_way.left for under_way in running))
    try:
        return [answers.get(timeout=min(patience, 0.1))]
    except queue.Empty:
        return [(under_way, None) for under_way in running if under_way.left <= 0]
