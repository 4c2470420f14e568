"""Index of the store file: the table in which a stock TinyDB finds every project and session by a `Query`.

A stock TinyDB converts document ids to whole numbers, so a `Query` on the tables `projects` and `sessions` raises
ValueError: there, the document ids are the ids of the records. Those keys cannot change, because older relays on the
same data directory read and write them. The index is therefore a third table, with whole numbers as document ids. It is
TinyDB's default table, and older relays preserve it as a table that they do not know. An entry has the fields that
identify a record; `db.table("sessions").get(doc_id=entry["id"])` returns the whole row.

The index is made from the records, and relay never looks anything up in it. If an older relay adds a record, the index
lacks that record until this relay writes the store.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from json.encoder import encode_basestring_ascii as quote

from relay_tui.adapters.store.file_format import EncodedRow
from relay_tui.model import Project, Record, Records

_BEGINNING = re.compile(rb'\{\s*(\}|"\d+":\s*\{\s*"kind":)')
_LONGEST_ID = 255  # bytes; no directory can have a longer name, and Python refuses to print numbers of 4,300 digits


def index_of(records: Records) -> EncodedRow:
    """Return the index of all records: for each its kind, id and name, for a session also its project."""
    return EncodedRow(b"{" + _entries((*records.projects.values(), *records.sessions.values())) + b"}")


def updated_index(index: EncodedRow | None, before: Records, after: Records) -> EncodedRow:
    """Return the index of `after`, given the index of `before` if there is one.

    The whole index of 10,000 records takes 15 ms. Most writes change no entry or add one.
    """
    new = _new_entries(before, after) if index is not None else None
    if index is None or new is None:
        return index_of(after)
    if not new:
        return index
    comma = b"," if len(index.text) > len(b"{}") else b""
    return EncodedRow(index.text[:-1] + comma + _entries(new) + b"}")


def is_index(table: EncodedRow | None) -> bool:
    """Return True if relay made this default table. Otherwise it holds documents of somebody else, or is missing."""
    return table is not None and _BEGINNING.match(table.text) is not None


def has_same_index(one: Records, other: Records) -> bool:
    """Return True if both have the same index."""
    return _new_entries(one, other) == []


def _new_entries(before: Records, after: Records) -> list[Record] | None:
    """Return the records that are only in `after`; None if a record of `before` has another entry or none there."""
    new: list[Record] = []
    for old, records in ((before.projects, after.projects), (before.sessions, after.sessions)):
        known = 0
        for key, record in records.items():
            was = old.get(key)
            if was is None:
                new.append(record)
            elif was is record or _fields(was) == _fields(record):
                known += 1
            else:
                return None
        if known < len(old):
            return None
    return new


def _entries(records: Iterable[Record]) -> bytes:
    """Return the entries as JSON text. A document id is the bytes of the record's id, read as one number."""
    keys = ((record.id.encode("utf-8", "surrogatepass"), record) for record in records)
    entries = (f'"{int.from_bytes(key)}":{{{_fields(record)}}}' for key, record in keys if len(key) <= _LONGEST_ID)
    return ",".join(entries).encode("ascii")


def _fields(record: Record) -> str:
    fields = f'"id":{quote(record.id)},"name":{quote(record.name)}'
    if isinstance(record, Project):
        return f'"kind":"project",{fields}'
    return f'"kind":"session",{fields},"project_id":{quote(record.project_id)}'
