"""Crash test: kill a process at its k-th step, for every k, and check how the next process recovers.

The store, the locks, the files and git are the real ones. The engine is one that keeps its containers in a file, so
that they outlive the process; or sessions are real processes. Every port is wrapped by a fuse, which ends the process
(as `kill -9` does) before or after a call. A second kind of crash point is before each change that Python makes to the
file system.

`python crash_harness.py DIRECTORY [OPERATION…]` prints the table.
"""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import sys
import tempfile
import traceback
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import cast

from crash_bench import KILLED, Bench, Fuse, bench
from crash_operations import OF_PROCESSES, OPERATIONS, broken_promises, work_of
from crash_processes import await_orphans, end_all
from git_servers import make_repository

from relay_tui.ports.task import TaskContext

_SEEN_BY_PROCESSES = ("runtime.", "store.commit")
"""Where to kill it when sessions are processes: what lies between is the same for all of them."""
_STARTING = ("/processes", "subprocess.Popen")
_SUBREAPER = 36  # prctl: the orphans of a killed child become children of this process


@dataclass
class Survival:
    """Result of one operation. `failures` lists the errors found afterwards by crash point."""

    operation: str
    points: int = 0
    survived: int = 0
    lost: int = 0
    failures: list[str] = field(default_factory=list)


class Trial:
    """Repeated run of one operation in `root`, which is restored from a copy before each run."""

    def __init__(self, root: Path, name: str, *, inside: bool, processes: bool) -> None:
        self._root = root
        self._name = name
        self._inside = inside
        self._processes = processes
        self._operation = (OF_PROCESSES if processes else OPERATIONS)[name]
        self._template = root / "template"
        self._world = root / "world"
        self._works: dict[str, str] = {}

    def run(self) -> Survival:
        """Crash at every point; answer how many crashes were survived."""
        make_repository(self._root / "repository", branches=("main", "side"))
        relay = self._bench()
        self._operation.prepare(relay)
        self._works = {s.name: s.id for s in relay.records.sessions.values() if work_of(relay, s.id)}
        assert self._works
        end_all(self._root)
        self._world.rename(self._template)
        told = self._crash(None)
        assert told["code"] == 0, told
        points = cast("list[str]", told["points"])
        survival = Survival(self._name, len(points))
        for number, point in enumerate(points):
            wrong = self._try(number)
            survival.survived += not wrong
            survival.lost += any("is lost" in words for words in wrong)
            if wrong:
                survival.failures.append(f"{number} {point}: {'; '.join(wrong)}")
        end_all(self._root)
        return survival

    def _bench(self, fuse: Fuse | None = None) -> Bench:
        return bench(self._world, fuse, processes=self._processes)

    def _try(self, number: int) -> list[str]:
        told = self._crash(number)
        if told["code"] != KILLED:
            return [f"it was not killed: {told}"]
        return cast("list[str]", self._forked(lambda: self._recover(cast("int", told["commits"])))["wrong"])

    def _crash(self, number: int | None) -> dict[str, object]:
        end_all(self._root)
        shutil.rmtree(self._world, ignore_errors=True)
        shutil.copytree(self._template, self._world, symlinks=True, ignore=shutil.ignore_patterns("sock"))
        only = () if not self._processes else _STARTING if self._inside else _SEEN_BY_PROCESSES
        fuse = Fuse(number, inside=self._inside, only=only)

        def operate() -> dict[str, object]:
            relay = self._bench(fuse)
            relay.engine.revive(relay.records)
            fuse.light(lambda burnt: tell(burnt))
            self._operation.do(relay)
            return {"points": list(fuse.points)}

        def tell(burnt: Fuse) -> None:
            os.write(self._pipe, json.dumps({"commits": burnt.commits}).encode())

        return self._forked(operate)

    def _recover(self, commits: int) -> dict[str, object]:
        """Run the recovery of the next relay and return its steps and the remaining errors."""
        relay = self._bench()
        taken = relay.reconciler.carry_out_all(TaskContext())
        wrong = [f"{step.act} failed: {error.title} {error.detail}" for step, error in taken if error]
        steps = [(step.act, step.subject) for step, _ in taken]
        wrong += [f"{act} was taken twice" for act, subject in set(steps) if steps.count((act, subject)) > 1]
        wrong += broken_promises(relay, self._works, self._operation.purges)
        wrong += [f"still to do: {step.act} {step.words}" for step in relay.reconciler.plan()]
        wrong += relay.engine.wrong(relay.records)
        if self._operation.purges:
            wrong += self._after_purge(relay)
        done = self._operation.done(relay)
        if not done and (commits or self._operation.always):
            wrong.append("it was not finished")
        elif done and not (commits or self._operation.always or self._inside):
            wrong.append("it was done before it was on record")
        return {"wrong": wrong}

    def _after_purge(self, relay: Bench) -> list[str]:
        """Return the errors after a purge, then purge again.

        A half-deleted entry must not be restorable, and a restorable entry must be complete.
        """
        wrong = []
        gone = next((s for s in relay.records.sessions.values() if s.name == "gone"), None)
        if gone is not None and any(entry.name == gone.id for entry in relay.files.trash_entries()):
            (entry,) = (entry for entry in relay.files.trash_entries() if entry.name == gone.id)
            whole = (self._template / entry.path.relative_to(self._world)).rglob("*")
            missing = [p for p in whole if not os.path.lexists(self._world / p.relative_to(self._template))]
            wrong += [f"half of it could be restored: {missing[0]} is missing"] if missing else []
        relay.trash.purge(0, TaskContext())
        return wrong

    def _forked(self, call: Callable[[], dict[str, object]]) -> dict[str, object]:
        """Call the function in a child process and return its result. Waits for the child's orphans."""
        reading, self._pipe = os.pipe()
        child = os.fork()
        if child == 0:
            code = 1
            try:
                os.write(self._pipe, json.dumps(call()).encode())
                code = 0
            except BaseException:
                os.write(self._pipe, json.dumps({"error": traceback.format_exc()}).encode())
            finally:
                os._exit(code)
        os.close(self._pipe)
        with os.fdopen(reading, "rb") as pipe:
            told: dict[str, object] = json.loads(pipe.read() or b"{}")
        _, status = os.waitpid(child, 0)
        await_orphans()
        told["code"] = os.waitstatus_to_exitcode(status)
        assert "error" not in told, told["error"]
        return told


def crash_everywhere(root: Path, name: str, *, inside: bool, processes: bool) -> Survival:
    """Try an operation in an empty directory. Call it in a process with one thread."""
    ctypes.CDLL(None).prctl(_SUBREAPER, 1, 0, 0, 0)
    root.mkdir(parents=True)
    return Trial(root, name, inside=inside, processes=processes).run()


def main(arguments: Sequence[str]) -> int:
    """Print a JSON document for each operation named (all if none is), crashed between calls or, with -i, inside.

    With -p sessions are real processes.
    """
    inside, processes = "-i" in arguments, "-p" in arguments
    place, *names = [argument for argument in arguments if argument not in {"-i", "-p"}]
    for name in names or (OF_PROCESSES if processes else OPERATIONS):
        with tempfile.TemporaryDirectory(dir=place) as directory:
            survival = crash_everywhere(Path(directory) / "trial", name, inside=inside, processes=processes)
        sys.stdout.write(json.dumps(asdict(survival)) + "\n")
        sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
