"""The diff of a session's files against a commit, as git writes it; for files that no commit has, as it would."""

from __future__ import annotations

import os

from relay_tui.adapters.git.inspection import changes
from relay_tui.adapters.git.inspection.changes import ChangeSurvey
from relay_tui.adapters.git.untrusted import files as clone_files
from relay_tui.adapters.git.untrusted.snapshot import CloneSnapshot
from relay_tui.domain.changes import ChangeKind, ContentKind, FileChange, Patch

_PATCH = (*changes.DIFF, "--patch", "--full-index")
_UNTOUCHED = (ContentKind.UNREADABLE, ContentKind.HUGE)
_MOST_ARGUMENTS = 1 << 20  # bytes


def diff(view: CloneSnapshot, survey: ChangeSurvey, path: str, limit: int) -> Patch:
    """The diff of one file, or of all if `path` is ''; at most `limit` bytes. `survey` says what is asked of whom."""
    files = list(survey.changes().files) if not path else [survey.files.get(path, _plain(path))]
    own = survey.loose | survey.moved
    compared = [f for f in files if f.path not in own and f.content not in _UNTOUCHED]
    text, cut = _compared(view, survey.base, compared, limit) if compared else (b"", False)
    text += b"".join(_differs(f) for f in files if f.path not in own and f.content in _UNTOUCHED)
    for file in files:
        if cut:
            break
        if file.path in own:
            text += diff_for_new_file(view, file, limit - len(text)) if file.path in survey.loose else _renamed(file)
            cut = len(text) > limit
    return Patch(path=path, text=text[:limit], cut=cut)


def _differs(file: FileChange) -> bytes:
    """What git would say of a file that it cannot or need not read; it would read it all the same, for its hash."""
    old, new = _name(file.old_path or file.path, "a/"), _name(file.path, "b/")
    return f"diff --git {old} {new}\nBinary files {old} and {new} differ\n".encode(errors="surrogateescape")


def _renamed(file: FileChange) -> bytes:
    """What git says of a file that has another name and nothing else."""
    old, new = _name(file.old_path, "a/"), _name(file.path, "b/")
    head = f"diff --git {old} {new}\nsimilarity index 100%\n"
    names = f"rename from {_name(file.old_path, '')}\nrename to {_name(file.path, '')}\n"
    return (head + names).encode(errors="surrogateescape")


def _plain(path: str) -> FileChange:
    """A file that was not changed when all were looked at; it may be by now."""
    return FileChange(path=path, change=ChangeKind.MODIFIED)


def _compared(view: CloneSnapshot, base: str, files: list[FileChange], limit: int) -> tuple[bytes, bool]:
    """git's own diff of these files; of everything if they do not fit on a command line."""
    paths = [name for file in files for name in (file.old_path, file.path) if name]
    if sum(len(os.fsencode(name)) + 1 for name in paths) > _MOST_ARGUMENTS:
        paths = []
    return view.sight.begin(*_PATCH, base, "--", *paths).first(limit)


def diff_for_new_file(view: CloneSnapshot, file: FileChange, limit: int) -> bytes:
    """The diff of a file that no commit has: every line of it is new."""
    head = f"diff --git {_name(file.path, 'a/')} {_name(file.path, 'b/')}\nnew file mode "
    if file.content is ContentKind.SYMLINK:
        target = _target(view, file.path)
        mode, body = "120000", f"@@ -0,0 +1 @@\n+{target}\n\\ No newline at end of file\n".encode(errors="replace")
        return f"{head}{mode}\n--- /dev/null\n+++ {_name(file.path, 'b/')}\n".encode(errors="surrogateescape") + body
    if file.content is not ContentKind.TEXT:
        words = f"{head}100644\nBinary files /dev/null and {_name(file.path, 'b/')} differ\n"
        return words.encode(errors="surrogateescape")
    data = changes.read(view, file.path, limit + 1)
    mode = "100755" if _executable(view, file.path) else "100644"
    start = f"{head}{mode}\n".encode(errors="surrogateescape")
    if not data:
        return start
    lines = data.split(b"\n")
    ended = lines[-1] == b""
    lines = lines[:-1] if ended else lines
    count = f"@@ -0,0 +1{',' + str(len(lines)) if len(lines) > 1 else ''} @@\n".encode()
    names = f"--- /dev/null\n+++ {_name(file.path, 'b/')}\n".encode(errors="surrogateescape")
    body = b"".join(b"+" + line + b"\n" for line in lines)
    return start + names + count + body + (b"" if ended else b"\\ No newline at end of file\n")


def _executable(view: CloneSnapshot, path: str) -> bool:
    try:
        descriptor = clone_files.open_below(view.tree, path)
    except FileNotFoundError:
        return False
    try:
        return bool(os.fstat(descriptor).st_mode & 0o100)
    finally:
        os.close(descriptor)


def _target(view: CloneSnapshot, path: str) -> str:
    """Where a symlink points; it is never followed."""
    *parents, name = path.split("/")
    descriptor = os.dup(view.tree)
    try:
        for part in parents:
            inner = clone_files.open_directory(part, descriptor)
            os.close(descriptor)
            descriptor = inner
        return os.readlink(name, dir_fd=descriptor)
    except OSError:
        return ""
    finally:
        os.close(descriptor)


def _name(path: str, prefix: str) -> str:
    """A file's name in a diff's head, quoted as git quotes it."""
    if all(map(_plain_letter, path)):
        return prefix + path
    return f'"{prefix}{"".join(c if _plain_letter(c) else _quoted(c) for c in path)}"'


def _plain_letter(c: str) -> bool:
    return "\udc80" <= c <= "\udcff" or (c.isprintable() and c not in '"\\')


def _quoted(c: str) -> str:
    return f"\\{c}" if c in '"\\' else "".join(f"\\{byte:03o}" for byte in os.fsencode(c))
