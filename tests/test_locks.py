"""Lock files: one holder at a time, who can be named, and whose death frees the lock."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import relay_tui
from relay_tui.adapters.filesystem.file_locks import FileLocks
from relay_tui.domain.errors import ConflictError, FileSystemError
from relay_tui.ports import Locks

SOURCE = Path(relay_tui.__file__).parent.parent
HOLD = """
import subprocess, sys
from pathlib import Path
from relay_tui.adapters.filesystem.file_locks import FileLocks
with FileLocks(Path(sys.argv[1])).hold("fox", "relay session create"):
    if len(sys.argv) > 2:
        print(subprocess.Popen(["sleep", "60"], close_fds=False, stdout=subprocess.DEVNULL).pid, flush=True)
    print("held", flush=True)
    sys.stdin.readline()
"""
COUNT = """
import sys
from pathlib import Path
from relay_tui.adapters.filesystem.file_locks import FileLocks
from relay_tui.domain.errors import ConflictError
locks, counter, left = FileLocks(Path(sys.argv[1])), Path(sys.argv[2]), 50
while left:
    try:
        with locks.hold("fox", "counting"):
            counter.write_text(str(int(counter.read_text()) + 1))
            left -= 1
    except ConflictError:
        locks.holder("fox")
"""


def start(script: str, *arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", script, *map(str, arguments)],
        cwd=SOURCE,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "locks"


def test_a_lock_is_free_before_and_after(directory: Path) -> None:
    locks: Locks = FileLocks(directory)
    assert locks.holder("fox") == ""
    assert not directory.exists()
    for _ in range(2):
        with locks.hold("fox", "relay\n project  add"):
            assert locks.holder("fox") == f"relay project add, pid {os.getpid()}"
            assert locks.holder("wolf") == ""
        assert locks.holder("fox") == ""
    assert list(directory.iterdir()) == []


def test_an_error_in_the_block_releases_the_lock(directory: Path) -> None:
    locks = FileLocks(directory)
    with pytest.raises(KeyError), locks.hold("fox", "a"):
        raise KeyError("fox")
    with locks.hold("fox", "b"):
        pass


def test_another_process_is_named_and_its_end_frees_the_lock(directory: Path) -> None:
    locks = FileLocks(directory)
    process = start(HOLD, directory)
    assert line(process) == "held"
    assert locks.holder("fox") == f"relay session create, pid {process.pid}"
    with pytest.raises(ConflictError) as caught, locks.hold("fox", "relay session remove"):
        pass
    assert caught.value.title == "Another relay is working on this"
    assert caught.value.detail == f"pid {process.pid}: relay session create"
    assert caught.value.hint == "Wait for it to end, or stop that process."
    with locks.hold("wolf", "another key"):
        pass
    process.communicate("\n", timeout=20)
    with locks.hold("fox", "relay session remove"):
        assert locks.holder("fox") == f"relay session remove, pid {os.getpid()}"


def test_kill_9_frees_the_lock_though_a_child_lives_on(directory: Path) -> None:
    locks = FileLocks(directory)
    process = start(HOLD, directory, "with a child")
    child = int(line(process))
    try:
        assert line(process) == "held"
        process.send_signal(signal.SIGKILL)
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # dead, and still there as a zombie
        assert locks.holder("fox") == ""
        assert (directory / "fox.lock").exists()
        with locks.hold("fox", "the next one"):
            assert "the next one" in locks.holder("fox")
        os.kill(child, 0)
    finally:
        os.kill(child, signal.SIGKILL)
        process.communicate(timeout=20)
    assert locks.holder("fox") == ""


def test_a_number_used_anew_is_not_taken_for_the_holder(directory: Path) -> None:
    directory.mkdir()
    (directory / "fox.lock").write_text(f'{{"pid": {os.getpid()}, "started": "1", "purpose": "long ago"}}')
    assert FileLocks(directory).holder("fox") == ""


@pytest.mark.parametrize("junk", ["", "{", "[]", '"x"', '{"pid": 1}', '{"pid": "1", "started": "1", "purpose": "x"}'])
def test_junk_in_a_lock_file_names_nobody_and_bars_nobody(directory: Path, junk: str) -> None:
    directory.mkdir()
    (directory / "fox.lock").write_text(junk)
    locks = FileLocks(directory)
    assert locks.holder("fox") == ""
    with locks.hold("fox", "x"):
        assert locks.holder("fox")


def test_a_holder_without_a_name_still_bars_others(directory: Path) -> None:
    locks = FileLocks(directory)
    with locks.hold("fox", "x"):
        os.truncate(directory / "fox.lock", 0)
        with pytest.raises(ConflictError) as caught, locks.hold("fox", "y"):
            pass
    assert "does not name its holder" in caught.value.detail


def test_a_full_disk_does_not_keep_one_from_locking(directory: Path) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    locks = FileLocks(directory)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, limits[1]))
    try:
        with locks.hold("fox", "relay session remove"):
            assert (directory / "fox.lock").read_bytes() == b""
            with pytest.raises(ConflictError), locks.hold("fox", "y"):
                pass
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_threads_of_one_process_exclude_each_other(directory: Path) -> None:
    locks = FileLocks(directory)
    errors: list[ConflictError] = []

    def attempt() -> None:
        try:
            with FileLocks(directory).hold("fox", "second"):
                pass
        except ConflictError as error:
            errors.append(error)

    with locks.hold("fox", "first"):
        thread = threading.Thread(target=attempt)
        thread.start()
        thread.join()
    assert [error.title for error in errors] == ["This is being worked on already"]
    assert "first" in errors[0].detail
    attempt()
    assert len(errors) == 1


def test_the_lock_excludes_under_contention(directory: Path, tmp_path: Path) -> None:
    counter = tmp_path / "counter"
    counter.write_text("0")
    processes = [start(COUNT, directory, counter) for _ in range(4)]
    for process in processes:
        process.communicate(timeout=60)
        assert process.returncode == 0
    assert counter.read_text() == "200"
    assert list(directory.iterdir()) == []


def test_asking_who_holds_it_never_gets_in_the_way(directory: Path) -> None:
    locks = FileLocks(directory)
    done = threading.Event()

    def ask() -> None:
        while not done.is_set():
            locks.holder("fox")

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(300):
            with locks.hold("fox", "x"):
                pass
    finally:
        done.set()
        for thread in threads:
            thread.join()


def test_a_lock_file_removed_by_hand_does_not_let_the_old_holder_take_the_new_one_away(directory: Path) -> None:
    locks = FileLocks(directory)
    with locks.hold("fox", "old"):
        (directory / "fox.lock").unlink()
        with locks.hold("fox", "new"):
            pass
        (directory / "fox.lock").write_text("someone else's")
    assert (directory / "fox.lock").exists()


def test_a_path_in_the_way_is_a_file_system_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(FileSystemError, match="lock file") as caught, FileLocks(tmp_path / "file").hold("fox", "x"):
        pass
    assert "exists" in caught.value.detail or "Not a directory" in caught.value.detail


@pytest.mark.parametrize("key", ["", "a/b", "..", ".hidden", "a\0b"])
def test_a_key_that_is_no_file_name_is_a_mistake_of_the_caller(directory: Path, key: str) -> None:
    with pytest.raises(ValueError, match="key"):
        FileLocks(directory).holder(key)
