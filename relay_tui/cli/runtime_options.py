"""Options for a session's runtime, and messages about the choice."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, TypeVar

import click

from relay_tui.cli.context import CommandContext
from relay_tui.domain.errors import NeedsConsentError
from relay_tui.services.runtime_router import KINDS, NOT_ISOLATED, PROCESS, RuntimeChoice
from relay_tui.text import sanitize

F = TypeVar("F", bound=Callable[..., Any])


def on_runtime(function: F) -> F:
    """Add the options for the runtime."""
    runtime = click.option(
        "--runtime",
        type=click.Choice(KINDS),
        default=None,
        callback=lambda _context, _option, value: value or "",
        help="Runtime; auto is the engine if it answers, else a process [the profile's].",
    )
    bare = click.option("--not-isolated", is_flag=True, help="Allow a process without a sandbox.")
    return runtime(bare(function))


def agreed(not_isolated: bool) -> str:
    """Return the consents that the options give."""
    return NOT_ISOLATED if not_isolated else ""


def ask_for_consent(ctx: CommandContext, question: NeedsConsentError) -> str:
    """Ask at the terminal and return the consent. Without a terminal, raise the error."""
    if ctx.output.as_json or not sys.stdin.isatty():
        raise question
    words = f"{sanitize.clean(question.title)}.\n{sanitize.clean_block(question.detail)}"
    click.confirm(f"{words}\nCreate it anyway?", abort=True, err=True)
    return question.consent


def print_runtime_choice(ctx: CommandContext, choice: RuntimeChoice) -> None:
    """Print the runtime to stderr if relay chose it."""
    if choice.runtime == PROCESS and choice.why and not ctx.output.as_json:
        kind = "in a sandbox" if choice.isolated else "not isolated"
        click.echo(f"note: it runs as a process, {kind}: {sanitize.clean(choice.why)}", err=True)
