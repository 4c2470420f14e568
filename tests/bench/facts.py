"""Benchmark of session status against a plain `git status`, and of twenty sessions at once.

python tests/bench/facts.py [--quick]
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from measure import Place, Row, make_repository, place, print_table, quick_wanted, rounds

from relay_tui.adapters.git import GitAdapter
from relay_tui.adapters.git.inspection import clone_status, lfs_files, worktree_status
from relay_tui.adapters.git.inspection.adapter import GitInspector
from relay_tui.adapters.git.untrusted import sandbox, snapshot
from relay_tui.ports import SessionClone
from relay_tui.ports.task import TaskContext
from relay_tui.services.clone_status import AT_ONCE

SIZE = range(200, 2000)
SESSIONS = 20


def main() -> None:
    """Print the tables."""
    quick = quick_wanted("What the facts of sessions cost")
    count = 3 if quick else 11
    with place() as here:
        for files, aim in ((500, None), (5_000 if quick else 50_000, 1.3)):
            _one(here, files, aim, count)
        _many(here, count)


def _one(here: Place, files: int, aim: float | None, count: int) -> None:
    """One session of so many files, with a dozen of them changed."""
    [clone] = _sessions(here, files, 1)
    walls = sandbox.best_sandbox()
    contestants: dict[str, Callable[[str], object]] = {
        "git status": lambda _: _plain(clone),
        "facts, no walls": lambda _: _facts(clone, sandbox.NoSandbox()),
        "facts, bubblewrap": lambda _: _facts(clone, sandbox.Bubblewrap()),
    }
    if isinstance(walls, sandbox.Landlock):
        contestants["facts, Landlock"] = lambda _: _facts(clone, walls)
    contestants["facts, first look"] = lambda _: _first(clone)
    seconds = rounds(contestants, count)
    rows = [Row("git status", seconds["git status"])]
    rows += [Row(name, seconds[name], "git status", aim) for name in contestants if name != "git status"]
    print_table(f"Facts of one session of {files} files, beside {walls.description}", rows)


def _many(here: Place, count: int) -> None:
    """Twenty sessions, as many at once as relay looks at."""
    clones = _sessions(here, 500, SESSIONS)
    look = GitInspector()

    def all_of_them(_: str) -> None:
        with ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(look.facts, clones))

    def one_after_the_other(_: str) -> None:
        for clone in clones:
            _plain(clone)

    seconds = rounds({"git status of each": one_after_the_other, "facts of all": all_of_them}, count)
    rows = [Row("git status of each", seconds["git status of each"])]
    rows.append(Row("facts of all", seconds["facts of all"], "git status of each"))
    print_table(f"Facts of {SESSIONS} sessions of 500 files; the aim is 1000 ms", rows)


def _sessions(here: Place, files: int, count: int) -> list[SessionClone]:
    """Sessions of one project, each with a dozen changed files, its eye made as relay makes it."""
    root = here.root / f"look-{files}-{count}"
    root.mkdir()
    make_repository(root / "upstream.git", files, SIZE)
    git = GitAdapter()
    git.clone_base(git.parse_source(str(root / "upstream.git")), root / "base.git", TaskContext())
    clones = []
    for number in range(count):
        tree = root / f"sessions/{number}"
        origin = str(root / "upstream.git")
        git.clone_session(root / "base.git", tree, branch="main", new_branch="", origin=origin, task=TaskContext())
        clone = SessionClone(
            session_id=str(number),
            work_dir=tree,
            shadow_dir=root / f"eyes/{number}.git",
            base=root / "base.git",
            branch="main",
            base_branch="main",
        )
        GitInspector().prepare(clone)
        _change(tree)
        _plain(clone)  # git writes down what it has read, here and in the eye
        GitInspector().facts(clone)
        clones.append(clone)
    return clones


def _change(tree: Path) -> None:
    for path in sorted(tree.glob("d00*/*"))[::50][:10]:
        path.write_text("changed\n")
    for number in range(2):
        (tree / f"new-{number}").write_text("new\n")


def _plain(clone: SessionClone) -> None:
    command = (shutil.which("git") or "git", "-C", str(clone.work_dir), "status", "--porcelain=v2", "-z", "--branch")
    subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=True)


def _facts(clone: SessionClone, walls: sandbox.Sandbox) -> None:
    GitInspector(sandbox=walls).facts(clone)


def _first(clone: SessionClone) -> None:
    """As a command does it, which has asked nothing before."""
    for kept in (
        clone_status._last_commits,
        worktree_status._staged,
        lfs_files._pointers,
        snapshot._branch_settings,
    ):
        kept.clear()
    GitInspector().facts(clone)


if __name__ == "__main__":
    main()
