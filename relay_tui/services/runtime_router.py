"""The runtimes side by side, and which of them a new session gets. A session keeps the kind it was made with."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from relay_tui.domain.errors import ConflictError, EngineUnreachableError, NeedsConsentError

if TYPE_CHECKING:
    from relay_tui.ports import (
        ContainerSpec,
        ContainerState,
        EventStream,
        ExecResult,
        LineStream,
        LogStream,
        ProcessControl,
        RunEnd,
        Runtime,
        StatsStream,
    )
    from relay_tui.ports.task import TaskContext

DOCKER, PROCESS, AUTO = "docker", "process", "auto"
KINDS = (AUTO, DOCKER, PROCESS)
"""What can be asked for; a session on record is one of the last two."""
PROCESS_ID = "process-"
"""Begins the id of a process, where a container's is a hash."""
NOT_ISOLATED, INSTEAD = "not-isolated", "instead"
"""What a person can be asked to agree to: a session without a sandbox; a process in a project of containers."""


@dataclass(frozen=True, slots=True)
class RuntimeSurvey:
    """Every container and process that was seen, and the kinds that did not answer: of those nothing is known."""

    seen: tuple[ContainerState, ...] = ()
    unseen: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class RuntimeChoice:
    """What a new session runs on, and why. `asks`: a person has to agree to it first."""

    runtime: str
    isolated: bool = True
    why: str = ""
    asks: NeedsConsentError | None = None


ENGINE = RuntimeChoice(DOCKER)


class RuntimeRouter:
    """Fulfils Runtime over several: an id tells whose it is, a specification which one is to have it."""

    def __init__(self, *, docker: Runtime, process: ProcessControl) -> None:
        self._docker = docker
        self._process = process
        self._kinds: Mapping[str, Runtime] = {DOCKER: docker, PROCESS: process}

    def of(self, kind: str) -> Runtime:
        """The runtime of that kind. Raises ConflictError when this relay has none."""
        found = self._kinds.get(kind)
        if found is None:
            raise ConflictError(f"This relay knows no runtime '{kind}'", hint=f"It knows {DOCKER} and {PROCESS}.")
        return found

    def _whose(self, container_id: str) -> Runtime:
        return self._process if container_id.startswith(PROCESS_ID) else self._docker

    # --- the choice ---

    def choose(
        self, wanted: str, others: Sequence[str], agreed: Collection[str], ask: Callable[[], object] | None = None
    ) -> RuntimeChoice:
        """What a session gets whose project's other sessions are of the kinds `others`, one for each session.

        `ask` answers for the engine where that is known already; it raises EngineUnreachableError.
        """
        why, asks = "", None
        if wanted == AUTO:
            try:
                (ask or self._docker.ping)()
            except EngineUnreachableError as error:
                why = f"no engine answers ({error.detail or error.title})"
                if DOCKER in others and INSTEAD not in agreed:
                    asks = _instead(error, others)
            else:
                return RuntimeChoice(DOCKER, why="the engine answers")
        elif wanted == DOCKER:
            return ENGINE
        isolation = self._process.isolation()
        if isolation.works:
            return RuntimeChoice(PROCESS, True, why, asks)
        if not asks and NOT_ISOLATED not in agreed and not isolation.agreed:
            asks = _not_isolated(isolation.words, isolation.hint)
        return RuntimeChoice(PROCESS, False, why, asks)

    def agree(self) -> None:
        """Remember that sessions without a sandbox were agreed to."""
        self._process.agree()

    # --- what is there ---

    def survey(self) -> RuntimeSurvey:
        """Everything that can be seen; a kind that does not answer hides no other."""
        seen: list[ContainerState] = []
        unseen: set[str] = set()
        for kind, runtime in self._kinds.items():
            try:
                seen += runtime.list_containers()
            except EngineUnreachableError:
                unseen.add(kind)
        return RuntimeSurvey(tuple(seen), frozenset(unseen))

    def ping(self) -> str:
        """The engine's name, version and address."""
        return self._docker.ping()

    def list_containers(self) -> list[ContainerState]:
        """All of every kind. Raises when one does not answer."""
        return [seen for runtime in self._kinds.values() for seen in runtime.list_containers()]

    def events(self) -> EventStream:
        """The engine's; processes are watched on their own."""
        return self._docker.events()

    # --- one of them ---

    def create(self, spec: ContainerSpec, task: TaskContext) -> str:
        """By the runtime that the specification names."""
        return self.of(spec.runtime).create(spec, task)

    def start(self, container_id: str) -> None:
        """Start it."""
        self._whose(container_id).start(container_id)

    def stop(self, container_id: str) -> None:
        """Stop it."""
        self._whose(container_id).stop(container_id)

    def remove(self, container_id: str) -> None:
        """Remove it."""
        self._whose(container_id).remove(container_id)

    def inspect(self, container_id: str) -> ContainerState:
        """How it is now."""
        return self._whose(container_id).inspect(container_id)

    def run_history(self, container_id: str, since: str) -> list[RunEnd]:
        """How its runs ended."""
        return self._whose(container_id).run_history(container_id, since)

    def wait(self, container_id: str, seconds: float) -> ContainerState:
        """How it is once it ended, or after `seconds`."""
        return self._whose(container_id).wait(container_id, seconds)

    def logs(
        self, container_id: str, *, follow: bool, tail: int | None = None, since: str = "", timestamps: bool = False
    ) -> LogStream:
        """Its output."""
        return self._whose(container_id).logs(
            container_id, follow=follow, tail=tail, since=since, timestamps=timestamps
        )

    def stats(self, container_id: str) -> StatsStream:
        """What it takes of the machine."""
        return self._whose(container_id).stats(container_id)

    def log_lines(
        self, container_id: str, *, follow: bool, tail: int | None = None, since: str = "", until: str = ""
    ) -> LineStream:
        """Its output as lines."""
        return self._whose(container_id).log_lines(container_id, follow=follow, tail=tail, since=since, until=until)

    def delete_tree(self, path: Path, image: str) -> None:
        """Files of other users come from containers, so it is the engine that deletes them."""
        self._docker.delete_tree(path, image)

    def reclaim_ownership(self, path: Path, image: str) -> None:
        """What was given away a container gave, so it is the engine that takes it back."""
        self._docker.reclaim_ownership(path, image)

    def attach(self, container_id: str) -> None:
        """Give it the terminal."""
        self._whose(container_id).attach(container_id)

    def run(self, container_id: str, command: Sequence[str]) -> int:
        """Run a command in it."""
        return self._whose(container_id).run(container_id, command)

    def exec_capture(
        self, container_id: str, command: Sequence[str], task: TaskContext, *, given: Path | None = None
    ) -> ExecResult:
        """Run a command in it to its end."""
        return self._whose(container_id).exec_capture(container_id, command, task, given=given)


def survey(runtime: Runtime) -> RuntimeSurvey:
    """What a runtime sees; one that stands alone is the engine."""
    if isinstance(runtime, RuntimeRouter):
        return runtime.survey()
    try:
        return RuntimeSurvey(tuple(runtime.list_containers()))
    except EngineUnreachableError:
        return RuntimeSurvey(unseen=frozenset({DOCKER}))


def runtime_for_kind(runtime: Runtime, kind: str) -> Runtime:
    """The part of a runtime that has the sessions of one kind."""
    return runtime.of(kind) if isinstance(runtime, RuntimeRouter) else runtime


def _instead(error: EngineUnreachableError, others: Sequence[str]) -> NeedsConsentError:
    containers = others.count(DOCKER)
    whose = f"{containers} of the project's {len(others)} other sessions {'is a' if containers == 1 else 'are'} "
    if containers == len(others):
        whose = "the project's other session is a " if containers == 1 else "the project's other sessions are "
    return NeedsConsentError(
        INSTEAD,
        f"No engine answers, and {whose}container{'' if containers == 1 else 's'}",
        error.detail or error.title,
        "Start the engine, or say that a process will do{|: --runtime process}.",
    )


def _not_isolated(words: str, hint: str) -> NeedsConsentError:
    return NeedsConsentError(
        NOT_ISOLATED,
        "The session would not be isolated",
        f"{words}. Its command could read and write whatever you can.",
        f"{hint} Or agree to it once{{|: --not-isolated}}.",
    )
