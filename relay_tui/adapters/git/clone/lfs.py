"""LFS files of a session clone."""

from __future__ import annotations

import os
import re
import shutil
import time
from pathlib import Path

from relay_tui.adapters.git import process
from relay_tui.adapters.git.clone.source import is_local
from relay_tui.adapters.git.errors import disk_error, last_lines
from relay_tui.ports.task import TaskContext

_ATTRIBUTE = re.compile(rb"^[^#\n]*\sfilter=lfs\b", re.MULTILINE)
_PLAIN_INDEX = (b"DIRC\0\0\0\2", b"DIRC\0\0\0\3")  # versions whose entries hold whole paths
_REMOTE_URL = re.compile(r"^(?!file:)((https?|ssh)://|[^/:]+:(?!//))", re.IGNORECASE)
_FILTERS = (
    ("filter.lfs.clean", "git-lfs clean -- %f"),
    ("filter.lfs.smudge", "git-lfs smudge -- %f"),
    ("filter.lfs.process", "git-lfs filter-process"),
    ("filter.lfs.required", "true"),
)
_PRE_PUSH = """#!/bin/sh
# Uploads the LFS files of what is pushed. Without git-lfs none can have been committed: the filter is required.
command -v git-lfs >/dev/null 2>&1 || exit 0
exec git lfs pre-push "$@"
"""
_BACKDATED = 10
"""Seconds by which the mtime of LFS files is set back.

git compares a file that is not older than the index by content. In a container without git-lfs such a file would be
shown as changed.
"""


def uses_lfs(tree: Path) -> bool:
    """Return whether a .gitattributes file of this tree uses the LFS filter.

    Starts git only if there may be one below the root.
    """
    if _mentions_lfs(tree / ".gitattributes"):
        return True
    index = _git_dir(tree) / "index"
    content = index.read_bytes() if index.is_file() else b""
    if content.startswith(_PLAIN_INDEX) and b"/.gitattributes\0" not in content:
        return False
    listed = process.run_git_capture("-C", str(tree), "ls-files", "-z", "--", "*/.gitattributes").stdout
    return any(_mentions_lfs(tree / os.fsdecode(name)) for name in listed.split(b"\0") if name)


def fetch_lfs(tree: Path, name: str, origin: str, task: TaskContext) -> list[str]:
    """Download the LFS files of `tree`; return a note for each problem.

    `name` is the submodule's path for the notes, '.' for the session's own tree.
    """
    where = "" if name == "." else f" of submodule {name}"
    files = process.run_git_capture("-C", str(tree), "ls-files", "-z", "--", ":(attr:filter=lfs)").stdout
    names = [os.fsdecode(file) for file in files.split(b"\0") if file]
    if not names:
        return []
    if shutil.which("git-lfs") is None:
        return [f"LFS files{where} are pointers only: git-lfs is not installed on this host"]
    if not is_local(origin) and _uses_local_url(tree):
        return [f"LFS files{where} are pointers only: .lfsconfig names a path on this host"]
    task.report(f"Fetching LFS files{where}")
    _configure(tree)
    outcome = process.run_git(
        ("-c", "core.hooksPath=/dev/null", "-C", str(tree), "lfs", "pull", "origin"),
        task,
        process.environment("https:http:ssh:git:file", process.ssh_command()),
    )
    if outcome.code and (error := disk_error(outcome)):
        raise error
    _backdate(tree, names)
    return [f"LFS files{where} are missing: {last_lines(outcome)}"] if outcome.code else []


def _git_dir(tree: Path) -> Path:
    """Return the git directory of a work tree. For a submodule, its .git file names it."""
    entry = tree / ".git"
    if entry.is_dir():
        return entry
    return tree / entry.read_text().removeprefix("gitdir: ").strip() if entry.is_file() else entry


def _mentions_lfs(attributes: Path) -> bool:
    if attributes.is_symlink() or not attributes.is_file():
        return False
    return bool(_ATTRIBUTE.search(attributes.read_bytes()))


def _uses_local_url(tree: Path) -> bool:
    """Return whether the tree's .lfsconfig names a repository on this host, in which git-lfs would run git."""
    config = tree / ".lfsconfig"
    if not config.is_symlink() and not config.is_file():
        return False
    if config.is_symlink():
        return True
    listed = process.run_git_capture("config", f"--file={config}", "-z", "--no-includes", "--get-regexp", "url$").stdout
    values = [entry.partition("\n")[2] for entry in listed.decode(errors="replace").split("\0") if entry]
    return not all(_REMOTE_URL.match(value) for value in values)


def _configure(tree: Path) -> None:
    """Configure the LFS filter as required. Without git-lfs, git fails instead of committing whole files."""
    git_dir = _git_dir(tree)
    for key, value in _FILTERS:
        process.run_git_capture("config", f"--file={git_dir / 'config'}", key, value)
    hooks = git_dir / "hooks"
    hooks.mkdir(exist_ok=True)
    (hooks / "pre-push").write_text(_PRE_PUSH)
    (hooks / "pre-push").chmod(0o755)


def _backdate(tree: Path, names: list[str]) -> None:
    """Set the mtime of the files back, and refresh the index."""
    mtime = time.time() - _BACKDATED
    for name in names:
        if (tree / name).is_file():
            os.utime(tree / name, (mtime, mtime), follow_symlinks=False)
    process.run_git_capture("-c", "core.hooksPath=/dev/null", "-C", str(tree), "update-index", "-q", "--refresh")
