"""The `.git` of a session's clone, read by ourselves: git would run and follow what was planted in there."""

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
"""A commit's name in either of git's formats, to be matched whole."""

MOST_CONFIG = 1 << 20
MOST_PACKED_REFS = 16 << 20
MOST_INDEX = 512 << 20
MOST_LOOSE = 20_000
MOST_STASHES = 10_000
_MOST_REF = 4096
_DEEPEST = 24
_FAN_OUT = re.compile(r"[0-9a-f]{2}")
_MOST_OBJECTS = 5_000_000
_BORROWED = ("alternates", "http-alternates")
_NOT_WORK = ("refs/remotes/", "refs/prefetch/")
_UNDER_WAY = {
    "rebase-merge": "A rebase is under way",
    "rebase-apply": "A rebase is under way",
    "MERGE_HEAD": "A merge is under way",
    "CHERRY_PICK_HEAD": "A cherry-pick is under way",
    "REVERT_HEAD": "A revert is under way",
    "BISECT_LOG": "A bisection is under way",
}


@dataclass(frozen=True, slots=True)
class Head:
    """What HEAD is on. `branch` is '' when detached, `hash` '' on a branch without a commit."""

    branch: str
    hash: str


@dataclass(frozen=True, slots=True)
class ObjectFile:
    """A file of the object store: `directory` is 'pack' or the two first letters of a loose object's hash."""

    directory: str
    name: str


class GitDir:
    """A git directory that is open. Every method raises UnknownStateError for what it refuses to read."""

    def __init__(self, descriptor: int) -> None:
        self._git = descriptor

    def head(self) -> Head:
        """What HEAD says."""
        words = _text(clone_files.read_file("HEAD", self._git, _MOST_REF, shown=".git/HEAD"))
        if words is None:
            raise read_error(".git/HEAD is not there.")
        if HASH.fullmatch(words):
            return Head("", words)
        if not words.startswith("ref: refs/"):
            raise read_error(".git/HEAD names neither a branch nor a commit.")
        reference = words.removeprefix("ref: ").strip()
        if reference == "refs/heads/.invalid":
            raise read_error("Its branches are kept in a reftable, which relay cannot read.")
        return Head(reference.removeprefix("refs/heads/"), self.refs.get(reference, ""))

    @cached_property
    def refs(self) -> Mapping[str, str]:
        """Every ref and the hash it stands for. Names are as they were found: some git itself would refuse."""
        if clone_files.exists("reftable", self._git):
            raise read_error("Its branches are kept in a reftable, which relay cannot read.")
        loose: dict[str, str] = {}
        if clone_files.exists("refs", self._git):
            with clone_files.directory("refs", self._git, shown=".git/refs") as refs:
                self._loose(refs, "refs", loose, 0)
        # after the loose ones: git writes the packed file before it deletes them
        packed = clone_files.read_file("packed-refs", self._git, MOST_PACKED_REFS, shown=".git/packed-refs")
        found = _packed(packed or b"") | loose
        return {name: hashed for name in found if (hashed := _resolve(found, name))}

    @property
    def heads(self) -> Mapping[str, str]:
        """Every branch (refs/heads/…) and its commit."""
        return {name: hashed for name, hashed in self.refs.items() if name.startswith("refs/heads/")}

    @property
    def work(self) -> Mapping[str, str]:
        """Every ref that may hold work of the session: all but what it fetched, and its stash."""
        return {n: h for n, h in self.refs.items() if not n.startswith(_NOT_WORK) and n != "refs/stash"}

    def stashes(self) -> list[str]:
        """The commits of the stash, the newest first."""
        top = self.refs.get("refs/stash", "")
        if not top:
            return []
        logged: list[str] = []
        if _is_chain(self._git, "logs", "refs"):
            with clone_files.directory("logs", self._git) as logs, clone_files.directory("refs", logs) as refs:
                for line in (
                    clone_files.read_file("stash", refs, MOST_CONFIG, shown=".git/logs/refs/stash") or b""
                ).split(b"\n"):
                    new = line[:129].decode(errors="replace").split(" ", 2)[1:2]
                    if new and HASH.fullmatch(new[0]):
                        logged.append(new[0])
        if len(logged) > MOST_STASHES:
            raise read_error(f"The stash holds more than {MOST_STASHES} entries.")
        newest_first = logged[::-1]
        return newest_first if top in newest_first else [top, *newest_first]

    def config(self) -> bytes:
        """The session's own configuration, which only `git config --file - --no-includes` may be shown."""
        return clone_files.read_file("config", self._git, MOST_CONFIG, shown=".git/config") or b""

    def index(self) -> bytes | None:
        """The session's index; None if it has none."""
        return clone_files.read_file("index", self._git, MOST_INDEX, shown=".git/index")

    def index_stamp(self) -> tuple[int, ...]:
        """Something that differs when the index was written anew; () if there is none."""
        try:
            found = os.lstat("index", dir_fd=self._git)
        except FileNotFoundError:
            return ()
        return (found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)

    def under_way(self) -> list[str]:
        """What git was left in the middle of, in words."""
        return sorted({words for name, words in _UNDER_WAY.items() if clone_files.exists(name, self._git)})

    def has_entries(self, name: str) -> bool:
        """Whether a directory in here ('modules', 'worktrees') holds anything; what is no directory counts too."""
        if not clone_files.exists(name, self._git):
            return False
        with clone_files.directory(name, self._git, shown=f".git/{name}") as inner:
            return bool(clone_files.entries(inner, 100_000, shown=f".git/{name}"))

    def check(self) -> None:
        """Refuse a git directory that borrows from elsewhere, or whose objects are not real files."""
        if clone_files.exists("commondir", self._git):
            raise read_error(".git/commondir sends git to another directory.")
        for _ in self.object_files():
            pass

    def object_files(self) -> Iterator[ObjectFile]:
        """Every file that git would read objects from. Refuses symlinks, pipes, and objects borrowed from elsewhere."""
        count = 0
        with clone_files.directory("objects", self._git, shown=".git/objects") as objects:
            for entry in clone_files.entries(objects, 100_000, shown=".git/objects"):
                if not entry.is_dir(follow_symlinks=False) and not entry.is_file(follow_symlinks=False):
                    raise read_error(f".git/objects/{entry.name} is neither a directory nor a file.")
                if entry.name not in {"pack", "info"} and not _FAN_OUT.fullmatch(entry.name):
                    continue
                with clone_files.directory(entry.name, objects, shown=f".git/objects/{entry.name}") as inner:
                    if entry.name == "info":
                        _refuse_borrowed(inner)
                    for file in _real_files(inner, entry.name):
                        count += 1
                        if count > _MOST_OBJECTS:
                            raise read_error(f".git/objects holds more than {_MOST_OBJECTS} files.")
                        if entry.name != "info":
                            yield ObjectFile(entry.name, file)

    @contextmanager
    def open_object(self, file: ObjectFile) -> Iterator[int]:
        """Open one of them for reading. FileNotFoundError if git has packed it meanwhile."""
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
        """Open the content of an LFS file, by its sum, for reading. FileNotFoundError if it is not there."""
        with ExitStack() as stack:
            inner = self._git
            for part in ("lfs", "objects", name[:2], name[2:4]):
                if not clone_files.exists(part, inner):
                    raise FileNotFoundError(name)
                inner = stack.enter_context(clone_files.directory(part, inner, shown=f".git/lfs/…/{part}"))
            descriptor = clone_files.open_file(name, inner, shown=f".git/lfs/objects/…/{name}")
            stack.callback(os.close, descriptor)
            yield descriptor

    def _loose(self, descriptor: int, prefix: str, found: dict[str, str], depth: int) -> None:
        if depth > _DEEPEST:
            raise read_error(f".git/{prefix} is nested too deep.")
        for entry in clone_files.entries(descriptor, MOST_LOOSE, shown=f".git/{prefix}"):
            name = f"{prefix}/{entry.name}"
            if entry.is_dir(follow_symlinks=False):
                with clone_files.directory(entry.name, descriptor, shown=f".git/{name}") as inner:
                    self._loose(inner, name, found, depth + 1)
            elif not entry.name.endswith(".lock"):
                words = _text(clone_files.read_file(entry.name, descriptor, _MOST_REF, shown=f".git/{name}"))
                if words is None:
                    continue  # packed meanwhile
                if not HASH.fullmatch(words) and not words.startswith("ref: "):
                    raise read_error(f".git/{name} names no commit.")
                found[name] = words
                if len(found) > MOST_LOOSE:
                    raise read_error(f".git/refs holds more than {MOST_LOOSE} files.")


@contextmanager
def open_clone(work_dir: Path) -> Iterator[GitDir]:
    """The git directory of a session's clone: `.git`, if that is a real directory."""
    with (
        clone_files.directory(work_dir, shown="The clone") as tree,
        clone_files.directory(".git", tree, shown=".git") as git,
    ):
        yield GitDir(git)


@contextmanager
def open_bare(path: Path) -> Iterator[GitDir]:
    """The same for a bare repository, such as a base clone."""
    with clone_files.directory(path) as git:
        yield GitDir(git)


def _text(data: bytes | None) -> str | None:
    return None if data is None else os.fsdecode(data.strip())


def _packed(data: bytes) -> dict[str, str]:
    found = {}
    for line in data.split(b"\n"):
        if not line or line[:1] in b"#^":
            continue
        hashed, _, name = line.partition(b" ")
        if not name.startswith(b"refs/") or not HASH.fullmatch(hashed.decode(errors="replace")):
            raise read_error(".git/packed-refs is not as git writes it.")
        found[os.fsdecode(name.rstrip(b"\r"))] = hashed.decode()
    return found


def _resolve(found: Mapping[str, str], name: str) -> str:
    """The hash behind a ref, through a few symbolic ones; '' if it leads nowhere."""
    for _ in range(5):
        words = found.get(name, "")
        if not words.startswith("ref: "):
            return words
        name = words.removeprefix("ref: ").strip()
    return ""


def _is_chain(descriptor: int, first: str, second: str) -> bool:
    """Whether `first` is there, and `second` in it."""
    if not clone_files.exists(first, descriptor):
        return False
    with clone_files.directory(first, descriptor, shown=f".git/{first}") as inner:
        return clone_files.exists(second, inner)


def _refuse_borrowed(info: int) -> None:
    for name in _BORROWED:
        if clone_files.exists(name, info):
            raise read_error(f".git/objects/info/{name} sends git to objects of another place.")


def _real_files(descriptor: int, where: str) -> list[str]:
    files = []
    for entry in clone_files.entries(descriptor, _MOST_OBJECTS, shown=f".git/objects/{where}"):
        if entry.is_file(follow_symlinks=False):
            files.append(entry.name)
        elif where != "info" or not entry.is_dir(follow_symlinks=False):
            raise read_error(f".git/objects/{where}/{entry.name} is not a file.")
    return files
