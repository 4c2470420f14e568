"""The Changes tab by itself: its list and its diff, what keys do in it, states in words, hostile names and lines."""

from __future__ import annotations

import threading
from functools import partial
from pathlib import Path

import pytest
from changes_alone import Alone, a_session, alone, until
from fakes_work import Work
from rich.cells import cell_len

from relay_tui.domain.changes import ChangeKind, ChangeSet, ContentKind, DiffBase, FileChange
from relay_tui.domain.errors import ConflictError, GitError, NotComparableError, NotFoundError
from relay_tui.text.sanitize import to_ascii
from relay_tui.ui.changes.external_editor import editor_command, resolve_in_clone
from relay_tui.ui.changes.file_list import describe_file, file_rows

HOSTILE = "[ERROR] [/x] [@click=app.quit]y \x1b[2J\x1b]52;c;aGk=\x07 \u202e\u200b日本語 \x9b31m\r\ttail"


def a_patch(path: str, lines: int = 3, hunks: int = 1) -> bytes:
    """A diff that adds lines, `hunks` times."""
    body = [f"diff --git a/{path} b/{path}", f"--- a/{path}", f"+++ b/{path}"]
    for hunk in range(hunks):
        start = 1 + hunk * 100
        body += [f"@@ -{start},1 +{start},{lines + 1} @@ hunk {hunk} of {path}", " same"]
        body += [f"+{path} {hunk}.{line}" for line in range(lines)]
    return ("\n".join(body) + "\n").encode()


def some_work() -> Work:
    """Three files with hunks, one without lines."""
    paths = ("a.py", "b/b.py", "c.txt")
    files = [FileChange(path=path, change=ChangeKind.MODIFIED, added=6, deleted=0) for path in paths]
    files.append(FileChange(path="logo.png", change=ChangeKind.ADDED, content=ContentKind.BINARY, size=2048))
    return Work(files=tuple(files), patches={path: a_patch(path, hunks=2) for path in paths})


async def test_the_list_and_the_diff_of_all_then_of_one(pilot_work: Work) -> None:
    async with alone(pilot_work) as (app, pilot, look):
        await until(pilot, lambda: "4 files  +18 -0" in app.text)
        await until(pilot, lambda: "hunk 0 of a.py" in app.text)
        assert "hunk 0 of c.txt" in app.text  # all of them, one below the other
        app.tab.take_focus()
        await pilot.press("j", "j")
        await until(pilot, lambda: "hunk 1 of b/b.py" in app.text and "of a.py" not in app.text)
        await pilot.press("G")
        await until(pilot, lambda: "A binary file: there are no lines to show." in app.text)
        assert "2 KiB" in app.text
        assert look.calls.count("changes") == 1


async def test_keys_go_from_hunk_to_hunk_and_file_to_file(pilot_work: Work) -> None:
    async with alone(pilot_work, (120, 12)) as (app, pilot, _):
        await until(pilot, lambda: "hunk 0 of a.py" in app.text)
        tab, seen = app.tab, []
        tab.take_focus()
        await pilot.press("enter")
        for step in (1, 1, 1, -1):
            tab.jump_hunk(step)
            await pilot.pause()
            seen.append((tab.view.hunk, tab.path))
        assert seen == [(1, "a.py"), (2, "b/b.py"), (3, "b/b.py"), (2, "b/b.py")]
        tab.jump_file(1)
        await pilot.pause()
        assert tab.path == "c.txt"
        tab.copy_path()
        assert app.clipboard == "c.txt"
        tab.copy_hunk()
        assert app.clipboard.startswith("@@ -1,1 +1,4 @@ hunk 0 of c.txt\n same\n+c.txt 0.0\n")
        assert tab.back()
        assert app.focused is tab.files
        tab.jump_file(1)  # in the list: the next row
        assert tab.files.cursor_key == "a.py"
        tab.jump_file(-1)  # not to the row of all files
        assert tab.files.cursor_key == "a.py"


async def test_against_the_branch_point_and_the_upstream(pilot_work: Work) -> None:
    async with alone(pilot_work) as (app, pilot, _):
        await until(pilot, lambda: "against the last commit" in app.text)
        for words in ("where it left main", "the upstream", "the last commit"):
            app.tab.compare_with_next()
            await until(pilot, partial(_says, app, f"against {words}"))


async def test_nothing_changed_says_so_and_where_to_look_further() -> None:
    async with alone(Work()) as (app, pilot, _):
        await until(pilot, lambda: "No changes since the last commit." in app.text)
        app.tab.compare_with_next()
        await until(pilot, lambda: "No changes since the session left main." in app.text)
        app.tab.take_focus()
        assert app.focused is app.tab.view


@pytest.mark.parametrize(
    ("old", "new", "name", "directory"),
    [("a/b", "a/c", "b → c", "  a/"), ("b", "deep/c", "b → deep/c", "  "), ("a/b", "c", "a/b → c", "  ")],
)
def test_a_renamed_file_says_what_it_was(old: str, new: str, name: str, directory: str) -> None:
    file = FileChange(path=new, change=ChangeKind.RENAMED, old_path=old, added=0, deleted=0)
    (row,) = file_rows(ChangeSet(against=DiffBase.HEAD, base="", files=(file,), notes=()))
    assert to_ascii(name) == name.replace("→", "->")
    assert row.cells[1].spans[0][0] == name and row.cells[1].spans[1][0] == directory
    assert "".join(text for text, _ in row.cells[2].spans).strip() == ""  # no lines in red or green
    assert describe_file(file) == f"{new}: renamed\nIt was {old}.\n\nIts lines are the same."


async def test_a_branch_without_an_upstream_is_told_as_that(pilot_work: Work) -> None:
    async with alone(pilot_work) as (app, pilot, look):
        await until(pilot, lambda: "4 files" in app.text)
        fault = NotComparableError("topic has no upstream yet", HOSTILE, "relay session push topic gives it one")
        look.failures["changes"] = fault
        for words in ("the branch point", "the upstream"):
            app.tab.compare_with_next()
            await until(pilot, lambda words=words: f"against {words}" in app.text)  # type: ignore[misc]
        await until(pilot, lambda: "topic has no upstream yet" in app.text)
        assert "relay session push topic" in app.text
        assert "b compares with the last commit instead." in app.text
        assert "unknown" not in app.text and "nsaved" not in app.text and "\x1b" not in app.text
        del look.failures["changes"]
        app.tab.compare_with_next()
        await until(pilot, lambda: "4 files" in app.text)


async def test_unknown_says_why_and_looks_again(pilot_work: Work) -> None:
    async with alone(pilot_work) as (app, pilot, look):
        await until(pilot, lambda: "4 files" in app.text)
        look.failures["changes"] = GitError(
            "Nobody can say what changed", f"git: \x1b[2J{HOSTILE[:20]}", "Look from a shell."
        )
        app.tab.look_again()
        await until(pilot, lambda: "? unknown" in app.text)
        for words in ("Nobody can say what changed", "git: [ERROR] [/x]", "Look from a shell.", "counts as unsaved"):
            assert words in app.text
        look.failures.clear()
        app.tab.look_again()
        await until(pilot, lambda: "4 files" in app.text)


async def test_what_comes_late_for_another_session_is_dropped(pilot_work: Work) -> None:
    async with alone(pilot_work) as (app, pilot, look):
        await until(pilot, lambda: "4 files" in app.text)
        gate = look.gates["changes"] = threading.Event()
        app.tab.look_again()
        await until(pilot, lambda: look.calls.count("changes") == 2)
        app.tab.show(a_session("other"))
        await until(pilot, lambda: "Checking for changes" in app.text)
        gate.set()
        await until(pilot, lambda: "No changes" in app.text)
        assert "4 files" not in app.text


async def test_looked_at_again_the_cursor_and_the_place_stay() -> None:
    work = some_work()
    work.patches["b/b.py"] = a_patch("b/b.py", lines=80, hunks=2)
    async with alone(work, (120, 14)) as (app, pilot, look):
        await until(pilot, lambda: "4 files" in app.text)
        app.tab.take_focus()
        await pilot.press("j", "j")
        await until(pilot, lambda: "hunk 0 of b/b.py" in app.text)
        await pilot.press("enter", "pagedown", "pagedown")
        top = app.tab.view.scroll_offset.y
        assert top > 15
        asked = look.calls.count("patch")
        look.of("topic").files = (FileChange(path="a.new", change=ChangeKind.UNTRACKED, added=1), *work.files)
        app.tab.look_again()
        await until(pilot, lambda: "5 files" in app.text)
        await until(pilot, lambda: look.calls.count("patch") > asked)
        await pilot.pause()
        assert (app.tab.files.cursor_key, app.tab.view.scroll_offset.y) == ("b/b.py", top)


@pytest.mark.parametrize(
    ("size", "ascii_only"), [((120, 30), False), ((120, 30), True), ((90, 22), True), ((78, 8), False), ((44, 6), True)]
)
async def test_hostile_names_and_lines_are_seen_and_do_nothing(size: tuple[int, int], *, ascii_only: bool) -> None:
    patch = b'diff --git "a/x" "b/x"\n--- a/x\n+++ b/x\n@@ -1 +1,2 @@ ' + HOSTILE.encode() + b"\n-old\n+"
    patch += HOSTILE.encode() + b"\n+" + b"\x1b[31m" * 9000 + b"\n"
    files = tuple(
        FileChange(path=f"{change}{HOSTILE}{content}", change=change, content=content, old_path=HOSTILE, size=1)
        for change in ChangeKind
        for content in ContentKind
    )
    work = Work(files=files, patches=dict.fromkeys(["", *(file.path for file in files[:2])], patch), notes=(HOSTILE,))
    async with alone(work, size, ascii_only=ascii_only) as (app, pilot, _):
        await until(pilot, lambda: "against" in app.text)
        app.tab.take_focus()
        await pilot.press("enter")
        await until(pilot, lambda: ("^[[2J" if ascii_only else "␛[2J") in app.text)
        for keys in (["right"], ["G"], ["g"]):
            await pilot.press(*keys)
            _nothing_raw(app, size, ascii_only=ascii_only)
        app.tab.back()
        for _ in range(6):
            await pilot.press("j")
            _nothing_raw(app, size, ascii_only=ascii_only)
        app.tab.copy_path()
        app.tab.copy_hunk()
        assert not [c for c in app.clipboard if ord(c) < 32 and c not in "\n\t"]
    assert all("\x1b" not in describe_file(file) for file in files)


def _nothing_raw(app: Alone, size: tuple[int, int], *, ascii_only: bool) -> None:
    for line in app.text.split("\n"):
        assert not [c for c in line if ord(c) < 32 or 127 <= ord(c) < 160 or c in "\u202e\u200b"]
        assert cell_len(line) <= size[0]
        if ascii_only:
            assert all(c.isascii() or "\u2580" <= c <= "\u259f" for c in line), line


def _says(app: Alone, words: str) -> bool:
    return words in app.text


# --- the editor ---


def test_only_a_file_in_the_clone_is_opened(tmp_path: Path) -> None:
    outside = tmp_path / "secret"
    outside.write_text("")
    clone = tmp_path / "clone"
    (clone / "src").mkdir(parents=True)
    (clone / ".git").mkdir()
    (clone / ".git/config").write_text("")
    (clone / "src/app.py").write_text("")
    (clone / "inside").symlink_to("src/app.py")
    (clone / "out").symlink_to(outside)
    (clone / "dir").symlink_to(tmp_path)
    (clone / "git").symlink_to(".git")
    (clone / "loop").symlink_to("loop")
    assert resolve_in_clone(clone, "src/app.py") == clone.resolve() / "src/app.py"
    assert resolve_in_clone(clone, "inside") == clone.resolve() / "src/app.py"
    for path in ("out", "dir/secret", "../secret", str(outside), "git/config", "src", ".git/config"):
        with pytest.raises(ConflictError):
            resolve_in_clone(clone, path)
    with pytest.raises(NotFoundError):
        resolve_in_clone(clone, "gone")
    with pytest.raises(Exception, match="cannot be opened"):
        resolve_in_clone(clone, "loop")


def test_the_editor_is_the_users_own() -> None:
    path = Path("/x/a b")
    assert editor_command({"EDITOR": "code --wait", "VISUAL": "vi -n"}, path) == ["vi", "-n", "/x/a b"]
    with pytest.raises(NotFoundError):
        editor_command({"PATH": ""}, path)


@pytest.fixture
def pilot_work() -> Work:
    """Three files with hunks, one without lines."""
    return some_work()
