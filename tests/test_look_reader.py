"""Reading of a session's untrusted `.git`: planted content is refused with a reason."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from relay_tui.adapters.git.untrusted import files as clone_files
from relay_tui.adapters.git.untrusted import gitdir
from relay_tui.domain.errors import UnknownStateError


def git(tree: Path, *arguments: str) -> str:
    """Run git as a session would."""
    who = ("-c", "user.name=A", "-c", "user.email=a@example.org")
    done = subprocess.run(("git", *who, "-C", str(tree), *arguments), capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A clone with two branches, a tag, a remote's branch and two stashes."""
    path = tmp_path / "clone"
    subprocess.run(("git", "init", "-q", "-b", "main", str(path)), check=True)
    (path / "a").write_text("1\n")
    git(path, "add", ".")
    git(path, "commit", "-qm", "first")
    git(path, "branch", "feature/x")
    git(path, "tag", "v1")
    git(path, "update-ref", "refs/remotes/origin/main", "main")
    git(path, "symbolic-ref", "refs/remotes/origin/HEAD", "refs/remotes/origin/main")
    for number in range(2):
        (path / "a").write_text(f"stashed {number}\n")
        git(path, "stash")
    return path


def test_reads_what_git_wrote(tree: Path) -> None:
    commit = git(tree, "rev-parse", "HEAD")
    with gitdir.open_clone(tree) as clone:
        assert clone.head() == gitdir.Head("main", commit)
        assert clone.heads == {"refs/heads/main": commit, "refs/heads/feature/x": commit}
        assert set(clone.work) == {"refs/heads/main", "refs/heads/feature/x", "refs/tags/v1"}
        assert clone.refs["refs/remotes/origin/HEAD"] == commit
        assert clone.stashes() == git(tree, "stash", "list", "--format=%H").splitlines()
        assert b"[core]" in clone.config()
        assert clone.index() == (tree / ".git/index").read_bytes()
        clone.check()
        files = {f"{file.directory}/{file.name}" for file in clone.object_files()}
    assert f"{commit[:2]}/{commit[2:]}" in files


def test_packed_and_loose_are_one(tree: Path) -> None:
    git(tree, "pack-refs", "--all")
    (tree / "a").write_text("2\n")
    git(tree, "commit", "-qam", "second")
    with gitdir.open_clone(tree) as clone:
        assert clone.heads["refs/heads/main"] == git(tree, "rev-parse", "main")
        assert clone.heads["refs/heads/feature/x"] == git(tree, "rev-parse", "feature/x")
        assert len(clone.stashes()) == 2


def test_detached_unborn_and_under_way(tree: Path) -> None:
    commit = git(tree, "rev-parse", "HEAD")
    git(tree, "checkout", "-q", "--detach")
    (tree / ".git/MERGE_HEAD").write_text(commit)
    with gitdir.open_clone(tree) as clone:
        assert clone.head() == gitdir.Head("", commit)
        assert clone.unfinished_operations() == ["A merge is in progress"]
    git(tree, "symbolic-ref", "HEAD", "refs/heads/new")
    with gitdir.open_clone(tree) as clone:
        assert clone.head() == gitdir.Head("new", "")


def test_object_is_opened_by_its_file(tree: Path) -> None:
    with gitdir.open_clone(tree) as clone:
        file = next(clone.object_files())
        with clone.open_object(file) as descriptor:
            assert (
                clone_files.read_descriptor(descriptor, 1 << 20)
                == (tree / ".git/objects" / file.directory / file.name).read_bytes()
            )
        (tree / ".git/objects" / file.directory / file.name).unlink()
        with pytest.raises(FileNotFoundError), clone.open_object(file):
            pass


def _instead(name: str, make: Callable[[Path], object]) -> Callable[[Path], None]:
    """Puts something else where a file or directory of `.git` was."""

    def plant(tree: Path) -> None:
        path = tree / ".git" / name if name else tree / ".git"
        if path.is_dir() and not path.is_symlink():
            path.rename(tree.parent / "moved")
        else:
            path.unlink(missing_ok=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        make(path)

    return plant


def _link_to_moved(path: Path) -> None:
    path.symlink_to(next(p for p in path.parents if (p / "moved").exists()) / "moved")


def _file(text: str) -> Callable[[Path], object]:
    return lambda path: path.write_text(text)


def _link_an_object(tree: Path) -> None:
    loose = next(p for p in (tree / ".git/objects").glob("??/*"))
    shutil.move(loose, tree / "object")
    loose.symlink_to(tree / "object")


def _pipe_an_object(tree: Path) -> None:
    loose = next(p for p in (tree / ".git/objects").glob("??/*"))
    loose.unlink()
    os.mkfifo(loose)


PLANTS: dict[str, tuple[Callable[[Path], None], str]] = {
    "git is a file": (_instead("", _file("gitdir: /elsewhere\n")), r"\.git is a file, not a directory"),
    "git is a link": (_instead("", _link_to_moved), r"\.git is a symbolic link"),
    "HEAD is a link": (_instead("HEAD", lambda p: p.symlink_to("/etc/hostname")), r"HEAD is a symbolic link"),
    "HEAD is a pipe": (_instead("HEAD", os.mkfifo), r"HEAD is a pipe"),
    "HEAD is a directory": (_instead("HEAD", Path.mkdir), r"HEAD is a directory"),
    "HEAD is missing": (lambda tree: (tree / ".git/HEAD").unlink(), r"HEAD does not exist"),
    "HEAD is nonsense": (_instead("HEAD", _file("--upload-pack=x\n")), r"neither a branch nor a commit"),
    "HEAD is huge": (_instead("HEAD", _file("a" * 9000)), r"HEAD is larger than"),
    "refs are a link": (_instead("refs", _link_to_moved), r"refs is a symbolic link"),
    "a ref is a pipe": (_instead("refs/heads/main", os.mkfifo), r"main is a pipe"),
    "a ref is nonsense": (_instead("refs/heads/main", _file("$(id)\n")), r"main does not name a commit"),
    "refs nest": (lambda tree: (tree / ".git/refs" / "/".join("d" * 40)).mkdir(parents=True), r"nested too deep"),
    "packed-refs is a pipe": (_instead("packed-refs", os.mkfifo), r"packed-refs is a pipe"),
    "packed-refs is huge": (_instead("packed-refs", lambda p: os.truncate(_touched(p), 1 << 40)), r"larger than"),
    "packed-refs is nonsense": (_instead("packed-refs", _file("hello\n")), r"not in git's format"),
    "config is a pipe": (_instead("config", os.mkfifo), r"config is a pipe"),
    "config is a link": (_instead("config", lambda p: p.symlink_to("/etc/passwd")), r"config is a symbolic link"),
    "index is a pipe": (_instead("index", os.mkfifo), r"index is a pipe"),
    "index is a link": (_instead("index", lambda p: p.symlink_to("/etc/passwd")), r"index is a symbolic link"),
    "objects are a link": (_instead("objects", _link_to_moved), r"objects is a symbolic link"),
    "an object is a link": (_link_an_object, r"is not a file"),
    "an object is a pipe": (_pipe_an_object, r"is not a file"),
    "pack is a link": (_instead("objects/pack", _link_to_moved), r"pack is neither"),
    "alternates": (_instead("objects/info/alternates", _file("/elsewhere\n")), r"objects outside the clone"),
    "http-alternates": (_instead("objects/info/http-alternates", _file("http://x\n")), r"objects outside the clone"),
    "commondir": (_instead("commondir", _file("/elsewhere\n")), r"commondir"),
    "reftable": (_instead("reftable", Path.mkdir), r"reftable"),
    "a stash log is a pipe": (_instead("logs/refs/stash", os.mkfifo), r"stash is a pipe"),
}


def _touched(path: Path) -> Path:
    path.touch()
    return path


@pytest.mark.parametrize("name", PLANTS)
def test_planted_is_refused_with_the_reason(tree: Path, name: str) -> None:
    plant, reason = PLANTS[name]
    plant(tree)
    with pytest.raises(UnknownStateError) as caught, gitdir.open_clone(tree) as clone:
        clone.check()
        clone.head()
        clone.stashes()
        clone.config()
        clone.index()
    assert caught.value.kind == "unknown"
    assert re.search(reason, caught.value.detail), caught.value.detail


def test_work_tree_file_is_opened_step_by_step(tree: Path) -> None:
    (tree / "d").mkdir()
    (tree / "d/f").write_text("inside")
    (tree / "out").symlink_to("/etc")
    with clone_files.directory(tree) as root:
        descriptor = clone_files.open_below(root, "d/f")
        assert clone_files.read_descriptor(descriptor, 3) == b"ins"
        os.close(descriptor)
        for path in ("out/hostname", "../clone/a", "/etc/hostname", "d", "d//f"):
            with pytest.raises(UnknownStateError):
                clone_files.open_below(root, path)
        with pytest.raises(FileNotFoundError):
            clone_files.open_below(root, "d/none")
