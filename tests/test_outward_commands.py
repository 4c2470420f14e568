"""Bringing work out of sessions and upstream work in, by the installed command, with real containers."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import docker
import pytest
from git_servers import make_repository, run_git
from installed_relay import IMAGE, InstalledRelay, clear_engine

GIT_IMAGE = "relay-test/git"


@dataclass(frozen=True)
class World:
    """A project `alpha` with an upstream that somebody else works on, and a session `main`."""

    relay: InstalledRelay
    upstream: Path
    other: Path

    def session(self, name: str, image: str = GIT_IMAGE) -> Path:
        """A session on a new branch of that name; answers its clone."""
        made = self.relay.json("session", "create", "alpha", "--new-branch", name, "--image", image)
        tree = Path(str(made["work_dir"]))
        run_git("config", "user.name", "Ada", cwd=tree)
        run_git("config", "user.email", "ada@example.org", cwd=tree)
        return tree

    def upstream_moves(self, name: str, text: str) -> str:
        """Somebody pushes a file to main."""
        run_git("pull", "--quiet", "--rebase", cwd=self.other)
        commit(self.other, name, text)
        run_git("push", "--quiet", "origin", "main", cwd=self.other)
        return run_git("rev-parse", "HEAD", cwd=self.other)

    def inside(self, session: str, *command: str) -> str:
        """Run a command in the session's container."""
        done = self.relay.run("session", "shell", session, "--", *command)
        assert done.code == 0, done.err
        return done.out.strip()


def commit(tree: Path, name: str, text: str) -> str:
    """Commit a file; answer the commit."""
    (tree / name).write_text(text)
    run_git("add", "--", name, cwd=tree)
    run_git("commit", "--quiet", "-m", f"Write {name}", cwd=tree)
    return run_git("rev-parse", "HEAD", cwd=tree)


@pytest.fixture(scope="module")
def world(engine: docker.DockerClient, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """One world for all tests; each has sessions of its own."""
    root = tmp_path_factory.mktemp("outward")
    relay = InstalledRelay(root / "relay")
    relay.root.mkdir()
    upstream = make_repository(root / "upstream.git", branches=("main",), files={"shared.txt": "one\n"}, bare=True)
    run_git("clone", "--quiet", str(upstream), str(root / "other"), cwd=root)
    relay.json("project", "add", upstream, "--name", "alpha", "--image", IMAGE)
    yield World(relay, upstream, root / "other")
    clear_engine(engine, root)


# --- push, fetch, export ---------------------------------------------------------------------------------------------


def test_a_push_shows_first_what_goes(world: World) -> None:
    tree = world.session("shown", IMAGE)
    made = commit(tree, "a.txt", "a")
    dry = world.relay.run("session", "push", "shown", "--dry-run")
    assert dry.out.splitlines() == [
        f"To {world.upstream}",
        "  shown: a new branch, 1 commit",
        f"    {made[:10]} Write a.txt  (Ada)",
    ]
    error = world.relay.fails(4, "session", "push", "shown")
    assert (error["title"], error["detail"]) == ("Pushing shown requires confirmation", dry.out.strip())
    assert run_git("branch", "--list", "shown", cwd=world.upstream) == ""
    document = world.relay.json("session", "push", "shown", "--yes")
    assert (document["pushed"], document["commit"], document["count"]) == (True, made, 1)
    assert run_git("rev-parse", "shown", cwd=world.upstream) == made
    assert "has all of shown already" in world.relay.run("session", "push", "shown", "--yes").out


def test_a_push_that_would_be_rejected_is_not_tried(world: World) -> None:
    tree = world.session("diverged", IMAGE)
    run_git("branch", "diverged", "main", cwd=world.upstream)
    run_git("push", "--quiet", "origin", "HEAD:refs/heads/diverged", cwd=world.other)
    commit(world.other, "theirs.txt", "x")
    run_git("push", "--quiet", "origin", "HEAD:refs/heads/diverged", cwd=world.other)
    run_git("reset", "--quiet", "--hard", "origin/main", cwd=world.other)
    commit(tree, "ours.txt", "x")
    assert world.relay.json("session", "push", "diverged", "--dry-run")["diverged"] is True
    error = world.relay.fails(4, "session", "push", "diverged", "--yes")
    assert error["title"] == "The upstream's diverged has commits that the session lacks"
    assert error["hint"].startswith("Merge them first: relay session update diverged,")
    error = world.relay.fails(4, "session", "push", "diverged", "--branch", "diverged", "--yes")
    assert error["hint"].startswith("Merge them first: git switch diverged in its shell, then relay session update")


def test_a_project_is_fetched(world: World) -> None:
    world.relay.run("project", "fetch", "alpha")
    world.upstream_moves("news.txt", "n")
    assert world.relay.json("project", "fetch", "alpha")["changed"] == ["main: 1 new commit"]
    assert world.relay.run("project", "fetch", "alpha").out == "alpha is up to date.\n"


def test_an_export_outlives_its_session(world: World, tmp_path: Path) -> None:
    tree = world.session("outlived", IMAGE)
    made = commit(tree, "o.txt", "o")
    assert world.relay.json("session", "export", "outlived", "--to", tmp_path / "live")["branch"] == "outlived"
    session_id = tree.name
    world.relay.json("session", "remove", "outlived", "--force")
    world.relay.json("session", "export", "outlived", "--to", tmp_path / "trashed")
    world.relay.json("purge", "--older-than", "0")
    (row,) = [
        row for row in world.relay.run("project", "kept", "alpha", "--json").rows if row["session_id"] == session_id
    ]
    assert (row["ref"], row["count"]) == (f"refs/relay/{session_id}/heads/outlived", 1)
    assert row["name"] == "outlived"
    world.relay.json("session", "export", session_id, "--to", tmp_path / "purged")
    world.relay.json("session", "export", "outlived", "--to", tmp_path / "by-name")
    unknown = world.relay.fails(3, "session", "export", "nobody", "--to", tmp_path / "x")
    assert "relay project kept alpha" in unknown["hint"]
    for place in ("live", "trashed", "purged", "by-name"):
        assert run_git("rev-parse", "outlived", cwd=tmp_path / place) == made
    error = world.relay.fails(2, "session", "export", session_id, "--to", world.relay.data / "tmp/x")
    assert error["title"] == "That is relay's own directory"


# --- update: in the container ----------------------------------------------------------------------------------------


def test_a_session_is_brought_up_to_date_by_a_merge(world: World) -> None:
    tree = world.session("merged")
    mine = commit(tree, "mine.txt", "m")
    (tree / "mine.txt").write_text("not committed yet")
    news = world.upstream_moves("merged.txt", "n")
    updated = world.relay.json("session", "update", "merged")
    assert (updated["branch"], updated["commit"], updated["count"]) == ("main", news, 1)
    assert world.inside("merged", "git", "log", "-1", "--format=%P") == f"{mine} {news}"
    assert world.inside("merged", "git", "rev-parse", "origin/main") == news
    assert (tree / "mine.txt").read_text() == "not committed yet"
    assert world.relay.json("session", "update", "merged")["count"] == 0


def test_or_by_a_rebase(world: World) -> None:
    tree = world.session("rebased")
    commit(tree, "mine.txt", "m")
    news = world.upstream_moves("rebased.txt", "n")
    done = world.relay.run("session", "update", "rebased", "--rebase")
    assert f"rebased is rebased onto the upstream's main up to {news[:10]}: 1 commit." in done.out
    assert world.inside("rebased", "git", "log", "-1", "--format=%P %s") == f"{news} Write mine.txt"


@pytest.mark.parametrize("how", ["merge", "rebase"])
def test_what_keeps_a_push_back_is_what_an_update_brings_in(world: World, how: str) -> None:
    name = f"shared-{how}"
    commit(world.session(name), "mine.txt", "m")
    world.relay.json("session", "push", name, "--yes")
    run_git("fetch", "--quiet", cwd=world.other)
    run_git("switch", "--quiet", name, cwd=world.other)
    theirs = commit(world.other, "theirs.txt", how)
    run_git("push", "--quiet", "origin", name, cwd=world.other)
    run_git("switch", "--quiet", "main", cwd=world.other)
    world.upstream_moves(f"{how}.txt", "main moves too")
    world.inside(name, "git", "commit", "--quiet", "--allow-empty", "-m", "More of mine")
    error = world.relay.fails(4, "session", "push", name, "--yes")
    assert f"relay session update {name}" in error["hint"]
    rebase = ["--rebase"] if how == "rebase" else []
    done = world.relay.run("session", "update", name, *rebase)
    assert f"the upstream's {name} up to {theirs[:10]}: 1 commit." in done.out, done.err
    assert world.relay.json("session", "push", name, "--yes")["pushed"] is True
    assert world.relay.json("session", "update", name, *rebase)["branch"] == "main"


@pytest.mark.parametrize("how", ["merge", "rebase"])
def test_conflicts_are_told_and_nothing_is_lost(world: World, how: str) -> None:
    name = f"conflict-{how}"
    tree = world.session(name)
    mine = commit(tree, "shared.txt", f"mine {how}\n")
    (tree / "untracked.txt").write_text("precious")
    world.upstream_moves("shared.txt", f"theirs {how}\n")
    error = world.relay.fails(4, "session", "update", name, *(["--rebase"] if how == "rebase" else []))
    assert error["title"] == "1 file conflicts with main"
    assert error["detail"] == "shared.txt\nThe session is unchanged."
    assert f"git {how} origin/main" in error["hint"]
    assert world.inside(name, "git", "rev-parse", "HEAD") == mine
    assert world.inside(name, "git", "status", "--porcelain") == "?? untracked.txt"


def test_a_merge_of_their_own_is_left_alone(world: World) -> None:
    tree = world.session("busy")
    commit(tree, "shared.txt", "busy\n")
    world.upstream_moves("shared.txt", "also busy\n")
    world.relay.fails(4, "session", "update", "busy")
    done = world.relay.run("session", "shell", "busy", "--", "git", "merge", "origin/main")
    assert done.code == 1
    world.upstream_moves("later.txt", "x")
    error = world.relay.fails(4, "session", "update", "busy")
    assert error["title"] == "busy is in the middle of a merge or rebase"
    assert (tree / ".git/MERGE_HEAD").exists()


def test_who_commits_has_to_be_known(world: World) -> None:
    tree = world.session("nameless")
    run_git("config", "--unset", "user.email", cwd=tree)
    commit(tree, "nameless.txt", "x")
    world.upstream_moves("named.txt", "x")
    error = world.relay.fails(4, "session", "update", "nameless")
    assert "user.email" in error["hint"]


def test_what_is_in_the_way_is_told(world: World) -> None:
    tree = world.session("dirty")
    (tree / "blocked.txt").write_text("mine, untracked\n")
    world.upstream_moves("blocked.txt", "theirs\n")
    error = world.relay.fails(4, "session", "update", "dirty")
    assert error["title"] == "dirty cannot merge main" and "blocked.txt" in error["detail"]
    assert (tree / "blocked.txt").read_text() == "mine, untracked\n"


def test_an_image_without_git_is_said(world: World) -> None:
    world.session("gitless", IMAGE)
    world.upstream_moves("gitless.txt", "x")
    error = world.relay.fails(1, "session", "update", "gitless")
    assert error["title"] == "The session's image has no git" and IMAGE in error["detail"]
    world.relay.json("session", "stop", "gitless")
    stopped = world.relay.fails(4, "session", "update", "gitless")
    assert (stopped["title"], stopped["hint"]) == (
        "gitless is not running",
        "Run relay session start gitless to start it first.",
    )


# --- the guard -------------------------------------------------------------------------------------------------------


def test_work_that_is_nowhere_else_is_not_removed(world: World) -> None:
    tree = world.session("guarded", IMAGE)
    made = commit(tree, "g.txt", "g")
    (tree / "g.txt").write_text("changed")
    (tree / "new.txt").write_text("untracked")
    error = world.relay.fails(4, "session", "remove", "guarded")
    assert (error["kind"], error["title"]) == ("unsaved-work", "guarded has unsaved work")
    assert error["detail"].splitlines() == [
        "1 changed file: g.txt",
        "1 untracked file: new.txt",
        f"1 unpushed commit on guarded: {made[:10]} Write g.txt",
    ]
    assert all(word in error["hint"] for word in ("--push", "--keep", "--bundle", "--force"))
    assert (tree / "new.txt").exists()
    error = world.relay.fails(4, "session", "remove", "guarded", "--push")
    assert error["detail"].splitlines()[:2] == ["1 changed file: g.txt", "1 untracked file: new.txt"]
    assert f"Already saved: Pushed guarded ({made[:10]})." in error["detail"]
    world.relay.json("session", "remove", "guarded", "--force")
    back = world.relay.json("session", "restore", "guarded")
    assert Path(str(back["work_dir"]), "new.txt").read_text() == "untracked"


@pytest.mark.parametrize("rescue", ["--push", "--keep", "--bundle"])
def test_rescued_first_it_may_go(world: World, tmp_path: Path, rescue: str) -> None:
    name = f"rescued{rescue[1:]}"
    tree = world.session(name, IMAGE)
    made = commit(tree, "r.txt", rescue)
    if rescue != "--push":
        (tree / "loose.txt").write_text("not committed")
    file = tmp_path / "rescue.bundle"
    done = world.relay.run("session", "remove", name, rescue, *([file] if rescue == "--bundle" else []))
    assert done.code == 0, done.err
    if rescue == "--push":
        assert run_git("rev-parse", name, cwd=world.upstream) == made
        return
    if rescue == "--bundle":
        assert f"git clone {file} DIR" in done.out
        run_git("clone", "--quiet", str(file), str(tmp_path / "out"), cwd=tmp_path)
    else:
        said = done.out.splitlines()[0]
        reference = said.partition("relay session export ")[2].split()[0]
        world.relay.json("session", "export", reference, "--to", tmp_path / "out")
        assert (tmp_path / "out/loose.txt").read_text() == "not committed"
    assert run_git("rev-parse", "HEAD", cwd=tmp_path / "out") == made


def test_what_cannot_be_told_counts_as_unsaved(world: World) -> None:
    tree = world.session("untold", IMAGE)
    (tree / ".git/commondir").write_text("/")
    error = world.relay.fails(4, "session", "remove", "untold")
    assert error["detail"].startswith("unknown: ")
    world.relay.json("session", "remove", "untold", "--force")


def test_a_session_without_work_just_goes(world: World) -> None:
    world.session("clean", IMAGE)
    assert world.relay.run("session", "remove", "clean").out.startswith("Removed clean.")


@pytest.mark.parametrize("as_json", [False, True])
def test_what_landed_by_a_squash_goes_and_it_is_said_why(world: World, as_json: bool) -> None:
    name = f"squashed-{as_json}".lower()
    tree = world.session(name, IMAGE)
    commit(tree, f"{name}-1.txt", "one")
    commit(tree, f"{name}-2.txt", "two")
    run_git("pull", "--quiet", "--rebase", cwd=world.other)
    run_git("fetch", "--quiet", str(tree), name, cwd=world.other)
    run_git("merge", "--quiet", "--squash", "FETCH_HEAD", cwd=world.other)
    run_git("commit", "--quiet", "-m", "Squashed", cwd=world.other)
    run_git("push", "--quiet", "origin", "main", cwd=world.other)
    landed = run_git("rev-parse", "--short=10", "HEAD", cwd=world.other)
    world.relay.json("project", "fetch", "alpha")
    why = f"2 commits of {name} reached main squashed into {landed}."
    if as_json:
        assert world.relay.json("session", "remove", name)["safe"] == [why]
    else:
        assert world.relay.run("session", "remove", name).out.splitlines()[0] == why


def test_a_project_says_what_goes_with_it(world: World) -> None:
    (world.session("doomed", IMAGE) / "precious.txt").write_text("x")
    error = world.relay.fails(4, "project", "remove", "alpha")
    assert "\nSaved work that exists only there and will be deleted:\n" in error["detail"]
    assert "  doomed: 1 untracked file: precious.txt" in error["detail"].splitlines()


# --- planted from inside ---------------------------------------------------------------------------------------------

PLANT = """
mark=$1
printf '#!/bin/sh\\ntouch %s\\ncat\\n' "$mark" >.git/run; chmod +x .git/run; mkdir -p .git/hooks
for hook in pre-push post-checkout reference-transaction post-index-change; do cp .git/run .git/hooks/$hook; done
for key in core.fsmonitor core.sshCommand core.pager core.editor diff.external credential.helper gpg.program \\
    core.alternateRefsCommand uploadpack.packObjectsHook filter.x.clean filter.x.smudge filter.x.process \\
    diff.x.textconv merge.x.driver remote.origin.uploadpack remote.origin.receivepack core.askPass; do
  git config $key "$3/.git/run"
done
git config --add include.path "$2/outside"
git config core.worktree "$2"
echo '* filter=x diff=x merge=x' >.gitattributes
ln -s "$2/outside" link
mkfifo pipe
"""


def test_nothing_that_a_container_planted_runs_or_gets_out(world: World, tmp_path: Path) -> None:
    (tmp_path / "outside").write_text("nobody-may-read-this")
    tree = world.session("hostile")
    commit(tree, "fine.txt", "fine")
    mark = tmp_path / "mark"
    planted = world.relay.run("session", "shell", "hostile", "--", "sh", "-c", PLANT, "sh", mark, tmp_path, tree)
    assert (tree / "link").is_symlink(), planted.err
    assert world.relay.json("session", "push", "hostile", "--yes")["pushed"] is True
    world.relay.json("session", "export", "hostile", "--to", tmp_path / "out")
    world.relay.json("project", "fetch", "alpha")
    error = world.relay.fails(4, "session", "remove", "hostile")
    assert error["kind"] == "unsaved-work"
    for command in (("stop", "hostile"), ("start", "hostile"), ("show", "hostile"), ("remove", "hostile", "--keep")):
        done = world.relay.run("session", *command)
        assert done.code == 0, (command, done.err)
    world.relay.json("session", "restore", "hostile")
    bundle = world.relay.run("session", "remove", "hostile", "--bundle", tmp_path / "out.bundle")
    assert bundle.code == 0, bundle.err
    assert not mark.exists()
    assert (tmp_path / "out/link").readlink() == tmp_path / "outside"
    held = [path for path in (tmp_path / "out").rglob("*") if path.is_file() and not path.is_symlink()]
    assert [path for path in held if b"nobody-may-read-this" in path.read_bytes()] == []
    assert run_git("log", "--all", "-S", "nobody-may-read-this", "--oneline", cwd=tmp_path / "out") == ""
    (gone,) = (path for path in (world.relay.data / "trash").iterdir() if path.name.startswith(tree.name))
    tree.parent.mkdir(exist_ok=True)
    gone.rename(tree)
    subprocess.run(("git", "status"), cwd=tree, capture_output=True, check=False)
    assert mark.exists(), "nothing was planted"
