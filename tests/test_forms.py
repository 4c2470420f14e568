"""The forms for a new project and a new session: mistakes beside their fields, nothing typed is lost."""

from __future__ import annotations

import threading
from pathlib import Path
from types import MappingProxyType

import pytest
from fakes import SOURCE, FakeGit, Rig, build
from on_screen import Shown, a_project, a_session, shown
from textual.widgets import Input, OptionList, Select, Static

from relay_tui.config import Config, Profile
from relay_tui.domain.models import Project, SessionState
from relay_tui.ui.dialogs.form import Form
from relay_tui.ui.dialogs.new_session import PICKED

WIDE = (160, 40)


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    """A relay with a loosened profile besides the default one, and many branches."""
    profiles = {"default": Profile(name="default"), "open": Profile(name="open", user="root", image="node:22")}
    config = Config(path=tmp_path / "config.toml", glyphs="unicode", profiles=MappingProxyType(profiles))
    heads = ["main", "dev", "fix/login", "日本語", *(f"release-{number}" for number in range(250))]
    return build(tmp_path / "data", config=config, git=FakeGit(heads))


@pytest.fixture
def alpha(rig: Rig) -> Project:
    """A project with a session on its main branch."""
    project = a_project(rig, "alpha")
    a_session(rig, project, "main")
    return project


def mistakes(screen: Shown) -> dict[str, str]:
    """Return the messages beside the fields and at the foot."""
    form = screen.app.screen
    assert isinstance(form, Form)
    told = {str(field.id): str(field.query_one(".mistake", Static).render()) for field in form.fields()}
    told["foot"] = str(form.query_one("#foot", Static).render())
    return {name.removeprefix("field-"): words for name, words in told.items() if words}


async def blamed(screen: Shown, field: str, words: str) -> None:
    """Wait until the words are shown beside the field."""
    await screen.until(lambda: words in mistakes(screen).get(field, ""), f"{field}: {words}")


def value(screen: Shown, field: str) -> str:
    """Return the value of a field."""
    return screen.app.screen.query_one(f"#{field}", Input).value


def highlighted(screen: Shown) -> str | None:
    """The branch that is chosen."""
    options = screen.app.screen.query_one("#branches", OptionList)
    return options.get_option_at_index(options.highlighted).id if options.highlighted is not None else None


# --- a new project ---


async def test_a_project_is_added_selected_and_cloned(rig: Rig) -> None:
    rig.git.gates["clone_base"] = threading.Event()
    async with shown(rig) as screen:
        await screen.press("N", *"https://ada:pw@host.example/team/alpha.git")
        assert screen.app.screen.query_one("#name", Input).placeholder == "alpha"
        await screen.press("enter")
        await screen.sees("alpha  receiving 42%")
        (project,) = rig.relay.store.read().live_projects()
        assert screen.main.projects.cursor_key == project.id
        assert screen.focused == "projects"
        rig.git.gates["clone_base"].set()
        await screen.until(lambda: [s.state for s in rig.live()] == [SessionState.RUNNING])
        await screen.sees("● running   main")


@pytest.mark.usefixtures("alpha")
async def test_a_projects_mistakes_stand_beside_their_fields(rig: Rig) -> None:
    cases = {
        "source": ("ext::sh -c x", "remote helper"),
        "name": ("ALPHA", "A project 'ALPHA' exists already"),
        "branch": ("-x", "cannot begin with '-'"),
    }
    async with shown(rig) as screen:
        await screen.press("N")
        for field, (typed, words) in cases.items():
            await screen.type("source", SOURCE)
            await screen.type(field, typed)
            await screen.press("ctrl+s")
            await screen.until(lambda: mistakes(screen))
            told = mistakes(screen)
            assert list(told) == [field]
            assert words in told[field]
            assert value(screen, field) == typed
            await screen.type(field, "")
        await screen.press("escape")
        assert screen.app.screen is screen.main
        assert len(rig.relay.store.read().projects) == 1


async def test_enter_twice_is_one_wish(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    go_on = threading.Event()
    add = rig.relay.projects.register

    def slowly(wanted: object) -> Project:
        assert go_on.wait(10)
        return add(wanted)  # type: ignore[arg-type]

    monkeypatch.setattr(rig.relay.projects, "register", slowly)
    async with shown(rig) as screen:
        await screen.press("N")
        await screen.type("source", SOURCE)
        await screen.press("enter", "enter")
        go_on.set()
        await screen.until(lambda: screen.app.screen is screen.main)
        await screen.until(lambda: [s.state for s in rig.live()] == [SessionState.RUNNING])
        assert [project.name for project in rig.relay.store.read().live_projects()] == ["alpha"]


# --- a new session ---


async def test_branches_are_searched_as_one_types(rig: Rig, alpha: Project) -> None:
    async with shown(rig, WIDE) as screen:
        await screen.press("n")
        await screen.sees("work on fix/login")
        options = screen.app.screen.query_one("#branches", OptionList)
        assert options.option_count == PICKED
        assert highlighted(screen) == alpha.default_branch
        await screen.press(*"LOG fi")  # words in any order and case
        assert [option.id for option in options.options] == ["fix/login"]
        await screen.type("search", "release-24")
        assert options.option_count == 11
        assert highlighted(screen) == "release-24"  # what is typed in full comes first
        await screen.press("down")
        await screen.sees("branch release-240")
        await screen.type("search", "nothing-like-it")
        await blamed(screen, "branch", "no branch 'nothing-like-it'")
        await screen.type("search", "日本")
        await screen.until(lambda: highlighted(screen) == "日本語" and not mistakes(screen))


@pytest.mark.usefixtures("alpha")
async def test_a_new_branch_its_preview_and_its_session(rig: Rig) -> None:
    async with shown(rig, WIDE) as screen:
        await screen.press("n")
        await screen.sees("Preview")
        assert screen.app.screen.query_one("#name", Input).placeholder == "main-2"
        await screen.type("search", "dev")
        await screen.type("new_branch", "topic/one")
        await screen.sees("topic/one (new, from dev)")
        assert screen.app.screen.query_one("#name", Input).placeholder == "topic-one"
        assert "hardening full" in screen.words
        screen.app.screen.query_one("#profile", Select).value = "open"
        await screen.sees("relaxed: runs as root")
        assert "image node:22" in screen.words
        assert len(rig.live()) == 1  # nothing is made before it is asked for
        await screen.press("ctrl+s")
        await screen.until(lambda: screen.app.screen is screen.main)
        made = next(s for s in rig.live() if s.name == "topic-one")
        assert (made.branch, made.base_branch, made.profile) == ("topic/one", "dev", "open")
        await screen.until(lambda: screen.main.sessions.cursor_key == made.id)
        await screen.until(lambda: rig.session(made.id).state is SessionState.RUNNING)
        await screen.until(lambda: "node:22 loosened" in screen.row("topic-one"))


@pytest.mark.usefixtures("alpha")
async def test_a_sessions_mistakes_are_told_while_one_types_and_on_submitting(rig: Rig) -> None:
    cases = {"new_branch": ("dev", "already"), "name": ("a b", "letters, digits")}
    async with shown(rig, WIDE) as screen:
        await screen.press("n")
        await screen.sees("Preview")
        for field, (typed, words) in cases.items():
            await screen.type(field, typed)
            await blamed(screen, field, words)
            await screen.press("enter")
            await blamed(screen, field, words)
            assert value(screen, field) == typed
            await screen.type(field, "")
            await screen.until(lambda: not mistakes(screen))
        await screen.type("name", "MAIN")
        await screen.press("ctrl+s")
        await blamed(screen, "name", "a session 'MAIN' already")
        assert [session.name for session in rig.live()] == ["main"]


@pytest.mark.usefixtures("alpha")
async def test_leaving_a_form_at_any_moment_does_no_harm(rig: Rig) -> None:
    rig.git.gates["branches"] = threading.Event()
    async with shown(rig, WIDE) as screen:
        await screen.press("n", "escape")
        rig.git.gates["branches"].set()
        for _ in range(3):
            await screen.press("n", "x", "escape")
        await screen.press("j", "k")
        assert screen.app.screen is screen.main
        assert screen.app.return_code is None


async def test_no_session_before_the_clone(rig: Rig) -> None:
    rig.git.gates["clone_base"] = threading.Event()
    async with shown(rig) as screen:
        await screen.press("N")
        await screen.type("source", SOURCE)
        await screen.press("enter")
        await screen.sees("receiving")
        await screen.press("n")
        await screen.sees("alpha is not cloned yet.")
        assert screen.app.screen is screen.main
