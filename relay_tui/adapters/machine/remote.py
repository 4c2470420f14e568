"""Whether a project's remote answers: git itself asks it, as a clone would."""

from __future__ import annotations

from relay_tui.adapters.git import process
from relay_tui.adapters.git.credentials import lend, spellings
from relay_tui.adapters.git.faults import translate
from relay_tui.adapters.git.source import is_local, parse_source
from relay_tui.adapters.machine import commands
from relay_tui.services.watch import Watch


def ask(url: str, watch: Watch) -> None:
    """Ask for its HEAD. Raises GitError in git's own words, InvalidInputError, CancelledError."""
    source = parse_source(url)
    over_http = source.url.startswith(("http://", "https://"))
    extra = {} if over_http or is_local(source.url) else process.ssh_command()
    env = process.environment("https:http:ssh:git:file", extra)
    with lend(source) as loan:
        command = ("git", *loan.options, "-c", "core.hooksPath=/dev/null", "ls-remote", "--", source.url, "HEAD")
        said = commands.run(command, watch, env=env, pass_fds=loan.descriptors)
    if said.code:
        outcome = process.Outcome(said.code, b"", tuple(said.err.splitlines()))
        raise translate(outcome, "The remote cannot be read", spellings(source))
