"""From what the engine shows to what a session's row says."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from relay_tui.errors import EngineError, Fault
from relay_tui.model import Desired, Session, SessionState, now
from relay_tui.services.signals import OWN, signal_of

if TYPE_CHECKING:
    from relay_tui.services.ports import Observed

GONE = Fault("engine", "The container is gone", "Something other than relay removed it.", "{retry} makes a new one.")


@dataclass(frozen=True, slots=True)
class Update:
    """What an observation says of a session."""

    state: SessionState
    exit_code: int | None = None
    reason: Fault | None = None


class CommandFailedError(EngineError):
    """The session's command failed at once. Its row says so already."""

    def __init__(self, reason: Fault) -> None:
        super().__init__(reason.title, reason.detail, reason.hint)


def ended(seen: Observed, last_words: str) -> Update:
    """What is to be said when a session that should run does not."""
    if seen.status == "paused":
        fault = Fault("engine", "Paused by another tool", hint="{start} lets it go on; {restart} restarts it.")
        return Update(SessionState.STOPPED, None, fault)
    if seen.lost:
        why = seen.circumstance or "It was killed, or the machine went down."
        title, then = "Its process is gone", "{start} starts it again."
        if seen.left:
            title, then = f"{title}, {left_words(seen.left)}", "{start} ends them and starts it again."
        fault = Fault("engine", title, last_words, f"{why} {then}")
        return Update(SessionState.ERROR, None, fault)
    if seen.error:
        fault = Fault(
            "engine", f"The {_noun(seen)} did not start", seen.error, "Mend the profile or the image. " + _RETRY
        )
        return Update(SessionState.ERROR, seen.exit_code, fault)
    code = seen.exit_code if seen.exit_code is not None else -1
    title, hint = _said(seen, code)
    state = SessionState.STOPPED if code == 0 else SessionState.ERROR
    return Update(state, code, Fault("engine", title, last_words, hint))


def left_words(count: int) -> str:
    """Of programs that outlived what kept them."""
    return f"{count} of its programs still {'runs' if count == 1 else 'run'}"


_RETRY = "Then {retry} tries again."


def _said(seen: Observed, code: int) -> tuple[str, str]:
    """Title and hint: what the exit code or the signal means, and what to do."""
    name = signal_of(seen)
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


def _noun(seen: Observed) -> str:
    return "command" if seen.container_id.startswith("process-") else "container"


def _gone(session: Session) -> Fault:
    return GONE if session.runtime == "docker" else replace(GONE, title="The process is gone")


def judge(session: Session, seen: Observed | None) -> Update | None:
    """What the row should say, given the container (None: there is none); None if it says so already.

    `reason.detail` is left without the container's last words: whoever has them adds them.
    """
    if session.desired is Desired.REMOVED or session.state in {SessionState.STARTING, SessionState.REMOVING}:
        return None  # under way; or cut, which is for a plan to finish
    if seen is None and session.container_id:
        stopped = session.desired is Desired.STOPPED
        update = (
            Update(SessionState.STOPPED) if stopped else Update(SessionState.ERROR, session.exit_code, _gone(session))
        )
    elif seen is None:
        return None
    elif seen.status in {"running", "restarting"}:
        update = Update(SessionState.RUNNING)
    elif session.desired is Desired.STOPPED:
        update = Update(SessionState.STOPPED, seen.exit_code)
    elif seen.status == "created":
        return None
    else:
        update = ended(seen, "")
    said = (session.state, session.exit_code, session.error_reason.title if session.error_reason else None)
    says = (update.state, update.exit_code, update.reason.title if update.reason else None)
    return None if said == says else update


def apply(session: Session, update: Update) -> Session:
    """The session's record with the update in it."""
    return replace(
        session, state=update.state, exit_code=update.exit_code, error_reason=update.reason, updated_at=now()
    )
