"""From a session's clone, which is hostile, into its project's base: copied by ourselves, then hashed again by git."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from relay_tui.adapters.filesystem.atomic import from_os
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
_TRIES = 2  # git in the session may have packed its objects anew while they were copied
_STAGE = "Copying the session's objects"


@dataclass(frozen=True, slots=True)
class ImportedRefs:
    """What lies in the base now. `refs` are those below refs/relay/<session id>/; `branch` is what HEAD was on."""

    branch: str = ""
    refs: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))


def import_session(clone: SessionClone, tmp: Path, task: TaskContext, *, files: bool = False) -> ImportedRefs:
    """Put every ref, stash and detached HEAD of the session into its base as refs/relay/<session id>/*.

    With `files`, also what is not committed, as a commit of its own.
    """
    for attempt in range(1, _TRIES + 1):
        try:
            return _bring_in(clone, tmp, task, files=files)
        except GitError:
            if attempt == _TRIES:
                raise
    raise AssertionError


def _bring_in(clone: SessionClone, tmp: Path, task: TaskContext, *, files: bool) -> ImportedRefs:
    task.raise_if_cancelled()
    with trusted_git.scratch_repository(tmp, clone.session_id) as path, open_clone(clone.work_dir) as git_dir:
        head = git_dir.head()
        wanted = _wanted(git_dir, trusted_git.refs(clone.base, "refs/tags/"))
        if head.hash and not head.branch:
            wanted["refs/detached"] = head.hash
        if not wanted and not files:
            return ImportedRefs(head.branch)
        copy = path / "copy.git"
        trusted_git.make(copy, clone.base)
        trusted_git.write_refs(copy, wanted)
        git_dir.check()
        _copy(git_dir, copy / "objects", clone.base, task)
        mine = f"refs/relay/{clone.session_id}/"
        if files:
            wanted |= commit_uncommitted(clone, copy, task)
            trusted_git.forget(clone.base, *(f"{mine}{name.removeprefix('refs/')}" for name in (WHOLE, PARTLY)))
        if not wanted:
            return ImportedRefs(head.branch)
        _fetch(clone.base, copy, mine, task)
        session_note.write(clone, head.branch)
        lfs_transfer.import_objects(git_dir, clone.base, wanted.values(), path, task)
        brought = {mine + name.removeprefix("refs/"): commit for name, commit in wanted.items()}
        return ImportedRefs(head.branch, MappingProxyType(brought))


def _wanted(git_dir: GitDir, tags: Mapping[str, str]) -> dict[str, str]:
    """The session's refs and stashes, but for tags that the base has just so.

    What lies under a name that git would refuse is work all the same, and gets another one.
    """
    wanted = {}
    odd: list[str] = []
    for name, commit in sorted(git_dir.work.items()):
        if tags.get(name) == commit:
            continue
        if _is_sound(name):
            wanted[name] = commit
        else:
            odd.append(commit)
    wanted |= {f"refs/odd/{number}": commit for number, commit in enumerate(odd)}
    return wanted | {f"refs/stash/{number}": commit for number, commit in enumerate(git_dir.stashes())}


def _is_sound(name: str) -> bool:
    try:
        check_branch_name(name.removeprefix("refs/"))
    except InvalidInputError:
        return False
    return name.count("/") > 1


# --- the copy --------------------------------------------------------------------------------------------------------


def _copy(git_dir: GitDir, target: Path, base: Path, task: TaskContext) -> None:
    """Copy what the base has not got. Loose objects first: git writes a pack before it deletes what went into it."""
    found = [file for file in git_dir.object_files() if _is_new(file, base)]
    loose = [file for file in found if file.directory != "pack"]
    known = trusted_git.present(base, [file.directory + file.name for file in loose])
    loose = [file for file in loose if file.directory + file.name not in known]
    packs = [file for file in found if file.directory == "pack"]
    pace = _Pace(task, len(loose) + len(packs))
    for file in loose:
        _copy_file(git_dir, file, target, pace)
    for file in packs:
        _copy_file(git_dir, file, target, pace)
    copied = set(packs)
    for file in git_dir.object_files():
        if file.directory == "pack" and file not in copied and _is_new(file, base):
            _copy_file(git_dir, file, target, pace)


def _is_new(file: ObjectFile, base: Path) -> bool:
    """Whether it is named as git names objects, and the base has none of that name."""
    pattern = _PACK if file.directory == "pack" else _LOOSE
    return bool(pattern.fullmatch(file.name)) and not (base / "objects" / file.directory / file.name).exists()


def _copy_file(git_dir: GitDir, file: ObjectFile, target: Path, pace: _Pace) -> None:
    pace.step()
    directory = target / file.directory
    try:
        if not directory.exists():
            directory.mkdir()
        with git_dir.open_object(file) as reading, (directory / file.name).open("wb") as writing:
            size = os.fstat(reading).st_size  # it may grow while we read: what was there counts
            assert stat.S_ISREG(os.fstat(reading).st_mode)
            done = 0
            while done < size and (count := os.sendfile(writing.fileno(), reading, done, min(_CHUNK, size - done))):
                done += count
                pace.bytes(count)
    except FileNotFoundError:  # packed, or thrown away, since it was listed
        return
    except OSError as error:
        raise from_os(error) from error


class _Pace:
    """Tells how far the copy is, and stops it."""

    def __init__(self, task: TaskContext, files: int) -> None:
        self._task = task
        self._files = files
        self._done = 0
        self._bytes = 0

    def step(self) -> None:
        """Another file begins."""
        self._task.raise_if_cancelled()
        if self._done % 64 == 0:
            self._tell()
        self._done += 1

    def bytes(self, count: int) -> None:
        """So many more bytes are copied."""
        self._task.raise_if_cancelled()
        before, self._bytes = self._bytes, self._bytes + count
        if before >> 24 != self._bytes >> 24:
            self._tell()

    def _tell(self) -> None:
        size = f"{self._bytes / (1 << 20):.1f} MiB"
        self._task.report(_STAGE, min(1.0, self._done / self._files) if self._files else None, size)


# --- into the base ---------------------------------------------------------------------------------------------------


def _fetch(base: Path, copy: Path, mine: str, task: TaskContext) -> None:
    """Fetch by git's own protocol, which hashes and checks every object on its way."""
    strict = ("-c", "fetch.fsckObjects=true", "-c", "transfer.fsckObjects=true", "-c", "pack.threads=1")
    options: Sequence[str] = (
        *("--no-tags", "--force", "--no-auto-gc", "--no-recurse-submodules", "--no-write-fetch-head", "--progress"),
        *("--", trusted_git.address(copy), f"+refs/*:{mine}*"),
    )
    task.report("Checking the session's objects")
    command = (*trusted_git.STRICT, *strict, f"--git-dir={base}", "fetch", *options)
    outcome = run_git(command, task, trusted_git.isolated_environment("file"), begin=trusted_git.sandboxed(copy, base))
    if outcome.code:
        error = git_error(outcome, "The session's commits cannot be brought out")
        error.hint = error.hint or "Look at the session's repository in its shell: git fsck."
        raise error
