"""Context of one command: the services it uses and how it reports errors."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Concatenate, ParamSpec

import click

from relay_tui.cli.output import Output
from relay_tui.domain.errors import RelayError
from relay_tui.paths import log_file
from relay_tui.text import sanitize

if TYPE_CHECKING:
    from relay_tui.services.relay import Relay

P = ParamSpec("P")

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class CommandContext:
    """Context of a command: relay and its output."""

    relay: Relay
    output: Output

    def note(self, notes: Sequence[str]) -> None:
        """Print the notes of a session to stderr. A JSON document has them in a field."""
        if not self.output.as_json:
            for note in notes:
                click.echo(f"note: {sanitize.clean(note)}", err=True)

    def refresh_states(self) -> Collection[str]:
        """Update the rows with observed states. Return the runtimes that did not answer; report them on stderr."""
        try:
            self.relay.reconciler.note()
        except RelayError as error:  # the rows are as they were last seen
            log.warning("not looked at: %s: %s", error.title, error.detail)
        unseen = self.relay.reconciler.unreachable
        if unseen and not self.output.as_json:
            click.echo("relay: the engine does not answer: session states are unknown", err=True)
        return unseen


def command(function: Callable[Concatenate[CommandContext, P], int | None]) -> Callable[..., int | None]:
    """Add `--json` and `--data-dir` to a command, and pass its CommandContext as the first argument."""

    @click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
    @click.option("--data-dir", type=click.Path(path_type=Path), help="The data directory.")
    @click.pass_context
    @wraps(function)
    def wrapper(
        context: click.Context, /, as_json: bool, data_dir: Path | None, *args: P.args, **kwargs: P.kwargs
    ) -> int | None:
        from relay_tui.bootstrap import container  # imports every service: help and completion do without
        from relay_tui.bootstrap import log_file as file_logging

        relay = container.build_relay(data_dir or context.find_root().obj)
        debug = bool(context.find_root().params.get("debug"))
        file_logging.log_to_file(debug=debug)
        if debug:
            click.echo(f"relay: its own log is {log_file()}", err=True)
        failed = True
        try:
            code = function(CommandContext(relay, Output(as_json)), *args, **kwargs)
            failed = False
        finally:  # only now has the store been read; an error document stands alone
            if (warning := relay.store.warning()) and not (failed and as_json):
                click.echo(f"relay: {sanitize.clean_block(warning)}", err=True)
        return code

    return wrapper
