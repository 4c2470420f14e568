"""`relay session status` and `diff`: what they print is git's answer, and nothing that a terminal would obey."""

from __future__ import annotations

import os
import pty
import subprocess
from pathlib import Path

import pytest
from git_servers import make_repository
from installed_relay import PROGRAM, InstalledRelay
from look_bench import run_git

HOSTILE = "x\x1b]52;c;ZXZpbA==\x07\x9b31m\u202e[/bar][@click=app.quit]"


@pytest.fixture
def tree(relay: InstalledRelay, tmp_path: Path) -> Path:
    """The clone of a session `main`, whose container could not be made."""
    upstream = make_repository(tmp_path / "demo.git", bare=True, files={"a": "1\n", "b": "2\n"})
    relay.run("project", "add", upstream)
    [row] = relay.run("session", "list", "--json").rows
    return Path(str(row["work_dir"]))


@pytest.fixture
def relay(tmp_path: Path) -> InstalledRelay:
    """relay where no engine answers: a clone is looked at without one."""
    relay = InstalledRelay(tmp_path / "relay", {"DOCKER_HOST": "unix:///nonexistent"})
    relay.root.mkdir()
    relay.config.write_text('runtime = "docker"\n')
    return relay


def test_status_tells_what_is_there(relay: InstalledRelay, tree: Path) -> None:
    (tree / "a").write_text("changed\n")
    (tree / "new").write_text("x\n")
    run_git(tree, "add", "b")
    run_git(tree, "commit", "-q", "--allow-empty", "-m", "Try it")
    said = relay.run("session", "status", "main")
    assert said.code == 0, said.err
    for words in ("demo/main", "main, 1 ahead", "1 changed, 1 untracked", "1 commit", "Try it", "Ada"):
        assert words in said.out
    document = relay.json("session", "status", "main")
    assert (document["branch"], document["changed"], document["untracked"], document["dirty"]) == ("main", 1, 1, 2)
    assert (document["ahead"], document["behind"], document["unpushed"]) == (1, 0, 1)


def test_diff_tells_what_changed(relay: InstalledRelay, tree: Path) -> None:
    (tree / "a").write_text("changed\n")
    (tree / "new").write_text("x\n")
    assert "+changed" in relay.run("session", "diff", "main").out
    stat = relay.run("session", "diff", "main", "--stat").out
    assert "2 files, +2 -1" in stat and "untracked" in stat and "+changed" not in stat
    raw = relay.run("session", "diff", "main", "--raw").out
    run_git(tree, "stash", "-qu")
    subprocess.run(("git", "-C", str(tree), "apply", "-"), input=raw, text=True, check=True)
    assert (tree / "a").read_text() == "changed\n" and (tree / "new").read_text() == "x\n"
    document = relay.json("session", "diff", "main", "--stat")
    assert [file["path"] for file in document["files"]] == ["a", "new"]  # type: ignore[attr-defined]
    assert relay.run("session", "diff", "main", "--against", "nowhere").code == 2


def _on_terminal(relay: InstalledRelay, *arguments: str) -> bytes:
    """Return the output of a command on a terminal."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        (PROGRAM, *arguments), env=relay.env | {"TERM": "xterm-256color"}, stdin=theirs, stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    said = b""
    try:
        while piece := os.read(ours, 1 << 16):
            said += piece
    except OSError:
        pass  # the other end is closed
    os.close(ours)
    process.wait()
    return said


def test_nothing_reaches_the_terminal_raw(relay: InstalledRelay, tree: Path) -> None:
    """In names, in content, in a commit's words and author, in a branch's name."""
    bad = HOSTILE.encode()
    (tree / "a").write_bytes(bad + b"\xff\n")
    (tree / (HOSTILE.replace("/", ":") + "\n.txt")).write_text(HOSTILE)
    Path(os.fsdecode(bytes(tree) + b"/\xff\xfe")).write_text("x")
    run_git(tree, "commit", "-q", "--allow-empty", "-m", HOSTILE, f"--author={HOSTILE.replace('>', '')} <x@y>")
    commit = run_git(tree, "rev-parse", "HEAD")
    name = "refs/heads/\x1b]0;evil\x07"
    (tree / ".git" / name).write_text(f"{commit}\n")
    (tree / ".git/HEAD").write_text(f"ref: {name}\n")
    for command in (("status",), ("diff",), ("diff", "--stat"), ("status", "--json"), ("diff", "--json")):
        said = _on_terminal(relay, "session", command[0], "main", *command[1:])
        assert b"\x07" not in said and "\x9b".encode() not in said and "\u202e".encode() not in said
        coloured = said.replace(b"\x1b[3", b"").replace(b"\x1b[0m", b"").replace(b"\x1b[1m", b"")
        assert b"\x1b" not in coloured, said
        assert b"Traceback" not in said
    assert b"\x1b[32m+" in _on_terminal(relay, "session", "diff", "main")
    assert "\x1b" not in relay.run("session", "diff", "main").out


def test_a_branch_without_an_upstream_is_no_unknown(relay: InstalledRelay, tree: Path) -> None:
    run_git(tree, "switch", "-qc", "fresh")
    for stat in ((), ("--stat",)):
        error = relay.fails(4, "session", "diff", "main", "--against", "upstream", *stat)
        assert (error["kind"], error["title"]) == ("not-comparable", "fresh has no upstream yet")
        assert "relay session push main" in error["hint"] and "--against branch-point" in error["hint"]
        assert "unsaved" not in "".join(error.values())
    assert relay.json("session", "diff", "main", "--against", "branch-point")["files"] == []


def test_unknown_says_why_and_fails(relay: InstalledRelay, tree: Path) -> None:
    (tree / ".git/HEAD").unlink()
    os.mkfifo(tree / ".git/HEAD")
    error = relay.fails(1, "session", "status", "main")
    assert error["kind"] == "unknown"
    assert "HEAD is a pipe" in error["detail"] and "shell" in error["hint"]
    assert relay.fails(1, "session", "diff", "main")["kind"] == "unknown"
