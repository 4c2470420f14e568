"""A store file that is damaged or from tomorrow, a clock that jumps, and secrets that must be nowhere."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from conftest import Open
from faults import no_bug_logged
from git_servers import http_server, make_repository
from installed_relay import InstalledRelay

from relay_tui.bootstrap import container
from relay_tui.domain.models import new_id
from relay_tui.ports.task import TaskContext
from relay_tui.services.projects import NewProject
from relay_tui.services.relay import Relay
from relay_tui.services.sessions.drafts import NewSession
from relay_tui.ui.presentation import formatting

SECRET = "s3cret-w0rd"


@pytest.fixture
def relay(tmp_path: Path) -> InstalledRelay:
    """relay with two projects, whose sessions no engine could run."""
    relay = InstalledRelay(tmp_path / "relay", {"DOCKER_HOST": "unix:///nonexistent"})
    relay.root.mkdir()
    relay.config.write_text('runtime = "docker"\n')
    for name in ("one", "two"):
        assert relay.run("project", "add", make_repository(tmp_path / name)).code == 5
    return relay


def _names(relay: InstalledRelay) -> list[object]:
    return [row["name"] for row in relay.run("project", "list", "--json").rows]


def _store(relay: InstalledRelay) -> Path:
    return relay.data / "store.json"


def _from_tomorrow(relay: InstalledRelay) -> bytes:
    store = json.loads(_store(relay).read_bytes())
    store["_meta"]["store"]["schema"] += 1
    return json.dumps(store).encode()


# --- the store -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("damage", "why"),
    [
        (lambda whole: whole[: len(whole) // 2], "not whole JSON"),
        (lambda _: b"", "empty"),
        (lambda whole: os.urandom(len(whole)), "not whole JSON"),
        (lambda _: b"[]", "not a JSON object"),
    ],
    ids=["truncated", "emptied", "garbage", "another-file"],
)
def test_damaged_store_is_set_aside_and_said(relay: InstalledRelay, damage: Callable[[bytes], bytes], why: str) -> None:
    damaged = damage(_store(relay).read_bytes())
    _store(relay).write_bytes(damaged)
    done = relay.run("project", "list", "--json")
    assert [row["name"] for row in done.rows] == ["one", "two"]
    assert why in done.err
    assert "was damaged" in done.err
    assert "corrupt-" in done.err
    [aside] = relay.data.glob("store.json.corrupt-*")
    assert aside.read_bytes() == damaged
    assert (done.code, relay.run("project", "list").err) == (0, "")
    assert "was damaged" in (relay.root / "state/relay/relay.log").read_text()


def test_store_damaged_under_the_screen(relay: InstalledRelay, open_screen: Open) -> None:
    screen = open_screen(DOCKER_HOST="unix:///nonexistent")
    screen.wait_for("2 projects")
    screen.wait_for("engine down")
    _store(relay).write_bytes(b'{"projects": ')
    screen.wait_for(r"damaged: it\s", timeout=3)
    assert screen.shows("2 projects")
    assert screen.leave() == 0  # what the copy did not know of is being seen to
    no_bug_logged(relay)


def test_store_of_a_newer_relay_is_left_alone(relay: InstalledRelay, open_screen: Open, tmp_path: Path) -> None:
    newer = _from_tomorrow(relay)
    _store(relay).write_bytes(newer)
    before = sorted(path.name for path in relay.data.iterdir())
    for arguments in (("project", "list"), ("session", "create", "one"), ("reconcile",), ("purge",)):
        error = relay.fails(1, *arguments)
        assert (error["kind"], error["title"]) == ("store", "The store was written by a newer relay")
        assert "schema 2" in error["detail"]
        assert error["hint"]
    assert relay.fails(1, "project", "add", make_repository(tmp_path / "three"))["kind"] == "store"
    screen = open_screen()
    screen.wait_for("The store was written by a newer relay")
    assert screen.wait_end() == 1
    assert not screen.shows("Traceback")
    assert _store(relay).read_bytes() == newer
    assert sorted(path.name for path in relay.data.iterdir()) == before


def test_store_that_a_newer_relay_took_over_under_the_screen(
    relay: InstalledRelay, open_screen: Open, tmp_path: Path
) -> None:
    older = _store(relay).read_bytes()
    screen = open_screen(DOCKER_HOST="unix:///nonexistent")
    screen.wait_for("2 projects")
    screen.wait_for("engine down")
    newer = _from_tomorrow(relay)
    staged = tmp_path / "newer"
    staged.write_bytes(newer)
    staged.replace(_store(relay))
    screen.wait_for("^ relay +The store was written by a newer relay", timeout=3)
    assert screen.shows("✗ failed +main")

    screen.press("N")
    screen.wait_for("New project")
    screen.fill(str(tmp_path / "one"))
    screen.press("Enter")
    screen.wait_for("│ +The store was written by a newer relay")
    screen.press("Escape")
    screen.wait_gone("New project")
    screen.press("n")
    screen.wait_for("New session of one")
    screen.type("x")
    screen.wait_for("newer relay")
    screen.press("Escape")
    screen.wait_gone("New session")
    screen.press("S")
    screen.wait_for("Install a newer relay")
    assert _store(relay).read_bytes() == newer

    _store(relay).write_bytes(older)
    screen.wait_for("2 projects")
    screen.press("q")
    assert screen.wait_end() == 0
    no_bug_logged(relay)


# --- the clock -------------------------------------------------------------------------------------------------------


def _stop_clock(monkeypatch: pytest.MonkeyPatch, at: float) -> None:
    """Freeze the clock at `at` (seconds since 1970) for all of relay in this process."""
    monkeypatch.setattr("time.time", lambda: at)
    monkeypatch.setattr("time.time_ns", lambda: int(at * 1e9))
    words = datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    for module in ("domain.models", "services.sessions.service", "services.projects", "services.sessions.observation"):
        monkeypatch.setattr(f"relay_tui.{module}.now", lambda: words)


def test_ids_stay_unique_and_sorted_when_the_clock_stands_still_or_jumps_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    moment = time.time()
    given = [new_id() for _ in range(1000)]
    for at in (moment, moment - 3600, moment - 86_400 * 365):
        monkeypatch.setattr("time.time_ns", lambda at=at: int(at * 1e9))
        given += [new_id() for _ in range(1000)]
    assert len(set(given)) == len(given)
    assert sorted(given) == given


@pytest.fixture
def here(relay: InstalledRelay, monkeypatch: pytest.MonkeyPatch) -> Relay:
    """The same relay in this process."""
    for name, value in relay.env.items():
        monkeypatch.setenv(name, value)
    return container.build_relay(relay.data)


def test_clock_that_jumps_back_purges_nothing_early_and_ages_nothing_below_zero(
    relay: InstalledRelay, here: Relay, monkeypatch: pytest.MonkeyPatch
) -> None:
    [one, two] = here.store.read().live_projects()
    here.projects.remove(one.id, TaskContext())
    real = time.time()
    _stop_clock(monkeypatch, real - 30 * 86_400)
    here = container.build_relay(relay.data)
    assert here.trash.purge(None, TaskContext()).entries == 0
    assert formatting.relative_age(two.created_at, datetime.fromtimestamp(time.time(), UTC)) == "<1m"
    here.projects.register(NewProject(source=str(relay.root.parent / "one"), name="again"))
    assert [p.name for p in here.store.read().live_projects()] == ["again", "two"]
    assert len(here.projects.restore(one.id)) == 1
    here.projects.remove(two.id, TaskContext())

    # A clock that was wrong when something was removed, and is right again, makes it look old.
    _stop_clock(monkeypatch, real)
    here = container.build_relay(relay.data)
    assert here.trash.purge(None, TaskContext()).entries == 0
    assert len(here.projects.restore(two.id)) == 1


def test_purging_all_purges_what_the_clock_puts_into_the_future_too(
    here: Relay, monkeypatch: pytest.MonkeyPatch
) -> None:
    [one, _] = here.store.read().live_projects()
    here.projects.remove(one.id, TaskContext())
    _stop_clock(monkeypatch, time.time() - 3600)
    assert here.trash.purge(0, TaskContext()).entries > 0
    assert here.files.trash_entries() == []


def test_two_stores_never_share_a_record(here: Relay, monkeypatch: pytest.MonkeyPatch) -> None:
    """A new record under an id that another relay has just given would replace the other's."""
    [one, two] = here.store.read().live_projects()
    taken = here.store.read().live_sessions(one.id)[0].id
    ids = iter([taken, taken, new_id()])
    monkeypatch.setattr("relay_tui.domain.models.new_id", lambda: next(ids))
    made = here.sessions.register(NewSession(project=two.id, name="other"))
    assert made.id != taken
    assert here.store.read().sessions[taken].project_id == one.id


# --- secrets ---------------------------------------------------------------------------------------------------------


def test_secret_in_a_url_is_nowhere_whether_the_clone_fails_or_not(relay: InstalledRelay, tmp_path: Path) -> None:
    make_repository(tmp_path / "served/demo.git", bare=True)
    with http_server(tmp_path / "served", username="ada", password=SECRET) as server:
        wrong = relay.run("--debug", "project", "add", server.login("demo.git", password=f"{SECRET}-not"))
        assert wrong.code == 1
        assert "Wrong user name or password" in wrong.err
        lost = relay.run("--debug", "project", "add", server.login("nowhere.git"), "--json")
        assert lost.code == 1
        refused = relay.run("--debug", "project", "add", server.login("demo.git").replace("@127.", "@::::"))
        assert refused.code == 2
        right = relay.run("--debug", "project", "retry", "demo", "--source", server.login("demo.git"))
        assert right.code == 5  # cloned; there is no engine
    said = [done.out + done.err for done in (wrong, lost, refused, right)]
    assert not [words for words in said if SECRET in words]
    assert (relay.root / "state/relay/relay.log").stat().st_size > 0
    assert relay.holds(SECRET) == []
