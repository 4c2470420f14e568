"""Session clones: independent of their base clone, on one branch, with the upstream as origin."""

from __future__ import annotations

from pathlib import Path

from relay_tui.adapters.filesystem.atomic import atomic_directory
from relay_tui.adapters.git import process, refs
from relay_tui.adapters.git.clone.lfs import fetch_lfs, uses_lfs
from relay_tui.adapters.git.clone.submodules import submodule_directories, update_submodules
from relay_tui.adapters.git.errors import branch_exists_error, git_error
from relay_tui.adapters.git.refs import check_branch_name
from relay_tui.domain.errors import InvalidInputError
from relay_tui.ports.task import TaskContext

HARMLESS = (
    *("-c", "core.hooksPath=/dev/null"),
    *("-c", "submodule.recurse=false"),
    # the checkout writes LFS pointers, with and without git-lfs: the files are fetched after origin is set
    *("-c", "filter.lfs.process="),
    *("-c", "filter.lfs.smudge="),
    *("-c", "filter.lfs.required=false"),
)


def clone_session(
    base: Path, target: Path, *, branch: str, new_branch: str, origin: str, workers: int, task: TaskContext
) -> list[str]:
    """Clone `base` to `target` on `branch`, or on `new_branch` created from it; return notes on missing parts."""
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
        notes = _fetch_missing_parts(path, origin, workers, task) if _is_incomplete(path) else []
        task.raise_if_cancelled()
    return notes


def _clone(base: Path, path: Path, branch: str, workers: int, task: TaskContext) -> None:
    # no hard links and no alternates: a change that a container makes to its objects must not reach another clone
    clone = ("clone", "--no-hardlinks", "--no-shared", "--template=", "--origin=origin", f"--branch={branch}")
    arguments = (*HARMLESS, "-c", f"checkout.workers={workers}", *clone, "--progress", "--", str(base), str(path))
    outcome = process.run_git(arguments, task, process.environment("file"))
    if outcome.code:
        raise git_error(outcome, "Cannot create the session's clone")


def _set_up(path: Path, new_branch: str, origin: str) -> None:
    """Set origin to the upstream's URL, and create the new branch without an upstream branch."""
    git_dir = path / ".git"
    outcome = process.run_git_capture("config", f"--file={git_dir / 'config'}", "remote.origin.url", origin)
    if outcome.code:
        raise git_error(outcome, "Cannot set the clone's origin")
    if new_branch:
        outcome = process.run_git_capture(
            *HARMLESS, "-C", str(path), "switch", "--quiet", "--no-track", "--create", new_branch
        )
        if outcome.code:
            raise branch_exists_error(outcome, new_branch) or git_error(
                outcome, f"Cannot create the branch {new_branch}"
            )


def _is_incomplete(path: Path) -> bool:
    """Return whether the tree has submodules or LFS files, which `git clone` does not fetch."""
    return (path / ".gitmodules").is_file() or uses_lfs(path)


def _fetch_missing_parts(path: Path, origin: str, workers: int, task: TaskContext) -> list[str]:
    """Fetch submodules and LFS files; return notes on those that failed."""
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
