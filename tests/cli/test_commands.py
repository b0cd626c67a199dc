"""The list of commands, which is printed without importing any."""

from __future__ import annotations

import inspect

import pytest
import typer

from vtg_cli.cli import app, main
from vtg_cli.cli.commands import COMMANDS, GROUPS, Commands


@pytest.fixture(scope="module")
def group() -> Commands:
    made = typer.main.get_command(app)
    assert isinstance(made, Commands)
    return made


@pytest.mark.parametrize("name", COMMANDS)
def test_a_summary_is_the_first_paragraph_of_the_commands_help(group: Commands, name: str) -> None:
    command = group.commands[name]
    assert command.name == name
    first = inspect.cleandoc(command.help or "").split("\n\n")[0]
    assert " ".join(first.split()) == COMMANDS[name].summary


def test_the_list_has_every_command_in_its_order(
    group: Commands, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["--help"]) == 0
    lines = capfd.readouterr().out.splitlines()
    assert [*group.commands] == [*COMMANDS]
    names = [name for names in GROUPS.values() for name in names]
    assert sorted(names) == sorted(COMMANDS)
    listed = [line.split()[0] for line in lines if line.startswith("  ") and line.split()]
    assert [name for name in listed if name in COMMANDS] == names


def test_a_name_that_is_nearly_one_is_suggested(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["interpolat"]) == 2
    told = "vtg: no such command 'interpolat'. Did you mean 'interpolate'?\n     see vtg --help\n"
    assert capfd.readouterr() == ("", told)
