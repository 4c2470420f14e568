"""One of many relays on the same data directory: `python crowd.py DATA_DIR SOURCE SEED OPERATIONS` acts at random.

Prints a JSON document: how often each operation ran, how long the slowest took, and the ids created and removed. A
refusal is no failure if another relay does the same or was faster. Any other error ends the program with a traceback.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from installed_relay import IMAGE

from relay_tui.bootstrap import container as bootstrap
from relay_tui.bootstrap import log_file
from relay_tui.domain.errors import ConflictError, NotFoundError
from relay_tui.domain.models import CloneState, DesiredState, Project, Session, SessionState
from relay_tui.ports import ContainerState
from relay_tui.ports.task import TaskContext
from relay_tui.services.projects import NewProject
from relay_tui.services.relay import Relay
from relay_tui.services.sessions.drafts import NewSession

T = TypeVar("T")
WEIGHTS = {"project": 4, "create": 20, "stop": 18, "start": 18, "remove": 12, "list": 20, "reconcile": 4, "restore": 4}


@dataclass
class Tally:
    """Results of one relay. Ids of sessions are listed in the order of the operations on them."""

    done: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    projects: list[str] = field(default_factory=list)
    created: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    restored: list[str] = field(default_factory=list)
    slowest: float = 0.0


class Worker:
    """Does one operation after the other, each on whatever chance chooses of what there is."""

    def __init__(self, relay: Relay, source: str, seed: int) -> None:
        self._relay = relay
        self._source = source
        self._seed = seed
        self._chance = random.Random(seed)
        self.tally = Tally()

    def work(self, operations: int) -> None:
        """Do so many."""
        acts: dict[str, Callable[[int], object]] = {
            "project": self._project,
            "create": self._create,
            "stop": lambda _: self._relay.sessions.stop(self._session().id, TaskContext()),
            "start": lambda _: self._relay.sessions.start(self._session().id, TaskContext()),
            "remove": self._remove,
            "restore": self._restore,
            "list": lambda _: self._relay.store.read().live_sessions(),
            "reconcile": self._reconcile,
        }
        for number in range(operations):
            name = self._chance.choices(list(WEIGHTS), list(WEIGHTS.values()))[0] if number else "project"
            began = time.monotonic()
            try:
                acts[name](number)
            except (ConflictError, NotFoundError):
                self.tally.refused[name] += 1
            else:
                self.tally.done[name] += 1
            self.tally.slowest = max(self.tally.slowest, time.monotonic() - began)

    def _project(self, number: int) -> None:
        wanted = NewProject(source=self._source, name=f"p{self._seed}-{number}", image=IMAGE)
        project = self._relay.projects.register(wanted)
        self.tally.projects.append(project.id)
        first = self._relay.projects.clone(project.id, TaskContext())
        self.tally.created.append(first.id)
        self._relay.sessions.build(first.id, TaskContext())

    def _create(self, number: int) -> None:
        ready = [p for p in self._relay.store.read().live_projects() if p.clone_state is CloneState.READY]
        project: Project = self._some(ready)
        made = self._relay.sessions.register(NewSession(project=project.id, name=f"s{self._seed}-{number}"))
        self.tally.created.append(made.id)
        self._relay.sessions.build(made.id, TaskContext())

    def _remove(self, _: int) -> None:
        found = self._session()
        self._relay.sessions.remove(found.id, TaskContext())
        self.tally.removed.append(found.id)

    def _restore(self, _: int) -> None:
        removed = [s for s in self._relay.store.read().sessions.values() if s.deleted_at is not None]
        found: Session = self._some(removed)
        back = self._relay.sessions.restore(found.id)
        self.tally.restored.append(back.id)
        self._relay.sessions.build(back.id, TaskContext())

    def _reconcile(self, _: int) -> None:
        for step, error in self._relay.reconciler.carry_out_all(TaskContext()):
            if error is not None and not isinstance(error, ConflictError | NotFoundError):
                raise AssertionError(step.words) from error

    def _session(self) -> Session:
        found: Session = self._some(self._relay.store.read().live_sessions())
        return found

    def _some(self, found: Sequence[T]) -> T:
        if not found:
            raise NotFoundError("There is none to choose from")
        return self._chance.choice(found)


@dataclass(frozen=True)
class Crowd:
    """Results of all relays together."""

    seconds: float
    tallies: Sequence[Tally]

    @property
    def operations(self) -> Counter[str]:
        """Count the operations that were done or refused."""
        return sum((tally.done + tally.refused for tally in self.tallies), Counter())

    def ids(self, kind: str) -> set[str]:
        """All that was made, or removed, or restored."""
        return {found for tally in self.tallies for found in getattr(tally, kind)}


def together(env: Mapping[str, str], data: Path, source: Path, relays: int, each: int, timeout: float = 300) -> Crowd:
    """Let so many processes do so many operations each, all at once. Raises AssertionError when one ends badly."""
    began = time.monotonic()
    command = [sys.executable, __file__, str(data), str(source)]
    processes = [
        subprocess.Popen([*command, str(seed), str(each)], env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for seed in range(relays)
    ]
    said = [process.communicate(timeout=timeout) for process in processes]
    seconds = time.monotonic() - began
    bad = [words.decode()[-3000:] for process, (_, words) in zip(processes, said, strict=True) if process.returncode]
    assert not bad, f"{len(bad)} of {relays} ended badly; the first: {bad[0]}"
    return Crowd(seconds, [_tally(json.loads(out)) for out, _ in said])


def _tally(found: dict[str, Any]) -> Tally:
    return Tally(**found | {"done": Counter(found["done"]), "refused": Counter(found["refused"])})


def wrong_with(relay: Relay, crowd: Crowd) -> list[str]:
    """Return the broken promises: nothing is lost or doubled, and every record matches the disk and the engine."""
    wrong = [f"still to do: {step.act} {step.words}" for step in relay.reconciler.plan()]
    records = relay.store.read()
    wrong += [f"project {found} is not on record" for found in crowd.ids("projects") - set(records.projects)]
    wrong += [f"session {found} is not on record" for found in crowd.ids("created") - set(records.sessions)]
    gone = crowd.ids("removed") - crowd.ids("restored")
    wrong += [f"{found} was removed, and is back" for found in gone if records.sessions[found].deleted_at is None]
    stayed = crowd.ids("created") - crowd.ids("removed")
    wrong += [f"{found} was never removed, and is gone" for found in stayed if records.sessions[found].deleted_at]
    seen: dict[str, list[ContainerState]] = {}
    for container in relay.runtime.list_containers():
        seen.setdefault(container.session_id, []).append(container)
    live = {session.id: session for session in records.live_sessions()}
    wrong += [f"{key} is not live, and has {len(found)} containers" for key, found in seen.items() if key not in live]
    for session in live.values():
        own = seen.get(session.id, [])
        status = "running" if session.desired is DesiredState.RUNNING else "exited"
        if [(c.container_id, c.status) for c in own] != [(session.container_id, status)]:
            wrong.append(f"{session.name} is to be {session.desired}, and has {own}")
        state = SessionState.RUNNING if session.desired is DesiredState.RUNNING else SessionState.STOPPED
        if session.state is not state:
            wrong.append(f"{session.name} says {session.state}: {session.error_reason}")
        if not (Path(session.work_dir) / ".git").is_dir():
            wrong.append(f"{session.name} has no clone")
    return wrong


def main(data_dir: str, source: str, seed: str, operations: str) -> None:
    """Run the operations and print the results."""
    log_file.log_to_file()
    worker = Worker(bootstrap.build_relay(Path(data_dir)), source, int(seed))
    worker.work(int(operations))
    sys.stdout.write(json.dumps(vars(worker.tally)))


if __name__ == "__main__":
    main(*sys.argv[1:])
