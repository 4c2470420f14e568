"""Locks that are taken before a record is written, and kept until the work on it is done."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from relay_tui.ports import Locks


class OperationLocks:
    """Locks, and the claims of this process: a record is never on file without someone at work on it.

    Were the lock taken only when the work begins, another relay could find the new record idle and begin first.
    """

    def __init__(self, locks: Locks) -> None:
        self._locks = locks
        self._guard = threading.Lock()
        self._claimed: dict[str, ExitStack] = {}
        self._own = threading.local()

    def claim(self, key: str, purpose: str) -> None:
        """Take the lock for the hold() that follows, in whatever thread. Raises ConflictError."""
        stack = ExitStack()
        stack.enter_context(self._locks.hold(key, purpose))
        with self._guard:
            self._claimed[key] = stack
        self._own.keys = [*getattr(self._own, "keys", ()), key]

    @contextmanager
    def while_written(self) -> Iterator[None]:
        """Claims of this thread in the block are given up if it fails: what they are about was not written."""
        self._own.keys = []
        try:
            yield
        except BaseException:
            for key in self._own.keys:
                self.release(key)
            raise

    def release(self, key: str) -> None:
        """Give up a claim that no hold() will follow; fine if there is none."""
        with self._guard:
            stack = self._claimed.pop(key, None)
        if stack is not None:
            stack.close()

    @contextmanager
    def hold(self, key: str, purpose: str) -> Iterator[None]:
        """Hold the lock, claimed before or not, until the block ends. Raises ConflictError."""
        with self._guard:
            stack = self._claimed.pop(key, None)
        if stack is None:
            stack = ExitStack()
            stack.enter_context(self._locks.hold(key, purpose))
        with stack:
            yield

    def holder(self, key: str) -> str:
        """Who holds it, in words, or '' if nobody does."""
        return self._locks.holder(key)
