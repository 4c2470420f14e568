"""From what the engine shows to what a session's row says."""

from __future__ import annotations

from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING

from relay_tui.domain.errors import EngineError, Fault, RelayError
from relay_tui.domain.models import DesiredState, Session, SessionState, now
from relay_tui.text.sanitize import clean_block

if TYPE_CHECKING:
    from relay_tui.ports import ContainerState, Runtime


GONE = Fault("engine", "The container is gone", "Something other than relay removed it.", "{retry} makes a new one.")


@dataclass(frozen=True, slots=True)
class StateUpdate:
    """What an observation says of a session."""

    state: SessionState
    exit_code: int | None = None
    reason: Fault | None = None


class CommandFailedError(EngineError):
    """The session's command failed at once. Its row says so already."""

    def __init__(self, reason: Fault) -> None:
        super().__init__(reason.title, reason.detail, reason.hint)


def exit_update(seen: ContainerState, last_words: str) -> StateUpdate:
    """What is to be said when a session that should run does not."""
    if seen.status == "paused":
        fault = Fault("engine", "Paused by another tool", hint="{start} lets it go on; {restart} restarts it.")
        return StateUpdate(SessionState.STOPPED, None, fault)
    if seen.lost:
        why = seen.circumstance or "It was killed, or the machine went down."
        title, then = "Its process is gone", "{start} starts it again."
        if seen.left:
            title, then = f"{title}, {survivors_notice(seen.left)}", "{start} ends them and starts it again."
        fault = Fault("engine", title, last_words, f"{why} {then}")
        return StateUpdate(SessionState.ERROR, None, fault)
    if seen.error:
        fault = Fault(
            "engine", f"The {_noun(seen)} did not start", seen.error, "Mend the profile or the image. " + _RETRY
        )
        return StateUpdate(SessionState.ERROR, seen.exit_code, fault)
    code = seen.exit_code if seen.exit_code is not None else -1
    title, hint = _said(seen, code)
    state = SessionState.STOPPED if code == 0 else SessionState.ERROR
    return StateUpdate(state, code, Fault("engine", title, last_words, hint))


def survivors_notice(count: int) -> str:
    """Of programs that outlived what kept them."""
    return f"{count} of its programs still {'runs' if count == 1 else 'run'}"


_RETRY = "Then {retry} tries again."


def _said(seen: ContainerState, code: int) -> tuple[str, str]:
    """Title and hint: what the exit code or the signal means, and what to do."""
    name = exit_signal(seen)
    if seen.oom_killed:
        return "Killed: it ran out of memory", "Give its profile more memory. " + _RETRY
    if code == 0:
        return "The command ended (exit code 0)", "{restart} runs it again. A profile without a command stays alive."
    if meaning := OWN.get(name):
        return f"The command crashed: {name} (exit code {code})", f"{meaning}. Its last lines are above. {_RETRY}"
    if name:
        why = seen.circumstance or "Something other than relay may have stopped it."
        return f"Stopped by {name} (exit code {code})", f"{why} {{restart}} restarts it."
    return f"The command failed (exit code {code})", f"Its last lines are above. Mend it. {_RETRY}"


def _noun(seen: ContainerState) -> str:
    return "command" if seen.container_id.startswith("process-") else "container"


def _gone(session: Session) -> Fault:
    return GONE if session.runtime == "docker" else replace(GONE, title="The process is gone")


def status_update(session: Session, seen: ContainerState | None) -> StateUpdate | None:
    """What the row should say, given the container (None: there is none); None if it says so already.

    `reason.detail` is left without the container's last words: whoever has them adds them.
    """
    if session.desired is DesiredState.REMOVED or session.state in {SessionState.STARTING, SessionState.REMOVING}:
        return None  # under way; or cut, which is for a plan to finish
    if seen is None and session.container_id:
        stopped = session.desired is DesiredState.STOPPED
        update = (
            StateUpdate(SessionState.STOPPED)
            if stopped
            else StateUpdate(SessionState.ERROR, session.exit_code, _gone(session))
        )
    elif seen is None:
        return None
    elif seen.status in {"running", "restarting"}:
        update = StateUpdate(SessionState.RUNNING)
    elif session.desired is DesiredState.STOPPED:
        update = StateUpdate(SessionState.STOPPED, seen.exit_code)
    elif seen.status == "created":
        return None
    else:
        update = exit_update(seen, "")
    said = (session.state, session.exit_code, session.error_reason.title if session.error_reason else None)
    says = (update.state, update.exit_code, update.reason.title if update.reason else None)
    return None if said == says else update


def apply(session: Session, update: StateUpdate) -> Session:
    """The session's record with the update in it."""
    return replace(
        session, state=update.state, exit_code=update.exit_code, error_reason=update.reason, updated_at=now()
    )


_LINES = 20


_BYTES = 8192


def tail_excerpt(runtime: Runtime, container_id: str) -> str:
    """The last lines of its last run, safe to show, as they stood on a screen; '' if there are none to be had."""
    try:
        began = runtime.inspect(container_id).started_at
        stream = runtime.logs(container_id, follow=False, tail=_LINES, since=began)
        said = b"".join(chunk.data for chunk in stream)
    except RelayError:
        return ""
    if len(said) > _BYTES:  # from the first line that is whole, if any is
        said = said[-_BYTES:]
        said = said[said.find(b"\n") + 1 :]
    lines = said.strip(b"\r\n").split(b"\n")
    return clean_block(b"\n".join(lines[-_LINES:]), lines=_LINES)


OWN = MappingProxyType(
    {
        "SIGSEGV": "It touched memory that is not its own",
        "SIGABRT": "It gave up by itself: a failed assertion, or abort()",
        "SIGBUS": "It touched memory that is not there: a file that shrank, or no room left for shared memory",
        "SIGFPE": "It calculated what cannot be, like a division by zero",
        "SIGILL": "It came upon an instruction that this CPU does not have",
        "SIGSYS": "It made a system call that is not allowed here",
        "SIGTRAP": "It came upon a debugger's trap",
        "SIGPIPE": "It wrote where nobody reads any more",
        "SIGXCPU": "It used more CPU time than its limit allows",
        "SIGXFSZ": "It wrote a file larger than its limit allows",
    }
)
"""Signals that a program brings upon itself, and what each means."""


_NUMBERS = MappingProxyType(
    {2: "SIGINT", 4: "SIGILL", 5: "SIGTRAP", 6: "SIGABRT", 7: "SIGBUS", 8: "SIGFPE", 9: "SIGKILL", 11: "SIGSEGV"}
    | {13: "SIGPIPE", 15: "SIGTERM", 24: "SIGXCPU", 25: "SIGXFSZ", 31: "SIGSYS"}
)
"""As Linux counts them: an exit code of 128 and one of these is how shells and containers tell of it.

Those are left out whose exit code programs give themselves, like git its 129.
"""


def exit_signal(seen: ContainerState) -> str:
    """The signal that ended it, or that ended what it ran; '' if none did."""
    if seen.signal or seen.exit_code is None:
        return seen.signal
    return _NUMBERS.get(seen.exit_code - 128, "")
