"""`relay completion`, and the answers to the scripts that it prints."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click
from click.types import StringParamType

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from relay_tui.services.completion import Candidate, CompletionService

VARIABLE = "_RELAY_COMPLETE"
"""Environment variable by which a shell asks for completions, in click's form: 'bash_complete'."""


@click.command(short_help="Print the completion script of a shell.")
@click.argument("shell", metavar="SHELL", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the script that completes relay's commands in SHELL: bash, zsh or fish.

    Each shell loads it from a file in one of its directories:

    \b
    bash  relay completion bash > ~/.local/share/bash-completion/completions/relay
    zsh   relay completion zsh > "${fpath[1]}/_relay"
    fish  relay completion fish > ~/.config/fish/completions/relay.fish

    bash needs the package bash-completion for that. Without it, put this line into ~/.bashrc:

    \b
    source <(relay completion bash)
    """
    from relay_tui.cli.main import relay
    from relay_tui.cli.shells import SHELLS

    click.echo(SHELLS[shell](relay, {}, "relay", VARIABLE).source(), nl=False)


def respond(instruction: str) -> int:
    """Print what a shell asks for, as 'bash_complete' or 'bash_source'; return the exit code, which is always 0.

    Whatever is wrong, a shell that completes a line must show nothing of it.
    """
    with suppress(Exception):
        from relay_tui.cli.main import relay
        from relay_tui.cli.shells import SHELLS

        shell, _, wanted = instruction.partition("_")
        script = SHELLS[shell](relay, {}, "relay", VARIABLE)
        if wanted == "source":
            click.echo(script.source(), nl=False)
        elif wanted == "complete":
            add_values(relay)
            click.echo(script.complete().encode())
    return 0


# --- what completes which parameter ----------------------------------------------------------------------------------

Complete = Callable[["CompletionService", click.Context, str], "list[Candidate]"]


class Values(StringParamType):
    """The type of a parameter while a line is completed: offers values that `complete` finds."""

    name = "value"

    def __init__(self, complete: Complete) -> None:
        self._complete = complete

    def shell_complete(self, ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Return the values that begin with `incomplete`."""
        from click.shell_completion import CompletionItem

        from relay_tui.bootstrap.completion import build_completion

        found = self._complete(build_completion(_data_dir(ctx)), ctx, incomplete)
        return [CompletionItem(candidate.value, help=candidate.description or None) for candidate in found]


class Directory(StringParamType):
    """The type of a directory while a line is completed: the shell offers directories."""

    name = "directory"

    def shell_complete(self, _ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Return the mark by which the shell's own completion is used."""
        from click.shell_completion import CompletionItem

        return [CompletionItem(incomplete, type="dir")]


def _branches(service: CompletionService, context: click.Context, typed: str) -> list[Candidate]:
    return service.branches(_reference(context), typed)


def _session_branches(service: CompletionService, context: click.Context, typed: str) -> list[Candidate]:
    return service.session_branches(_reference(context), typed)


_PROJECTS = Values(lambda service, _, typed: service.projects(typed))
_SESSIONS = Values(lambda service, _, typed: service.sessions(typed))
_PROFILES = Values(lambda service, _, typed: service.profiles(typed))
_IMAGES = Values(lambda service, _, typed: service.images(typed))

_BY_NAME: dict[str, StringParamType] = {
    "PROJECT": _PROJECTS,
    "SESSION": _SESSIONS,
    "PROFILE": _PROFILES,
    "SOURCE": Directory(),
    "--data-dir": Directory(),
    "--source": Directory(),
    "--project": _PROJECTS,
    "--profile": _PROFILES,
    "--image": _IMAGES,
}
"""By the metavar of an argument or the name of an option, whatever the command."""

_BY_COMMAND: dict[str, StringParamType] = {
    "project restore PROJECT": Values(lambda service, _, typed: service.removed_projects(typed)),
    "session restore SESSION": Values(lambda service, _, typed: service.removed_sessions(typed)),
    "session export SESSION": Values(lambda service, _, typed: service.all_sessions(typed)),
    "session create --branch": Values(_branches),
    "session create --from": Values(_branches),
    "session push --branch": Values(_session_branches),
}
"""Parameters that one command takes in another way than the others do."""


class NamedParameter(NamedTuple):
    """A parameter, its name ('PROJECT', '--branch'), and that behind its command ('session create --branch')."""

    parameter: click.Parameter
    name: str
    full_name: str

    @property
    def values(self) -> StringParamType | None:
        """The type that completes it; None leaves it to its own."""
        return _BY_COMMAND.get(self.full_name) or _BY_NAME.get(self.name)


def parameters(command: click.Command, path: str = "") -> Iterator[NamedParameter]:
    """Yield every parameter of a command and of the commands below it."""
    for parameter in command.params:
        is_argument = isinstance(parameter, click.Argument)
        name = parameter.human_readable_name if is_argument else parameter.opts[-1]
        yield NamedParameter(parameter, name, f"{path}{name}")
    if isinstance(command, click.Group):
        for name, below in command.commands.items():
            yield from parameters(below, f"{path}{name} ")


def add_values(command: click.Command) -> None:
    """Let the parameters of every command offer values. Afterwards no command can run: the types convert nothing."""
    for named in parameters(command):
        if values := named.values:
            named.parameter.type = values


# --- what the rest of the line says ----------------------------------------------------------------------------------


def _reference(context: click.Context) -> str:
    """Return the first argument of the command.

    click leaves arguments unparsed where the line ends in an option that has no value yet.
    """
    argument = next(parameter for parameter in context.command.params if isinstance(parameter, click.Argument))
    return str(context.params.get(argument.name or "") or next(iter(context.args), ""))


def _data_dir(context: click.Context) -> Path | None:
    """Return the data directory that the line names, if it does; the command's option is before the group's."""
    typed = context.params.get("data_dir") or context.find_root().params.get("data_dir")
    if not typed:
        return None
    path = Path(str(typed)).expanduser()
    return path if path.exists() else Path(os.path.expandvars(path))  # the shell has expanded nothing yet
