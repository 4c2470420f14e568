"""How a long operation tells its progress, and learns that it should stop."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from relay_tui.domain.errors import CancelledError

Report = Callable[[str, float | None, str], None]
"""Takes the stage in words, the fraction done (0..1, None when unknown) and a short detail (bytes, throughput)."""


class TaskContext:
    """Given to every operation that takes longer than a blink. Thread-safe."""

    def __init__(self, report: Report | None = None) -> None:
        self._report = report
        self._lock = threading.Lock()
        self._cancelled = False
        self._quitting = False
        self._callbacks: list[Callable[[], None]] = []

    def report(self, stage: str, fraction: float | None = None, detail: str = "") -> None:
        """Say what is being done, and how far it is."""
        if self._report is not None:
            self._report(stage, fraction, detail)

    @property
    def has_listener(self) -> bool:
        """Whether anyone hears what is said: if not, progress need not be worked out."""
        return self._report is not None

    @property
    def cancelled(self) -> bool:
        """Whether someone asked for the operation to stop."""
        return self._cancelled

    def raise_if_cancelled(self) -> None:
        """Raise CancelledError if the operation should stop."""
        if self._cancelled:
            raise CancelledError("Cancelled")

    @property
    def quitting(self) -> bool:
        """Whether it was cancelled only because relay is leaving: what was begun is to be gone on with later."""
        return self._quitting

    def cancel(self, *, quitting: bool = False) -> None:
        """Ask the operation to stop; it undoes what it began."""
        with self._lock:
            self._cancelled = True
            self._quitting = quitting
            callbacks = tuple(self._callbacks)
        for callback in callbacks:
            callback()

    @contextmanager
    def on_cancel(self, callback: Callable[[], None]) -> Iterator[None]:
        """Within the block, a cancel calls `callback` (from the cancelling thread; at once if it came before)."""
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
    """A second voice of an operation: it is heard only while `first` is silent, and is cancelled with the operation.

    Two halves of an operation that run side by side would else tell their progress in turns.
    """

    def __init__(self, task: TaskContext, first: Callable[[], bool]) -> None:
        super().__init__()
        self._task = task
        self._first = first

    def report(self, stage: str, fraction: float | None = None, detail: str = "") -> None:
        """Say it if the first voice has ended."""
        if not self._first():
            self._task.report(stage, fraction, detail)

    @property
    def has_listener(self) -> bool:
        """Whether anyone hears what is said."""
        return self._task.has_listener

    @property
    def cancelled(self) -> bool:
        """Whether someone asked for the operation to stop."""
        return self._task.cancelled

    def raise_if_cancelled(self) -> None:
        """Raise CancelledError if the operation should stop."""
        self._task.raise_if_cancelled()

    @property
    def quitting(self) -> bool:
        """Whether it was cancelled only because relay is leaving."""
        return self._task.quitting

    def cancel(self, *, quitting: bool = False) -> None:
        """Ask the whole operation to stop."""
        self._task.cancel(quitting=quitting)

    @contextmanager
    def on_cancel(self, callback: Callable[[], None]) -> Iterator[None]:
        """Within the block, a cancel of the operation calls `callback`."""
        with self._task.on_cancel(callback):
            yield
