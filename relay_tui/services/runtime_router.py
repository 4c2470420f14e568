"""Runtime router: choose the runtime of a new session, and forward calls to the runtime of an existing one.

A session keeps the runtime that it was created with.
"""

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
"""Values of the runtime option; a stored session has one of the last two."""
PROCESS_ID = "process-"
"""Prefix of the id of a process; the id of a container is a hash."""
NOT_ISOLATED, INSTEAD = "not-isolated", "instead"
"""Values of NeedsConsentError.consent: a session without a sandbox; a process in a project of containers."""


@dataclass(frozen=True, slots=True)
class RuntimeSurvey:
    """All containers and processes that the runtimes reported."""

    containers: tuple[ContainerState, ...] = ()
    unreachable: frozenset[str] = frozenset()
    """Kinds of the runtimes that did not answer: nothing is known about their sessions."""


@dataclass(frozen=True, slots=True)
class RuntimeChoice:
    """The runtime of a new session, and the reason. `asks` is set if a person has to agree first."""

    runtime: str
    isolated: bool = True
    why: str = ""
    asks: NeedsConsentError | None = None


ENGINE = RuntimeChoice(DOCKER)


class RuntimeRouter:
    """Runtime over the engine and the process runtime. The id of a container or its specification names the runtime."""

    def __init__(self, *, docker: Runtime, process: ProcessControl) -> None:
        self._docker = docker
        self._process = process
        self._kinds: Mapping[str, Runtime] = {DOCKER: docker, PROCESS: process}

    def of(self, kind: str) -> Runtime:
        """Return the runtime of a kind. Raises ConflictError if the kind is unknown to this version of relay."""
        runtime = self._kinds.get(kind)
        if runtime is None:
            raise ConflictError(f"There is no runtime '{kind}'", hint=f"Use {DOCKER} or {PROCESS}.")
        return runtime

    def _runtime_of(self, container_id: str) -> Runtime:
        return self._process if container_id.startswith(PROCESS_ID) else self._docker

    # --- the choice ---

    def choose(
        self, wanted: str, others: Sequence[str], agreed: Collection[str], ping: Callable[[], object] | None = None
    ) -> RuntimeChoice:
        """Return the runtime of a new session.

        `others` holds the kind of each other session of the project. `ping` replaces the ping of the engine where its
        state is known already; it raises EngineUnreachableError.
        """
        why, asks = "", None
        if wanted == AUTO:
            try:
                (ping or self._docker.ping)()
            except EngineUnreachableError as error:
                why = f"no engine answers ({error.detail or error.title})"
                if DOCKER in others and INSTEAD not in agreed:
                    asks = _ask_for_process(error, others)
            else:
                return RuntimeChoice(DOCKER, why="the engine answers")
        elif wanted == DOCKER:
            return ENGINE
        isolation = self._process.isolation()
        if isolation.works:
            return RuntimeChoice(PROCESS, True, why, asks)
        if not asks and NOT_ISOLATED not in agreed and not isolation.agreed:
            asks = _ask_for_no_sandbox(isolation.words, isolation.hint)
        return RuntimeChoice(PROCESS, False, why, asks)

    def agree(self) -> None:
        """Store the consent to run sessions without a sandbox."""
        self._process.agree()

    # --- all runtimes ---

    def survey(self) -> RuntimeSurvey:
        """List the containers of every runtime that answers."""
        containers: list[ContainerState] = []
        unreachable: set[str] = set()
        for kind, runtime in self._kinds.items():
            try:
                containers += runtime.list_containers()
            except EngineUnreachableError:
                unreachable.add(kind)
        return RuntimeSurvey(tuple(containers), frozenset(unreachable))

    def ping(self) -> str:
        """Return the engine's name, version and address."""
        return self._docker.ping()

    def list_containers(self) -> list[ContainerState]:
        """List the containers of all runtimes. Raises EngineUnreachableError if one does not answer."""
        return [container for runtime in self._kinds.values() for container in runtime.list_containers()]

    def events(self) -> EventStream:
        """Listen for the engine's events; another monitor watches the processes."""
        return self._docker.events()

    # --- one runtime ---

    def create(self, spec: ContainerSpec, task: TaskContext) -> str:
        """Create the container with the runtime that the specification names."""
        return self.of(spec.runtime).create(spec, task)

    def start(self, container_id: str) -> None:
        """Start the container."""
        self._runtime_of(container_id).start(container_id)

    def stop(self, container_id: str) -> None:
        """Stop the container."""
        self._runtime_of(container_id).stop(container_id)

    def remove(self, container_id: str) -> None:
        """Remove the container."""
        self._runtime_of(container_id).remove(container_id)

    def inspect(self, container_id: str) -> ContainerState:
        """Return the container's state."""
        return self._runtime_of(container_id).inspect(container_id)

    def run_history(self, container_id: str, since: str) -> list[RunEnd]:
        """Return how the container's runs ended."""
        return self._runtime_of(container_id).run_history(container_id, since)

    def wait(self, container_id: str, seconds: float) -> ContainerState:
        """Wait until the container ends, at most `seconds`; return its state."""
        return self._runtime_of(container_id).wait(container_id, seconds)

    def logs(
        self, container_id: str, *, follow: bool, tail: int | None = None, since: str = "", timestamps: bool = False
    ) -> LogStream:
        """Read the container's output."""
        return self._runtime_of(container_id).logs(
            container_id, follow=follow, tail=tail, since=since, timestamps=timestamps
        )

    def stats(self, container_id: str) -> StatsStream:
        """Read the container's resource usage."""
        return self._runtime_of(container_id).stats(container_id)

    def log_lines(
        self, container_id: str, *, follow: bool, tail: int | None = None, since: str = "", until: str = ""
    ) -> LineStream:
        """Read the container's output as lines."""
        return self._runtime_of(container_id).log_lines(
            container_id, follow=follow, tail=tail, since=since, until=until
        )

    def delete_tree(self, path: Path, image: str) -> None:
        """Delete files of other users with the engine: only containers create such files."""
        self._docker.delete_tree(path, image)

    def reclaim_ownership(self, path: Path, image: str) -> None:
        """Change the owner of a directory with the engine: only containers give directories away."""
        self._docker.reclaim_ownership(path, image)

    def attach(self, container_id: str) -> None:
        """Attach the terminal to the container."""
        self._runtime_of(container_id).attach(container_id)

    def run(self, container_id: str, command: Sequence[str]) -> int:
        """Run a command in the container."""
        return self._runtime_of(container_id).run(container_id, command)

    def exec_capture(
        self, container_id: str, command: Sequence[str], task: TaskContext, *, given: Path | None = None
    ) -> ExecResult:
        """Run a command in the container and return its output."""
        return self._runtime_of(container_id).exec_capture(container_id, command, task, given=given)


def survey(runtime: Runtime) -> RuntimeSurvey:
    """List the containers of a runtime; a runtime that is no router is the engine."""
    if isinstance(runtime, RuntimeRouter):
        return runtime.survey()
    try:
        return RuntimeSurvey(tuple(runtime.list_containers()))
    except EngineUnreachableError:
        return RuntimeSurvey(unreachable=frozenset({DOCKER}))


def runtime_for_kind(runtime: Runtime, kind: str) -> Runtime:
    """Return the runtime that has the sessions of one kind."""
    return runtime.of(kind) if isinstance(runtime, RuntimeRouter) else runtime


def _ask_for_process(error: EngineUnreachableError, others: Sequence[str]) -> NeedsConsentError:
    containers = others.count(DOCKER)
    subject = f"{containers} of the project's {len(others)} other sessions {'is a' if containers == 1 else 'are'} "
    if containers == len(others):
        subject = "the project's other session is a " if containers == 1 else "the project's other sessions are "
    return NeedsConsentError(
        INSTEAD,
        f"No engine answers, and {subject}container{'' if containers == 1 else 's'}",
        error.detail or error.title,
        "Start the engine, or allow a process{|: --runtime process}.",
    )


def _ask_for_no_sandbox(reason: str, hint: str) -> NeedsConsentError:
    return NeedsConsentError(
        NOT_ISOLATED,
        "The session would not be isolated",
        f"{reason}. Its command could read and write everything that you can.",
        f"{hint} Or agree once{{|: --not-isolated}}.",
    )
