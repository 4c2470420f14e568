"""From records to words: ages, states, rows, counts; the table of keys and who is made of it."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType

import pytest
import readme_keys

from relay_tui.config import Profile
from relay_tui.domain.errors import Fault
from relay_tui.domain.events import EngineStatus, Job
from relay_tui.domain.models import CloneState, Project, Records, Session, SessionState
from relay_tui.ui.keys.actions import ACTIONS
from relay_tui.ui.presentation import formatting, projects, status_bar
from relay_tui.ui.presentation import sessions as session_text
from relay_tui.ui.presentation.columns import lay_out
from relay_tui.ui.presentation.formatting import UNICODE
from relay_tui.ui.state import AppState

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
ALPHA = Project(id="p1", name="alpha", source="/r", clone_state=CloneState.READY)
MAIN = Session(
    id="s1",
    project_id="p1",
    name="main",
    branch="main",
    base_branch="main",
    image="debian",
    profile="default",
    work_dir="/w",
    state=SessionState.RUNNING,
    created_at="2026-11-23T11:00:00.000Z",
)


def world(*sessions: Session, project: Project = ALPHA, engine: str = "up", jobs: tuple[Job, ...] = ()) -> AppState:
    records = Records(MappingProxyType({"p1": project}), MappingProxyType({s.id: s for s in sessions}))
    return AppState(records, {job.subject: job for job in jobs}, EngineStatus(engine, "words"))


@pytest.mark.parametrize(
    ("since", "words"),
    [
        ("2026-11-23T11:59:48.000Z", "<1m"),
        ("2026-11-23T11:55:00Z", "5m"),
        ("2026-11-23T09:00:00Z", "3h"),
        ("2026-11-14T12:00:00Z", "9d"),
        ("2024-11-14T12:00:00Z", "2y"),
        ("2026-11-24T12:00:00Z", "<1m"),  # a clock that jumped back
        ("2026-11-23T11:00:00", "?"),
        ("", "?"),
        ("nonsense", "?"),
    ],
)
def test_ages(since: str, words: str) -> None:
    assert formatting.relative_age(since, NOW) == words


@pytest.mark.parametrize(
    ("change", "engine", "job", "shown"),
    [
        ({}, "up", None, "● running"),
        ({}, "connecting", None, "● running"),
        ({}, "down", None, "? unknown"),
        ({"state": SessionState.STARTING}, "up", None, "◌ starting"),
        ({"state": SessionState.REMOVING}, "up", None, "◌ removing"),
        ({}, "up", "Stopping main", "◌ stopping"),
        ({"state": SessionState.ERROR}, "down", None, "✗ failed"),
        ({"state": SessionState.STOPPED, "exit_code": 137}, "up", None, "○ stopped"),
        ({"state": SessionState.STOPPED, "exit_code": 0}, "up", None, "○ exit 0"),
    ],
)
def test_a_sessions_state(change: dict[str, object], engine: str, job: str | None, shown: str) -> None:
    session = replace(MAIN, **change)  # type: ignore[arg-type]
    jobs = (Job("j", "s1", job),) if job else ()
    state = session_text.session_state(session, world(session, engine=engine, jobs=jobs), UNICODE)
    assert f"{state.glyph} {state.word}" == shown


def test_a_projects_state_tells_of_its_sessions() -> None:
    def glyph(*sessions: Session, **change: object) -> str:
        project = replace(ALPHA, **change)  # type: ignore[arg-type]
        return projects.project_state(project, world(*sessions, project=project), UNICODE).glyph

    assert glyph(MAIN) == "●"
    assert glyph(replace(MAIN, state=SessionState.STOPPED)) == "○"
    assert glyph(MAIN, replace(MAIN, id="s2", state=SessionState.ERROR)) == "✗"
    assert glyph(clone_state=CloneState.ERROR) == "✗"
    assert glyph(clone_state=CloneState.CLONING) == "◌"


def test_an_error_or_a_job_takes_the_place_of_what_is_less_important() -> None:
    session = replace(MAIN, error_reason=Fault("engine", "It failed", "first\nlast said \x1b[2J\n\n"))
    row = session_text.session_row(session, world(session), UNICODE, NOW, None, with_project=True)
    assert row.wide is not None
    assert row.wide.plain == "It failed: last said"
    assert [cell.plain for cell in row.cells[:3]] == ["● running", "main", "alpha"]
    job = Job("j", "s1", "Creating", "Pulling", 0.256, "3 of 7")
    row = session_text.session_row(session, world(session, jobs=(job,)), UNICODE, NOW, None, with_project=False)
    assert row.wide is not None
    assert (row.wide.plain, row.progress, row.wide_from) == ("Pulling  26%  3 of 7", 0.256, 2)


def test_a_loosened_profile_is_said_on_the_row() -> None:
    for profile, words in ((Profile(name="p"), "debian"), (Profile(name="p", user="root"), "debian loosened")):
        row = session_text.session_row(MAIN, world(MAIN), UNICODE, NOW, profile, with_project=False)
        assert words in [cell.plain for cell in row.cells]


@pytest.mark.parametrize(
    ("engine", "processes", "words"),
    [
        ("up", "processes in bubblewrap 0.8.0", ("● Fake 1.0", " · processes in a sandbox")),
        ("up", "processes, not isolated", ("● Fake 1.0", " · processes not isolated")),
        ("down", "processes in bubblewrap 0.8.0", ("no engine", " · processes in a sandbox")),
        ("connecting", "", ("… looking for the engine", "")),
    ],
)
def test_the_status_line_says_which_runtimes_answer(engine: str, processes: str, words: tuple[str, str]) -> None:
    shown = replace(world(replace(MAIN, runtime="process")), engine=EngineStatus(engine, "Fake 1.0"))
    status = EngineStatus("up" if processes else "connecting", processes)
    told = (status_bar.format_engine(shown, UNICODE)[0], status_bar.format_processes(status, UNICODE))
    assert told == (words[0].replace("…", UNICODE.busy), words[1])


def test_counts() -> None:
    broken = replace(MAIN, id="s2", state=SessionState.ERROR)
    job = Job("j", "s2", "Creating")
    told = [words for words, _ in status_bar.state_counts(world(MAIN, broken, jobs=(job,)))]
    assert told == ["1 project", "2 sessions", "1 running", "1 failed", "1 job"]
    assert "1 running" not in [words for words, _ in status_bar.state_counts(world(MAIN, engine="down"))]


@pytest.mark.parametrize(
    ("variables", "utf8"),
    [
        ({"LANG": "C.UTF-8"}, True),
        ({"LANG": "en_US.utf8"}, True),
        ({"LC_ALL": "C", "LANG": "C.UTF-8"}, False),
        ({"LC_ALL": "", "LC_CTYPE": "C.UTF-8", "LANG": "C"}, True),
        ({"LANG": "C"}, False),
        ({}, False),
    ],
)
def test_the_locale(variables: dict[str, str], utf8: bool) -> None:
    program = "from relay_tui.terminal_info import utf8_locale; print(utf8_locale())"
    done = subprocess.run([sys.executable, "-c", program], env=variables, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(utf8)


def test_every_glyph_is_one_cell_and_its_stand_in_is_ascii() -> None:
    from rich.cells import cell_len

    unicode, plain = ([glyph for glyph in glyphs if isinstance(glyph, str)] for glyphs in (UNICODE, formatting.ASCII))
    assert {cell_len(glyph) for glyph in (*unicode, *plain) if glyph != formatting.ASCII.ellipsis} == {1}
    assert all(glyph.isascii() for glyph in (*plain, *formatting.ASCII.bar))


def test_the_readme_lists_the_keys_of_the_table() -> None:
    readme = (Path(__file__).parent.parent / "README.md").read_text()
    between = readme.partition("<!-- keys -->\n")[2].partition("<!-- /keys -->")[0]
    assert between == readme_keys.table(), "python tests/readme_keys.py prints the table"
    assert all(action.help in between for action in ACTIONS)


@pytest.mark.parametrize(("runtime", "words"), [("process", "no engine"), ("docker", "engine down: gone")])
def test_an_engine_that_nobody_needs_is_not_missed(runtime: str, words: str) -> None:
    session = replace(MAIN, runtime=runtime)
    shown = AppState(Records({}, {session.id: session}), engine=EngineStatus("down", "gone"))
    assert words in status_bar.format_engine(shown, UNICODE)[0]


def test_a_long_name_on_a_broad_screen_hides_no_project() -> None:
    """At 160 columns the sessions pane has 106 for them: two sessions called main would look alike."""
    columns = session_text.session_columns(with_project=True)
    content = [9, 39, 10, 38, 18, 22, 3]
    shown = [columns[one.column].id for one in lay_out(columns, content, 106).columns]
    assert "project" in shown
    assert {"state", "name", "branch", "work"} <= {*shown}
