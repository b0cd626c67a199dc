"""The map from a DynamiCrafter checkpoint's tensors to the parameters of our networks.

    model.diffusion_model.*     unet          as it is, one name differs in the 256 model
    image_proj_model.*          resampler     as it is
    first_stage_model.*         autoencoder   diffusers' names
    embedder.model.visual.*     image_tower   transformers' names
    cond_stage_model.model.*    text_tower    transformers' names

Each tensor is used exactly once or ignored by name; open_clip's packed query, key and value weights
are the ones cut in three.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from vtg_cli.errors import WeightsError
from vtg_cli.weights.layout import listed

Shape = tuple[int, ...]
Renames = tuple[tuple[str, str], ...]

_OPEN_CLIP: Renames = (
    (r"^positional_embedding$", "embeddings.position_embedding.weight"),
    (r"^transformer\.resblocks\.", "encoder.layers."),
    (r"\.ln_(\d)\.", r".layer_norm\1."),
    (r"\.attn\.in_proj_", ".self_attn.*_proj."),  # the star: query, key and value in one tensor
    (r"\.attn\.out_proj\.", ".self_attn.out_proj."),
    (r"\.mlp\.c_fc\.", ".mlp.fc1."),
    (r"\.mlp\.c_proj\.", ".mlp.fc2."),
)
RENAMES: Mapping[str, tuple[str, Renames]] = {
    "unet": ("model.diffusion_model.", ((r"^framestride_embed\.", "fps_embedding."),)),
    "resampler": ("image_proj_model.", ()),
    "autoencoder": (
        "first_stage_model.",
        (
            (r"\.down\.(\d+)\.block\.", r".down_blocks.\1.resnets."),
            (r"\.down\.(\d+)\.downsample\.", r".down_blocks.\1.downsamplers.0."),
            (r"\.up\.(\d+)\.block\.", r".up_blocks.\1.resnets."),
            (r"\.up\.(\d+)\.upsample\.", r".up_blocks.\1.upsamplers.0."),
            (r"\.mid\.block_1\.", ".mid_block.resnets.0."),
            (r"\.mid\.block_2\.", ".mid_block.resnets.1."),
            (r"\.mid\.attn_1\.norm\.", ".mid_block.attentions.0.group_norm."),
            (r"\.mid\.attn_1\.([qkv])\.", r".mid_block.attentions.0.to_\1."),
            (r"\.mid\.attn_1\.proj_out\.", ".mid_block.attentions.0.to_out.0."),
            (r"\.nin_shortcut\.", ".conv_shortcut."),
            (r"\.norm_out\.", ".conv_norm_out."),
        ),
    ),
    "image_tower": (
        "embedder.model.visual.",
        (
            (r"^class_embedding$", "embeddings.class_embedding"),
            (r"^conv1\.", "embeddings.patch_embedding."),
            (r"^ln_pre\.", "pre_layrnorm."),
            (r"^ln_post\.", "post_layernorm."),
            *_OPEN_CLIP,
        ),
    ),
    "text_tower": (
        "cond_stage_model.model.",
        (
            (r"^token_embedding\.", "embeddings.token_embedding."),
            (r"^ln_final\.", "final_layer_norm."),
            *_OPEN_CLIP,
        ),
    ),
}
"""Network -> the prefix of its names in a checkpoint, and what changes in the rest of them."""

IGNORED = (
    # the noise schedule, which follows from a few numbers
    r"betas|scale_arr|(sqrt_|log_)?(one_minus_)?alphas_cumprod(_prev)?",
    r"sqrt_recip(m1)?_alphas_cumprod",
    r"posterior_(variance|log_variance_clipped|mean_coef[12])",
    # what the image tower's owner keeps of its text tower, and projections nothing looks at
    r"embedder\.model\.(positional_embedding|text_projection|logit_scale|token_embedding\.weight)",
    r"embedder\.model\.ln_final\.(weight|bias)",
    r"embedder\.model\.visual\.proj",
    r"cond_stage_model\.model\.(text_projection|logit_scale)",
)
"""Names that belong to no network, as whole patterns; beside them the text tower's last layer."""

_TEXT_LAYER = re.compile(r"cond_stage_model\.model\.transformer\.resblocks\.(\d+)\.")
_DECODER_LEVEL = re.compile(r"decoder\.up\.(\d+)\.")


@dataclass(frozen=True)
class Target:
    """A place in a network. third: which of the tensor's thirds goes there, None: all of it."""

    part: str
    name: str
    third: int | None = None


def targets(names: Collection[str]) -> dict[str, tuple[Target, ...]]:
    """Map checkpoint names to where they go; () if ignored. Raise WeightsError for unknown ones."""
    last_text = max((int(m[1]) for name in names if (m := _TEXT_LAYER.match(name))), default=-1)
    levels = 1 + max((int(m[1]) for name in names if (m := _DECODER_LEVEL.search(name))), default=0)
    places: dict[str, tuple[Target, ...]] = {}
    for name in names:
        text = _TEXT_LAYER.match(name)
        if any(re.fullmatch(ignored, name) for ignored in IGNORED) or (
            text is not None and int(text[1]) == last_text
        ):
            places[name] = ()
            continue
        for part, (prefix, renames) in RENAMES.items():
            if name.startswith(prefix):
                places[name] = _targets(part, name[len(prefix) :], renames, levels)
    unknown = [name for name in names if name not in places]
    if unknown:
        raise WeightsError(
            f"this is no DynamiCrafter checkpoint: it holds {listed(unknown)}",
            "the released files are called model.ckpt",
            subject=unknown[0],
        )
    return places


def _targets(part: str, name: str, renames: Renames, levels: int) -> tuple[Target, ...]:
    # the reference numbers the decoder's levels from the finest, diffusers from the coarsest
    name = _DECODER_LEVEL.sub(lambda m: f"decoder.up.{levels - 1 - int(m[1])}.", name)
    for pattern, replacement in renames:
        name = re.sub(pattern, replacement, name)
    if "*" not in name:
        return (Target(part, name),)
    return tuple(Target(part, name.replace("*", letter), i) for i, letter in enumerate("qkv"))


def fitted(
    shapes: Mapping[str, Shape], networks: Mapping[str, nn.Module]
) -> dict[str, tuple[Target, ...]]:
    """Map as `targets` does, for a checkpoint that fills the `networks` exactly.

    networks: by part; the meta device will do

    A convolution of one point may fill a linear layer. Raises WeightsError naming the first few
    tensors that are missing, left over or of another shape.
    """
    places = {
        (part, name): tuple(value.shape)
        for part, network in networks.items()
        for name, value in network.state_dict().items()
    }
    placed = targets(shapes)
    filled: dict[tuple[str, str], str] = {}
    surplus, twice, misfits = [], [], []
    for source, goes_to in placed.items():
        for target in goes_to:
            place = (target.part, target.name)
            if place not in places:
                surplus.append(source)
            elif place in filled:
                twice.append(source)
            elif not _fits(shapes[source], places[place], target.third is not None):
                misfits.append(f"{source} is {list(shapes[source])}")
            filled[place] = source
    missing = [f"{part} {name}" for part, name in places if (part, name) not in filled]
    for wrong, what in (
        (missing, "lacks"),
        (surplus, "has no place in this model for"),
        (twice, "holds two tensors for the place of"),
        (misfits, "does not fit this model:"),
    ):
        if wrong:
            wrong = list(dict.fromkeys(wrong))
            raise WeightsError(
                f"the checkpoint {what} {listed(wrong)}",
                "is it the model and the size that was asked for?",
                subject=wrong[0],
            )
    return placed


def _fits(shape: Shape, wanted: Shape, in_three: bool) -> bool:
    if in_three:
        return shape == (3 * wanted[0], *wanted[1:])
    return shape == wanted or shape == (*wanted, 1, 1)


def fill(
    networks: Mapping[str, nn.Module],
    shapes: Mapping[str, Shape],
    read: Callable[[str], Tensor],
    *,
    device: torch.device | str = "cpu",
    dtypes: Mapping[str, torch.dtype] | None = None,
) -> None:
    """Put a checkpoint's tensors in the networks, which may be built on the meta device; they come
    back for inference.

    read: name -> tensor
    dtypes: by part, float32 by default

    Raises WeightsError as `fitted` does.
    """
    placed = fitted(shapes, networks)
    sources: dict[str, list[tuple[str, tuple[Target, ...]]]] = {part: [] for part in networks}
    for source, goes_to in placed.items():
        if goes_to:
            sources[goes_to[0].part].append((source, goes_to))
    for part, network in networks.items():
        wanted = {name: value.shape for name, value in network.state_dict().items()}
        dtype = (dtypes or {}).get(part, torch.float32)
        values: dict[str, Tensor] = {}
        for source, goes_to in sources[part]:
            tensor = read(source).to(device, dtype)
            for target in goes_to:
                piece = tensor if target.third is None else tensor.chunk(3)[target.third]
                values[target.name] = piece.reshape(wanted[target.name])
        network.load_state_dict(values, assign=True)
        network.to(device).eval().requires_grad_(False)
