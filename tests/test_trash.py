"""Trash: removed sessions can be restored byte for byte until they expire, and are then deleted with any content."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import cast

import docker
import pytest
from conftest import missing
from crash_bench import Bench, bench
from fakes import build
from git_servers import make_repository, run_git
from installed_relay import IMAGE, InstalledRelay, clear_engine
from on_screen import shown

from relay_tui.adapters.filesystem.file_locks import FileLocks
from relay_tui.config import Config
from relay_tui.domain.errors import ConflictError, NotFoundError
from relay_tui.domain.models import Session
from relay_tui.paths import DataDir
from relay_tui.ports.task import TaskContext
from relay_tui.services.trash import DAY, PurgeResult

STRANGER = 61_234  # a user id without an account
LEVELS = 3_000


class Clock:
    """A clock that a test sets."""

    def __init__(self, now: float) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def relay(tmp_path: Path) -> Bench:
    """A project `alpha` with sessions `main` and `fox`, which has work of every kind in it."""
    make_repository(tmp_path / "repository", files={"README.md": "# Hello\n", "script": "echo\n"})
    relay = bench(tmp_path / "world")
    relay.add("repository", "alpha")
    fox = relay.create("alpha", "fox", "main")
    _work_in(Path(fox.work_dir))
    return relay


def _work_in(clone: Path) -> None:
    (clone / "README.md").write_text("# Changed\n")
    run_git("add", "README.md", cwd=clone)
    (clone / "README.md").write_text("# Changed, and once more\n")
    run_git("stash", "push", "--quiet", cwd=clone)
    (clone / "README.md").write_bytes(b"\x00\xff not saved anywhere")
    (clone / "script").chmod(0o755)
    (clone / "sp ace\n").mkdir()
    (clone / "sp ace\n" / "untracked").write_bytes(os.urandom(4096))
    (clone / "empty").mkdir(mode=0o500)
    (clone / "link").symlink_to("nowhere")


def _picture(path: Path) -> dict[str, tuple[int, int, bytes]]:
    """Kind and mode, time and content of everything below `path`."""
    picture = {}
    for found in path.rglob("*"):
        status = found.lstat()
        content = str(found.readlink()).encode() if found.is_symlink() else b""
        content = found.read_bytes() if stat.S_ISREG(status.st_mode) else content
        picture[str(found.relative_to(path))] = (status.st_mode, status.st_mtime_ns, content)
    return picture


def _remove(relay: Bench, name: str = "fox") -> Session:
    relay.sessions.remove(relay.session(name).id, TaskContext())
    return relay.session(name)


def _entry(relay: Bench, session: Session) -> Path:
    (found,) = (entry.path for entry in relay.files.trash_entries() if entry.name == session.id)
    return found


def _used(path: Path, *, without: str = "") -> int:
    leave_out = (f"--exclude={without}",) if without else ()
    listed = subprocess.run(
        ("du", "-s", "--block-size=1", *leave_out, path), capture_output=True, text=True, check=True
    )
    return int(listed.stdout.split()[0])


# --- coming back -----------------------------------------------------------------------------------------------------


def test_unsaved_work_comes_back_byte_for_byte(relay: Bench) -> None:
    clone = Path(relay.session("fox").work_dir)
    before = _picture(clone)
    _remove(relay)
    assert not clone.exists()
    relay.restore([relay.sessions.restore(relay.session("fox").id)])
    assert _picture(clone) == before
    assert run_git("stash", "list", cwd=clone)
    row = relay.engine.rows()[relay.session("fox").container_id]
    assert (row["status"], row["workspace"]) == ("running", str(clone))
    assert relay.files.trash_entries() == []


def test_a_name_that_was_taken_meanwhile_gives_way(relay: Bench) -> None:
    fox = _remove(relay)
    relay.create("alpha", "FOX", "main")
    back = relay.sessions.restore(fox.id)
    relay.restore([back])
    assert back.name == "fox-2"
    assert {s.name for s in relay.records.live_sessions()} == {"main", "FOX", "fox-2"}


def test_a_project_comes_back_with_all_that_went_with_it(relay: Bench) -> None:
    hen = relay.create("alpha", "hen", "main")
    _remove(relay, "hen")
    clones = {name: Path(relay.session(name).work_dir) for name in ("main", "fox")}
    before = {name: _picture(clone) for name, clone in clones.items()}
    while relay.session("hen").deleted_at == relay.project("alpha").updated_at:
        pass
    relay.projects.remove(relay.project("alpha").id, TaskContext())
    relay.add("repository", "alpha")
    first = min(relay.records.projects)
    relay.restore(relay.projects.restore(first))
    assert relay.records.projects[first].name == "alpha-2"
    assert {s.name for s in relay.records.live_sessions(first)} == {"main", "fox"}
    assert {name: _picture(clone) for name, clone in clones.items()} == before
    assert [entry.name for entry in relay.files.trash_entries()] == [hen.id]
    assert relay.reconciler.plan() == []
    relay.restore([relay.sessions.restore(hen.id)])
    assert relay.session("hen").deleted_at is None


def test_what_is_not_there_is_said(relay: Bench) -> None:
    fox = relay.session("fox")
    with pytest.raises(ConflictError, match="is not removed"):
        relay.sessions.restore(fox.id)
    _remove(relay)
    relay.projects.remove(fox.project_id, TaskContext())
    with pytest.raises(ConflictError) as caught:
        relay.sessions.restore(fox.id)
    assert "relay project restore alpha" in caught.value.hint
    relay.trash.purge(0, TaskContext())
    with pytest.raises(NotFoundError, match="purged"):
        relay.sessions.restore(fox.id)
    with pytest.raises(NotFoundError, match="purged"):
        relay.projects.restore(fox.project_id)
    assert not relay.records.projects
    assert not relay.records.sessions


def test_a_session_waits_for_its_project_to_be_back(relay: Bench) -> None:
    fox = relay.session("fox")
    before = _picture(Path(fox.work_dir))
    relay.projects.remove(fox.project_id, TaskContext())
    project = relay.records.projects[fox.project_id]
    with relay.store.transaction() as change:  # as it is when a relay is killed right after it put this on record
        change.put(replace(project, desired=relay.session("main").desired.RUNNING, deleted_at=None))
        change.put(replace(fox, container_id="", deleted_at=None))
    with pytest.raises(ConflictError, match="not restored from the trash"):
        relay.sessions.start(fox.id, TaskContext())
    bench(relay.root).reconciler.carry_out_all(TaskContext())
    relay.sessions.start(fox.id, TaskContext())
    assert _picture(Path(fox.work_dir)) == before


# --- going for good --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("days", [7.0, 0.5])
def test_retention_is_what_is_configured(relay: Bench, days: float) -> None:
    fox = _remove(relay)
    (entry,) = relay.files.trash_entries()
    clock = Clock(entry.moved_at + days * DAY - 1)
    config = Config(path=relay.root / "config.toml", trash_days=days)
    later = bench(relay.root, config=config, clock=clock)
    assert later.trash.purge(None, TaskContext()) == PurgeResult()
    assert fox.id in later.records.sessions
    clock.now += 2
    assert later.trash.purge(None, TaskContext()).entries == 1
    assert fox.id not in later.records.sessions
    assert list(relay.place.trash.iterdir()) == []


def test_an_age_is_counted_from_the_removal(relay: Bench) -> None:
    _remove(relay)
    (entry,) = relay.files.trash_entries()
    clock = Clock(entry.moved_at + 3 * DAY)
    later = bench(relay.root, clock=clock)
    assert later.trash.purge(4, TaskContext()).entries == 0
    clock.now = entry.moved_at - DAY  # set back
    assert later.trash.purge(1, TaskContext()).entries == 0
    assert later.trash.purge(0, TaskContext()).entries == 1


def test_what_is_freed_is_what_the_disk_gets_back(relay: Bench) -> None:
    clone = Path(relay.session("fox").work_dir)
    (clone / "large").write_bytes(os.urandom(3 << 20))
    (clone / "again").hardlink_to(clone / "large")
    with (clone / "holes").open("wb") as file:
        file.truncate(1 << 30)
    _remove(relay)
    before = _used(relay.place.trash)
    purged = relay.trash.purge(0, TaskContext())
    assert (purged.entries, purged.left) == (1, ())
    assert purged.freed == before - _used(relay.place.trash)
    assert 3 << 20 < purged.freed < 4 << 20


def test_a_tree_of_any_depth_goes(relay: Bench) -> None:
    clone = Path(relay.session("fox").work_dir)
    _dig(clone)
    _remove(relay)
    before = _used(relay.place.trash)
    purged = relay.trash.purge(0, TaskContext())
    assert (purged.entries, purged.left) == (1, ())
    assert purged.freed == before - _used(relay.place.trash)
    assert purged.freed > LEVELS * 1024


def _dig(path: Path) -> None:
    """Create nested directories, deeper than the longest possible path."""
    level = os.open(path, os.O_RDONLY)
    for _ in range(LEVELS):
        os.mkdir("d", dir_fd=level)
        below = os.open("d", os.O_RDONLY, dir_fd=level)
        os.close(level)
        level = below
    os.close(os.open("bottom", os.O_WRONLY | os.O_CREAT, dir_fd=level))
    os.close(level)


def test_a_symlink_is_never_followed_out(relay: Bench, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    (outside / "below").mkdir(parents=True)
    (outside / "below" / "kept").write_text("kept")
    outside.chmod(0o555)
    clone = Path(relay.session("fox").work_dir)
    (clone / "absolute").symlink_to(outside)
    (clone / "relative").symlink_to(os.path.relpath(outside, clone))
    (clone / "file").symlink_to(outside / "below" / "kept")
    before = _picture(tmp_path / "outside")
    _remove(relay)
    assert relay.trash.purge(0, TaskContext()).left == ()
    assert _picture(outside) == before
    assert outside.stat().st_mode & 0o777 == 0o555


def _mount(what: Path, where: Path) -> None:
    done = subprocess.run(("mount", "--bind", what, where), capture_output=True, text=True, check=False)
    if done.returncode:
        missing(f"nothing can be mounted here: {done.stderr.strip()}")


@pytest.mark.parametrize("through_a_link", [False, True])
def test_what_has_something_mounted_in_it_stays(relay: Bench, tmp_path: Path, through_a_link: bool) -> None:
    host = tmp_path / "ho st"
    host.mkdir()
    (host / "kept").write_text("kept")
    fox = _remove(relay)
    inner = _entry(relay, fox) / "sub mount"
    inner.mkdir()
    _mount(host, inner)
    try:
        if through_a_link:
            (tmp_path / "link").symlink_to(relay.root)
            relay = bench(tmp_path / "link")
        purged = relay.trash.purge(0, TaskContext())
        assert (purged.entries, purged.freed) == (0, 0)
        assert [remnant.path for remnant in purged.left] == [str(_entry(relay, fox))]
        assert "mounted" in purged.left[0].why
        assert (host / "kept").read_text() == "kept"
    finally:
        subprocess.run(("umount", inner), check=True)
    assert relay.trash.purge(0, TaskContext()).entries == 1
    assert (host / "kept").read_text() == "kept"


# --- purging and restoring at the same time --------------------------------------------------------------------------


def test_what_is_on_its_way_back_is_not_purged(relay: Bench) -> None:
    fox = _remove(relay)
    before = _picture(_entry(relay, fox))
    with FileLocks(relay.place.locks).hold(fox.id, "restoring"):
        purged = relay.trash.purge(0, TaskContext())
        assert (purged.entries, [remnant.path for remnant in purged.left]) == (0, [str(_entry(relay, fox))])
    killed = bench(relay.root)
    killed.sessions.restore(fox.id)
    killed.sessions._locks.release(fox.id)  # as the kernel does when the process is killed before the next step
    assert relay.trash.purge(0, TaskContext()) == PurgeResult()
    relay.reconciler.carry_out_all(TaskContext())
    assert _picture(Path(fox.work_dir)) == before


def test_of_a_purge_and_a_restore_at_once_one_wins_wholly(relay: Bench) -> None:
    other = bench(relay.root)
    outcomes = set()
    for number in range(25):
        name = f"hare{number}"
        hare = relay.create("alpha", name, "main")
        (Path(hare.work_dir) / "work").write_text(name)
        _remove(relay, name)
        ready = threading.Barrier(2)
        purging = threading.Thread(target=lambda ready=ready: (ready.wait(), other.trash.purge(0, TaskContext())))
        purging.start()
        ready.wait()
        try:
            relay.restore([relay.sessions.restore(hare.id)])
        except (NotFoundError, ConflictError):
            outcomes.add("purged")
            purging.join()
            assert not Path(hare.work_dir).exists()
            continue
        outcomes.add("restored")
        purging.join()
        assert (Path(hare.work_dir) / "work").read_text() == name
        assert relay.records.sessions[hare.id].deleted_at is None
    assert outcomes <= {"purged", "restored"}
    assert relay.reconciler.plan() == []


# --- what a container left under other owners ------------------------------------------------------------------------

_UNPRIVILEGED = """
import contextlib, io, os, sys, tempfile
sys.path[:0] = os.environ["IMPORTED_FROM"].split(os.pathsep)
import docker, relay_tui.adapters.git, relay_tui.cli.main
from pathlib import Path
from relay_tui.adapters.docker import DockerRuntime
place = Path(os.environ["RELAY_DATA_DIR"])
group, user, *arguments = sys.argv[1:]
# What is imported late has to be read while we may: the same once over another data dir, with something to purge.
DockerRuntime(place, place / "cache").list_containers()
with tempfile.TemporaryDirectory() as other, contextlib.redirect_stdout(io.StringIO()):
    (Path(other) / "trash" / "0elk-1700000000-1").mkdir(parents=True)
    relay_tui.cli.main.run(["--data-dir", other, *arguments])
os.setgroups([int(group)])
os.setresgid(int(user), int(user), int(user))
os.setresuid(int(user), int(user), int(user))
sys.exit(relay_tui.cli.main.run(arguments))
"""


class Unprivileged(InstalledRelay):
    """relay as a user who has no rights but to use the engine; what it keeps is that user's."""

    def purge(self) -> dict[str, object]:
        """`relay purge --older-than 0 --json`; its document, whether all went or not."""
        host = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")
        group = Path(host.removeprefix("unix://")).stat().st_gid if host.startswith("unix://") else STRANGER
        arguments = (str(group), str(STRANGER), "purge", "--older-than", "0", "--json")
        env = self.env | {"HOME": str(self.root), "IMPORTED_FROM": os.pathsep.join(sys.path)}
        done = subprocess.run(
            (sys.executable, "-c", _UNPRIVILEGED, *arguments), env=env, capture_output=True, text=True, check=False
        )
        assert done.returncode in {0, 1}, done.stderr
        assert done.stdout, done.stderr
        document: dict[str, object] = json.loads(done.stdout)
        return document


@pytest.fixture
def stranger(engine: docker.DockerClient) -> Iterator[Unprivileged]:
    """An unprivileged user with an empty data dir."""
    if os.geteuid():
        missing("only root may become another user")
    root = Path(tempfile.mkdtemp(prefix="relay-test-"))  # a test's own directory is closed to others
    relay = Unprivileged(root)
    try:
        DataDir(relay.data).prepare()
        yield relay
    finally:
        clear_engine(engine, root)
        shutil.rmtree(root, ignore_errors=True)


def _give(path: Path, user: int) -> None:
    subprocess.run(("chown", "-R", "-h", f"{user}:{user}", path), check=True)


def _in_trash(relay: InstalledRelay, name: str = "0fox") -> Path:
    tree = relay.data / "trash" / f"{name}-1700000000-1"
    (tree / ".git").mkdir(parents=True)
    (tree / "file").write_text("work")
    return tree


def _locked_up(tree: Path) -> None:
    """Directories that may not be written, entered or read, one in the other."""
    inner = tree / "none" / "read-only" / "none"
    inner.mkdir(parents=True)
    (inner / "file").write_text("x")
    inner.chmod(0)
    inner.parent.chmod(0o555)
    (tree / "none").chmod(0)
    (tree / "read-only").mkdir()
    (tree / "read-only" / "file").write_text("x")
    (tree / "read-only" / "file").chmod(0o400)
    (tree / "read-only").chmod(0o555)
    tree.chmod(0o555)


@pytest.mark.engine
def test_read_only_directories_go(stranger: Unprivileged, tmp_path: Path) -> None:
    (tmp_path / "kept").write_text("")
    tree = _in_trash(stranger)
    (tree / "link").symlink_to(tmp_path)
    _dig(tree)
    _give(stranger.root, STRANGER)
    _locked_up(tree)
    _give(tree, STRANGER)
    mode = tmp_path.stat().st_mode
    purged = stranger.purge()
    assert (purged["entries"], purged["left"]) == (1, [])
    assert list((stranger.data / "trash").iterdir()) == []
    assert (tmp_path / "kept").exists()
    assert tmp_path.stat().st_mode == mode


@pytest.mark.engine
def test_files_of_other_users_go_with_the_engines_help(
    stranger: Unprivileged, engine: docker.DockerClient, tmp_path: Path
) -> None:
    (tmp_path / "kept").write_text("")
    stranger.config.write_text(f'image = "{IMAGE}"\n')
    tree = _in_trash(stranger)
    _give(stranger.root, STRANGER)
    foreign = tree / "foreign"
    (foreign / "below").mkdir(parents=True)
    (foreign / "below" / "file").write_bytes(os.urandom(100_000))
    (foreign / "link").symlink_to(tmp_path)
    (tree / "tmp").mkdir()
    (tree / "tmp" / "theirs").write_text("x")
    _give(foreign, STRANGER + 1)
    (foreign / "below").chmod(0o500)
    _give(tree / "tmp", STRANGER + 2)
    before, seen = _used(stranger.data / "trash"), _used(tree, without="below")
    purged = stranger.purge()
    assert (purged["entries"], purged["left"]) == (1, [])
    assert list((stranger.data / "trash").iterdir()) == []
    assert seen <= int(str(purged["freed"])) <= before  # what is closed to us is freed, and not counted
    assert (tmp_path / "kept").exists()
    mounted = [mount["Source"] for found in engine.containers.list(all=True) for mount in found.attrs["Mounts"]]
    assert not [source for source in mounted if source.startswith(str(stranger.root))]


@pytest.mark.engine
def test_what_cannot_go_is_named_and_never_half_restored(stranger: Unprivileged) -> None:
    stranger.config.write_text('image = "relay-test/no-such-image"\n')
    root = stranger.root / "world"
    make_repository(stranger.root / "repository")
    relay = bench(root)
    relay.add("repository", "alpha")
    fox = relay.create("alpha", "fox", "main")
    (Path(fox.work_dir) / "foreign").mkdir()
    (Path(fox.work_dir) / "foreign" / "file").write_text("x")
    _remove(relay)
    entry = _entry(relay, fox)
    shutil.rmtree(stranger.data)
    (root / "data").rename(stranger.data)
    _give(stranger.root, STRANGER)
    _give(stranger.data / "trash" / entry.name / "foreign", STRANGER + 1)
    purged = stranger.purge()
    (left,) = (stranger.data / "trash").iterdir()
    assert purged["entries"] == 0
    (remnant,) = cast("list[dict[str, str]]", purged["left"])
    assert remnant["path"] == str(left)
    assert "the engine could not help" in remnant["why"]
    assert int(str(purged["freed"])) > 0
    assert [str(path.relative_to(left)) for path in left.rglob("*")] == ["foreign", "foreign/file"]
    (stranger.data).rename(root / "data")
    with pytest.raises(NotFoundError):
        bench(root).sessions.restore(fox.id)
    assert bench(root).trash.purge(1000, TaskContext()).entries == 1  # root can remove the remnant, whatever its age


# --- a trash that is too full ----------------------------------------------------------------------------------------


async def test_a_trash_that_takes_too_much_is_said_in_a_toast(tmp_path: Path) -> None:
    rig = build(tmp_path / "data", config=Config(path=tmp_path / "config.toml", trash_share=0.0))
    project = rig.ready()
    rig.running(project, name="fox", branch="dev")
    async with shown(rig, (120, 36)) as screen:
        rig.relay.remove_session(next(s for s in rig.live(project) if s.name == "fox"))
        await screen.sees("relay purge")


def test_the_share_is_of_the_whole_disk(relay: Bench) -> None:
    fox = _remove(relay)
    share = relay.files.measure(_entry(relay, fox)) / relay.files.disk_size()
    for factor, full in ((0.5, True), (2.0, False)):
        config = Config(path=relay.root / "config.toml", trash_share=share * factor)
        assert bool(bench(relay.root, config=config).trash.too_full()) is full
    relay.trash.purge(0, TaskContext())
    config = Config(path=relay.root / "config.toml", trash_share=share)
    assert bench(relay.root, config=config).trash.too_full() == ""
