"""Index of the store file: a stock TinyDB finds every record, and older relays can use the file."""

from __future__ import annotations

import errno
import json
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tinydb import Query, TinyDB

from relay_tui.adapters.store import SCHEMA, TinyStore, rows
from relay_tui.errors import FileSystemError
from relay_tui.model import Project, Record, Session

NAMES = ("plain", "[ERROR] [/x]", 'quote " and \\ backslash', "wide 漢字", "brace }}, {", "\ud800")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "store.json"


def project(number: int, name: str = "fox") -> Project:
    return Project(id=f"1m8qhb5qmsgv{number}", name=name, source="/srv/fox", created_at=f"{number:03}")


def session(number: int, name: str = "one", owner: int = 0) -> Session:
    return Session(
        id=f"1m8qhb6{number:06}",
        project_id=project(owner).id,
        name=name,
        branch="main",
        base_branch="main",
        image="debian",
        profile="default",
        work_dir="/data",
        created_at=f"{number:03}",
    )


def put(store: TinyStore, *records: Record) -> None:
    with store.transaction() as transaction:
        for record in records:
            transaction.put(record)


def indexed(path: Path) -> dict[str, str]:
    """Return the names in the index by kind and id, as a stock TinyDB finds them."""
    with TinyDB(path, access_mode="r") as db:
        return {f"{entry['kind']} {entry['id']}": entry["name"] for entry in db.all()}


def names(store: TinyStore) -> dict[str, str]:
    """Return the names of all records by kind and id."""
    records = store.read()
    projects = {f"project {record.id}": record.name for record in records.projects.values()}
    return projects | {f"session {record.id}": record.name for record in records.sessions.values()}


def by_hand(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change the file as an older relay does: tables and rows that it does not know stay as they are."""
    document = json.loads(path.read_bytes())
    change(document)
    path.write_text(json.dumps(document, separators=(",", ":")))


def test_stock_tinydb_finds_every_project_and_session_by_query(path: Path) -> None:
    store = TinyStore(path)
    put(store, project(0), project(1, "wolf"))
    put(store, *(session(number, name, owner=number % 2) for number, name in enumerate(NAMES)))
    records = store.read()
    with TinyDB(path, access_mode="r") as db:
        assert len(db) == len(records.projects) + len(records.sessions)
        for kind, found in (("project", records.projects), ("session", records.sessions)):
            assert {entry["id"] for entry in db.search(Query().kind == kind)} == set(found)
            for record in found.values():
                [entry] = db.search((Query().kind == kind) & (Query().id == record.id))
                assert entry["name"] == record.name
                row = db.table(f"{kind}s").get(doc_id=entry["id"])
                assert row == rows.encode(record)
        [wolf] = db.search(Query().name == "wolf")
        assert len(db.search(Query().project_id == wolf["id"])) == len(NAMES) // 2
        assert len({entry.doc_id for entry in db.all()}) == len(db)


def test_index_follows_every_change(path: Path) -> None:
    store, other = TinyStore(path), TinyStore(path)
    put(store, project(0), session(1), session(2))
    changes: list[Callable[[], None]] = [
        lambda: put(store, session(3)),
        lambda: put(store, replace(session(1), name="renamed")),
        lambda: put(other, session(4), project(1)),
        lambda: put(store, replace(session(2), exit_code=1)),
        lambda: put(other, replace(session(4), name="renamed", project_id=project(1).id)),
        lambda: put(store, replace(session(2), exit_code=2)),
    ]
    for change in changes:
        change()
        assert indexed(path) == names(TinyStore(path))
    with other.transaction() as transaction:
        transaction.drop(session(1).id)
    assert indexed(path) == names(TinyStore(path))
    with store.transaction() as transaction:
        transaction.drop(session(2).id)
        transaction.put(session(5))
    assert indexed(path) == names(TinyStore(path)) == names(store)
    with TinyDB(path, access_mode="r") as db:
        assert [entry["id"] for entry in db.search(Query().project_id == project(1).id)] == [session(4).id]


def test_most_changes_do_not_make_the_whole_index(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes longer than all the rest of a write."""
    store, other = TinyStore(path), TinyStore(path)
    put(store, project(0), session(1), session(2))
    put(other, replace(session(1), exit_code=1))
    made: list[object] = []
    monkeypatch.setattr("relay_tui.adapters.store.record_index.index_of", made.append)
    for number, writer in enumerate((store, other, store, store, other)):
        put(writer, replace(session(2), exit_code=number))
    put(other, session(3))
    put(other, replace(session(3), exit_code=1))
    assert made == []
    assert indexed(path) == names(TinyStore(path))


def test_document_ids_stay_while_other_records_come_and_go(path: Path) -> None:
    def document_id() -> int:
        with TinyDB(path, access_mode="r") as db:
            [entry] = db.search(Query().id == session(5).id)
            return int(entry.doc_id)

    store = TinyStore(path)
    put(store, session(5), session(7))
    before = document_id()
    put(store, session(1), session(9))
    with store.transaction() as transaction:
        transaction.drop(session(1).id)
        transaction.drop(session(7).id)
    assert document_id() == before


def test_row_that_is_no_record_and_id_too_long_for_a_directory_are_not_indexed(path: Path) -> None:
    store = TinyStore(path)
    put(store, session(1), replace(session(2), id="x" * 5_000))
    by_hand(path, lambda document: document["sessions"].update(bad={"id": "other"}))
    put(store, session(3))
    assert {entry.split()[1] for entry in indexed(path)} == {session(1).id, session(3).id}
    assert len(TinyStore(path).read().sessions) == 3


def test_index_of_a_store_whose_records_are_all_removed_is_empty(path: Path) -> None:
    store = TinyStore(path)
    put(store, session(1))
    with store.transaction() as transaction:
        transaction.drop(session(1).id)
    assert indexed(path) == {}
    put(store, session(2))
    assert list(indexed(path)) == [f"session {session(2).id}"]


# --- older relays ----------------------------------------------------------------------------------------------------


def older_file(path: Path, *records: Record) -> bytes:
    """Write the file as the relays did that made no index, and return its content."""
    tables: dict[str, Any] = {"_meta": {"store": {"schema": SCHEMA}}, "projects": {}, "sessions": {}}
    for record in records:
        tables["projects" if isinstance(record, Project) else "sessions"][record.id] = rows.encode(record)
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(tables, separators=(",", ":")))
    return path.read_bytes()


def test_file_of_an_older_relay_is_migrated_by_the_first_change_with_a_backup(path: Path) -> None:
    older = older_file(path, project(0), session(1))
    backup = path.with_name("store.json.before-index")
    store = TinyStore(path)
    assert list(store.read().sessions) == [session(1).id]
    with store.transaction():
        pass
    assert (path.read_bytes(), backup.exists()) == (older, False)
    put(store, session(2))
    assert backup.read_bytes() == older
    put(store, session(3))
    put(TinyStore(path), session(4))
    assert backup.read_bytes() == older
    assert indexed(path) == names(TinyStore(path))


def test_new_store_has_no_backup_from_before_the_index(path: Path) -> None:
    put(TinyStore(path), session(1))
    put(TinyStore(path), session(2))
    assert not path.with_name("store.json.before-index").exists()


def test_older_relays_find_all_rows_under_the_ids_of_their_records(path: Path) -> None:
    """They take a row whose id is not its key for a bad row, and refuse a file with another schema."""
    put(TinyStore(path), project(0), session(1), session(2))
    document = json.loads(path.read_bytes())
    assert document["_meta"] == {"store": {"schema": 1}}
    assert list(document) == ["_meta", "projects", "sessions", "_default"]
    assert {key: row["id"] for key, row in document["sessions"].items()} == {
        session(number).id: session(number).id for number in (1, 2)
    }
    assert document["projects"] == {project(0).id: rows.encode(project(0))}


def add(document: dict[str, Any], record: Session) -> None:
    document["sessions"][record.id] = rows.encode(record)


def test_index_is_right_again_after_older_and_newer_relays_wrote_in_turn(path: Path) -> None:
    store = TinyStore(path)
    put(store, project(0), session(1), session(2))
    for number in (3, 4):
        by_hand(path, partial(add, record=session(number)))
        assert session(number).id in store.read().sessions
        put(store, replace(session(1), exit_code=number))
        assert indexed(path) == names(TinyStore(path))
    by_hand(path, lambda document: document["sessions"].pop(session(2).id))
    put(store, replace(session(1), exit_code=5))
    assert indexed(path) == names(TinyStore(path))
    by_hand(path, lambda document: document["sessions"][session(1).id].update(name="renamed"))
    put(store, replace(session(3), exit_code=5))
    assert indexed(path) == names(TinyStore(path))


def test_damaged_file_comes_back_with_an_index(path: Path) -> None:
    store = TinyStore(path)
    put(store, project(0))
    put(store, session(1))
    path.write_bytes(b"{")
    assert names(TinyStore(path)) == indexed(path) == {f"project {project(0).id}": "fox"}


def test_documents_that_somebody_put_into_the_default_table_are_in_the_backup(path: Path) -> None:
    older_file(path, session(1))
    with TinyDB(path) as db:
        db.insert({"note": "mine"})
    put(TinyStore(path), session(2))
    with TinyDB(path.with_name("store.json.before-index"), access_mode="r") as db:
        assert db.search(Query().note == "mine")
    assert indexed(path) == names(TinyStore(path))


def test_full_disk_does_not_stop_a_change_for_want_of_the_backup(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(number: int) -> Callable[[Path, Path], None]:
        def keep_copy(_: Path, keep: Path) -> None:
            raise OSError(number, "refused", str(keep))

        return keep_copy

    older = older_file(path, session(1))
    monkeypatch.setattr("relay_tui.adapters.store.tiny.keep_copy", refuse(errno.EACCES))
    with pytest.raises(FileSystemError, match="cannot be written"):
        put(TinyStore(path), session(2))
    assert path.read_bytes() == older
    monkeypatch.setattr("relay_tui.adapters.store.tiny.keep_copy", refuse(errno.ENOSPC))
    put(TinyStore(path), session(2))
    assert indexed(path) == names(TinyStore(path))
