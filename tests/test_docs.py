"""Documents that run: fences marked `run` are executed, links lead somewhere, cli.md is fresh."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

import vtg_cli
from vtg_cli.flow.engine import in_between

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
FENCE = re.compile(r"^```(?P<kind>\w+) run\n(?P<code>.*?)^```$", re.M | re.S)
QUOTE = re.compile(r"^```python of (?P<source>\S+)\n(?P<code>.*?)^```$", re.M | re.S)
LINK = re.compile(r"!?\[[^\]]*\]\((?P<target>[^)#\s]+)(#[^)]*)?\)")


@dataclass(frozen=True)
class Fence:
    page: Path
    line: int
    kind: str
    code: str

    def __str__(self) -> str:
        return f"{self.page.name}:{self.line}"


def fences() -> list[Fence]:
    found = []
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for match in FENCE.finditer(text):
            line = text.count("\n", 0, match.start()) + 1
            found.append(Fence(page, line, match["kind"], match["code"]))
    return found


def script(name: str) -> ModuleType:
    """A file of scripts/, as a module."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "scripts" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a reader has, shared by all fences: the example pictures (small) and a `vtg` command."""
    folder = tmp_path_factory.mktemp("desk")
    (folder / "examples" / "pairs").mkdir(parents=True)
    for picture in (ROOT / "examples").rglob("*.jpg"):
        small = Image.open(picture).resize((192, 108))
        small.save(folder / picture.relative_to(ROOT))
    for timeline in (ROOT / "examples").glob("*.toml"):
        shutil.copy(timeline, folder / "examples")
    command = folder / ".bin" / "vtg"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m vtg_cli "$@"\n')
    command.chmod(0o755)
    (folder / ".bin" / "ffmpeg").symlink_to(ffmpeg())
    return folder


def ffmpeg() -> str:
    from imageio_ffmpeg import get_ffmpeg_exe

    return str(get_ffmpeg_exe())


@pytest.mark.parametrize("fence", fences(), ids=str)
def test_fences_run(fence: Fence, desk: Path) -> None:
    interpreter = {"sh": ["sh", "-eu", "-c"], "python": [sys.executable, "-c"]}[fence.kind]
    environment = os.environ | {
        "PATH": f"{desk / '.bin'}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
    }
    done = subprocess.run(
        [*interpreter, fence.code],
        stdin=subprocess.DEVNULL,  # ffmpeg would read the rest of a script from it
        cwd=desk,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, f"{fence}\n{fence.code}\n{done.stdout}\n{done.stderr}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_ffmpeg_line_is_run(page: Path) -> None:
    """A line that begins with ffmpeg, or pipes into it, stands in a fence that is executed."""
    if page.name == "cli.md":  # written from the help texts
        return
    text = page.read_text(encoding="utf-8")
    line = re.compile(r"^\s*ffmpeg -|\| ffmpeg -", re.M)
    executed = "".join(match["code"] for match in FENCE.finditer(text))
    assert len(line.findall(text)) == len(line.findall(executed))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_quotations_are_in_the_source(page: Path) -> None:
    for quote in QUOTE.finditer(page.read_text(encoding="utf-8")):
        source = (ROOT / quote["source"]).read_text(encoding="utf-8")
        assert quote["code"] in source, f"{quote['source']} no longer says:\n{quote['code']}"


def test_methods_are_quoted() -> None:
    assert len(QUOTE.findall((ROOT / "docs" / "methods.md").read_text(encoding="utf-8"))) >= 6


def test_there_are_fences_to_run() -> None:
    kinds = [fence.kind for fence in fences() if fence.page.name == "README.md"]
    assert kinds.count("sh") >= 2
    assert kinds.count("python") >= 1


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    targets = {m["target"] for m in LINK.finditer(page.read_text(encoding="utf-8"))}
    local = {t for t in targets if "://" not in t and not t.startswith("mailto:")}
    assert {t for t in local if not (page.parent / t).exists()} == set()


def test_cli_page_is_fresh() -> None:
    generator = script("gen_cli_docs")
    assert generator.page() == (ROOT / "docs" / "cli.md").read_text(encoding="utf-8"), "make docs"


def test_the_catalogue_s_page_is_fresh() -> None:
    generator = script("gen_models_docs")
    current = (ROOT / "docs" / "models.md").read_text(encoding="utf-8")
    assert generator.page(current) == current, "make docs"
    assert all(f"| `{name}` |" in current for name in generator.CATALOG)


def test_changelog_and_package_agree() -> None:
    checker = script("check_version")
    assert checker.package_version() == vtg_cli.__version__
    assert checker.newest_entry()[0] == vtg_cli.__version__


def test_readme_begins_with_the_two_commands() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    first = re.search(r"^```\w*\n(.*?)^```$", text, re.M | re.S)
    assert first is not None
    assert [line.split("#")[0].strip() for line in first[1].splitlines()] == [
        "make demo",
        "make test",
    ]


def psnr(a: NDArray[Any], b: NDArray[Any]) -> float:
    return float(10 * np.log10(255**2 / np.mean((a.astype(float) - b) ** 2)))


def test_examples_are_what_the_script_paints() -> None:
    """The coder leaves 42 dB between paint and jpg; lake(0.02) is 35 dB from lake(0)."""
    painted = script("make_examples").lake(0.0)
    assert psnr(painted, np.asarray(Image.open(ROOT / "examples" / "lake_a.jpg"))) > 38
    sizes = {p.name: p.stat().st_size for p in (ROOT / "examples").rglob("*.*")}
    pairs = {"fruit_a.jpg", "fruit_b.jpg", "tower_a.jpg", "tower_b.jpg"}
    assert set(sizes) == {"lake_a.jpg", "lake_b.jpg", "city.jpg", "timeline.toml", *pairs}
    assert max(sizes.values()) < 300_000


def test_pairs_are_what_the_script_paints() -> None:
    painted = script("example_pairs").apple()
    kept = Image.open(ROOT / "examples" / "pairs" / "fruit_a.jpg")
    # the coder leaves 44 dB; the pear in its place is 20 dB away
    assert psnr(painted, np.asarray(kept)) > 36


def test_the_demo_is_near_the_painted_truth() -> None:
    """docs/methods.md: half way, flow is 33 dB from the moment as painted, a dissolve 21 dB."""
    first, last = (np.asarray(Image.open(ROOT / "examples" / f"lake_{k}.jpg")) for k in "ab")
    truth = script("make_examples").lake(0.5)
    dissolve = (first.astype(float) + last) / 2
    assert psnr(in_between(first, last, [0.5])[0], truth) > 32
    assert psnr(dissolve, truth) < 22
