"""Status of a session: it comes from git, and forged repository content is not believed."""

from __future__ import annotations

import hashlib
import os
import subprocess
import threading
from pathlib import Path

import pytest
from look_bench import Bench, bench

from relay_tui.adapters.git.inspection.adapter import GitInspector
from relay_tui.adapters.git.untrusted import sandbox
from relay_tui.domain.changes import CloneStatus
from relay_tui.domain.errors import UnknownStateError
from relay_tui.domain.unsaved_work import RiskKind


@pytest.fixture
def here(tmp_path: Path) -> Bench:
    return bench(tmp_path)


def _counts(facts: CloneStatus) -> tuple[int, int, int, int, int]:
    return facts.changed, facts.added, facts.deleted, facts.untracked, facts.conflicted


def test_fresh_clone_has_nothing_to_tell(here: Bench) -> None:
    facts = here.look.facts(here.clone)
    assert _counts(facts) == (0, 0, 0, 0, 0)
    assert (facts.branch, facts.upstream, facts.ahead, facts.behind, facts.unpushed) == ("main", "main", 0, 0, 0)
    assert facts.last is not None and facts.last.hash == facts.head == here.git("rev-parse", "HEAD")
    assert facts.notes == () and not facts.dirty


def test_counts_each_kind_once(here: Bench) -> None:
    here.write("a", "changed\n")
    (here.tree / "b").unlink()
    here.write("new/added", "x")
    here.git("add", "new/added")
    here.write("new dir/x", "x")
    here.write("new dir/y", "y")
    here.write("loose\nname", "x")
    facts = here.look.facts(here.clone)
    assert _counts(facts) == (1, 1, 1, 2, 0)
    here.write("new/beside", "x")
    assert _counts(here.look.facts(here.clone)) == (1, 1, 1, 3, 0)


def test_what_is_staged_alone_is_not_forgotten(here: Bench) -> None:
    here.write("a", "staged\n")
    here.git("add", "a")
    here.write("a", "1\n")
    here.write("gone", "x")
    here.git("add", "gone")
    (here.tree / "gone").unlink()
    here.git("rm", "-q", "--cached", "b")
    facts = here.look.facts(here.clone)
    assert _counts(facts) == (1, 1, 1, 0, 0)
    assert facts.notes == ("3 files are staged with other content than on disk.",)


def test_stashes_and_commits_on_every_branch_count(here: Bench) -> None:
    for number in range(2):
        here.write("a", f"stashed {number}\n")
        here.git("stash")
    here.git("checkout", "-qb", "other")
    here.commit("o", "x", "on another branch")
    here.git("checkout", "-q", "main")
    here.commit("m", "x", "on main")
    facts = here.look.facts(here.clone)
    assert (facts.stashes, facts.unpushed, facts.ahead, facts.behind) == (2, 2, 1, 0)
    assert facts.last is not None and (facts.last.subject, facts.last.author) == ("on main", "Ada")


def test_commit_under_a_stash_alone_counts(here: Bench) -> None:
    here.commit("m", "x", "soon without a branch")
    here.write("a", "stashed")
    here.git("stash")
    here.git("reset", "-q", "--hard", "HEAD~1")
    assert here.look.facts(here.clone).unpushed == 1


def test_behind_is_told_by_what_the_host_fetched(here: Bench) -> None:
    other = here.upstream.parent / "other"
    subprocess.run(("git", "clone", "-q", str(here.upstream), str(other)), check=True)
    (other / "u").write_text("x")
    here.git("add", ".", at=other)
    here.git("commit", "-qm", "upstream moves", at=other)
    here.git("push", "-q", at=other)
    here.commit("m", "x", "ours")
    assert here.look.facts(here.clone).behind == 0
    here.fetch()
    facts = here.look.facts(here.clone)
    assert (facts.ahead, facts.behind, facts.unpushed) == (1, 1, 1)


def test_new_branch_follows_none_until_the_remote_has_it(tmp_path: Path) -> None:
    here = bench(tmp_path, new_branch="feature/x")
    here.commit("m", "x", "ours")
    facts = here.look.facts(here.clone)
    assert (facts.branch, facts.upstream, facts.ahead, facts.unpushed) == ("feature/x", "", None, 1)
    here.git("push", "-q", "origin", "feature/x")
    here.fetch()
    facts = here.look.facts(here.clone)
    assert (facts.upstream, facts.ahead, facts.behind, facts.unpushed) == ("feature/x", 0, 0, 0)


def test_detached_orphaned_and_conflicted(here: Bench) -> None:
    here.git("checkout", "-qb", "other")
    here.commit("a", "theirs\n", "theirs")
    here.git("checkout", "-q", "main")
    here.commit("a", "ours\n", "ours")
    here.git("merge", "other")
    facts = here.look.facts(here.clone)
    assert _counts(facts) == (0, 0, 0, 0, 1)
    assert facts.notes == ("A merge is in progress.",)
    here.git("merge", "--abort")
    here.git("checkout", "-q", "--detach", "other")
    facts = here.look.facts(here.clone)
    assert (facts.branch, facts.head, facts.ahead) == ("", here.git("rev-parse", "other"), None)
    here.git("checkout", "-q", "--orphan", "fresh")
    facts = here.look.facts(here.clone)
    assert (facts.branch, facts.head, facts.last, facts.added) == ("fresh", "", None, 3)
    here.git("checkout", "-qf", "main")
    assert _counts(here.look.facts(here.clone)) == (0, 0, 0, 0, 0)


def test_lies_are_not_believed(here: Bench) -> None:
    """Bits that hide changes, a remote's branch that pretends to have all, a commit replaced by another."""
    base = here.git("rev-parse", "HEAD")
    mine = here.commit("m", "x", "unpushed")
    here.git("update-ref", "refs/remotes/origin/main", mine)
    here.git("replace", mine, base)
    here.git("update-index", "--assume-unchanged", "a")
    here.git("update-index", "--skip-worktree", "b")
    here.write("a", "changed in secret\n")
    here.write("b", "changed in secret\n")
    (here.tree / ".git/info").mkdir(exist_ok=True)
    (here.tree / ".git/info/exclude").write_text("*\n")
    (here.tree / ".git/info/grafts").write_text(f"{mine}\n")
    (here.tree / ".git/shallow").write_text(f"{mine}\n")
    here.write("hidden", "x")
    facts = here.look.facts(here.clone)
    assert _counts(facts) == (2, 0, 0, 1, 0)
    assert (facts.unpushed, facts.ahead) == (1, 1)
    assert facts.last is not None and facts.last.subject == "unpushed"


def _pointer(content: bytes) -> str:
    digest = hashlib.sha256(content).hexdigest()
    return f"version https://git-lfs.github.com/spec/v1\noid sha256:{digest}\nsize {len(content)}\n"


def test_lfs_file_is_compared_with_its_pointer(tmp_path: Path) -> None:
    content = b"large" * 1000
    files: dict[str, str | bytes] = {".gitattributes": "*.bin filter=lfs -text\n"}
    files |= {"one.bin": _pointer(content), "two.bin": _pointer(content), "note": "x\n"}
    here = bench(tmp_path, files=files)
    here.write("one.bin", content)
    here.write("two.bin", content[:-1] + b"!")
    assert here.look.facts(here.clone).changed == 1
    here.write("one.bin", content[:-1])
    assert here.look.facts(here.clone).changed == 2


def test_submodules_and_linked_worktrees_are_said_not_to_count(here: Bench) -> None:
    here.git("worktree", "add", "-q", "../linked")
    here.write(".gitmodules", "")
    notes = here.look.facts(here.clone).notes
    assert any("submodules" in note for note in notes)
    assert any("linked worktrees" in note for note in notes)


def test_eye_is_made_anew_and_never_from_what_the_session_says(here: Bench) -> None:
    here.git("update-index", "--assume-unchanged", "a")
    here.write("a", "changed\n")
    for path in (*here.clone.shadow_dir.rglob("*"), here.clone.shadow_dir):
        if path.is_file():
            path.unlink()
    subprocess.run(("rm", "-rf", str(here.clone.shadow_dir)), check=True)
    assert here.look.facts(here.clone).changed == 1
    assert here.clone.shadow_dir.stat().st_mode & 0o777 == 0o700


def test_many_look_at_once(here: Bench) -> None:
    here.write("a", "changed\n")
    seen: list[object] = []

    def look() -> None:
        try:
            seen.append(GitInspector(timeout=10).facts(here.clone).changed)
        except UnknownStateError as error:
            seen.append(error.detail)

    threads = [threading.Thread(target=look) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [1] * 6


@pytest.mark.parametrize(
    ("name", "reason"),
    [(".gitignore", "pipe"), (".gitattributes", "pipe"), ("nested/.git/HEAD", "pipe")],
)
def test_pipe_in_the_tree_does_not_hang_it(here: Bench, name: str, reason: str) -> None:
    if "/" in name:
        subprocess.run(("git", "init", "-q", str(here.tree / "nested")), check=True)
        (here.tree / name).unlink()
    os.mkfifo(here.tree / name)
    with pytest.raises(UnknownStateError) as caught:
        here.look.facts(here.clone)
    assert reason in caught.value.detail


def test_broken_objects_are_unknown_with_a_reason(here: Bench) -> None:
    mine = here.commit("m", "x", "soon broken")
    loose = here.tree / ".git/objects" / mine[:2] / mine[2:]
    loose.chmod(0o644)
    loose.write_bytes(b"garbage")
    with pytest.raises(UnknownStateError) as caught:
        here.look.facts(here.clone)
    assert "git" in caught.value.detail and caught.value.hint


@pytest.mark.parametrize("walls", [sandbox.NoSandbox(), sandbox.Bubblewrap()])
def test_weaker_walls_answer_the_same(here: Bench, walls: sandbox.Sandbox) -> None:
    here.write("a", "changed\n")
    mine = here.look.facts(here.clone)
    weaker = GitInspector(timeout=10, sandbox=walls)
    assert weaker.facts(here.clone) == mine
    assert weaker.confinement() == walls.description
    assert mine.changed == 1


def test_walls_keep_git_in(here: Bench) -> None:
    """Inside the sandbox git can neither read nor write files beside the clone."""
    secret = here.tree.parent / "secret"
    secret.write_text("s3cret")
    walls = sandbox.best_sandbox()
    assert not isinstance(walls, sandbox.NoSandbox)
    room = sandbox.SandboxPaths((here.tree, here.clone.base / "objects"), here.clone.shadow_dir)
    inside = "cat $0/a; echo x >$1/written"
    outside = f"cat {secret}; echo x >$0/written; echo x >{secret}; ls {here.clone.base}/refs; cat /etc/passwd"
    process = walls.start(
        ("/bin/sh", "-c", f"{inside}; {outside}", str(here.tree), str(here.clone.shadow_dir)), {}, room
    )
    said, complaints = process.communicate(timeout=10)
    assert said == b"1\n"
    assert complaints.count(b"\n") >= 4
    assert secret.read_text() == "s3cret"
    assert (here.clone.shadow_dir / "written").exists() and not (here.tree / "written").exists()


@pytest.mark.parametrize("where", ["main", "--detach"])
def test_objects_planted_under_the_upstreams_names_are_not_believed(here: Bench, where: str) -> None:
    """The upstream's own commit, forged in the session's store, names the session's work as its parent."""
    theirs = here.git("rev-parse", "HEAD")
    here.git("checkout", "-q", where)
    here.commit("m", "x", "unpushed")
    here.git("commit", "-q", "--allow-empty", "-m", "another")
    forged = here.git("cat-file", "commit", theirs).replace(
        "\nauthor", f"\nparent {here.git('rev-parse', 'HEAD')}\nauthor"
    )
    here.unpack(here.tree / ".git")
    here.forge(theirs, "commit", f"{forged}\n".encode())
    assert "unpushed" in here.git("log", "--format=%s", theirs)
    here.unpack(here.clone.base)
    try:
        facts = here.look.facts(here.clone)
    except UnknownStateError:
        facts = None
    assert facts is None or facts.unpushed == 2
    assert any(risk.hazard in (RiskKind.UNPUSHED, RiskKind.UNKNOWN) for risk in here.look.guard(here.clone).risks)


def test_annotated_tag_and_tag_of_no_commit(here: Bench) -> None:
    here.git("checkout", "-q", "--detach")
    here.commit("m", "x", "tagged")
    here.git("tag", "-a", "-m", "mine", "v9")
    here.git("tag", "blob", here.git("rev-parse", "HEAD:m"))
    here.git("checkout", "-q", "main")
    assert here.look.facts(here.clone).unpushed == 1
    assert [risk.branch for risk in here.look.guard(here.clone).risks] == ["tags/v9"]
