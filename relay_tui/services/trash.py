"""What was removed, and may come back until its retention ends."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass

from relay_tui.config import Config
from relay_tui.errors import RelayError
from relay_tui.events import Bus, RecordsChanged
from relay_tui.model import Records
from relay_tui.services.claims import Claims
from relay_tui.services.ports import Files, Runtime, Store, TrashEntry
from relay_tui.services.watch import Watch

log = logging.getLogger(__name__)

DAY = 86_400.0


@dataclass(frozen=True, slots=True)
class Purged:
    """What a purge did: entries deleted, bytes freed, and the paths of what could not be deleted."""

    entries: int = 0
    freed: int = 0
    left: tuple[str, ...] = ()


class Trash:
    """Measures and empties the trash. Nothing leaves it before its time unless a person says so."""

    def __init__(
        self, *, store: Store, files: Files, runtime: Runtime, locks: Claims, bus: Bus, config: Config
    ) -> None:
        self._store = store
        self._files = files
        self._runtime = runtime
        self._locks = locks
        self._bus = bus
        self._config = config

    def purge(self, older_than_days: float | None, watch: Watch) -> Purged:
        """Delete for good what went to the trash that many days ago (None: whose retention has ended)."""
        days = self._config.trash_days if older_than_days is None else older_than_days
        due = [e for e in self._files.trash_entries() if time.time() - e.moved_at >= days * DAY]
        entries, freed, left = 0, 0, []
        for number, entry in enumerate(due):
            watch.check()
            watch.stage("Purging", number / len(due), entry.name)
            size = self._files.measure(entry.path)
            if self._delete(entry):
                entries, freed = entries + 1, freed + size
            else:
                left.append(str(entry.path))
        self._forget_purged()
        return Purged(entries, freed, tuple(left))

    def _delete(self, entry: TrashEntry) -> bool:
        """By ourselves if we can; what belongs to other users by the engine, which may do more than we.

        What is being restored, or has something mounted in it, stays.
        """
        try:
            with self._locks.hold(entry.name, "purging"):
                if self._files.delete(entry.path):
                    return True
                session = self._store.read().sessions.get(entry.name)
                self._runtime.delete_tree(entry.path, session.image if session else self._config.image)
                return self._files.delete(entry.path)
        except RelayError as error:
            log.warning("%s stays in the trash: %s: %s", entry.path, error.title, error.detail)
            return False

    def _forget_purged(self) -> None:
        """Drop the records of what is neither live nor in the trash any more."""
        with self._store.transaction() as change:
            kept = {entry.name for entry in self._files.trash_entries()}  # what is removed meanwhile waits for us
            for record_id in _removed(change.records) - kept:
                change.drop(record_id)
        self._bus.publish(RecordsChanged())

    def too_full(self) -> str:
        """A warning when the trash takes more than its share of the disk, else ''. Walks the trash: slow."""
        size = sum(self._files.measure(entry.path) for entry in self._files.trash_entries())
        disk = self._files.disk_size()
        if disk and size > self._config.trash_share * disk:
            return (
                f"The trash holds {size / disk:.0%} of the disk, more than the {self._config.trash_share:.0%} it may. "
                "relay purge --older-than 0 frees it; trash_share in config.toml allows more."
            )
        return ""


def _removed(records: Records) -> set[str]:
    """Ids of removed records, but for projects that a session in the trash may still need."""
    sessions = {s.id for s in records.sessions.values() if s.deleted_at is not None}
    projects = {p.id for p in records.projects.values() if p.deleted_at is not None}
    return sessions | projects
