"""Demo: a sample project with three sessions. One serves, one runs tests, one fails."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from types import MappingProxyType

from relay_tui.config import DEFAULT_PROFILE, Config, Profile
from relay_tui.domain.errors import RelayError
from relay_tui.domain.events import Event, RecordsChanged
from relay_tui.domain.models import CloneState, Project, Session, SessionState
from relay_tui.ports.task import TaskContext
from relay_tui.services.projects import NewProject
from relay_tui.services.relay import Relay
from relay_tui.services.runtime_router import NOT_ISOLATED, survey
from relay_tui.services.sessions.drafts import NewSession
from relay_tui.services.sessions.observation import CommandFailedError

log = logging.getLogger(__name__)

NAME = "tidewatch"
_TESTING = "while :; do date '+%H:%M:%S  testing'; python3 -m unittest -v; sleep 4; done"
_LOOKING = ("test", "-f", "tests/test_days.py")
_PATIENCE = 20.0  # seconds to wait for the expected text in a log


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoSession:
    """A session of the demo: branch, profile, command, and a text that its log contains if it works."""

    name: str
    branch: str
    profile: str
    command: tuple[str, ...]
    says: str
    shows: str
    """Purpose of the session."""


SERVING = DemoSession(
    name="main",
    branch="main",
    profile="serve",
    command=("python3", "-m", "tidewatch.serve"),
    says="GET /tide/",
    shows="serves requests, one every second or two",
)
TESTING = DemoSession(
    name="faster-harmonics",
    branch="faster-harmonics",
    profile="test",
    command=("/bin/sh", "-c", _TESTING),
    says="Ran 8 tests",
    shows="runs tests in a loop",
)
FAILING = DemoSession(
    name="import-stations",
    branch="import-stations",
    profile="import",
    command=("python3", "-m", "tidewatch.importer", "data/north-sea.csv"),
    says="cannot import data/north-sea.csv",
    shows="fails, and its row shows the reason",
)
PARTS = (SERVING, TESTING, FAILING)


def configured(config: Config, runtime: str, image: str) -> Config:
    """Return the user's configuration with the demo's profiles, for one runtime."""
    env = MappingProxyType({"PYTHONDONTWRITEBYTECODE": "1", "PYTHONUNBUFFERED": "1"})
    profiles: Mapping[str, Profile] = {part.profile: _profile(part, env) for part in PARTS}
    profiles = MappingProxyType({**profiles, "default": DEFAULT_PROFILE})
    return replace(config, profiles=profiles, profile=SERVING.profile, runtime=runtime, image=image)


def _profile(part: DemoSession, env: Mapping[str, str]) -> Profile:
    return Profile(name=part.profile, command=part.command, env=env)


@dataclass(frozen=True, slots=True)
class StepResult:
    """Result of a step of the headless demo, with its duration in seconds."""

    name: str
    words: str
    seconds: float
    failed: bool = False


class Demo:
    """Runs the sample project in a relay whose data directory is temporary."""

    def __init__(self, relay: Relay, source: str) -> None:
        self._relay = relay
        self._source = source

    # --- with the screen: everything is started like a person would start it ---

    def play(self) -> str:
        """Add the project, then create the other sessions; return the first session's id, or '' if it failed.

        Progress and failures show on their rows.
        """
        try:
            project = self._relay.add_project(self._wanted())
            if not self._cloned(project):
                return ""
            first = self._relay.store.read().live_sessions(project.id)[0]
            for part in PARTS[1:]:
                self._relay.create_session(_session(project, part))
        except RelayError as error:  # a person removed the project meanwhile, or the disk is full
            log.warning("the demo was interrupted: %s: %s", error.title, error.detail)
            return ""
        return first.id

    def _cloned(self, project: Project) -> bool:
        """Wait until the project is cloned; return False if the clone fails or takes too long."""
        changed = threading.Event()

        def on_event(event: Event) -> None:
            if isinstance(event, RecordsChanged):
                changed.set()

        unsubscribe = self._relay.bus.subscribe(on_event)
        try:
            deadline = time.monotonic() + 60
            while time.monotonic() < deadline:
                changed.clear()
                found = self._relay.store.read().projects.get(project.id)
                if found is None or found.deleted_at or found.clone_state is CloneState.ERROR:
                    return False
                if found.clone_state is CloneState.READY:
                    return True
                changed.wait(0.5)
            return False
        finally:
            unsubscribe()

    def _wanted(self) -> NewProject:
        return NewProject(source=self._source, name=NAME, profile=SERVING.profile, agreed=NOT_ISOLATED)

    # --- without a screen ---

    def run_headless(self, report: Callable[[StepResult], object], task: TaskContext) -> bool:
        """Run all steps in the foreground and report each; return False after the first one that fails."""
        relay = self._relay
        made: dict[str, Session] = {}
        project: list[Project] = []

        def add() -> str:
            project.append(relay.projects.register(self._wanted()))
            first = relay.projects.clone(project[0].id, task)
            made[SERVING.name] = first
            return f"{NAME}, {len(relay.drafts.branches(project[0].id))} branches"

        def run(part: DemoSession) -> str:
            session = made.get(part.name) or relay.sessions.register(_session(project[0], part))
            made[part.name] = self._build(session, task)
            return self._check_session(part, made[part.name], task)

        def command() -> str:
            asking = TaskContext()
            with task.on_cancel(asking.cancel), _after(_PATIENCE, asking.cancel):
                code = relay.runtime.exec_capture(made[TESTING.name].container_id, _LOOKING, asking).code
            return _expect(code == 0, " ".join(_LOOKING), f"it ended with {code}")

        def stop() -> str:
            stopped = relay.sessions.stop(made[TESTING.name].id, task)
            return _expect(stopped.state is SessionState.STOPPED, f"{stopped.name} is stopped", str(stopped.state))

        steps: list[tuple[str, Callable[[], str]]] = [("project", add)]
        steps += [(f"session {part.name}", lambda part=part: run(part)) for part in PARTS]  # type: ignore[misc]
        steps += [("command in a session", command), ("stop a session", stop)]
        return all(self._step(name, act, report) for name, act in steps)

    @staticmethod
    def _step(name: str, act: Callable[[], str], report: Callable[[StepResult], object]) -> bool:
        started_at = time.monotonic()
        try:
            result = StepResult(name, act(), time.monotonic() - started_at)
        except RelayError as error:
            result = StepResult(name, format_error(error), time.monotonic() - started_at, failed=True)
        report(result)
        return not result.failed

    def _build(self, session: Session, task: TaskContext) -> Session:
        """Build the session; a command that fails at once shows on its row."""
        with suppress(CommandFailedError):
            self._relay.sessions.build(session.id, task)
        return self._relay.store.read().sessions[session.id]

    def _check_session(self, part: DemoSession, session: Session, task: TaskContext) -> str:
        """Return the session's state as text. Raises RelayError if it differs from the expected state."""
        if part is FAILING:
            if session.state is SessionState.RUNNING:  # on a slow machine it has not failed yet
                self._relay.runtime.wait(session.container_id, _PATIENCE)
                self._relay.reconciler.carry_out_all(TaskContext())
                session = self._relay.store.read().sessions[session.id]
            reason = session.error_reason
            has_text = reason is not None and part.says in reason.detail
            state = f"{session.state}, exit code {session.exit_code}"
            return _expect(has_text and session.exit_code == 1, f"failed as it should: {state}", state)
        has_text = self._wait_for_text(session, part.says, task)
        running = session.state is SessionState.RUNNING
        return _expect(
            has_text and running, f"{part.shows} ({part.says!r} in its log)", f"{session.state}; {part.says!r}"
        )

    def _wait_for_text(self, session: Session, text: str, task: TaskContext) -> bool:
        """Return whether the text appears in the session's log in time. Raises CancelledError."""
        output = b""
        stream = self._relay.runtime.logs(session.container_id, follow=True)
        try:
            with _after(_PATIENCE, stream.close), task.on_cancel(stream.close):
                for chunk in stream:
                    output += chunk.data
                    if text.encode() in output:
                        return True
        finally:
            stream.close()
        task.raise_if_cancelled()
        return False


def format_error(error: RelayError) -> str:
    """Return title and detail of an error on one line."""
    return f"{error.title}: {error.detail}" if error.detail else error.title


def clear(relay: Relay) -> frozenset[str]:
    """Remove all containers of a data directory in parallel; return the unreachable runtimes. Raises RelayError."""
    failed: list[RelayError] = []

    def remove(container_id: str) -> None:
        try:
            relay.runtime.remove(container_id)
        except RelayError as error:
            failed.append(error)

    found = survey(relay.runtime)
    threads = [threading.Thread(target=remove, args=(container.container_id,)) for container in found.containers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failed:
        raise failed[0]
    return found.unreachable


def _session(project: Project, part: DemoSession) -> NewSession:
    return NewSession(project=project.id, name=part.name, branch=part.branch, profile=part.profile, agreed=NOT_ISOLATED)


def _expect(holds: bool, text: str, otherwise: str) -> str:
    if not holds:
        raise RelayError("Unexpected state", otherwise)
    return text


@contextmanager
def _after(seconds: float, act: Callable[[], object]) -> Iterator[None]:
    """Call `act` if the block takes longer than `seconds`."""
    timer = threading.Timer(seconds, act)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
