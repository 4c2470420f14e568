"""Trash: removed clones, which can be restored until their retention ends."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from relay_tui.config import Config
from relay_tui.domain.errors import NotFoundError, RelayError
from relay_tui.domain.events import EventBus, RecordsChanged
from relay_tui.domain.models import Records, Session
from relay_tui.ports import Files, Runtime, Store, TrashEntry
from relay_tui.ports.task import TaskContext
from relay_tui.services.operation_locks import OperationLocks
from relay_tui.text.format import format_size

log = logging.getLogger(__name__)

DAY = 86_400.0


@dataclass(frozen=True, slots=True)
class UndeletedPath:
    """A path that could not be deleted, and the reason."""

    path: str
    why: str


@dataclass(frozen=True, slots=True)
class PurgeResult:
    """Result of a purge: entries deleted, bytes freed, and paths that could not be deleted."""

    entries: int = 0
    freed: int = 0
    left: tuple[UndeletedPath, ...] = ()


class Trash:
    """Measures and purges the trash. An entry is deleted when its retention ends, or when a person requests it."""

    def __init__(
        self,
        *,
        store: Store,
        files: Files,
        runtime: Runtime,
        locks: OperationLocks,
        bus: EventBus,
        config: Config,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._files = files
        self._runtime = runtime
        self._locks = locks
        self._bus = bus
        self._config = config
        self._clock = clock

    def purge(self, older_than_days: float | None, task: TaskContext) -> PurgeResult:
        """Delete the entries that were trashed at least so many days ago (None: whose retention has ended)."""
        days = self._config.trash_days if older_than_days is None else older_than_days
        due = [e for e in self._files.trash_entries() if e.condemned or self._age(e) >= days * DAY]
        purged = PurgeResult()
        for number, entry in enumerate(due):
            task.raise_if_cancelled()
            task.report("Purging", number / len(due), entry.name)
            try:
                with self._locks.hold(entry.name, "purging"):
                    purged = self._delete(entry, purged)
            except NotFoundError:
                continue  # restored, or purged by another relay, in the meantime
            except RelayError as error:
                log.warning("%s stays in the trash: %s: %s", entry.path, error.title, error.detail)
                purged = replace(purged, left=(*purged.left, UndeletedPath(str(entry.path), _error_text(error))))
        self._forget_purged()
        return purged

    def _age(self, entry: TrashEntry) -> float:
        """Return the seconds in the trash: never negative, and at most the record's age, because the clock can jump."""
        records = self._store.read()
        record = records.sessions.get(entry.name) or records.projects.get(entry.name)
        made = _moment(record.created_at) if record else 0.0
        return max(0.0, self._clock() - max(entry.moved_at, made))

    def _delete(self, entry: TrashEntry, purged: PurgeResult) -> PurgeResult:
        """Delete an entry; files of other users are deleted by the engine, which has the rights to do so.

        An entry that is being restored stays. An entry cannot be restored after its deletion has started, because
        it may be incomplete.
        """
        records = self._store.read()
        record = records.sessions.get(entry.name) or records.projects.get(entry.name)
        if record is not None and record.deleted_at is None:
            return purged
        path = self._files.mark_for_deletion(entry)
        size = self._files.measure(path)
        if self._files.delete(path) or not (why := self._delete_with_engine(path, records.sessions.get(entry.name))):
            return replace(purged, entries=purged.entries + 1, freed=purged.freed + size)
        freed = purged.freed + size - self._files.measure(path)
        return replace(purged, freed=freed, left=(*purged.left, UndeletedPath(str(path), why)))

    def _delete_with_engine(self, path: Path, session: Session | None) -> str:
        """Delete a path with the engine's help; return the reason if some of it is left, else ''."""
        why = "some of it belongs to other users"
        try:
            self._runtime.delete_tree(path, session.image if session else self._config.image)
        except RelayError as error:
            log.warning("%s cannot be deleted by the engine: %s: %s", path, error.title, error.detail)
            why = f"{why}, and the engine could not help: {_error_text(error)}"
        return "" if self._files.delete(path) else why

    def _forget_purged(self) -> None:
        """Delete the records of removed sessions and projects that are no longer in the trash."""
        with self._store.transaction(urgent=True) as change:
            # read inside the transaction, which a removal in another relay has to wait for
            kept = {entry.name for entry in self._files.trash_entries() if not entry.condemned}
            for record_id in _purged(change.records, kept):
                change.drop(record_id)
        self._bus.publish(RecordsChanged())

    def too_full(self, more: Path | None = None) -> str:
        """Return a warning if the trash exceeds its share of the disk, or would with `more` in it; else ''.

        Slow: reads every directory that it measures.
        """
        size, disk = self._files.trash_size(), self._files.disk_size()
        if more is not None:
            size += self._files.measure(more)
        if disk and size > self._config.trash_share * disk:
            allowed = (
                f"{format_size(int(self._config.trash_share * disk))} ({self._config.trash_share:.0%} of the disk)"
            )
            return (
                f"The trash {'holds' if more is None else 'would hold'} {format_size(size)}, more than the {allowed} "
                "allowed. Run relay purge --older-than 0, or raise trash_share in config.toml."
            )
        return ""


def _error_text(error: RelayError) -> str:
    return f"{error.title}: {error.detail}" if error.detail else error.title


def _moment(stamp: str) -> float:
    try:
        return datetime.fromisoformat(stamp).timestamp()
    except ValueError:
        return 0.0


def _purged(records: Records, kept: Collection[str]) -> set[str]:
    """Return the ids of removed records that are not `kept`, except projects that a session still belongs to."""
    sessions = {s.id for s in records.sessions.values() if s.deleted_at is not None and s.id not in kept}
    named = {s.project_id for s in records.sessions.values() if s.id not in sessions}
    projects = {p.id for p in records.projects.values() if p.deleted_at is not None and p.id not in kept}
    return sessions | projects - named
