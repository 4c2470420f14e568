"""From what the engine shows to what a session's row says."""

from __future__ import annotations

from dataclasses import dataclass, replace

from relay_tui.errors import EngineError, Fault
from relay_tui.model import Desired, Session, SessionState, now
from relay_tui.services.ports import Observed

GONE = Fault("engine", "The container is gone", "Something other than relay removed it.", "R makes a new one.")


@dataclass(frozen=True, slots=True)
class Update:
    """What an observation says of a session."""

    state: SessionState
    exit_code: int | None = None
    reason: Fault | None = None


class CommandFailedError(EngineError):
    """The session's command ended at once. Its row says so already."""

    def __init__(self, reason: Fault) -> None:
        super().__init__(reason.title, reason.detail, reason.hint)


def ended(seen: Observed, last_words: str) -> Update:
    """What is to be said when a session that should run does not."""
    if seen.status == "paused":
        fault = Fault("engine", "Paused by another tool", hint="S lets it go on; r restarts it.")
        return Update(SessionState.STOPPED, None, fault)
    if seen.lost:
        hint = "It was killed, or the machine went down. r starts it again."
        return Update(SessionState.ERROR, None, Fault("engine", "Its process is gone", last_words, hint))
    if seen.error:
        hint = "Mend the profile or the image, then R."
        return Update(
            SessionState.ERROR, seen.exit_code, Fault("engine", f"The {_noun(seen)} did not start", seen.error, hint)
        )
    code = seen.exit_code if seen.exit_code is not None else -1
    if seen.oom_killed:
        title, hint = "Killed: it ran out of memory", "Give its profile more memory, then R."
    elif code == 0:
        title, hint = "The command ended (exit code 0)", "r runs it again. A profile without a command stays alive."
    elif seen.signal or code in {137, 143}:
        title, hint = (
            f"Stopped by {seen.signal or 'a signal'} (exit code {code})",
            "Something other than relay may have stopped it. r restarts it.",
        )
    else:
        title, hint = f"The command failed (exit code {code})", "Its last lines are above. Mend it, then R."
    return Update(
        SessionState.STOPPED if code == 0 else SessionState.ERROR, code, Fault("engine", title, last_words, hint)
    )


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
