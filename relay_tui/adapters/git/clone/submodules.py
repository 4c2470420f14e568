"""Submodules of a session clone: all of them at once, and one by one when that fails."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from relay_tui.adapters.git import process
from relay_tui.adapters.git.clone.source import is_local
from relay_tui.adapters.git.errors import disk_fault, last_lines
from relay_tui.ports.task import TaskContext


def update_submodules(path: Path, origin: str, options: Sequence[str], task: TaskContext) -> list[str]:
    """Check out every submodule; answer a note for each that did not come.

    Those that lie on this host come only into a clone whose own origin does: a repository from elsewhere must not
    pull private ones of this host into its session.
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
            # forced: git takes what it cloned before it gave up for checked out
            outcome = process.run_git((*update, "--force", "--", name), task, env, prefix=f"Submodule {name}: ")
            if outcome.code:
                _check_disk(outcome)
                state = "incomplete" if _filled(path / name) else "missing"
                notes.append(f"Submodule {name} is {state}: {last_lines(outcome)}")
    if is_local(origin):
        _unlink_from_sources(path / ".git/modules")
    return notes


def _check_disk(outcome: process.Outcome) -> None:
    if fault := disk_fault(outcome):
        raise fault


def submodule_directories(path: Path) -> list[Path]:
    """The work trees of every submodule that is there, nested ones too."""
    found = []
    for name in _gitlinks(path):
        tree = path / name
        if _filled(tree) and not tree.is_symlink():
            found += [tree, *submodule_directories(tree)]
    return found


def _gitlinks(path: Path) -> list[str]:
    """Where the index has submodules, by path."""
    staged = process.run_git_capture("-C", str(path), "ls-files", "--stage", "-z").stdout
    entries = (entry for entry in staged.split(b"\0") if entry.startswith(b"160000 "))
    return [os.fsdecode(entry.partition(b"\t")[2]) for entry in entries]


def _filled(directory: Path) -> bool:
    return directory.is_dir() and any(directory.iterdir())


def _unlink_from_sources(modules: Path) -> None:
    """Give each object a file of its own: git hard-links those of submodules on this host, and has no switch for it."""
    for directory, _, names in os.walk(modules):
        for file in (Path(directory, name) for name in names):
            if file.lstat().st_nlink > 1:
                copy = file.with_name(f"{file.name}.copy")
                shutil.copy2(file, copy, follow_symlinks=False)
                copy.replace(file)
