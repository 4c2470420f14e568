"""A session's commits for its user: an ordinary clone, or a branch in a repository that is there."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from relay_tui.adapters.filesystem.atomic import atomic_directory, from_os
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
    clone: SessionClone, brought: ImportedRefs, source: str, target: Path, tmp: Path, task: TaskContext, *, name: str
) -> ExportResult:
    """Put the session's work at `target`, of a repository of the user's own only the branch that it is on."""
    branch, ref = _chosen(clone, brought)
    name = name or branch
    mine = f"refs/relay/{clone.session_id}/"
    terms = {kept: kept.removeprefix(mine).removeprefix("heads/") for kept in brought.refs}
    if _is_repository(target):
        _into(target, clone.base, ref, brought.refs[ref], name, task)
        left = tuple(terms[other] for other in _not_in(clone.base, brought.refs, brought.refs[ref]))
        return ExportResult(branch=name, brought=(terms[ref],), left=left)
    if target.is_dir() and any(target.iterdir()):
        raise ConflictError(
            f"{target} is neither empty nor a git repository", hint="Choose a new directory, or your own clone."
        )
    if f"{mine}heads/{name}" in brought.refs and f"{mine}heads/{name}" != ref:
        raise ConflictError(f"The session has another branch {name}", hint="Choose another name.")
    with _room(target, tmp, clone.session_id) as path:
        _clone(path, clone, ref, source, name, task)
    return ExportResult(branch=name, brought=tuple(sorted(terms.values())))


def _not_in(base: Path, refs: Mapping[str, str], chosen: str) -> list[str]:
    """The refs with work that neither `chosen` nor the upstream has."""
    return [ref for ref, commit in refs.items() if commits.count(base, commit, *commits.UPSTREAM, chosen)]


@contextmanager
def _room(target: Path, tmp: Path, session_id: str) -> Iterator[Path]:
    """Where the clone is made before it appears at `target` whole: in our own directory, where leftovers are cleared.

    On another file system it is made beside `target`.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        near = target.parent.stat().st_dev == tmp.stat().st_dev
    except OSError as error:
        raise from_os(error) from error
    if not near:
        with atomic_directory(target) as path:
            yield path
        return
    with trusted_git.scratch_repository(tmp, session_id) as scratch:
        yield scratch / "clone"
        (scratch / "clone").rename(target)


def _chosen(clone: SessionClone, brought: ImportedRefs) -> tuple[str, str]:
    """The branch to export and its ref: what HEAD is on, else the branch the session was begun on, else any."""
    mine = f"refs/relay/{clone.session_id}/"
    heads = {r.removeprefix(f"{mine}heads/"): r for r in brought.refs if r.startswith(f"{mine}heads/")}
    if f"{mine}detached" in brought.refs and not brought.branch:
        return _detached(clone, heads), f"{mine}detached"
    for branch in (brought.branch, clone.branch, *sorted(heads)):
        if branch in heads:
            return branch, heads[branch]
    raise NotFoundError("The session has no commits", hint="There is nothing to export.")


def _detached(clone: SessionClone, heads: Collection[str]) -> str:
    """What to call the branch for the commits of a detached HEAD, beside branches called `heads`."""
    name = f"{clone.branch}-detached"
    taken = [f"refs/heads/{head}" for head in heads]
    return _free(name, taken) if f"refs/heads/{name}" in taken or _clash(name, taken) else name


# --- an ordinary clone -----------------------------------------------------------------------------------------------


def _clone(path: Path, clone: SessionClone, ref: str, source: str, name: str, task: TaskContext) -> None:
    """A clone as if it had been made of the upstream, with the session's branches and stashes in it."""
    task.report("Making the clone")
    hash_name = trusted_git.run_capture(
        clone.base, "rev-parse", "--show-object-format", title="The base clone cannot be read"
    ).strip()
    _run("init", "--quiet", "--template=", f"--object-format={hash_name}", f"--initial-branch={name}", "--", str(path))
    mine = f"refs/relay/{clone.session_id}"
    wanted = [
        *("+refs/heads/*:refs/remotes/origin/*", "+refs/tags/*:refs/tags/*", f"+{mine}/tags/*:refs/tags/*"),
        *(f"+{mine}/heads/*:refs/heads/*", f"+{ref}:refs/heads/{name}", f"+{mine}/stash/*:{_STASH}*"),
        *(f"+{mine}/uncommitted*:{_UNCOMMITTED}*", *_others(clone, ref, name)),
    ]
    git = path / ".git"
    _work(git, *_FETCH, "--update-head-ok", "--", trusted_git.address(clone.base), *wanted, task=task)
    _run(f"--git-dir={git}", "config", "remote.origin.url", source)
    _run(f"--git-dir={git}", "config", "remote.origin.fetch", "+refs/heads/*:refs/remotes/origin/*")
    upstream = trusted_git.refs(git, "refs/remotes/origin/")
    for local in trusted_git.refs(git, "refs/heads/"):
        branch = local.removeprefix("refs/heads/")
        if f"refs/remotes/origin/{branch}" in upstream:
            _run(f"--git-dir={git}", "config", f"branch.{branch}.remote", "origin")
            _run(f"--git-dir={git}", "config", f"branch.{branch}.merge", local)
    for stash, commit in _by_number(trusted_git.refs(git, _STASH)):
        _run(f"--git-dir={git}", "stash", "store", "-m", "from the session", commit)
        _run(f"--git-dir={git}", "update-ref", "-d", stash)
    lfs_transfer.copy_to(clone.base, git, list(trusted_git.refs(git, "refs/heads/").values()))
    task.report("Writing the files")
    outcome = process.run_git(
        (*_HARMLESS, f"--git-dir={git}", f"--work-tree={path}", "reset", "--hard", "--quiet"),
        task,
        process.environment("file"),
    )
    if outcome.code:
        raise git_error(outcome, "The files cannot be written")
    _lay_out(git, path)


def _others(clone: SessionClone, chosen: str, name: str) -> list[str]:
    """What to fetch of a session besides its branches, tags, stashes and files."""
    mine = f"refs/relay/{clone.session_id}/"
    kept = trusted_git.refs(clone.base, mine)
    heads = [name, *(ref.removeprefix(f"{mine}heads/") for ref in kept if ref.startswith(f"{mine}heads/"))]
    groups = sorted({ref.removeprefix(mine).partition("/")[0] for ref in kept if ref.count("/") > mine.count("/")})
    wanted = [f"+{mine}{group}/*:refs/relay/{group}/*" for group in groups if group not in ("heads", "tags", "stash")]
    if f"{mine}detached" in kept and chosen != f"{mine}detached":
        wanted.append(f"+{mine}detached:refs/heads/{_detached(clone, heads)}")
    return wanted


def _lay_out(git: Path, path: Path) -> None:
    """Let the files be as they were in the session, where what was not committed was begun at this commit."""
    for ref, commit in trusted_git.refs(git, f"{_UNCOMMITTED}*").items():
        if trusted_git.holds(git, "rev-parse", "--verify", "--quiet", f"{commit}^"):
            head, parent = (_run(f"--git-dir={git}", "rev-parse", name).strip() for name in ("HEAD", f"{commit}^"))
            if head != parent:
                continue
        restore = ("restore", "--worktree", f"--source={commit}", "--", ":/")
        _run(f"--git-dir={git}", f"--work-tree={path}", *restore)
        _run(f"--git-dir={git}", "update-ref", "-d", ref)


def _by_number(stashes: Mapping[str, str]) -> list[tuple[str, str]]:
    """The stashes, the oldest first."""
    return sorted(stashes.items(), key=lambda entry: int(entry[0].removeprefix(_STASH)), reverse=True)


# --- a repository of the user's own ----------------------------------------------------------------------------------


def _is_repository(target: Path) -> bool:
    """Whether `target` itself, not a directory above it, is a repository."""
    return os.path.lexists(target / ".git") or ((target / "HEAD").is_file() and (target / "objects").is_dir())


def _into(target: Path, base: Path, ref: str, commit: str, name: str, task: TaskContext) -> None:
    """Add the branch, or move it on if it has nothing of its own; a branch that is checked out is left alone."""
    found = _run("-C", str(target), "rev-parse", "--absolute-git-dir").strip()
    git = Path(found)
    heads = trusted_git.refs(git, "refs/heads/")
    present = heads.get(f"refs/heads/{name}")
    if present == commit:
        return
    if clash := _clash(name, heads):
        raise _refusal(f"git cannot have {name} beside {clash} in {target}", name, heads)
    task.report("Fetching into your repository")
    strict = ("-c", "fetch.fsckObjects=true", f"--git-dir={git}")
    wanted = ("--", trusted_git.address(base), f"{ref}:refs/heads/{name}")
    outcome = process.run_git((*_HARMLESS, *strict, *_FETCH, *wanted), task, process.environment("file"))
    if not outcome.code:
        return
    said = "\n".join(outcome.lines)
    if re.search(r"refusing to fetch into (current )?branch", said):
        raise _refusal(f"{name} is checked out in {target}", name, heads)
    if re.search(r"non-fast-forward|\[rejected\]", said):
        raise _refusal(f"{target} has a branch {name} with other commits", name, heads)
    raise git_error(outcome, "The branch cannot be made there")


def _clash(name: str, heads: Collection[str]) -> str:
    """The branch beside which git cannot have one called `name`, or ''."""
    others = [head.removeprefix("refs/heads/") for head in heads]
    return next((o for o in others if o.startswith(f"{name}/") or name.startswith(f"{o}/")), "")


def _refusal(title: str, name: str, heads: Collection[str]) -> ConflictError:
    free = _free(name.replace("/", "-"), heads)
    return ConflictError(title, "It is left as it is.", f"Choose another name{{|: --as {free}}}.")


def _free(name: str, heads: Collection[str]) -> str:
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


def _work(git: Path, *arguments: str, task: TaskContext) -> None:
    outcome = process.run_git((*_HARMLESS, f"--git-dir={git}", *arguments), task, process.environment("file"))
    if outcome.code:
        raise git_error(outcome, "The clone cannot be made")
