"""Unnecessary work: counts of what keys and idle time cost. No work is done twice or for hidden widgets."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
from fakes import build
from on_screen import Shown, a_project, a_session, shown
from rich.style import Style
from textual.content import Content
from textual.geometry import Region, Size
from textual.scrollbar import ScrollBar
from textual.strip import Strip
from textual.widget import Widget
from textual_screen import Compositor, compositor, dirty_regions

from relay_tui.domain.errors import Fault
from relay_tui.domain.events import Job
from relay_tui.domain.models import Project, SessionState
from relay_tui.services.relay import Relay
from relay_tui.ui.event_bridge import StateChanged
from relay_tui.ui.main import detail
from relay_tui.ui.main import screen as main_screen
from relay_tui.ui.main.status_bar import StatusBar
from relay_tui.ui.presentation import formatting, info
from relay_tui.ui.presentation.formatting import Glyphs
from relay_tui.ui.state import AppState
from relay_tui.ui.widgets.key_bar import KeyBar
from relay_tui.ui.widgets.overlay_input import FilterInput


async def test_a_project_is_told_in_full_once_the_cursor_rests(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rig = build(tmp_path)
    for name in ("alpha", "beta", "gamma", "omega"):
        a_session(rig, a_project(rig, name), "main", SessionState.STOPPED)
    told: list[str] = []
    plain = info.project_info

    def counted(project: Project, world: AppState, relay: Relay, glyphs: Glyphs) -> Content:
        told.append(project.name)
        return plain(project, world, relay, glyphs)

    monkeypatch.setattr(info, "project_info", counted)
    monkeypatch.setattr(detail, "SETTLE", 1.0)  # no machine is so slow that a key takes longer
    async with shown(rig) as screen:
        await screen.press("h")
        await screen.until(lambda: screen.focused == "projects")
        await screen.press("j", "j", "j", "j")
        await screen.sees("https://host.example/team/omega.git")
        assert told == ["omega"]


async def test_what_passes_by_is_not_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rig = build(tmp_path)
    names = ("alpha", "beta", "gamma", "omega")
    sessions = {name: a_session(rig, a_project(rig, name), "main", SessionState.STOPPED).id for name in names}
    seen: list[tuple[str, ...]] = []
    async with shown(rig) as screen:
        await screen.press("h")
        await screen.until(lambda: screen.focused == "projects" and screen.main._reporting is None, "rest")
        monkeypatch.setattr(main_screen, "REPORT_DELAY", 1.0)  # no machine is so slow that a key takes longer
        monkeypatch.setattr(screen.main.relay.clone_status, "show", seen.append)
        await screen.press("j", "j", "j", "j")
        await screen.until(lambda: seen, "a look")
        assert seen == [(sessions["omega"],)]


@contextmanager
def drawn(screen: Shown) -> Iterator[list[Region]]:
    """Record the regions that are drawn meanwhile."""
    found: list[Region] = []
    drawn_by = compositor(screen.main)
    update = drawn_by.render_partial_update

    def noted() -> object:
        found.extend(dirty_regions(drawn_by))
        return update()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(drawn_by, "render_partial_update", noted)
        patch.setattr(drawn_by, "render_full_update", lambda **_: found.append(screen.main.region))
        yield found


def _are_two(found: list[Region]) -> bool:
    return len(found) == 2


async def test_words_in_a_frame_draw_its_line_alone(tmp_path: Path) -> None:
    rig = build(tmp_path)
    a_session(rig, a_project(rig, "alpha"), "main", SessionState.STOPPED)
    async with shown(rig) as screen:
        await screen.sees("alpha/main")
        for pane in (screen.main.sessions, screen.main.detail):
            x, y, width, height = pane.region
            with drawn(screen) as regions:
                pane.set_title(Content("first words"))
                pane.set_subtitle(Content("last words"))
                await screen.until(partial(_are_two, regions), "both lines")
            assert set(regions) == {Region(x, y, width, 1), Region(x, y + height - 1, width, 1)}
            assert "first words" in screen.lines[y]
            assert "last words" in screen.lines[y + height - 1]


async def test_where_the_focus_goes_draws_no_more_than_the_panes_it_is_about(tmp_path: Path) -> None:
    rig = build(tmp_path)
    a_session(rig, a_project(rig, "alpha"), "main", SessionState.STOPPED)
    async with shown(rig) as screen:
        await screen.sees("alpha/main")
        screen.main.set_focus(screen.main.projects)
        await screen.pilot.pause()
        with drawn(screen) as regions:
            screen.main.set_focus(screen.main.sessions)
            await screen.until(lambda: screen.main.sessions.has_pseudo_class("focus"), "the focus")
            await screen.pilot.pause()
        assert screen.main.sessions.region in regions
        assert screen.main.region not in regions


async def test_facts_of_a_clone_draw_no_projects(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rig = build(tmp_path)
    session = a_session(rig, a_project(rig, "alpha"), "main", SessionState.STOPPED)
    async with shown(rig) as screen:
        await screen.sees("alpha/main")
        redrawn: list[object] = []
        monkeypatch.setattr(screen.main, "draw_projects", lambda: redrawn.append(screen))
        world = replace(screen.main.state, facts={session.id: Fault("git", "the clone is gone")})
        screen.main.post_message(StateChanged(world))
        await screen.until(lambda: screen.main.state is world, "the facts")
        await screen.pilot.pause()
        assert not redrawn
        other = replace(world, jobs={session.id: Job("j1", session.id, "Push")})
        screen.main.post_message(StateChanged(other))
        await screen.until(lambda: bool(redrawn), "all of it")


async def test_a_filter_comes_takes_rows_and_goes_without_a_layout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig = build(tmp_path)
    project = a_project(rig, "alpha")
    for number in range(40):
        a_session(rig, project, f"work-{number:02}", SessionState.STOPPED)
    reflow, laid_out = Compositor.reflow, []

    def counted(compositor: Compositor, parent: Widget, size: Size) -> object:
        laid_out.append(size)
        return reflow(compositor, parent, size)

    async with shown(rig) as screen:
        await screen.sees("work-03")
        keys = screen.lines[-1]
        await screen.press("j")
        await screen.pilot.pause()
        monkeypatch.setattr(Compositor, "reflow", counted)
        await screen.press("/")
        await screen.sees("show only rows that contain")
        await screen.press("0", "7")
        await screen.until(lambda: not screen.row("work-03") and screen.row("work-07"), "one row")
        assert screen.lines[-1].strip() == "07"
        await screen.press("escape")
        await screen.sees("work-08")
        assert (screen.lines[-1], laid_out) == (keys, [])


@pytest.mark.parametrize("joint", [False, True])
async def test_a_logs_search_and_filter_are_typed_without_a_layout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, joint: bool
) -> None:
    rig = build(tmp_path)
    a_session(rig, a_project(rig, "alpha"), "main", output=b"".join(b"line %d\n" % n for n in range(600)))
    reflow, laid_out = Compositor.reflow, []

    def counted(compositor: Compositor, parent: Widget, size: Size) -> object:
        laid_out.append(size)
        return reflow(compositor, parent, size)

    async with shown(rig) as screen:
        await screen.press("L" if joint else "l")
        await screen.sees("line 599")
        keys = screen.lines[-1]
        await screen.press("/", "escape")  # the first time, the toolkit has yet to style the scrollbar without focus
        await screen.until(lambda: screen.lines[-1] == keys, "the keys")
        await screen.pilot.pause()
        monkeypatch.setattr(Compositor, "reflow", counted)
        for key, words in (("/", "/5 "), ("&", "&5")):
            await screen.press(key, "(")
            await screen.until(lambda: "missing )" in screen.lines[-1], "what is wrong")
            await screen.press("backspace", "5")
            await screen.sees(words)
            await screen.press("enter")
        await screen.press("escape", "escape")
        await screen.until(lambda: screen.lines[-1] == keys, "the keys again")
        assert laid_out == []


async def test_a_letter_of_a_filter_draws_its_list_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig = build(tmp_path)
    project = a_project(rig, "alpha")
    for number in range(20):
        a_session(rig, project, f"work-{number:02}", SessionState.STOPPED)
    update_widgets, drawn = Compositor.update_widgets, set[object]()

    def noted(compositor: Compositor, widgets: set[Widget]) -> None:
        drawn.update(widget.parent if isinstance(widget, ScrollBar) else widget for widget in widgets)
        update_widgets(compositor, widgets)

    async with shown(rig) as screen:
        await screen.press("/")
        await screen.sees("show only rows that contain")
        monkeypatch.setattr(Compositor, "update_widgets", noted)
        await screen.press("0")  # the row under the cursor stays
        await screen.sees("Sessions · 11 of 20")
        assert drawn == {screen.main.sessions, screen.main.query_one(FilterInput)}


async def test_tabs_stay_while_a_filter_leaves_nothing(tmp_path: Path) -> None:
    rig = build(tmp_path)
    a_session(rig, a_project(rig, "alpha"), "main", SessionState.STOPPED)
    async with shown(rig) as screen:
        await screen.press("/", "z")
        await screen.sees("Nothing matches the filter.")
        await screen.pilot.pause()
        assert (screen.main.selection.session, screen.main.detail.tab) == (None, "log")
        assert screen.row("Log  Info  Changes")


async def test_widgets_are_asked_for_the_lines_that_are_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rig = build(tmp_path)
    a_session(rig, a_project(rig, "alpha"), "main", SessionState.STOPPED)
    render_lines, asked = Widget.render_lines, dict[Widget, Region]()

    def noted(widget: Widget, crop: Region) -> list[Strip]:
        asked[widget] = crop.translate(widget.region.offset)
        return render_lines(widget, crop)

    async with shown(rig) as screen:
        await screen.sees("alpha/main")
        await screen.pilot.pause()
        monkeypatch.setattr(Widget, "render_lines", noted)
        main = screen.main
        x, y, width, _ = main.detail.region
        main.detail.refresh(Region(0, 0, width, 1).translate(-main.detail.content_offset))
        main.query_one(KeyBar).refresh()
        await screen.until(lambda: main.query_one(KeyBar) in asked, "the keys")
        await screen.until(lambda: main.detail in asked, "the frame")
        assert asked[main.detail] == Region(x, y, width, 1)
        assert asked.keys().isdisjoint((main.projects, main.sessions, main.query_one(StatusBar)))


@pytest.mark.parametrize("over", ["", "/", "?"])
async def test_what_is_drawn_in_parts_looks_as_drawn_whole(tmp_path: Path, over: str) -> None:
    rig = build(tmp_path)
    project = a_project(rig, "alpha")
    for number in range(40):
        a_session(rig, project, f"work-{number:02}", SessionState.STOPPED)
    chance = random.Random(5)
    async with shown(rig) as screen:
        await screen.sees("work-03")
        if over:
            await screen.press(over)
        if over != "?":
            screen.main.runner.notify_error(Fault("engine", "words that lie over the panes", "and go on for long"))
        await screen.pilot.pause()
        drawn_by, (width, height) = compositor(screen.main), screen.main.size
        whole = drawn_by.render_strips()
        for _ in range(60):
            corners = [(chance.randrange(width), chance.randrange(height)) for _ in range(chance.randint(1, 4))]
            sizes = [(chance.randint(1, width - x), chance.randint(1, min(9, height - y))) for x, y in corners]
            dirty_regions(drawn_by).update(Region(*at, *size) for at, size in zip(corners, sizes, strict=True))
            update = drawn_by.render_partial_update()
            assert update is not None
            for y, first, last in update.spans:
                for end, (x, strip) in zip(update.chop_ends[y], update.chops[y].items(), strict=True):
                    if x < last and end > first:
                        assert strip is not None
                        left, right = max(first, x), min(last, end)
                        assert cells(strip.crop(left - x, right - x)) == cells(whole[y].crop(left, right))


def cells(strip: Strip) -> list[tuple[str, Style | None]]:
    """Each cell's character and how it looks."""
    return [(character, style) for text, style, _ in strip for character in text]


async def test_a_filter_that_hid_all_goes_in_one_drawing_of_both_panes(tmp_path: Path) -> None:
    rig = build(tmp_path)
    project = a_project(rig, "alpha")
    for number in range(40):
        a_session(rig, project, f"work-{number:02}", SessionState.STOPPED)
    async with shown(rig) as screen:
        await screen.sees("work-03")
        await screen.press("/", "z")
        await screen.sees("Nothing matches the filter.")
        main = screen.main
        drawn_by = compositor(main)
        update, drawings = drawn_by.render_partial_update, list[frozenset[Region]]()

        def noted() -> object:
            drawings.append(frozenset(dirty_regions(drawn_by)))
            return update()

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(drawn_by, "render_partial_update", noted)
            await screen.press("escape")
            await screen.sees("work-03")
            await screen.pilot.pause()
        (rows,) = (regions for regions in drawings if main.sessions.region in regions)
        assert main.sessions.vertical_scrollbar.region in rows
        assert any(main.detail.region.contains_region(region) for region in rows)


async def test_ages_move_on_where_they_are_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rig = build(tmp_path)
    project = a_project(rig, "alpha")
    for number in range(60):
        a_session(rig, project, f"work-{number:02}", SessionState.STOPPED)
    moments = [datetime(2026, 11, 20, 10, 30, tzinfo=UTC)]
    monkeypatch.setattr(formatting, "now", lambda: moments[0])
    async with shown(rig) as screen:
        await screen.until(lambda: screen.row("work-00").split("│")[-2].split()[-1] == "1h", "its age")
        told = screen.main.sessions.rows[-1].cells[-1].plain
        moments[0] += timedelta(hours=3)
        screen.main._update_ages()
        await screen.until(lambda: screen.row("work-00").split("│")[-2].split()[-1] == "4h", "its age later")
        assert screen.main.sessions.rows[-1].cells[-1].plain == told  # the row is outside the visible part
        await screen.press("G")
        await screen.until(lambda: screen.row("work-59"), "the last")
        assert screen.row("work-59").split("│")[-2].split()[-1] == "3h"
