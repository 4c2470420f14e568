"""Progress reporting and cancellation of long-running operations."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from relay_tui.domain.errors import CancelledError

Report = Callable[[str, float | None, str], None]
"""Takes the stage, the fraction done (0..1, None if unknown) and a short detail (bytes, throughput)."""


class TaskContext:
    """Progress reporting and cancellation for one long-running operation. Thread-safe."""

    def __init__(self, report: Report | None = None) -> None:
        self._report = report
        self._lock = threading.Lock()
        self._cancelled = False
        self._quitting = False
        self._callbacks: list[Callable[[], None]] = []

    def report(self, stage: str, fraction: float | None = None, detail: str = "") -> None:
        """Report the current stage and its progress."""
        if self._report is not None:
            self._report(stage, fraction, detail)

    @property
    def has_listener(self) -> bool:
        """Whether progress is shown: if not, it need not be calculated."""
        return self._report is not None

    @property
    def cancelled(self) -> bool:
        """Whether the operation was cancelled."""
        return self._cancelled

    def raise_if_cancelled(self) -> None:
        """Raise CancelledError if the operation was cancelled."""
        if self._cancelled:
            raise CancelledError("Cancelled")

    @property
    def quitting(self) -> bool:
        """Whether the operation was cancelled because relay quits: the next relay continues it."""
        return self._quitting

    def cancel(self, *, quitting: bool = False) -> None:
        """Cancel the operation, which then undoes its changes."""
        with self._lock:
            self._cancelled = True
            self._quitting = quitting
            callbacks = tuple(self._callbacks)
        for callback in callbacks:
            callback()

    @contextmanager
    def on_cancel(self, callback: Callable[[], None]) -> Iterator[None]:
        """Call `callback` on a cancel in the block: in the cancelling thread, or at once if cancelled already."""
        with self._lock:
            self._callbacks.append(callback)
            late = self._cancelled
        if late:
            callback()
        try:
            yield
        finally:
            with self._lock:
                self._callbacks.remove(callback)


class SecondaryTaskContext(TaskContext):
    """Task context for the second of two steps that run in parallel.

    Its progress is reported only after the first step has finished (`first` returns False); otherwise the row would
    alternate between both. Cancelling either cancels both.
    """

    def __init__(self, task: TaskContext, first: Callable[[], bool]) -> None:
        super().__init__()
        self._task = task
        self._first = first

    def report(self, stage: str, fraction: float | None = None, detail: str = "") -> None:
        """Report the progress if the first step has finished."""
        if not self._first():
            self._task.report(stage, fraction, detail)

    @property
    def has_listener(self) -> bool:
        """Whether progress is shown."""
        return self._task.has_listener

    @property
    def cancelled(self) -> bool:
        """Whether the operation was cancelled."""
        return self._task.cancelled

    def raise_if_cancelled(self) -> None:
        """Raise CancelledError if the operation was cancelled."""
        self._task.raise_if_cancelled()

    @property
    def quitting(self) -> bool:
        """Whether the operation was cancelled because relay quits."""
        return self._task.quitting

    def cancel(self, *, quitting: bool = False) -> None:
        """Cancel the whole operation."""
        self._task.cancel(quitting=quitting)

    @contextmanager
    def on_cancel(self, callback: Callable[[], None]) -> Iterator[None]:
        """Call `callback` on a cancel of the operation within the block."""
        with self._task.on_cancel(callback):
            yield
