"""The papers' tables as data: what is read of folders, what is said to be missing, the rows."""

from __future__ import annotations

from pathlib import Path

import pytest
from fakes import clip, write_clip, write_pair

from vtg_cli.errors import UsageError
from vtg_cli.evaluation.features import NETWORKS
from vtg_cli.evaluation.protocols import PROTOCOLS, chosen
from vtg_cli.evaluation.protocols.base import Protocol, Table, found, grouped
from vtg_cli.evaluation.protocols.layouts import named_clips, pairs, safe
from vtg_cli.evaluation.readings import SCORES
from vtg_cli.evaluation.results import JUDGED, TOTALS

TABLES = [(p, t) for p in PROTOCOLS.values() for t in p.tables]


@pytest.mark.parametrize(("protocol", "table"), TABLES, ids=lambda each: each.name)
def test_a_table_is_whole(protocol: Protocol, table: Table) -> None:
    """Its networks and scores exist, every printed figure has a meaning, every row a source."""
    assert all(each.network in NETWORKS for each in table.distances)
    assert all(name in SCORES for name in table.clip_scores)
    keys = {each.key for each in table.distances} | {*SCORES, *JUDGED, *TOTALS}
    for row in table.published:
        assert {*row.figures} <= keys
        assert row.source
    for each in table.distances:
        network = NETWORKS[each.network]
        seen = each.clip or table.frames
        assert each.of != "clips" or (seen == network.frames if network.exact else True)
        assert each.of != "clips" or network.frames <= seen <= table.frames
    assert protocol.name == "local" or table.source


def row(protocol: str, table: str, system: str, group: str = "") -> dict[str, float]:
    tables = {each.name: each for each in PROTOCOLS[protocol].tables}
    found = [r for r in tables[table].published if (r.system, r.group) == (system, group)]
    assert len(found) == 1
    return dict(found[0].figures)


def test_published_rows() -> None:
    assert row("gi", "davis", "GI") == {"fid": 32.68, "fvd": 424.69}
    assert row("gi", "pexels", "TRF") == {"fid": 31.43, "fvd": 563.16}
    assert row("vtg", "morphbench", "DiffMorpher", "animation") == {
        "fid": 43.15,
        "ppl_scaled": 5.14,
    }
    assert row("vtg", "morphbench", "TVG") == {"fid": 64.05, "ppl_scaled": 29.08}
    assert row("aid", "ssv2", "AID") == {"fvd": 50.23, "kvd_centred": 0.02}
    assert row("vidm", "sky-16", "DIGAN") == {"fvd": 83.1}
    assert row("stiv", "interpolation", "STIV-TUP") == {"fid": 2.0, "fvd": 5.9}


@pytest.mark.parametrize(
    ("group", "total"), [("attribute", 55), ("object", 46), ("background", 18)]
)
def test_one_video_a_prompt_is_a_share_of_the_prompts(group: str, total: int) -> None:
    """TVG's own rows: k of 55, 46 and 18, so that a slip of the pen would show."""
    for system in ("DiffMorpher", "TVG"):
        share = row("vtg", "tcbench", system, group)["tcr"] / 100 * total
        assert share == pytest.approx(round(share), abs=0.006)


def test_clips_are_named_by_their_folders_and_short_ones_told(tmp_path: Path) -> None:
    for name in ("b/one", "a", "a dog's"):
        write_clip(tmp_path / name, clip(25, 0))
    write_clip(tmp_path / "short", clip(4, 0))
    (tmp_path / ".hidden").mkdir()
    assert [*named_clips(tmp_path)] == ["a", "a_dog_s", "b_one", "short"]
    protocol, (table,) = chosen("gi", "davis")
    (tmp_path / "data").mkdir()
    tmp_path.joinpath("b").rename(tmp_path / "data" / "davis")
    tmp_path.joinpath("short").rename(tmp_path / "data" / "davis" / "short")
    read = found(protocol, table, tmp_path / "data")
    assert [case.name for case in read.cases] == ["one"]
    assert read.lacking == (f"{tmp_path / 'data' / 'davis' / 'short'} has 4 frames of 25",)


def test_masks_of_davis_are_no_clips(tmp_path: Path) -> None:
    for name in ("JPEGImages", "Annotations"):
        write_clip(tmp_path / "davis" / name / "480p" / "bear", clip(25, 0))
    protocol, (table,) = chosen("gi", "davis")
    assert [case.name for case in found(protocol, table, tmp_path).cases] == ["bear"]


def test_what_is_missing_is_said_with_where_it_is_published(tmp_path: Path) -> None:
    protocol, (table,) = chosen("gi", "davis")
    with pytest.raises(UsageError) as failure:
        found(protocol, table, tmp_path)
    assert failure.value.message == f"GI, DAVIS: there is no folder {tmp_path / 'davis'}"
    assert "davischallenge.org" in failure.value.hint
    (tmp_path / "davis").mkdir()
    with pytest.raises(UsageError) as failure:
        found(protocol, table, tmp_path)
    assert failure.value.message == f"GI, DAVIS: {tmp_path / 'davis'} holds no clip"


def test_pairs_with_captions_and_without_partner(tmp_path: Path) -> None:
    write_pair(tmp_path, "lion", 0)
    write_pair(tmp_path, "Cup of tea", 1)
    (tmp_path / "Cup of tea_b.png").rename(tmp_path / "cup_of.png")
    (tmp_path / "captions.csv").write_text("name,from,to\nlion,a lion,a truck\n")
    read = pairs(tmp_path)
    assert [(case.name, case.captions) for case in read.cases] == [("lion", ("a lion", "a truck"))]
    assert read.lacking == (f"{tmp_path / 'Cup of tea_a.png'} has no cup of tea_b",)
    (tmp_path / "captions.csv").write_text("title\nlion\n")
    with pytest.raises(UsageError, match="it lacks"):
        pairs(tmp_path)


def test_parts_are_groups_and_an_absent_one_is_told(tmp_path: Path) -> None:
    for name, seed in (("x", 0), ("y", 1)):
        write_pair(tmp_path / "transitbench" / "scene", name, seed)
    write_pair(tmp_path / "transitbench" / "motion", "x", 2)
    protocol, (table,) = chosen("vtg", "transitbench")
    read = found(protocol, table, tmp_path)
    assert {k: [c.name for c in v] for k, v in grouped(read.cases).items()} == {
        "": ["motion_x", "scene_x", "scene_y"],
        "motion": ["motion_x"],
        "scene": ["scene_x", "scene_y"],
    }
    assert [line.rpartition("/")[2] for line in read.lacking] == ["morphing", "blending"]


def test_names_that_no_file_or_page_minds() -> None:
    assert safe("a/b c<d>.é") == "a_b_c_d_.é"
    assert safe("../..") == "_.."
    assert safe("..") == "clip"


def test_unknown_names_are_refused() -> None:
    with pytest.raises(UsageError, match="no protocol fid"):
        chosen("fid")
    with pytest.raises(UsageError, match="gi has no table 'ucf'"):
        chosen("gi", "davis,ucf")
    assert [table.name for table in chosen("gi", "pexels")[1]] == ["pexels"]
