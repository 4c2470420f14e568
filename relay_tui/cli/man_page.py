"""The man page, made from the commands. `python -m relay_tui.cli.man_page` writes it again."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import click

from relay_tui import __version__
from relay_tui.cli.main import relay

PAGE = Path(__file__).with_name("relay.1")
"""Where it is kept; pyproject.toml installs it as share/man/man1/relay.1."""

_SEE_ALSO = """
.SH ENVIRONMENT
.TP
.B RELAY_DATA_DIR
The data directory: projects, clones, the store and the trash.
.TP
.B RELAY_CONFIG
The configuration file.
.TP
.B DOCKER_HOST
The container engine, if it is not the one of the current docker context.
.SH FILES
.TP
.I ~/.config/relay/config.toml
Configuration; see
.BR "relay config show" .
.TP
.I ~/.local/share/relay
The data directory.
.TP
.I ~/.local/state/relay/relay.log
The log of relay itself.
.SH SEE ALSO
.BR git (1),
.BR docker (1),
.BR bwrap (1)
"""


def man_page() -> str:
    """Return the page in roff. It holds no date: the same commands make the same page."""
    context = click.Context(relay, info_name="relay", **relay.context_settings)
    summary = _paragraphs(relay.help)[0].rstrip(".")
    lines = [
        '.\\" Made by python -m relay_tui.cli.man_page; do not edit.',
        f'.TH RELAY 1 "" "relay {__version__}" "User Commands"',
        ".nh\n.ad l",
        ".SH NAME",
        f"relay \\- {_escaped(summary[:1].lower() + summary[1:])}",
        ".SH SYNOPSIS",
        ".B relay\n[OPTIONS] [COMMAND [ARGS]...]",
        ".SH DESCRIPTION",
        *_prose(relay.help),
        ".SH OPTIONS",
        *_options(relay, context),
        ".SH COMMANDS",
        *_commands(relay, context),
        ".SH NOTES",
        *_prose(relay.epilog),
        _SEE_ALSO.strip(),
    ]
    return "\n".join(lines) + "\n"


def _commands(group: click.Group, context: click.Context) -> Iterator[str]:
    """Yield a section for each command below `group`, those of a group behind the group."""
    for name in group.list_commands(context):
        command = group.commands[name]
        below = click.Context(command, info_name=name, parent=context)
        if command.hidden:
            continue
        yield f'.SS "{_escaped(f"{below.command_path} {_usage(command, below)}")}"'
        yield from _prose(command.help)
        if isinstance(command, click.Group):
            yield from _commands(command, below)
        else:
            yield from _options(command, below)


def _usage(command: click.Command, context: click.Context) -> str:
    return " ".join(command.collect_usage_pieces(context))


def _options(command: click.Command, context: click.Context) -> Iterator[str]:
    """Yield the options of a command. All have --help, which is named once, for relay itself."""
    for parameter in command.get_params(context) if context.parent is None else command.params:
        record = parameter.get_help_record(context) if isinstance(parameter, click.Option) else None
        if record is not None:
            yield f".TP\n.B {_escaped(record[0])}\n{_escaped(record[1])}"


def _prose(text: str | None) -> Iterator[str]:
    """Yield the paragraphs of a help text. One that begins with \\b keeps its lines, as click keeps them."""
    for number, paragraph in enumerate(_paragraphs(text)):
        if number:
            yield ".PP"
        kept = paragraph.removeprefix("\b\n")
        yield f".nf\n{_escaped(kept)}\n.fi" if kept != paragraph else _escaped(paragraph)


def _paragraphs(text: str | None) -> list[str]:
    return re.split(r"\n\s*\n", inspect.cleandoc(text or "").partition("\f")[0].strip("\n"))


def _escaped(text: str) -> str:
    """Return text that roff prints as it is: no requests, no escapes, only ASCII."""
    text = text.replace("\\", "\\e").replace("-", "\\-").replace('"', "\\(dq")
    text = "".join(c if c.isascii() else f"\\[u{ord(c):04X}]" for c in text)
    return re.sub(r"^(?=[.'])", r"\\&", text, flags=re.MULTILINE)


if __name__ == "__main__":
    PAGE.write_text(man_page())
