"""Resource use on the screen: figures and sparklines of the selected session, and columns of all visible sessions."""

from __future__ import annotations

from pathlib import Path

import pytest
from fakes import Rig, build
from on_screen import Shown, a_project, a_session, shown
from rich.cells import cell_len

from relay_tui.domain.errors import EngineError
from relay_tui.domain.models import Session, SessionState
from relay_tui.ports import Stats
from relay_tui.ui.presentation import stats
from relay_tui.ui.widgets.stats_line import StatsLine

HALF = Stats(
    at=1.0,
    cpu=1.0,
    cpus=2,
    memory=223_500_000,
    memory_limit=8 << 30,
    pids=34,
    pids_limit=4096,
    received=1229.0,
    sent=300.0,
)
NOTHING_KNOWN = Stats(at=1.0)


# --- words -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("size", "words"),
    [(None, "\u2013"), (0, "0B"), (999, "999B"), (1000, "1.0K"), (10_000, "9.8K"), (10_240, "10K"), (1 << 40, "1.0T")],
)
def test_short_size(size: float | None, words: str) -> None:
    """Never more than four characters."""
    assert stats.short_size(size) == words


def test_every_size_is_short() -> None:
    """At every border between two units."""
    sizes = [
        base * factor for base in (1, 9.95, 99.5, 999.4, 999.6, 1023.9) for factor in (1, 1 << 10, 1 << 20, 1 << 40)
    ]
    assert max(len(stats.short_size(size)) for size in sizes) <= 4


@pytest.mark.parametrize(
    ("values", "plain", "ascii_only"),
    [
        ([0.0, 0.5, 1.0], "▁▅█", "_=#"),
        ([1.5, -0.5], " █▁", " #_"),
        ([None, 0.2], "  ▂", "  ."),
        ([], "   ", "   "),
        ([0.1, 0.2, 0.3, 1.0], "▂▃█", ".:#"),
    ],
)
def test_sparkline(values: list[float | None], plain: str, ascii_only: str) -> None:
    """The newest at the right, a gap where nothing is known."""
    assert stats.sparkline(values, 3) == plain
    assert stats.sparkline(values, 3, ascii_only=True) == ascii_only


@pytest.mark.parametrize("width", [0, 10, 24, 30, 44, 60, 80, 110, 200])
@pytest.mark.parametrize("reading", [HALF, NOTHING_KNOWN])
@pytest.mark.parametrize("ascii_only", [False, True])
def test_line_fits(width: int, reading: Stats, ascii_only: bool) -> None:
    """As much as there is room for, in ASCII where that is asked for; CPU and memory stay the longest."""
    plain = stats.stats_line([reading] * 3, width, ascii_only=ascii_only).plain
    assert cell_len(plain) <= width
    assert plain.isascii() or not ascii_only
    assert ("cpu" in plain and "mem" in plain) == (width >= 24)
    assert ("net" in plain) == (width >= 80)


def test_line_stays_as_wide() -> None:
    """Nothing jumps when a figure gets another digit."""
    small = Stats(at=2.0, cpu=0.02, cpus=2, memory=9, memory_limit=8 << 30, pids=1, pids_limit=4096, received=0, sent=0)
    assert len(stats.stats_line([HALF], 200).plain) == len(stats.stats_line([small], 200).plain)


def test_memory_that_is_nearly_full_is_marked() -> None:
    """The table marks it; the figure is also readable without its colour."""
    full = stats.stats_cells([Stats(at=1.0, memory=95, memory_limit=100)])
    assert full[1].spans[0][1] == "bad"
    assert stats.stats_cells([Stats(at=1.0, memory=50, memory_limit=100)])[1].spans[0][1] == ""
    assert [cell.plain for cell in stats.stats_cells([NOTHING_KNOWN])] == ["\u2013"] * 5
    assert [cell.plain for cell in stats.stats_cells([])] == ["…"] * 5


# --- the screen --------------------------------------------------------------------------------------------------


def stats_line(screen: Shown) -> str:
    """Return the text beside the tabs."""
    return str(screen.main.query_one(StatsLine).render()).strip()


class Scene:
    """Thirty running sessions and a stopped one."""

    def __init__(self, rig: Rig) -> None:
        self.rig = rig
        self.project = a_project(rig, "alpha")
        self.running = [a_session(rig, self.project, f"work-{number:02}") for number in range(30)]
        self.stopped = a_session(rig, self.project, "zero", SessionState.STOPPED)

    def measure(self, session: Session, *readings: Stats) -> None:
        """Have the engine read these."""
        self.rig.engine.of(session).measure(*readings)

    def read(self) -> set[str]:
        """The names of the sessions whose streams are open."""
        names = {session.container_id: session.name for session in [*self.running, self.stopped]}
        return {names[key] for key, stream in self.rig.engine.measured.items() if not stream.closed}


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(build(tmp_path / "data"))


async def test_the_selected_session_alone_is_read(scene: Scene) -> None:
    """Figures beside the tabs; another selection, another stream; nothing for one that does not run."""
    async with shown(scene.rig) as screen:
        await screen.until(lambda: stats_line(screen) == "measuring")
        await screen.until(lambda: scene.read() == {"work-00"})
        scene.measure(scene.running[0], NOTHING_KNOWN, HALF)
        await screen.until(lambda: "cpu  50%" in stats_line(screen))
        assert "mem 213M" in stats_line(screen)
        assert "▅" in stats_line(screen)
        await screen.press("j")
        assert stats_line(screen) == "measuring"
        await screen.until(lambda: scene.read() == {"work-01"})
        await screen.press("G")
        assert stats_line(screen) == ""
        await screen.until(lambda: scene.read() == set())


async def test_nothing_is_read_for_what_is_not_to_be_seen(scene: Scene) -> None:
    """A form over the screen, the zoom on another pane."""
    async with shown(scene.rig) as screen:
        await screen.until(lambda: scene.read() == {"work-00"})
        await screen.press("question_mark")
        await screen.sees("esc closes")
        await screen.until(lambda: scene.read() == set())
        await screen.press("escape")
        await screen.until(lambda: scene.read() == {"work-00"})
        await screen.press("z")
        await screen.press("j", "k")
        await screen.until(lambda: scene.read() == set())


async def test_columns_of_what_is_on_the_screen(scene: Scene) -> None:
    """Switched on: every running session that is to be seen is read, and no other; switched off, none but one."""
    async with shown(scene.rig, size=(160, 45)) as screen:
        await screen.press("v")
        await screen.sees("WORK CPU MEM PIDS RECV/s SENT/s AGE")
        seen = screen.main.sessions.visible_keys
        names = {session.name for session in scene.running if session.id in seen}
        assert 3 < len(names) < 30
        await screen.until(lambda: scene.read() == names)
        assert "…" in screen.row("work-01")
        scene.measure(scene.running[1], NOTHING_KNOWN, HALF)
        await screen.until(lambda: "50%   213M     34    1.2K    300B" in screen.row("work-01"))
        await screen.press("G")
        await screen.until(lambda: {"work-29"} <= scene.read() and "work-00" not in scene.read())
        assert "…" not in screen.row("zero")
        await screen.press("v")
        await screen.until(lambda: scene.read() == set())
        await screen.sees("WORK RUNS ON AGE")


async def test_a_session_that_stops_loses_its_figures(scene: Scene) -> None:
    """At once, and they come back with it."""
    async with shown(scene.rig) as screen:
        await screen.until(lambda: scene.read() == {"work-00"})
        scene.measure(scene.running[0], HALF)
        await screen.until(lambda: "mem 213M" in stats_line(screen))
        scene.rig.engine.end(scene.running[0], 3)
        await screen.until(lambda: stats_line(screen) == "")


async def test_an_engine_that_cannot_say_is_told(scene: Scene) -> None:
    """In words, where the figures would be."""
    scene.rig.engine.failures["stats"] = EngineError("The readings cannot be had", "no cgroup")
    async with shown(scene.rig) as screen:
        await screen.until(lambda: stats_line(screen) == "no figures: The readings cannot be had")


async def test_the_key_bar_names_the_key_that_applies(scene: Scene) -> None:
    """To stop what runs, to start what does not."""
    async with shown(scene.rig, size=(160, 45)) as screen:
        assert " S stop " in screen.keys
        await screen.press("G")
        await screen.until(lambda: " S start " in screen.keys)
