"""Store of projects and sessions: reads, transactions under a lock between processes, repair of a damaged file."""

from __future__ import annotations

import fcntl
import logging
import os
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType

from relay_tui.adapters.durable import FULL, keep_copy, refused
from relay_tui.adapters.store.file_format import DamagedError
from relay_tui.adapters.store.record_index import index_of, updated_index
from relay_tui.adapters.store.reserve import Reserve
from relay_tui.adapters.store.tables import (
    DurableJSONStorage,
    Snapshot,
    Stamp,
    apply,
    empty_snapshot,
    in_order,
    keeps_order,
    load,
    stamp_of,
)
from relay_tui.adapters.store.touched import Touched
from relay_tui.errors import StoreError
from relay_tui.model import Project, Record, Records

log = logging.getLogger(__name__)

_LOCK_SECONDS = 30.0


class Transaction:
    """One change of the store, in memory until its block ends."""

    def __init__(self, base: Records) -> None:
        self._base = base
        self._projects = dict(base.projects)
        self._sessions = dict(base.sessions)
        self._put: set[str] = set()
        self._dropped: set[str] = set()
        self._is_sorted = True
        self._records: Records | None = base
        self._open = True

    @property
    def records(self) -> Records:
        """The records with the changes of this transaction."""
        if self._records is None:
            if self._is_sorted:
                projects, sessions = dict(self._projects), dict(self._sessions)
                self._records = Records(MappingProxyType(projects), MappingProxyType(sessions))
            else:
                self._records = in_order(self._projects, self._sessions)
        return self._records

    def put(self, record: Record) -> None:
        """Insert or replace a project or a session by its id."""
        self._change()
        self._dropped.discard(record.id)
        self._put.add(record.id)
        if isinstance(record, Project):
            self._is_sorted &= keeps_order(self._projects, record)
            self._projects[record.id] = record
        else:
            self._is_sorted &= keeps_order(self._sessions, record)
            self._sessions[record.id] = record

    def drop(self, record_id: str) -> None:
        """Remove a record completely. Unknown ids are ignored."""
        self._change()
        self._dropped.add(record_id)
        self._projects.pop(record_id, None)
        self._sessions.pop(record_id, None)

    def _change(self) -> None:
        if not self._open:
            raise RuntimeError("the transaction is over")
        self._records = None

    def close(self) -> None:
        """Accept no more changes."""
        self._open = False

    def apply(self, storage: DurableJSONStorage) -> set[str]:
        """Make the changes in TinyDB's tables and return the ids of changed rows."""
        old: Mapping[str, Record]
        new: Mapping[str, Record]
        touched: set[str] = set()
        for kind, old, new in (
            ("projects", self._base.projects, self._projects),
            ("sessions", self._base.sessions, self._sessions),
        ):
            put = {key: new[key] for key in new if key in self._put and old.get(key) != new[key]}
            if put or self._dropped:
                touched |= apply(storage, kind, self._dropped, put)
        return touched


class TinyStore:
    """The `Store` port over the file `path`, a TinyDB database.

    Tables: `projects` and `sessions`; `_meta` with the number of the schema; `_default`, the index (record_index.py).
    Other files in the same directory: `store.lock` (held during a transaction), `store.json.bak` (the file before the
    last change), `store.json.before-index` (the file before the index was added to it), `store.json.corrupt-<UTC time>`
    (damaged files), and the directory `reserve`. Readers take no lock. Safe between threads and processes; transactions
    do not nest. Nothing is created on disk before the first write.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._backup = path.with_name(f"{path.name}.bak")
        self._reserve = Reserve(path.with_name("reserve"))
        self._mutex = threading.RLock()
        self._locked = False
        self._in_transaction = False
        self._snapshot: Snapshot | None = None
        self._repair = ""

    def read(self) -> Records:
        """Return the current records. The file is parsed only if it has changed since the last read."""
        try:
            return self._load().records
        except DamagedError:
            with self._lock():
                return self._load_or_repair().records

    @contextmanager
    def transaction(self, *, urgent: bool = False) -> Iterator[Transaction]:
        """Begin a change. It is written, durably and as a whole, when the block ends without an exception.

        An `urgent` change may use the disk space that the store keeps in reserve.
        """
        with self._lock():
            if self._in_transaction:
                raise RuntimeError("transactions do not nest")
            self._in_transaction = True
            try:
                base = self._load_or_repair()
                transaction = Transaction(base.records)
                try:
                    yield transaction
                finally:
                    transaction.close()
                self._write(base, transaction, urgent=urgent)
            finally:
                self._in_transaction = False

    def stamp(self) -> Stamp:
        """Return a value that changes with every write of any process; None if there is no file."""
        try:
            return stamp_of(self._path.stat())
        except FileNotFoundError:
            return None
        except OSError as error:
            raise refused(error, "The store cannot be read", self._path) from error

    def watch(self) -> Touched:
        """Watch the file for writes of any process."""
        return Touched(self._path)

    def warning(self) -> str:
        """Return the damage that was repaired and the rows that cannot be read, as text; '' if there is neither."""
        unread = self._snapshot.unread if self._snapshot else {}
        if not unread:
            return self._repair
        some = "; ".join(f"{key}: {why}" for key, why in list(unread.items())[:3]) + ("; …" if len(unread) > 3 else "")
        rows = "One row" if len(unread) == 1 else f"{len(unread)} rows"
        return f"{self._repair} {rows} of {self._path} cannot be read and were left unchanged ({some}).".strip()

    @contextmanager
    def _lock(self) -> Iterator[None]:
        """Hold the lock of the store against other threads and processes. Reentrant within a thread."""
        deadline = time.monotonic() + _LOCK_SECONDS
        lock = self._path.with_name(f"{self._path.stem}.lock")
        if not self._mutex.acquire(timeout=_LOCK_SECONDS):
            raise _held_too_long(lock)
        try:
            if self._locked:
                yield
                return
            descriptor = _flock(lock, deadline)
            self._locked = True
            try:
                yield
            finally:
                self._locked = False
                # Closing is not enough: a child that another thread is forking has a copy of the descriptor.
                fcntl.flock(descriptor, fcntl.LOCK_UN)
                os.close(descriptor)
        finally:
            self._mutex.release()

    def _load(self) -> Snapshot:
        """Return the content of the file. Raises DamagedError, StoreError, FileSystemError."""
        known = self._snapshot
        if known is not None and known.stamp == self.stamp():
            return known
        if self._path.is_fifo():  # opening it would block
            words = f"{self._path} is a pipe, not a file."
            raise StoreError("The store cannot be read", words, f"Move it away: mv {self._path} {self._path}.pipe")
        try:
            with self._path.open("rb") as file:
                stamp, data = stamp_of(os.fstat(file.fileno())), file.read()
        except FileNotFoundError:
            if self._backup.exists():
                raise DamagedError("it was missing") from None
            snapshot = empty_snapshot()
        except OSError as error:
            raise refused(error, "The store cannot be read", self._path) from error
        else:
            snapshot = load(stamp, data, self._path, known)
        self._snapshot = snapshot
        return snapshot

    def _load_or_repair(self) -> Snapshot:
        """Return the content of the file; a damaged file is renamed and replaced first. Call it under the lock."""
        try:
            return self._load()
        except DamagedError as damage:
            reason = str(damage)
        try:
            backup = load(None, self._backup.read_bytes(), self._backup)
            instead = "the copy from before its last change is used instead"
        except (OSError, DamagedError):
            backup = empty_snapshot()
            instead = "there was no usable copy, so relay began with an empty store"
        aside = _unused(self._path.with_name(f"{self._path.name}.corrupt-{datetime.now(UTC):%Y%m%dT%H%M%SZ}"))
        damaged = self.stamp()
        index = index_of(backup.records)
        storage = DurableJSONStorage(self._path, {})
        storage.write(backup.tables)
        try:
            stamp = storage.flush(index, aside, damaged)
        except OSError as error:
            title = f"The store file is damaged ({reason}) and cannot be replaced"
            raise refused(error, title, self._path) from error
        where = f" The damaged file is {aside} now." if damaged else ""
        self._repair = f"The store file {self._path} was damaged: {reason}; {instead}.{where}"
        log.warning("%s", self._repair)
        self._snapshot = snapshot = replace(backup, stamp=stamp, is_indexed=True, index=index)
        return snapshot

    def _write(self, base: Snapshot, transaction: Transaction, *, urgent: bool) -> None:
        """Apply the changes of a transaction to TinyDB's tables and write them to disk, if there are any."""
        storage = DurableJSONStorage(self._path, dict(base.tables))
        touched = transaction.apply(storage)
        if not touched:
            return
        records = transaction.records
        index = updated_index(base.index, base.records, records)
        try:
            if not base.is_indexed:
                self._keep_before_index()
            stamp = storage.flush(index, self._backup, base.stamp, self._reserve if urgent else None)
        except OSError as error:
            hint = f"Nothing was changed. Make {self._path.parent} writable, then try again."
            raise refused(error, "The store cannot be written", self._path, hint) from error
        unread = {key: why for key, why in base.unread.items() if key not in touched}
        self._snapshot = Snapshot(stamp, storage.read(), records, unread, is_indexed=True, index=index)
        self._reserve.fill(stamp[2] if stamp else 0)

    def _keep_before_index(self) -> None:
        """Keep a copy of the file that an older relay wrote. Raises OSError, but not because the disk is full."""
        keep = self._path.with_name(f"{self._path.name}.before-index")
        try:
            keep_copy(self._path, keep)
        except OSError as error:
            if error.errno not in FULL:
                raise
            log.warning("no copy of the store file as %s: %s", keep, error)


def _unused(path: Path) -> Path:
    """Return `path`, or the first of path-2, path-3, … that does not exist."""
    candidate, number = path, 1
    while candidate.exists():
        number += 1
        candidate = path.with_name(f"{path.name}-{number}")
    return candidate


def _held_too_long(lock: Path) -> StoreError:
    detail = f"{lock} has been locked for {_LOCK_SECONDS:.0f} seconds."
    hint = f"Look for a relay that is stopped or hangs (fuser -v {lock}), end it, and try again."
    return StoreError("Another relay is writing the store and does not end", detail, hint)


def _flock(lock: Path, deadline: float) -> int:
    """Return a descriptor that holds the lock between processes."""
    try:
        lock.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        pause = 0.0005
        try:
            while not _flocked(descriptor):
                if time.monotonic() > deadline:
                    raise _held_too_long(lock)
                time.sleep(pause)
                pause = min(pause * 2, 0.02)
        except BaseException:
            os.close(descriptor)
            raise
    except OSError as error:
        raise refused(error, "The store cannot be locked for writing", lock) from error
    return descriptor


def _flocked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
