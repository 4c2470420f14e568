"""The store: reading, transactions under the inter-process lock, and mending a damaged file."""

from __future__ import annotations

import fcntl
import logging
import os
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from relay_tui.adapters.filesystem.atomic import filesystem_error
from relay_tui.adapters.store.disk_reserve import DiskReserve
from relay_tui.adapters.store.file_watcher import FileWatcher
from relay_tui.adapters.store.tinydb_tables import (
    DamagedError,
    DurableJSONStorage,
    Snapshot,
    Stamp,
    apply,
    decode,
    empty_tables,
    parse,
    sorted_records,
    version_of,
)
from relay_tui.domain.errors import StoreError
from relay_tui.domain.models import Project, Record, Records

log = logging.getLogger(__name__)

_LOCK_SECONDS = 30.0


class Transaction:
    """One change of the store, in memory until its block ends."""

    def __init__(self, base: Records) -> None:
        self._base = base
        self._projects = dict(base.projects)
        self._sessions = dict(base.sessions)
        self._dropped: set[str] = set()
        self._records: Records | None = base
        self._open = True

    @property
    def records(self) -> Records:
        """The records as this transaction sees them, its own changes included."""
        if self._records is None:
            self._records = sorted_records(self._projects, self._sessions)
        return self._records

    def put(self, record: Record) -> None:
        """Insert or replace a project or a session by its id."""
        self._change()
        self._dropped.discard(record.id)
        if isinstance(record, Project):
            self._projects[record.id] = record
        else:
            self._sessions[record.id] = record

    def drop(self, record_id: str) -> None:
        """Forget a record wholly. Unknown ids are fine."""
        self._change()
        self._dropped.add(record_id)
        self._projects.pop(record_id, None)
        self._sessions.pop(record_id, None)

    def _change(self) -> None:
        if not self._open:
            raise RuntimeError("the transaction is over")
        self._records = None

    def close(self) -> None:
        """Take no more changes."""
        self._open = False

    def apply(self, storage: DurableJSONStorage) -> set[str]:
        """Make the changes in TinyDB's tables; answer the ids that were touched."""
        old: Mapping[str, Record]
        new: Mapping[str, Record]
        touched: set[str] = set()
        for kind, old, new in (
            ("projects", self._base.projects, self._projects),
            ("sessions", self._base.sessions, self._sessions),
        ):
            put = {key: record for key, record in new.items() if old.get(key) != record}
            if put or self._dropped:
                touched |= apply(storage, kind, self._dropped, put)
        return touched


class TinyDBStore:
    """The `Store` port over `path`: TinyDB tables `projects` and `sessions`, and `_meta` with the schema's number.

    Beside the file lie `store.lock` (held during a transaction), `store.json.bak` (the file before the last change),
    the directory `reserve`, and whatever was set aside as `store.json.corrupt-<UTC time>`. Readers take no lock. Safe
    between threads and processes; transactions do not nest. Nothing is made on disk before the first write.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._backup = path.with_name(f"{path.name}.bak")
        self._reserve = DiskReserve(path.with_name("reserve"))
        self._mutex = threading.RLock()
        self._locked = False
        self._in_transaction = False
        self._snapshot: Snapshot | None = None
        self._mended = ""

    def read(self) -> Records:
        """The records as they are now; the file is parsed only when it is another than last time."""
        try:
            return self._load().records
        except DamagedError:
            with self._lock():
                return self._load_mended().records

    @contextmanager
    def transaction(self, *, urgent: bool = False) -> Iterator[Transaction]:
        """Begin a change; it is written, durably and whole, when the block ends without an exception.

        An `urgent` one may use up what the store keeps in reserve for a full disk.
        """
        with self._lock():
            if self._in_transaction:
                raise RuntimeError("transactions do not nest")
            self._in_transaction = True
            try:
                base = self._load_mended()
                transaction = Transaction(base.records)
                try:
                    yield transaction
                finally:
                    transaction.close()
                self._write(base, transaction, urgent=urgent)
            finally:
                self._in_transaction = False

    def version(self) -> Stamp:
        """A value that differs whenever any process has written the store since; None while there is no store."""
        try:
            return version_of(self._path.stat())
        except FileNotFoundError:
            return None
        except OSError as error:
            raise filesystem_error(error, "The store cannot be read", self._path) from error

    def watch(self) -> FileWatcher:
        """Notice from now on when any process writes the store."""
        return FileWatcher(self._path)

    def warning(self) -> str:
        """What was wrong with the store file and was mended, and rows that could not be read; '' if all is well."""
        unread = self._snapshot.unread if self._snapshot else {}
        if not unread:
            return self._mended
        some = "; ".join(f"{key}: {why}" for key, why in list(unread.items())[:3]) + ("; …" if len(unread) > 3 else "")
        rows = "One row" if len(unread) == 1 else f"{len(unread)} rows"
        return f"{self._mended} {rows} of {self._path} cannot be read and stayed there untouched ({some}).".strip()

    @contextmanager
    def _lock(self) -> Iterator[None]:
        """Hold the store against other threads and processes. This thread may hold it already."""
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
                # Said aloud, since closing alone would leave it with a child that another thread is just forking.
                fcntl.flock(descriptor, fcntl.LOCK_UN)
                os.close(descriptor)
        finally:
            self._mutex.release()

    def _load(self) -> Snapshot:
        """The file's content. Raises DamagedError, StoreError, FileSystemError."""
        known = self._snapshot
        if known is not None and known.stamp == self.version():
            return known
        if self._path.is_fifo():  # it would keep its reader waiting
            words = f"{self._path} is a pipe, not a file."
            raise StoreError("The store cannot be read", words, f"Move it away: mv {self._path} {self._path}.pipe")
        try:
            with self._path.open("rb") as file:
                stamp, data = version_of(os.fstat(file.fileno())), file.read()
        except FileNotFoundError:
            if self._backup.exists():
                raise DamagedError("it was missing") from None
            stamp, tables = None, empty_tables()
        except OSError as error:
            raise filesystem_error(error, "The store cannot be read", self._path) from error
        else:
            tables = parse(data, self._path)
        self._snapshot = snapshot = decode(stamp, tables, known)
        return snapshot

    def _load_mended(self) -> Snapshot:
        """The file's content; a damaged file is set aside and replaced first. Call it under the lock."""
        try:
            return self._load()
        except DamagedError as damage:
            reason = str(damage)
        try:
            tables = parse(self._backup.read_bytes(), self._backup)
            instead = "the copy from before its last change is used instead"
        except (OSError, DamagedError):
            tables = empty_tables()
            instead = "there was no usable copy, so relay began with an empty store"
        aside = _unused(self._path.with_name(f"{self._path.name}.corrupt-{datetime.now(UTC):%Y%m%dT%H%M%SZ}"))
        damaged = self.version()
        storage = DurableJSONStorage(self._path, {})
        storage.write(tables)
        try:
            stamp = storage.flush(aside, damaged)
        except OSError as error:
            title = f"The store file is damaged ({reason}) and cannot be replaced"
            raise filesystem_error(error, title, self._path) from error
        where = f" The damaged file is {aside} now." if damaged else ""
        self._mended = f"The store file {self._path} was damaged: {reason}; {instead}.{where}"
        log.warning("%s", self._mended)
        self._snapshot = snapshot = decode(stamp, tables)
        return snapshot

    def _write(self, base: Snapshot, transaction: Transaction, *, urgent: bool) -> None:
        """Apply a transaction's changes to TinyDB's tables and bring them to disk, if there are any."""
        storage = DurableJSONStorage(self._path, dict(base.tables))
        touched = transaction.apply(storage)
        if not touched:
            return
        try:
            stamp = storage.flush(self._backup, base.stamp, self._reserve if urgent else None)
        except OSError as error:
            hint = f"Nothing was changed. See to it that {self._path.parent} can be written, then try again."
            raise filesystem_error(error, "The store cannot be written", self._path, hint) from error
        unread = {key: why for key, why in base.unread.items() if key not in touched}
        self._snapshot = Snapshot(stamp, storage.read(), transaction.records, unread)
        self._reserve.fill(stamp[2] if stamp else 0)


def _unused(path: Path) -> Path:
    """`path`, or the first of path-2, path-3, … that does not exist."""
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
    """The descriptor that holds the lock between processes."""
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
        raise filesystem_error(error, "The store cannot be locked for writing", lock) from error
    return descriptor


def _flocked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
