"""The rules of pairs: what they find, and that nothing is ever guessed."""

from __future__ import annotations

from pathlib import Path
from unicodedata import normalize

import pytest

from vtg_cli.batch.manifest import read
from vtg_cli.batch.pairs import pairs_below, pairs_in
from vtg_cli.errors import MediaError, UsageError

SPELLINGS = (("NFC", "a"), ("NFD", "b"))


def fill(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).touch()
    return folder


def found(folder: Path, *, chain: bool = False) -> list[tuple[str, str, str]]:
    return [(p.name, p.first.name, p.last.name) for p in pairs_in(folder, chain=chain).pairs]


def test_the_three_endings(tmp_path: Path) -> None:
    fill(tmp_path, "x_a.png", "x_b.jpg", "s 10_0.png", "s 10_1.png", "s 9_0.png", "s 9_1.png")
    fill(tmp_path, "Y_First.webp", "Y_LAST.webp", "shot_1_a.png", "shot_1_b.png")
    assert found(tmp_path) == [
        ("Y", "Y_First.webp", "Y_LAST.webp"),
        ("s 9", "s 9_0.png", "s 9_1.png"),
        ("s 10", "s 10_0.png", "s 10_1.png"),
        ("shot_1", "shot_1_a.png", "shot_1_b.png"),
        ("x", "x_a.png", "x_b.jpg"),
    ]
    assert pairs_in(tmp_path, chain=False).rules == (
        "NAME_a with NAME_b: 2 pairs",
        "NAME_0 with NAME_1: 2 pairs",
        "NAME_first with NAME_last: 1 pair",
    )


def test_a_stray_file_is_named_and_shifts_nothing(tmp_path: Path) -> None:
    fill(tmp_path, "x_a.png", "x_b.png", "y_a.png", "z.png", "w_2.png")
    with pytest.raises(UsageError) as error:
        pairs_in(tmp_path, chain=False)
    assert error.value.message == f"{tmp_path}: no partner for w_2.png, y_a.png, z.png"
    assert "NAME_first with NAME_last, or --chain" in error.value.hint


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["x_a.png", "x_a.jpg", "x_b.png"], "x_a.jpg, x_a.png"),  # the same stem twice
        (["x_a.png", "x_A.png", "x_b.png"], "x_A.png, x_a.png"),
        (["x_a.png", "x_b.png", "x_0.png", "x_1.png"], "x_0.png, x_1.png, x_a.png, x_b.png"),
    ],
)
def test_what_could_mean_two_things_is_refused(tmp_path: Path, names: list[str], said: str) -> None:
    fill(tmp_path, *names)
    with pytest.raises(UsageError) as error:
        pairs_in(tmp_path, chain=False)
    assert error.value.message == f"{tmp_path}: {said} could mean the same pair"


def test_a_family_with_a_third_picture_has_a_stray(tmp_path: Path) -> None:
    fill(tmp_path, "x_a.png", "x_b.png", "x_0.png")
    with pytest.raises(UsageError, match=r"no partner for x_0\.png$"):
        pairs_in(tmp_path, chain=False)


def test_a_chain_goes_in_natural_order(tmp_path: Path) -> None:
    fill(tmp_path, "f10.png", "f9.png", "f8.png", "f12.png")
    assert found(tmp_path, chain=True) == [
        ("f8-f9", "f8.png", "f9.png"),
        ("f9-f10", "f9.png", "f10.png"),
        ("f10-f12", "f10.png", "f12.png"),
    ]
    assert pairs_in(tmp_path, chain=True).rules == (
        "each file with the next, from f8.png to f12.png: 3 pairs",
        "numbers are missing between f10.png and f12.png",
    )


def test_equal_numbers_have_no_order(tmp_path: Path) -> None:
    fill(tmp_path, "f1.png", "f01.png", "f2.png")
    with pytest.raises(UsageError, match=r"f01\.png, f1\.png could mean the same pair"):
        pairs_in(tmp_path, chain=True)


def test_other_files_are_left_out_and_said(tmp_path: Path) -> None:
    fill(tmp_path, "x_a.png", "x_b.png", "notes.txt", ".DS_Store")
    (tmp_path / "deeper").mkdir()
    assert pairs_in(tmp_path, chain=False).rules[1:] == ("left out, not pictures: notes.txt",)


def test_nothing_to_pair(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="has no pictures in it"):
        pairs_in(tmp_path, chain=False)
    with pytest.raises(UsageError, match=r"no partner for one\.png"):
        pairs_in(fill(tmp_path, "one.png"), chain=True)
    with pytest.raises(MediaError, match=r"cannot read .*: No such file or directory"):
        pairs_in(tmp_path / "none", chain=False)


def tree(folder: Path) -> Path:
    for place in ("day10", "day9/take{1}", ".hidden", "out/day9", "empty"):
        (folder / place).mkdir(parents=True)
    fill(folder, "x_a.png", "x_b.png", "notes.txt")
    for place in ("day10", "day9/take{1}", ".hidden", "out"):
        fill(folder / place, "x_a.jfif", "x_b.HIF", "y_0.pbm", "y_1.mpo")
    (folder / "linked").symlink_to("day10")
    return folder


def test_the_folders_below(tmp_path: Path) -> None:
    """In natural order, each by itself; not what is hidden, linked or the batch's own output."""
    told = pairs_below(tree(tmp_path), chain=False, without=tmp_path / "out")
    assert [(p.under, p.name, p.first.relative_to(tmp_path).as_posix()) for p in told.pairs] == [
        ("", "x", "x_a.png"),
        ("day9/take{1}", "x", "day9/take{1}/x_a.jfif"),
        ("day9/take{1}", "y", "day9/take{1}/y_0.pbm"),
        ("day10", "x", "day10/x_a.jfif"),
        ("day10", "y", "day10/y_0.pbm"),
    ]
    assert told.rules == (
        f"5 pairs in 3 folders of {tmp_path}",
        f"{tmp_path}: left out, not pictures: notes.txt",
        "left out, a link to a folder: linked",
    )


def test_the_outputs_lie_in_folders_alike(tmp_path: Path) -> None:
    source, place = str(tree(tmp_path)), str(tmp_path / "out")
    items = read([source], {}, recursive=True, place=place).items
    assert [(item.name, item.output) for item in items] == [
        ("x", "x.mp4"),
        *((f"day9/take{{1}}/{n}", f"day9/take{{1}}/{n}.mp4") for n in "xy"),
        *((f"day10/{n}", f"day10/{n}.mp4") for n in "xy"),
    ]
    numbered = read([source], {}, recursive=True, place=place, template="{index:02}/%04d.png")
    assert [item.output for item in numbered.items][2:4] == [
        "day9/take{1}/03/%04d.png",
        "day10/04/%04d.png",
    ]
    assert len({item.output for item in numbered.items}) == 5
    with pytest.raises(UsageError) as caught:
        read([source], {}, recursive=True, place=place, chain=True, template="same.mp4")
    assert "is already written by" in caught.value.message


def test_a_stray_file_below_is_named(tmp_path: Path) -> None:
    fill(tree(tmp_path) / "day10", "z_a.png")
    with pytest.raises(UsageError) as caught:
        pairs_below(tmp_path, chain=False)
    assert caught.value.message == f"{tmp_path / 'day10'}: no partner for z_a.png"


def test_no_pictures_anywhere(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="has no pictures in it or below"):
        pairs_below(tmp_path, chain=False)


def test_two_spellings_are_one_name(tmp_path: Path) -> None:
    """macOS keeps letters and accents apart, others do not: they still are a pair."""
    first, last = (normalize(form, f"caf\u00e9_{end}.png") for form, end in SPELLINGS)
    fill(tmp_path, first, last)
    assert found(tmp_path) == [("caf\u00e9", first, last)]
