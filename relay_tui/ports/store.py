"""Ports of the record store and of inter-process locks."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from relay_tui.domain.models import Record, Records


class Transaction(Protocol):
    """One change of the store: read, change and write under the inter-process lock."""

    @property
    def records(self) -> Records:
        """The records, including the changes of this transaction."""
        ...

    def put(self, record: Record) -> None:
        """Insert or replace a project or a session by its id."""
        ...

    def drop(self, record_id: str) -> None:
        """Delete a record. Does nothing for an unknown id."""
        ...


class StoreWatcher(Protocol):
    """Waits for writes to the store. A context manager that closes its files at exit."""

    def __enter__(self) -> StoreWatcher: ...

    def __exit__(self, *_: object) -> None: ...

    def wait(self, at_most: float) -> None:
        """Return when the store may have been written, after wake(), or after `at_most` seconds."""
        ...

    def wake(self) -> None:
        """End the current wait and all later ones. Can be called from any thread."""
        ...


class Store(Protocol):
    """Durable records. Every method raises StoreError, or FileSystemError if the disk cannot be read or written."""

    def read(self) -> Records:
        """Return the current records. Cheap if nothing changed since the last read."""
        ...

    def transaction(self, *, urgent: bool = False) -> AbstractContextManager[Transaction]:
        """Start a change, which is written durably and atomically if the block ends without an exception.

        An `urgent` change ends an operation, frees space or records the state of a session. It may use the disk space
        that the store reserves, so a few of them succeed even on a full disk.
        """
        ...

    def version(self) -> object:
        """Return a value that changes with every write of any process. Costs one stat()."""
        ...

    def watch(self) -> StoreWatcher:
        """Return a watcher for writes of any process; the caller uses it as a context manager."""
        ...

    def warning(self) -> str:
        """Return the problem of the store file that was repaired earlier (a corrupt file set aside), or ''."""
        ...


class Locks(Protocol):
    """Lock files, which the kernel releases when their process ends."""

    def hold(self, key: str, purpose: str) -> AbstractContextManager[None]:
        """Hold the lock for a project or session id. Raises ConflictError, which names the holder's pid and purpose."""
        ...

    def holder(self, key: str) -> str:
        """Return the holder of the lock as text ('relay session create, pid 4711'), or '' if it is free."""
        ...
