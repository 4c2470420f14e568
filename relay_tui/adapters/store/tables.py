"""Tables of the store: TinyDB over the store file, and the records decoded from its rows."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

from tinydb import TinyDB
from tinydb.storages import Storage
from tinydb.table import Document, Table

from relay_tui.adapters.durable import FULL, replace
from relay_tui.adapters.store.file_format import EncodedRow, Tables, dump, empty_tables, encode_tables, joined, parse
from relay_tui.adapters.store.record_index import has_same_index, index_of, is_index
from relay_tui.adapters.store.reserve import Reserve
from relay_tui.adapters.store.rows import BadRowError, Row, decode_project, decode_session, encode
from relay_tui.model import Project, Record, Records, Session

_AGE = attrgetter("created_at", "id")
_Record = TypeVar("_Record", Project, Session)

Stamp = tuple[int, int, int] | None
"""Inode, mtime (ns) and size of a store file; None if there is no file."""


class DurableJSONStorage(Storage):
    """TinyDB storage that collects changes in memory and replaces the JSON file as a whole on `flush`."""

    def __init__(self, path: Path, tables: Tables) -> None:
        super().__init__()
        self._path = path
        self._tables = tables
        self._dirty = False

    def read(self) -> Tables:
        """Return the current tables, with the changes that are not yet on disk."""
        return self._tables

    def write(self, data: Tables) -> None:
        """Collect a change."""
        self._tables = data
        self._dirty = True

    def flush(self, index: EncodedRow, keep: Path, after: Stamp, reserve: Reserve | None = None) -> Stamp:
        """Write the changes and the index to disk, atomically and durably, and return the new stamp.

        The old file is kept as `keep`. `after` is its stamp; the new mtime is always later. If the disk is full, a file
        of `reserve` is used, if there is one that is large enough. Raises OSError.
        """
        if not self._dirty:
            return after
        self._tables = encode_tables(self._tables)
        pieces = dump(self._tables, index)
        later = after[1] if after else 0
        try:
            stat = replace(self._path, joined(pieces), keep=keep, after=later)
        except OSError as error:
            into = reserve.take(sum(map(len, pieces))) if reserve is not None and error.errno in FULL else None
            if into is None:
                raise
            stat = replace(self._path, joined(pieces), keep=keep, after=later, into=into)
        self._dirty = False
        return stamp_of(stat)


class RecordTable(Table):
    """TinyDB table whose document ids are the ids of the records."""

    document_id_class = str  # type: ignore[assignment]  # any hashable type works; the annotation allows only int

    def forget(self, keys: list[str]) -> None:
        """Remove the documents with these ids, all of which exist."""
        if keys:
            self.remove(doc_ids=keys)  # type: ignore[arg-type]

    def add(self, rows: Mapping[str, Mapping[str, object]]) -> None:
        """Insert documents under ids that are not in use."""
        if rows:
            self.insert_multiple(Document(row, key) for key, row in rows.items())  # type: ignore[arg-type]

    def _update_table(self, updater: Callable[[dict[Any, Any]], None]) -> None:
        """Change the table. TinyDB's own method converts all ids twice, which takes 5 ms of 10,000 rows."""
        tables = self._storage.read() or {}
        rows = dict(tables.get(self.name, {}))
        updater(rows)
        self._storage.write({**tables, self.name: rows})
        self.clear_cache()


class RecordDB(TinyDB):
    """TinyDB with tables of records."""

    table_class = RecordTable


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Content of the store file at one stamp."""

    stamp: Stamp
    tables: Tables
    records: Records
    unread: Mapping[str, str]
    """Reasons, by id, why a row is not among the records."""
    is_indexed: bool
    """Whether the file has an index, which may be out of date."""
    index: EncodedRow | None
    """The index of `records`; None if it has to be made."""


def stamp_of(stat: os.stat_result) -> Stamp:
    """Return the stamp of a file; two states of the store file never have the same."""
    return stat.st_ino, stat.st_mtime_ns, stat.st_size


def in_order(projects: Mapping[str, Project], sessions: Mapping[str, Session]) -> Records:
    """Return read-only records, oldest first."""
    return Records(
        MappingProxyType({project.id: project for project in sorted(projects.values(), key=_AGE)}),
        MappingProxyType({session.id: session for session in sorted(sessions.values(), key=_AGE)}),
    )


def keeps_order(records: Mapping[str, _Record], record: _Record) -> bool:
    """Return True if records that are oldest first still are when this one is put among them.

    Sorting 10,000 records takes 5 ms. Nearly all changes replace a record or add the newest one.
    """
    old = records.get(record.id)
    if old is not None:
        return old.created_at == record.created_at
    last = next(reversed(records.values()), None)  # type: ignore[call-overload]
    return last is None or _AGE(last) <= _AGE(record)


def empty_snapshot() -> Snapshot:
    """Return the content of a store that has no file."""
    return Snapshot(None, empty_tables(), Records(), {}, is_indexed=True, index=index_of(Records()))


def load(stamp: Stamp, data: bytes, path: Path, before: Snapshot | None = None) -> Snapshot:
    """Return the content of a store file. Rows that cannot be decoded are left out of the records.

    A row that did not change since the snapshot `before` gives the same record object. Another relay changes one row
    of thousands at a time, so a comparison of both snapshots costs little. Raises DamagedError, StoreError.
    """
    old = before or empty_snapshot()
    parsed = parse(data, path, old.tables, _DECODERS, old.index)
    unread: dict[str, str] = {}

    def records(kind: str, known: Mapping[str, _Record]) -> dict[str, _Record]:
        new, decode = parsed.results.get(kind, {}), _DECODERS[kind]
        found: dict[str, Any] = {}
        for key, row in parsed.tables[kind].items():
            made = new.get(key) or known.get(key) or old.unread.get(key) or decode(key, row)
            if type(made) is str:
                unread[key] = made
            else:
                found[key] = made
        return found

    found = in_order(records("projects", old.records.projects), records("sessions", old.records.sessions))
    is_current = parsed.index is old.index and has_same_index(old.records, found)
    index = parsed.index if is_current else None
    return Snapshot(stamp, parsed.tables, found, unread, is_index(parsed.index), index)


def _decode_project(key: str, row: object) -> Project | str:
    """Return the project in a row, or the reason why there is none."""
    try:
        return decode_project(_checked(key, row))
    except BadRowError as error:
        return str(error)


def _decode_session(key: str, row: object) -> Session | str:
    """Return the session in a row, or the reason why there is none."""
    try:
        return decode_session(_checked(key, row))
    except BadRowError as error:
        return str(error)


def _checked(key: str, row: object) -> Row:
    """Return the row if it is an object with this id. Raises BadRowError."""
    if type(row) is EncodedRow:
        row = row.value()
    if type(row) is not dict:
        raise BadRowError("it is not an object")
    if row.get("id") != key:
        raise BadRowError(f"its id is {repr(row.get('id'))[:60]}")
    return row


_DECODERS = {"projects": _decode_project, "sessions": _decode_session}


def apply(storage: DurableJSONStorage, kind: str, dropped: Set[str], put: Mapping[str, Record]) -> set[str]:
    """Change one TinyDB table and return the ids of changed rows. Unknown fields of a row are preserved."""
    table = RecordDB(storage=lambda: storage).table(kind)
    assert isinstance(table, RecordTable)
    old = storage.read()[kind]
    rows = {}
    for key, record in put.items():
        row = old.get(key)
        rows[key] = {**(row.value() if isinstance(row, EncodedRow) else {}), **encode(record)}
    gone = [key for key in dropped | put.keys() if key in old]
    table.forget(gone)
    table.add(rows)
    return {*gone, *rows}
