"""Format of the store file: kept rows are never stale, and reading row by row agrees with json."""

from __future__ import annotations

import errno
import json
import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from relay_tui.adapters.store import TinyStore, file_format, rows, tables
from relay_tui.adapters.store.file_format import EncodedRow, Parsed
from relay_tui.errors import Fault, FileSystemError
from relay_tui.model import Project, Record, Session

Document = dict[str, Any]
PROJECT = Project(id="p1", name="fox", source="/srv/fox", created_at="2026-01-02T00:00:00.000Z")
TEXTS = {"branch": "main", "base_branch": "main", "image": "debian", "profile": "default", "work_dir": "/data"}


def session(number: int, **fields: Any) -> Session:  # noqa: ANN401
    return Session(
        **{"id": f"s{number}", "project_id": "p1", "name": "one", "created_at": f"{number:03}", **TEXTS, **fields}
    )


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "store.json"


def put(store: TinyStore, *records: Record) -> None:
    with store.transaction() as transaction:
        for record in records:
            transaction.put(record)


def drop(store: TinyStore, *ids: str) -> None:
    with store.transaction() as transaction:
        for key in ids:
            transaction.drop(key)


def document_of(path: Path) -> Document:
    document: Document = json.loads(path.read_bytes())
    return document


def edit(path: Path, change: Callable[[Document], object], **style: Any) -> None:  # noqa: ANN401
    """Change the file as another program does; without `style`, in relay's own style."""
    document = document_of(path)
    change(document)
    path.write_text(json.dumps(document, **(style or {"separators": (",", ":")})))


STYLES: list[dict[str, Any]] = [{}, {"indent": 2}, {"separators": (", ", ":")}, {"ensure_ascii": False}]


# --- little work -----------------------------------------------------------------------------------------------------


@pytest.fixture
def encoded(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Return the ids of rows that are encoded from now on."""
    found: list[object] = []
    encode = file_format._encode

    def noted(value: object) -> str:
        if isinstance(value, dict) and "id" in value:
            found.append(value["id"])
        return encode(value)

    monkeypatch.setattr(file_format, "_encode", noted)
    return found


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Return the ids of sessions that are decoded from now on."""
    found: list[object] = []
    decode = tables._decode_session

    def noted(key: str, row: object) -> Session | str:
        found.append(key)
        return decode(key, row)

    monkeypatch.setitem(tables._DECODERS, "sessions", noted)
    return found


def test_a_write_encodes_only_rows_that_changed(path: Path, encoded: list[object]) -> None:
    put(TinyStore(path), PROJECT, *map(session, range(50)))
    assert len(encoded) == 51
    encoded.clear()
    store, other = TinyStore(path), TinyStore(path)
    put(store, session(7, exit_code=1))
    put(store, session(8, exit_code=1), session(60))
    put(other, session(9, exit_code=1))
    put(store, session(10, exit_code=1))
    drop(store, "s11", "s12")
    assert encoded == ["s7", "s8", "s60", "s9", "s10"]


def test_a_read_decodes_only_rows_that_changed(path: Path, decoded: list[object]) -> None:
    store, other = TinyStore(path), TinyStore(path)
    put(store, PROJECT, *map(session, range(50)))
    assert decoded == []
    assert len(other.read().sessions) == 50
    assert len(decoded) == 50
    decoded.clear()
    put(store, session(7, exit_code=1), session(60))
    drop(store, "s9")
    assert len(other.read().sessions) == 50
    assert decoded == ["s7", "s60"]
    decoded.clear()
    for style in STYLES:
        edit(path, lambda document: document["sessions"]["s8"].update(exit_code=1), **style)
        assert other.read().sessions["s8"].exit_code == 1
    assert decoded == ["s8"]


# --- never stale -----------------------------------------------------------------------------------------------------


def test_a_row_that_another_relay_wrote_meanwhile_is_not_written_back(path: Path) -> None:
    store, other = TinyStore(path), TinyStore(path)
    put(store, session(1), session(2))
    put(other, session(1, name="theirs"))
    put(store, session(2, exit_code=1))
    assert document_of(path)["sessions"]["s1"]["name"] == "theirs"
    drop(other, "s1")
    put(store, session(2, exit_code=2))
    assert list(document_of(path)["sessions"]) == ["s2"]
    put(store, session(1))
    put(other, session(2, exit_code=3))
    assert document_of(path)["sessions"] == {key: rows.encode(value) for key, value in other.read().sessions.items()}


@pytest.mark.parametrize("style", STYLES, ids=["relay's", "indented", "spaced", "utf-8"])
def test_a_row_edited_by_hand_stays_as_edited(path: Path, style: dict[str, Any]) -> None:
    store = TinyStore(path)
    put(store, PROJECT, session(1), session(2))
    edit(path, lambda document: document["sessions"]["s1"].update(name="wölf 漢", colour=[{"deep": None}]), **style)
    put(store, session(2, exit_code=1))
    assert document_of(path)["sessions"]["s1"] == rows.encode(session(1, name="wölf 漢")) | {"colour": [{"deep": None}]}
    put(store, session(1, name="wölf 漢", exit_code=1))
    assert document_of(path)["sessions"]["s1"]["colour"] == [{"deep": None}]
    edit(path, lambda document: document["sessions"]["s1"].pop("colour"), **style)
    put(store, session(2, exit_code=2))
    assert document_of(path)["sessions"]["s1"] == rows.encode(session(1, name="wölf 漢", exit_code=1))


@pytest.mark.parametrize("style", STYLES, ids=["relay's", "indented", "spaced", "utf-8"])
def test_a_value_that_python_calls_equal_is_another_row(path: Path, style: dict[str, Any]) -> None:
    store = TinyStore(path)
    put(store, session(1, exit_code=1))
    edit(path, lambda document: document["sessions"]["s1"].update(exit_code=True), **style)
    assert not store.read().sessions
    assert "its exit_code is True" in store.warning()
    put(store, session(2))
    assert document_of(path)["sessions"]["s1"]["exit_code"] is True


def test_a_transaction_that_fails_leaves_no_row_behind(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = TinyStore(path)
    put(store, session(1), session(2))
    with pytest.raises(KeyError), store.transaction() as transaction:
        transaction.put(session(1, name="rolled back"))
        transaction.drop("s2")
        raise KeyError
    with monkeypatch.context() as patch, pytest.raises(FileSystemError):
        patch.setattr(tables, "replace", _refuse)
        put(store, session(1, name="not written"), session(3))
    assert store.read().sessions == {"s1": session(1), "s2": session(2)}
    put(store, session(4))
    assert document_of(path)["sessions"] == {f"s{number}": rows.encode(session(number)) for number in (1, 2, 4)}


def _refuse(*_: object, **__: object) -> None:
    raise OSError(errno.EIO, "Input/output error")


def test_a_removed_row_that_comes_back_has_none_of_its_old_unknown_fields(path: Path) -> None:
    store = TinyStore(path)
    put(store, session(1), session(2))
    edit(path, lambda document: document["sessions"]["s1"].update(colour="red"))
    drop(store, "s1")
    assert list(document_of(path)["sessions"]) == ["s2"]
    put(store, session(1))
    assert document_of(path)["sessions"]["s1"] == rows.encode(session(1))


def test_a_bad_row_is_decoded_again_when_another_record_with_its_id_is_put(path: Path) -> None:
    """One id in both tables: a change of the one must not make the other look sound."""
    store, other = TinyStore(path), TinyStore(path)
    put(store, session(1))
    edit(path, lambda document: document["projects"].update(s1={"id": "s1"}))
    assert not store.read().projects
    assert "s1: it has no name" in store.warning()
    put(store, session(1, exit_code=1))
    put(other, session(2))
    assert not store.read().projects
    assert "s1: it has no name" in store.warning()


class _Model:
    """Several relays and other programs that change one file at random, and what the file has to hold."""

    def __init__(self, path: Path, seed: int, patch: pytest.MonkeyPatch) -> None:
        self._path = path
        self._patch = patch
        self._chance = random.Random(seed)
        self._stores = [TinyStore(path) for _ in range(3)]
        self.rows: dict[str, Document] = {}
        put(self._stores[0], PROJECT)

    def step(self) -> None:
        store = self._chance.choice(self._stores)
        act = self._chance.choice((self._put, self._put, self._put, self._drop, self._fail, self._edit, self._renew))
        act(store)
        found = document_of(self._path)
        assert found["sessions"] == self.rows
        assert {entry["id"] for entry in found["_default"].values()} >= {"p1"}
        fresh = TinyStore(self._path)
        for reader in (store, self._chance.choice(self._stores)):
            records = reader.read()
            assert list(records.sessions.items()) == list(fresh.read().sessions.items())
            assert set(records.sessions) == set(self.rows)

    def _some(self) -> list[Session]:
        return [
            session(
                self._chance.randrange(12),
                name=self._chance.choice(("one", "two", "[x] ünï", '"},{"')),
                created_at=self._chance.choice(("001", "002", "003")),
                exit_code=self._chance.choice((None, 0, 1)),
                error_reason=self._chance.choice((None, None, Fault("git", "It failed"))),
            )
            for _ in range(self._chance.choice((1, 1, 2, 5)))
        ]

    def _put(self, store: TinyStore) -> None:
        records = self._some()
        put(store, *records)
        for record in records:
            self.rows[record.id] = self.rows.get(record.id, {}) | rows.encode(record)

    def _drop(self, store: TinyStore) -> None:
        ids = [record.id for record in self._some()]
        drop(store, *ids)
        for key in ids:
            self.rows.pop(key, None)

    def _fail(self, store: TinyStore) -> None:
        if self._chance.random() < 0.5:
            with pytest.raises(KeyError), store.transaction() as transaction:
                for record in self._some():
                    transaction.put(replace(record, profile="never written"))
                raise KeyError
        else:
            with self._patch.context() as patch, pytest.raises(FileSystemError):
                patch.setattr(tables, "replace", _refuse)
                put(store, *(replace(record, profile="never written") for record in self._some()))

    def _edit(self, _: TinyStore) -> None:
        for record in self._some():
            self.rows[record.id] = rows.encode(record) | {"unknown": self._chance.choice((1, [None, {"a": "}"}], "ü"))}
        edit(self._path, lambda document: document.update(sessions=self.rows), **self._chance.choice(STYLES))

    def _renew(self, store: TinyStore) -> None:
        self._stores[self._stores.index(store)] = TinyStore(self._path)


@pytest.mark.parametrize("seed", range(6))
def test_any_sequence_of_changes_gives_the_file_and_the_records_that_it_should(
    path: Path, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.fsync", lambda _: None)  # it is not about what a power failure leaves
    model = _Model(path, seed, monkeypatch)
    for _ in range(120):
        model.step()


# --- the same as json ------------------------------------------------------------------------------------------------


def _decoders() -> dict[str, Callable[[str, object], str]]:
    return {kind: lambda key, value: f"{key}: {value!r}" for kind in file_format.KINDS}


def _content(parsed: Parsed[str], kept: file_format.Tables) -> list[object]:
    """Return everything in a parsed file, in its order, and what the decoders made of each row."""
    found: list[object] = []
    for name, table in parsed.tables.items():
        members = table.items() if isinstance(table, dict) else [(name, table)]
        found.append((name, [(key, repr(_value(member))) for key, member in members]))
    for kind, results in parsed.results.items():
        for key, row in parsed.tables[kind].items():
            assert key in results or row is kept[kind][key]
            found.append(results.get(key, _decoders()[kind](key, _value(row))))
    index = [] if parsed.index is None else [json.loads(parsed.index.text)]
    return [found, index]


def _value(member: object) -> object:
    return member.value() if isinstance(member, EncodedRow) else member


PIECES = (b"{", b"}", b",", b'"', b":", b"[", b"]", b" ", b"\\", b"\0", b"\xc3\xbc", b"1", b"{}", b"")


def _mutations(data: bytes, chance: random.Random) -> Iterator[bytes]:
    for _ in range(700):
        one, other = sorted(chance.choices(range(len(data) + 1), k=2))
        piece = chance.choice(
            (b"{", b"}", b",", b'"', b":", b"[", b"]", b" ", b"\\", b"\0", b"\xc3\xbc", b"1", b"{}", b"")
        )
        near = min(one + chance.choice((1, 2, 8)), len(data))
        yield data[:one] + piece + data[one:]
        yield data[:one] + piece + data[near:]
        yield data[:one] + data[other:]
        yield data[:one] + data[one:other] * 2 + data[other:]


def test_reading_row_by_row_agrees_with_json_for_any_file(path: Path) -> None:
    """Whatever is accepted row by row gives the same tables as json does, with kept rows and without."""
    store = TinyStore(path)
    put(store, PROJECT, session(1, name='a}},"b":{'), session(2, notes=("x", "{}")), session(3))
    edit(path, lambda document: [document.update(other={"a": [1]}), document["sessions"].update(bad=5)])
    data = path.read_bytes()
    kept = file_format.parse(data, path, {}, _decoders())
    put(store, session(2, name="other"), session(4))
    accepted = 0
    for base in (data, path.read_bytes()):
        for mutated in (base, *_mutations(base, random.Random(1))):
            for before in ({}, kept.tables):
                try:
                    found = file_format._parse_compact(mutated, before, _decoders(), kept.index if before else None)
                except (ValueError, IndexError, StopIteration, RecursionError):
                    continue
                expected = file_format._parse_any(mutated, before, _decoders())
                assert _content(found, before) == _content(expected, before), mutated
                accepted += 1
    assert accepted > 100


def test_what_relay_writes_is_read_row_by_row_and_is_the_json_of_its_tables(path: Path) -> None:
    store = TinyStore(path)
    put(store, PROJECT, session(1, name="ü \ud800 \0"), session(2, notes=("x",)))
    data = path.read_bytes()
    file_format._parse_compact(data, {}, _decoders(), None)
    assert data == json.dumps(json.loads(data), separators=(",", ":")).encode()


def test_a_row_can_be_read_like_a_document() -> None:
    row = EncodedRow(b'{"id":"s1","notes":["x"]}')
    assert dict(row) == row.value() == {"id": "s1", "notes": ["x"]}
    assert (row["id"], row.get("colour"), len(row), "notes" in row) == ("s1", None, 2, True)
