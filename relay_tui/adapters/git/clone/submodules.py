"""Submodules of a session clone: update all of them at once, then each one separately if that fails."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from relay_tui.adapters.git import process
from relay_tui.adapters.git.clone.source import is_local
from relay_tui.adapters.git.errors import disk_error, last_lines
from relay_tui.ports.task import TaskContext


def update_submodules(path: Path, origin: str, options: Sequence[str], task: TaskContext) -> list[str]:
    """Check out every submodule; return a note for each one that failed.

    Submodules on this host are cloned only if the origin is on this host too: a repository from elsewhere must not
    bring private repositories of this host into its session.
    """
    task.report("Submodules")
    protocols = "https:http:ssh:git" + (":file" if is_local(origin) else "")
    env = process.environment(protocols, process.ssh_command())
    update = (
        *(*options, "-c", "submodule.alternateLocation=no", "-C", str(path)),
        *("submodule", "update", "--init", "--recursive", "--progress"),
    )
    notes = []
    outcome = process.run_git(update, task, env, prefix="Submodules: ")
    if outcome.code:
        _check_disk(outcome)
        for name in _gitlinks(path):
            # --force: git regards a submodule that it cloned before it failed as checked out
            outcome = process.run_git((*update, "--force", "--", name), task, env, prefix=f"Submodule {name}: ")
            if outcome.code:
                _check_disk(outcome)
                state = "incomplete" if _has_files(path / name) else "missing"
                notes.append(f"Submodule {name} is {state}: {last_lines(outcome)}")
    if is_local(origin):
        _unlink_from_sources(path / ".git/modules")
    return notes


def _check_disk(outcome: process.Outcome) -> None:
    if error := disk_error(outcome):
        raise error


def submodule_directories(path: Path) -> list[Path]:
    """Return the work trees of the submodules that were cloned, nested ones included."""
    found = []
    for name in _gitlinks(path):
        tree = path / name
        if _has_files(tree) and not tree.is_symlink():
            found += [tree, *submodule_directories(tree)]
    return found


def _gitlinks(path: Path) -> list[str]:
    """Return the paths of the submodules in the index."""
    staged = process.run_git_capture("-C", str(path), "ls-files", "--stage", "-z").stdout
    entries = (entry for entry in staged.split(b"\0") if entry.startswith(b"160000 "))
    return [os.fsdecode(entry.partition(b"\t")[2]) for entry in entries]


def _has_files(directory: Path) -> bool:
    return directory.is_dir() and any(directory.iterdir())


def _unlink_from_sources(modules: Path) -> None:
    """Replace hard links by copies. git links the objects of submodules on this host, and has no option against it."""
    for directory, _, names in os.walk(modules):
        for file in (Path(directory, name) for name in names):
            if file.lstat().st_nlink > 1:
                copy = file.with_name(f"{file.name}.copy")
                shutil.copy2(file, copy, follow_symlinks=False)
                copy.replace(file)
