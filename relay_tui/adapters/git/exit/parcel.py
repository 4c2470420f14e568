"""What a session lacks of its base branch, packed for git in its container."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from relay_tui.adapters.git.exit import commits, own
from relay_tui.adapters.git.exit.intake import bring_in
from relay_tui.errors import GitError, NotFoundError
from relay_tui.services.ports import Clone, Parcel
from relay_tui.services.watch import Watch


@contextmanager
def parcel(clone: Clone, tmp: Path, watch: Watch) -> Iterator[Parcel]:
    """Pack it. What the session has is known once its own commits are in the base."""
    brought = bring_in(clone, tmp, watch)
    mine = f"refs/relay/{clone.session_id}/"
    head = brought.refs.get(f"{mine}heads/{brought.branch}") or brought.refs.get(f"{mine}detached", "")
    newest = own.refs(clone.base, f"refs/heads/{clone.base_branch}").get(f"refs/heads/{clone.base_branch}", "")
    if not newest:
        hint = "It was deleted there. In the session's shell git merges or rebases onto another branch."
        raise NotFoundError(f"The upstream has no branch {clone.base_branch} any more", hint=hint)
    lacking = commits.count(clone.base, newest, *([f"^{head}"] if head else []))
    with own.scratch(tmp, clone.session_id) as path:
        pack = path / "news.pack"
        if lacking:
            watch.stage("Packing what is new")
            _pack(clone.base, pack, newest, sorted(set(brought.refs.values())), watch)
        else:
            pack.touch()
        yield Parcel(branch=clone.base_branch, commit=newest, count=lacking, pack=pack)


def _pack(base: Path, pack: Path, newest: str, had: list[str], watch: Watch) -> None:
    wanted = "\n".join([newest, *[f"^{commit}" for commit in had], ""])
    command = ("git", *own.STRICT, f"--git-dir={base}", "pack-objects", "--revs", "--stdout", "--quiet")
    with pack.open("wb") as target:
        process = subprocess.Popen(
            command,
            cwd="/",
            env=own.closed(),
            stdin=subprocess.PIPE,
            stdout=target,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        with watch.on_cancel(process.kill):
            _, said = process.communicate(wanted.encode())
    watch.check()
    if process.returncode:
        raise GitError("What is new cannot be packed", said.decode(errors="replace").strip())
