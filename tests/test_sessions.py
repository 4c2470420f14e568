"""Sessions: what a form may ask for, from record to running, going on after failures, removing."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import pytest
from fakes import Container, Rig, build
from waiting import wait_until

from relay_tui.config import Config, Profile
from relay_tui.domain.errors import (
    CancelledError,
    ConflictError,
    EngineError,
    EngineUnreachableError,
    FileSystemError,
    ForeignFilesError,
    GitError,
    InvalidInputError,
    NameTakenError,
    NotFoundError,
    RelayError,
)
from relay_tui.domain.events import RecordsChanged
from relay_tui.domain.models import CloneState, DesiredState, Project, Session, SessionState
from relay_tui.ports.task import TaskContext
from relay_tui.services.sessions.drafts import NewSession

COMMAND = Profile(name="job", command=("/bin/sh", "-c", "make"), image="job-image")


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    """A relay with a profile that runs a command."""
    profiles = MappingProxyType({"default": Profile(name="default"), "job": COMMAND})
    return build(tmp_path / "data", config=Config(path=tmp_path / "config.toml", profiles=profiles))


@pytest.fixture
def project(rig: Rig) -> Project:
    """A project with one running session, `main`."""
    return rig.ready()


def counted(rig: Rig, call: str) -> int:
    """Return the number of calls of git or the engine."""
    return (rig.git.calls + rig.engine.calls).count(call)


# --- what may be asked for ---


@pytest.mark.parametrize(
    ("wanted", "field", "words"),
    [
        ({"branch": "gone"}, "branch", "no branch 'gone'"),
        ({"branch": "--upload-pack=x"}, "branch", "cannot begin with '-'"),
        ({"new_branch": "a b"}, "new_branch", "spaces"),
        ({"new_branch": "-D"}, "new_branch", "cannot begin with '-'"),
        ({"new_branch": "dev"}, "new_branch", "already"),
        ({"new_branch": "dev/more"}, "new_branch", "cannot have both 'dev/more' and 'dev'"),
        ({"new_branch": "fix"}, "new_branch", "cannot have both 'fix' and 'fix/login'"),
        ({"new_branch": "new", "branch": "gone"}, "branch", "no branch 'gone'"),
        ({"name": "a b"}, "name", "letters, digits"),
        ({"name": "../x"}, "name", "letters, digits"),
        ({"name": "x" * 41}, "name", "at most 40"),
        ({"name": "MAIN"}, "name", "a session 'MAIN' already"),
        ({"profile": "nope"}, "profile", "no profile 'nope'"),
    ],
)
def test_a_mistake_names_its_field_and_nothing_is_recorded(
    rig: Rig, project: Project, wanted: dict[str, str], field: str, words: str
) -> None:
    for ask in (rig.relay.sessions.register, rig.relay.drafts.preview):
        with pytest.raises((InvalidInputError, NameTakenError)) as caught:
            ask(NewSession(project=project.id, **wanted))
        assert getattr(caught.value, "field", "") == field
        assert words in caught.value.title
    assert [session.name for session in rig.live()] == ["main"]


def test_names_are_suggested_after_the_branch_and_free_again_after_removal(rig: Rig, project: Project) -> None:
    assert [rig.drafted(project).name for _ in range(2)] == ["main-2", "main-3"]
    assert rig.drafted(project, new_branch="Feature/Ünicode x!".replace(" x!", "")).name == "Feature-nicode"
    assert rig.drafted(project, new_branch="x" * 80).name == "x" * 40
    assert rig.drafted(project, new_branch="x" * 81).name == "x" * 36 + "-2"
    first = rig.live()[0]
    rig.relay.sessions.remove(first.id, TaskContext())
    assert rig.relay.drafts.suggest_name(project.id, "main") == "main"


def test_a_session_of_a_project_that_is_gone_or_not_cloned_is_refused(rig: Rig, project: Project) -> None:
    with pytest.raises(NotFoundError):
        rig.relay.sessions.register(NewSession(project="nobody"))
    rig.put(replace(project, clone_state=CloneState.ERROR))
    with pytest.raises(ConflictError, match="not cloned yet"):
        rig.relay.sessions.register(NewSession(project=project.id))


def test_a_preview_is_what_is_then_made(rig: Rig, project: Project) -> None:
    wanted = NewSession(project=project.id, branch="dev", new_branch="topic", profile="job")
    session, spec, _ = rig.relay.drafts.preview(wanted)
    assert (session.name, session.branch, session.base_branch) == ("topic", "topic", "dev")
    assert (spec.image, spec.command) == ("job-image", COMMAND.command)
    assert len(rig.live()) == 1
    made = rig.relay.sessions.build(rig.relay.sessions.register(wanted).id, TaskContext())
    assert rig.engine.of(made).spec.command == spec.command
    assert (Path(made.work_dir) / ".git/origin").read_text() == f"{project.source} topic"


# --- from record to running ---


def test_the_record_comes_first_and_names_the_clone_and_the_container(rig: Rig, project: Project) -> None:
    session = rig.drafted(project)
    rig.git.gates["clone_session"] = threading.Event()
    rig.engine.gates["create"] = threading.Event()
    seen: list[Session] = []
    rig.relay.bus.subscribe(lambda event: seen.append(rig.session(session.id)) if event == RecordsChanged() else None)
    rig.relay.build(session)
    wait_until(lambda: counted(rig, "clone_session") == 2 and counted(rig, "create") == 2)  # side by side
    on_record = rig.session(session.id)
    assert on_record.state is SessionState.STARTING
    assert on_record.work_dir == str(rig.relay.data_dir.session(project.id, session.id))
    rig.git.notes = ["submodule lib could not be cloned"]
    rig.git.gates["clone_session"].set()
    rig.engine.gates["create"].set()
    rig.idle()
    made = rig.session(session.id)
    assert made.state is SessionState.RUNNING
    assert made.notes == ("submodule lib could not be cloned",)
    labels = rig.engine.of(made).spec.labels
    assert (labels["relay.session"], labels["relay.project"]) == (session.id, project.id)
    assert labels["relay.data-dir"] == str(rig.root)
    assert [row.state for row in seen][-1] is SessionState.RUNNING


def exits(code: int, words: bytes = b"") -> Callable[[Container], None]:
    """A command that ends at once."""

    def end(container: Container) -> None:
        container.say(words)
        container.become("exited", code)

    return end


def fail_to_clone(rig: Rig) -> None:
    rig.git.failures["clone_session"] = GitError("git failed", "fatal: early EOF", "Try again.")


def fail_to_create(rig: Rig) -> None:
    rig.engine.failures["create"] = EngineError("The image cannot be pulled", "manifest unknown", "Check it.")


def fail_to_start(rig: Rig) -> None:
    rig.engine.failures["start"] = EngineError("The container did not start", "exec: not found", "Mend it.")


def be_down(rig: Rig) -> None:
    rig.engine.go_down()


@pytest.mark.parametrize(
    ("spoil", "kind", "detail", "clones"),
    [
        (fail_to_clone, "git", "fatal: early EOF", 2),
        (fail_to_create, "engine", "manifest unknown", 1),
        (fail_to_start, "engine", "exec: not found", 1),
        (be_down, "engine-unreachable", "dial unix: connection refused", 1),
    ],
)
def test_retry_goes_on_from_the_step_that_failed(
    rig: Rig, project: Project, spoil: Callable[[Rig], None], kind: str, detail: str, clones: int
) -> None:
    session = rig.drafted(project)
    before = counted(rig, "clone_session")
    spoil(rig)
    with pytest.raises(RelayError, match=r".+"):
        rig.relay.sessions.build(session.id, TaskContext())
    failed = rig.session(session.id)
    assert failed.state is SessionState.ERROR
    assert failed.error_reason is not None
    assert (failed.error_reason.kind, failed.error_reason.detail) == (kind, detail)
    assert failed.error_reason.hint
    rig.git.failures.clear()
    rig.engine.failures.clear()
    rig.engine.come_back()
    made = rig.relay.sessions.retry(session.id, TaskContext())
    assert (made.state, made.error_reason) == (SessionState.RUNNING, None)
    assert rig.engine.of(made).id == made.container_id
    assert counted(rig, "clone_session") - before == clones


def test_when_both_fail_the_clone_is_what_the_row_tells(rig: Rig, project: Project) -> None:
    session = rig.drafted(project)
    fail_to_clone(rig)
    fail_to_create(rig)
    with pytest.raises(GitError):
        rig.relay.sessions.build(session.id, TaskContext())
    reason = rig.session(session.id).error_reason
    assert reason is not None
    assert reason.kind == "git"


def test_a_command_that_ends_at_once_leaves_its_code_and_last_words(rig: Rig, project: Project) -> None:
    session = rig.drafted(project, profile="job")
    rig.engine.on_start = exits(2, b"make: *** No targets.  Stop.\n")
    with pytest.raises(EngineError, match="exit code 2"):
        rig.relay.sessions.build(session.id, TaskContext())
    failed = rig.session(session.id)
    assert (failed.state, failed.exit_code) == (SessionState.ERROR, 2)
    assert failed.error_reason is not None
    assert "No targets" in failed.error_reason.detail
    old = failed.container_id
    rig.engine.on_start = lambda _: None
    made = rig.relay.sessions.retry(session.id, TaskContext())
    assert (made.state, made.exit_code) == (SessionState.RUNNING, None)
    assert made.container_id != old  # created again: the profile or the image may have been fixed
    assert old not in rig.engine.containers


def test_a_command_that_ends_well_is_stopped_not_failed(rig: Rig, project: Project) -> None:
    session = rig.drafted(project, profile="job")
    rig.engine.on_start = exits(0)
    ended = rig.relay.sessions.build(session.id, TaskContext())
    assert ended == rig.session(session.id)
    assert (ended.state, ended.exit_code) == (SessionState.STOPPED, 0)
    assert rig.relay.sessions.restart(session.id, TaskContext()).state is SessionState.STOPPED


def test_a_cancelled_creation_says_so_and_is_gone_on_with(rig: Rig, project: Project) -> None:
    session = rig.drafted(project)
    rig.engine.gates["create"] = threading.Event()
    rig.relay.build(session)
    wait_until(lambda: counted(rig, "create") == 2 and (Path(session.work_dir) / ".git").exists())
    assert rig.relay.jobs.cancel(session.id)
    rig.idle()
    reason = rig.session(session.id).error_reason
    assert reason is not None
    assert (reason.kind, reason.title) == ("cancelled", "Cancelled")
    rig.engine.gates.clear()
    before = counted(rig, "clone_session")
    assert rig.relay.sessions.retry(session.id, TaskContext()).state is SessionState.RUNNING
    assert counted(rig, "clone_session") == before


def test_a_creation_interrupted_by_quitting_is_gone_on_with_by_the_next_relay(rig: Rig, project: Project) -> None:
    session = rig.drafted(project)
    rig.git.gates["clone_session"] = threading.Event()
    rig.relay.build(session)
    wait_until(lambda: counted(rig, "clone_session") == 2)
    rig.relay.close()
    left = rig.session(session.id)
    assert (left.state, left.error_reason) == (SessionState.STARTING, None)
    next_one = build(rig.root, engine=rig.engine)
    next_one.relay.start()
    wait_until(lambda: next_one.session(session.id).state is SessionState.RUNNING)
    next_one.idle()
    next_one.relay.close()
    assert len(rig.engine.containers) == 2


# --- what can be done with one ---


def test_stop_start_and_restart(rig: Rig, project: Project) -> None:
    (session,) = rig.live(project)
    stopped = rig.relay.sessions.stop(session.id, TaskContext())
    assert (stopped.state, stopped.desired, stopped.exit_code) == (SessionState.STOPPED, DesiredState.STOPPED, 137)
    started = rig.relay.sessions.start(session.id, TaskContext())
    assert (started.state, started.desired, started.exit_code) == (SessionState.RUNNING, DesiredState.RUNNING, None)
    assert started.container_id == session.container_id
    calls = len(rig.engine.calls)
    rig.relay.sessions.restart(session.id, TaskContext())
    assert [call for call in rig.engine.calls[calls:] if call in {"stop", "start"}] == ["stop", "start"]


def test_what_has_lost_its_container_can_be_stopped_and_gets_a_new_one_when_started(rig: Rig, project: Project) -> None:
    (session,) = rig.live(project)
    rig.engine.lose(session)
    assert rig.relay.sessions.stop(session.id, TaskContext()).state is SessionState.STOPPED
    clones = counted(rig, "clone_session")
    started = rig.relay.sessions.start(session.id, TaskContext())
    assert rig.engine.of(started).status == "running"
    assert counted(rig, "clone_session") == clones


def test_retrying_what_runs_is_refused(rig: Rig, project: Project) -> None:
    (session,) = rig.live(project)
    with pytest.raises(ConflictError, match="is running"):
        rig.relay.sessions.retry(session.id, TaskContext())


def test_what_someone_works_on_is_refused_by_name_of_the_worker(rig: Rig, project: Project) -> None:
    (session,) = rig.live(project)
    operations = (rig.relay.sessions.build, rig.relay.sessions.stop, rig.relay.sessions.remove)
    with rig.locks.hold(session.id, "relay session create"):
        for operation in operations:
            with pytest.raises(ConflictError) as caught:
                operation(session.id, TaskContext())
            assert "relay session create" in caught.value.detail
    assert rig.session(session.id) == session  # the row is not wrong


# --- removing ---


def test_removing_takes_the_container_and_moves_the_clone_to_the_trash(rig: Rig, project: Project) -> None:
    session = rig.running(project)
    rig.relay.sessions.remove(session.id, TaskContext())
    assert session.container_id not in rig.engine.containers
    assert not Path(session.work_dir).exists()
    (trashed,) = rig.relay.data_dir.trash.iterdir()
    assert trashed.name.startswith(session.id)
    assert (trashed / ".git").is_dir()
    row = rig.session(session.id)
    assert row.deleted_at is not None
    assert [s.name for s in rig.live()] == ["main"]


def test_a_container_that_never_got_on_record_goes_too(rig: Rig, project: Project) -> None:
    session = rig.running(project)
    rig.put(replace(session, container_id=""))
    rig.relay.sessions.remove(session.id, TaskContext())
    assert session.container_id not in rig.engine.containers


def test_a_removal_that_the_engine_stops_half_way_keeps_the_clone_and_goes_on_later(rig: Rig, project: Project) -> None:
    session = rig.running(project)
    rig.engine.failures["remove"] = EngineError("The container cannot be removed", "device or resource busy")
    with pytest.raises(EngineError):
        rig.relay.sessions.remove(session.id, TaskContext())
    failed = rig.session(session.id)
    assert (failed.state, failed.desired) == (SessionState.ERROR, DesiredState.REMOVED)
    assert failed.error_reason is not None
    assert failed.error_reason.detail == "device or resource busy"
    assert (Path(session.work_dir) / ".git").is_dir()
    rig.engine.failures.clear()
    rig.relay.sessions.retry(session.id, TaskContext())
    assert rig.session(session.id).deleted_at is not None
    assert not Path(session.work_dir).exists()
    assert session.container_id not in rig.engine.containers


def test_a_removal_that_the_disk_stops_is_said_and_goes_on_later(
    rig: Rig, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = rig.running(project)

    def full(path: Path, name: str) -> None:
        raise FileSystemError("The disk is full", f"{path} {name}")

    with monkeypatch.context() as patch:
        patch.setattr(rig.files, "to_trash", full)
        with pytest.raises(FileSystemError):
            rig.relay.sessions.remove(session.id, TaskContext())
    reason = rig.session(session.id).error_reason
    assert reason is not None
    assert reason.kind == "file-system"
    rig.relay.sessions.retry(session.id, TaskContext())
    assert rig.session(session.id).deleted_at is not None


def test_a_removal_is_undone_by_starting_what_is_left(rig: Rig, project: Project) -> None:
    session = rig.running(project)
    rig.engine.go_down()
    with pytest.raises(EngineUnreachableError):
        rig.relay.sessions.remove(session.id, TaskContext())
    rig.engine.come_back()
    started = rig.relay.sessions.start(session.id, TaskContext())
    assert (started.desired, started.state) == (DesiredState.RUNNING, SessionState.RUNNING)


def test_the_last_session_is_refused_also_when_the_others_are_only_on_their_way_out(rig: Rig, project: Project) -> None:
    (first,) = rig.live(project)
    second = rig.running(project)
    rig.engine.failures["remove"] = EngineError("no")
    with pytest.raises(EngineError):
        rig.relay.sessions.remove(second.id, TaskContext())
    rig.engine.failures.clear()
    with pytest.raises(ConflictError, match="last session of alpha") as caught:
        rig.relay.sessions.remove(first.id, TaskContext())
    assert "project" in caught.value.hint
    assert rig.session(first.id) == first
    assert rig.engine.of(first).status == "running"


def test_of_two_removals_at_once_one_session_stays(rig: Rig, project: Project) -> None:
    for _ in range(5):
        rig.running(project)
        pair = rig.live(project)
        both = threading.Barrier(2)
        refusals: list[ConflictError] = []

        def remove(session: Session, both: threading.Barrier = both, refusals: list[ConflictError] = refusals) -> None:
            both.wait(5)
            try:
                rig.relay.sessions.remove(session.id, TaskContext())
            except ConflictError as error:
                refusals.append(error)

        threads = [threading.Thread(target=remove, args=(session,)) for session in pair]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(10)
        assert len(refusals) == 1
        (left,) = rig.live(project)
        assert rig.engine.of(left).status == "running"


def test_removing_what_is_gone_says_so(rig: Rig, project: Project) -> None:
    session = rig.running(project)
    rig.relay.sessions.remove(session.id, TaskContext())
    for operation in (rig.relay.sessions.remove, rig.relay.sessions.retry):
        with pytest.raises(NotFoundError, match="gone"):
            operation(session.id, TaskContext())


def test_a_cancel_before_the_work_began_is_obeyed(rig: Rig, project: Project) -> None:
    session = rig.drafted(project)
    task = TaskContext()
    task.cancel()
    rig.git.gates["clone_session"] = threading.Event()
    rig.engine.gates["create"] = threading.Event()
    with pytest.raises(CancelledError):
        rig.relay.sessions.build(session.id, task)


def test_a_clone_that_its_session_gave_away_is_taken_back_before_it_goes(
    rig: Rig, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only an ordinary user meets this: root may move what is anybody's."""
    given = rig.running(project, name="given")
    really = rig.files.to_trash

    def to_trash(path: Path, name: str) -> None:
        if not rig.engine.deleted:
            raise ForeignFilesError(f"{path} belongs to another user", "Its session gave it to uid 33.")
        really(path, name)

    monkeypatch.setattr(rig.relay.files, "to_trash", to_trash)
    rig.relay.sessions.remove(given.id, TaskContext())
    assert rig.engine.deleted == [f"{given.work_dir} {given.image}"]
    assert rig.session(given.id).deleted_at is not None
    assert not Path(given.work_dir).exists()
