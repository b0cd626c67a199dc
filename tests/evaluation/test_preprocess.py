"""How pictures reach networks: the recordings of each code, then corners told by hand."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from published import CASES, tensors
from torch import Tensor

from vtg_cli.evaluation import preprocess

RECORDED: dict[str, Callable[[NDArray[np.uint8]], Tensor]] = {
    "cdfvd_i3d": preprocess.debiased_i3d,
    "seer_i3d": preprocess.seer_i3d,
    "pytorch_fid": lambda clips: preprocess.fid(clips[0]),
}


@pytest.mark.parity
@pytest.mark.parametrize("case", CASES)
def test_recordings(case: str) -> None:
    arrays = tensors(case)
    found = [name for name in arrays if name.startswith("pre.") and name.endswith("_stride8")]
    assert found
    for name in found:
        code = name.removeprefix("pre.").removesuffix("_stride8")
        prepared = RECORDED[code](arrays["pre.video"])[..., ::8, ::8].numpy()
        np.testing.assert_allclose(prepared, arrays[name], rtol=0, atol=1e-6, err_msg=name)


def clip(*shape: int) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def test_shapes() -> None:
    clips, pictures = clip(2, 3, 30, 44, 3), clip(2, 30, 44, 3)
    assert preprocess.debiased_i3d(clips).shape == (2, 3, 3, 224, 224)
    assert preprocess.debiased_videomae(clips).shape == (2, 3, 3, 224, 224)
    assert preprocess.seer_i3d(clips).shape == (2, 3, 3, 224, 224)
    assert preprocess.fid(pictures).shape == (2, 3, 299, 299)
    assert preprocess.vbench_clip(pictures).shape == (2, 3, 224, 224)
    assert preprocess.vbench_dino(pictures).shape == (2, 3, 224, 328)  # int(224 * 44 / 30)
    assert preprocess.vbench_dino_i2v(pictures).shape == (2, 3, 224, 224)
    assert preprocess.lpips(pictures).shape == (2, 3, 30, 44)


def test_videomae_has_no_mean_and_frames_stay_in_order() -> None:
    values = np.broadcast_to(
        np.arange(4, dtype=np.uint8)[None, :, None, None, None] * 60, (1, 4, 8, 8, 3)
    )
    prepared = preprocess.debiased_videomae(values)
    for i in range(4):
        frame = prepared[0, i].numpy()
        np.testing.assert_allclose(frame, 60 * i / 255, atol=4 * 2**-24)  # of four products
    same = preprocess.debiased_i3d(values)[0, :, 2]
    assert float(same.min()) == pytest.approx(2 * 120 / 255 - 1, abs=1e-6)


def test_torchscript_files_get_code_values_or_the_unit_range() -> None:
    clips = clip(1, 9, 8, 10, 3)
    first = preprocess.channels_first(clips)
    assert (first.dtype, first.shape) == (torch.uint8, (1, 3, 9, 8, 10))
    assert torch.equal(preprocess.unit_range(clips), first.float() / 255)
    assert int(first[0, 2, 4, 3, 7]) == clips[0, 4, 3, 7, 2]


@pytest.mark.parametrize("size", [(224, 300), (300, 224), (224, 224)])
def test_a_picture_of_the_right_size_is_only_cut(size: tuple[int, int]) -> None:
    """The middle, rounded half to even as Python does, in ImageNet's or CLIP's colours."""
    pictures = clip(1, *size, 3)
    top, left = (round((side - 224) / 2) for side in size)
    middle = pictures[0, top : top + 224, left : left + 224] / 255
    mean, deviation = (np.array(each) for each in preprocess.OPENAI)
    expected = ((middle - mean) / deviation).transpose(2, 0, 1)
    found = preprocess.vbench_clip(pictures)[0].numpy()
    np.testing.assert_allclose(found, expected, atol=1e-5)  # 1/255 in float32 over 0.26


def test_a_resize_is_rounded_to_code_values() -> None:
    pictures = clip(1, 40, 40, 3)
    mean, deviation = (np.array(each)[:, None, None] for each in preprocess.IMAGENET)
    for prepare in (preprocess.vbench_dino, preprocess.vbench_dino_i2v):
        values = (prepare(pictures)[0].numpy() * deviation + mean) * 255
        np.testing.assert_allclose(values, np.round(values), atol=1e-3)
        assert values.min() > -1e-3 and values.max() < 255.001
