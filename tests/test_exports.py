"""The public names: all there, all lazy, all the same objects as in their modules."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import vtg_cli


def test_all_is_what_can_be_imported() -> None:
    assert set(vtg_cli.__all__) == {*vtg_cli._HOMES, "__version__"}
    assert sorted(vtg_cli.__all__) == vtg_cli.__all__
    assert set(vtg_cli.__all__) <= set(dir(vtg_cli))


@pytest.mark.parametrize("name", sorted(vtg_cli._HOMES))
def test_a_name_is_the_one_of_its_home(name: str) -> None:
    home = importlib.import_module(vtg_cli._HOMES[name])
    assert getattr(vtg_cli, name) is getattr(home, name)
    assert getattr(home, name).__doc__


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="interpolat"):
        vtg_cli.interpolat  # noqa: B018


def test_type_checkers_see_the_same_names() -> None:
    """The imports under TYPE_CHECKING and the lazy ones must not drift apart."""
    tree = ast.parse(Path(vtg_cli.__file__).read_text(encoding="utf-8"))
    (block,) = (node for node in tree.body if isinstance(node, ast.If))
    seen = {
        alias.name: node.module
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert seen == vtg_cli._HOMES


def test_the_two_names_a_first_program_needs() -> None:
    code = "from vtg_cli import interpolate, Keyframes; print(interpolate, Keyframes)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "function interpolate" in done.stdout
    assert "keyframes.Keyframes" in done.stdout
