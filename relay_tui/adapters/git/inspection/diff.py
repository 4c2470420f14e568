"""Diff of a session's files against a commit: git's own for tracked files, in git's format for untracked ones."""

from __future__ import annotations

import os

from relay_tui.adapters.git.inspection import changes
from relay_tui.adapters.git.inspection.changes import ChangeSurvey
from relay_tui.adapters.git.untrusted import files as clone_files
from relay_tui.adapters.git.untrusted.snapshot import CloneSnapshot
from relay_tui.domain.changes import ChangeKind, ContentKind, FileChange, Patch

_PATCH = (*changes.DIFF, "--patch", "--full-index")
_UNREAD = (ContentKind.UNREADABLE, ContentKind.HUGE)
_MOST_ARGUMENTS = 1 << 20  # bytes


def diff(snapshot: CloneSnapshot, survey: ChangeSurvey, path: str, limit: int) -> Patch:
    """Return the diff of one file, or of all if `path` is '', cut to `limit` bytes.

    `survey` decides which files git compares and which ones relay formats.
    """
    files = list(survey.changes().files) if not path else [survey.files.get(path, _unlisted(path))]
    formatted = survey.untracked | survey.renamed
    compared = [f for f in files if f.path not in formatted and f.content not in _UNREAD]
    text, cut = _compare(snapshot, survey.base, compared, limit) if compared else (b"", False)
    text += b"".join(_binary_diff(f) for f in files if f.path not in formatted and f.content in _UNREAD)
    for file in files:
        if cut:
            break
        if file.path in survey.untracked:
            text += diff_for_new_file(snapshot, file, limit - len(text))
        elif file.path in survey.renamed:
            text += _rename_diff(file)
        cut = len(text) > limit
    return Patch(path=path, text=text[:limit], cut=cut)


def _binary_diff(file: FileChange) -> bytes:
    """Return git's diff of a binary file, for a huge or unreadable one. git itself would read it all for its hash."""
    old, new = _name(file.old_path or file.path, "a/"), _name(file.path, "b/")
    return f"diff --git {old} {new}\nBinary files {old} and {new} differ\n".encode(errors="surrogateescape")


def _rename_diff(file: FileChange) -> bytes:
    """Return git's diff of a file that was renamed and not changed."""
    old, new = _name(file.old_path, "a/"), _name(file.path, "b/")
    head = f"diff --git {old} {new}\nsimilarity index 100%\n"
    names = f"rename from {_name(file.old_path, '')}\nrename to {_name(file.path, '')}\n"
    return (head + names).encode(errors="surrogateescape")


def _unlisted(path: str) -> FileChange:
    """Return an entry for a file that was unchanged at the time of the survey. It may have changed since."""
    return FileChange(path=path, change=ChangeKind.MODIFIED)


def _compare(snapshot: CloneSnapshot, base: str, files: list[FileChange], limit: int) -> tuple[bytes, bool]:
    """Return git's diff of these files, of every file if they do not fit on a command line; and whether it was cut."""
    paths = [name for file in files for name in (file.old_path, file.path) if name]
    if sum(len(os.fsencode(name)) + 1 for name in paths) > _MOST_ARGUMENTS:
        paths = []
    return snapshot.git.start(*_PATCH, base, "--", *paths).first(limit)


def diff_for_new_file(snapshot: CloneSnapshot, file: FileChange, limit: int) -> bytes:
    """Return the diff of an untracked file: each line is new."""
    head = f"diff --git {_name(file.path, 'a/')} {_name(file.path, 'b/')}\nnew file mode "
    if file.content is ContentKind.SYMLINK:
        target = _target(snapshot, file.path)
        mode, body = "120000", f"@@ -0,0 +1 @@\n+{target}\n\\ No newline at end of file\n".encode(errors="replace")
        return f"{head}{mode}\n--- /dev/null\n+++ {_name(file.path, 'b/')}\n".encode(errors="surrogateescape") + body
    if file.content is not ContentKind.TEXT:
        text = f"{head}100644\nBinary files /dev/null and {_name(file.path, 'b/')} differ\n"
        return text.encode(errors="surrogateescape")
    data = changes.read(snapshot, file.path, limit + 1)
    mode = "100755" if _executable(snapshot, file.path) else "100644"
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


def _executable(snapshot: CloneSnapshot, path: str) -> bool:
    try:
        descriptor = clone_files.open_below(snapshot.tree, path)
    except FileNotFoundError:
        return False
    try:
        return bool(os.fstat(descriptor).st_mode & 0o100)
    finally:
        os.close(descriptor)


def _target(snapshot: CloneSnapshot, path: str) -> str:
    """Return the target of a symbolic link, without following it; '' if it cannot be read."""
    try:
        with clone_files.parent_directory(snapshot.tree, path) as (parent, name):
            return os.readlink(name, dir_fd=parent)
    except OSError:
        return ""


def _name(path: str, prefix: str) -> str:
    """Return a file name for a diff header, quoted in git's way."""
    if all(map(_is_plain, path)):
        return prefix + path
    return f'"{prefix}{"".join(c if _is_plain(c) else _quoted(c) for c in path)}"'


def _is_plain(c: str) -> bool:
    return "\udc80" <= c <= "\udcff" or (c.isprintable() and c not in '"\\')


def _quoted(c: str) -> str:
    return f"\\{c}" if c in '"\\' else "".join(f"\\{byte:03o}" for byte in os.fsencode(c))
