"""The cache of latents, rendered clips as files, captions by a real class."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from trainings import run, settings, tiny

from vtg_cli.backbones import base
from vtg_cli.cli import main
from vtg_cli.errors import WeightsError
from vtg_cli.training import cache
from vtg_cli.training.cache import Latents, fill, key_of
from vtg_cli.training.captioner import Captioner
from vtg_cli.training.log import rows
from vtg_cli.training.rendering import WORDS, kind_of, render
from vtg_cli.training.source import Window, entries_of_folder, read_frames

SVD = Path(__file__).parents[1] / "data" / "parity" / "tiny_svd"
WINDOW = Window(frames=3, stride=2, size=(32, 48))


def clips(folder: Path, count: int = 3) -> Path:
    from fractions import Fraction

    render(folder, count, frames=6, size=(32, 48), fps=Fraction(12))
    return folder


def test_rendered_clips_have_captions_and_stay(tmp_path: Path) -> None:
    folder = clips(tmp_path, 2)
    names = sorted(file.name for file in folder.iterdir())
    assert names == ["00000.mp4", "00000.txt", "00001.mp4", "00001.txt"]
    assert all((folder / f"{n:05}.txt").read_text().strip() in WORDS.values() for n in range(2))
    assert len(read_frames(folder / "00000.mp4", 0, 99)) == 6
    before = (folder / "00000.mp4").stat().st_mtime_ns
    clips(tmp_path, 3)
    assert (folder / "00000.mp4").stat().st_mtime_ns == before
    assert {kind_of(seed) for seed in range(60)} == set(WORDS)


def test_a_cache_holds_mean_and_deviation_and_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache, "SHARD", 1)
    m = base.load(SVD, device="cpu", dtype="fp32")
    entries = entries_of_folder(clips(tmp_path / "clips"), print)
    out = tmp_path / "latents"
    first = fill(m, entries[:2], WINDOW, "model", out)
    assert (first.encoded, first.found) == (2, 0)
    again = fill(m, entries, WINDOW, "model", out)
    assert (again.encoded, again.found, again.failed) == (1, 2, ())
    key = key_of(entries[0], WINDOW, "model")
    kept = Latents(out)
    assert key in kept and key_of(entries[0], WINDOW, "other") not in kept
    latents = kept.window(key, 1, WINDOW)
    assert latents is not None and latents.shape == (2, 3, 4, 8, 12)
    pixels = np.stack(read_frames(entries[0].path, 1, 5))[::2]
    with torch.no_grad():
        wanted = m.encode(torch.from_numpy(pixels).movedim(-1, 1)[None].float() / 127.5 - 1)
    # half precision: 11 bits
    assert float((latents[0].float() - wanted[0]).abs().max()) < 2e-3 * float(wanted.abs().max())
    assert float(latents[1].min()) > 0
    assert kept.window("nothing", 0, WINDOW) is None


def test_training_reads_latents_from_a_cache(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    tiny(tmp_path / "model")
    data = str(clips(tmp_path / "clips"))
    command = ["data", "cache", data, "-o", str(tmp_path / "latents"), "--size", "48x32"]
    assert main([*command, "--model", str(tmp_path / "model"), "--quiet"]) == 0
    assert capfd.readouterr().out == f"{tmp_path / 'latents'}: 3 clips encoded, 0 were there\n"
    losses = []
    for name, latents in (("plain", None), ("cached", str(tmp_path / "latents"))):
        out = tmp_path / name
        told = {"data": data, "size": (32, 48), "stride": 1, "tries": 0, "latents": latents}
        run(settings(tmp_path, out=str(out), **told))
        losses.append([row["loss"] for row in rows(out)])
    # latents in half precision: their own rounding, 5e-4 of a pixel's range
    assert losses[0] == pytest.approx(losses[1], rel=2e-2)
    assert losses[0] != losses[1]


def blip(folder: Path) -> Path:
    """BLIP's real classes, tiny and random."""
    from transformers import (
        BertTokenizerFast,
        BlipConfig,
        BlipForConditionalGeneration,
        BlipImageProcessor,
        BlipProcessor,
    )

    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "[DEC]", "[ENC]", "a", "fox", "runs"]
    folder.mkdir()
    (folder / "vocab.txt").write_text("\n".join(words))
    tokenizer = BertTokenizerFast(str(folder / "vocab.txt"))
    size: dict[str, Any] = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    text = size | {"intermediate_size": 16, "vocab_size": len(words), "encoder_hidden_size": 16}
    text |= {"bos_token_id": 5, "eos_token_id": 3, "pad_token_id": 0, "sep_token_id": 3}
    vision = size | {"intermediate_size": 16, "image_size": 32, "patch_size": 16}
    torch.manual_seed(0)
    model = BlipForConditionalGeneration(BlipConfig(text_config=text, vision_config=vision))
    model.save_pretrained(folder)
    image = BlipImageProcessor(size={"height": 32, "width": 32})
    BlipProcessor(image, tokenizer).save_pretrained(folder)
    return folder


def test_a_captioner_s_real_class_gives_words(tmp_path: Path) -> None:
    captioner = Captioner(blip(tmp_path / "blip"), torch.device("cpu"))
    picture = np.zeros((40, 60, 3), np.uint8)
    assert captioner([picture]) == captioner([picture])
    assert isinstance(captioner([picture]), str)
    with pytest.raises(WeightsError, match="holds no captioner"):
        Captioner(tmp_path, torch.device("cpu"))
