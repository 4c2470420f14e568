"""Locks on projects and sessions that are held from the first write of a record until its operation ends."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from relay_tui.ports import Locks


class OperationLocks:
    """Locks, and claims of this process: a lock that is taken before the record is written.

    If the lock were taken only when the operation starts, another relay could find the new record without an
    operation and start one.
    """

    def __init__(self, locks: Locks) -> None:
        self._locks = locks
        self._guard = threading.Lock()
        self._claimed: dict[str, ExitStack] = {}
        self._own = threading.local()

    def claim(self, key: str, purpose: str) -> None:
        """Take the lock for a later hold() in any thread. Raises ConflictError if the lock is held."""
        stack = ExitStack()
        stack.enter_context(self._locks.hold(key, purpose))
        with self._guard:
            self._claimed[key] = stack
        self._own.keys = [*getattr(self._own, "keys", ()), key]

    @contextmanager
    def while_written(self) -> Iterator[None]:
        """Release this thread's claims if the block fails, because their records were not written."""
        self._own.keys = []
        try:
            yield
        except BaseException:
            for key in self._own.keys:
                self.release(key)
            raise

    def release(self, key: str) -> None:
        """Release a claim that no hold() follows. Does nothing if there is none."""
        with self._guard:
            stack = self._claimed.pop(key, None)
        if stack is not None:
            stack.close()

    @contextmanager
    def hold(self, key: str, purpose: str) -> Iterator[None]:
        """Hold the lock, claimed before or not, until the block ends. Raises ConflictError if it is held."""
        with self._guard:
            stack = self._claimed.pop(key, None)
        if stack is None:
            stack = ExitStack()
            stack.enter_context(self._locks.hold(key, purpose))
        with stack:
            yield

    def holder(self, key: str) -> str:
        """Return the holder of the lock as text, or '' if it is free."""
        return self._locks.holder(key)
