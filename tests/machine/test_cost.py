"""The cost model: its laws, and what it says of runs that were measured elsewhere."""

from __future__ import annotations

from dataclasses import replace

import pytest

from vtg_cli.backbones.base import models
from vtg_cli.flow import rates
from vtg_cli.machine.cost import (
    ASSUMED_WITHIN,
    WITHIN,
    Sizes,
    Work,
    fits,
    on_device,
    predict,
    verdict,
)
from vtg_cli.machine.rungs import NAMED

U_NET = Sizes(
    core=1_000_000,
    codec=500_000,
    rest=200_000,
    bytes=6_800_000,
    width=64,
    codec_width=32,
    factor=8,
    decoded=2,
)
SVD = Work(
    rates=models()["svd"].rates,
    device="cpu",
    segments=(14,),
    drawn=(14,),
    size=(256, 448),
    canvas=(256, 448),
    model=U_NET,
    evaluations=100,
    batch=2,
)
FLOW = Work(
    rates=rates.FLOW,
    device="cpu",
    segments=(24,),
    drawn=(24,),
    size=(360, 640),
    canvas=(360, 640),
)


def seconds(work: Work, cores: int = 1) -> float:
    return predict([work], cores).seconds


def test_time_is_linear_in_evaluations_and_in_takes() -> None:
    none, some, twice = (seconds(replace(SVD, evaluations=n)) for n in (0, 100, 200))
    assert twice - some == pytest.approx(some - none) and some > none
    again = seconds(replace(SVD, takes=3)) - seconds(replace(SVD, takes=2))
    assert again == pytest.approx(seconds(replace(SVD, takes=2)) - seconds(SVD))


def test_segments_add_up_and_only_the_longest_counts_for_memory() -> None:
    one, two = FLOW, replace(FLOW, segments=(24, 24), drawn=(24, 24))
    three = replace(FLOW, segments=(24,) * 3, drawn=(24,) * 3)
    assert seconds(three) - seconds(two) == pytest.approx(seconds(two) - seconds(one))
    assert predict([three]).memory == predict([one]).memory
    assert predict([one, one]).seconds == pytest.approx(seconds(two))


def test_attention_grows_with_the_square_of_the_latents() -> None:
    """Four times the latents: without attention the network's share would be four times as much."""
    none, small = seconds(replace(SVD, evaluations=0)), seconds(SVD)
    wide = replace(SVD, size=(512, 896), canvas=(512, 896))
    large = seconds(wide) - seconds(replace(wide, evaluations=0))
    assert large > 5 * (small - none)


def test_a_model_is_loaded_once_and_two_stay() -> None:
    alone = predict([SVD]).memory
    assert predict([SVD, SVD]).memory == alone
    other = replace(SVD, model=replace(U_NET, bytes=50_000_000))
    assert predict([SVD, other]).memory == alone + 50_000_000


def test_cores_speed_the_network_up_and_not_flow() -> None:
    assert seconds(FLOW, 8) == seconds(FLOW, 1)
    one, eight = (seconds(replace(SVD, evaluations=4000), n) for n in (1, 8))
    assert one / 8 < eight < one / 3


def test_the_batch_and_the_decoded_frames_decide_about_memory() -> None:
    """The two numbers a rung of less memory would change."""
    narrow = replace(SVD, model=replace(U_NET, codec_width=0))  # nothing but the network
    one, two = (predict([replace(narrow, batch=n)]).memory for n in (1, 2))
    assert two - one == pytest.approx(18 * 4 * 64 * 14 * 32 * 56, rel=1e-6)
    wide = replace(SVD, batch=0)  # nothing but the autoencoder
    memories = [
        predict([replace(wide, model=replace(U_NET, decoded=n))]).memory for n in (1, 2, 14, 20)
    ]
    frame = 39 * 32 * 256 * 448
    assert memories[1] - memories[0] == pytest.approx(frame, rel=1e-6)
    assert memories[2] == memories[3]  # no more than there are


def test_every_rung_takes_of_a_gpu_what_its_facts_say() -> None:
    """Closed forms: weights on it, and a step or a decoded chunk, whichever has more."""
    step = 18 * 2 * 64 * 14  # bytes of a latent of one clip, of 14 frames in half precision
    decode = 39 * 32 * 64  # of the pixels of a latent of one frame, 8 * 8 of them
    guided = replace(SVD, device="cuda", item=2, terms=2, size=(768, 1024), canvas=(768, 1024))
    latents, tile = 96 * 128, 48 * 48
    weights = U_NET.bytes
    expected = {
        "full": weights + max(4 * step, 14 * decode) * latents,
        "chunked": weights + max(2 * step, 2 * decode) * latents,
        "offload": 0.3 * weights + max(2 * step, 2 * decode) * latents,
        "sequential": 0.05 * weights + max(2 * step, decode) * latents,
        "tiny-vram": 0.05 * weights + max(2 * step * latents, decode * tile),
        "tiled": 0.05 * weights + max(2 * step, decode) * tile,
    }
    assert {*expected} == {*NAMED}
    for name, amount in expected.items():
        work = replace(guided, rung=NAMED[name])
        assert on_device(work) == predict([work]).gpu == pytest.approx(amount, rel=1e-9)
        assert fits(work, 0, round(amount / 0.9) + 1)
        assert not fits(work, 10**12, round(amount / 0.9) - 1)
    given = replace(guided, rung=NAMED["sequential"], chunk=14)  # what is given counts more
    assert on_device(given) == pytest.approx(0.05 * weights + 14 * decode * latents)


def test_a_gpu_is_an_estimate_and_says_so() -> None:
    cost = predict([replace(SVD, device="cuda:1", item=2)])
    assert (cost.basis, cost.gpu is not None) == ("estimated, unmeasured", True)
    assert (cost.memory_within, cost.seconds_within) == ASSUMED_WITHIN
    here = predict([SVD])
    assert (here.basis, here.gpu) == ("fitted", None)
    assert (here.memory_within, here.seconds_within) == WITHIN
    slow = predict([replace(SVD, device="cuda", item=4)])
    assert slow.seconds > cost.seconds


@pytest.mark.parametrize(
    ("needed", "room", "said"),
    [(10, 10, "fits"), (12, 10, "tight"), (15, 10, "tight"), (16, 10, "too much")],
)
def test_only_what_cannot_fit_is_too_much(needed: int, room: int, said: str) -> None:
    assert verdict(needed, 1.5, room) == said


# what benchmarks/results and docs/log.md have of full-size models, both threads of one core, bf16:
# bytes and seconds in all, from the command to the last frame
SVD_XT = Sizes(
    core=1_524_623_082,
    codec=97_742_847,
    rest=632_076_800,
    bytes=2 * (1_524_623_082 + 632_076_800) + 4 * 97_742_847,
    width=320,
    codec_width=128,
    factor=8,
    decoded=8,
)
INTERP = Sizes(
    core=1_438_854_980,
    codec=83_653_863,
    rest=630_766_080 + 340_387_840 + 48_787_456,
    bytes=2 * 2_542_450_219,
    width=320,
    codec_width=128,
    factor=8,
    decoded=4,
)


@pytest.mark.parametrize(
    ("kind", "model", "frames", "evaluations", "batch", "gigabytes", "spent"),
    [
        ("svd", SVD_XT, 4, 4, 2, 5.3, 5.5 + 37.7 + 5.3),
        ("dynamicrafter", INTERP, 16, 2, 1, 5507 * 2**20 / 1e9, 3.7 + 14.3 + 43.9 + 20.4),
    ],
)
def test_full_size_models_as_they_were_measured(
    kind: str,
    model: Sizes,
    frames: int,
    evaluations: int,
    batch: int,
    gigabytes: float,
    spent: float,
) -> None:
    cost = predict(
        [
            Work(
                rates=models()[kind].rates,
                device="cpu",
                segments=(frames,),
                drawn=(frames,),
                size=(128, 128),
                canvas=(128, 128),
                model=model,
                evaluations=evaluations,
                batch=batch,
                item=2,
            )
        ]
    )
    assert cost.memory / 1e9 == pytest.approx(gigabytes, rel=WITHIN[0] - 1)
    assert spent / WITHIN[1] < cost.seconds < spent * WITHIN[1]
