from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from vtg_cli.backbones.dynamicrafter import keys, towers
from vtg_cli.backbones.dynamicrafter.keys import Target
from vtg_cli.errors import WeightsError
from vtg_cli.weights.checkpoint import open_checkpoint

SIZES = towers.TowersConfig(vocabulary=11, text_length=6, text_width=8, text_heads=2, text_layers=3)
TEXT = "cond_stage_model.model."


def open_clip_text(seed: int = 0) -> dict[str, Tensor]:
    """A text tower as open_clip names and packs it."""
    d, generator = SIZES.text_width, torch.Generator().manual_seed(seed)
    shapes: dict[str, tuple[int, ...]] = {
        "token_embedding.weight": (SIZES.vocabulary, d),
        "positional_embedding": (SIZES.text_length, d),
        "ln_final.weight": (d,),
        "ln_final.bias": (d,),
        "text_projection": (d, d),
        "logit_scale": (),
    }
    for n in range(SIZES.text_layers):
        layer = {
            "ln_1": (d,),
            "ln_2": (d,),
            "attn.out_proj": (d, d),
            "mlp.c_fc": (4 * d, d),
            "mlp.c_proj": (d, 4 * d),
        }
        for name, shape in layer.items():
            shapes[f"transformer.resblocks.{n}.{name}.weight"] = shape
            shapes[f"transformer.resblocks.{n}.{name}.bias"] = shape[:1]
        shapes[f"transformer.resblocks.{n}.attn.in_proj_weight"] = (3 * d, d)
        shapes[f"transformer.resblocks.{n}.attn.in_proj_bias"] = (3 * d,)
    return {TEXT + n: torch.randn(s, generator=generator) for n, s in shapes.items()}


def tower() -> dict[str, nn.Module]:
    with torch.device("meta"):
        return {"text_tower": towers.text_tower(SIZES)}


def shapes_of(tensors: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in tensors.items()}


def test_filling_cuts_the_packed_projections_in_three() -> None:
    source, networks = open_clip_text(), tower()
    keys.fill(networks, shapes_of(source), source.__getitem__)
    filled = networks["text_tower"].state_dict()
    packed = source[f"{TEXT}transformer.resblocks.1.attn.in_proj_weight"]
    for letter, third in zip("qkv", packed.chunk(3), strict=True):
        assert torch.equal(filled[f"encoder.layers.1.self_attn.{letter}_proj.weight"], third)
    assert torch.equal(filled["final_layer_norm.bias"], source[f"{TEXT}ln_final.bias"])
    assert not any(p.requires_grad or p.is_meta for p in networks["text_tower"].parameters())
    assert not any(b.is_meta for b in networks["text_tower"].buffers())


def test_a_released_file_fills_the_same(tmp_path: Path) -> None:
    """From the pickle to the network, each tensor read when its turn comes."""
    source, first, again = open_clip_text(), tower(), tower()
    torch.save({"state_dict": source}, tmp_path / "model.ckpt")
    checkpoint = open_checkpoint(tmp_path / "model.ckpt")
    keys.fill(first, shapes_of(source), source.__getitem__)
    keys.fill(again, checkpoint.shapes, checkpoint.read)
    tokens = torch.tensor([[9, 3, 10, 0, 0, 0]])
    ours, wanted = (towers.embed_text(net["text_tower"], tokens) for net in (again, first))
    assert torch.equal(ours, wanted)


def test_filling_casts_a_part() -> None:
    source, networks = open_clip_text(), tower()
    half = {"text_tower": torch.bfloat16}
    keys.fill(networks, shapes_of(source), source.__getitem__, dtypes=half)
    assert {p.dtype for p in networks["text_tower"].parameters()} == {torch.bfloat16}


def test_the_last_text_layer_is_ignored() -> None:
    found = keys.targets(open_clip_text())
    ignored = {name for name, goes_to in found.items() if not goes_to}
    assert {name for name in ignored if "resblocks" in name} == {
        name for name in found if ".resblocks.2." in name
    }
    assert ignored >= {f"{TEXT}logit_scale", f"{TEXT}text_projection"}


@pytest.mark.parametrize(
    ("name", "target"),
    [
        ("model.diffusion_model.out.2.bias", Target("unet", "out.2.bias")),
        (
            "model.diffusion_model.framestride_embed.0.bias",
            Target("unet", "fps_embedding.0.bias"),
        ),
        ("image_proj_model.latents", Target("resampler", "latents")),
        (
            "first_stage_model.encoder.mid.attn_1.proj_out.weight",
            Target("autoencoder", "encoder.mid_block.attentions.0.to_out.0.weight"),
        ),
        (
            "embedder.model.visual.ln_pre.bias",
            Target("image_tower", "pre_layrnorm.bias"),
        ),
    ],
)
def test_names(name: str, target: Target) -> None:
    assert keys.targets([name]) == {name: (target,)}


def test_the_decoders_levels_run_the_other_way() -> None:
    names = [f"first_stage_model.decoder.up.{n}.block.0.norm1.bias" for n in range(3)]
    found = [goes_to[0].name for goes_to in keys.targets(names).values()]
    assert found == [f"decoder.up_blocks.{n}.resnets.0.norm1.bias" for n in (2, 1, 0)]


def test_unknown_names_are_named() -> None:
    with pytest.raises(WeightsError, match=r"it holds betas2, optimizer\.state$") as caught:
        keys.targets(["betas", "betas2", "optimizer.state"])
    assert caught.value.subject == "betas2"


def test_what_does_not_fit_is_named() -> None:
    whole = shapes_of(open_clip_text())
    final, packed = f"{TEXT}ln_final.bias", f"{TEXT}transformer.resblocks.0.attn.in_proj_bias"
    extra = f"{TEXT}transformer.resblocks.0.attn.alpha"
    lacking = {name: shape for name, shape in whole.items() if name != final}
    for shapes, message in (
        (lacking, r"lacks text_tower final_layer_norm\.bias"),
        (whole | {extra: ()}, rf"has no place in this model for {extra}"),
        (whole | {packed: (23,)}, rf"does not fit this model: {packed} is \[23\]"),
        (whole | {final: (8, 1)}, r"does not fit this model"),
    ):
        with pytest.raises(WeightsError, match=message):
            keys.fitted(shapes, tower())


def test_two_tensors_for_one_place_are_refused() -> None:
    net = nn.Sequential(nn.Linear(2, 2))
    net.fps_embedding = nn.Linear(2, 2)
    shapes = {
        f"model.diffusion_model.{name}": tuple(value.shape)
        for name, value in net.state_dict().items()
    }
    again = {"model.diffusion_model.framestride_embed.bias": (2,)}
    assert keys.fitted(shapes, {"unet": net})
    with pytest.raises(WeightsError, match="holds two tensors for the place of"):
        keys.fitted(shapes | again, {"unet": net})
