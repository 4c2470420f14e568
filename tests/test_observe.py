"""From a container to a row: every case of what the engine shows and what the session is to be."""

from __future__ import annotations

import pytest

from relay_tui.domain.errors import Fault
from relay_tui.domain.models import DesiredState, Session, SessionState
from relay_tui.ports import ContainerState
from relay_tui.services.sessions.observation import GONE, apply, exit_update, status_update

RUN, STOP, REMOVE = DesiredState.RUNNING, DesiredState.STOPPED, DesiredState.REMOVED
STARTING, RUNNING, STOPPED = SessionState.STARTING, SessionState.RUNNING, SessionState.STOPPED
ERROR, REMOVING = SessionState.ERROR, SessionState.REMOVING
OLD = Fault("engine", "Something else", "as it was")


def session(
    desired: DesiredState, state: SessionState, *, container: str = "c1", reason: Fault | None = None
) -> Session:
    return Session(
        id="s1",
        project_id="p1",
        name="main",
        branch="main",
        base_branch="main",
        image="image",
        profile="default",
        work_dir="/work",
        container_id=container,
        desired=desired,
        state=state,
        error_reason=reason,
    )


def seen(status: str, code: int | None = None, *, oom: bool = False, error: str = "") -> ContainerState:
    return ContainerState("c1", "s1", "p1", status, code, oom, error)


# desired, state on record, what the engine shows -> expected state of the row; None: unchanged
CASES: list[tuple[Session, ContainerState | None, tuple[SessionState, int | None, str] | None]] = [
    (session(RUN, RUNNING), seen("running"), None),
    (session(RUN, STOPPED), seen("running"), (RUNNING, None, "")),
    (session(RUN, ERROR, reason=OLD), seen("running"), (RUNNING, None, "")),
    (session(STOP, STOPPED), seen("running"), (RUNNING, None, "")),  # another tool started it
    (session(RUN, RUNNING), seen("restarting"), None),
    (session(RUN, RUNNING), seen("exited", 0), (STOPPED, 0, "The command ended (exit code 0)")),
    (session(RUN, RUNNING), seen("exited", 7), (ERROR, 7, "The command failed (exit code 7)")),
    (session(RUN, RUNNING), seen("exited", 137), (ERROR, 137, "Stopped by SIGKILL (exit code 137)")),
    (session(RUN, RUNNING), seen("exited", 143), (ERROR, 143, "Stopped by SIGTERM (exit code 143)")),
    (session(RUN, RUNNING), seen("exited", 139), (ERROR, 139, "The command crashed: SIGSEGV (exit code 139)")),
    (session(RUN, RUNNING), seen("exited", 129), (ERROR, 129, "The command failed (exit code 129)")),  # as git has it
    (session(RUN, RUNNING), seen("exited", 137, oom=True), (ERROR, 137, "Killed: it ran out of memory")),
    (session(RUN, RUNNING), seen("exited", 127, error="no sh"), (ERROR, 127, "The container did not start")),
    (session(RUN, RUNNING), seen("dead"), (ERROR, -1, "The command failed (exit code -1)")),
    (session(RUN, RUNNING), seen("paused"), (STOPPED, None, "Paused by another tool")),
    (session(STOP, RUNNING), seen("exited", 137), (STOPPED, 137, "")),
    (session(STOP, STOPPED), seen("exited", 137), (STOPPED, 137, "")),
    (session(STOP, STOPPED), seen("created"), None),
    (session(RUN, ERROR, reason=OLD), seen("created"), None),  # its start failed, and the row shows the error
    (session(RUN, RUNNING), None, (ERROR, None, GONE.title)),
    (session(RUN, ERROR, reason=GONE), None, None),
    (session(STOP, RUNNING), None, (STOPPED, None, "")),
    (session(STOP, STOPPED), None, None),
    (session(RUN, ERROR, container="", reason=OLD), None, None),  # it never got one, and the row shows the reason
    (session(REMOVE, ERROR, reason=OLD), seen("running"), None),  # its removal failed, and the row shows the reason
    (session(REMOVE, ERROR, reason=OLD), None, None),
]


@pytest.mark.parametrize(("row", "container", "says"), CASES)
def test_what_the_row_is_to_say(
    row: Session, container: ContainerState | None, says: tuple[SessionState, int | None, str] | None
) -> None:
    update = status_update(row, container)
    told = update and (update.state, update.exit_code, update.reason.title if update.reason else "")
    assert told == says
    if update is not None:
        assert status_update(apply(row, update), container) is None  # applying the update a second time changes nothing


def test_every_end_that_is_a_failure_says_what_to_do() -> None:
    for container in (seen("exited", 1), seen("exited", 137, oom=True), seen("exited", 126, error="x"), seen("paused")):
        reason = exit_update(container, "last words").reason
        assert reason is not None
        assert reason.hint


def test_the_engines_own_words_come_before_the_last_lines() -> None:
    reason = exit_update(seen("exited", 127, error="exec: not found"), "last words").reason
    assert reason is not None
    assert reason.detail == "exec: not found"
    reason = exit_update(seen("exited", 1), "last words").reason
    assert reason is not None
    assert reason.detail == "last words"


@pytest.mark.parametrize(
    ("code", "signal", "circumstance", "title", "hint"),
    [
        (139, "SIGSEGV", "", "The command crashed: SIGSEGV", "Invalid memory access"),
        (134, "SIGABRT", "", "The command crashed: SIGABRT", "aborted itself"),
        (135, "SIGBUS", "", "The command crashed: SIGBUS", "memory that does not exist"),
        (136, "SIGFPE", "", "The command crashed: SIGFPE", "division by zero"),
        (132, "SIGILL", "", "The command crashed: SIGILL", "instruction"),
        (139, "", "", "The command crashed: SIGSEGV", "Invalid memory access"),  # its shell or engine reports it
        (137, "SIGKILL", "", "Stopped by SIGKILL", "Something other than relay may have stopped it"),
        (
            137,
            "SIGKILL",
            "The kernel was short of it.",
            "Stopped by SIGKILL",
            "The kernel was short of it. {Press|Run} {restart}",
        ),
        (129, "SIGHUP", "", "Stopped by SIGHUP", "Something other than relay may have stopped it"),
        (143, "SIGTERM", "", "Stopped by SIGTERM", "Something other than relay may have stopped it"),
    ],
)
def test_a_signal_is_its_own_doing_or_came_from_outside(
    code: int, signal: str, circumstance: str, title: str, hint: str
) -> None:
    reason = exit_update(
        ContainerState("c1", "s1", "p1", "exited", code, signal=signal, circumstance=circumstance), ""
    ).reason
    assert reason is not None
    assert reason.title == f"{title} (exit code {code})"
    assert hint in reason.hint
    assert ("other than relay" in reason.hint) is ("other than relay" in hint)
