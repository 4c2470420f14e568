"""The man page: made from the commands, complete, and installed with relay."""

from __future__ import annotations

import tomllib
from pathlib import Path

import click

from relay_tui.cli.main import relay
from relay_tui.cli.man_page import PAGE, man_page

ROOT = Path(__file__).parents[1]


def test_page_is_what_the_commands_make() -> None:
    assert PAGE.read_text() == man_page(), "write it again: python -m relay_tui.cli.man_page"


def test_page_names_every_command_and_option() -> None:
    page = man_page().replace("\\-", "-")

    def check(command: click.Command, path: str) -> None:
        assert f'.SS "{path} ' in page or path == "relay"
        for option in command.params:
            assert not isinstance(option, click.Option) or f".B {', '.join(option.opts)}" in page
        if isinstance(command, click.Group):
            for name, below in command.commands.items():
                check(below, f"{path} {name}")

    check(relay, "relay")


def test_page_is_ascii_and_asks_roff_for_nothing_unknown() -> None:
    page = man_page()
    assert page.isascii()
    requests = {line.split()[0] for line in page.splitlines() if line.startswith((".", "'"))}
    assert requests == {'.\\"', ".TH", ".SH", ".SS", ".TP", ".PP", ".B", ".BR", ".I", ".nf", ".fi", ".nh", ".ad"}


def test_page_is_installed_with_relay() -> None:
    data_files = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["data-files"]
    assert data_files == {"share/man/man1": [str(PAGE.relative_to(ROOT))]}
