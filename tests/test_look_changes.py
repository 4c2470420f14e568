"""Changes of a session: each kind is reported correctly, and unsaved work is listed."""

from __future__ import annotations

import hashlib
import os
import subprocess
from pathlib import Path

import pytest
from look_bench import Bench, bench, run_git

from relay_tui.domain.changes import ChangeKind, ContentKind, DiffBase, FileChange
from relay_tui.domain.errors import NotComparableError
from relay_tui.domain.unsaved_work import RemovalCheck, Risk, RiskKind

_LFS = b"large" * 1000


def _pointer(content: bytes) -> str:
    digest = hashlib.sha256(content).hexdigest()
    return f"version https://git-lfs.github.com/spec/v1\noid sha256:{digest}\nsize {len(content)}\n"


@pytest.fixture
def here(tmp_path: Path) -> Bench:
    long = "".join(f"line {number}\n" for number in range(50))
    return bench(
        tmp_path,
        files={
            "a": "1\n2\n3\n",
            "b": "2\n",
            "moved": long,
            "script": "echo\n",
            "picture": b"\0\1\2",
            "asset": _pointer(_LFS),
            "same": _pointer(_LFS),
            "link": "not a link yet\n",
        },
    )


def _told(here: Bench, against: DiffBase = DiffBase.HEAD) -> dict[str, FileChange]:
    return {file.path: file for file in here.look.changes(here.clone, against).files}


def test_each_file_is_told_as_what_it_is(here: Bench) -> None:
    here.write("a", "1\ntwo\n3\n4\n")
    (here.tree / "b").unlink()
    (here.tree / "moved").rename(here.tree / "elsewhere")
    here.git("add", "-A")
    here.git("commit", "-qm", "moved")
    here.git("reset", "-q", "--soft", "HEAD~1")
    (here.tree / "script").chmod(0o755)
    here.write("picture", b"\0\1\3")
    here.write("asset", _LFS + b"!")
    here.write("same", _LFS)
    (here.tree / "link").unlink()
    (here.tree / "link").symlink_to("/etc/passwd")
    here.write("new dir/[x] $(id)\n", "one\ntwo")
    here.write("huge", b"x\n" * (5 << 20))
    here.git("add", "-N", "huge")
    told = _told(here)
    assert (told["a"].change, told["a"].added, told["a"].deleted) == (ChangeKind.MODIFIED, 2, 1)
    assert (told["b"].change, told["b"].deleted) == (ChangeKind.DELETED, 1)
    assert (told["script"].change, told["script"].added) == (ChangeKind.MODE, 0)
    assert (told["picture"].content, told["picture"].added) == (ContentKind.BINARY, None)
    assert (told["asset"].content, told["asset"].size) == (ContentKind.LFS, len(_LFS) + 1)
    assert "same" not in told
    assert (told["link"].change, told["link"].content) == (ChangeKind.TYPE, ContentKind.SYMLINK)
    new = told["new dir/[x] $(id)\n"]
    assert (new.change, new.added, new.size) == (ChangeKind.UNTRACKED, 2, 7)
    assert told["huge"].content is ContentKind.HUGE


def test_rename_is_one_change_and_has_one_patch(here: Bench) -> None:
    here.git("mv", "moved", "elsewhere")
    here.git("commit", "-qm", "move")
    here.write("elsewhere", (here.tree / "elsewhere").read_text() + "more\n")
    told = _told(here, DiffBase.BRANCH_POINT)
    assert list(told) == ["elsewhere"]
    assert (told["elsewhere"].change, told["elsewhere"].old_path, told["elsewhere"].added) == (
        ChangeKind.RENAMED,
        "moved",
        1,
    )
    patch = here.look.patch(here.clone, DiffBase.BRANCH_POINT, "elsewhere")
    assert b"rename from moved" in patch.text and b"+more" in patch.text


def test_patch_of_all_can_be_applied(here: Bench) -> None:
    """Changed, deleted, added and untracked files are the same after the patch was applied elsewhere."""
    here.write("a", "1\ntwo\n3\n")
    (here.tree / "b").unlink()
    here.write("new/un tracked", "no end")
    here.write('quo"ted\t', "x\n")
    here.write("run", "#!/bin/sh\n").chmod(0o755)
    (here.tree / "to").symlink_to("a b/c")
    here.write("empty", "")
    patch = here.look.patch(here.clone, DiffBase.HEAD)
    other = here.upstream.parent / "other"
    subprocess.run(("git", "clone", "-q", str(here.upstream), str(other)), check=True)
    subprocess.run(("git", "-C", str(other), "apply", "-"), input=patch.text, check=True)
    assert (other / "a").read_text() == "1\ntwo\n3\n" and not (other / "b").exists()
    assert (other / "new/un tracked").read_text() == "no end"
    assert (other / 'quo"ted\t').read_text() == "x\n"
    assert os.access(other / "run", os.X_OK) and (other / "to").readlink() == Path("a b/c")
    assert (other / "empty").read_bytes() == b""


def test_patch_is_cut_where_the_limit_says(here: Bench) -> None:
    here.write("a", "x" * 10_000)
    here.write("new", "y\n" * 10_000)
    for path in ("a", "new", ""):
        patch = here.look.patch(here.clone, DiffBase.HEAD, path, limit=500)
        assert patch.cut and len(patch.text) == 500


def test_patch_of_a_file_changed_since_is_of_what_it_is_now(here: Bench) -> None:
    here.write("a", "one\n")
    here.look.changes(here.clone, DiffBase.HEAD)
    here.write("a", "newer\n")
    here.write("b", "changed since\n")
    assert b"+newer" in here.look.patch(here.clone, DiffBase.HEAD, "a").text
    assert b"+changed since" in here.look.patch(here.clone, DiffBase.HEAD, "b").text


def test_conflict_and_what_git_was_told_of(here: Bench) -> None:
    here.git("checkout", "-qb", "other")
    here.commit("a", "theirs\n", "theirs")
    here.git("checkout", "-q", "main")
    here.commit("a", "ours\n", "ours")
    here.git("merge", "other")
    here.write("told", "x\n")
    here.git("add", "told")
    told = _told(here)
    assert told["a"].change is ChangeKind.CONFLICTED and told["told"].change is ChangeKind.ADDED
    assert b"+<<<<<<<" in here.look.patch(here.clone, DiffBase.HEAD, "a").text


@pytest.mark.parametrize("staged", [True, False])
def test_a_move_that_is_not_committed_is_a_rename(here: Bench, staged: bool) -> None:
    for old, new in (("moved", "deep/er place"), ("picture", "photo"), ("script", "runs"), ("a", "a2")):
        (here.tree / new).parent.mkdir(exist_ok=True)
        (here.tree / old).rename(here.tree / new)
    (here.tree / "runs").chmod(0o755)  # more than a move
    here.write("a2", "1\n2\n4\n")  # as many bytes, another content
    here.write("copy", (here.tree / "photo").read_bytes())
    if staged:
        here.git("add", "-A", "--", "deep", "photo", "moved", "picture")
    for against in (DiffBase.HEAD, DiffBase.BRANCH_POINT):
        told = _told(here, against)
        there = told["deep/er place"]
        assert (there.change, there.old_path, there.added, there.deleted) == (ChangeKind.RENAMED, "moved", 0, 0)
        pictures = [told[path] for path in ("copy", "photo")]
        assert [file.old_path for file in pictures if file.change is ChangeKind.RENAMED] == ["picture"]
        assert {told[path].change for path in ("script", "a")} == {ChangeKind.DELETED}
        assert told["runs"].change is told["a2"].change is ChangeKind.UNTRACKED
        assert "moved" not in told and "picture" not in told
    one = here.look.patch(here.clone, DiffBase.HEAD, "deep/er place").text
    assert one.decode().split("\n")[1:] == [
        "similarity index 100%",
        "rename from moved",
        "rename to deep/er place",
        "",
    ]
    text = here.look.patch(here.clone, DiffBase.HEAD).text
    assert one in text and b"line 1\n" not in text
    before = {path.name: path.read_bytes() for path in (here.tree / "deep").iterdir()}
    here.git("stash", "-qu")
    text = here.look.patch(here.clone, DiffBase.HEAD).text + one
    subprocess.run(("git", "-C", str(here.tree), "apply", "-"), input=text, check=True)
    assert {path.name: path.read_bytes() for path in (here.tree / "deep").iterdir()} == before


def test_against_the_branch_point_and_the_upstream(tmp_path: Path) -> None:
    here = bench(tmp_path, new_branch="topic")
    here.commit("mine", "x\n", "mine")
    other = here.upstream.parent / "other"
    subprocess.run(("git", "clone", "-q", str(here.upstream), str(other)), check=True)
    (other / "theirs").write_text("quite another thing\n")
    run_git(other, "add", ".")
    run_git(other, "commit", "-qm", "theirs")
    run_git(other, "push", "-q")
    here.fetch()
    assert list(_told(here)) == []
    assert list(_told(here, DiffBase.BRANCH_POINT)) == ["mine"]
    with pytest.raises(NotComparableError, match="topic has no upstream yet"):
        _told(here, DiffBase.UPSTREAM)
    here.git("config", "branch.topic.remote", "origin")
    here.git("config", "branch.topic.merge", "refs/heads/main")
    assert {path: file.change for path, file in _told(here, DiffBase.UPSTREAM).items()} == {
        "mine": ChangeKind.ADDED,
        "theirs": ChangeKind.DELETED,
    }


# --- what would be lost ----------------------------------------------------------------------------------------------


def _risks(guarded: RemovalCheck) -> dict[tuple[RiskKind, str], Risk]:
    return {(risk.hazard, risk.branch): risk for risk in guarded.risks}


def test_clean_clone_risks_nothing(here: Bench) -> None:
    assert here.look.guard(here.clone) == RemovalCheck()


def test_every_kind_of_work_is_counted_and_named(here: Bench) -> None:
    here.write("a", "stashed\n")
    here.git("stash", "push", "-qm", "for later")
    here.git("checkout", "-qb", "other")
    first = here.commit("o", "x", "one")
    here.commit("o", "y", "two")
    here.git("checkout", "-q", "--detach", "main")
    loose = here.commit("d", "x", "detached")
    here.write("a", "dirty\n")
    here.write("new", "x")
    here.write(".gitignore", "built/\nsmall\n")
    here.write("small", "x")
    here.write("built/deep/large", b"\0" * (11 << 20))
    risks = _risks(here.look.guard(here.clone))
    assert risks[RiskKind.DIRTY, ""].examples == ("a",)
    assert risks[RiskKind.UNTRACKED, ""].examples == (".gitignore", "new")
    assert (risks[RiskKind.IGNORED, ""].examples, risks[RiskKind.IGNORED, ""].size) == (("built/",), 11 << 20)
    assert risks[RiskKind.STASHED, ""].count == 1 and "for later" in risks[RiskKind.STASHED, ""].examples[0]
    other = risks[RiskKind.UNPUSHED, "other"]
    assert other.count == 2 and other.examples[1] == f"{first[:10]} one"
    assert risks[RiskKind.UNPUSHED, "a detached HEAD"].examples == (f"{loose[:10]} detached",)
    assert len(risks) == 6


@pytest.mark.parametrize("how", ["pushed", "squash", "rebase", "content", "partly"])
def test_work_that_reached_the_upstream_is_safe_and_says_how(tmp_path: Path, how: str) -> None:
    here = bench(tmp_path, new_branch="topic", files={"a": "1\n2\n3\n4\n5\n", "b": "b\n"})
    here.commit("a", "1\ntwo\n3\n4\n5\n", "first")
    here.commit("n", "new\n", "second")
    other = here.upstream.parent / "other"
    subprocess.run(("git", "clone", "-q", str(here.upstream), str(other)), check=True)
    (other / "b").write_text("moved on\n")
    run_git(other, "commit", "-qam", "upstream moves on")
    run_git(other, "fetch", "-q", str(here.tree), "topic")
    if how == "pushed":
        here.git("push", "-q", "origin", "topic")
    elif how == "squash":
        run_git(other, "merge", "-q", "--squash", "FETCH_HEAD")
        run_git(other, "commit", "-qm", "squashed")
        (other / "n").write_text("changed again since\n")
        run_git(other, "commit", "-qam", "on it goes")
    elif how == "content":
        (other / "a").write_text("1\ntwo\n3\n4\n5\n")
        (other / "n").write_text("new\n")
        (other / "more").write_text("x\n")
        run_git(other, "add", ".")
        run_git(other, "commit", "-qm", "with more")
    else:
        run_git(other, "cherry-pick", "FETCH_HEAD~1")
        if how == "rebase":
            run_git(other, "cherry-pick", "FETCH_HEAD")
    run_git(other, "push", "-q", "origin", "main")
    here.fetch()
    guarded = here.look.guard(here.clone)
    if how == "partly":
        assert _risks(guarded)[RiskKind.UNPUSHED, "topic"].count == 1
        assert guarded.safe == ("1 of 2 commits of topic are in the upstream as the same changes.",)
        return
    assert guarded.risks == ()
    words = {"pushed": "", "squash": "squashed into", "rebase": "rebased", "content": "by content"}[how]
    assert words in "".join(guarded.safe) and bool(guarded.safe) is (how != "pushed")


def test_upstream_branch_that_lies_makes_nothing_safe(tmp_path: Path) -> None:
    here = bench(tmp_path, new_branch="topic")
    mine = here.commit("m", "x", "mine")
    for name in ("refs/remotes/origin/main", "refs/remotes/origin/topic"):
        here.git("update-ref", name, mine)
    assert _risks(here.look.guard(here.clone))[RiskKind.UNPUSHED, "topic"].count == 1


@pytest.mark.parametrize("kind", ["blob", "tree", "inner tree", "commit", "tag", "tag of a blob"])
def test_forged_objects_make_nothing_safe(tmp_path: Path, kind: str) -> None:
    """The upstream got somebody else's work; the session's objects pretend that it was its own."""
    here = bench(tmp_path, new_branch="topic")
    begun = here.git("rev-parse", "HEAD")
    other = here.upstream.parent / "other"
    subprocess.run(("git", "clone", "-q", str(here.upstream), str(other)), check=True)
    (other / "d/c").write_text("theirs\n")
    run_git(other, "commit", "-qam", "theirs")
    run_git(other, "push", "-q", "origin", "main")
    here.fetch()
    here.commit("d/c", "mine\n", "mine")
    mine, tree, inner, blob = (here.git("rev-parse", f"HEAD{what}") for what in ("", "^{tree}", ":d", ":d/c"))
    here.git("checkout", "-q", "main")
    if kind == "blob":
        here.forge(blob, "blob", b"theirs\n")
    elif kind == "tree":
        here.forge(tree, "tree", here.raw("tree", "main"))
    elif kind == "inner tree":
        here.forge(inner, "tree", here.raw("tree", "main:d"))
    elif kind == "commit":
        here.forge(mine, "commit", here.raw("commit", "main"))
    else:
        here.git("tag", "v9", mine)
        here.git("branch", "-qD", "topic")
        tag = f"object {begun}\ntype commit\ntag v9\ntagger Ada <a@b> 1 +0000\n\nmine\n".encode()
        here.forge(mine, *(("tag", tag) if kind == "tag" else ("blob", b"nothing to see\n")))
    guarded = here.look.guard(here.clone)
    assert any(risk.hazard in (RiskKind.UNPUSHED, RiskKind.UNKNOWN) for risk in guarded.risks)
    assert guarded.safe == ()
    assert not list(here.clone.shadow_dir.glob("verified-*"))


def test_what_cannot_be_told_is_a_risk(here: Bench) -> None:
    (here.tree / ".git/objects/info").mkdir(exist_ok=True)
    (here.tree / ".git/objects/info/alternates").write_text("/elsewhere\n")
    guarded = here.look.guard(here.clone)
    assert [risk.hazard for risk in guarded.risks] == [RiskKind.UNKNOWN]
    assert "outside the clone" in guarded.risks[0].reason


def test_eye_goes_with_the_clone(here: Bench) -> None:
    assert here.clone.shadow_dir.exists()
    here.look.forget(here.clone)
    assert not here.clone.shadow_dir.parent.exists()
