"""The command `relay`, its groups and their errors."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from relay_tui import __version__
from relay_tui.cli.completion import completion
from relay_tui.cli.config import config, profile
from relay_tui.cli.demo import demo
from relay_tui.cli.doctor import doctor
from relay_tui.cli.maintenance import purge, reconcile
from relay_tui.cli.output import Output, fail
from relay_tui.cli.project import project
from relay_tui.cli.session import remove, session
from relay_tui.cli.status import diff, status
from relay_tui.cli.sync import export, fetch, kept, push, update
from relay_tui.domain.errors import Fault, RelayError
from relay_tui.paths import log_file

log = logging.getLogger(__name__)
logging.getLogger("relay_tui").addHandler(logging.NullHandler())  # until its file is open: not standard error

EPILOG = """\b
PROJECT and SESSION are an id, a unique beginning of an id, a name, or project/session.
Exit codes: 0 done; 1 failed; 2 wrong usage; 3 not found; 4 conflict; 5 engine unreachable."""


@click.group(
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog=EPILOG,
)
@click.version_option(__version__, prog_name="relay")
@click.option("--data-dir", type=click.Path(path_type=Path), help="The data directory [$RELAY_DATA_DIR].")
@click.option("--debug", is_flag=True, help="Log more, and print the path of relay's own log.")
@click.pass_context
def relay(context: click.Context, data_dir: Path | None, debug: bool) -> None:
    """Run many coding sessions side by side, each in its own git clone and its own container.

    Without a container engine, sessions are processes. New to relay? Try relay demo and relay doctor.

    Without a command, relay opens its screen.
    """
    context.obj = data_dir
    if context.invoked_subcommand is not None:
        return
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        click.echo("relay's screen needs a terminal.\n", err=True)
        click.echo(context.get_help(), err=True)
        context.exit(2)
    from relay_tui.cli.tui import run_tui

    context.exit(run_tui(data_dir, debug=debug))


for command in (fetch, kept):
    project.add_command(command)
for command in (status, diff, push, update, export, remove):
    session.add_command(command)
relay.add_command(project)
relay.add_command(session)
relay.add_command(config)
relay.add_command(profile)
relay.add_command(reconcile)
relay.add_command(purge)
relay.add_command(doctor)
relay.add_command(demo)
relay.add_command(completion)


def run(arguments: Sequence[str]) -> int:
    """Run the command line and return the exit code. Errors are printed, with --json as JSON."""
    own = arguments[: arguments.index("--")] if "--" in arguments else arguments
    output = Output(as_json="--json" in own)
    try:
        result = relay.main(args=list(arguments), prog_name="relay", standalone_mode=False)
    except RelayError as error:
        log.warning("%s: %s: %s", type(error).__name__, error.title, error.detail)
        fail(output, error.fault, error.about)
        return error.exit_code
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        return 2
    except click.ClickException as error:
        usage = error.ctx.command_path if isinstance(error, click.UsageError) and error.ctx else "relay"
        fail(output, Fault("usage", error.format_message(), hint=f"See: {usage} --help"))
        return 2
    except (click.Abort, KeyboardInterrupt):
        fail(output, Fault("cancelled", "Cancelled"))
        return 130
    except BrokenPipeError:
        sys.stderr.close()
        return 1
    except Exception as error:  # a traceback must not reach the user
        log.exception("relay itself failed")
        words = f"{type(error).__name__}: {error}"
        fail(output, Fault("internal", "relay itself failed", words, f"See the log: {log_file()}"))
        return 1
    return result if isinstance(result, int) else 0
