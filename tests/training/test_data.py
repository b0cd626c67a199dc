"""The bank of clips and its stream: what is told fits what is shown; any step can be taken up."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from vtg_cli.backbones.tiny.prior import CONCAT, guide
from vtg_cli.training import data
from vtg_cli.training.data import Bank, Clips, Shard, told_clip

SMALL = Clips(side=32, factor=2, frames=4)


@pytest.fixture(scope="module")
def clips() -> list[Shard]:
    return [told_clip(SMALL, i) for i in (2, 3)]


@pytest.fixture(scope="module")
def bank(clips: list[Shard], tmp_path_factory: pytest.TempPathFactory) -> Bank:
    folder = tmp_path_factory.mktemp("bank")
    files = []
    for number in range(2):
        files.append(folder / f"{number:05}.npy")
        np.save(files[-1], clips[number][None])
    return Bank(files, window=12, seed=3)


def test_the_condition_begins_and_ends_with_the_clip(clips: list[Shard]) -> None:
    clip = clips[0]
    assert clip.shape == (4, 3 + CONCAT, 16, 16)
    assert np.array_equal(clip[0, :3], clip[0, 3:6]) and np.array_equal(clip[3, :3], clip[3, 7:10])
    assert (clip[0, 6] == 255).all() and (clip[3, 10] == 255).all()
    assert np.array_equal(clip, told_clip(SMALL, 2)) and not np.array_equal(clip, clips[1])


def test_a_shard_is_written_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data, "told_clip", lambda clips, index: np.full((2, 2), index, np.uint8))
    file = data.write_shard(SMALL, tmp_path, 2)
    assert np.load(file)[:, 0, 0].tolist() == list(range(2 * data.SHARD, 3 * data.SHARD))
    written = file.stat().st_mtime_ns
    assert data.write_shard(SMALL, tmp_path, 2).stat().st_mtime_ns == written
    assert [f.name for f in tmp_path.iterdir()] == ["00002.npy"]


def test_the_stream_can_be_taken_up_at_any_batch(bank: Bank) -> None:
    whole = list(bank.batches(3, 0, 4))
    later = list(bank.batches(3, 2, 4))
    assert whole[0].shape == (3, 4, 3 + CONCAT, 12, 12)
    assert all(torch.equal(a, b) for a, b in zip(whole[2:], later, strict=True))
    assert not torch.equal(whole[2], whole[3])


def test_every_view_keeps_the_guide_as_good_as_it_was(clips: list[Shard]) -> None:
    """Backwards, turned, mirrored, colours exchanged, negative: the same error, place for place."""
    clip = clips[1]

    def error(views: Shard) -> float:
        x = torch.from_numpy(views).float()[None]
        return float((guide(x[:, :, 3:]) - x[:, :, :3]).square().mean())

    truth = error(clip)
    assert truth > 1
    seen = set()
    for seed in range(40):
        view = data._turned(np.random.default_rng(seed), clip.copy())
        # the floor of 1e-6 in the guide's weights, at the ends
        assert error(view) == pytest.approx(truth, rel=1e-3)
        seen.add(view.tobytes())
    assert len(seen) > 30  # of 192


def test_shares_of_what_is_told(bank: Bank) -> None:
    samples = torch.stack([bank[i] for i in range(300)])
    ahead, back = samples[:, :, 6].amax((1, 2, 3)) > 0, samples[:, :, 10].amax((1, 2, 3)) > 0
    # binomial deviations below 0.03
    assert float((~ahead).float().mean()) == pytest.approx(data.TOLD["nothing"], abs=0.06)
    assert float(back.float().mean()) == pytest.approx(data.TOLD["both"], abs=0.09)
    still = (samples[:, 1:, 3:6] == samples[:, :1, :3]).all(-1).all(-1).all(-1).all(-1)
    assert float(still.float().mean()) == pytest.approx(data.TOLD["still"], abs=0.07)
    assert float(samples[:, :, :3].min()) >= -1 and float(samples[:, :, 6].max()) <= 1


@pytest.mark.slow
def test_processes_change_nothing(bank: Bank) -> None:
    here, there = (list(bank.batches(2, 1, 3, workers)) for workers in (0, 2))
    assert all(torch.equal(a, b) for a, b in zip(here, there, strict=True))
