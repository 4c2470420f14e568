"""The cursor and the renderer of the table, without an app."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from rich.style import Style
from textual.strip import Strip

from relay_tui.ui.presentation.columns import Column, Row, cell
from relay_tui.ui.presentation.formatting import ASCII, UNICODE
from relay_tui.ui.widgets.table.cursor import TableCursor
from relay_tui.ui.widgets.table.renderer import TableRenderer

COLUMNS = (Column("name", "NAME", grow=1), Column("state", "STATE"))


def index(keys: str) -> dict[str, int]:
    return {key: position for position, key in enumerate(keys)}


def cursor_on(keys: str, key: str) -> TableCursor:
    cursor = TableCursor()
    cursor.after_update({}, index(keys), 0, 10)
    assert cursor.move_to(key)
    return cursor


def test_the_cursor_starts_on_the_first_row() -> None:
    cursor = TableCursor()
    assert (cursor.key, cursor.position, cursor.move_to("a")) == (None, None, False)
    assert cursor.after_update({}, index("abc"), 0, 10) == 0
    assert (cursor.key, cursor.position) == ("a", 0)


@pytest.mark.parametrize(
    ("new", "key", "top"),
    [
        ("abcdefgh", "e", 2),
        ("xyabcdefgh", "e", 4),  # it keeps its line on the screen
        ("hgfedcba", "e", 1),
        ("abcdfgh", "f", 2),  # the row that took its place
        ("abcd", "d", 0),
        ("", None, 0),
    ],
)
def test_the_cursor_keeps_its_key_and_its_line(new: str, key: str | None, top: int) -> None:
    cursor = cursor_on("abcdefgh", "e")
    assert cursor.after_update(index("abcdefgh"), index(new), 2, 4) == top
    assert cursor.key == key


def test_rows_on_the_screen_stay_if_the_cursor_is_scrolled_off() -> None:
    cursor = cursor_on("abcdefgh", "a")
    assert cursor.after_update(index("abcdefgh"), index("axybcdefgh"), 3, 4) == 5
    assert cursor.key == "a"


def test_the_cursor_returns_to_its_key_after_all_rows_were_removed() -> None:
    cursor = cursor_on("abcdefgh", "g")
    assert cursor.after_update(index("abcdefgh"), {}, 4, 4) == 0
    assert cursor.key is None
    assert cursor.after_update({}, index("abcdefgh"), 0, 4) == 3  # so that row 6 is the last of four
    assert cursor.key == "g"


class Styles:
    """Names each style that is asked for by its link."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, ...]] = []

    def __call__(self, *names: str) -> Style:
        self.asked.append(names)
        return Style(link="+".join(names))


def rendered(rows: Sequence[Row], cursor: str = "", width: int = 30, *, focused: bool = True) -> TableRenderer:
    table_cursor = TableCursor()
    table_cursor.index = {row.key: position for position, row in enumerate(rows)}
    table_cursor.move_to(cursor)
    renderer = TableRenderer(COLUMNS, table_cursor, UNICODE, Styles())
    renderer.rows = tuple(rows)
    renderer.set_view(width, 0, focused=focused)
    return renderer


def links(strip: Strip) -> dict[str, str]:
    return {text.strip(): str(style.link) for text, style, _ in strip if style and text.strip()}


ROWS = [Row("a", (cell("alpha"), cell("up", "good"))), Row("b", (cell("beta"), cell("down", "bad")))]


def test_lines_are_header_rows_and_nothing() -> None:
    renderer = rendered(ROWS, "b")
    assert [renderer.line(y).text.split() for y in range(4)] == [
        ["NAME", "STATE"], ["alpha", "up"], ["▌", "beta", "down"], [],
    ]  # fmt: skip
    assert {renderer.line(y).cell_length for y in range(4)} == {30}
    renderer.show_header = False
    assert renderer.line(0).text.split() == ["alpha", "up"]
    assert (renderer.row_at(1), renderer.row_at(2)) == (ROWS[1], None)


def test_the_colour_of_the_focused_cursor_wins() -> None:
    assert links(rendered(ROWS, "b").line(2))["down"] == "bad+cursor"
    assert links(rendered(ROWS, "b", focused=False).line(2))["down"] == "cursor+bad"
    assert links(rendered(ROWS, "a").line(2))["down"] == "bad"


def test_a_row_is_drawn_once_for_as_long_as_it_looks_the_same() -> None:
    renderer = rendered(ROWS)
    strip = renderer.line(1)
    assert renderer.line(1) is strip
    renderer.set_highlight("ALP")
    marked = renderer.line(1)
    assert links(marked)["alp"] == "highlight"
    renderer.set_highlight("")
    assert renderer.line(1) is strip
    renderer.forget_styles()
    assert renderer.line(1) is not strip


def test_only_a_wider_cell_moves_the_columns() -> None:
    renderer = rendered(ROWS)
    assert not renderer.widen([Row("a", (cell("al"), cell("up")))])
    assert renderer.widen([Row("a", (cell("alpha"), cell("up for a day")))])
    renderer.measure_again()
    assert renderer.widen([])


def test_the_placeholder_is_drawn_in_ascii_if_wanted() -> None:
    renderer = TableRenderer(COLUMNS, TableCursor(), ASCII, Styles())
    renderer.placeholder = "Nothing — yet"
    renderer.set_view(30, 0, focused=False)
    assert [renderer.line(y).text.strip() for y in range(3)] == ["", "Nothing ? yet", ""]
