"""What was removed, and may come back until its retention ends."""

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
    """What could not be deleted, and why."""

    path: str
    why: str


@dataclass(frozen=True, slots=True)
class PurgeResult:
    """What a purge did: entries deleted, bytes freed, and what could not be deleted."""

    entries: int = 0
    freed: int = 0
    left: tuple[UndeletedPath, ...] = ()


class Trash:
    """Measures and empties the trash. Nothing leaves it before its time unless a person says so."""

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
        """Delete for good what went to the trash that many days ago (None: whose retention has ended)."""
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
                continue  # restored, or purged by another relay, since we looked
            except RelayError as error:
                log.warning("%s stays in the trash: %s: %s", entry.path, error.title, error.detail)
                purged = replace(purged, left=(*purged.left, UndeletedPath(str(entry.path), _error_text(error))))
        self._forget_purged()
        return purged

    def _age(self, entry: TrashEntry) -> float:
        """Seconds; never negative, nor more than what it is of has existed: the clock may jump either way."""
        records = self._store.read()
        record = records.sessions.get(entry.name) or records.projects.get(entry.name)
        made = _moment(record.created_at) if record else 0.0
        return max(0.0, self._clock() - max(entry.moved_at, made))

    def _delete(self, entry: TrashEntry, purged: PurgeResult) -> PurgeResult:
        """By ourselves if we can; what belongs to other users by the engine, which may do more than we.

        What is on its way back stays. Nothing comes back once its deletion has begun: half of it may be gone.
        """
        records = self._store.read()
        record = records.sessions.get(entry.name) or records.projects.get(entry.name)
        if record is not None and record.deleted_at is None:
            return purged
        path = self._files.mark_for_deletion(entry)
        size = self._files.measure(path)
        if self._files.delete(path) or not (why := self._delete_for_us(path, records.sessions.get(entry.name))):
            return replace(purged, entries=purged.entries + 1, freed=purged.freed + size)
        freed = purged.freed + size - self._files.measure(path)
        return replace(purged, freed=freed, left=(*purged.left, UndeletedPath(str(path), why)))

    def _delete_for_us(self, path: Path, session: Session | None) -> str:
        """Why it is still there, or ''."""
        why = "some of it belongs to other users"
        try:
            self._runtime.delete_tree(path, session.image if session else self._config.image)
        except RelayError as error:
            log.warning("%s cannot be deleted by the engine: %s: %s", path, error.title, error.detail)
            why = f"{why}, and the engine could not help: {_error_text(error)}"
        return "" if self._files.delete(path) else why

    def _forget_purged(self) -> None:
        """Drop the records of what is neither live nor in the trash any more."""
        with self._store.transaction(urgent=True) as change:
            # what is removed meanwhile waits for us
            kept = {entry.name for entry in self._files.trash_entries() if not entry.condemned}
            for record_id in _purged(change.records, kept):
                change.drop(record_id)
        self._bus.publish(RecordsChanged())

    def too_full(self, more: Path | None = None) -> str:
        """A warning when the trash takes more than its share of the disk, or would with `more` in it; else ''.

        Walks what it measures: slow.
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
                "it may. relay purge --older-than 0 frees it; trash_share in config.toml allows more."
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
    """Ids of removed records that are not `kept`, but for projects that a session on record still names."""
    sessions = {s.id for s in records.sessions.values() if s.deleted_at is not None and s.id not in kept}
    named = {s.project_id for s in records.sessions.values() if s.id not in sessions}
    projects = {p.id for p in records.projects.values() if p.deleted_at is not None and p.id not in kept}
    return sessions | projects - named
