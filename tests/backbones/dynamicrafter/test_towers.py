from __future__ import annotations

import pytest
import torch
from rounding import DEEP, rounding

from vtg_cli.backbones.clip_pixels import CLIP_MEAN, CLIP_STD
from vtg_cli.backbones.dynamicrafter import towers
from vtg_cli.errors import WeightsError

SIZES = towers.TowersConfig(
    vocabulary=50,
    text_length=7,
    text_width=16,
    text_heads=2,
    text_layers=3,
    patch=56,
    image_width=24,
    image_heads=3,
    image_layers=2,
)
AUTOENCODER = {
    "embed_dim": 4,
    "ddconfig": {
        "z_channels": 4,
        "ch": 128,
        "ch_mult": [1, 2, 4, 4],
        "num_res_blocks": 2,
        "attn_resolutions": [],
    },
}


def randn(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def test_a_text_token_knows_those_before_it_alone() -> None:
    tower = towers.text_tower(SIZES).eval()
    tokens = torch.tensor([[48, 3, 9, 4, 49, 0, 0]])
    other = tokens.clone()
    other[0, 4] = 7
    with torch.no_grad():
        a, b = (towers.embed_text(tower, t) for t in (tokens, other))
    assert a.shape == (1, 7, 16)
    assert torch.allclose(a[:, :4], b[:, :4], rtol=0, atol=rounding(DEEP))
    assert float((a[:, 4:] - b[:, 4:]).abs().amax(-1).min()) > 1e-3
    # the final norm, which starts as the identity: a mean of 16 numbers below 4
    assert float(a.mean(-1).abs().max()) < rounding(2 * 16, 4)


def test_the_last_text_layer_is_not_built() -> None:
    layers = {
        n.split(".")[2] for n, _ in towers.text_tower(SIZES).named_parameters() if "layers" in n
    }
    assert layers == {"0", "1"}


def test_image_tokens_are_the_last_layers_own() -> None:
    tower = towers.image_tower(SIZES).eval()
    with torch.no_grad():
        before = towers.embed_image(tower, randn(1, 2, 3, 40, 300).clamp(-1, 1))
        tower.get_parameter("post_layernorm.weight").zero_()
        after = towers.embed_image(tower, randn(1, 2, 3, 40, 300).clamp(-1, 1))
    assert before.shape == (2, 1 + (224 // 56) ** 2, 24)
    assert torch.equal(before, after)


def test_the_view_is_in_clips_colours() -> None:
    grey = towers.clip_view(torch.zeros(1, 3, 10, 600))
    assert grey.shape == (1, 3, 224, 224)
    wanted = (0.5 - torch.tensor(CLIP_MEAN)) / torch.tensor(CLIP_STD)
    # a resize is a weighted mean, in either direction of some tens of numbers
    assert torch.allclose(grey[0, :, ::50, ::50], wanted[:, None, None], atol=rounding(64, 2))


def test_towers_on_the_meta_device_keep_their_positions() -> None:
    with torch.device("meta"):
        both = towers.text_tower(SIZES), towers.image_tower(SIZES)
    assert [net.get_buffer("embeddings.position_ids").tolist() for net in both] == [
        [list(range(7))],
        [list(range(17))],
    ]


def test_configs_of_the_reference() -> None:
    released = {
        "text_cfg": {
            "context_length": 77,
            "vocab_size": 49408,
            "width": 1024,
            "heads": 16,
            "layers": 24,
        },
        "vision_cfg": {
            "image_size": 224,
            "layers": 32,
            "width": 1280,
            "head_width": 80,
            "patch_size": 14,
        },
    }
    assert towers.TowersConfig.of(released) == towers.TowersConfig()
    assert towers.AutoencoderConfig.of(AUTOENCODER) == towers.AutoencoderConfig()
    other = AUTOENCODER | {"ddconfig": AUTOENCODER["ddconfig"] | {"attn_resolutions": [32]}}  # type: ignore[operator]
    with pytest.raises(WeightsError, match="another kind"):
        towers.AutoencoderConfig.of(other)


def test_the_autoencoder_halves_once_less_than_it_has_levels() -> None:
    net = towers.autoencoder(towers.AutoencoderConfig(channels=(32, 32, 32), layers=1)).eval()
    with torch.no_grad():
        latents = net.encode(randn(2, 2, 3, 16, 24)).latent_dist.mean  # type: ignore[operator]
        assert latents.shape == (2, 4, 4, 6)
        assert net.decode(latents).sample.shape == (2, 3, 16, 24)  # type: ignore[operator]
