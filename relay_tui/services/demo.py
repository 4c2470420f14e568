"""The demo: a sample project and three sessions that do something: one serves, one tests, one fails."""

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
_PATIENCE = 20.0  # seconds that a log is given to say what it should


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoSession:
    """One of the sessions: what it runs, on which branch, and the words in its log that show that it does."""

    name: str
    branch: str
    profile: str
    command: tuple[str, ...]
    says: str
    shows: str
    """What it is there to show."""


SERVING = DemoSession(
    name="main",
    branch="main",
    profile="serve",
    command=("python3", "-m", "tidewatch.serve"),
    says="GET /tide/",
    shows="serves, and is asked every second or two",
)
TESTING = DemoSession(
    name="faster-harmonics",
    branch="faster-harmonics",
    profile="test",
    command=("/bin/sh", "-c", _TESTING),
    says="Ran 8 tests",
    shows="tests in a loop",
)
FAILING = DemoSession(
    name="import-stations",
    branch="import-stations",
    profile="import",
    command=("python3", "-m", "tidewatch.importer", "data/north-sea.csv"),
    says="cannot import data/north-sea.csv",
    shows="fails, and its row says why",
)
PARTS = (SERVING, TESTING, FAILING)


def configured(config: Config, runtime: str, image: str) -> Config:
    """The user's configuration with the demo's own profiles, all on one runtime."""
    env = MappingProxyType({"PYTHONDONTWRITEBYTECODE": "1", "PYTHONUNBUFFERED": "1"})
    profiles: Mapping[str, Profile] = {part.profile: _profile(part, env) for part in PARTS}
    profiles = MappingProxyType({**profiles, "default": DEFAULT_PROFILE})
    return replace(config, profiles=profiles, profile=SERVING.profile, runtime=runtime, image=image)


def _profile(part: DemoSession, env: Mapping[str, str]) -> Profile:
    return Profile(name=part.profile, command=part.command, env=env)


@dataclass(frozen=True, slots=True)
class StepResult:
    """A step of a rehearsal, with what came of it and the seconds it took."""

    name: str
    words: str
    seconds: float
    failed: bool = False


class Demo:
    """Plays the sample project over a relay whose data dir is thrown away afterwards."""

    def __init__(self, relay: Relay, source: str) -> None:
        self._relay = relay
        self._source = source

    # --- for the screen: everything begun as a person would begin it ---

    def play(self) -> str:
        """Add the project, and once it is cloned the other sessions; answer the first one's id, '' if there is none.

        Progress and failures show on their rows.
        """
        try:
            project = self._relay.add_project(self._wanted())
            if not self._cloned(project):
                return ""
            first = self._relay.store.read().live_sessions(project.id)[0]
            for part in PARTS[1:]:
                self._relay.create_session(_session(project, part))
        except RelayError as error:  # somebody at the keys was quicker, or the disk is full
            log.warning("the demo was cut short: %s: %s", error.title, error.detail)
            return ""
        return first.id

    def _cloned(self, project: Project) -> bool:
        """Wait until the project can have more sessions; False if that will not be."""
        stirred = threading.Event()

        def hear(event: Event) -> None:
            if isinstance(event, RecordsChanged):
                stirred.set()

        unsubscribe = self._relay.bus.subscribe(hear)
        try:
            deadline = time.monotonic() + 60
            while time.monotonic() < deadline:
                stirred.clear()
                found = self._relay.store.read().projects.get(project.id)
                if found is None or found.deleted_at or found.clone_state is CloneState.ERROR:
                    return False
                if found.clone_state is CloneState.READY:
                    return True
                stirred.wait(0.5)
            return False
        finally:
            unsubscribe()

    def _wanted(self) -> NewProject:
        return NewProject(source=self._source, name=NAME, profile=SERVING.profile, agreed=NOT_ISOLATED)

    # --- without a screen: the same, step by step ---

    def run_headless(self, tell: Callable[[StepResult], object], task: TaskContext) -> bool:
        """Do it all in the foreground, telling each step; False if one failed, after which none is tried."""
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
            return self._judged(part, made[part.name], task)

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
        return all(self._step(name, act, tell) for name, act in steps)

    @staticmethod
    def _step(name: str, act: Callable[[], str], tell: Callable[[StepResult], object]) -> bool:
        begun = time.monotonic()
        try:
            done = StepResult(name, act(), time.monotonic() - begun)
        except RelayError as error:
            done = StepResult(name, format_error(error), time.monotonic() - begun, failed=True)
        tell(done)
        return not done.failed

    def _build(self, session: Session, task: TaskContext) -> Session:
        """Build it; a command that fails at once is for its row to tell."""
        with suppress(CommandFailedError):
            self._relay.sessions.build(session.id, task)
        return self._relay.store.read().sessions[session.id]

    def _judged(self, part: DemoSession, session: Session, task: TaskContext) -> str:
        """What the session came to, in words. Raises RelayError if that is not what it is there for."""
        if part is FAILING:
            if session.state is SessionState.RUNNING:  # a slow machine: it had no time yet to fail
                self._relay.runtime.wait(session.container_id, _PATIENCE)
                self._relay.reconciler.carry_out_all(TaskContext())
                session = self._relay.store.read().sessions[session.id]
            reason = session.error_reason
            said = reason is not None and part.says in reason.detail
            state = f"{session.state}, exit code {session.exit_code}"
            return _expect(said and session.exit_code == 1, f"failed as it should: {state}", state)
        said = self._says(session, part.says, task)
        running = session.state is SessionState.RUNNING
        return _expect(said and running, f"{part.shows} ({part.says!r} in its log)", f"{session.state}; {part.says!r}")

    def _says(self, session: Session, words: str, task: TaskContext) -> bool:
        """Whether the words come in the session's log soon. Raises CancelledError."""
        heard = b""
        stream = self._relay.runtime.logs(session.container_id, follow=True)
        try:
            with _after(_PATIENCE, stream.close), task.on_cancel(stream.close):
                for chunk in stream:
                    heard += chunk.data
                    if words.encode() in heard:
                        return True
        finally:
            stream.close()
        task.raise_if_cancelled()
        return False


def format_error(error: RelayError) -> str:
    """What a step says that failed."""
    return f"{error.title}: {error.detail}" if error.detail else error.title


def clear(relay: Relay) -> frozenset[str]:
    """Remove whatever runs of a data dir, side by side; answer the runtimes that did not answer. Raises RelayError."""
    failed: list[RelayError] = []

    def remove(found: str) -> None:
        try:
            relay.runtime.remove(found)
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


def _expect(held: bool, words: str, otherwise: str) -> str:
    if not held:
        raise RelayError("It is not as it should be", otherwise)
    return words


@contextmanager
def _after(seconds: float, act: Callable[[], object]) -> Iterator[None]:
    """Do something when the block takes longer than that."""
    timer = threading.Timer(seconds, act)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
