"""The store: no change is lost, no reader sees an incomplete write, damage is reported and repaired."""

from __future__ import annotations

import errno
import json
import os
import resource
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

import relay_tui
from relay_tui.adapters.store import SCHEMA, TinyDBStore, codec
from relay_tui.domain.errors import Fault, FileSystemError, StoreError
from relay_tui.domain.models import CloneState, DesiredState, Project, Record, Session, SessionState
from relay_tui.ports import Store

SOURCE = Path(relay_tui.__file__).parent.parent
NOBODY = 65534
Document = dict[str, Any]
PROJECT = Project(
    id="p1",
    name="fox",
    source="/srv/fox",
    default_branch="main",
    clone_state=CloneState.ERROR,
    clone_error=Fault("git", "It failed", "fatal: \ud800 ünïcode", "Try again."),
    created_at="2026-01-02T00:00:00.000Z",
)
SESSION = Session(
    id="s1",
    project_id="p1",
    name="one",
    branch="main",
    base_branch="main",
    image="debian",
    profile="default",
    work_dir="/data/one",
    desired=DesiredState.STOPPED,
    state=SessionState.ERROR,
    error_reason=Fault("engine", "It ended"),
    exit_code=137,
    notes=("no LFS", "no submodule"),
    created_at="2026-01-02T00:00:00.000Z",
    deleted_at="2026-01-03T00:00:00.000Z",
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "store.json"


def put(store: TinyDBStore, *records: Record) -> None:
    with store.transaction() as transaction:
        for record in records:
            transaction.put(record)


def edit(path: Path, change: Callable[[Document], object]) -> None:
    """Change the JSON document as another program does."""
    document = json.loads(path.read_bytes())
    change(document)
    path.write_text(json.dumps(document))


def run(script: str, *arguments: object) -> subprocess.Popen[str]:
    """Start a process that runs `script`."""
    return subprocess.Popen(
        [sys.executable, "-c", script, *map(str, arguments)], cwd=SOURCE, stdout=subprocess.PIPE, text=True
    )


def entries(path: Path) -> set[str]:
    return {entry.name for entry in path.parent.iterdir()}


def corpses(path: Path) -> list[Path]:
    return sorted(path.parent.glob("store.json.corrupt-*"))


# --- records ---------------------------------------------------------------------------------------------------------


def test_rows_that_stayed_the_same_give_the_same_records(path: Path) -> None:
    """Another relay changed one of many, so the screen has to compare one."""
    mine, other = TinyDBStore(path), TinyDBStore(path)
    put(other, PROJECT, SESSION, replace(SESSION, id="s2"))
    before = mine.read()
    put(other, replace(SESSION, id="s2", state=SessionState.RUNNING), replace(SESSION, id="s3"))
    after = mine.read()
    assert after.projects["p1"] is before.projects["p1"]
    assert after.sessions["s1"] is before.sessions["s1"]
    assert after.sessions["s2"].state is SessionState.RUNNING
    assert list(after.sessions) == ["s1", "s2", "s3"]
    edit(path, lambda document: document["sessions"]["s1"].update(id="other"))
    assert "s1" not in mine.read().sessions


def test_a_missing_store_reads_as_empty_and_makes_nothing(path: Path) -> None:
    store: Store = TinyDBStore(path)
    assert not store.read().projects
    assert not store.read().sessions
    assert store.version() is None
    assert store.warning() == ""
    assert not path.parent.exists()


def test_records_come_back_as_they_were(path: Path) -> None:
    put(TinyDBStore(path), PROJECT, SESSION)
    records = TinyDBStore(path).read()
    assert records.projects == {"p1": PROJECT}
    assert records.sessions == {"s1": SESSION}
    assert type(records.sessions["s1"].state) is SessionState
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_session_without_trouble_is_taken_in_one_go_and_whole() -> None:
    """Nearly all of thousands are like this. A field that is missing here would be lost with the next write."""
    plain = replace(SESSION, error_reason=None, notes=(), isolated=False, runtime="process", container_id="c")
    session = replace(plain, desired=DesiredState.STOPPED, exit_code=3, created_at="1", updated_at="2", deleted_at="3")
    defaults = {field.name: field.default for field in fields(Session)}
    same = {name for name, default in defaults.items() if getattr(session, name) == default}
    assert same == {"error_reason", "notes"}
    assert codec._whole_session(codec.encode(session)) == session == codec.decode_session(codec.encode(session))
    assert codec._whole_session(codec.encode(SESSION)) is None


def test_records_are_oldest_first_and_read_only(path: Path) -> None:
    old, young, twin = (replace(SESSION, id=key, created_at=at) for key, at in (("z", "1"), ("b", "2"), ("a", "2")))
    store = TinyDBStore(path)
    put(store, twin, young, old)
    assert list(store.read().sessions) == list(TinyDBStore(path).read().sessions) == ["z", "a", "b"]
    with pytest.raises(TypeError):
        store.read().sessions["q"] = old  # type: ignore[index]


def test_a_transaction_sees_its_own_changes_and_others_only_afterwards(path: Path) -> None:
    store = TinyDBStore(path)
    put(store, PROJECT, SESSION)
    with store.transaction() as transaction:
        transaction.drop("s1")
        transaction.drop("unknown")
        transaction.put(replace(PROJECT, name="wolf"))
        assert not transaction.records.sessions
        assert transaction.records.projects["p1"].name == "wolf"
        transaction.put(replace(SESSION, id="s0"))
        assert list(transaction.records.sessions) == ["s0"]
        assert store.read().projects["p1"].name == "fox"
        assert list(TinyDBStore(path).read().sessions) == ["s1"]
    for reader in (store, TinyDBStore(path)):
        assert list(reader.read().sessions) == ["s0"]
        assert reader.read().projects["p1"].name == "wolf"
    with pytest.raises(RuntimeError, match="over"):
        transaction.put(PROJECT)


def test_dropping_and_putting_back_keeps_the_record(path: Path) -> None:
    store = TinyDBStore(path)
    put(store, SESSION)
    with store.transaction() as transaction:
        transaction.drop("s1")
        transaction.put(SESSION)
    assert TinyDBStore(path).read().sessions == {"s1": SESSION}


def test_an_exception_in_the_block_writes_nothing(path: Path) -> None:
    store = TinyDBStore(path)
    put(store, PROJECT)
    before = path.read_bytes(), store.version()
    with pytest.raises(KeyError), store.transaction() as transaction:
        transaction.put(SESSION)
        raise KeyError("half-way")
    assert (path.read_bytes(), store.version()) == before
    assert not store.read().sessions
    put(store, SESSION)
    assert TinyDBStore(path).read().sessions


def test_without_a_change_nothing_is_written(path: Path) -> None:
    store = TinyDBStore(path)
    with store.transaction():
        pass
    assert store.version() is None
    put(store, PROJECT)
    before = store.version()
    put(store, PROJECT)
    with store.transaction() as transaction:
        transaction.drop("nobody")
    assert store.version() == before


def test_transactions_do_not_nest(path: Path) -> None:
    store = TinyDBStore(path)
    with pytest.raises(RuntimeError, match="nest"), store.transaction(), store.transaction():
        pass
    put(store, PROJECT)
    assert store.read().projects


def test_every_write_changes_the_stamp_even_within_one_tick_of_the_clock(path: Path) -> None:
    store = TinyDBStore(path)
    stamps, times = [], []
    for number in range(60):
        put(store, replace(PROJECT, name=f"{number % 10}"))
        stamps.append(store.version())
        times.append(path.stat().st_mtime_ns)
    assert len(set(stamps)) == 60
    assert times == sorted(set(times))


def test_reading_parses_only_what_changed(path: Path) -> None:
    reader, writer = TinyDBStore(path), TinyDBStore(path)
    put(writer, PROJECT)
    first = reader.read()
    assert reader.read() is first
    put(writer, SESSION)
    assert reader.read().sessions == {"s1": SESSION}


# --- what other versions and hands left in the file ------------------------------------------------------------------


def test_unknown_fields_rows_and_tables_survive_a_write(path: Path) -> None:
    put(TinyDBStore(path), PROJECT, SESSION)

    def change(document: Document) -> None:
        document["sessions"]["s1"]["colour"] = "red"
        document["projects"]["p1"]["stars"] = [1, {"deep": None}]
        document["terminals"] = {"t1": {"id": "t1"}}

    edit(path, change)
    store = TinyDBStore(path)
    assert store.read().sessions == {"s1": SESSION}
    assert store.warning() == ""
    put(store, replace(SESSION, name="two"))
    document = json.loads(path.read_bytes())
    assert document["_meta"] == {"store": {"schema": SCHEMA}}
    assert document["sessions"]["s1"]["name"] == "two"
    assert document["sessions"]["s1"]["colour"] == "red"
    assert document["projects"]["p1"]["stars"] == [1, {"deep": None}]
    assert document["terminals"] == {"t1": {"id": "t1"}}


def test_missing_fields_get_their_default(path: Path) -> None:
    put(TinyDBStore(path), PROJECT, SESSION)
    edit(path, lambda document: [document["sessions"]["s1"].pop(name) for name in ("notes", "exit_code", "state")])
    session = TinyDBStore(path).read().sessions["s1"]
    assert session == replace(SESSION, notes=(), exit_code=None, state=SessionState.STARTING)


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("state", "hibernating", "its state is 'hibernating', not one of starting, running"),
        ("name", 7, "its name is 7, not text"),
        ("exit_code", True, "its exit_code is True, not a whole number"),
        ("notes", ["a", 1], "not a list of texts"),
        ("error_reason", "oops", "not an error"),
        ("error_reason", {"kind": "git"}, "it has no title"),
        ("deleted_at", 0, "its deleted_at is 0, not text"),
        ("id", "other", "its id is 'other'"),
    ],
)
@pytest.mark.parametrize("session", [SESSION, replace(SESSION, error_reason=None, notes=())], ids=["full", "plain"])
def test_a_bad_row_is_left_out_named_and_kept(
    path: Path, session: Session, field: str, value: object, words: str
) -> None:
    put(TinyDBStore(path), PROJECT, session, replace(SESSION, id="s2"))
    edit(path, lambda document: document["sessions"]["s1"].update({field: value}))
    bad = json.loads(path.read_bytes())["sessions"]["s1"]
    store = TinyDBStore(path)
    assert list(store.read().sessions) == ["s2"]
    assert "One row" in store.warning()
    assert "(s1: " in store.warning()
    assert words in store.warning()
    put(store, replace(PROJECT, name="wolf"), replace(SESSION, id="s3"))
    assert json.loads(path.read_bytes())["sessions"]["s1"] == bad
    assert "s1" in store.warning()
    assert not corpses(path)


def test_rows_that_are_no_objects_are_bad_rows_too(path: Path) -> None:
    put(TinyDBStore(path), PROJECT, SESSION)
    edit(path, lambda document: document["sessions"].update({f"x{number}": number for number in range(5)}))
    store = TinyDBStore(path)
    assert list(store.read().sessions) == ["s1"]
    assert "5 rows" in store.warning()
    with store.transaction() as transaction:
        transaction.put(replace(SESSION, id="x1"))
        for number in (0, 2, 3, 4):
            transaction.drop(f"x{number}")
    assert store.warning() == ""
    assert set(TinyDBStore(path).read().sessions) == {"s1", "x1"}


# --- damage ----------------------------------------------------------------------------------------------------------

DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda _: b"",
    "truncated": lambda data: data[: len(data) // 2],
    "zeros": lambda data: bytes(len(data)),
    "not utf-8": lambda data: data[:-2] + b"\xff\xfe",
    "a list": lambda _: b"[1, 2]",
    "nested too deep": lambda _: b"[" * 200_000,
    "no schema": lambda _: b"{}",
    "no table": lambda _: b'{"_meta": {"store": {"schema": 1}}, "sessions": []}',
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("writing", [False, True])
def test_a_damaged_file_is_set_aside_and_the_backup_used(path: Path, damage: str, writing: bool) -> None:
    put(TinyDBStore(path), PROJECT)
    put(TinyDBStore(path), SESSION)
    path.write_bytes(DAMAGES[damage](path.read_bytes()))
    damaged = path.read_bytes()
    store = TinyDBStore(path)
    if writing:
        put(store, replace(SESSION, id="s9"))
    assert store.read().projects == {"p1": PROJECT}
    assert list(store.read().sessions) == (["s9"] if writing else [])
    (corpse,) = corpses(path)
    assert corpse.read_bytes() == damaged
    assert str(corpse) in store.warning()
    assert "from before its last change" in store.warning()
    assert TinyDBStore(path).read() == store.read()
    assert corpses(path) == [corpse]


def test_without_a_usable_backup_relay_begins_empty_and_says_so(path: Path) -> None:
    put(TinyDBStore(path), PROJECT)
    for number, junk in enumerate((b"{", b"}"), start=1):
        path.write_bytes(junk)
        path.with_name("store.json.bak").write_bytes(junk)
        store = TinyDBStore(path)
        assert not store.read().projects
        assert "began with an empty store" in store.warning()
        assert len(corpses(path)) == number
    assert {corpse.read_bytes() for corpse in corpses(path)} == {b"{", b"}"}
    fresh = TinyDBStore(path)
    assert not fresh.read().projects
    assert fresh.warning() == ""


def test_a_store_that_vanished_comes_back_from_its_backup(path: Path) -> None:
    put(TinyDBStore(path), PROJECT)
    put(TinyDBStore(path), SESSION)
    path.unlink()
    store = TinyDBStore(path)
    assert store.read().projects == {"p1": PROJECT}
    assert "missing" in store.warning()
    assert path.exists()


def test_a_file_damaged_between_two_reads_is_noticed(path: Path) -> None:
    store = TinyDBStore(path)
    put(store, PROJECT)
    put(store, SESSION)
    path.write_bytes(b"")
    assert list(store.read().projects) == ["p1"]
    assert store.warning()


def test_many_readers_of_a_damaged_file_set_it_aside_once(path: Path) -> None:
    put(TinyDBStore(path), PROJECT)
    put(TinyDBStore(path), SESSION)
    path.write_bytes(b"{")
    seen: list[set[str]] = []
    stores = [TinyDBStore(path) for _ in range(8)]
    threads = [threading.Thread(target=lambda store=store: seen.append(set(store.read().projects))) for store in stores]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [{"p1"}] * 8
    assert len(corpses(path)) == 1


def test_a_newer_schema_is_refused_and_untouched(path: Path) -> None:
    put(TinyDBStore(path), PROJECT)
    edit(path, lambda document: document["_meta"]["store"].update(schema=SCHEMA + 1))
    before = path.read_bytes(), entries(path)
    for attempt in (TinyDBStore(path).read, lambda: put(TinyDBStore(path), SESSION)):
        with pytest.raises(StoreError) as caught:
            attempt()
        assert "newer relay" in caught.value.title
        assert str(path) in caught.value.detail
        assert "Install" in caught.value.hint
    assert (path.read_bytes(), entries(path)) == before


def test_the_previous_file_is_kept_as_backup(path: Path) -> None:
    store = TinyDBStore(path)
    put(store, PROJECT)
    before = path.read_bytes()
    assert entries(path) == {"store.json", "store.lock", "reserve"}
    put(store, SESSION)
    assert path.with_name("store.json.bak").read_bytes() == before
    assert entries(path) == {"store.json", "store.json.bak", "store.lock", "reserve"}


def test_a_file_system_without_hard_links_gets_its_backup_too(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: Path, target: Path) -> None:
        if not target.exists():
            raise FileNotFoundError(errno.ENOENT, "No such file or directory")
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    store = TinyDBStore(path)
    put(store, PROJECT)
    before = path.read_bytes()
    put(store, SESSION)
    assert path.with_name("store.json.bak").read_bytes() == before


# --- disk errors -----------------------------------------------------------------------------------------------------


@contextmanager
def small_disk(at: Path) -> Iterator[None]:
    """Mount a file system of 256 KiB; without the right to mount, limit the size of files."""
    at.mkdir()
    if os.geteuid() == 0:
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(at)], check=False)
        if mounted.returncode == 0:
            try:
                yield
            finally:
                subprocess.run(["umount", "-l", str(at)], check=True)
            return
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (256 * 1024, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_is_called_so_and_the_store_stays(path: Path) -> None:
    with small_disk(path.parent):
        store = TinyDBStore(path)
        put(store, PROJECT)
        before = path.read_bytes()
        with pytest.raises(FileSystemError) as caught:
            put(store, replace(SESSION, branch="x" * 300_000))
        cause = caught.value.__cause__
        assert isinstance(cause, OSError)
        assert os.strerror(cause.errno or 0) in caught.value.detail
        assert cause.errno in (errno.ENOSPC, errno.EFBIG)
        if cause.errno == errno.ENOSPC:
            assert caught.value.title == "The disk is full"
        assert path.read_bytes() == before
        assert not [name for name in entries(path) if name.endswith(".tmp")]
        assert not store.read().sessions
        put(store, SESSION)
        assert TinyDBStore(path).read().sessions == {"s1": SESSION}


@contextmanager
def read_only(directory: Path) -> Iterator[None]:
    """Make `directory`, the working directory, read-only. Root can write anywhere, so it becomes another user."""
    directory.chmod(0o555)
    root = os.geteuid() == 0
    if root:
        for entry in directory.iterdir():
            os.chown(entry, NOBODY, NOBODY)
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)
        directory.chmod(0o755)


def test_a_read_only_directory_can_be_read_and_says_why_it_is_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    store = TinyDBStore(Path("store.json"))
    put(store, PROJECT)
    with read_only(tmp_path):
        assert TinyDBStore(Path("store.json")).read().projects == {"p1": PROJECT}
        with pytest.raises(FileSystemError) as caught:
            put(store, SESSION)
        assert caught.value.title == "The store cannot be written"
        assert caught.value.detail.startswith("Permission denied: ")
        assert not store.read().sessions
    put(store, SESSION)
    assert store.read().sessions


def test_a_path_in_the_way_is_a_file_system_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "store.json").mkdir()
    for path, blocked in ((tmp_path / "file/store.json", "file"), (tmp_path / "store.json", "store.json")):
        for attempt in (TinyDBStore(path).read, lambda path=path: put(TinyDBStore(path), PROJECT)):
            with pytest.raises(FileSystemError, match="cannot be") as caught:
                attempt()
            assert str(tmp_path / blocked) in caught.value.detail
            assert "store.lock" not in caught.value.detail


# --- many at once ----------------------------------------------------------------------------------------------------

INCREMENT = """
import sys
from dataclasses import fields, replace
from pathlib import Path
from relay_tui.adapters.store import TinyDBStore
store = TinyDBStore(Path(sys.argv[1]))
for _ in range(int(sys.argv[2])):
    with store.transaction() as transaction:
        session = transaction.records.sessions["s1"]
        transaction.put(replace(session, exit_code=session.exit_code + 1))
    print("done", flush=True)
"""


def test_eight_processes_lose_no_update(path: Path) -> None:
    put(TinyDBStore(path), replace(SESSION, exit_code=0))
    processes = [run(INCREMENT, path, 50) for _ in range(8)]
    for process in processes:
        process.communicate(timeout=60)
        assert process.returncode == 0
    assert TinyDBStore(path).read().sessions["s1"].exit_code == 400


def test_threads_lose_no_update(path: Path) -> None:
    store = TinyDBStore(path)
    put(store, replace(SESSION, exit_code=0))

    def work() -> None:
        for number in range(20):
            with (store if number % 2 else TinyDBStore(path)).transaction() as transaction:
                session = transaction.records.sessions["s1"]
                transaction.put(replace(session, exit_code=(session.exit_code or 0) + 1))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert store.read().sessions["s1"].exit_code == 160


def test_a_writer_killed_at_any_instant_leaves_every_finished_change(path: Path) -> None:
    put(TinyDBStore(path), replace(SESSION, exit_code=0))
    told = 0
    for round_ in range(12):
        process = run(INCREMENT, path, 100_000)
        assert process.stdout is not None
        for _ in range(1 + round_):
            assert process.stdout.readline() == "done\n"
        process.send_signal(signal.SIGKILL)
        told += 1 + round_ + process.stdout.read().count("done\n")  # communicate() would miss what is read ahead
        process.wait(20)
        store = TinyDBStore(path)
        count = store.read().sessions["s1"].exit_code or 0
        assert store.warning() == ""
        assert told <= count <= told + 1, "only a change that was written but not yet told of may be ahead"
        told = count
        put(store, replace(PROJECT, name=str(round_)))
        assert not [name for name in entries(path) if name.endswith(".tmp")]


def test_readers_never_see_half_a_write(path: Path) -> None:
    put(TinyDBStore(path), replace(SESSION, exit_code=0))
    process = run(INCREMENT, path, 150)
    seen = [0]
    while process.poll() is None:
        store = TinyDBStore(path)
        seen.append(store.read().sessions["s1"].exit_code or 0)
        assert store.warning() == ""
    process.communicate(timeout=20)
    assert seen == sorted(seen)
    assert len(set(seen)) > 2


def test_a_child_process_does_not_inherit_the_lock(path: Path) -> None:
    store = TinyDBStore(path)
    with store.transaction():
        child = subprocess.Popen(["sleep", "60"], close_fds=False)
    try:
        began = time.monotonic()
        put(TinyDBStore(path), PROJECT)
        assert time.monotonic() - began < 10
    finally:
        child.kill()
        child.wait()


def test_a_lock_that_is_never_released_is_told_of(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("relay_tui.adapters.store.tinydb_store._LOCK_SECONDS", 0.2)
    with TinyDBStore(path).transaction(), pytest.raises(StoreError) as caught:
        put(TinyDBStore(path), PROJECT)
    assert "does not end" in caught.value.title
    assert "store.lock" in caught.value.detail
