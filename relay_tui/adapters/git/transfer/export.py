"""Export of a session's commits: to a new ordinary clone, or as a branch of an existing repository."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from relay_tui.adapters.filesystem.atomic import USER_PATH_HINT, atomic_directory, translate_os_errors
from relay_tui.adapters.git import process
from relay_tui.adapters.git.errors import git_error
from relay_tui.adapters.git.transfer import commits, lfs_transfer, trusted_git
from relay_tui.adapters.git.transfer.importer import ImportedRefs
from relay_tui.domain.errors import ConflictError, NotFoundError
from relay_tui.domain.transfers import ExportResult
from relay_tui.ports import SessionClone
from relay_tui.ports.task import TaskContext

_FETCH = ("fetch", "--no-tags", "--no-auto-gc", "--no-recurse-submodules", "--no-write-fetch-head", "--progress")
_UNCOMMITTED = "refs/heads/relay-uncommitted"
_STASH = "refs/relay-stash/"
_HARMLESS = ("-c", "core.hooksPath=/dev/null", "-c", "submodule.recurse=false", "-c", "gc.auto=0")


def export(
    clone: SessionClone, imported: ImportedRefs, source: str, target: Path, tmp: Path, task: TaskContext, *, name: str
) -> ExportResult:
    """Export the session's work to `target`: all of it to a new clone, only its branch to an existing repository.

    `name` is the branch to create there, the session's own by default. Raises ConflictError, FileSystemError, GitError.
    """
    branch, ref = _choose_branch(clone, imported)
    name = name or branch
    prefix = f"refs/relay/{clone.session_id}/"
    names = {saved: saved.removeprefix(prefix).removeprefix("heads/") for saved in imported.refs}
    with translate_os_errors(f"Cannot export to {target}", target, USER_PATH_HINT):
        is_repository = _is_repository(target)
        is_occupied = target.is_dir() and any(target.iterdir())
    if is_repository:
        _fetch_into(target, clone.base, ref, imported.refs[ref], name, task)
        left = tuple(names[other] for other in _refs_not_in(clone.base, imported.refs, imported.refs[ref]))
        return ExportResult(branch=name, brought=(names[ref],), left=left)
    if is_occupied:
        raise ConflictError(
            f"{target} is neither empty nor a git repository", hint="Choose a new directory, or your own clone."
        )
    if f"{prefix}heads/{name}" in imported.refs and f"{prefix}heads/{name}" != ref:
        raise ConflictError(f"The session has another branch {name}", hint="Choose another name.")
    with _new_directory(target, tmp, clone.session_id) as path:
        _clone(path, clone, ref, source, name, task)
    return ExportResult(branch=name, brought=tuple(sorted(names.values())))


def _refs_not_in(base: Path, refs: Mapping[str, str], chosen: str) -> list[str]:
    """Return the refs with commits that neither `chosen` nor the upstream has."""
    return [ref for ref, commit in refs.items() if commits.count(base, commit, *commits.NOT_UPSTREAM, chosen)]


@contextmanager
def _new_directory(target: Path, tmp: Path, session_id: str) -> Iterator[Path]:
    """Yield a directory that becomes `target` after the block, or is deleted if the block failed.

    It is in `tmp`, where relay deletes the leftovers of a crash; on another file system it is beside `target`.
    """
    title = f"Cannot export to {target}"
    with translate_os_errors(title, target, USER_PATH_HINT):
        target.parent.mkdir(parents=True, exist_ok=True)
        is_same_disk = target.parent.stat().st_dev == tmp.stat().st_dev
    if not is_same_disk:
        with atomic_directory(target, title, USER_PATH_HINT) as path:
            yield path
        return
    with trusted_git.scratch_directory(tmp, session_id) as scratch:
        yield scratch / "clone"
        with translate_os_errors(title, target, USER_PATH_HINT):
            (scratch / "clone").rename(target)


def _choose_branch(clone: SessionClone, imported: ImportedRefs) -> tuple[str, str]:
    """Return the branch to export and its ref: the branch of HEAD, else the one it started on, else the first."""
    prefix = f"refs/relay/{clone.session_id}/"
    heads = {r.removeprefix(f"{prefix}heads/"): r for r in imported.refs if r.startswith(f"{prefix}heads/")}
    if f"{prefix}detached" in imported.refs and not imported.branch:
        return _detached_name(clone, heads), f"{prefix}detached"
    for branch in (imported.branch, clone.branch, *sorted(heads)):
        if branch in heads:
            return branch, heads[branch]
    raise NotFoundError("The session has no commits", hint="There is nothing to export.")


def _detached_name(clone: SessionClone, heads: Collection[str]) -> str:
    """Return a branch name for the commits of a detached HEAD that is free beside the branches `heads`."""
    name = f"{clone.branch}-detached"
    taken = [f"refs/heads/{head}" for head in heads]
    return _free_name(name, taken) if f"refs/heads/{name}" in taken or _conflicting_branch(name, taken) else name


# --- an ordinary clone -----------------------------------------------------------------------------------------------


def _clone(path: Path, clone: SessionClone, ref: str, source: str, name: str, task: TaskContext) -> None:
    """Create a clone like one of the upstream, with the session's branches, stashes and uncommitted changes."""
    task.report("Creating the clone")
    hash_name = trusted_git.object_format(clone.base)
    _run("init", "--quiet", "--template=", f"--object-format={hash_name}", f"--initial-branch={name}", "--", str(path))
    prefix = f"refs/relay/{clone.session_id}"
    refspecs = [
        *("+refs/heads/*:refs/remotes/origin/*", "+refs/tags/*:refs/tags/*", f"+{prefix}/tags/*:refs/tags/*"),
        *(f"+{prefix}/heads/*:refs/heads/*", f"+{ref}:refs/heads/{name}", f"+{prefix}/stash/*:{_STASH}*"),
        *(f"+{prefix}/uncommitted*:{_UNCOMMITTED}*", *_other_refspecs(clone, ref, name)),
    ]
    git_dir = path / ".git"
    _run_task(git_dir, *_FETCH, "--update-head-ok", "--", trusted_git.file_url(clone.base), *refspecs, task=task)
    _run(f"--git-dir={git_dir}", "config", "remote.origin.url", source)
    _run(f"--git-dir={git_dir}", "config", "remote.origin.fetch", "+refs/heads/*:refs/remotes/origin/*")
    upstream = trusted_git.refs(git_dir, "refs/remotes/origin/")
    for local in trusted_git.refs(git_dir, "refs/heads/"):
        branch = local.removeprefix("refs/heads/")
        if f"refs/remotes/origin/{branch}" in upstream:
            _run(f"--git-dir={git_dir}", "config", f"branch.{branch}.remote", "origin")
            _run(f"--git-dir={git_dir}", "config", f"branch.{branch}.merge", local)
    for stash, commit in _oldest_first(trusted_git.refs(git_dir, _STASH)):
        _run(f"--git-dir={git_dir}", "stash", "store", "-m", "from the session", commit)
        _run(f"--git-dir={git_dir}", "update-ref", "-d", stash)
    lfs_transfer.copy_to(clone.base, git_dir, list(trusted_git.refs(git_dir, "refs/heads/").values()))
    task.report("Writing the files")
    outcome = process.run_git(
        (*_HARMLESS, f"--git-dir={git_dir}", f"--work-tree={path}", "reset", "--hard", "--quiet"),
        task,
        process.environment("file"),
    )
    if outcome.code:
        raise git_error(outcome, "Cannot write the files of the clone")
    _restore_uncommitted(git_dir, path)


def _other_refspecs(clone: SessionClone, chosen: str, name: str) -> list[str]:
    """Return refspecs for the session's refs other than branches, tags, stashes and uncommitted changes."""
    prefix = f"refs/relay/{clone.session_id}/"
    saved = trusted_git.refs(clone.base, prefix)
    heads = [name, *(ref.removeprefix(f"{prefix}heads/") for ref in saved if ref.startswith(f"{prefix}heads/"))]
    groups = sorted({ref.removeprefix(prefix).partition("/")[0] for ref in saved if ref.count("/") > prefix.count("/")})
    others = [group for group in groups if group not in ("heads", "tags", "stash")]
    refspecs = [f"+{prefix}{group}/*:refs/relay/{group}/*" for group in others]
    if f"{prefix}detached" in saved and chosen != f"{prefix}detached":
        refspecs.append(f"+{prefix}detached:refs/heads/{_detached_name(clone, heads)}")
    return refspecs


def _restore_uncommitted(git_dir: Path, path: Path) -> None:
    """Restore the session's uncommitted changes in the work tree, if they are based on the exported commit."""
    for ref, commit in trusted_git.refs(git_dir, f"{_UNCOMMITTED}*").items():
        if trusted_git.succeeds(git_dir, "rev-parse", "--verify", "--quiet", f"{commit}^"):
            head, parent = (_run(f"--git-dir={git_dir}", "rev-parse", name).strip() for name in ("HEAD", f"{commit}^"))
            if head != parent:
                continue
        restore = ("restore", "--worktree", f"--source={commit}", "--", ":/")
        _run(f"--git-dir={git_dir}", f"--work-tree={path}", *restore)
        _run(f"--git-dir={git_dir}", "update-ref", "-d", ref)


def _oldest_first(stashes: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return the stashes (ref, commit), oldest first: the highest number is the oldest."""
    return sorted(stashes.items(), key=lambda entry: int(entry[0].removeprefix(_STASH)), reverse=True)


# --- an existing repository of the user ------------------------------------------------------------------------------


def _is_repository(target: Path) -> bool:
    """Return whether `target` itself is a repository, not only a directory in one."""
    return os.path.lexists(target / ".git") or ((target / "HEAD").is_file() and (target / "objects").is_dir())


def _fetch_into(target: Path, base: Path, ref: str, commit: str, name: str, task: TaskContext) -> None:
    """Create the branch, or fast-forward it. Raises ConflictError if it is checked out or has other commits."""
    git_dir = Path(_run("-C", str(target), "rev-parse", "--absolute-git-dir").strip())
    heads = trusted_git.refs(git_dir, "refs/heads/")
    present = heads.get(f"refs/heads/{name}")
    if present == commit:
        return
    if other := _conflicting_branch(name, heads):
        raise _branch_conflict(f"git cannot have {name} beside {other} in {target}", name, heads)
    task.report("Fetching into your repository")
    strict = ("-c", "fetch.fsckObjects=true", f"--git-dir={git_dir}")
    refspec = ("--", trusted_git.file_url(base), f"{ref}:refs/heads/{name}")
    outcome = process.run_git((*_HARMLESS, *strict, *_FETCH, *refspec), task, process.environment("file"))
    if not outcome.code:
        return
    message = "\n".join(outcome.lines)
    if re.search(r"refusing to fetch into (current )?branch", message):
        raise _branch_conflict(f"{name} is checked out in {target}", name, heads)
    if re.search(r"non-fast-forward|\[rejected\]", message):
        raise _branch_conflict(f"{target} has a branch {name} with other commits", name, heads)
    raise git_error(outcome, f"Cannot create the branch {name} in {target}")


def _conflicting_branch(name: str, heads: Collection[str]) -> str:
    """Return the branch that prevents a branch `name`, as a/b prevents a; '' if there is none."""
    others = [head.removeprefix("refs/heads/") for head in heads]
    return next((o for o in others if o.startswith(f"{name}/") or name.startswith(f"{o}/")), "")


def _branch_conflict(title: str, name: str, heads: Collection[str]) -> ConflictError:
    free = _free_name(name.replace("/", "-"), heads)
    return ConflictError(title, "relay did not change that repository.", f"Choose another name{{|: --as {free}}}.")


def _free_name(name: str, heads: Collection[str]) -> str:
    number = 2
    while f"refs/heads/{name}-{number}" in heads:
        number += 1
    return f"{name}-{number}"


# --- git -------------------------------------------------------------------------------------------------------------


def _run(*arguments: str) -> str:
    outcome = process.run_git_capture(*_HARMLESS, *arguments)
    if outcome.code:
        raise git_error(outcome, "The export failed")
    return outcome.stdout.decode(errors="surrogateescape")


def _run_task(git_dir: Path, *arguments: str, task: TaskContext) -> None:
    outcome = process.run_git((*_HARMLESS, f"--git-dir={git_dir}", *arguments), task, process.environment("file"))
    if outcome.code:
        raise git_error(outcome, "Cannot create the clone")
