"""Notifications of the application: a few lines above everything else, at the bottom of the screen on top.

Textual's own notifications can neither replace one another nor be placed without its private parts.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from textual.app import App
from textual.containers import Vertical
from textual.content import Content
from textual.geometry import Size
from textual.markup import MarkupError
from textual.notifications import Notification
from textual.screen import Screen
from textual.widgets import Input, Static

_EDGES = 4  # cells of a line beside its text: two of the frame below it, the coloured edge, one space


class FlashMessages:
    """The messages of an application and the rules by which one takes the place of another."""

    def __init__(self, app: App[Any]) -> None:
        self.current: tuple[Notification, ...] = ()
        """The messages that are shown, the newest last."""
        self._app = app
        self._follows_screens = False

    def show(self, message: Notification) -> None:
        """Show `message` until its timeout.

        It replaces a message of the same words, and information that is shown for the usual time at most. Warnings,
        errors and information that is to be read for longer stay beside it.
        """
        usual = self._app.NOTIFICATION_TIMEOUT
        self.current = (*(before for before in self.current if not _gives_way(before, message, usual)), message)
        if not self._follows_screens:
            self._follows_screens = True
            self._app.screen_change_signal.subscribe(self._app, self._draw)
        self._app.set_timer(message.timeout, partial(self.remove, message))
        self._draw(self._app.screen)

    def remove(self, message: Notification) -> None:
        """Remove `message` if it is still shown."""
        if any(shown is message for shown in self.current):
            self.current = tuple(shown for shown in self.current if shown is not message)
            self._draw(self._app.screen)

    def _draw(self, screen: Screen[Any]) -> None:
        """Show the messages on `screen`. A screen gets its bar with its first message: most never need one."""
        bar = next(iter(screen.query_children(FlashBar)), None)
        if bar is not None:
            bar.show(self.current)
        elif self.current and screen.is_attached:
            screen.mount(FlashBar(self))


def _gives_way(before: Notification, message: Notification, usual: float) -> bool:
    return before.message == message.message or (before.severity == "information" and before.timeout <= usual)


class FlashBar(Vertical):
    """The messages on one screen, wrapped.

    The last line is drawn over the key bar, or above the line that is typed in. Lines above it are drawn over the
    panes' lower frame, no wider than their text, so that the frame stays visible around them.
    """

    DEFAULT_CSS = """
    FlashBar {
        layer: flash;
        dock: bottom;
        width: 100%;
        height: auto;
        visibility: hidden;
        &.-above { margin-bottom: 1; }
    }
    FlashLine {
        visibility: visible;
        width: auto;
        height: 1;
        margin: 0 1;
        padding-right: 1;
        background: $panel-lighten-1;
        text-wrap: nowrap;
        &.-last { width: 1fr; margin: 0; padding: 0 1; }
        &.-information { border-left: outer $success; }
        &.-warning { border-left: outer $warning; }
        &.-error { border-left: outer $error; }
        &:ansi { background: $ansi-background; }
    }
    """

    def __init__(self, messages: FlashMessages) -> None:
        super().__init__()
        self._messages = messages
        self._lines: list[FlashLine] = []
        self._size_shown = Size(0, 0)

    def on_mount(self) -> None:
        """Show the messages; move when an input gets or loses the focus."""
        self.watch(self.screen, "focused", self._move)
        self.show(self._messages.current)

    def fit_width(self) -> None:
        """Wrap the messages again if the screen has another width."""
        if self.app.size != self._size_shown:
            self.show(self._messages.current)

    def show(self, messages: Sequence[Notification]) -> None:
        """Show `messages`, the newest at the bottom. The bar takes half of the screen at most."""
        self._size_shown = self.app.size
        width, height = self._size_shown
        lines = _fitting(messages, max(1, width - _EDGES), max(1, height // 2))
        while len(self._lines) > len(lines):
            self._lines.pop().remove()
        missing = [FlashLine() for _ in lines[len(self._lines) :]]
        self._lines += missing
        for line, (message, content) in zip(self._lines, lines, strict=True):
            line.show(message, content, last=line is self._lines[-1])
        if missing:
            self.mount(*missing)
        self._move()
        self.display = bool(lines)

    def _move(self) -> None:
        self.set_class(isinstance(self.screen.focused, Input), "-above")

    def dismiss(self, message: Notification) -> None:
        """Remove a message that was clicked."""
        self._messages.remove(message)


class FlashLine(Static):
    """One line of a message."""

    def __init__(self) -> None:
        super().__init__(markup=False)
        self.message: Notification | None = None

    def show(self, message: Notification, content: Content, *, last: bool) -> None:
        """Show `content`, which is a line of `message`."""
        self.message = message
        self.set_classes(f"-{message.severity}")
        self.set_class(last, "-last")
        self.update(content)

    def on_resize(self) -> None:
        """Let the bar fit its width: a hidden container, as the bar is for being transparent, gets no such event."""
        if isinstance(self.parent, FlashBar):
            self.parent.fit_width()

    def on_click(self) -> None:
        """Remove the message."""
        if isinstance(self.parent, FlashBar) and self.message is not None:
            self.parent.dismiss(self.message)


def message_content(message: Notification) -> Content:
    """Return the text of a message below its title. Text that is no valid markup is shown verbatim."""
    try:
        content = Content.from_markup(message.message) if message.markup else Content(message.message)
    except MarkupError:
        content = Content(message.message)
    return Content.assemble((message.title, "bold"), "\n", content) if message.title else content


def _fitting(messages: Sequence[Notification], width: int, height: int) -> list[tuple[Notification, Content]]:
    """Return the lines of the newest messages that fit into `height`. One that is too long ends in an ellipsis."""
    fitting: list[tuple[Notification, Content]] = []
    for message in reversed(messages):
        lines = [line for part in message_content(message).split("\n") for line in part.wrap(width)]
        room = height - len(fitting)
        if len(lines) > room:
            if fitting:
                break
            lines = [*lines[: room - 1], lines[room - 1].truncate(width - 1).rstrip() + "…"]
        fitting = [*((message, line.rstrip()) for line in lines), *fitting]
    return fitting
