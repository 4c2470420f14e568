"""What a session lacks of the upstream, packed for git in its container."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from relay_tui.adapters.git.transfer import commits, trusted_git
from relay_tui.adapters.git.transfer.importer import import_session
from relay_tui.domain.errors import GitError, NotFoundError
from relay_tui.ports import SessionClone, UpdatePack
from relay_tui.ports.task import TaskContext


@contextmanager
def build_update_pack(clone: SessionClone, tmp: Path, task: TaskContext) -> Iterator[UpdatePack]:
    """Pack it. What the session has is known once its own commits are in the base."""
    brought = import_session(clone, tmp, task)
    mine = f"refs/relay/{clone.session_id}/"
    head = brought.refs.get(f"{mine}heads/{brought.branch}") or brought.refs.get(f"{mine}detached", "")
    branch, newest, lacking = _news(clone, brought.branch, head)
    with trusted_git.scratch_repository(tmp, clone.session_id) as path:
        pack = path / "news.pack"
        if lacking:
            task.report("Packing what is new")
            _pack(clone.base, pack, newest, sorted(set(brought.refs.values())), task)
        else:
            pack.touch()
        yield UpdatePack(branch=branch, commit=newest, count=lacking, pack=pack)


def _news(clone: SessionClone, on: str, head: str) -> tuple[str, str, int]:
    """The branch that has news for the session, its newest commit, and how many the session lacks.

    What others pushed to the branch it is `on` comes before its base branch: nothing can be pushed without it.
    """
    theirs = trusted_git.refs(clone.base, "refs/heads/")
    for branch in (on, clone.base_branch):
        newest = theirs.get(f"refs/heads/{branch}", "")
        lacking = commits.count(clone.base, newest, *([f"^{head}"] if head else [])) if newest else 0
        if lacking:
            return branch, newest, lacking
    if not newest:
        hint = "It was deleted there. In the session's shell git merges or rebases onto another branch."
        raise NotFoundError(f"The upstream has no branch {clone.base_branch} any more", hint=hint)
    return clone.base_branch, newest, 0


def _pack(base: Path, pack: Path, newest: str, had: list[str], task: TaskContext) -> None:
    wanted = "\n".join([newest, *[f"^{commit}" for commit in had], ""])
    command = ("git", *trusted_git.STRICT, f"--git-dir={base}", "pack-objects", "--revs", "--stdout", "--quiet")
    with pack.open("wb") as target:
        process = subprocess.Popen(
            command,
            cwd="/",
            env=trusted_git.isolated_environment(),
            stdin=subprocess.PIPE,
            stdout=target,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        with task.on_cancel(process.kill):
            _, said = process.communicate(wanted.encode())
    task.raise_if_cancelled()
    if process.returncode:
        raise GitError("What is new cannot be packed", said.decode(errors="replace").strip())
