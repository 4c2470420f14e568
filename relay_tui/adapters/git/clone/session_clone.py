"""Session clones: independent of their base, on one branch, with the true upstream as origin."""

from __future__ import annotations

from pathlib import Path

from relay_tui.adapters.filesystem.atomic import atomic_directory
from relay_tui.adapters.git import process, refs
from relay_tui.adapters.git.clone.lfs import fetch_lfs, uses_lfs
from relay_tui.adapters.git.clone.submodules import submodule_directories, update_submodules
from relay_tui.adapters.git.errors import branch_in_the_way, git_error
from relay_tui.adapters.git.refs import check_branch_name
from relay_tui.domain.errors import InvalidInputError
from relay_tui.ports.task import TaskContext

HARMLESS = (
    *("-c", "core.hooksPath=/dev/null"),
    *("-c", "submodule.recurse=false"),
    # LFS pointers are left as they are, with git-lfs or without it: its files are fetched when origin is set
    *("-c", "filter.lfs.process="),
    *("-c", "filter.lfs.smudge="),
    *("-c", "filter.lfs.required=false"),
)


def clone_session(
    base: Path, target: Path, *, branch: str, new_branch: str, origin: str, workers: int, task: TaskContext
) -> list[str]:
    """Clone `base` to `target` on `branch`, or on `new_branch` begun there; answer what the clone came without."""
    task.raise_if_cancelled()
    if new_branch:
        check_branch_name(new_branch)
    if not refs.is_branch_head(base, branch):
        raise InvalidInputError(
            "branch", f"There is no branch {branch}", hint="Choose one of the repository's branches."
        )
    task.report("Cloning")
    with atomic_directory(target) as path:
        _clone(base, path, branch, workers, task)
        _set_up(path, new_branch, origin)
        notes = _complete(path, origin, workers, task) if _has_more(path) else []
        task.raise_if_cancelled()
    return notes


def _clone(base: Path, path: Path, branch: str, workers: int, task: TaskContext) -> None:
    # no hard links and no alternates: what a container writes into its objects must never reach another clone
    clone = ("clone", "--no-hardlinks", "--no-shared", "--template=", "--origin=origin", f"--branch={branch}")
    arguments = (*HARMLESS, "-c", f"checkout.workers={workers}", *clone, "--progress", "--", str(base), str(path))
    outcome = process.run_git(arguments, task, process.environment("file"))
    if outcome.code:
        raise git_error(outcome, "The session's clone cannot be made")


def _set_up(path: Path, new_branch: str, origin: str) -> None:
    """Point origin at the true upstream, and begin the new branch without one to push to."""
    git_dir = path / ".git"
    outcome = process.run_git_capture("config", f"--file={git_dir / 'config'}", "remote.origin.url", origin)
    if outcome.code:
        raise git_error(outcome, "The clone's origin cannot be set")
    if new_branch:
        outcome = process.run_git_capture(
            *HARMLESS, "-C", str(path), "switch", "--quiet", "--no-track", "--create", new_branch
        )
        if outcome.code:
            raise branch_in_the_way(outcome, new_branch) or git_error(outcome, "The new branch cannot be made")


def _has_more(path: Path) -> bool:
    """Whether the tree has parts that a clone does not bring. Looks at files only."""
    return (path / ".gitmodules").is_file() or uses_lfs(path)


def _complete(path: Path, origin: str, workers: int, task: TaskContext) -> list[str]:
    """Bring submodules and LFS files; answer notes on those that did not come."""
    notes = []
    trees = [path]
    if (path / ".gitmodules").is_file():
        notes += update_submodules(path, origin, (*HARMLESS, "-c", f"checkout.workers={workers}"), task)
        trees += submodule_directories(path)
    for tree in trees:
        task.raise_if_cancelled()
        if uses_lfs(tree):
            notes += fetch_lfs(tree, tree.relative_to(path).as_posix(), origin, task)
    return notes
