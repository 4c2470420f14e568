"""The store file as TinyDB sees it: tables of documents, one JSON file below them, records read out of them."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import islice
from operator import attrgetter
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar

from tinydb import TinyDB
from tinydb.storages import Storage
from tinydb.table import Document, Table

from relay_tui.adapters.filesystem.atomic import FULL, replace_file
from relay_tui.adapters.store.codec import DecodeError, Row, decode_project, decode_session, encode
from relay_tui.adapters.store.disk_reserve import DiskReserve
from relay_tui.domain.errors import StoreError
from relay_tui.domain.models import Project, Record, Records, Session

SCHEMA = 1
AT_ONCE = 50  # rows turned into JSON in one go
KINDS = ("projects", "sessions")
_AGE = attrgetter("created_at", "id")
_Record = TypeVar("_Record", Project, Session)

Tables = dict[str, dict[str, object]]
Stamp = tuple[int, int, int] | None
"""A store file's inode, mtime (ns) and size; None when there is no file."""


class DamagedError(Exception):
    """The file is no store; the message says why."""


class DurableJSONStorage(Storage):
    """TinyDB's storage: gathers what TinyDB writes, and replaces the JSON file in one piece when told to flush."""

    def __init__(self, path: Path, tables: Tables) -> None:
        super().__init__()
        self._path = path
        self._tables = tables
        self._dirty = False

    def read(self) -> Tables:
        """The tables as they are now, gathered changes included."""
        return self._tables

    def write(self, data: Tables) -> None:
        """Gather a change."""
        self._tables = data
        self._dirty = True

    def flush(self, keep: Path, after: Stamp, reserve: DiskReserve | None = None) -> Stamp:
        """Bring the changes to disk, atomically and durably; the file as it was is kept as `keep`. Raises OSError.

        `after` is the stamp of the file so far; the answer is the new one, and always a later one. A full disk gets
        them in the `reserve`, if one is given and not used up.
        """
        if not self._dirty:
            return after
        data = dump(self._tables)
        later = after[1] if after else 0
        try:
            stat = replace_file(self._path, data, keep=keep, after=later)
        except OSError as error:
            into = reserve.take(len(data)) if reserve is not None and error.errno in FULL else None
            if into is None:
                raise
            stat = replace_file(self._path, data, keep=keep, after=later, into=into)
        self._dirty = False
        return version_of(stat)


class RecordTable(Table):
    """A TinyDB table in which a record's own id is the document's id."""

    document_id_class = str  # type: ignore[assignment]  # any hashable type does; the annotation knows only int

    def forget(self, keys: list[str]) -> None:
        """Remove the documents with these ids, all of which exist."""
        if keys:
            self.remove(doc_ids=keys)  # type: ignore[arg-type]

    def add(self, rows: Mapping[str, Mapping[str, object]]) -> None:
        """Insert documents under ids that are free."""
        if rows:
            self.insert_multiple(Document(row, key) for key, row in rows.items())  # type: ignore[arg-type]


class RecordDB(TinyDB):
    """A TinyDB of such tables."""

    table_class = RecordTable


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What the file held when it bore this stamp. `unread` tells, by id, why a row is not among the records."""

    stamp: Stamp
    tables: Tables
    records: Records
    unread: Mapping[str, str]


def empty_tables() -> Tables:
    """A store without records."""
    return {"_meta": {"store": {"schema": SCHEMA}}, **{kind: {} for kind in KINDS}}


def version_of(stat: os.stat_result) -> Stamp:
    """What tells one state of the file from another."""
    return stat.st_ino, stat.st_mtime_ns, stat.st_size


def sorted_records(projects: Mapping[str, Project], sessions: Mapping[str, Session]) -> Records:
    """Records that nobody can change, oldest first."""
    return Records(
        MappingProxyType({project.id: project for project in sorted(projects.values(), key=_AGE)}),
        MappingProxyType({session.id: session for session in sorted(sessions.values(), key=_AGE)}),
    )


def parse(data: bytes, path: Path) -> Tables:
    """The tables in a store file. Raises DamagedError; StoreError when a newer relay wrote it."""
    try:
        tables = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise DamagedError("it was empty" if not data else f"it was not whole JSON ({str(error)[:120]})") from error
    if not isinstance(tables, dict):
        raise DamagedError("it was not a JSON object")
    meta = tables.get("_meta")
    entry = meta.get("store") if isinstance(meta, dict) else None
    schema = entry.get("schema") if isinstance(entry, dict) else None
    if not isinstance(schema, int) or schema < 1:
        raise DamagedError("it had no schema number")
    if schema > SCHEMA:
        raise StoreError(
            "The store was written by a newer relay",
            f"{path} has schema {schema}; this relay knows schemas up to {SCHEMA}. Nothing was touched.",
            "Install a newer relay, or choose another data directory with --data-dir.",
        )
    for kind in KINDS:
        if not isinstance(tables.setdefault(kind, {}), dict):
            raise DamagedError(f"its {kind} were not a table")
    return tables


def dump(tables: Tables) -> bytes:
    """The file's content. Of many rows at once json would keep some 80 pieces each until it joins them."""
    encode = json.JSONEncoder(separators=(",", ":")).encode

    def table(rows: Mapping[str, object]) -> str:
        left = iter(rows.items())
        return ",".join(encode(some)[1:-1] for some in iter(lambda: dict(islice(left, AT_ONCE)), {}))

    return f"{{{','.join(f'{encode(kind)}:{{{table(rows)}}}' for kind, rows in tables.items())}}}".encode()


def decode(stamp: Stamp, tables: Tables, before: Snapshot | None = None) -> Snapshot:
    """The records in the tables; a row that is none is left out and named.

    A row that is what it was in the snapshot `before` gives the same record, not merely an equal one: another relay
    changes one row of thousands at a time, and who compares records has little to do then.
    """
    unread: dict[str, str] = {}
    rows_before = before.tables if before is not None else {kind: {} for kind in KINDS}
    known = before.records if before is not None else Records()

    def decoded(kind: str, decode_row: Callable[[Row], _Record], known: Mapping[str, _Record]) -> dict[str, _Record]:
        found: dict[str, _Record] = {}
        old = rows_before[kind]
        for key, row in tables[kind].items():
            if key in known and old.get(key) == row:
                found[key] = known[key]
                continue
            try:
                if not isinstance(row, dict):
                    raise DecodeError("it is no object")
                if row.get("id") != key:
                    raise DecodeError(f"its id is {repr(row.get('id'))[:60]}")
                found[key] = decode_row(row)
            except DecodeError as error:
                unread[key] = str(error)
        return found

    projects = decoded("projects", decode_project, known.projects)
    return Snapshot(
        stamp, tables, sorted_records(projects, decoded("sessions", decode_session, known.sessions)), unread
    )


def apply(storage: DurableJSONStorage, kind: str, dropped: set[str], put: Mapping[str, Record]) -> set[str]:
    """Change one TinyDB table; answer the ids that were touched. Fields of a row that we do not know stay in it."""
    table = RecordDB(storage=lambda: storage).table(kind)
    assert isinstance(table, RecordTable)
    old = dict(storage.read()[kind])
    rows = {}
    for key, record in put.items():
        row = old.get(key)
        rows[key] = {**row, **encode(record)} if isinstance(row, dict) else encode(record)
    gone = [key for key in dropped | put.keys() if key in old]
    table.forget(gone)
    table.add(rows)
    return {*gone, *rows}
