"""Derive what a session's row shows from the state of its container."""

from __future__ import annotations

from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING

from relay_tui.domain.errors import EngineError, Fault, RelayError
from relay_tui.domain.models import DesiredState, Session, SessionState, now
from relay_tui.text.sanitize import clean_block

if TYPE_CHECKING:
    from relay_tui.ports import ContainerState, Runtime


GONE = Fault(
    "engine",
    "The container is gone",
    "Something other than relay removed it.",
    "{Press|Run} {retry} to create a new one.",
)
_RETRY = "then {press|run} {retry} to retry."


@dataclass(frozen=True, slots=True)
class StateUpdate:
    """A change of a session's state, derived from an observation."""

    state: SessionState
    exit_code: int | None = None
    reason: Fault | None = None


class CommandFailedError(EngineError):
    """The session's command failed at once. The session's row has the error already."""

    def __init__(self, reason: Fault) -> None:
        super().__init__(reason.title, reason.detail, reason.hint)


def exit_update(container: ContainerState, log_excerpt: str) -> StateUpdate:
    """Return the update for a session that should be running and is not."""
    if container.status == "paused":
        hint = "{Press|Run} {start} to continue it, or {restart} to restart it."
        return StateUpdate(SessionState.STOPPED, None, Fault("engine", "Paused by another tool", hint=hint))
    if container.lost:
        return StateUpdate(SessionState.ERROR, None, _lost_fault(container, log_excerpt))
    if container.error:
        title = f"The {_format_kind(container)} did not start"
        fault = Fault("engine", title, container.error, f"Fix the profile or the image, {_RETRY}")
        return StateUpdate(SessionState.ERROR, container.exit_code, fault)
    code = container.exit_code if container.exit_code is not None else -1
    title, hint = _explain_exit(container, code)
    state = SessionState.STOPPED if code == 0 else SessionState.ERROR
    return StateUpdate(state, code, Fault("engine", title, log_excerpt, hint))


def _lost_fault(container: ContainerState, log_excerpt: str) -> Fault:
    cause = container.circumstance or "It was killed, or the machine crashed."
    title, action = "Its process is gone", "{Press|Run} {start} to start it again."
    if container.left:
        title = f"{title}, {survivors_notice(container.left)}"
        action = "{Press|Run} {start} to end them and start it again."
    return Fault("engine", title, log_excerpt, f"{cause} {action}")


def survivors_notice(count: int) -> str:
    """Return text about programs that outlived their supervisor."""
    return f"{count} of its programs still {'runs' if count == 1 else 'run'}"


def _explain_exit(container: ContainerState, code: int) -> tuple[str, str]:
    """Return title and hint: the meaning of the exit code or signal, and what to do."""
    name = exit_signal(container)
    if container.oom_killed:
        return "Killed: it ran out of memory", f"Give its profile more memory, {_RETRY}"
    if code == 0:
        hint = "{Press|Run} {restart} to run it again. A session whose profile has no command stays alive."
        return "The command ended (exit code 0)", hint
    if meaning := PROGRAM_SIGNALS.get(name):
        hint = f"{meaning}. The last log lines are shown above. Fix the cause, {_RETRY}"
        return f"The command crashed: {name} (exit code {code})", hint
    if name:
        cause = container.circumstance or "Something other than relay may have stopped it."
        return f"Stopped by {name} (exit code {code})", f"{cause} {{Press|Run}} {{restart}} to restart it."
    hint = f"The last log lines are shown above. Fix the cause, {_RETRY}"
    return f"The command failed (exit code {code})", hint


def _format_kind(container: ContainerState) -> str:
    return "command" if container.container_id.startswith("process-") else "container"


def _gone_fault(session: Session) -> Fault:
    return GONE if session.runtime == "docker" else replace(GONE, title="The process is gone")


def status_update(session: Session, container: ContainerState | None) -> StateUpdate | None:
    """Return the update that the session's row needs, given its container (None: there is none).

    Returns None if the row is correct already, and for a session that another operation is changing: a
    reconciliation plan continues an interrupted one. `reason.detail` has no log excerpt; the caller adds it.
    """
    if session.desired is DesiredState.REMOVED or session.state in {SessionState.STARTING, SessionState.REMOVING}:
        return None
    update = _observed_state(session, container)
    if update is None:
        return None
    # Titles are compared with stored records, also by other versions of relay: keep them stable.
    current = (session.state, session.exit_code, session.error_reason.title if session.error_reason else None)
    observed = (update.state, update.exit_code, update.reason.title if update.reason else None)
    return None if current == observed else update


def _observed_state(session: Session, container: ContainerState | None) -> StateUpdate | None:
    """Return the state that follows from the container; None if nothing can be concluded."""
    is_stopped = session.desired is DesiredState.STOPPED
    if container is None:
        if not session.container_id:
            return None
        if is_stopped:
            return StateUpdate(SessionState.STOPPED)
        return StateUpdate(SessionState.ERROR, session.exit_code, _gone_fault(session))
    if container.status in {"running", "restarting"}:
        return StateUpdate(SessionState.RUNNING)
    if is_stopped:
        return StateUpdate(SessionState.STOPPED, container.exit_code)
    return None if container.status == "created" else exit_update(container, "")


def apply(session: Session, update: StateUpdate) -> Session:
    """Return the session's record with the update applied."""
    return replace(
        session, state=update.state, exit_code=update.exit_code, error_reason=update.reason, updated_at=now()
    )


_EXCERPT_LINES = 20
_EXCERPT_BYTES = 8192


def tail_excerpt(runtime: Runtime, container_id: str) -> str:
    """Return the last lines of the container's last run, safe to show; '' if they cannot be read."""
    try:
        started_at = runtime.inspect(container_id).started_at
        stream = runtime.logs(container_id, follow=False, tail=_EXCERPT_LINES, since=started_at)
        output = b"".join(chunk.data for chunk in stream)
    except RelayError:
        return ""
    if len(output) > _EXCERPT_BYTES:  # start at the first complete line, if there is one
        output = output[-_EXCERPT_BYTES:]
        output = output[output.find(b"\n") + 1 :]
    lines = output.strip(b"\r\n").split(b"\n")
    return clean_block(b"\n".join(lines[-_EXCERPT_LINES:]), lines=_EXCERPT_LINES)


PROGRAM_SIGNALS = MappingProxyType(
    {
        "SIGSEGV": "Invalid memory access (SIGSEGV)",
        "SIGABRT": "The program aborted itself, for example after a failed assertion (SIGABRT)",
        "SIGBUS": "Access to memory that does not exist: a truncated file, or full shared memory (SIGBUS)",
        "SIGFPE": "Arithmetic error, such as division by zero (SIGFPE)",
        "SIGILL": "An instruction that this CPU does not support (SIGILL)",
        "SIGSYS": "A system call that is not allowed here (SIGSYS)",
        "SIGTRAP": "A debugger breakpoint (SIGTRAP)",
        "SIGPIPE": "A write to a pipe or socket that was closed (SIGPIPE)",
        "SIGXCPU": "The limit for CPU time was exceeded (SIGXCPU)",
        "SIGXFSZ": "The limit for the file size was exceeded (SIGXFSZ)",
    }
)
"""Signals that a program causes itself, and their meaning."""


_SIGNAL_NUMBERS = MappingProxyType(
    {2: "SIGINT", 4: "SIGILL", 5: "SIGTRAP", 6: "SIGABRT", 7: "SIGBUS", 8: "SIGFPE", 9: "SIGKILL", 11: "SIGSEGV"}
    | {13: "SIGPIPE", 15: "SIGTERM", 24: "SIGXCPU", 25: "SIGXFSZ", 31: "SIGSYS"}
)
"""Signal numbers of Linux. Shells and containers report a signal as exit code 128 plus its number.

Numbers are left out if programs use the exit code themselves, like git's 129.
"""


def exit_signal(container: ContainerState) -> str:
    """Return the signal that ended the container or its command; '' if none did."""
    if container.signal or container.exit_code is None:
        return container.signal
    return _SIGNAL_NUMBERS.get(container.exit_code - 128, "")
