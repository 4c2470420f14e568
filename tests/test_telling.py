"""What is told for a moment hides nothing that is read, and nothing that is typed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from fakes import Rig, build
from on_screen import Shown, a_project, a_session, shown
from textual.geometry import Region
from textual.widget import Widget
from textual.widgets._toast import Toast

from relay_tui.domain.models import SessionState
from relay_tui.ui.log.prompt import LogPrompt
from relay_tui.ui.widgets.overlay_input import FilterInput

SIZES = [(80, 24), (160, 45)]


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    made = build(tmp_path)
    a_session(made, a_project(made, "alpha"), "main", SessionState.STOPPED, output=b"one\ntwo\n" * 100)
    return made


def told(screen: Shown) -> Sequence[Region]:
    """Where the toasts are."""
    return [toast.region for toast in screen.app.screen.query(Toast)]


def hidden(screen: Shown, *widgets: Widget) -> list[Widget]:
    """Those of which a toast covers something."""
    return [widget for widget in widgets if any(region.overlaps(widget.content_region) for region in told(screen))]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    ("keys", "words"),
    [
        (["D"], "the projects pane D removes the project with it."),  # what happened, why, and what to do
        (["e"], "S starts it; R retries the failed step."),
        (["N", "escape", "L", "escape", "f"], "Fetched alpha. main"),
    ],
)
async def test_no_row_is_covered(rig: Rig, size: tuple[int, int], keys: Sequence[str], words: str) -> None:
    async with shown(rig, size) as screen:
        await screen.sees("two")
        await screen.press(*keys)
        await screen.sees(words)
        assert told(screen)
        assert hidden(screen, screen.main.projects, screen.main.sessions, screen.main.detail) == []


@pytest.mark.parametrize("size", SIZES)
async def test_what_is_typed_is_not_covered(rig: Rig, size: tuple[int, int]) -> None:
    async with shown(rig, size) as screen:
        await screen.sees("two")
        screen.main.notify("told before", timeout=60)
        await screen.sees("told before")
        await screen.press("/", "m")
        screen.main.notify("told meanwhile", timeout=60)
        await screen.sees("told meanwhile")
        assert screen.lines[-1].strip() == "m"
        assert hidden(screen, screen.main.query_one(FilterInput)) == []
        await screen.press("enter", "l", "&", "t")
        await screen.sees("& t")
        assert hidden(screen, screen.main.query_one(LogPrompt)) == []
        await screen.press("enter")
        await screen.until(lambda: not any(line.lstrip().startswith("&") for line in screen.lines), "the line gone")
        await screen.until(lambda: told(screen)[-1].bottom == size[1], "what is told, over the keys again")


async def test_what_is_told_takes_the_place_of_what_was(rig: Rig) -> None:
    """Not of what is wrong, unless it is that again, nor of what is to stay for long."""
    async with shown(rig) as screen:
        await screen.sees("two")
        screen.main.notify("Kept in the base", timeout=60)
        screen.main.notify("Copied", timeout=4)
        for _ in range(2):
            screen.main.notify("Full", severity="error", timeout=60)
            await screen.sees("Full")
        screen.main.notify("Saved", timeout=4)
        await screen.sees("Saved")
        await screen.until(lambda: "Copied" not in screen.text, "the copied gone")
        assert len(told(screen)) == 3
        assert screen.text.count("Full") == screen.text.count("Kept in the base") == 1


async def test_the_key_bar_of_a_tab_has_its_keys_first_and_no_other_of_the_same(rig: Rig) -> None:
    """In the log f is the full screen, and fetches nothing."""
    async with shown(rig, (80, 24)) as screen:
        await screen.sees("two")
        assert "new session" in screen.keys
        await screen.press("l")
        await screen.until(lambda: screen.focused == "detail", "the log")
        for words in ("/ search", "& only", "s follow", "w wrap", "t times", "? help"):
            assert words in screen.keys
        await screen.pilot.resize_terminal(160, 45)
        await screen.until(lambda: "f full screen" in screen.keys, "more keys")
        assert "f fetch" not in screen.keys
