"""Diffs as values: lines and their numbers, files, hunks, words that changed, syntax; and none of it trusts a line."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from relay_tui.text.sanitize import escape_controls
from relay_tui.ui.changes.diff_parser import LineKind, parse_diff, unquote_path
from relay_tui.ui.changes.diff_renderer import DiffRenderer
from relay_tui.ui.changes.syntax import colours, lexer_for
from relay_tui.ui.changes.word_diff import changed_spans, pair_lines

TWO = b"""diff --git a/app.py b/app.py
index 1111111..2222222 100644
--- a/app.py
+++ b/app.py
@@ -1,3 +1,4 @@ def total(items):
     first = 1
--- a/fake.py
-    rate = 0.2
+++ b/fake.py
+    rate = 0.25
+@@ -1 +1 @@
@@ -20 +21 @@
-old
\\ No newline at end of file
+new
\\ No newline at end of file
diff --git a/run.sh b/run.sh
old mode 100644
new mode 100755
diff --git "a/caf\\303\\251 \\033[2J.txt" "b/caf\\303\\251 \\033[2J.txt"
new file mode 100644
index 0000000..e69de29
diff --git a/old name.txt b/new name.txt
similarity index 92%
rename from old name.txt
rename to new name.txt
diff --git a/logo.png b/logo.png
index 1..2 100644
Binary files a/logo.png and b/logo.png differ
"""


def test_a_hunk_ends_where_its_header_says_whatever_its_lines_look_like() -> None:
    diff = parse_diff(TWO)
    assert list(diff.paths) == ["app.py", "run.sh", "café \x1b[2J.txt", "new name.txt", "logo.png"]
    assert [diff.lines[at].raw for at in diff.hunks] == [b"def total(items):", b""]
    first = [(line.kind.name, line.old, line.new, line.raw) for line in diff.lines[2:8]]
    assert first == [
        ("SAME", 1, 1, b"    first = 1"),
        ("DELETED", 2, 0, b"-- a/fake.py"),
        ("DELETED", 3, 0, b"    rate = 0.2"),
        ("ADDED", 0, 2, b"++ b/fake.py"),
        ("ADDED", 0, 3, b"    rate = 0.25"),
        ("ADDED", 0, 4, b"@@ -1 +1 @@"),
    ]


def test_what_git_says_of_a_file_is_put_into_words() -> None:
    diff = parse_diff(TWO)
    words = [line.raw.decode() for line in diff.lines if line.kind is LineKind.META]
    assert words == [
        "No newline at end of file",
        "No newline at end of file",
        "mode 100644 is now 100755",
        "new file",
        "renamed from old name.txt (92% the same)",
        "binary: there are no lines to show",
    ]


def test_a_hunk_is_copied_as_a_patch_that_applies(tmp_path: Path) -> None:
    before = [f"line {n}" for n in range(60)]
    after = [*before[:10], "new", *before[11:40], *before[42:]]
    for name, lines in (("a", before), ("b", after)):
        (tmp_path / name).write_text("\n".join(lines) + "\n")
    made = subprocess.run(
        ("git", "diff", "--no-index", "--no-color", "a", "b"), cwd=tmp_path, capture_output=True, check=False
    )
    diff = parse_diff(made.stdout)
    assert len(diff.hunks) == 2
    patch = "--- a\n+++ a\n" + diff.hunk_text(1)
    subprocess.run(("git", "apply", "-"), cwd=tmp_path, input=patch, text=True, check=True)
    assert (tmp_path / "a").read_text().splitlines() == [*before[:40], *before[42:]]


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"\n",
        b"@@ -1,5 +1,5 @@\n+only",
        b"@@ -1,999999999 +1,2 @@ x\n+a\n\x00\n",
        b"@@ -x +y @@\n",
        b"diff --git\n+++ b/x\n@@ -0,0 +1 @@\n+x",
        b"* Unmerged path a\n",
        b'diff --git "a/\\777\\q" b/\n',
        TWO[:300],
        TWO[::-1],
    ],
)
def test_nonsense_is_kept_as_words(text: bytes) -> None:
    diff = parse_diff(text)
    drawing = DiffRenderer(diff, plain=False)
    for number in range(len(diff.lines)):
        assert drawing.line(number).text.isprintable()
    for hunk in range(len(diff.hunks)):
        assert len(diff.hunk_lines(hunk)) >= 1
        diff.hunk_text(hunk)


def test_quoted_paths() -> None:
    assert unquote_path(b'"b/\\303\\251\\t\\"\\\\"') == b'b/\xc3\xa9\t"\\'
    assert unquote_path(b"plain") == b"plain"


def test_only_the_words_that_changed_are_marked() -> None:
    old, new = "rate = compute(price, 0.2)", "rate = compute(cost, 0.25)"
    gone, came = changed_spans(old, new)
    assert [old[a:b] for a, b in gone] == ["price", "2"]
    assert [new[a:b] for a, b in came] == ["cost", "25"]
    assert changed_spans("nothing in common here", "def f(x): return 12") == ((), ())
    assert changed_spans("x" * 700, "y") == ((), ())


def test_lines_are_paired_by_what_they_have_in_common() -> None:
    assert pair_lines(["a = 1", "b = 2"], ["b = 3", "c = 4"]) == {0: 0, 1: 1}
    assert pair_lines(["total = sum(items)"], ["# comment", "total = sum(prices)"]) == {0: 1}
    assert pair_lines(["x"] * 90, ["x"] * 80) == {}


def test_syntax_is_told_by_the_name_and_goes_on_over_lines() -> None:
    lexer = lexer_for("src/app.py")
    assert lexer is not None
    coloured = colours(lexer, ["def f():", '    """Words', '    more"""', "    return 1"])
    assert coloured is not None
    assert (0, 3, "keyword") in coloured[0]
    assert all(piece[2] == "comment" for line in coloured[1:3] for piece in line)
    assert (11, 12, "number") in coloured[3]
    assert lexer_for("Dockerfile") is not None
    assert lexer_for("notes.\x1b[2J") is None


@pytest.mark.parametrize("path", ["a.py", "a.js", "a.rb", "a.php", "a.md", "a.html", "a.sh", "a.sql", "a.swift"])
def test_hostile_lines_do_not_hold_up_the_screen(path: str) -> None:
    lexer = lexer_for(path)
    assert lexer is not None
    for seed in ('"', "(", "\\", "<", "/*", "{{", "`", "'''", "a.", "$(", "#{", "  ", "=>", "-"):
        result = colours(lexer, [seed * 400] * 80)  # it ends, with colours or without
        assert result is None or len(result) == 80


def test_what_a_terminal_would_obey_is_spelled_out() -> None:
    assert escape_controls(b"a\x1b[2Jb\x07\r") == "a␛[2Jb␇␍"
    assert escape_controls(b"a\x1b[2Jb\x07\x7f", plain=True) == "a^[[2Jb^G^?"
    assert escape_controls("x\u202ey\u200b\x9b".encode()) == "x<U+202E>y<U+200B><U+009B>"
    assert escape_controls(b"\tx\ty") == "    x   y"
    assert escape_controls(b"\xff\xfe") == "\ufffd\ufffd"
    assert escape_controls("e\u0301\u0301\u0301\u0301\u0301".encode()) == "e\u0301\u0301\u0301"
    assert len(escape_controls(b"x" * 99_999)) == 16_384
