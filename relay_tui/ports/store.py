"""Durable records, and locks that die with their process."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from relay_tui.domain.models import Record, Records


class Transaction(Protocol):
    """One change of the store: read, change, write, all under the inter-process lock."""

    @property
    def records(self) -> Records:
        """The records as this transaction sees them, its own changes included."""
        ...

    def put(self, record: Record) -> None:
        """Insert or replace a project or a session by its id."""
        ...

    def drop(self, record_id: str) -> None:
        """Forget a record wholly. Unknown ids are fine."""
        ...


class StoreWatcher(Protocol):
    """Sleeps until the store is written. A context manager: left, it holds nothing open."""

    def __enter__(self) -> StoreWatcher: ...

    def __exit__(self, *_: object) -> None: ...

    def wait(self, at_most: float) -> None:
        """Return when the store may have been written, when woken, or after so many seconds."""
        ...

    def wake(self) -> None:
        """End the wait, now and for ever; any thread may."""
        ...


class Store(Protocol):
    """Durable records. Every method raises StoreError, or FileSystemError when the disk says no."""

    def read(self) -> Records:
        """The records as they are now. Cheap when nothing changed since the last read."""
        ...

    def transaction(self, *, urgent: bool = False) -> AbstractContextManager[Transaction]:
        """Begin a change; it is written, durably and whole, when the block ends without an exception.

        An `urgent` one, which ends something, frees room or tells what became of a session, may use up what the store
        keeps in reserve: it is written to a full disk too, a few times.
        """
        ...

    def version(self) -> object:
        """A value that differs whenever any process has written the store since. Costs one stat()."""
        ...

    def watch(self) -> StoreWatcher:
        """Notice from now on when any process writes the store; the caller enters it and leaves it."""
        ...

    def warning(self) -> str:
        """What went wrong with the store file earlier and was mended (a corrupt file set aside), or ''."""
        ...


class Locks(Protocol):
    """Lock files that the kernel releases when their process dies."""

    def hold(self, key: str, purpose: str) -> AbstractContextManager[None]:
        """Hold the lock for a project or session id. Raises ConflictError that names the holder's pid and purpose."""
        ...

    def holder(self, key: str) -> str:
        """Who holds it, in words ('relay session create, pid 4711'), or '' if nobody does."""
        ...
