"""The pages: nothing from outside, nothing unescaped, and what they do in a browser."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from browser import dom, needs_chromium, picture
from fakes import clip, write_clip

from vtg_cli.evaluation.pages import compare, parts, report
from vtg_cli.evaluation.protocols.base import Row
from vtg_cli.evaluation.protocols.local import LOCAL
from vtg_cli.evaluation.readings import Readings
from vtg_cli.evaluation.tables import Networks, Result, System, evaluated
from vtg_cli.media.image import read_image

EVIL = "<script>document.title='owned'</script>&\"'"


def local(tmp_path: Path, system: str = "other") -> Result:
    """Three windows and another system's clips of them, the second one far off."""
    (table,) = LOCAL.tables
    for seed, name in enumerate("xyz"):
        write_clip(tmp_path / "windows" / name, clip(9, seed))
        write_clip(tmp_path / "other" / name, clip(9, seed if name != "y" else 7))
    cases = table.find(tmp_path / "windows").cases
    there = {case.name: tmp_path / "other" / case.name for case in cases}
    kept = Readings(tmp_path / "readings.jsonl")
    return evaluated(table, cases, [System(system, there)], Networks({}), seed=0, kept=kept)


def outside(page: str) -> list[str]:
    """What a page would fetch."""
    loads = re.findall(r'(?:src|href)="([^"]*)', page) + re.findall(r"url\(([^)]*)", page)
    return [each for each in loads if not each.startswith("data:")]


def test_a_report_is_one_file_with_its_worst_case_first(tmp_path: Path) -> None:
    result = local(tmp_path)
    page = report.page(LOCAL, [result], seed=0, most=2)
    assert outside(page) == []
    assert re.findall(r"<h3>(\w)</h3>", page) == ["y", "x"]
    assert page.count("<img") == 4  # truth and the system, twice
    worst = report.badness(result, "y")
    assert worst["other"] == worst[""] == -result.readings["y"]["other"].scores["psnr"]


def test_names_are_escaped(tmp_path: Path) -> None:
    result = local(tmp_path, EVIL)
    page = report.page(LOCAL, [result], seed=0, most=2)
    assert EVIL not in page
    assert "<script>document" not in page
    assert parts.text(EVIL) in page
    frames = clip(3, 0)
    assert EVIL not in compare.page((EVIL, EVIL), (frames, frames))
    assert "</script" not in parts.data({"name": EVIL}).removesuffix("</script>")
    assert parts.text("\udcff") == "\\udcff"


def test_published_rows_stand_beside_ours(tmp_path: Path) -> None:
    from dataclasses import replace

    result = local(tmp_path)
    rows = (Row("somebody", {"psnr": 31.5}, "A Paper, Table 2"),)
    result.table = replace(result.table, published=rows)
    page = report.page(LOCAL, [result], seed=0, most=0)
    (line,) = re.findall(r'<tr class="published">(.*?)</tr>', page)
    cells = re.findall(r"<td>(.*?)</td>", line)
    assert (cells[0], cells[1], cells[-1]) == ("somebody", "31.50", "A Paper, Table 2")


def test_a_strip_holds_the_frames_in_order(tmp_path: Path) -> None:
    import base64

    levels = np.arange(4, dtype=np.uint8)[:, None, None, None] * 60
    image = parts.strip(np.broadcast_to(levels, (4, 16, 32, 3)), 16, "name")
    content = base64.b64decode(image.split("base64,")[1].split('"')[0])
    (tmp_path / "strip.jpg").write_bytes(content)
    sheet = read_image(tmp_path / "strip.jpg")
    assert sheet.shape == (8, 64, 3)
    levels_shown = [int(sheet[4, 8 + 16 * k, 0]) for k in range(4)]
    assert levels_shown == pytest.approx([0, 60, 120, 180], abs=3)
    assert 'data-frames="32"' in parts.strip(np.zeros((128, 8, 8, 3), np.uint8), 8, "long")


def test_a_curve_goes_from_its_first_value_to_its_last() -> None:
    drawn = parts.curves({"a": [0, 2, 4], "none": []}, {"a": "#000"}, "steps")
    width, height = parts.PLOT
    assert f'points="0.0,{height}.0 {width / 2},{height / 2} {width}.0,0.0"' in drawn
    assert drawn.count("<polyline") == 1
    assert "up to 4" in drawn


@needs_chromium
def test_a_report_plays_in_step_and_sorts(tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    page.write_text(report.page(LOCAL, [local(tmp_path)], seed=0, most=3), encoding="utf-8")
    seen = dom(
        page,
        """addEventListener("load", () => {
             const time = document.getElementById("time");
             time.value = 0.5; time.dispatchEvent(new Event("input"));
             const select = document.querySelector("select.sort");
             select.value = "other"; select.dispatchEvent(new Event("change"));
           });""",
    )
    frames = re.findall(r'<canvas[^>]*data-frame="(\d+)"', seen)
    assert frames == ["4"] * 6  # of nine, half way, in every player
    assert re.findall(r"<h3>(\w)</h3>", seen)[0] == "y"
    picture(page, tmp_path / "report.png")
    shown = read_image(tmp_path / "report.png")
    assert len(np.unique(shown.reshape(-1, 3), axis=0)) > 200  # pictures, not an empty page


@needs_chromium
def test_a_comparison_measures_the_difference(tmp_path: Path) -> None:
    flat = np.full((5, 32, 48, 3), 100, np.uint8)
    page = tmp_path / "compare.html"
    page.write_text(compare.page(("a", "b"), (flat, flat + 20)), encoding="utf-8")
    seen = dom(page)
    (mean,) = re.findall(r'<output id="mean">([\d.]+)<', seen)
    assert float(mean) == pytest.approx(20, abs=1)  # JPEG
