"""The Changes tab: the changed files and the diff of one of them, or of all, side by side where there is room."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Callable
from typing import Protocol

from textual import events, on
from textual.app import ComposeResult
from textual.containers import Container, Vertical
from textual.content import Content
from textual.timer import Timer
from textual.widgets import Static

from relay_tui.domain.changes import ChangeSet, DiffBase, FileChange, Patch
from relay_tui.domain.errors import Fault, NotComparableError, RelayError
from relay_tui.domain.models import Session
from relay_tui.text.sanitize import clean, clean_block, to_ascii
from relay_tui.ui.changes.diff_parser import Diff, parse_diff
from relay_tui.ui.changes.diff_view import DiffView
from relay_tui.ui.changes.file_list import AGAINST, ALL, COLUMNS, describe_file, empty_text, file_rows, summary
from relay_tui.ui.keys.actions import key_of
from relay_tui.ui.presentation.formatting import TONES, Tone, format_hint
from relay_tui.ui.widgets.table.table import KeyedTable

SETTLE = 0.12  # seconds the cursor rests on a session or a file before git is asked
SIDE_BY_SIDE = 100  # cells from which the list stands beside the diff
_ORDER = tuple(DiffBase)
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")


class ChangesOf(Protocol):
    """Source of changes. Both methods are slow and raise RelayError if the state cannot be determined."""

    def changes(self, session_id: str, against: DiffBase) -> ChangeSet:
        """The changed files of a session."""
        ...

    def patch(self, session_id: str, against: DiffBase, path: str = "") -> Patch:
        """The diff of one of them, or with '' of all."""
        ...


class ChangesTab(Vertical):
    """Asks for changes when it is seen, never before; what is shown stays until newer is there."""

    DEFAULT_CSS = """
    ChangesTab { height: 1fr; }
    ChangesTab #against { height: 1; padding: 0 1; text-wrap: nowrap; text-overflow: ellipsis; }
    ChangesTab #changed { height: 1fr; layout: horizontal; }
    ChangesTab #files { width: 32%; min-width: 40; max-width: 64; height: 1fr; border-right: vkey $surface-lighten-2; }
    ChangesTab DiffView { width: 1fr; height: 1fr; }
    ChangesTab.-stacked #changed { layout: vertical; }
    ChangesTab.-stacked #files { width: 1fr; max-width: 100%; height: 40%; border-right: none; }
    ChangesTab.-stacked #files { border-bottom: hkey $surface-lighten-2; }
    ChangesTab.-one #files { display: none; width: 1fr; max-width: 100%; border-right: none; }
    ChangesTab.-one.-list #files { display: block; }
    ChangesTab.-one.-list DiffView { display: none; }
    ChangesTab.-nothing #files { display: none; }
    ChangesTab.-nothing DiffView { display: block; }
    ChangesTab.-ascii #against { text-overflow: clip; }
    ChangesTab.-ascii #files { border-right: ascii $surface-lighten-2; border-bottom: none; }
    ChangesTab.-ascii.-stacked #files { border-right: none; border-bottom: ascii $surface-lighten-2; }
    ChangesTab.-ascii.-one #files { border-right: none; }
    """

    def __init__(self, source: ChangesOf, *, plain: bool) -> None:
        super().__init__(id="changes", classes="-ascii" if plain else None)
        self._source = source
        self._ascii = plain
        self._session: Session | None = None
        self._against = DiffBase.HEAD
        self._changes: ChangeSet | None = None
        self._shown: tuple[str, DiffBase, str] | None = None
        self._seen: object = None
        self._settling: dict[str, Timer] = {}
        self._asked = 0

    def compose(self) -> ComposeResult:
        """One line about all of it, the list, the diff."""
        yield Static(id="against", markup=False)
        with Container(id="changed"):
            yield KeyedTable(COLUMNS, ascii=self._ascii, show_header=False, id="files")
            yield DiffView(ascii_only=self._ascii, id="diff")

    # --- the parts ---

    @property
    def files(self) -> KeyedTable:
        """The list."""
        return self.query_one("#files", KeyedTable)

    @property
    def view(self) -> DiffView:
        """The diff."""
        return self.query_one(DiffView)

    @property
    def path(self) -> str:
        """The path of the file that keys are about; '' if there is none."""
        if self.screen.focused is self.view and (file := self.view.file) >= 0 and self.files.cursor_key == ALL:
            return self.view.diff.paths[file]
        return self.files.cursor_key or ""

    @property
    def session(self) -> Session | None:
        """Session whose changes are shown."""
        return self._session

    # --- what is asked for ---

    def show(self, session: Session | None, seen: object = None) -> None:
        """Show this session. `seen` is the last known status of its clone; a new status reloads the changes."""
        other = (session.id if session else "") != (self._session.id if self._session else "")
        fresh = other or seen != self._seen
        self._session, self._seen = session, seen
        if other:
            self._asked += 1
            self._changes, self._shown = None, None
            self.files.set_rows([])
            self._say("Checking for changes …" if session else "")
        if fresh and session is not None and self.is_displayed:
            self._soon(self._look)

    @property
    def is_displayed(self) -> bool:
        """Whether this tab is visible."""
        return self.display and self.is_mounted

    def on_show(self) -> None:
        """Only now is it worth asking."""
        if self._session is not None:
            self._soon(self._look)

    def look_again(self) -> None:
        """Load the changes again."""
        self._soon(self._look)

    def _soon(self, call: Callable[[], object]) -> None:
        """Call it when the cursor has rested; once, however often this is asked for until then."""
        waiting = self._settling.get(call.__name__)
        if waiting is not None:
            waiting.stop()
        self._settling[call.__name__] = self.set_timer(SETTLE, call)

    def _look(self) -> None:
        session = self._session
        if session is not None and self.is_displayed:
            self.run_worker(self._looking(session), group="changes", exclusive=True)

    async def _looking(self, session: Session) -> None:
        self._asked += 1
        asked, against = self._asked, self._against
        if self._changes is None:
            self._entitle(("Checking for changes …", "dim"))
        try:
            changes = await asyncio.to_thread(self._source.changes, session.id, against)
        except NotComparableError as error:
            if asked == self._asked:
                other = AGAINST[_ORDER[(_ORDER.index(against) + 1) % len(_ORDER)]]
                closing = f"{key_of('compare')} compares with {other} instead."
                self._instead(error.fault, closing, ("against ", "dim"), (AGAINST[against], "accent"))
        except RelayError as error:
            if asked == self._asked:
                closing = f"Unknown counts as unsaved work. {key_of('look_again')} looks again."
                self._instead(error.fault, closing, ("? unknown", "busy"))
        else:
            if asked == self._asked:
                self._take(changes)

    def _take(self, changes: ChangeSet) -> None:
        """Show the files; the cursor stays on its file."""
        session = self._session
        if session is None:
            return
        self._changes = changes
        self._entitle(*summary(changes, session.base_branch))
        rows = file_rows(changes)
        had_focus = self.screen.focused is self.files
        came_first = self.screen.focused is self.view and self.has_class("-nothing")  # before there was a list
        self.set_class(not rows, "-nothing")
        self.files.set_rows(rows)
        if not rows:
            self._shown = None
            self.view.say(empty_text(changes, session.base_branch))
            if had_focus:
                self.screen.set_focus(self.view)
            return
        if came_first:
            self.take_focus()
        self._soon(self._look_at_file)

    def _instead(self, fault: Fault, closing: str, *title: tuple[str, Tone]) -> None:
        """Say why there are no changes to show, and what can be done."""
        self._changes, self._shown = None, None
        self._entitle(*title)
        self.files.set_rows([])
        parts = [clean(fault.title), clean_block(fault.detail), format_hint(fault.hint), closing]
        self._say("\n\n".join(filter(None, parts)))

    def _say(self, words: str) -> None:
        self.set_class(True, "-nothing")
        self.view.say(words)

    def _entitle(self, *spans: tuple[str, Tone]) -> None:
        shown = to_ascii if self._ascii else str
        self.query_one("#against", Static).update(Content.assemble(*((shown(text), TONES[t]) for text, t in spans)))

    # --- one file ---

    @on(KeyedTable.CursorMoved, "#files")
    def file_moved(self) -> None:
        """The diff follows the list, once the cursor rests."""
        if self._changes is not None:
            self._soon(self._look_at_file)

    @on(KeyedTable.RowChosen, "#files")
    def file_chosen(self) -> None:
        """On to its diff."""
        self._focus_diff()

    def _look_at_file(self) -> None:
        session, changes, key = self._session, self._changes, self.files.cursor_key
        if session is None or changes is None or key is None or not self.is_displayed:
            return
        self.run_worker(self._looking_at(session, changes, key), group="patch", exclusive=True)

    async def _looking_at(self, session: Session, changes: ChangeSet, path: str) -> None:
        about = (session.id, changes.against, path)
        file = next((file for file in changes.files if file.path == path), None)
        if self._shown != about:
            self.view.say("…")
        try:
            patch = await asyncio.to_thread(self._source.patch, session.id, changes.against, path)
            diff = await asyncio.to_thread(parse_diff, patch.text)
        except RelayError as error:
            if self._is_still(about):
                fault = error.fault
                self._shown = None
                self.view.say("\n".join([*map(clean, (fault.title, fault.detail)), "", format_hint(fault.hint)]))
            return
        if self._is_still(about):
            keep = self._shown == about
            self._shown = about
            self._show_diff(diff, file, patch, keep=keep)

    def _is_still(self, about: tuple[str, DiffBase, str]) -> bool:
        session, key = self._session, self.files.cursor_key
        return session is not None and about == (session.id, self._against, key)

    def _show_diff(self, diff: Diff, file: FileChange | None, patch: Patch, *, keep: bool) -> None:
        if file is not None and not diff.hunks:
            self.view.say(describe_file(file))
        elif keep and diff == self.view.diff:
            return
        else:
            self.view.show(diff, keep=keep)
        if patch.cut:
            self.notify("The diff is too long to be shown whole: its end is missing.", severity="warning")

    # --- what keys do ---

    def compare_with_next(self) -> None:
        """Tell changes against the next of: the last commit, the branch point, the upstream."""
        self._against = _ORDER[(_ORDER.index(self._against) + 1) % len(_ORDER)]
        self._changes = None
        self._look()

    def jump_file(self, step: int) -> None:
        """The next file, or the one before: within a diff of all, else in the list."""
        if self.files.cursor_key == ALL and self.screen.focused is self.view:
            self.view.jump_file(step)
        elif step > 0:
            self.files.action_cursor_down()
        elif [row.key for row in self.files.rows[:2]] != [ALL, self.files.cursor_key]:
            self.files.action_cursor_up()

    def jump_hunk(self, step: int) -> None:
        """The next hunk, or the one before; past the last one, the next file's first."""
        if not self.view.jump_hunk(step):
            self.jump_file(step)

    def copy_hunk(self) -> None:
        """The hunk that is marked, as a patch has it, into the clipboard of the user's own terminal."""
        view = self.view
        if view.hunk < 0:
            self.notify("No hunk on this line.", severity="warning")
            return
        self.app.copy_to_clipboard(_CONTROLS.sub("", view.diff.hunk_text(view.hunk)))
        self.notify("Copied the hunk.")

    def copy_path(self) -> None:
        """The file's path in the repository. What no path should have does not get into a clipboard."""
        if self.path:
            path = clean(os.fsencode(self.path), limit=4096)
            self.app.copy_to_clipboard(path)
            self.notify(f"Copied {clean(path, limit=120)}", markup=False)

    # --- focus and room ---

    def take_focus(self) -> None:
        """Focus the list, or the diff where there is no list."""
        self.set_class(True, "-list")
        self.screen.set_focus(self.files if self.files.rows else self.view)

    def _focus_diff(self) -> None:
        self.set_class(False, "-list")
        self.screen.set_focus(self.view)

    def back(self) -> bool:
        """From the diff to the list; False if that is not where we are."""
        if self.screen.focused is not self.view or not self.files.rows:
            return False
        self.take_focus()
        return True

    def forth(self) -> bool:
        """From the list to the diff; False if that is not where we are."""
        if self.screen.focused is not self.files:
            return False
        self._focus_diff()
        return True

    def on_descendant_focus(self, _: events.DescendantFocus) -> None:
        """Show the focused part if only one fits."""
        self.set_class(self.screen.focused is self.files, "-list")

    def on_resize(self) -> None:
        """Arrange the two for the room there is."""
        self._fit()

    def watch_virtual_size(self) -> None:
        """A layout that comes right after a scrolling one tells what it newly shows of no resizing."""
        self._fit()

    def _fit(self) -> None:
        """Side by side, one over the other, or one of them."""
        width, height = self.size
        wide = width >= SIDE_BY_SIDE
        self.set_class(not wide and height >= 16, "-stacked")
        self.set_class(not wide and height < 16, "-one")
