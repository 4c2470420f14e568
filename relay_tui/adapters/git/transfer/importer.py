"""Import of a session's commits into the base clone.

The session's clone may be hostile. relay copies the object files itself, then git hashes each object again.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from relay_tui.adapters.filesystem.atomic import filesystem_error
from relay_tui.adapters.git.errors import git_error
from relay_tui.adapters.git.process import run_git
from relay_tui.adapters.git.refs import check_branch_name
from relay_tui.adapters.git.transfer import lfs_transfer, session_note, trusted_git
from relay_tui.adapters.git.transfer.uncommitted import PARTLY, WHOLE, commit_uncommitted
from relay_tui.adapters.git.untrusted.gitdir import GitDir, ObjectFile, open_clone
from relay_tui.domain.errors import GitError, InvalidInputError
from relay_tui.ports import SessionClone
from relay_tui.ports.task import TaskContext

_LOOSE = re.compile(r"[0-9a-f]{38}(?:[0-9a-f]{24})?")
_PACK = re.compile(r"pack-[0-9a-f]{40}(?:[0-9a-f]{24})?\.(?:pack|idx)")
_CHUNK = 1 << 20
_TRIES = 2  # git in the session may have repacked its objects during the copy
_STAGE = "Copying the session's objects"


@dataclass(frozen=True, slots=True)
class ImportedRefs:
    """Result of an import."""

    branch: str = ""
    """Branch of the session's HEAD; '' when detached."""
    refs: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """Refs below refs/relay/<session id>/ in the base clone, and their commits."""


def import_session(clone: SessionClone, tmp: Path, task: TaskContext, *, files: bool = False) -> ImportedRefs:
    """Copy each ref, stash and detached HEAD of the session to refs/relay/<session id>/* of its base clone.

    With `files`, also the uncommitted changes, as a commit of their own.
    """
    for attempt in range(1, _TRIES + 1):
        try:
            return _import(clone, tmp, task, files=files)
        except GitError:
            if attempt == _TRIES:
                raise
    raise AssertionError


def _import(clone: SessionClone, tmp: Path, task: TaskContext, *, files: bool) -> ImportedRefs:
    task.raise_if_cancelled()
    with trusted_git.scratch_directory(tmp, clone.session_id) as path, open_clone(clone.work_dir) as git_dir:
        head = git_dir.head()
        wanted = _refs_to_import(git_dir, trusted_git.refs(clone.base, "refs/tags/"))
        if head.hash and not head.branch:
            wanted["refs/detached"] = head.hash
        if not wanted and not files:
            return ImportedRefs(head.branch)
        copy = path / "copy.git"
        trusted_git.create_repository(copy, clone.base)
        trusted_git.write_refs(copy, wanted)
        git_dir.check()
        _copy_objects(git_dir, copy / "objects", clone.base, task)
        prefix = f"refs/relay/{clone.session_id}/"
        if files:
            wanted |= commit_uncommitted(clone, copy, task)
            trusted_git.delete_refs(clone.base, *(f"{prefix}{name.removeprefix('refs/')}" for name in (WHOLE, PARTLY)))
        if not wanted:
            return ImportedRefs(head.branch)
        _fetch(clone.base, copy, prefix, task)
        session_note.write(clone, head.branch)
        lfs_transfer.import_objects(git_dir, clone.base, wanted.values(), path, task)
        imported = {prefix + name.removeprefix("refs/"): commit for name, commit in wanted.items()}
        return ImportedRefs(head.branch, MappingProxyType(imported))


def _refs_to_import(git_dir: GitDir, tags: Mapping[str, str]) -> dict[str, str]:
    """Return the session's refs and stashes without tags that the base clone has with the same commit.

    A ref whose name git would refuse is work too: it is imported as refs/odd/<number>.
    """
    wanted = {}
    odd: list[str] = []
    for name, commit in sorted(git_dir.work.items()):
        if tags.get(name) == commit:
            continue
        if _is_valid_ref(name):
            wanted[name] = commit
        else:
            odd.append(commit)
    wanted |= {f"refs/odd/{number}": commit for number, commit in enumerate(odd)}
    return wanted | {f"refs/stash/{number}": commit for number, commit in enumerate(git_dir.stashes())}


def _is_valid_ref(name: str) -> bool:
    try:
        check_branch_name(name.removeprefix("refs/"))
    except InvalidInputError:
        return False
    return name.count("/") > 1


# --- copy of the object files ----------------------------------------------------------------------------------------


def _copy_objects(git_dir: GitDir, target: Path, base: Path, task: TaskContext) -> None:
    """Copy the object files that the base clone lacks, loose objects first.

    git writes a pack before it deletes the loose objects in it, so packs that appear during the copy are copied last.
    """
    found = [file for file in git_dir.object_files() if _is_new(file, base)]
    loose = [file for file in found if file.directory != "pack"]
    known = trusted_git.existing_objects(base, [file.directory + file.name for file in loose])
    loose = [file for file in loose if file.directory + file.name not in known]
    packs = [file for file in found if file.directory == "pack"]
    progress = _CopyProgress(task, len(loose) + len(packs))
    for file in loose:
        _copy_file(git_dir, file, target, progress)
    for file in packs:
        _copy_file(git_dir, file, target, progress)
    copied = set(packs)
    for file in git_dir.object_files():
        if file.directory == "pack" and file not in copied and _is_new(file, base):
            _copy_file(git_dir, file, target, progress)


def _is_new(file: ObjectFile, base: Path) -> bool:
    """Return whether the file has a valid name for an object file, and the base clone has no file of that name."""
    pattern = _PACK if file.directory == "pack" else _LOOSE
    return bool(pattern.fullmatch(file.name)) and not (base / "objects" / file.directory / file.name).exists()


def _copy_file(git_dir: GitDir, file: ObjectFile, target: Path, progress: _CopyProgress) -> None:
    progress.next_file()
    directory = target / file.directory
    try:
        if not directory.exists():
            directory.mkdir()
        with git_dir.open_object(file) as reading, (directory / file.name).open("wb") as writing:
            size = os.fstat(reading).st_size  # the session may append to it: only these bytes are copied
            assert stat.S_ISREG(os.fstat(reading).st_mode)
            done = 0
            while done < size and (count := os.sendfile(writing.fileno(), reading, done, min(_CHUNK, size - done))):
                done += count
                progress.add_bytes(count)
    except FileNotFoundError:  # git has packed or deleted it since it was listed
        return
    except OSError as error:
        raise filesystem_error(error, "Cannot copy the session's objects", directory / file.name) from error


class _CopyProgress:
    """Progress and cancellation of the copy."""

    def __init__(self, task: TaskContext, files: int) -> None:
        self._task = task
        self._files = files
        self._done = 0
        self._bytes = 0

    def next_file(self) -> None:
        """Count a file, and report every 64th."""
        self._task.raise_if_cancelled()
        if self._done % 64 == 0:
            self._report()
        self._done += 1

    def add_bytes(self, count: int) -> None:
        """Count copied bytes, and report every 16 MiB."""
        self._task.raise_if_cancelled()
        before, self._bytes = self._bytes, self._bytes + count
        if before >> 24 != self._bytes >> 24:
            self._report()

    def _report(self) -> None:
        size = f"{self._bytes / (1 << 20):.1f} MiB"
        self._task.report(_STAGE, min(1.0, self._done / self._files) if self._files else None, size)


# --- fetch into the base clone ---------------------------------------------------------------------------------------


def _fetch(base: Path, copy: Path, prefix: str, task: TaskContext) -> None:
    """Fetch through git's transfer protocol, which hashes and checks each object."""
    strict = ("-c", "fetch.fsckObjects=true", "-c", "transfer.fsckObjects=true", "-c", "pack.threads=1")
    options: Sequence[str] = (
        *("--no-tags", "--force", "--no-auto-gc", "--no-recurse-submodules", "--no-write-fetch-head", "--progress"),
        *("--", trusted_git.file_url(copy), f"+refs/*:{prefix}*"),
    )
    task.report("Checking the session's objects")
    command = (*trusted_git.STRICT, *strict, f"--git-dir={base}", "fetch", *options)
    outcome = run_git(command, task, trusted_git.isolated_environment("file"), begin=trusted_git.sandboxed(copy, base))
    if outcome.code:
        error = git_error(outcome, "Cannot import the session's commits")
        error.hint = error.hint or "Check the session's repository in its shell: git fsck."
        raise error
