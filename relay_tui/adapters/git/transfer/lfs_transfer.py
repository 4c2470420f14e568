"""The content of LFS files: git carries pointers to it only, so it is brought out and sent beside the commits."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from collections.abc import Collection, Sequence
from pathlib import Path

from relay_tui.adapters.filesystem.atomic import from_os
from relay_tui.adapters.git.clone.source import is_local
from relay_tui.adapters.git.credentials import spellings
from relay_tui.adapters.git.errors import git_error
from relay_tui.adapters.git.transfer import commits, remote, trusted_git
from relay_tui.adapters.git.untrusted.gitdir import GitDir
from relay_tui.domain.errors import GitError, UnknownStateError
from relay_tui.ports import CloneSource
from relay_tui.ports.task import TaskContext

_POINTER = re.compile(
    rb"version https://git-lfs\.github\.com/spec/v1\n(?:[a-z0-9.-]+ [^\n]*\n)*?oid sha256:([0-9a-f]{64})\nsize \d+\n"
)
_MOST_POINTER = 1024  # bytes: so says the format
_ELSEWHERE = re.compile(r"^(?!file:)((https?|ssh)://|[^/:]+:(?!//))", re.IGNORECASE)
_AT_ONCE = 500  # on one command line
_CHUNK = 1 << 20


def import_objects(git_dir: GitDir, base: Path, tips: Collection[str], scratch: Path, task: TaskContext) -> None:
    """Copy into the base what the new commits of a session point to and its clone has, if it is what its name says."""
    if not git_dir.has_entries("lfs"):
        return
    for name in _pointed(base, tips):
        task.raise_if_cancelled()
        target = _place(base, name)
        if target.exists():
            continue
        task.report("Copying LFS files")
        try:
            _copy(git_dir, name, scratch / name, target, task)
        except (FileNotFoundError, UnknownStateError):  # the upstream may have it; what it lacks it will say
            continue
        except OSError as error:
            raise from_os(error) from error


def _copy(git_dir: GitDir, name: str, copy: Path, target: Path, task: TaskContext) -> None:
    digest = hashlib.sha256()
    with git_dir.open_lfs(name) as reading, copy.open("wb") as writing:
        while piece := os.read(reading, _CHUNK):
            task.raise_if_cancelled()
            digest.update(piece)
            writing.write(piece)
    if digest.hexdigest() != name:
        copy.unlink()
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    copy.rename(target)


def objects_to_push(base: Path, commit: str) -> list[str]:
    """The sums of what a push of `commit` has to send along: what is new, and in the base."""
    if not (base / "lfs/objects").is_dir():
        return []
    return [name for name in _pointed(base, [commit]) if _place(base, name).exists()]


def send(base: Path, source: CloneSource, names: Sequence[str], task: TaskContext) -> None:
    """Upload it with the host's git-lfs and credentials. Raises GitError when the host has none."""
    if not names:
        return
    if shutil.which("git-lfs") is None:
        count = f"{len(names)} LFS {'file' if len(names) == 1 else 'files'}"
        raise GitError(f"{count} cannot be sent along", "There is no git-lfs on this host.", "Install git-lfs here.")
    if not is_local(source.url) and not _leads_elsewhere(base):
        hint = "Push from a clone of your own: relay session export."
        raise GitError("The repository's .lfsconfig names a place on this host", hint=hint)
    task.report("Sending LFS files")
    for start in range(0, len(names), _AT_ONCE):
        some = names[start : start + _AT_ONCE]
        options = ("-c", f"remote.origin.url={source.url}", "-c", "lfs.locksverify=false")
        outcome = remote.run_remote_command(
            base, (*options, "lfs", "push", "--object-id", "origin", *some), source, task
        )
        if outcome.code:
            raise git_error(outcome, "The LFS files cannot be sent", spellings(source))


def copy_to(base: Path, git: Path, tips: Collection[str]) -> None:
    """Give a clone what its new commits point to, as far as the base has it."""
    if not (base / "lfs/objects").is_dir():
        return
    for name in _pointed(base, tips):
        source, target = _place(base, name), _place(git, name)
        if source.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)


def _place(git: Path, name: str) -> Path:
    return git / "lfs/objects" / name[:2] / name[2:4] / name


def _leads_elsewhere(base: Path) -> bool:
    """Whether what the upstream configures for git-lfs, if anything, is another host."""
    blob = "HEAD:.lfsconfig"
    if not trusted_git.holds(base, "cat-file", "-e", blob):
        return True
    command = ("config", f"--blob={blob}", "--no-includes", "-z", "--get-regexp", "url$")
    listed = trusted_git.run_capture(base, *command, title="The repository's .lfsconfig cannot be read")
    return all(_ELSEWHERE.match(entry.partition("\n")[2]) for entry in listed.split("\0") if entry)


def _pointed(base: Path, tips: Collection[str]) -> list[str]:
    """The sums that pointers tell in what `tips` have and the upstream lacks."""
    objects = trusted_git.run_capture(
        base,
        *("rev-list", "--objects", "--no-object-names", "--filter=object:type=blob", "--filter-provided-objects"),
        *(*sorted(set(tips)), *commits.UPSTREAM, "--"),
        title="The commits cannot be read",
    )
    if not objects:
        return []
    listed = trusted_git.cat_file(base, "--batch-check=%(objectname) %(objectsize)", objects.encode()).splitlines()
    small = [name for name, size in (line.split() for line in listed) if int(size) <= _MOST_POINTER]
    if not small:
        return []
    contents = trusted_git.cat_file(base, "--batch", b"\n".join(small) + b"\n")
    return sorted({found.decode() for found in _POINTER.findall(contents)})
