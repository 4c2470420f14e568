"""Operations that are interrupted by a crash, with their preconditions and the conditions that must hold afterwards."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from crash_bench import Bench
from git_servers import run_git

from relay_tui.domain.errors import CancelledError
from relay_tui.domain.models import CloneState, DesiredState, Records, SessionState, now
from relay_tui.ports.task import TaskContext
from relay_tui.services.projects import NewProject
from relay_tui.services.sessions.observation import GONE


def _lay_ground(relay: Bench) -> None:
    """A project `alpha` with sessions that run (`main`, `side`), stopped (`idle`) and failed (`broken`)."""
    relay.add("repository", "alpha")
    relay.create("alpha", "side", "side")
    idle = relay.create("alpha", "idle", "main")
    relay.sessions.stop(idle.id, TaskContext())
    relay.create("alpha", "gone", "main")
    relay.create("alpha", "broken", "side")
    relay.engine.put(relay.session("broken").container_id, status="exited", exit_code=1)
    _take(relay, "note")
    assert relay.session("broken").state is SessionState.ERROR
    _mark(relay)
    relay.sessions.remove(relay.session("gone").id, TaskContext())


def _mark(relay: Bench) -> None:
    """Leave work in every clone that nothing else has."""
    for session in relay.records.live_sessions():
        (Path(session.work_dir) / "work").write_text(session.id)


def _take(relay: Bench, act: str) -> None:
    for step in relay.reconciler.plan():
        assert step.act == act, step
        relay.reconciler.carry_out(step, TaskContext())


def _lay_little(relay: Bench) -> None:
    """A project `alpha` with a session that runs (`main`), one that is stopped (`idle`) and one removed (`gone`)."""
    relay.add("repository", "alpha")
    relay.sessions.stop(relay.create("alpha", "idle", "main").id, TaskContext())
    relay.create("alpha", "gone", "side")
    _mark(relay)
    relay.sessions.remove(relay.session("gone").id, TaskContext())


def _without_alpha(relay: Bench) -> None:
    _lay_little(relay)
    while now() == relay.session("gone").deleted_at:
        pass  # what was removed with the project is known by the time
    relay.projects.remove(relay.project("alpha").id, TaskContext())


def _in_need(relay: Bench) -> None:
    """Something of everything for a reconcile to do."""
    _lay_ground(relay)
    relay.add("repository", "beta")
    relay.create("beta", "other", "side")
    _mark(relay)
    beta = relay.project("beta")
    relay.projects.remove(beta.id, TaskContext())
    with relay.store.transaction() as change:
        records = change.records
        change.put(replace(records.projects[beta.id], desired=DesiredState.RUNNING, deleted_at=None))
        for session in list(records.sessions.values()):
            if session.project_id == beta.id:
                changed = replace(session, desired=DesiredState.RUNNING, state=SessionState.STARTING, deleted_at=None)
                change.put(changed)
        side, idle = relay.session("side"), relay.session("idle")
        change.put(replace(side, desired=DesiredState.REMOVED, state=SessionState.REMOVING))
        cut = replace(relay.project("alpha"), id="0cut", name="cut", clone_state=CloneState.CLONING)
        change.put(cut)
    (relay.place.project("0cut") / "base.git.partial-1").mkdir(parents=True)
    relay.engine.put(idle.container_id, status="running")
    extra = relay.engine.rows()[idle.container_id] | {"status": "created"}
    relay.engine.put("e" * 64, **extra)
    relay.engine.remove(relay.session("main").container_id)


def _with_commits(relay: Bench) -> None:
    """As little as may be, with a commit in `idle` that nothing else has."""
    _lay_little(relay)
    tree = Path(relay.session("idle").work_dir)
    run_git("switch", "--quiet", "--create", "topic", cwd=tree)
    run_git("add", "work", cwd=tree)
    run_git("commit", "--quiet", "-m", "Work", cwd=tree)


def _push(relay: Bench) -> None:
    session_id = relay.session("idle").id
    relay.outward.push(session_id, relay.outward.plan_push(session_id, TaskContext()), TaskContext())


def _export(relay: Bench) -> None:
    relay.outward.export(relay.session("idle"), relay.root.parent / "world/out", TaskContext())


def _bring_out(relay: Bench) -> None:
    _push(relay)
    _export(relay)


def _pushed_at_last(relay: Bench) -> bool:
    """Return whether the work can be pushed after the crash and the objects of the base clone are intact."""
    _push(relay)
    base, tree = relay.place.base(relay.project("alpha").id), Path(relay.session("idle").work_dir)
    run_git("fsck", "--strict", cwd=base)
    return run_git("rev-parse", "topic", cwd=base) == run_git("rev-parse", "topic", cwd=tree)


def _exported_at_last(relay: Bench) -> bool:
    """Return whether the export is complete or absent, without any partial files."""
    out = relay.root.parent / "world/out"
    if not out.exists():
        _export(relay)
    run_git("fsck", "--strict", cwd=out)
    names = {path.name for path in out.parent.iterdir()}
    return run_git("status", "--porcelain", cwd=out) == "" and names == {"data", "engine.json", "out"}


Do = Callable[[Bench], object]


@dataclass(frozen=True)
class Operation:
    """User operation with its preparation and its expected result. `done` is true once the result is on record."""

    prepare: Do
    do: Do
    done: Callable[[Bench], bool]
    purges: frozenset[str] = frozenset()
    """Names of sessions whose work it may delete."""
    always: bool = False
    """Whether that is so in any case: it has no record of its own, or is to end where it began."""


def _cancel(relay: Bench) -> None:
    """Add a project, and think better of it."""
    project = relay.projects.register(NewProject(source=str(relay.root.parent / "repository"), name="beta"))
    task = TaskContext(lambda *_: task.cancel())
    with suppress(CancelledError):
        relay.projects.clone(project.id, task)


def _is(name: str, desired: DesiredState, status: str) -> Callable[[Bench], bool]:
    def look(relay: Bench) -> bool:
        session = relay.session(name)
        row = relay.engine.rows().get(session.container_id, {"status": ""})
        state = SessionState.RUNNING if desired is DesiredState.RUNNING else SessionState.STOPPED
        return (session.deleted_at, session.desired, session.state, row["status"]) == (None, desired, state, status)

    return look


def _running(*names: str) -> Callable[[Bench], bool]:
    return lambda relay: (
        set(names) <= {s.name for s in relay.records.live_sessions()}
        and all(_is(name, DesiredState.RUNNING, "running")(relay) for name in names)
    )


def _removed(*names: str) -> Callable[[Bench], bool]:
    return lambda relay: all(
        (s := relay.session(name)).deleted_at is not None and s.id in relay.files.survey().trash for name in names
    )


def _retried(relay: Bench) -> bool:
    session = relay.session("broken")
    row = relay.engine.rows().get(session.container_id, {})
    return _running("broken")(relay) and session.image == row["image"] == "other"


def _purged(relay: Bench) -> bool:
    entries = relay.files.trash_entries()
    return not entries and all(s.name != "gone" for s in relay.records.sessions.values())


OPERATIONS: dict[str, Operation] = {
    "project add": Operation(
        _lay_little,
        lambda relay: relay.add("repository", "beta"),
        lambda relay: relay.has("beta") is True,
    ),
    "project add, cancelled": Operation(
        _lay_little, _cancel, lambda relay: relay.has("beta") in {True, None}, always=True
    ),
    "session create": Operation(_lay_little, lambda relay: relay.create("alpha", "new", "side"), _running("new")),
    "session stop": Operation(
        _lay_ground,
        lambda relay: relay.sessions.stop(relay.session("side").id, TaskContext()),
        _is("side", DesiredState.STOPPED, "exited"),
    ),
    "session start": Operation(
        _lay_ground, lambda relay: relay.sessions.start(relay.session("idle").id, TaskContext()), _running("idle")
    ),
    "session restart": Operation(
        _lay_ground,
        lambda relay: relay.sessions.restart(relay.session("side").id, TaskContext()),
        _running("side"),
        always=True,
    ),
    "session retry": Operation(
        _lay_ground,
        lambda relay: relay.sessions.retry(relay.session("broken").id, TaskContext(), image="other"),
        _retried,
    ),
    "session remove": Operation(
        _lay_little, lambda relay: relay.sessions.remove(relay.session("idle").id, TaskContext()), _removed("idle")
    ),
    "session restore": Operation(
        _lay_little,
        lambda relay: relay.restore([relay.sessions.restore(relay.session("gone").id)]),
        _running("gone"),
    ),
    "session push, export": Operation(
        _with_commits,
        _bring_out,
        lambda relay: _pushed_at_last(relay) and _exported_at_last(relay),
        always=True,
    ),
    "purge": Operation(
        _lay_little,
        lambda relay: relay.trash.purge(0, TaskContext()),
        _purged,
        purges=frozenset({"gone"}),
        always=True,
    ),
    "project remove": Operation(
        _lay_little,
        lambda relay: relay.projects.remove(relay.project("alpha").id, TaskContext()),
        lambda relay: relay.project("alpha").deleted_at is not None and _removed("main", "idle", "gone")(relay),
    ),
    "project restore": Operation(
        _without_alpha,
        lambda relay: relay.restore(relay.projects.restore(relay.project("alpha").id)),
        lambda relay: _running("main", "idle")(relay) and _removed("gone")(relay),
    ),
    "reconcile": Operation(
        _in_need,
        lambda relay: relay.reconciler.carry_out_all(TaskContext()),
        lambda relay: (
            _removed("side")(relay)
            and _is("idle", DesiredState.STOPPED, "exited")(relay)
            and _running("other")(relay)
            and relay.session("main").error_reason == GONE
        ),
        always=True,
    ),
}

_KEPT_BY_PROCESSES = ("session create", "session stop", "session start", "session restart", "session remove")
OF_PROCESSES: dict[str, Operation] = {
    **{name: OPERATIONS[name] for name in (*_KEPT_BY_PROCESSES, "session restore", "project remove")},
    "session retry": replace(
        OPERATIONS["session retry"],
        do=lambda relay: relay.sessions.retry(relay.session("broken").id, TaskContext()),
        done=_running("broken"),
    ),
}
"""Those that have to do with what a session runs on, for sessions that are processes."""


# --- the invariants --------------------------------------------------------------------------------------------------


def broken_promises(relay: Bench, works: Mapping[str, str], purges: frozenset[str]) -> Iterator[str]:
    """Yield the invariants of relay's design that do not hold.

    `works` are the ids, by name, of the sessions whose work must exist.
    """
    records, disk, rows = relay.records, relay.files.survey(), relay.engine.rows()
    yield from _of_projects(relay, records)
    for session in records.live_sessions():
        own = [key for key, row in rows.items() if row["session"] == session.id]
        if (
            session.desired is DesiredState.RUNNING
            and session.state is SessionState.RUNNING
            and own != [session.container_id]
        ):
            yield f"{session.name} runs, its containers are {own}"
        if len(own) > 1:
            yield f"{session.name} has {len(own)} containers"
        if session.state in {SessionState.STARTING, SessionState.REMOVING}:
            yield f"{session.name} is still {session.state}"
        if session.id not in disk.clones:
            yield f"{session.name} has no clone"
    live = {session.id for session in records.live_sessions()}
    yield from (f"container {key[-6:]} is nobody's" for key, row in rows.items() if row["session"] not in live)
    yield from (f"{path} is a cut clone" for path in disk.partials)
    yield from (f"clone {key} is not on record" for key in disk.clones if key not in live)
    if left := list(relay.place.tmp.iterdir()):
        yield f"left in tmp: {left}"
    for name, session_id in works.items():
        if name not in purges and work_of(relay, session_id) != [session_id]:
            yield f"the work in {name} is lost: {work_of(relay, session_id)}"


def _of_projects(relay: Bench, records: Records) -> Iterator[str]:
    for project in records.live_projects():
        if project.desired is DesiredState.REMOVED:
            yield f"{project.name} is still being removed"
        if project.clone_state is not CloneState.READY:
            yield f"{project.name} is {project.clone_state}: {project.clone_error}"
        elif not records.live_sessions(project.id):
            yield f"{project.name} has no session"
        if not relay.files.has_clone(relay.place.base(project.id)):
            yield f"{project.name} has no base clone"
    known = {project.id for project in records.live_projects()}
    for path in (relay.place.root / "projects").iterdir():
        if path.name not in known:
            yield f"{path} is no project's"


def work_of(relay: Bench, session_id: str) -> list[str]:
    """Return the parts of a session's work that exist, in its clone or restorable."""
    session = relay.records.sessions.get(session_id)
    if session is None:
        return []
    places = [Path(session.work_dir)]
    places += [entry.path for entry in relay.files.trash_entries() if entry.name == session_id]
    return [(place / "work").read_text() for place in places if (place / "work").exists()]
