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
        """Say on stderr what a session has to do without; a document has it in a field."""
        if not self.output.as_json:
            for note in notes:
                click.echo(f"note: {sanitize.clean(note)}", err=True)

    def refresh_states(self) -> Collection[str]:
        """Bring the rows up to date with what runs; answer, and say on stderr, what runtimes could not be seen."""
        try:
            self.relay.reconciler.note()
        except RelayError as error:  # the rows are as they were last seen
            log.warning("not looked at: %s: %s", error.title, error.detail)
        unseen = self.relay.reconciler.unreachable
        if unseen and not self.output.as_json:
            click.echo("relay: the engine does not answer: what its sessions do is unknown", err=True)
        return unseen


def command(function: Callable[Concatenate[CommandContext, P], int | None]) -> Callable[..., int | None]:
    """Give a command `--json` and `--data-dir`, and relay over that data dir as its first argument."""

    @click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
    @click.option("--data-dir", type=click.Path(path_type=Path), help="Where relay keeps everything.")
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
