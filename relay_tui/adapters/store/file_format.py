"""Format of the store file: one JSON object with TinyDB's tables, whose rows keep their JSON text in memory."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from json.scanner import make_scanner
from pathlib import Path
from typing import Any, Generic, TypeVar

from relay_tui.errors import StoreError

SCHEMA = 1
KINDS = ("projects", "sessions")
INDEX = "_default"
"""TinyDB's default table, which holds the index (record_index.py)."""

Tables = dict[str, dict[str, Any]]
_Result = TypeVar("_Result")
Decoders = Mapping[str, Callable[[str, object], _Result]]
"""By kind, the function that is called with the document id and the value of a row."""

_JOINED = 1_024  # pieces; 256 rows or 128 KB

_scan: Callable[[str, int], tuple[Any, int]] = make_scanner(json.JSONDecoder())  # type: ignore[arg-type]  # as json does
"""Returns the JSON value at a position of a text, and the position after it. Raises StopIteration, ValueError."""
_encode = json.JSONEncoder(separators=(",", ":")).encode


class DamagedError(Exception):
    """The file is not a store; the message gives the reason."""


class EncodedRow(Mapping[str, object]):
    """One JSON object as its text, to be written again without encoding.

    The text is the only copy of the row and is never changed, so it cannot differ from the row. Reading a field
    decodes the text; `value` decodes it once for several fields.
    """

    __slots__ = ("text",)

    def __init__(self, text: bytes) -> None:
        self.text = text

    def value(self) -> dict[str, object]:
        """Return the row as JSON values."""
        row: dict[str, object] = json.loads(self.text)
        return row

    def __getitem__(self, name: str) -> object:
        return self.value()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.value())

    def __len__(self) -> int:
        return len(self.value())


def empty_tables() -> Tables:
    """Return the tables of a store without records."""
    return {"_meta": {"store": {"schema": SCHEMA}}, **{kind: {} for kind in KINDS}}


@dataclass(frozen=True, slots=True)
class Parsed(Generic[_Result]):
    """Content of a store file."""

    tables: Tables
    """All tables but the index."""
    results: dict[str, dict[str, _Result]]
    """Decoded rows by kind and document id: all but those that are the same object as before."""
    index: EncodedRow | None


def parse(
    data: bytes, path: Path, kept: Tables, decoders: Decoders[_Result], kept_index: EncodedRow | None = None
) -> Parsed[_Result]:
    """Return the content of a store file.

    A row whose text is the same as in `kept` is the same object as there; a decoder is called with each other row.
    Raises DamagedError if the file is not a store, StoreError if a newer relay wrote it.
    """
    try:
        parsed = _parse_compact(data, kept, decoders, kept_index)
    except (ValueError, IndexError, StopIteration, RecursionError):
        parsed = _parse_any(data, kept, decoders)  # damaged, edited, or written by another program
    tables = parsed.tables
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
    return parsed


def _parse_compact(
    data: bytes, kept: Tables, decoders: Decoders[_Result], kept_index: EncodedRow | None
) -> Parsed[_Result]:
    """Parse a file as relay writes it. Raises ValueError, IndexError or StopIteration for any other content.

    JSON is decoded row by row here, so that the text of each row is known and unchanged rows are not decoded.
    """
    text = data.decode("ascii")
    tables: Tables = {}
    results: dict[str, dict[str, _Result]] = {}
    index: EncodedRow | None = None
    at, before = 0, "{"
    while text[at] == before:
        name, at = _scan(text, at + 1)
        if type(name) is not str or text[at] != ":":
            raise ValueError("not the name of a table")
        at, before = at + 1, ","
        if name in KINDS:
            tables[name], results[name], at = _parse_rows(data, text, at, kept.get(name, {}), decoders[name])
        elif name != INDEX:
            tables[name], at = _scan(text, at)
        elif kept_index is not None and data.startswith(kept_index.text, at):
            index, at = kept_index, at + len(kept_index.text)
        else:
            end = _scan(text, at)[1]
            index, at = EncodedRow(data[at:end]), end
    if text[at:] != "}":
        raise ValueError("not the end of the file")
    return Parsed(tables, results, index)


def _parse_rows(
    data: bytes, text: str, at: int, kept: Mapping[str, object], decode: Callable[[str, object], _Result]
) -> tuple[dict[str, object], dict[str, _Result], int]:
    """Return the rows of the table that starts at `at`, decoded rows, and the position after the table.

    `text` is `data` as text.
    """
    rows: dict[str, object] = {}
    results: dict[str, _Result] = {}
    if text.startswith("{}", at):
        return rows, results, at + 2
    before = "{"
    while text[at] == before:
        key, at = _scan(text, at + 1)
        if type(key) is not str or key in rows or text[at] != ":":
            raise ValueError("not the id of a row")
        at, before = at + 1, ","
        row = kept.get(key)
        # The kept text is a whole JSON object, and no JSON object is the beginning of another.
        if type(row) is EncodedRow and data.startswith(row.text, at):
            at += len(row.text)
        else:
            value, end = _scan(text, at)
            results[key] = decode(key, value)
            row, at = EncodedRow(data[at:end]) if type(value) is dict else value, end
        rows[key] = row
    if text[at] != "}":
        raise ValueError("not the end of a table")
    return rows, results, at + 1


def _parse_any(data: bytes, kept: Tables, decoders: Decoders[_Result]) -> Parsed[_Result]:
    """Parse a file that another program wrote or somebody edited. Raises DamagedError."""
    results: dict[str, dict[str, _Result]] = {}
    try:
        tables = json.loads(data)
        if not isinstance(tables, dict):
            raise DamagedError("it was not a JSON object")
        index = EncodedRow(encode_json(tables.pop(INDEX))) if INDEX in tables else None
        for kind in KINDS:
            if isinstance(values := tables.get(kind), dict):
                old = kept.get(kind, {})
                tables[kind] = rows = _encode_rows(values)
                rows.update({key: old[key] for key in rows.keys() & old.keys() if _is_same(rows[key], old[key])})
                new = [key for key, row in rows.items() if type(row) is not EncodedRow or row is not old.get(key)]
                results[kind] = {key: decoders[kind](key, values[key]) for key in new}
    except (ValueError, RecursionError) as error:
        raise DamagedError("it was empty" if not data else f"it was not whole JSON ({str(error)[:120]})") from error
    return Parsed(tables, results, index)


def _is_same(row: object, other: object) -> bool:
    return type(row) is EncodedRow and type(other) is EncodedRow and row.text == other.text


def encode_tables(tables: Tables) -> Tables:
    """Return the tables with the text of every row; only rows that have none are encoded."""
    return {name: _encode_rows(table) if name in KINDS else table for name, table in tables.items()}


def _encode_rows(rows: Mapping[str, object]) -> dict[str, object]:
    return {key: EncodedRow(encode_json(row)) if type(row) is dict else row for key, row in rows.items()}


def encode_json(value: object) -> bytes:
    """Return a JSON value as text without spaces and in ASCII alone."""
    return _encode(value).encode("ascii")


def dump(tables: Tables, index: EncodedRow) -> list[bytes]:
    """Return the content of the store file in pieces.

    Rows should have their text already: json takes 50 ms to encode 10,000 rows.
    """
    pieces: list[bytes] = []
    for name, table in tables.items():
        pieces += (b",", encode_json(name), b":")
        if name in KINDS:
            first = len(pieces)
            for key, row in table.items():
                pieces += (b",", encode_json(key), b":", row.text if type(row) is EncodedRow else encode_json(row))
            pieces[first : first + 1] = [b"{"]
            pieces.append(b"}")
        else:
            pieces.append(encode_json(table))
    pieces[0] = b"{"
    pieces += (b",", encode_json(INDEX), b":", index.text, b"}")
    return pieces


def joined(pieces: Sequence[bytes]) -> Iterator[bytes]:
    """Yield the pieces in parts that are worth a write of their own.

    One text of the whole file would be as fast, but its memory would stay with the process: 8 MB for 10,000 sessions.
    """
    return (b"".join(pieces[at : at + _JOINED]) for at in range(0, len(pieces), _JOINED))
