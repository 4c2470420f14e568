"""Reader for the `.git` directory of a session's clone.

git itself would execute and follow what the session planted there: hooks, configuration, alternates.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from relay_tui.adapters.git.untrusted import files as clone_files
from relay_tui.adapters.git.untrusted.files import read_error

HASH = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
"""A SHA-1 or SHA-256 object name, for fullmatch()."""

MOST_CONFIG = 1 << 20
MOST_PACKED_REFS = 16 << 20
MOST_INDEX = 512 << 20
MOST_LOOSE = 20_000
MOST_STASHES = 10_000
_MOST_REF = 4096
_DEEPEST = 24
_FAN_OUT = re.compile(r"[0-9a-f]{2}")
_MOST_OBJECTS = 5_000_000
_ALTERNATES = ("alternates", "http-alternates")
_NOT_WORK = ("refs/remotes/", "refs/prefetch/")
_OPERATIONS = {
    "rebase-merge": "A rebase is in progress",
    "rebase-apply": "A rebase is in progress",
    "MERGE_HEAD": "A merge is in progress",
    "CHERRY_PICK_HEAD": "A cherry-pick is in progress",
    "REVERT_HEAD": "A revert is in progress",
    "BISECT_LOG": "A bisection is in progress",
}


@dataclass(frozen=True, slots=True)
class Head:
    """Branch and commit of HEAD. `branch` is '' when detached, `hash` is '' on a branch without a commit."""

    branch: str
    hash: str


@dataclass(frozen=True, slots=True)
class ObjectFile:
    """File of the object store. `directory` is 'pack', or the first two digits of a loose object's hash."""

    directory: str
    name: str


class GitDir:
    """Open git directory. Each method raises UnknownStateError for content that it refuses to read."""

    def __init__(self, descriptor: int) -> None:
        self._git = descriptor

    def head(self) -> Head:
        """Return the branch and commit of HEAD."""
        content = _text(clone_files.read_file("HEAD", self._git, _MOST_REF, shown=".git/HEAD"))
        if content is None:
            raise read_error(".git/HEAD does not exist.")
        if HASH.fullmatch(content):
            return Head("", content)
        if not content.startswith("ref: refs/"):
            raise read_error(".git/HEAD names neither a branch nor a commit.")
        reference = content.removeprefix("ref: ").strip()
        if reference == "refs/heads/.invalid":
            raise read_error("The clone stores its refs in a reftable, which relay cannot read.")
        return Head(reference.removeprefix("refs/heads/"), self.refs.get(reference, ""))

    @cached_property
    def refs(self) -> Mapping[str, str]:
        """Every ref and its hash. Names are not checked: git itself would refuse some of them."""
        if clone_files.exists("reftable", self._git):
            raise read_error("The clone stores its refs in a reftable, which relay cannot read.")
        loose: dict[str, str] = {}
        if clone_files.exists("refs", self._git):
            with clone_files.directory("refs", self._git, shown=".git/refs") as refs:
                self._read_loose_refs(refs, "refs", loose, 0)
        # read after the loose refs: git writes the packed file before it deletes them, so none is missed
        packed = clone_files.read_file("packed-refs", self._git, MOST_PACKED_REFS, shown=".git/packed-refs")
        found = _parse_packed_refs(packed or b"") | loose
        return {name: hashed for name in found if (hashed := _resolve(found, name))}

    @property
    def heads(self) -> Mapping[str, str]:
        """Branches (refs/heads/…) and their commits."""
        return {name: hashed for name, hashed in self.refs.items() if name.startswith("refs/heads/")}

    @property
    def work(self) -> Mapping[str, str]:
        """Refs that may hold work of the session: every ref but remote-tracking ones and the stash."""
        return {n: h for n, h in self.refs.items() if not n.startswith(_NOT_WORK) and n != "refs/stash"}

    def stashes(self) -> list[str]:
        """Return the commits of the stash, newest first."""
        top = self.refs.get("refs/stash", "")
        if not top:
            return []
        logged: list[str] = []
        if _has_nested(self._git, "logs", "refs"):
            with clone_files.directory("logs", self._git) as logs, clone_files.directory("refs", logs) as refs:
                reflog = clone_files.read_file("stash", refs, MOST_CONFIG, shown=".git/logs/refs/stash") or b""
                for line in reflog.split(b"\n"):
                    new = line[:129].decode(errors="replace").split(" ", 2)[1:2]
                    if new and HASH.fullmatch(new[0]):
                        logged.append(new[0])
        if len(logged) > MOST_STASHES:
            raise read_error(f"The stash holds more than {MOST_STASHES} entries.")
        newest_first = logged[::-1]
        return newest_first if top in newest_first else [top, *newest_first]

    def config(self) -> bytes:
        """Return the session's configuration. Pass it only to `git config --file - --no-includes`."""
        return clone_files.read_file("config", self._git, MOST_CONFIG, shown=".git/config") or b""

    def index(self) -> bytes | None:
        """Return the session's index, None if there is none."""
        return clone_files.read_file("index", self._git, MOST_INDEX, shown=".git/index")

    def index_stamp(self) -> tuple[int, ...]:
        """Return inode, size, mtime and ctime (ns) of the index, which change when it is rewritten; () without one."""
        try:
            found = os.lstat("index", dir_fd=self._git)
        except FileNotFoundError:
            return ()
        return (found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)

    def unfinished_operations(self) -> list[str]:
        """Describe each git operation that was started and not finished: 'A merge is in progress'."""
        return sorted({text for name, text in _OPERATIONS.items() if clone_files.exists(name, self._git)})

    def has_entries(self, name: str) -> bool:
        """Return whether a directory in `.git` ('modules', 'worktrees') has entries.

        Raises UnknownStateError if it is not a directory.
        """
        if not clone_files.exists(name, self._git):
            return False
        with clone_files.directory(name, self._git, shown=f".git/{name}") as inner:
            return bool(clone_files.entries(inner, 100_000, shown=f".git/{name}"))

    def check(self) -> None:
        """Raise UnknownStateError if git would read objects from elsewhere, or if an object is not a real file."""
        if clone_files.exists("commondir", self._git):
            raise read_error(".git/commondir points git to another directory.")
        for _ in self.object_files():
            pass

    def object_files(self) -> Iterator[ObjectFile]:
        """Yield each file that git would read objects from.

        Raises UnknownStateError for symbolic links, pipes, and alternates.
        """
        count = 0
        with clone_files.directory("objects", self._git, shown=".git/objects") as objects:
            for entry in clone_files.entries(objects, 100_000, shown=".git/objects"):
                if not entry.is_dir(follow_symlinks=False) and not entry.is_file(follow_symlinks=False):
                    raise read_error(f".git/objects/{entry.name} is neither a directory nor a file.")
                if entry.name not in {"pack", "info"} and not _FAN_OUT.fullmatch(entry.name):
                    continue
                with clone_files.directory(entry.name, objects, shown=f".git/objects/{entry.name}") as inner:
                    if entry.name == "info":
                        _refuse_alternates(inner)
                    for file in _real_files(inner, entry.name):
                        count += 1
                        if count > _MOST_OBJECTS:
                            raise read_error(f".git/objects holds more than {_MOST_OBJECTS} files.")
                        if entry.name != "info":
                            yield ObjectFile(entry.name, file)

    @contextmanager
    def open_object(self, file: ObjectFile) -> Iterator[int]:
        """Open an object file for reading within the block. Raises FileNotFoundError if git has packed it since."""
        with (
            clone_files.directory("objects", self._git, shown=".git/objects") as objects,
            clone_files.directory(file.directory, objects, shown=f".git/objects/{file.directory}") as inner,
        ):
            descriptor = clone_files.open_file(file.name, inner, shown=f".git/objects/{file.directory}/{file.name}")
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    @contextmanager
    def open_lfs(self, name: str) -> Iterator[int]:
        """Open an LFS object, by its checksum, for reading within the block.

        Raises FileNotFoundError if it does not exist.
        """
        with ExitStack() as stack:
            inner = self._git
            for part in ("lfs", "objects", name[:2], name[2:4]):
                if not clone_files.exists(part, inner):
                    raise FileNotFoundError(name)
                inner = stack.enter_context(clone_files.directory(part, inner, shown=f".git/lfs/…/{part}"))
            descriptor = clone_files.open_file(name, inner, shown=f".git/lfs/objects/…/{name}")
            stack.callback(os.close, descriptor)
            yield descriptor

    def _read_loose_refs(self, descriptor: int, prefix: str, found: dict[str, str], depth: int) -> None:
        if depth > _DEEPEST:
            raise read_error(f".git/{prefix} is nested too deep.")
        for entry in clone_files.entries(descriptor, MOST_LOOSE, shown=f".git/{prefix}"):
            name = f"{prefix}/{entry.name}"
            if entry.is_dir(follow_symlinks=False):
                with clone_files.directory(entry.name, descriptor, shown=f".git/{name}") as inner:
                    self._read_loose_refs(inner, name, found, depth + 1)
            elif not entry.name.endswith(".lock"):
                content = _text(clone_files.read_file(entry.name, descriptor, _MOST_REF, shown=f".git/{name}"))
                if content is None:
                    continue  # git has packed it since
                if not HASH.fullmatch(content) and not content.startswith("ref: "):
                    raise read_error(f".git/{name} does not name a commit.")
                found[name] = content
                if len(found) > MOST_LOOSE:
                    raise read_error(f".git/refs holds more than {MOST_LOOSE} files.")


@contextmanager
def open_clone(work_dir: Path) -> Iterator[GitDir]:
    """Open the `.git` of a session's clone within the block. Raises UnknownStateError if it is not a real directory."""
    with (
        clone_files.directory(work_dir, shown="The clone") as tree,
        clone_files.directory(".git", tree, shown=".git") as git,
    ):
        yield GitDir(git)


@contextmanager
def open_bare(path: Path) -> Iterator[GitDir]:
    """Open a bare repository, such as a base clone, within the block."""
    with clone_files.directory(path) as git:
        yield GitDir(git)


def _text(data: bytes | None) -> str | None:
    return None if data is None else os.fsdecode(data.strip())


def _parse_packed_refs(data: bytes) -> dict[str, str]:
    found = {}
    for line in data.split(b"\n"):
        if not line or line[:1] in b"#^":
            continue
        hashed, _, name = line.partition(b" ")
        if not name.startswith(b"refs/") or not HASH.fullmatch(hashed.decode(errors="replace")):
            raise read_error(".git/packed-refs is not in git's format.")
        found[os.fsdecode(name.rstrip(b"\r"))] = hashed.decode()
    return found


def _resolve(found: Mapping[str, str], name: str) -> str:
    """Return the hash of a ref, following at most five symbolic refs; '' if there is none."""
    for _ in range(5):
        content = found.get(name, "")
        if not content.startswith("ref: "):
            return content
        name = content.removeprefix("ref: ").strip()
    return ""


def _has_nested(descriptor: int, first: str, second: str) -> bool:
    """Return whether the directory `first` exists and contains `second`."""
    if not clone_files.exists(first, descriptor):
        return False
    with clone_files.directory(first, descriptor, shown=f".git/{first}") as inner:
        return clone_files.exists(second, inner)


def _refuse_alternates(info: int) -> None:
    for name in _ALTERNATES:
        if clone_files.exists(name, info):
            raise read_error(f".git/objects/info/{name} points git to objects outside the clone.")


def _real_files(descriptor: int, where: str) -> list[str]:
    files = []
    for entry in clone_files.entries(descriptor, _MOST_OBJECTS, shown=f".git/objects/{where}"):
        if entry.is_file(follow_symlinks=False):
            files.append(entry.name)
        elif where != "info" or not entry.is_dir(follow_symlinks=False):
            raise read_error(f".git/objects/{where}/{entry.name} is not a file.")
    return files
