"""A large data directory: a reconcile with nothing to do, a table of all sessions; and many relays at once.

Run `python tests/bench/reconcile.py`, with --quick for a short run. It needs git and an engine.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from measure import (
    TESTS,
    Place,
    Row,
    make_repository,
    place,
    prepare_image,
    print_table,
    quick_wanted,
    relay_command,
    rounds,
    run,
)

from relay_tui.adapters.filesystem.data_files import DataFiles
from relay_tui.adapters.store import TinyDBStore
from relay_tui.bootstrap import container
from relay_tui.cli.output import table
from relay_tui.domain.models import CloneState, DesiredState, Project, Records, Session, SessionState, new_id, now
from relay_tui.paths import DataDir
from relay_tui.ports import ContainerState
from relay_tui.ports.task import TaskContext
from relay_tui.services import naming
from relay_tui.services.reconcile.planner import plan

PER_PROJECT = 50


def fill(data: Path, count: int, *, clones: bool) -> TinyDBStore:
    """Return a store with `count` stopped sessions, fifty a project, and with placeholder clones if `clones` is set."""
    place = DataDir(data)
    place.prepare()
    store = TinyDBStore(place.store)
    with store.transaction() as change:
        for number in range(count):
            if number % PER_PROJECT == 0:
                project = Project(
                    id=new_id(),
                    name=f"project-{number}",
                    source="https://example.org/some/project.git",
                    default_branch="main",
                    clone_state=CloneState.READY,
                    created_at=now(),
                    updated_at=now(),
                )
                change.put(project)
                if clones:
                    place.base(project.id).mkdir(parents=True)
                    (place.base(project.id) / "HEAD").write_text("ref: refs/heads/main\n")
            session = _session(place, project, number)
            change.put(session)
            if clones:
                (Path(session.work_dir) / ".git").mkdir(parents=True)
    return store


def _session(place: DataDir, project: Project, number: int) -> Session:
    session_id = new_id()
    return Session(
        id=session_id,
        project_id=project.id,
        name=f"session-{number}",
        branch=f"feature/number-{number}",
        base_branch="main",
        image="buildpack-deps:bookworm-scm",
        profile="default",
        work_dir=str(place.session(project.id, session_id)),
        desired=DesiredState.STOPPED,
        state=SessionState.STOPPED,
        created_at=now(),
        updated_at=now(),
    )


def reconciling(here: Place, count: int, turns: int) -> None:
    """A reconcile of `count` records, of which none needs anything."""
    data = here.root / f"reconcile-{count}"
    fill(data, count, clones=True)
    os.environ.update(here.environment)
    relay = container.build_relay(data)
    assert relay.reconciler.carry_out_all(TaskContext()) == []
    records, disk = relay.store.read(), DataFiles(DataDir(data)).survey()
    running = Records(
        records.projects,
        {
            s.id: replace(s, desired=DesiredState.RUNNING, state=SessionState.RUNNING, container_id=f"{s.id:>064}")
            for s in records.sessions.values()
        },
    )
    seen = [ContainerState(s.container_id, s.id, s.project_id, "running") for s in running.sessions.values()]
    assert plan(running, disk, seen, set()) == []
    taken = rounds(
        {
            "the plan alone, a running container each": lambda _: plan(running, disk, seen, set()),
            "records, directories and engine, in process": lambda _: relay.reconciler.carry_out_all(TaskContext()),
            "the same, the store read anew": lambda _: container.build_relay(data).reconciler.carry_out_all(
                TaskContext()
            ),
            "relay reconcile": lambda _: run([*relay_command(), "--data-dir", str(data), "reconcile"]),
            "relay --version": lambda _: run([*relay_command(), "--version"]),
        },
        turns,
    )
    print_table(f"Reconcile of {count:,} records with nothing to do, {turns} rounds", _rows(taken))


def listing(here: Place, turns: int) -> None:
    """Measure a table of 1,000 and of 10,000 sessions. The bench store.py measures the store itself."""
    contestants: dict[str, Callable[[str], object]] = {}
    for count in (1_000, 10_000):
        store = fill(here.root / f"store-{count}", count, clones=False)
        contestants[f"table of {count:,} rows"] = _print(store.read())
    print_table(f"Table, {turns} rounds", _rows(rounds(contestants, turns)))


def _print(records: Records) -> Callable[[str], object]:
    def cells(_: str) -> str:
        rows = [(s.id, naming.full_name(records, s), s.state, s.branch, s.image, "") for s in records.sessions.values()]
        return table(("ID", "SESSION", "STATE", "BRANCH", "IMAGE", ""), rows)

    return cells


def _rows(taken: dict[str, list[float]]) -> list[Row]:
    return [Row(name, seconds) for name, seconds in taken.items()]


def crowding(here: Place, relays: int, each: int) -> None:
    """Run many relays on one data directory against the real engine."""
    sys.path.insert(0, str(TESTS))
    import crowd

    source = here.root / "small.git"
    make_repository(source, 40, range(2_000, 8_000))
    done = crowd.together(here.environment, here.data, source, relays, each, timeout=3_000)
    os.environ.update(here.environment)
    relay = container.build_relay(here.data)
    failed = [(step.words, error) for step, error in relay.reconciler.carry_out_all(TaskContext()) if error]
    wrong = crowd.wrong_with(relay, done)
    total = sum(done.operations.values())
    refused = sum(sum(tally.refused.values()) for tally in done.tallies)
    slowest = max(tally.slowest for tally in done.tallies)
    pace = f"{done.seconds:.1f} s ({total / done.seconds:.1f}/s)"
    print(f"\n{relays} relays, {total} operations on one data dir in {pace}")
    print("  " + ", ".join(f"{count} {name}" for name, count in sorted(done.operations.items())))
    print(f"  {refused} refused because another was at it, or it was gone; the slowest took {slowest:.1f} s")
    print(f"  {len(relay.store.read().sessions)} sessions on record; lost, doubled or untrue: {len(wrong)}")
    for words in [*wrong, *map(str, failed)]:
        print(f"    {words}")


def main() -> None:
    """Measure all, print the tables."""
    quick = quick_wanted("A large data dir, and a crowd of relays.")
    prepare_image()
    with place() as here:
        reconciling(here, 1_000, 5 if quick else 21)
        listing(here, 5 if quick else 21)
        crowding(here, 8, 10 if quick else 125)


if __name__ == "__main__":
    main()
