"""Notifications: they hide neither text being read nor text being typed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from fakes import Rig, build
from on_screen import Shown, a_project, a_session, shown
from textual.geometry import Region
from textual.widget import Widget

from relay_tui.domain.models import SessionState
from relay_tui.ui.log.prompt import LogPrompt
from relay_tui.ui.widgets.flash_bar import FlashLine
from relay_tui.ui.widgets.overlay_input import FilterInput

SIZES = [(80, 24), (160, 45)]


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    made = build(tmp_path)
    a_session(made, a_project(made, "alpha"), "main", SessionState.STOPPED, output=b"one\ntwo\n" * 100)
    return made


def told(screen: Shown) -> Sequence[Region]:
    """Regions of the lines that are shown."""
    return [line.region for line in screen.app.screen.query(FlashLine)]


def hidden(screen: Shown, *widgets: Widget) -> list[Widget]:
    """Return the widgets that are partly covered by a notification."""
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


LONG = "Push failed: the remote rejected main because it contains work that you do not have; [/x] fetch first."


@pytest.mark.parametrize("size", [(80, 24), (40, 12)])
@pytest.mark.parametrize("keys", [[], ["L"], ["question_mark"], ["N"], ["ctrl+p"]])
async def test_a_long_message_wraps_on_every_screen(rig: Rig, size: tuple[int, int], keys: Sequence[str]) -> None:
    async with shown(rig, size) as screen:
        await screen.press(*keys)
        screen.app.notify(LONG, severity="error", timeout=60)
        await screen.until(lambda: told(screen), "the message")
        await screen.until(lambda: LONG in " ".join(" ".join(screen.lines).replace("▌", " ").split()) or edged(screen))
        width, height = size
        assert all(region.right <= width and region.bottom <= height for region in told(screen))


def edged(screen: Shown) -> bool:
    """Return whether every word of the message is on a line with a coloured edge, in order."""
    lines = [line.partition("▌")[2] for line in screen.lines if "▌" in line and "▌ ≡" not in line]
    words = " ".join(lines).replace("│", " ").replace("─", " ").replace("╯", " ").replace("╮", " ").split()
    at = 0
    for word in LONG.split():
        if word not in words[at:]:
            return False
        at = words.index(word, at) + 1
    return True


async def test_a_wrapped_message_leaves_the_frame_around_it(rig: Rig) -> None:
    async with shown(rig, (80, 24)) as screen:
        await screen.sees("two")
        screen.app.notify(LONG, markup=False)
        await screen.sees("fetch first.")
        corner = screen.lines[-2]
        assert (corner[0], corner[79]) == ("╰", "╯")
        screen.app.notify("a word of its own", severity="warning")
        screen.app.notify("Copied")
        await screen.sees("Copied")
        assert "a word of its own ───" in screen.lines[-2]


async def test_a_message_is_shown_on_the_screen_on_top_until_its_timeout(rig: Rig) -> None:
    async with shown(rig, (80, 24)) as screen:
        await screen.sees("two")
        screen.app.notify("kept for long", timeout=60)
        await screen.sees("kept for long")
        await screen.press("L")
        await screen.until(lambda: len(screen.app.screen_stack) == 2 and "kept for long" in screen.text, "it on top")
        await screen.press("escape")
        await screen.until(lambda: len(screen.app.screen_stack) == 1 and "kept for long" in screen.text, "it below")
        screen.app.notify("gone at once", timeout=0.05)
        await screen.until(lambda: len(screen.app.flash.current) == 1, "the timeout")
        assert "gone at once" not in screen.text
        await screen.pilot.click(FlashLine)
        await screen.until(lambda: "kept for long" not in screen.text, "the click")
        await screen.until(lambda: screen.lines[-1] and screen.lines[-1].strip() == screen.keys.strip(), "the keys")


async def test_text_that_is_no_markup_is_shown_verbatim(rig: Rig) -> None:
    async with shown(rig) as screen:
        await screen.sees("two")
        for words, seen in (("[b]bold[/b] [x", "bold [x"), ("[/bar] closed", "[/bar] closed")):
            screen.app.notify(words, severity="error", timeout=60)
            await screen.sees(seen)
        screen.app.notify("[/bar] [b]as it is[/b]", title="[/t]", markup=False)
        await screen.sees("[/bar] [b]as it is[/b]")
        assert "[/t]" in screen.text


async def test_messages_take_half_of_the_screen_at_most(rig: Rig) -> None:
    async with shown(rig, (40, 12)) as screen:
        screen.app.notify("older", severity="error", timeout=60)
        screen.app.notify("many words " * 80, severity="error", timeout=60)
        await screen.until(lambda: len(told(screen)) == 6, "six lines")
        await screen.until(lambda: screen.lines[-1].endswith("…"), "the cut line")
        await screen.pilot.resize_terminal(160, 45)
        await screen.sees("older")
