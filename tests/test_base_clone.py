"""Base clones through GitPython: in relay's own environment, with its own settings, and never a session's clone."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

import git
import pytest
from git_servers import http_server, make_repository, run_git
from session_clones import lay
from test_git_clone import noise, processes_with, until

from relay_tui.adapters.git import GitAdapter
from relay_tui.adapters.git.base import open_base
from relay_tui.adapters.git.look.adapter import Looker
from relay_tui.errors import CancelledError, GitError
from relay_tui.services.ports import Source
from relay_tui.services.watch import Watch
from relay_tui.work import Against


@pytest.fixture
def adapter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> GitAdapter:
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "gitconfig"))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    return GitAdapter()


@pytest.fixture
def base(adapter: GitAdapter, tmp_path: Path) -> Path:
    upstream = make_repository(tmp_path / "upstream.git", branches=("main", "zz"), bare=True)
    adapter.clone_base(Source(str(upstream)), tmp_path / "base.git", Watch())
    return tmp_path / "base.git"


def test_the_callers_environment_does_not_reach_git(
    adapter: GitAdapter, base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = make_repository(tmp_path / "other", branches=("elsewhere",))
    run_git("config", "remote.origin.url", "elsewhere", cwd=other)
    for name in ("GIT_DIR", "GIT_COMMON_DIR"):
        monkeypatch.setenv(name, str(other / ".git"))
    for name in ("GIT_OBJECT_DIRECTORY", "GIT_INDEX_FILE", "GIT_WORK_TREE", "GIT_NAMESPACE"):
        monkeypatch.setenv(name, str(tmp_path / "nowhere"))
    monkeypatch.setenv("GIT_TRACE", str(tmp_path / "trace"))
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "core.bare")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", "neither")
    assert adapter.origin(base) == str(tmp_path / "upstream.git")
    assert adapter.default_branch(base) == "main"
    with open_base(base, "It failed") as repository:
        assert repository.git.rev_list("zz", count=True) == "2"
    assert adapter.clone_base(Source(str(tmp_path / "upstream.git")), tmp_path / "again.git", Watch()) == "main"
    assert run_git("symbolic-ref", "HEAD", cwd=other) == "refs/heads/elsewhere"
    assert not (tmp_path / "trace").exists()


def test_no_hook_runs_in_a_base(base: Path, tmp_path: Path) -> None:
    hook = base / "hooks/reference-transaction"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
    hook.chmod(0o755)
    with open_base(base, "It failed") as repository:
        repository.git.update_ref("refs/heads/new", "zz")
    assert run_git("rev-parse", "new", cwd=base) == run_git("rev-parse", "zz", cwd=base)
    assert not (tmp_path / "ran").exists()
    run_git("update-ref", "refs/heads/newer", "zz", cwd=base)
    assert (tmp_path / "ran").exists()  # it would have


@pytest.mark.parametrize(
    "name", [b'quo"te', b"back\\slash", b"tab\tx", b"ha#sh;", b"per%cent", b"$HOME", b"sp ace", b"\xc3\xa4"]
)
def test_where_a_base_came_from_is_kept_as_it_is_written(adapter: GitAdapter, tmp_path: Path, name: bytes) -> None:
    upstream = make_repository(tmp_path / os.fsdecode(name), bare=True)
    base = tmp_path / "$HOME" / "~base.git"
    assert adapter.clone_base(Source(str(upstream)), base, Watch()) == "main"
    assert adapter.origin(base) == str(upstream)
    assert [branch.name for branch in adapter.branches(base)] == ["main"]


def test_what_git_says_of_a_failure_is_told(adapter: GitAdapter, base: Path, tmp_path: Path) -> None:
    with pytest.raises(GitError) as caught, open_base(base, "It failed") as repository:
        repository.git.rev_list("nonsense", "--")
    assert (caught.value.title, "nonsense" in caught.value.detail) == ("It failed", True)
    with pytest.raises(GitError, match="There is no git repository"):
        adapter.default_branch(tmp_path / "nowhere.git")
    assert adapter.origin(tmp_path / "nowhere.git") == ""
    (base / "config").write_text("nonsense\n")
    with pytest.raises(GitError) as caught:
        adapter.default_branch(base)
    assert caught.value.detail


def test_a_clone_is_git_itself_and_ends_with_its_group(adapter: GitAdapter, tmp_path: Path) -> None:
    make_repository(tmp_path / "up/x", files={"big": noise(300_000)})
    watch, ended = Watch(), threading.Event()
    with http_server(tmp_path / "up", hold_after=20_000) as http:
        url = f"{http.url}/x/.git"

        def clone() -> None:
            try:
                adapter.clone_base(Source(url), tmp_path / "base.git", watch)
            except CancelledError:
                ended.set()

        cloning = threading.Thread(target=clone)
        cloning.start()
        until(http.holding.is_set)
        commands = [words for words in processes_with(url) if "clone --bare" in words]
        assert commands and all(words.startswith("git ") for words in commands)
        watch.cancel()
        assert ended.wait(10)
        cloning.join()
        assert processes_with(url) == []


def test_a_sessions_clone_is_never_opened_with_gitpython(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    started: list[str] = []
    make, execute = git.Repo.__init__, git.Git.execute

    def make_noted(self: git.Repo, path: Any = None, **options: Any) -> None:  # noqa: ANN401
        opened.append(str(path))
        make(self, path, **options)

    def execute_noted(self: git.Git, command: Any, *rest: Any, **options: Any) -> Any:  # noqa: ANN401
        started.append(str(command))
        return execute(self, command, *rest, **options)

    monkeypatch.setattr(git.Repo, "__init__", make_noted)
    monkeypatch.setattr(git.Git, "execute", execute_noted)
    ground = lay(tmp_path)
    ground.work()
    look, source, watch = Looker(), ground.source, Watch()
    look.prepare(ground.clone)
    look.facts(ground.clone)
    look.changes(ground.clone, Against.BRANCH_POINT)
    look.guard(ground.clone)
    ground.exit.push(ground.clone, source, ground.exit.plan_push(ground.clone, source, watch), watch)
    ground.upstream_moves()
    assert ground.exit.fetch(ground.clone.base, source, watch)
    ground.exit.keep(ground.clone, watch)
    assert ground.exit.kept(ground.clone.base) == []
    ground.exit.export(ground.clone, str(ground.upstream), tmp_path / "exported", watch)
    with ground.exit.parcel(ground.clone, watch) as parcel:
        assert parcel.branch == "main"
    adapter = GitAdapter()
    assert (adapter.origin(ground.clone.base), adapter.default_branch(ground.clone.base)) == (source.url, "main")
    assert adapter.branch_of(ground.clone.work_dir) == "topic"
    assert len(opened) > 2 and all(name.startswith(f"{ground.clone.base}") for name in opened)
    assert started == []  # git.Git itself would start git in the caller's environment


def test_without_git_it_is_said(adapter: GitAdapter, base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    for call in (adapter.origin, adapter.default_branch):
        with pytest.raises(GitError, match="git is not installed"):
            call(base)
