"""DynamiCrafter's networks against the reference's, number for number, and its full-size lists of
parameters name for name.

The recordings' README saw 8e-6 / 3e-6 / 1e-6 between float32 and float64 of the reference's U-Net /
resampler / autoencoder, and asks for 1e-4.
"""

from __future__ import annotations

import gzip
import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from recordings import FOLDER, OURS, model_folder, read, sampling_cases, tensors
from torch import Tensor, nn

from vtg_cli.backbones.dynamicrafter import keys, towers
from vtg_cli.backbones.dynamicrafter.resampler import Resampler, ResamplerConfig
from vtg_cli.backbones.dynamicrafter.unet import RELEASED, UNet, UNetConfig
from vtg_cli.weights.checkpoint import open_checkpoint

pytestmark = pytest.mark.parity

GATE = 1e-4
TEXT = 77  # tokens of text at the start of a recorded context
EXTRA = "EXTRA.cond_stage_token_"
TOKENS = "cond_stage_model.model.token_embedding.weight"
UNITS = sorted(FOLDER.glob("dc_units*.json"))
RUNS = sampling_cases("dc")
LISTS = sorted(FOLDER.glob("dc_params_*.json.gz")) or sorted(OURS.glob("dc_params_*.json.gz"))


def off(a: Tensor, b: Tensor) -> float:
    assert a.shape == b.shape
    return float((a.double() - b.double()).abs().max())


@cache
def model(folder: str) -> dict[str, Any]:
    """The five networks of a recorded model folder, by part."""
    config = read(model_folder(folder) / "config.json")
    params = config["model"]["params"]
    sizes = towers.TowersConfig.of(config["open_clip_towers"])
    with torch.device("meta"):
        networks = {
            "unet": UNet(UNetConfig.of(params["unet_config"]["params"])),
            "resampler": Resampler(ResamplerConfig.of(params["image_proj_stage_config"]["params"])),
            "autoencoder": towers.autoencoder(
                towers.AutoencoderConfig.of(params["first_stage_config"]["params"])
            ),
            "image_tower": towers.image_tower(sizes),
            "text_tower": towers.text_tower(sizes),
        }
    checkpoint = open_checkpoint(model_folder(folder) / "model.safetensors")
    found = {name: checkpoint.read(name) for name in checkpoint.shapes}
    # the recordings keep only those rows of the table that their prompts use
    ids, rows = found.pop(f"{EXTRA}ids"), found.pop(f"{EXTRA}rows")
    found[TOKENS] = torch.zeros(sizes.vocabulary, rows.shape[1])
    found[TOKENS][ids] = rows.float()
    shapes = {name: tuple(tensor.shape) for name, tensor in found.items()}
    keys.fill(networks, shapes, found.__getitem__)
    return networks


def unit(file: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """The model a file of units belongs to, and its tensors."""
    named = read(file).get("model_dir")
    folders = sorted(f.name for f in FOLDER.glob("dc_tiny*") if f.is_dir())
    alike = f"dc_tiny{file.stem.removeprefix('dc_units')}"
    named = named or (alike if alike in folders else [*folders, "dc_tiny"][0])
    return model(named), tensors(file.stem)


def told(context: Tensor, frames: int) -> tuple[Tensor, Tensor]:
    """A recorded context -> text and image tokens; an image part of one frame is shared."""
    text, image = context[:, :TEXT], context[:, TEXT:]
    return text, torch.unflatten(image, 1, (frames, -1))


@pytest.mark.parametrize("file", UNITS, ids=lambda f: f.stem)
def test_unet(file: Path) -> None:
    networks, tape = unit(file)
    net, x, t, fs = (
        networks["unet"],
        tape["unet.x"].transpose(1, 2),
        *(tape[f"unet.{name}"] for name in ("timesteps", "fs")),
    )
    context, frames = tape["unet.context"], x.shape[1]
    short = context[:, : TEXT + (context.shape[1] - TEXT) // frames]
    with torch.inference_mode():
        y = net(x, t, *told(context, frames), fs)
        y_fs_default = net(x, t, *told(context, frames))
        y_short_context = net(x, t, *told(short, 1), fs)
    assert off(y.transpose(1, 2), tape["unet.y"]) < GATE
    assert off(y_fs_default.transpose(1, 2), tape["unet.y_fs_default"]) < GATE
    assert off(y_short_context.transpose(1, 2), tape["unet.y_short_context"]) < GATE
    assert off(tape["unet.y"], tape["unet.y_fs_default"]) > 100 * GATE  # and fs matters


@pytest.mark.parametrize("file", UNITS, ids=lambda f: f.stem)
def test_resampler(file: Path) -> None:
    networks, tape = unit(file)
    with torch.inference_mode():
        y = networks["resampler"](tape["resampler.x"])
    assert off(y.flatten(1, 2), tape["resampler.y"]) < GATE


@pytest.mark.parametrize("file", UNITS, ids=lambda f: f.stem)
def test_autoencoder(file: Path) -> None:
    networks, tape = unit(file)
    with torch.inference_mode():
        posterior = networks["autoencoder"].encode(tape["ae.x"]).latent_dist
        decoded = networks["autoencoder"].decode(tape["ae.z"]).sample
    assert off(posterior.mean, tape["ae.mean"]) < GATE
    assert off(posterior.logvar, tape["ae.logvar"]) < GATE
    assert off(posterior.mean + posterior.std * tape["ae.noise"], tape["ae.z"]) < GATE
    assert off(decoded, tape["ae.dec"]) < GATE


@pytest.mark.parametrize("file", UNITS, ids=lambda f: f.stem)
def test_image_tower(file: Path) -> None:
    networks, tape = unit(file)
    pixels = tape["embedder.image_uint8"].movedim(-1, 0)[None].float() / 127.5 - 1
    with torch.inference_mode():
        tokens = towers.embed_image(networks["image_tower"], pixels)
    assert (
        off(towers.clip_view(pixels)[..., ::4, ::4], tape["embedder.preprocessed_stride4"]) < 1e-5
    )
    assert off(tokens, tape["embedder.tokens"]) < GATE


@pytest.mark.parametrize("file", UNITS, ids=lambda f: f.stem)
def test_text_tower(file: Path) -> None:
    networks, tape = unit(file)
    with torch.inference_mode():
        embedding = towers.embed_text(networks["text_tower"], tape["text.tokens"])
    assert off(embedding, tape["text.embedding"]) < GATE


@pytest.mark.parametrize("file", RUNS, ids=lambda f: f.stem)
def test_raw_predictions_of_the_first_step(file: Path) -> None:
    record, tape = read(file), tensors(file.stem)
    net = model(record["model_dir"])["unet"]
    x = torch.cat([tape["noise.x_T"], tape["cond.concat"]], 1).transpose(1, 2)
    t = torch.tensor([record["step_order"][0]["t"]])
    fs = torch.tensor([record["fs"]])
    branches = [name for name in ("cond", "uncond", "uncond_img") if f"{name}.context" in tape]
    assert branches
    for name in branches:
        text, image = told(tape[f"{name}.context"], x.shape[1])
        with torch.inference_mode():
            v = net(x, t, text, image, fs)
        assert off(v.transpose(1, 2), tape[f"step00.v_{name}"]) < GATE
    if len(branches) == 1:
        return
    assert off(tape["step00.v_cond"], tape["step00.v_uncond"]) > 10 * GATE


@pytest.fixture(scope="module")
def full_size() -> dict[str, nn.Module]:
    with torch.device("meta"):
        return {
            "unet": UNet(RELEASED["512"]),
            "resampler": Resampler(ResamplerConfig()),
            "autoencoder": towers.autoencoder(towers.AutoencoderConfig()),
            "image_tower": towers.image_tower(towers.TowersConfig()),
            "text_tower": towers.text_tower(towers.TowersConfig()),
        }


def listed(file: Path) -> dict[str, tuple[int, ...]]:
    with gzip.open(file, "rt") as opened:
        return {name: tuple(shape) for name, shape, _ in json.load(opened)["tensors"]}


@pytest.mark.parametrize("file", LISTS, ids=lambda f: f.name.split(".")[0])
def test_a_full_size_checkpoint_fills_the_networks_exactly(
    file: Path, full_size: dict[str, nn.Module]
) -> None:
    shapes = listed(file)
    found = keys.fitted(shapes, full_size)
    assert set(found) == set(shapes)
    places = [(t.part, t.name) for goes_to in found.values() for t in goes_to]
    wanted = [(part, name) for part, net in full_size.items() for name in net.state_dict()]
    assert len(places) == len(set(places)) and set(places) == set(wanted)
    # nothing is lost on the way: the numbers used are the numbers wanted
    count = {name: torch.Size(shape).numel() for name, shape in shapes.items()}
    used = sum(count[name] for name, goes_to in found.items() if goes_to)
    assert used == sum(v.numel() for net in full_size.values() for v in net.state_dict().values())
    ignored = {name for name, goes_to in found.items() if not goes_to}
    schedule = {name for name in ignored if "." not in name}
    last_layer = {n for n in ignored if ".resblocks.23." in n and n.startswith("cond_stage_model")}
    assert (len(schedule), len(last_layer)) == (13, 12)
    assert ignored - schedule - last_layer == {
        "cond_stage_model.model.text_projection",
        "cond_stage_model.model.logit_scale",
        "embedder.model.visual.proj",
        "embedder.model.positional_embedding",
        "embedder.model.text_projection",
        "embedder.model.logit_scale",
        "embedder.model.token_embedding.weight",
        "embedder.model.ln_final.weight",
        "embedder.model.ln_final.bias",
    }


@pytest.mark.parametrize("file", LISTS[:1], ids=lambda f: f.name.split(".")[0])
def test_the_256_models_differences(file: Path, full_size: dict[str, nn.Module]) -> None:
    """No dynamic rescale, another name, and a learned scale on each of 16 image attentions."""
    shapes = {
        name.replace("fps_embedding", "framestride_embed"): shape
        for name, shape in listed(file).items()
        if name != "scale_arr"
    }
    images = [name for name in shapes if name.endswith("attn2.to_k_ip.weight")]
    shapes |= {name.replace("to_k_ip.weight", "alpha"): () for name in images}
    assert len(images) == 16
    with torch.device("meta"):
        networks = full_size | {"unet": UNet(RELEASED["256"])}
    assert set(keys.fitted(shapes, networks)) == set(shapes)
