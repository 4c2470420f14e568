"""Pack of the upstream commits that a session lacks, for git in its container."""

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
    """Pack the missing commits within the block. The session is imported first, to know which commits it has."""
    imported = import_session(clone, tmp, task)
    prefix = f"refs/relay/{clone.session_id}/"
    head = imported.refs.get(f"{prefix}heads/{imported.branch}") or imported.refs.get(f"{prefix}detached", "")
    branch, newest, missing = _find_update(clone, imported.branch, head)
    with trusted_git.scratch_directory(tmp, clone.session_id) as path:
        pack = path / "update.pack"
        if missing:
            task.report("Packing the new commits")
            _write_pack(clone.base, pack, newest, sorted(set(imported.refs.values())), task)
        else:
            pack.touch()
        yield UpdatePack(branch=branch, commit=newest, count=missing, pack=pack)


def _find_update(clone: SessionClone, current: str, head: str) -> tuple[str, str, int]:
    """Return the branch with new commits for the session, its newest commit, and how many the session lacks.

    The upstream's branch of the same name as the `current` one comes before the base branch: without its commits the
    session cannot push.
    """
    upstream = trusted_git.refs(clone.base, "refs/heads/")
    for branch in (current, clone.base_branch):
        newest = upstream.get(f"refs/heads/{branch}", "")
        missing = commits.count(clone.base, newest, *([f"^{head}"] if head else [])) if newest else 0
        if missing:
            return branch, newest, missing
    if not newest:
        hint = "It was deleted there. Use git in the session's shell to merge or rebase onto another branch."
        raise NotFoundError(f"The upstream no longer has the branch {clone.base_branch}", hint=hint)
    return clone.base_branch, newest, 0


def _write_pack(base: Path, pack: Path, newest: str, present: list[str], task: TaskContext) -> None:
    wanted = "\n".join([newest, *[f"^{commit}" for commit in present], ""])
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
            _, message = process.communicate(wanted.encode())
    task.raise_if_cancelled()
    if process.returncode:
        raise GitError("Cannot pack the new commits", message.decode(errors="replace").strip())
