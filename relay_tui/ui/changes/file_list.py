"""Changed files as rows and words: pure functions, nothing drawn that was not cleaned."""

from __future__ import annotations

from collections.abc import Mapping

from relay_tui.domain.changes import ChangeKind, ChangeSet, ContentKind, DiffBase, FileChange
from relay_tui.text.format import format_size
from relay_tui.text.sanitize import clean
from relay_tui.ui.keys.actions import key_of
from relay_tui.ui.presentation.columns import Cell, Column, Row, cell
from relay_tui.ui.presentation.formatting import Tone

ALL = ""
"""The key of the row that stands for all files; no path is empty."""

COLUMNS = (
    Column("letter", "", width=1, priority=100),
    Column("path", "", min_width=8, grow=1, priority=99),
    Column("count", "", min_width=4, max_width=14, priority=50, align="right"),
)

_LETTERS: Mapping[ChangeKind, tuple[str, Tone]] = {
    ChangeKind.MODIFIED: ("M", "busy"),
    ChangeKind.ADDED: ("A", "good"),
    ChangeKind.DELETED: ("D", "bad"),
    ChangeKind.RENAMED: ("R", "accent"),
    ChangeKind.MODE: ("X", "dim"),
    ChangeKind.TYPE: ("T", "accent"),
    ChangeKind.UNTRACKED: ("?", "good"),
    ChangeKind.CONFLICTED: ("!", "bad"),
}

WORDS: Mapping[ChangeKind, str] = {
    ChangeKind.MODIFIED: "modified",
    ChangeKind.ADDED: "added",
    ChangeKind.DELETED: "deleted",
    ChangeKind.RENAMED: "renamed",
    ChangeKind.MODE: "only its mode changed",
    ChangeKind.TYPE: "became another type of file",
    ChangeKind.UNTRACKED: "untracked",
    ChangeKind.CONFLICTED: "in conflict",
}

_KINDS: Mapping[ContentKind, str] = {
    ContentKind.BINARY: "binary",
    ContentKind.HUGE: "huge",
    ContentKind.LFS: "LFS",
    ContentKind.SUBMODULE: "submodule",
    ContentKind.SYMLINK: "symlink",
    ContentKind.UNREADABLE: "unreadable",
}

_TOLD: Mapping[ContentKind, str] = {
    ContentKind.BINARY: "A binary file: there are no lines to show.",
    ContentKind.HUGE: "It is too large to be compared line by line.",
    ContentKind.LFS: "Its content is kept by Git LFS: the repository has only a pointer to it.",
    ContentKind.SUBMODULE: "A submodule: another commit of it is recorded. What changed inside it is not looked at.",
    ContentKind.SYMLINK: "A symlink. Where it points to is shown, never followed.",
    ContentKind.UNREADABLE: "The file cannot be read, so its changes are unknown. It counts as changed.",
}

AGAINST: Mapping[DiffBase, str] = {
    DiffBase.HEAD: "the last commit",
    DiffBase.BRANCH_POINT: "the branch point",
    DiffBase.UPSTREAM: "the upstream",
}


def totals(files: tuple[FileChange, ...]) -> tuple[int, int]:
    """Lines added and deleted, where there are lines to count."""
    return sum(file.added or 0 for file in files), sum(file.deleted or 0 for file in files)


def file_rows(changes: ChangeSet) -> list[Row]:
    """A row for all files, then one for each; none if nothing changed."""
    files = changes.files
    if not files:
        return []
    added, deleted = totals(files)
    widths = (len(str(added)) + 1, len(str(deleted)) + 1) if len(files) < 2 else _widths(files)
    rows = [_file_row(file, widths) for file in files]
    if len(files) > 1:
        whole = Cell((("all files", "accent"),))
        rows.insert(0, Row(ALL, (cell("=", "accent"), whole, cell(f"{len(files)}", "dim"))))
    return rows


def _widths(files: tuple[FileChange, ...]) -> tuple[int, int]:
    return (
        max((len(str(file.added)) + 1 for file in files if file.added is not None), default=2),
        max((len(str(file.deleted)) + 1 for file in files if file.deleted is not None), default=2),
    )


def _file_row(file: FileChange, widths: tuple[int, int]) -> Row:
    letter, tone = _LETTERS[file.change]
    directory, slash, name = clean(file.path).rpartition("/")
    if file.old_path:
        was, cut, old = clean(file.old_path).rpartition("/")
        if was == directory:
            name = f"{old} → {name}"
        else:
            name, directory, slash = f"{was}{cut}{old} → {directory}{slash}{name}", "", ""
    path = Cell(((name, ""), (f"  {directory}{slash}", "dim")))  # the name first: it is what is looked for
    kind = _KINDS.get(file.content, "")
    if kind and (file.added is None or file.content is not ContentKind.SYMLINK):
        count = cell(kind, "dim")
    elif file.added is None and file.deleted is None:
        count = cell("", "dim")
    else:
        more, less = (f"+{file.added}" if file.added else ""), (f"-{file.deleted}" if file.deleted else "")
        count = Cell(((more.rjust(widths[0]), "good"), (f" {less.rjust(widths[1])}", "bad")))
    return Row(file.path, (cell(letter, tone), path, count))


def describe_file(file: FileChange) -> str:
    """Return the description of a file whose lines are not shown."""
    lines = [f"{clean(file.path)}: {WORDS[file.change]}"]
    if file.old_path:
        lines.append(f"It was {clean(file.old_path)}.")
    size = f"It has {format_size(file.size)} now." if file.size is not None else ""
    kind = _TOLD.get(file.content, "")
    if not kind and file.size == 0:
        kind, size = "It is empty.", ""
    elif not kind and file.change in {ChangeKind.MODE, ChangeKind.RENAMED}:
        size = "Its lines are the same."
    return "\n".join([*lines, "", *filter(None, (kind, size))])


def summary(changes: ChangeSet, base_branch: str) -> tuple[tuple[str, Tone], ...]:
    """Return the header of the list: base of the comparison and totals."""
    words = {
        DiffBase.BRANCH_POINT: f"where it left {clean(base_branch)}" if base_branch else AGAINST[DiffBase.BRANCH_POINT],
    }.get(changes.against, AGAINST[changes.against])
    spans: list[tuple[str, Tone]] = [("against ", "dim"), (words, "accent")]
    if changes.base:
        spans.append((f" {clean(changes.base)[:8]}", "dim"))
    if changes.files:
        added, deleted = totals(changes.files)
        count = len(changes.files)
        spans += [(f"  {count:,} file{'' if count == 1 else 's'}", ""), (f"  +{added:,}", "good")]
        spans.append((f" -{deleted:,}", "bad"))
    if changes.notes:
        spans.append((f"  {clean('; '.join(changes.notes), limit=200)}", "busy"))
    return tuple(spans)


def empty_text(changes: ChangeSet, base_branch: str) -> str:
    """Return the text for a session without changes, with a next step."""
    compare = f"{key_of('compare')} compares"
    if changes.against is DiffBase.HEAD:
        return f"No changes since the last commit.\n\n{compare} with the branch point instead."
    if changes.against is DiffBase.BRANCH_POINT:
        return f"No changes since the session left {clean(base_branch) or 'its base'}.\n\n{compare} with the upstream."
    return f"No changes: the files are as the upstream has them.\n\n{compare} with the last commit."
