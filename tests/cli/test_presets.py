"""vtg morph, blend and transition: interpolate with other defaults, told by captions."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from reading import read_video
from safetensors.torch import load_file

from vtg_cli import interpolate
from vtg_cli.cli import main
from vtg_cli.job.jobs import NEGATIVE_PROMPT, Interpolate
from vtg_cli.job.presets import PRESETS
from vtg_cli.job.sampling import Sampling
from vtg_cli.media.image import read_image
from vtg_cli.training import pair_cache

TESTS = Path(__file__).resolve().parents[1]
PARITY = TESTS / "data" / "parity"
NAMES = [preset.name for preset in PRESETS]
SMALL = ["--frames", "4", "--width", "32", "--height", "16"]
TAKES_NONE = "takes no text, so the captions change nothing"


@pytest.fixture(scope="module")
def reading(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The folder of a model that reads: the recordings' tiny DynamiCrafter, and a vocabulary."""
    sys.path.insert(0, str(TESTS / "backbones" / "dynamicrafter"))
    from tiny_models import words

    found = load_file(PARITY / "dc_tiny" / "model.safetensors")
    ids, rows = (found.pop(f"EXTRA.cond_stage_token_{part}") for part in ("ids", "rows"))
    table = torch.zeros(49408, rows.shape[1], dtype=rows.dtype)
    table[ids] = rows
    table[:300] = torch.randn(300, rows.shape[1], generator=torch.Generator().manual_seed(0))
    found["cond_stage_model.model.token_embedding.weight"] = table
    folder = tmp_path_factory.mktemp("model")
    torch.save({"state_dict": found}, folder / "model.ckpt")
    out = folder / "mine"
    arguments = ["--config", str(PARITY / "dc_tiny" / "config.json"), "--variant", "512_interp"]
    arguments += ["--clip", str(words(folder / "clip"))]
    assert main(["models", "import", str(folder / "model.ckpt"), "-o", str(out), *arguments]) == 0
    return str(out)


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for i in range(3):
        y, x = np.mgrid[:36, :64]
        waves = [np.sin((x + 9 * i) / 6) + np.cos((y - 5 * i) / (5 + c)) for c in range(3)]
        pixels = (np.stack(waves, -1) * 60 + 128).astype(np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{'abc'[i]}.png")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))


def planned(capfd: pytest.CaptureFixture[str], *arguments: str) -> dict[str, object]:
    capfd.readouterr()
    assert main([*arguments, "-o", "clip.mkv", "--dry-run", "--json"]) == 0
    return dict(json.loads(capfd.readouterr().out)["job"])


def asked(name: str, *more: str, count: int = 2) -> list[str]:
    return [name, *(f"{letter}.png" for letter in "abc"[:count]), *more]


@pytest.mark.parametrize("name", NAMES)
def test_the_embedded_model_says_that_it_takes_no_text(
    name: str, capfd: pytest.CaptureFixture[str]
) -> None:
    told = ["--from", "a lion", "--to", "a truck", "--model", "tiny", "--frames", "4"]
    assert main([*asked(name, *told), "-o", "clip.mkv"]) == 0
    out, err = capfd.readouterr()
    assert out == "clip.mkv\n"
    (line,) = err.splitlines()
    assert line.startswith("vtg: note: ") and TAKES_NONE in line
    clip, _ = read_video("clip.mkv")
    assert clip.shape == (4, 36, 64, 3)
    assert np.array_equal(clip[0], read_image("a.png"))
    assert np.array_equal(clip[3], read_image("b.png"))
    report = json.loads(Path("clip.mkv.json").read_text(encoding="utf-8"))
    assert (report["job"]["kind"], report["job"]["prompts"]) == ("interpolate", [])
    assert any(TAKES_NONE in note for note in report["notes"])
    # the same as interpolate with the preset's value
    ease = "linear" if name == "transition" else "ease-in-out"
    assert report["job"]["ease"] == ease
    same = interpolate("a.png", "b.png", model="tiny", frames=4, ease=ease)
    assert np.array_equal(clip, np.stack([*same]))


def test_nothing_is_said_of_text_that_is_neither_given_nor_taken(
    capfd: pytest.CaptureFixture[str],
) -> None:
    assert main([*asked("morph", "--model", "flow", "--frames", "3"), "-o", "clip.mkv"]) == 0
    assert capfd.readouterr() == ("clip.mkv\n", "")


@pytest.mark.parametrize(
    ("name", "init", "until", "curve", "lora"),
    [
        ("morph", "slerp", 0.2, "linear", "fit"),
        ("blend", "slerp", 0.4, "ease-in-out", "fit"),
        ("transition", "random", None, "linear", "off"),
    ],
)
def test_what_a_preset_is_with_a_model_that_reads(
    name: str,
    init: str,
    until: float | None,
    curve: str,
    lora: str,
    reading: str,
    capfd: pytest.CaptureFixture[str],
) -> None:
    told = ["--model", reading, "--from", "a cat", "--to", "a car"]
    job = planned(capfd, *asked(name, *told))
    sampling = job["sampling"]
    assert isinstance(sampling, dict)
    assert (sampling["init"], sampling["init_until"], job["text_curve"]) == (init, until, curve)
    assert job["lora"] == lora and planned(capfd, *asked(name, *told, "--fast"))["lora"] == "off"
    assert (job["prompts"], job["negative_prompt"]) == (["a cat", "a car"], NEGATIVE_PROMPT)
    # all of it can be said otherwise
    more = ["--ease", "ease-in", "--text-curve", "hold", "--strength", "0.5"]
    job = planned(capfd, *asked(name, *told, *more, "--negative-prompt", "dull"))
    sampling = job["sampling"]
    assert isinstance(sampling, dict)
    assert (sampling["init"], sampling["init_until"], sampling["strength"]) == ("flow", None, 0.5)
    said = job["ease"], job["text_curve"], job["negative_prompt"]
    assert said == ("ease-in", "hold", "dull")
    assert main([*asked(name, *told, "--init", "random"), "-o", "clip.mkv", "--dry-run"]) == 0
    out = capfd.readouterr().out
    assert "from random" in out and f"text      a cat; a car ({curve})" in out


def test_a_model_that_reads_is_told(reading: str, capfd: pytest.CaptureFixture[str]) -> None:
    quick = ["--model", reading, *SMALL, "--steps", "2", "--guidance", "3", "-q", "--lora", "off"]
    clips = []
    for captions in (["a cat", "cat a"], ["a cat", "a cat"], ["a cat"]):
        said = [word for caption in captions for word in ("--caption", caption)]
        command = [*asked("morph", *quick, *said), "-o", "clip.mkv", "--overwrite"]
        assert main([*command, "--negative-prompt", "a"]) == 0
        clips.append(read_video("clip.mkv")[0])
    assert capfd.readouterr().err == ""
    assert not np.array_equal(clips[0][1:-1], clips[1][1:-1])
    assert np.array_equal(clips[1], clips[2])
    assert main(["run", "clip.mkv.json", "-o", "again.mkv", "-q"]) == 0
    assert np.array_equal(read_video("again.mkv")[0], clips[2])


def test_every_keyframe_has_its_caption(reading: str, capfd: pytest.CaptureFixture[str]) -> None:
    quick = ["--model", reading, *SMALL, "--steps", "1", "--prompt", "a"]
    command = asked("interpolate", *quick, count=3)
    assert main([*command, "--loop", "-o", "clip.mkv", "-q", "--negative-prompt", "b"]) == 0
    one = read_video("clip.mkv")[0]
    command += ["--prompt", "cat", "--prompt", "b"]
    assert main([*command, "--loop", "-o", "other.mkv", "-q", "--negative-prompt", "b"]) == 0
    other = read_video("other.mkv")[0]
    for begin in (0, 3, 6):
        assert not np.array_equal(one[begin + 1 : begin + 3], other[begin + 1 : begin + 3])


def test_captions_left_out_cost_something(reading: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert main([*asked("morph", "--model", reading), "-o", "clip.mkv", "--dry-run"]) == 0
    notes = [line for line in capfd.readouterr().err.splitlines() if "caption" in line]
    assert len(notes) == 1 and "no guidance by words" in notes[0]


REFUSALS = [
    (["morph", "--from", "a"], "--from needs --to beside it"),
    (["blend", "--to", "a"], "--to needs --from beside it"),
    (["morph", "--from", "a", "--to", "b", "--caption", "c"], "--caption says what --from"),
    (["morph", *["--caption", "a"] * 3], "3 captions for 2 keyframes"),
    (["morph", "--model", "tiny", "--text-curve", "hold"], "--text-curve is for models that take"),
    (["morph", "--prompt", "a"], "no such option: --prompt"),
    (["interpolate", "--model", "tiny", "--prompt", "a"], "--prompt is for models that take text"),
    (["interpolate", "--model", "tiny", "--negative-prompt", "a"], "--negative-prompt is for"),
    (["interpolate", "--model", "flow", "--prompt", "a"], "and flow takes none"),
    (["interpolate", "--model", "flow", "--init", "slerp"], "--init is for diffusion models"),
    (["interpolate", "--model", "tiny", "--init-until", "0.5"], "without --init slerp"),
    (["interpolate", "--model", "tiny", "--init", "slerp", "--strength", "0.5"], "exclude each"),
]


@pytest.mark.parametrize(("arguments", "said"), REFUSALS)
def test_a_refusal_is_a_line_and_a_hint(
    arguments: list[str], said: str, capfd: pytest.CaptureFixture[str]
) -> None:
    name, *more = arguments
    assert main([*asked(name, *more), "-o", "clip.mkv"]) == 2
    out, err = capfd.readouterr()
    assert out == "" and err.startswith("vtg: ") and said in err.splitlines()[0]
    assert len(err.splitlines()) <= 2 and not Path("clip.mkv").exists()


def test_from_and_to_are_for_two_pictures(capfd: pytest.CaptureFixture[str]) -> None:
    told = ["--from", "a", "--to", "b", "-o", "clip.mkv"]
    assert main([*asked("morph", *told, count=3)]) == 2
    assert "--from and --to are for two pictures, 3 given" in capfd.readouterr().err


def test_help_has_what_interpolate_has(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")

    def offered(name: str) -> set[str]:
        assert main([name, "--help-all"]) == 0
        printed = capfd.readouterr().out.split()
        return {word.rstrip(":,.") for word in printed if word.startswith("--")}

    plain = offered("interpolate")
    assert {"--prompt", "--negative-prompt", "--text-curve", "--init", "--init-until"} <= plain
    for name in NAMES:
        assert offered(name) - plain == {"--from", "--to", "--caption"}
        assert plain - offered(name) == {"--prompt"}


def test_presets_hold_names_of_options() -> None:
    """Values that the defaults would not give, under names that a job has."""
    job = Interpolate(keyframes=("a", "b"))
    for preset in PRESETS:
        for name, value in {**preset.always, **preset.reading}.items():
            home: object = job.sampling if hasattr(Sampling(), name) else job
            assert getattr(home, name) != value


@pytest.fixture
def quick_fits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(pair_cache, "DEFAULTS", pair_cache.PairSettings(rank=2, steps=2, rate=5e-2))
    return tmp_path / "cache" / "vtg" / "lora"


def test_a_morph_through_three_keyframes_with_a_caption_each(
    reading: str, capfd: pytest.CaptureFixture[str], quick_fits: Path
) -> None:
    """Inverted noise, a fit of every keyframe with its own caption, all the way to the file."""
    said = [word for caption in ("a cat", "cat", "b") for word in ("--caption", caption)]
    command = asked("morph", "--model", reading, *SMALL, "--steps", "2", *said, count=3)
    assert main([*command, "-o", "clip.mkv", "--dry-run"]) == 0
    out = capfd.readouterr().out
    # 2 segments of 2 steps, 2 directions and 2 terms; 2 x 2 single frames for each inversion
    assert "trf from slerp, 2 steps, seed 0: 24 evaluations of the network, 8 of them of" in out
    assert "lora      fit: 3 keyframes, 200 training steps each" in out
    assert "text      a cat; cat; b (linear)" in out
    assert main([*command, "-o", "clip.mkv", "-q"]) == 0
    clip = read_video("clip.mkv")[0]
    assert clip.shape == (7, 16, 32, 3)
    kept = {file.name for file in quick_fits.iterdir()}
    assert len(kept) == 3
    # another caption of one keyframe is another fit of that one alone
    command[-1] = "ca"
    assert main([*command, "-o", "other.mkv", "-q"]) == 0
    assert len({file.name for file in quick_fits.iterdir()} - kept) == 1
    assert np.array_equal(read_video("other.mkv")[0][:4], clip[:4])
    assert not np.array_equal(read_video("other.mkv")[0][4:6], clip[4:6])


def test_fast_is_ten_steps_and_no_fit(reading: str, capfd: pytest.CaptureFixture[str]) -> None:
    def line(*command: str) -> str:
        assert main([*asked(*command), "-o", "clip.mkv", "--dry-run"]) == 0
        out = capfd.readouterr().out
        assert "lora" not in out
        (found,) = [line for line in out.splitlines() if line.startswith("sampling")]
        return found

    told = ["--model", reading, "--fast"]
    for name in ("interpolate", *NAMES):
        assert ", 10 steps (fast), seed 0: " in line(name, *told)
    assert ", 3 steps (fast), seed 0: " in line("morph", *told, "--steps", "3")
    assert main([*asked("morph", *told, "--lora", "fit"), "-o", "clip.mkv"]) == 2
    assert "--fast and --lora fit exclude each other" in capfd.readouterr().err
    # what is quicker by itself stays as it is, and that is said
    assert main([*asked("morph", "--model", "tiny", "--fast"), "-o", "c.mkv", "--dry-run"]) == 0
    out, err = capfd.readouterr()
    assert ", 2 steps (fast)" in out
    assert err.endswith("vtg: note: --fast changes no step: tiny takes 2 by itself\n")


def test_words_without_a_vocabulary_are_refused_while_planning(
    reading: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "mute"
    shutil.copytree(reading, folder, ignore=shutil.ignore_patterns("tokenizer"))
    command = asked("morph", "--model", str(folder), "--caption", "a cat", "--dry-run")
    assert main([*command, "-o", "clip.mkv"]) == 5
    err = capfd.readouterr().err
    assert err.startswith("vtg: a prompt needs CLIP's vocabulary, vocab.json and merges.txt")
    assert f"in {folder}/tokenizer" in err.splitlines()[1]
    # no words, no vocabulary
    assert main([*asked("morph", "--model", str(folder), "--dry-run"), "-o", "clip.mkv"]) == 0
    (folder / "text_tower.safetensors").unlink()
    capfd.readouterr()
    assert main([*command, "-o", "clip.mkv"]) == 5
    assert "text_tower.safetensors" in capfd.readouterr().err.splitlines()[0]


def test_vtgs_parts_on_stable_video_diffusion(
    capfd: pytest.CaptureFixture[str], quick_fits: Path
) -> None:
    """Noise, fit and what is seen turn from one keyframe into the other, without a word."""
    svd = ["--model", str(PARITY / "tiny_svd"), "--width", "24", "--height", "16", "-q"]
    parts = {
        "--init": "slerp",
        "--lora": "fit",
        "--image-curve": "linear",
        "--fusion": "1,0.5,0",
        "--motion-fps": "12",
    }
    clips = []
    for left_out in ("nothing", "--lora", "--image-curve"):
        rest = [word for each in parts.items() if each[0] != left_out for word in each]
        command = asked("interpolate", *svd, "--steps", "2", *rest, "--renoise", "0")
        assert main([*command, "-o", "clip.mkv", "--overwrite"]) == 0
        clips.append(read_video("clip.mkv")[0])
    assert clips[0].shape == (6, 16, 24, 3)
    for other in clips[1:]:  # every part does something
        assert not np.array_equal(clips[0], other)
    assert len([*quick_fits.iterdir()]) == 2


def test_options_without_a_use_are_refused(reading: str, capfd: pytest.CaptureFixture[str]) -> None:
    svd = str(PARITY / "tiny_svd")
    for model, option in (
        (reading, ["--image-curve", "linear"]),
        ("tiny", ["--image-curve", "linear"]),
        ("tiny", ["--motion-fps", "8"]),
        ("tiny", ["--rotate", "first"]),
        (svd, ["--rotate", "first"]),
    ):
        command = asked("interpolate", "--model", model, *option)
        assert main([*command, "-o", "clip.mkv"]) == 2
        assert f"{option[0]} means nothing to " in capfd.readouterr().err


@pytest.mark.parametrize("method", ["tei", "attention", "di", "tvg"])
def test_the_baselines_draw_between_two_captions(
    method: str, reading: str, capsys: pytest.CaptureFixture[str]
) -> None:
    told = ["--prompt", "a cat", "--prompt", "cat cat", "--method", method, "--steps", "2"]
    assert (
        main(["interpolate", "a.png", "b.png", "--model", reading, *SMALL, *told, "-o", "out.mp4"])
        == 0
    )
    assert Path("out.mp4").stat().st_size > 0, capsys.readouterr().err


@pytest.mark.parametrize(
    ("told", "line"),
    [
        ([], "vtg: --method tei goes between captions, and there are fewer than two"),
        (
            ["--prompt", "a"],
            "vtg: --method tei goes between captions, and there are fewer than two",
        ),
    ],
)
def test_tei_wants_two_captions(
    told: list[str], line: str, reading: str, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["a.png", "b.png", "--model", reading, "--method", "tei", "-o", "out.mp4", *told]
    assert main(["interpolate", *arguments]) == 2
    said = capsys.readouterr().err
    assert line in " ".join(said.split())
    assert "give one --prompt for each keyframe" in said
    assert not Path("out.mp4").exists()


def test_tei_wants_a_model_that_reads(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["a.png", "b.png", "--model", "tiny", "--method", "tei", "-o", "out.mp4"]
    assert main(["interpolate", *arguments]) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert "--method tei goes between captions, and tiny takes none" in said
    assert not Path("out.mp4").exists()
