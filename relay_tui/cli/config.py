"""`relay config …` and `relay profile …`."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING

import click

from relay_tui.cli.context import CommandContext, command
from relay_tui.cli.output import listing, table
from relay_tui.text.format import format_size

if TYPE_CHECKING:
    from relay_tui.config import Profile


@click.group()
def config() -> None:
    """relay's configuration."""


@config.command()
@command
def path(ctx: CommandContext) -> None:
    """Print the path of the configuration file, even if it does not exist."""
    if ctx.output.as_json:
        ctx.output.document({"path": str(ctx.relay.config.path), "exists": ctx.relay.config.path.exists()})
    ctx.output.say(str(ctx.relay.config.path))


@config.command()
@command
def show(ctx: CommandContext) -> None:
    """Print the effective configuration."""
    found = ctx.relay.config
    values = {
        "path": str(found.path),
        "image": found.image,
        "profile": found.profile,
        "glyphs": found.glyphs,
        "theme": found.theme,
        "data_dir": str(ctx.relay.data_dir.root),
    }
    if ctx.output.as_json:
        ctx.output.document(
            values | {"profiles": {name: _document(p) for name, p in found.profiles.items()}, "keys": dict(found.keys)}
        )
    own = ", ".join(f"{name} = {keys}" for name, keys in found.keys.items())
    ctx.output.say(listing(values | {"profiles": ", ".join(found.profiles)} | ({"keys": own} if own else {})))


@click.group()
def profile() -> None:
    """Show profiles: named settings for containers in config.toml."""


@profile.command("list")
@command
def list_(ctx: CommandContext) -> None:
    """List the profiles."""
    from relay_tui.services.sessions.container_spec import relaxed_hardening

    profiles = [ctx.relay.config.find_profile(name) for name in ctx.relay.drafts.profile_names()]
    if ctx.output.as_json:
        ctx.output.document([_document(p) for p in profiles])
        return
    rows = [
        (p.name, p.image or "-", " ".join(p.command) or "idle", "; ".join(relaxed_hardening(p)) or "hardened")
        for p in profiles
    ]
    ctx.output.say(table(("NAME", "IMAGE", "COMMAND", "HARDENING"), rows))


@profile.command("show")
@click.argument("name", metavar="PROFILE")
@command
def show_profile(ctx: CommandContext, name: str) -> None:
    """Show the effective settings of a profile."""
    from relay_tui.services.sessions.container_spec import relaxed_hardening

    found = ctx.relay.config.find_profile(name)
    if ctx.output.as_json:
        ctx.output.document(_document(found))
        return
    values = {key: format_value(key, value) for key, value in _document(found).items()}
    ctx.output.say(listing(values | {"loosened": "; ".join(relaxed_hardening(found))}))


def _document(found: Profile) -> dict[str, object]:
    from relay_tui.services.sessions.container_spec import relaxed_hardening

    values = {item.name: getattr(found, item.name) for item in fields(found)}
    return values | {
        "env": dict(found.env),
        "command": list(found.command),
        "capabilities": list(found.capabilities),
        "readable": list(found.readable),
        "loosened": relaxed_hardening(found),
    }


def format_value(key: str, value: object) -> str:
    if key == "memory" and isinstance(value, int):
        return format_size(value)
    if isinstance(value, dict):
        return " ".join(f"{name}={item}" for name, item in value.items())
    if isinstance(value, list):
        return " ".join(map(str, value))
    return "" if value is None else str(value)
