"""Work is brought out of a session's clone by real git, and upstream work in: kept, bundled, exported, fetched."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from faults import small_disk
from git_servers import run_git
from session_clones import SESSION, Ground, lay

from relay_tui.domain.errors import CancelledError, ConflictError, FileSystemError, NotFoundError
from relay_tui.ports.task import TaskContext

KEPT = f"refs/relay/{SESSION}"


@pytest.fixture
def ground(tmp_path: Path) -> Iterator[Ground]:
    """An upstream, its base, and a session on a new branch; no copy is left behind by anything done to it."""
    ground = lay(tmp_path)
    yield ground
    assert list(ground.tmp.iterdir()) == []


# --- keep ------------------------------------------------------------------------------------------------------------


def test_every_branch_stash_and_tag_is_kept(ground: Ground) -> None:
    first = ground.work()
    ground.git("switch", "--quiet", "--create", "second")
    second = ground.work("two.txt")
    ground.git("tag", "mine")
    for number in range(2):
        (ground.clone.work_dir / "two.txt").write_text(f"stashed {number}\n")
        ground.git("stash", "--quiet")
    refs = ground.exit.keep(ground.clone, TaskContext())
    assert refs == {
        f"{KEPT}/heads/main": ground.head("main"),
        f"{KEPT}/heads/topic": first,
        f"{KEPT}/heads/second": second,
        f"{KEPT}/tags/mine": second,
        f"{KEPT}/stash/0": ground.git("rev-parse", "stash@{0}"),
        f"{KEPT}/stash/1": ground.git("rev-parse", "stash@{1}"),
    }
    told = ground.in_base("for-each-ref", "--format=%(refname) %(objectname)", "refs/relay/")
    assert dict(line.split(" ") for line in told.splitlines()) == refs
    assert ground.in_base("show", f"{KEPT}/stash/1:two.txt") == "stashed 0"


def test_a_detached_head_is_kept(ground: Ground) -> None:
    ground.git("checkout", "--quiet", "--detach")
    commit = ground.work()
    assert ground.exit.keep(ground.clone, TaskContext())[f"{KEPT}/detached"] == commit


def test_packed_work_is_kept_and_git_may_pack_it_while_it_is_copied(ground: Ground) -> None:
    commits = [ground.work(f"{number}.txt") for number in range(5)]

    def pack(stage: str, _fraction: float | None, _detail: str) -> None:
        if stage.startswith("Copying") and not packed:
            packed.append(stage)
            ground.git("gc", "--quiet", "--prune=now")

    packed: list[str] = []
    refs = ground.exit.keep(ground.clone, TaskContext(pack))
    assert packed and refs[f"{KEPT}/heads/topic"] == commits[-1]
    ground.in_base("fsck", "--strict", "--connectivity-only", f"{KEPT}/heads/topic")
    (ground.clone.work_dir / "more").write_text("x")
    last = ground.work("more", "y")
    assert ground.exit.keep(ground.clone, TaskContext())[f"{KEPT}/heads/topic"] == last


def test_what_is_kept_is_found_again(ground: Ground) -> None:
    ground.exit.keep(ground.clone, TaskContext())
    assert ground.exit.saved_refs(ground.clone.base) == []
    ground.work(message="First")
    commit = ground.work("b.txt", message="Second")
    ground.exit.keep(ground.clone, TaskContext())
    (kept,) = ground.exit.saved_refs(ground.clone.base)
    assert (kept.session_id, kept.ref, kept.count) == (SESSION, f"{KEPT}/heads/topic", 2)
    assert (kept.commit.hash, kept.commit.subject, kept.commit.author) == (commit, "Second", "Ada")


@pytest.mark.parametrize("stage", ["Copying", "Checking"])
def test_cancelled_it_leaves_nothing(ground: Ground, stage: str) -> None:
    ground.work()
    before = ground.in_base("for-each-ref")
    task = TaskContext(lambda said, *_: task.cancel() if said.startswith(stage) else None)
    with pytest.raises(CancelledError):
        ground.exit.keep(ground.clone, task)
    assert list(ground.tmp.iterdir()) == []
    assert ground.in_base("for-each-ref") == before


# --- bundle ----------------------------------------------------------------------------------------------------------


def test_a_bundle_is_cloned_from_with_everything_in_it(ground: Ground, tmp_path: Path) -> None:
    commit = ground.work()
    (ground.clone.work_dir / "work.txt").write_text("stashed\n")
    ground.git("stash", "--quiet")
    target = tmp_path / "out/rescue.bundle"
    assert ground.exit.bundle(ground.clone, target, TaskContext()) == target.stat().st_size
    run_git("clone", "--quiet", str(target), "again", cwd=tmp_path)
    assert run_git("rev-parse", "HEAD", "refs/remotes/origin/topic", cwd=tmp_path / "again") == f"{commit}\n{commit}"
    run_git("stash", "apply", "--quiet", "origin/relay/stash-0", cwd=tmp_path / "again")
    assert run_git("show", "origin/relay/stash-0:work.txt", cwd=tmp_path / "again") == "stashed"
    content = target.read_bytes()
    with pytest.raises(ConflictError):
        ground.exit.bundle(ground.clone, target, TaskContext())
    assert target.read_bytes() == content


def test_a_clone_of_a_bundle_is_on_the_commits_of_a_detached_head(ground: Ground, tmp_path: Path) -> None:
    ground.git("checkout", "--quiet", "--detach")
    commit = ground.work()
    ground.exit.bundle(ground.clone, tmp_path / "a.bundle", TaskContext())
    run_git("clone", "--quiet", "a.bundle", "again", cwd=tmp_path)
    assert run_git("rev-parse", "HEAD", "origin/relay/detached", cwd=tmp_path / "again") == f"{commit}\n{commit}"


# --- a path of the user's own that cannot be written -----------------------------------------------------------------


def save(ground: Ground, kind: str, target: Path) -> FileSystemError:
    """Save the session at `target`, which cannot be written; return the error."""
    with pytest.raises(FileSystemError) as caught:
        if kind == "bundle":
            ground.exit.bundle(ground.clone, target, TaskContext())
        else:
            ground.exit.export(ground.clone, "unused", target, TaskContext())
    assert "data" not in caught.value.title + caught.value.hint  # relay's data directory is not the cause
    return caught.value


TITLES = {"bundle": "Cannot write the bundle", "export": "Cannot export to"}


@pytest.mark.parametrize("kind", TITLES)
def test_a_directory_that_cannot_be_made_is_named(ground: Ground, tmp_path: Path, kind: str) -> None:
    ground.work()
    (tmp_path / "file").write_text("mine")
    target = tmp_path / "file/deeper/out"
    error = save(ground, kind, target)
    assert error.title == f"{TITLES[kind]} {target}"
    assert "Not a directory" in error.detail and str(tmp_path / "file") in error.detail
    assert error.hint == "Choose a directory that you can write to."
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize("kind", TITLES)
def test_a_file_in_place_of_the_directory_is_no_conflict(ground: Ground, tmp_path: Path, kind: str) -> None:
    ground.work()
    (tmp_path / "file").write_text("mine")
    error = save(ground, kind, tmp_path / "file/out")
    assert error.title == f"{TITLES[kind]} {tmp_path / 'file/out'}"


@pytest.mark.parametrize("kind", TITLES)
def test_a_full_disk_of_the_users_is_called_that(ground: Ground, tmp_path: Path, kind: str) -> None:
    ground.work("large.bin", os.urandom(500_000).hex())
    with small_disk(tmp_path / "small", "200k") as disk:
        error = save(ground, kind, disk.path / "out")
        assert error.title == "The disk is full", error.detail
        assert str(disk.path) in error.detail
        assert list(disk.path.iterdir()) == []


def test_a_bundle_goes_to_another_disk(ground: Ground, tmp_path: Path) -> None:
    commit = ground.work()
    with small_disk(tmp_path / "other-disk", "4m") as disk:
        target = disk.path / "out/a.bundle"
        assert ground.exit.bundle(ground.clone, target, TaskContext()) == target.stat().st_size
        assert commit in run_git("bundle", "list-heads", str(target), cwd=tmp_path)
        assert [path.name for path in target.parent.iterdir()] == ["a.bundle"]


@pytest.mark.parametrize("kind", TITLES)
def test_a_read_only_disk_of_the_users_is_called_that(ground: Ground, tmp_path: Path, kind: str) -> None:
    ground.work()
    with small_disk(tmp_path / "small", "4m") as disk:
        disk.read_only(True)
        error = save(ground, kind, disk.path / "new/out")
        assert error.title == f"{TITLES[kind]} {disk.path / 'new/out'}"
        assert "Read-only file system" in error.detail and "--data-dir" not in error.hint
        assert "Read-only file system" in save(ground, kind, disk.path / "out").detail


# --- fetch -----------------------------------------------------------------------------------------------------------


def test_a_base_follows_its_upstream_and_keeps_what_is_relays(ground: Ground) -> None:
    kept = ground.exit.keep(ground.clone, TaskContext())
    ground.work()
    kept = ground.exit.keep(ground.clone, TaskContext())
    assert ground.exit.fetch(ground.clone.base, ground.source, TaskContext()) == []
    news = ground.upstream_moves()
    old_side = ground.head("side")
    run_git("update-ref", "refs/heads/side", ground.head("main"), cwd=ground.upstream)
    run_git("branch", "fresh", news, cwd=ground.upstream)
    run_git("branch", "passing", news, cwd=ground.upstream)
    assert ground.exit.fetch(ground.clone.base, ground.source, TaskContext()) == [
        "fresh: new branch",
        "main: 1 new commit",
        "passing: new branch",
        "side: rewritten",
    ]
    run_git("branch", "-D", "passing", cwd=ground.upstream)
    assert ground.exit.fetch(ground.clone.base, ground.source, TaskContext()) == ["passing: gone"]
    assert ground.head("main", ground.clone.base) == news
    for ref, commit in kept.items():
        assert ground.in_base("rev-parse", ref) == commit
    assert ground.in_base("cat-file", "-t", old_side) == "commit"


def test_a_branch_may_become_a_directory_of_branches(ground: Ground) -> None:
    run_git("branch", "-m", "side", "side/one", cwd=ground.upstream)
    assert ground.exit.fetch(ground.clone.base, ground.source, TaskContext()) == ["side: gone", "side/one: new branch"]


# --- export ----------------------------------------------------------------------------------------------------------


def test_an_export_is_an_ordinary_clone(ground: Ground, tmp_path: Path) -> None:
    commit = ground.work()
    for number in range(2):
        (ground.clone.work_dir / "work.txt").write_text(f"stashed {number}\n")
        ground.git("stash", "--quiet")
    target = tmp_path / "mine"
    assert ground.exit.export(ground.clone, "https://host.example/a.git", target, TaskContext()).branch == "topic"
    assert run_git("status", "--porcelain=v2", "--branch", cwd=target).splitlines()[:2] == [
        f"# branch.oid {commit}",
        "# branch.head topic",
    ]
    assert run_git("remote", "-v", cwd=target).split()[1] == "https://host.example/a.git"
    assert run_git("for-each-ref", "--format=%(refname)", cwd=target).splitlines() == [
        *("refs/heads/main", "refs/heads/topic", "refs/remotes/origin/main", "refs/remotes/origin/side"),
        *("refs/stash", "refs/tags/v1"),
    ]
    assert run_git("rev-parse", "--abbrev-ref", "main@{upstream}", cwd=target) == "origin/main"
    assert run_git("show", "stash@{0}:work.txt", cwd=target) == "stashed 1"
    assert run_git("show", "stash@{1}:work.txt", cwd=target) == "stashed 0"
    run_git("fsck", "--strict", cwd=target)
    assert not (target / ".git/objects/info/alternates").exists()


def test_into_a_repository_of_the_users_own(ground: Ground) -> None:
    first = ground.work()
    own = ground.other
    assert ground.exit.export(ground.clone, "unused", own, TaskContext()).branch == "topic"
    assert ground.head("topic", own) == first
    second = ground.work("b.txt")
    assert ground.exit.export(ground.clone, "unused", own, TaskContext()).branch == "topic"
    assert ground.head("topic", own) == second
    before = run_git("for-each-ref", cwd=own) + run_git("status", "--porcelain=v2", "--branch", cwd=own)
    run_git("checkout", "--quiet", "topic", cwd=own)
    mine = ground.commit(own, "mine.txt")
    third = ground.work("c.txt")
    with pytest.raises(ConflictError) as refused:
        ground.exit.export(ground.clone, "unused", own, TaskContext())
    assert (refused.value.title, refused.value.hint) == (
        f"topic is checked out in {own}",
        "Choose another name{|: --as topic-2}.",
    )
    run_git("checkout", "--quiet", "main", cwd=own)
    with pytest.raises(ConflictError, match="has a branch topic with other commits"):
        ground.exit.export(ground.clone, "unused", own, TaskContext())
    assert ground.head("topic", own) == mine
    assert ground.exit.export(ground.clone, "unused", own, TaskContext(), name="topic-2").branch == "topic-2"
    assert ground.head("topic-2", own) == third
    run_git("update-ref", "refs/heads/topic", second, cwd=own)
    run_git("branch", "-D", "topic-2", cwd=own)
    assert run_git("for-each-ref", cwd=own) + run_git("status", "--porcelain=v2", "--branch", cwd=own) == before
    with pytest.raises(ConflictError, match="beside topic"):
        ground.exit.export(ground.clone, "unused", own, TaskContext(), name="topic/deeper")


def test_what_is_in_the_way_of_an_export_stays(ground: Ground, tmp_path: Path) -> None:
    ground.work()
    busy = tmp_path / "busy"
    busy.mkdir()
    (busy / "file").write_text("mine")
    with pytest.raises(ConflictError, match="neither empty nor a git repository"):
        ground.exit.export(ground.clone, "unused", busy, TaskContext())
    assert [path.name for path in busy.iterdir()] == ["file"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["busy", "data", "other", "upstream.git"]


def test_what_was_kept_is_exported_when_the_clone_is_gone(ground: Ground, tmp_path: Path) -> None:
    commit = ground.work()
    ground.exit.keep(ground.clone, TaskContext())
    ground.clone.work_dir.rename(tmp_path / "gone")
    assert ground.exit.export(ground.clone, "unused", tmp_path / "mine", TaskContext()).branch == "topic"
    assert ground.head("topic", tmp_path / "mine") == commit
    for ref in ground.in_base("for-each-ref", "--format=%(refname)", KEPT).splitlines():
        ground.in_base("update-ref", "-d", ref)
    with pytest.raises(NotFoundError):
        ground.exit.export(ground.clone, "unused", tmp_path / "again", TaskContext())


def test_a_detached_head_that_was_kept_is_exported_with_all_the_rest(ground: Ground, tmp_path: Path) -> None:
    ground.work("begun.txt")
    ground.git("checkout", "--quiet", "--detach")
    made = ground.work("detached.txt")
    (ground.clone.work_dir / "detached.txt").write_text("stashed")
    ground.git("stash", "--quiet")
    (ground.clone.work_dir / "loose.txt").write_text("loose")
    live = ground.exit.export(ground.clone, "unused", tmp_path / "live", TaskContext())
    ground.exit.keep(ground.clone, TaskContext())
    ground.clone.work_dir.rename(tmp_path / "gone")
    unknown = replace(ground.clone, branch="main")  # as of a session on record no more
    assert ground.exit.export(unknown, "unused", tmp_path / "kept", TaskContext()) == live
    assert (live.branch, live.left) == ("topic-detached", ())
    assert {"detached", "topic", "stash/0", "uncommitted"} <= set(live.brought)
    named = ground.exit.export(unknown, "unused", tmp_path / "named", TaskContext(), name="mine")
    assert named.branch == "mine"
    for place, branch in (("live", "topic-detached"), ("kept", "topic-detached"), ("named", "mine")):
        assert run_git("rev-parse", "HEAD", branch, cwd=tmp_path / place) == f"{made}\n{made}"
        assert run_git("show", "stash@{0}:detached.txt", cwd=tmp_path / place) == "stashed"
        assert (tmp_path / place / "loose.txt").read_text() == "loose"
    into = ground.exit.export(unknown, "unused", ground.other, TaskContext())
    assert (into.branch, into.brought) == ("topic-detached", ("detached",))
    assert set(into.left) == {"stash/0", "uncommitted"}


def test_a_detached_head_of_before_is_brought_beside_the_branch_it_is_on(ground: Ground, tmp_path: Path) -> None:
    ground.git("checkout", "--quiet", "--detach")
    made = ground.work("detached.txt")
    ground.exit.keep(ground.clone, TaskContext())
    ground.git("checkout", "--quiet", "topic")
    ground.work("topic.txt")
    ground.exit.keep(ground.clone, TaskContext())
    ground.clone.work_dir.rename(tmp_path / "gone")
    assert ground.exit.export(ground.clone, "unused", tmp_path / "mine", TaskContext()).branch == "topic"
    assert ground.head("topic-detached", tmp_path / "mine") == made


# --- what a session lacks --------------------------------------------------------------------------------------------


def test_a_parcel_has_what_the_session_lacks(ground: Ground) -> None:
    ground.work()
    with ground.exit.parcel(ground.clone, TaskContext()) as parcel:
        assert (parcel.branch, parcel.commit, parcel.count) == ("main", ground.head("main"), 0)
    commits = [ground.upstream_moves(f"{number}.txt") for number in range(3)]
    ground.exit.fetch(ground.clone.base, ground.source, TaskContext())
    with ground.exit.parcel(ground.clone, TaskContext()) as parcel:
        assert (parcel.commit, parcel.count) == (commits[-1], 3)
        pack = parcel.pack
        run_git("index-pack", "--stdin", "--fix-thin", cwd=ground.clone.work_dir, stdin=pack.read_bytes())
    assert ground.git("rev-list", "--count", f"HEAD..{commits[-1]}") == "3"
    assert not pack.exists()


def test_the_upstreams_own_branch_of_that_name_comes_first(ground: Ground) -> None:
    ground.work()
    ground.git("push", "--quiet", "origin", "topic")
    ground.upstream_moves("elsewhere.txt")
    theirs = ground.upstream_moves("theirs.txt", branch="topic")
    ground.work("more.txt")
    plan = ground.exit.plan_push(ground.clone, ground.source, TaskContext())
    assert plan.diverged
    with ground.exit.parcel(ground.clone, TaskContext()) as parcel:
        assert (parcel.branch, parcel.commit, parcel.count) == ("topic", theirs, 1)
        run_git("index-pack", "--stdin", "--fix-thin", cwd=ground.clone.work_dir, stdin=parcel.pack.read_bytes())
    ground.git("merge", "--quiet", theirs)
    assert not ground.exit.plan_push(ground.clone, ground.source, TaskContext()).diverged
    with ground.exit.parcel(ground.clone, TaskContext()) as parcel:
        assert (parcel.branch, parcel.commit, parcel.count) == ("main", ground.head("main"), 1)


# --- what is not committed -------------------------------------------------------------------------------------------


def messy(ground: Ground) -> dict[str, object]:
    """Leave every kind of uncommitted change in the session. Returns the content of its work tree."""
    tree = ground.clone.work_dir
    (tree / "deep/er").mkdir(parents=True)
    for name in ("gone.txt", "changed.txt", "deep/er/kept.txt", "was-file"):
        (tree / name).write_text(name)
    (tree / ".gitignore").write_text("ignored\n")
    ground.git("add", "-A")
    ground.git("commit", "--quiet", "-m", "Before the mess")
    (tree / "gone.txt").unlink()
    (tree / "changed.txt").write_bytes(b"a\r\nb\0\xff")
    (tree / "was-file").unlink()
    (tree / "was-file").symlink_to("/etc/hostname")
    (tree / 'deep/new "q" \\ é\n.sh').write_text("#!/bin/sh\n")
    (tree / 'deep/new "q" \\ é\n.sh').chmod(0o755)
    (tree / "staged").write_text("staged")
    ground.git("add", "staged")
    (tree / "empty").touch()
    (tree / "ignored").write_text("of no account")
    return seen(tree)


def seen(tree: Path) -> dict[str, object]:
    """Every file of a work tree but the ignored one: its bytes and whether it can be run, or where a link leads."""
    found: dict[str, object] = {}
    for path in sorted(tree.rglob("*")):
        name = str(path.relative_to(tree))
        if path.is_symlink():
            found[name] = str(path.readlink())
        elif path.is_file() and not name.startswith(".git/") and name != "ignored":
            found[name] = (path.read_bytes(), path.stat().st_mode & 0o111 != 0)
    return found


def test_an_export_has_what_is_not_committed_uncommitted(ground: Ground, tmp_path: Path) -> None:
    before = messy(ground)
    ground.exit.export(ground.clone, "unused", tmp_path / "mine", TaskContext())
    assert seen(tmp_path / "mine") == before
    assert ground.git("rev-parse", "HEAD") == run_git("rev-parse", "HEAD", cwd=tmp_path / "mine")
    status = run_git("status", "--porcelain", "-z", cwd=tmp_path / "mine").split("\0")
    told = {entry.strip() for entry in status}
    assert {"M changed.txt", "D gone.txt", "?? staged", "?? empty", "T was-file"} <= told
    assert run_git("branch", "--list", "relay-*", cwd=tmp_path / "mine") == ""


def test_and_so_has_what_was_kept_and_bundled(ground: Ground, tmp_path: Path) -> None:
    before = messy(ground)
    refs = ground.exit.keep(ground.clone, TaskContext())
    assert f"{KEPT}/uncommitted" in refs
    ground.exit.bundle(ground.clone, tmp_path / "all.bundle", TaskContext())
    status = ground.git("status", "--porcelain")
    ground.clone.work_dir.rename(tmp_path / "gone")
    ground.exit.export(ground.clone, "unused", tmp_path / "kept", TaskContext())
    assert seen(tmp_path / "kept") == before
    run_git("clone", "--quiet", "--branch", "relay/uncommitted", str(tmp_path / "all.bundle"), "out", cwd=tmp_path)
    assert seen(tmp_path / "out") == before
    assert run_git("status", "--porcelain", cwd=tmp_path / "gone") == status


def test_once_it_is_committed_it_is_no_longer_kept_apart(ground: Ground) -> None:
    messy(ground)
    ground.exit.keep(ground.clone, TaskContext())
    ground.git("add", "-A")
    ground.git("commit", "--quiet", "-m", "All of it")
    assert f"{KEPT}/uncommitted" not in ground.exit.keep(ground.clone, TaskContext())
    assert ground.in_base("for-each-ref", f"{KEPT}/uncommitted") == ""


def test_what_cannot_be_saved_whole_is_not_called_whole(ground: Ground) -> None:
    (ground.clone.work_dir / "inner").mkdir()
    run_git("init", "--quiet", cwd=ground.clone.work_dir / "inner")
    ground.commit(ground.clone.work_dir / "inner")
    (ground.clone.work_dir / "fine.txt").write_text("fine")
    refs = ground.exit.keep(ground.clone, TaskContext())
    assert f"{KEPT}/uncommitted" not in refs
    assert ground.in_base("show", f"{KEPT}/uncommitted-partly:fine.txt") == "fine"


def test_links_are_saved_as_links_and_pipes_not_at_all(ground: Ground, tmp_path: Path) -> None:
    secret = tmp_path / "outside"
    secret.mkdir()
    (secret / "secret.txt").write_text("nobody may read this")
    (ground.clone.work_dir / "way").symlink_to(secret)
    (ground.clone.work_dir / "file").symlink_to(secret / "secret.txt")
    os.mkfifo(ground.clone.work_dir / "pipe")
    ground.exit.keep(ground.clone, TaskContext())
    assert ground.in_base("show", f"{KEPT}/uncommitted:file") == str(secret / "secret.txt")
    names = ground.in_base("ls-tree", "-r", "--name-only", f"{KEPT}/uncommitted").splitlines()
    assert names == ["README.md", "file", "way"]
