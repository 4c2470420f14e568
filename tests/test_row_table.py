"""The keyed row table: the cursor by key, a still screen, columns that fit, text drawn as it is."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest
from rich.cells import cell_len
from textual import events
from textual.app import App, ComposeResult
from textual.geometry import Offset
from textual.pilot import Pilot
from textual.widgets import Input

from relay_tui.ui.presentation.columns import CellSegment, TableLayout, bar_segments, fit, lay_out, row_segments
from relay_tui.ui.presentation.formatting import ASCII, UNICODE, Glyphs
from relay_tui.ui.widgets.table import renderer
from relay_tui.ui.widgets.table.table import Cell, Column, KeyedTable, Row, cell

NAME = Column("name", "NAME", grow=1, priority=9, min_width=8)
STATE = Column("state", "STATE", priority=8)
BRANCH = Column("branch", "BRANCH", priority=5)
AGE = Column("age", "AGE", priority=1, align="right")
COLUMNS = (NAME, STATE, BRANCH, AGE)
HOSTILE = "[ERROR] [/x] [@click=app.quit]y"


class TableApp(App[None]):
    """App with one table and another widget that takes the focus. It records the messages of the table."""

    CSS = "KeyedTable { height: 1fr; width: 1fr; } Input { dock: bottom; display: none; }"

    def __init__(self, table: KeyedTable) -> None:
        super().__init__()
        self.table = table
        self.moves: list[str | None] = []
        self.chosen: list[str] = []

    def compose(self) -> ComposeResult:
        yield self.table
        yield Input()

    def on_keyed_table_cursor_moved(self, message: KeyedTable.CursorMoved) -> None:
        self.moves.append(message.key)

    def on_keyed_table_row_chosen(self, message: KeyedTable.RowChosen) -> None:
        self.chosen.append(message.key)


def row(key: str, state: str = "running", branch: str = "main", age: str = "1h") -> Row:
    return Row(key, (cell(key), cell(state, "good"), cell(branch), cell(age, "dim")))


def rows(*numbers: int) -> list[Row]:
    return [row(f"row-{number}") for number in numbers]


@asynccontextmanager
async def running(table: KeyedTable, size: tuple[int, int] = (80, 11)) -> AsyncIterator[tuple[TableApp, Pilot[None]]]:
    """The table on a screen of `size`, focused; 10 rows below its header by default."""
    app = TableApp(table)
    async with app.run_test(size=size) as pilot:
        await pilot.pause()
        yield app, pilot


def screen(table: KeyedTable) -> list[str]:
    return [table.render_line(y).text for y in range(table.content_size.height)]


def line_of(table: KeyedTable, text: str) -> int:
    """The screen line that shows `text`."""
    return next(y for y, line in enumerate(screen(table)) if f"{text} " in line)


def marked(table: KeyedTable) -> list[str]:
    return [line for line in screen(table) if line.startswith("▌")]


async def test_the_cursor_stays_on_its_key_through_insert_delete_and_sort() -> None:
    table = KeyedTable(COLUMNS)
    table.set_rows(rows(*range(5)))
    async with running(table) as (app, pilot):
        await pilot.press("j", "j")
        assert table.cursor_key == "row-2"
        for numbers in ((9, 8, 0, 1, 2, 3, 4), (2, 3, 4), (4, 3, 1, 0, 2), (2,)):
            table.set_rows(rows(*numbers))
            assert table.cursor_key == "row-2"
            assert [line[2:7] for line in marked(table)] == ["row-2"]
        await pilot.pause()
        assert app.moves[0] == "row-0"
        assert app.moves[-1] == "row-2"
        assert app.moves.count("row-2") == 1


@pytest.mark.parametrize(
    ("left", "lands_on"),
    [((0, 1, 3, 4), "row-3"), ((0, 1), "row-1"), ((4, 0), "row-4"), ((7, 8, 9), "row-9"), ((7, 8), "row-8")],
    ids=["the next took its place", "none below", "re-sorted", "all others, same place", "all others, the last"],
)
async def test_a_cursor_whose_row_vanished_goes_to_the_nearest(left: tuple[int, ...], lands_on: str) -> None:
    table = KeyedTable(COLUMNS)
    table.set_rows(rows(*range(5)))
    async with running(table) as (app, pilot):
        table.move_to("row-2")
        await pilot.pause()
        table.set_rows(rows(*left))
        await pilot.pause()
        assert table.cursor_key == lands_on
        assert app.moves[-1] == lands_on


async def test_the_cursor_finds_its_key_again_after_all_rows_were_away() -> None:
    table = KeyedTable(COLUMNS)
    table.set_rows(rows(*range(5)))
    async with running(table) as (app, pilot):
        table.move_to("row-3")
        await pilot.pause()
        table.set_rows([])
        await pilot.pause()
        assert table.cursor_key is None
        table.set_rows(rows(*range(5)))
        await pilot.pause()
        assert app.moves[-3:] == ["row-3", None, "row-3"]


async def test_the_cursor_is_on_the_screen_when_rows_come_back_with_their_titles() -> None:
    table = KeyedTable(COLUMNS, placeholder="Nothing.")
    table.set_rows(rows(*range(50)))
    async with running(table) as (_, pilot):
        table.move_to("row-40")
        await pilot.pause()
        table.set_rows([])
        await pilot.pause()
        table.set_rows(rows(*range(50)))
        await pilot.pause()
        assert table.cursor_key == "row-40"
        assert "row-40" in table.visible_keys


async def test_rows_inserted_above_do_not_move_what_is_on_the_screen() -> None:
    table = KeyedTable(COLUMNS)
    table.set_rows(rows(*range(50)))
    async with running(table) as (_, pilot):
        table.move_to("row-30")
        await pilot.press("k", "k")
        before = screen(table)
        table.set_rows(rows(*range(100, 107), *range(50)))
        assert screen(table) == before
        assert table.scroll_offset.y == 28
        table.set_rows(rows(*range(10, 50)))
        await pilot.pause()
        assert screen(table) == before
        assert table.max_scroll_y == 30


async def test_a_reader_who_scrolled_away_from_the_cursor_is_not_moved_either() -> None:
    table = KeyedTable(COLUMNS)
    table.set_rows(rows(*range(50)))
    async with running(table) as (_, pilot):
        table.scroll_to(y=25, animate=False)
        await pilot.pause()
        before = screen(table)
        table.set_rows(rows(0, *range(100, 107), *range(1, 50)))
        await pilot.pause()
        assert screen(table) == before
        assert table.cursor_key == "row-0"
        await pilot.press("j")
        assert table.cursor_key == "row-100"
        assert line_of(table, "row-100") == 1


async def test_the_cursor_keeps_its_screen_line_when_rows_are_sorted_anew() -> None:
    table = KeyedTable(COLUMNS)
    table.set_rows(rows(*range(50)))
    async with running(table) as (_, _pilot):
        table.move_to("row-30")
        line = line_of(table, "row-30")
        table.set_rows(rows(*reversed(range(50))))
        assert line_of(table, "row-30") == line


async def test_only_changed_lines_on_the_screen_are_drawn_again(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[str] = []

    def counted(
        row: Row, columns: Sequence[Column], layout: TableLayout, pattern: re.Pattern[str] | None, glyphs: Glyphs
    ) -> list[CellSegment]:
        drawn.append(row.key)
        return row_segments(row, columns, layout, pattern, glyphs)

    monkeypatch.setattr(renderer, "row_segments", counted)
    table = KeyedTable(COLUMNS)
    before = rows(*range(50))
    table.set_rows(before)

    async def drawn_for(after: Sequence[Row]) -> int:
        await pilot.pause()
        drawn.clear()
        table.set_rows(after)
        await pilot.pause()
        return len(drawn)

    async with running(table) as (_, pilot):
        assert await drawn_for(rows(*range(50))) == 0
        assert await drawn_for([*before[:40], row("row-40", state="stopped"), *before[41:]]) == 0
        assert await drawn_for([before[0], row("row-1", state="stopped"), *before[2:]]) == 1
        assert "stopped" in screen(table)[2]


async def test_two_rows_with_one_key_are_refused() -> None:
    table = KeyedTable(COLUMNS)
    with pytest.raises(ValueError, match="one key"):
        table.set_rows(rows(1, 1))


@pytest.mark.parametrize(
    ("key", "lands_on"),
    [
        ("j", 21),
        ("down", 21),
        ("k", 19),
        ("up", 19),
        ("g", 0),
        ("home", 0),
        ("G", 49),
        ("end", 49),
        ("pagedown", 30),
        ("ctrl+f", 30),
        ("pageup", 10),
        ("ctrl+b", 10),
        ("ctrl+d", 25),
        ("ctrl+u", 15),
    ],
)
async def test_keys_move_the_cursor_and_keep_it_on_the_screen(key: str, lands_on: int) -> None:
    table = KeyedTable(COLUMNS)
    table.set_rows(rows(*range(50)))
    async with running(table) as (app, pilot):
        assert table.move_to("row-20")
        await pilot.press(key)
        await pilot.pause()
        assert table.cursor_key == f"row-{lands_on}"
        assert app.moves[-1] == f"row-{lands_on}"
        assert [line[2:8].rstrip() for line in marked(table)] == [f"row-{lands_on}"]


async def test_keys_can_be_remapped_by_their_ids() -> None:
    table = KeyedTable(COLUMNS)
    table.set_rows(rows(*range(5)))
    async with running(table) as (app, pilot):
        app.set_keymap({"table.down": "x"})
        await pilot.press("x", "x", "j")
        assert table.cursor_key == "row-2"


async def test_move_to_a_key_that_is_not_there_changes_nothing() -> None:
    table = KeyedTable(COLUMNS)
    table.set_rows(rows(0, 1))
    async with running(table):
        assert not table.move_to("row-7")
        assert table.cursor_key == "row-0"


async def test_enter_chooses_the_row_under_the_cursor_and_nothing_without_rows() -> None:
    table = KeyedTable(COLUMNS)
    async with running(table) as (app, pilot):
        await pilot.press("enter", "j", "G", "ctrl+d")
        table.set_rows(rows(0, 1))
        await pilot.press("j", "enter")
        await pilot.pause()
        assert app.chosen == ["row-1"]


async def test_a_click_moves_the_cursor_and_a_second_one_chooses() -> None:
    table = KeyedTable(COLUMNS)
    table.set_rows(rows(*range(50)))
    async with running(table) as (app, pilot):
        table.scroll_to(y=5, animate=False)
        await pilot.click(table, Offset(10, 3))
        assert (table.cursor_key, app.chosen) == ("row-7", [])
        await pilot.click(table, Offset(10, 3))
        await pilot.pause()
        assert app.chosen == ["row-7"]
        await pilot.click(table, Offset(10, 0))
        assert table.cursor_key == "row-7"


async def test_a_double_click_chooses_once_wherever_the_cursor_was() -> None:
    table = KeyedTable(COLUMNS)
    table.set_rows(rows(*range(5)))
    async with running(table) as (app, pilot):
        await pilot.double_click(table, Offset(10, 4))
        await pilot.pause()
        assert app.chosen == ["row-3"]
        await pilot.click(table, Offset(10, 9))
        await pilot.double_click(table, Offset(10, 4))
        await pilot.pause()
        assert app.chosen == ["row-3", "row-3"]


async def test_the_wheel_scrolls_and_leaves_the_cursor() -> None:
    table = KeyedTable(COLUMNS)
    table.set_rows(rows(*range(50)))
    async with running(table) as (app, pilot):
        await pilot.hover(table, Offset(5, 5))
        app.screen.post_message(events.MouseScrollDown(None, 5, 5, 0, 1, 0, False, False, False, 5, 5))
        await pilot.pause()
        assert table.scroll_offset.y > 0
        assert table.cursor_key == "row-0"


async def test_columns_line_up_and_the_right_ones_are_dropped_when_narrow() -> None:
    table = KeyedTable(COLUMNS)
    table.set_rows([row("alpha", branch="feature/x", age="5m"), row("beta", age="12h")])
    async with running(table, (80, 5)) as (_, pilot):
        header, alpha, beta = screen(table)[:3]
        assert header.split() == ["NAME", "STATE", "BRANCH", "AGE"]
        for title, text in (("NAME", "alpha"), ("STATE", "running"), ("BRANCH", "feature/x")):
            assert header.index(title) == alpha.index(text)
        ends = {header.index("AGE") + 3, alpha.index("5m") + 2, beta.index("12h") + 3}
        assert len(ends) == 1
        assert {len(line) for line in screen(table)} == {80}
        shown = []
        for width in (32, 27, 18):
            await pilot.resize_terminal(width, 5)
            await pilot.pause()
            shown.append(screen(table)[0].split())
        assert shown == [["NAME", "STATE", "BRANCH"], ["NAME", "STATE"], ["NAME"]]


def shown(layout: TableLayout) -> list[tuple[int, int]]:
    return [(place.column, place.width) for place in layout.columns]


def test_growing_columns_share_what_is_left_by_weight_and_shrink_before_others_are_dropped() -> None:
    columns = (Column("a", "A", grow=1, min_width=5), Column("b", "B", width=10), Column("c", "C", grow=3))
    assert shown(lay_out(columns, (6, 0, 6), 66)) == [(0, 16), (1, 10), (2, 36)]
    assert shown(lay_out(columns, (60, 0, 8), 40)) == [(0, 20), (1, 10), (2, 8)]
    assert shown(lay_out(columns[:2], (60, 0), 17)) == [(0, 6), (1, 10)]
    assert shown(lay_out(columns[:1], (60,), 3)) == [(0, 3)]
    assert shown(lay_out(columns, (60, 0, 8), 0)) == []


def test_least_and_most_widths_hold() -> None:
    columns = (Column("a", "A", min_width=6), Column("b", "B", max_width=9), Column("c", "C", width=3))
    assert shown(lay_out(columns, (2, 40, 40), 80)) == [(0, 6), (1, 9), (2, 3)]


async def test_columns_only_grow_until_the_table_gets_another_width_or_other_columns() -> None:
    table = KeyedTable((Column("name", "NAME"), STATE))
    table.set_rows([Row("a", (cell("short"), cell("running")))])
    async with running(table) as (_, pilot):
        assert screen(table)[0].index("STATE") == 9
        table.set_rows([Row("a", (cell("a much longer name"), cell("running")))])
        assert screen(table)[0].index("STATE") == 22
        table.set_rows([Row("a", (cell("short"), cell("running")))])
        assert screen(table)[0].index("STATE") == 22
        await pilot.resize_terminal(79, 11)
        await pilot.pause()
        assert screen(table)[0].index("STATE") == 9
        table.set_columns((STATE, Column("name", "NAME")))
        assert screen(table)[0].split() == ["STATE", "NAME"]


async def test_columns_shrink_when_a_row_is_gone_and_not_when_a_filter_hides_it() -> None:
    table = KeyedTable((Column("name", "NAME"), STATE))
    short, long = (Row(name, (cell(name), cell("running"))) for name in ("short", "a much longer name"))
    table.set_rows([short, long])
    async with running(table):
        assert screen(table)[0].index("STATE") == 22
        table.set_rows([short])
        assert screen(table)[0].index("STATE") == 22
        table.set_rows([short, long], all_of_them=True)
        table.set_rows([short], all_of_them=True)
        assert screen(table)[0].index("STATE") == 9


async def test_nothing_moves_sideways_when_the_scrollbar_appears() -> None:
    table = KeyedTable(COLUMNS)
    table.set_rows(rows(*range(10, 15)))
    async with running(table) as (_, pilot):
        before = screen(table)[1]
        table.set_rows(rows(*range(10, 60)))
        await pilot.pause()
        assert table.show_vertical_scrollbar
        assert screen(table)[1] == before


@pytest.mark.parametrize(
    ("text", "width", "middle", "expected"),
    [
        ("abcdefgh", 8, False, "abcdefgh"),
        ("abcdefgh", 5, False, "abcd…"),
        ("abc defgh", 5, False, "abc… "),
        ("abcdefgh", 5, True, "ab…gh"),
        ("feature/login-page", 10, True, "featu…page"),
        ("日本語テキスト", 6, False, "日本… "),
        ("日本語テキスト", 7, False, "日本語…"),
        ("日本語テキスト", 8, True, "日本…ト "),
        ("e\u0301e\u0301e\u0301e\u0301", 3, False, "e\u0301e\u0301…"),
        ("e\u0301e\u0301e\u0301e\u0301", 3, True, "e\u0301…e\u0301"),
        ("abc", 1, False, "a"),
        ("日", 1, False, " "),
        ("abc", 0, False, ""),
    ],
)
def test_text_is_cut_to_whole_characters_and_padded_to_its_width(
    text: str, width: int, middle: bool, expected: str
) -> None:
    drawn = "".join(piece for piece, _ in fit([(text, ())], width, UNICODE, middle=middle))
    assert cell_len(drawn) == width
    assert drawn == expected


def test_a_cut_keeps_the_tones_of_what_is_left() -> None:
    runs: list[CellSegment] = [("good", ("good",)), ("badly", ("bad",)), ("rest", ())]
    assert fit(runs, 7, UNICODE) == [("good", ("good",)), ("ba", ("bad",)), ("…", ("bad",))]


async def test_wide_characters_and_combining_marks_keep_the_columns_in_line() -> None:
    table = KeyedTable(COLUMNS)
    names = ("plain", "日本語", "e\u0301e\u0301e\u0301", "한국어 mixed")
    table.set_rows([row(name) for name in names])
    async with running(table, (60, 6)):
        starts = {cell_len(line[: line.index("running")]) for line in screen(table)[1:5]}
        assert len(starts) == 1
        assert {cell_len(line) for line in screen(table)} == {60}


async def test_text_that_looks_like_markup_is_drawn_as_it_is() -> None:
    table = KeyedTable((Column("a", HOSTILE), STATE), placeholder=HOSTILE)
    async with running(table) as (app, pilot):
        assert HOSTILE in screen(table)[1]
        table.highlight = "[/x]"
        table.set_rows([Row("a", (cell(HOSTILE, "bad"), cell("x")), wide=cell(HOSTILE), progress=0.5)])
        await pilot.click(table, Offset(25, 1))
        assert HOSTILE in screen(table)[0]
        assert screen(table)[1].count(HOSTILE) == 2
        assert app.is_running


@pytest.mark.parametrize("text", ["", "\n", "a\nb\x1b[31m", "\u202e", "\ud800", "👩‍💻" * 40, "\u0301" * 9, "\t"])
@pytest.mark.parametrize("ascii_mode", [False, True])
async def test_no_text_can_break_the_table(text: str, ascii_mode: bool) -> None:
    table = KeyedTable(COLUMNS, ascii=ascii_mode)
    table.set_rows([Row("a", (cell(text), Cell(), Cell(((text, "bad"), (text, "")))), wide=None), Row("b", ())])
    table.set_rows([Row("a", (cell(text),), wide=cell(text), progress=float("nan"))])
    async with running(table, (20, 4)):
        table.highlight = text
        assert {len(screen(table))} == {4}


async def test_the_wide_cell_is_drawn_over_the_cells_from_its_column_on() -> None:
    table = KeyedTable((NAME, STATE, Column("branch", "BRANCH", grow=9), AGE))
    words = "Receiving objects 37% 12.3 MiB at 3.4 MiB/s"
    cells = (cell("one"), cell("cloning"), cell("h" * 60), cell("9d"))
    table.set_rows([Row("one", cells, cell(words), 2, 0.37), Row("two", cells, cell(words), 2, 1.0), row("three")])
    async with running(table, (100, 6)) as (_, pilot):
        header, one, two = screen(table)[:3]
        assert f"━━━╸────── {words} " in one
        assert f"━━━━━━━━━━ {words} " in two
        assert header.index("BRANCH") == one.index("━")
        assert "hhh" not in one
        await pilot.resize_terminal(41, 6)
        await pilot.pause()
        one = screen(table)[1]
        assert one.split() == ["▌", "one", "cloning", "Receiving", "objects", "3…"]


async def test_a_wide_cell_short_of_room_starts_behind_the_content_before_it() -> None:
    table = KeyedTable((NAME, STATE, AGE))
    table.set_rows([Row("a", (cell("short-name"),), cell("x" * 50)), Row("b", (cell("b"),), cell("y")), row("c")])
    async with running(table, (70, 6)) as (_, pilot):
        header, long, short = screen(table)[:3]
        assert "short-name  " + "x" * 50 in long
        assert long.index("x") == short.index("y") < header.index("STATE")
        for width, expected in ((33, "short-name x"), (18, "short-name  "), (14, "short-name")):
            await pilot.resize_terminal(width, 6)
            await pilot.pause()
            assert screen(table)[1][2:].startswith(expected)


@pytest.mark.parametrize(
    ("progress", "bar", "ascii_bar"),
    [(0, "──────────", "----------"), (0.05, "╸─────────", "----------"), (0.5, "━━━━━─────", "#####-----"),
     (1, "━━━━━━━━━━", "##########"), (7, "━━━━━━━━━━", "##########"), (-1, "──────────", "----------")],
)  # fmt: skip
def test_the_bar_is_always_ten_cells(progress: float, bar: str, ascii_bar: str) -> None:
    assert "".join(text for text, _ in bar_segments(progress, UNICODE)) == bar
    assert "".join(text for text, _ in bar_segments(progress, ASCII)) == ascii_bar


async def test_without_rows_the_placeholder_is_wrapped_below_an_empty_line() -> None:
    table = KeyedTable(COLUMNS, placeholder="No sessions yet.\nPress n to open one on any branch.")
    async with running(table, (24, 8)) as (_, pilot):
        assert [line.strip() for line in screen(table)[:5]] == [
            "", "No sessions yet.", "Press n to open one", "on any branch.", "",
        ]  # fmt: skip
        table.placeholder = "Nothing matches."
        assert screen(table)[1].strip() == "Nothing matches."
        table.set_rows(rows(1))
        await pilot.pause()
        assert "NAME" in screen(table)[0]
        assert "Nothing" not in "".join(screen(table))


async def test_the_header_can_be_left_out() -> None:
    table = KeyedTable(COLUMNS, show_header=False)
    table.set_rows(rows(*range(50)))
    async with running(table) as (_, pilot):
        assert "row-0" in screen(table)[0]
        await pilot.press("G")
        assert "row-49" in screen(table)[10]
        table.show_header = True
        await pilot.pause()
        assert "NAME" in screen(table)[0]


async def test_ascii_mode_draws_nothing_but_ascii() -> None:
    columns = (Column("name", "NAMÉ", max_width=12), STATE, BRANCH)
    table = KeyedTable(columns, ascii=True, placeholder="… nothing — yet")
    async with running(table, (70, 6)):
        assert "".join(screen(table)).isascii()
        table.set_rows(
            [
                Row("a", (cell("日本語"), cell("ok"), cell("main"))),
                Row("b", (cell("a name too long to show"), cell("ok"), cell("main"))),
                Row("c", (cell("c"), cell("cloning")), wide=cell("Receiving — objects"), progress=0.5),
            ]
        )
        assert "".join(screen(table)).isascii()
        assert screen(table)[1].startswith("> ???  ")
        assert "a name to..." in screen(table)[2]
        assert "#####----- Receiving ? objects" in screen(table)[3]
        assert len({line.index("ok") for line in screen(table)[1:3]}) == 1


async def test_occurrences_of_the_filter_are_marked_in_any_case_and_across_spans() -> None:
    table = KeyedTable(COLUMNS)
    table.set_rows([Row("a", (Cell((("Fea", "dim"), ("ture-x feature", "bold"))), cell("running")))])
    async with running(table) as (app, pilot):
        app.query_one(Input).display = True
        app.query_one(Input).focus()
        await pilot.pause()

        def underlined() -> str:
            return "".join(text for text, style, _ in table.render_line(1) if style and style.underline)

        assert underlined() == ""
        table.highlight = "FEATURE"
        assert underlined() == "Featurefeature"
        table.highlight = "(("
        assert underlined() == ""


async def test_the_cursor_shows_over_the_whole_row_and_stronger_when_focused() -> None:
    table = KeyedTable(COLUMNS)
    table.set_rows(rows(0, 1))
    async with running(table) as (app, pilot):
        app.query_one(Input).display = True

        def backgrounds(y: int) -> set[str]:
            return {str(style.bgcolor) for _, style, _ in table.render_line(y) if style}

        focused, plain = backgrounds(1), backgrounds(2)
        app.query_one(Input).focus()
        await pilot.pause()
        blurred = backgrounds(1)
        assert len(focused) == len(blurred) == len(plain) == 1
        assert len(focused | blurred | plain) == 3
        assert len(marked(table)) == 1


async def test_strips_are_drawn_in_the_colours_of_a_new_theme() -> None:
    table = KeyedTable(COLUMNS)
    table.set_rows(rows(0, 1))
    async with running(table) as (app, pilot):
        before = table.render_line(2)
        app.theme = "textual-light"
        await pilot.pause()
        assert list(table.render_line(2)) != list(before)


async def test_the_cursor_stays_on_the_screen_when_the_table_shrinks() -> None:
    table = KeyedTable(COLUMNS)
    table.set_rows(rows(*range(50)))
    async with running(table, (80, 31)) as (_, pilot):
        table.move_to("row-29")
        await pilot.resize_terminal(80, 8)
        await pilot.pause()
        assert len(marked(table)) == 1
