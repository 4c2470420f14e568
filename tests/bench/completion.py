"""Time from tab to candidates with 20 projects, 2,000 sessions and 3,000 branches, without the interpreter's own start.

Run `python tests/bench/completion.py`, with --quick for a short run.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from functools import partial

from first_content import fill
from measure import BRANCH, Place, Row, less, make_repository, place, print_table, quick_wanted, relay_command, rounds

from relay_tui.bootstrap import container

PROJECTS, SESSIONS, BRANCHES = 20, 2_000, 3_000
AIM = 0.150
"""Seconds beyond the start of the interpreter."""
LINES = (
    "relay ",
    "relay session show ",
    "relay session show project-007/w",
    "relay project show ",
    "relay session create project-000 --branch ",
    "relay session create project-000 --image ",
    "relay session create project-000 --profile ",
)
START = "the interpreter's start"


def main() -> None:
    """Print the table."""
    quick = quick_wanted("How long a completion takes")
    with place() as here:
        fill(here, PROJECTS, SESSIONS, lambda _: "")
        _add_branches(here)
        contestants: dict[str, Callable[[str], object]] = {START: lambda _: _run([sys.executable, "-c", "pass"], here)}
        contestants |= {line: partial(_complete, line, here) for line in LINES}
        seconds = rounds(contestants, 5 if quick else 21)
        rows = [Row(START, seconds[START]), Row("aim", [AIM])]
        rows += [Row(f"{line}<tab>", less(seconds[line], seconds[START]), "aim", 1.0) for line in LINES]
        print_table(f"Completion with {SESSIONS} sessions and {BRANCHES} branches, less the interpreter's start", rows)


def _add_branches(here: Place) -> None:
    """Give the first project a base clone with packed branches."""
    relay = container.build_relay(here.data)
    project = next(p for p in relay.store.read().live_projects() if p.name == "project-000")
    base = relay.data_dir.base(project.id)
    base.parent.mkdir(parents=True)
    make_repository(base, 1, range(10, 20))
    updates = "".join(f"create refs/heads/feature/{number:05} {BRANCH}\n" for number in range(BRANCHES))
    subprocess.run(("git", f"--git-dir={base}", "update-ref", "--stdin"), input=updates.encode(), check=True)
    subprocess.run(("git", f"--git-dir={base}", "pack-refs", "--all"), check=True)


def _complete(line: str, here: Place, _: str) -> None:
    answer = _run(relay_command(), here, _RELAY_COMPLETE="bash_complete", COMP_LINE=line, COMP_WORD="")
    if not answer.startswith(b"plain\n"):
        raise SystemExit(f"nothing completes {line!r}")


def _run(command: list[str], here: Place, **env: str) -> bytes:
    return subprocess.run(
        command, env=here.environment | env, stdin=subprocess.DEVNULL, capture_output=True, check=True
    ).stdout


if __name__ == "__main__":
    main()
