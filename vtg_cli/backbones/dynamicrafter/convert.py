"""The converter of released DynamiCrafter checkpoints to model folders (`vtg models import`).

A released model.ckpt holds everything; pruned files lack both CLIP towers, which then come from a
folder with CLIP's own weights, under open_clip's or transformers' names.

ToonCrafter's decoder works over time and looks at both keyframes' encoder features; it is no part
of this package. Its other networks are DynamiCrafter's, its latents those of the same encoder, so
the plain decoder of a DynamiCrafter checkpoint takes its place.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from functools import reduce
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from vtg_cli.backbones.dynamicrafter import keys
from vtg_cli.backbones.dynamicrafter.spec import INTERP, TOON, VARIANTS, Facts
from vtg_cli.backbones.dynamicrafter.vocabulary import CLIP_REPOSITORY, VOCABULARY
from vtg_cli.backbones.dynamicrafter.weights import Sizes, config_of
from vtg_cli.errors import UsageError, WeightsError, missing
from vtg_cli.ground import documents
from vtg_cli.weights import trust
from vtg_cli.weights.checkpoint import Checkpoint, open_checkpoint
from vtg_cli.weights.folder import check_place, whole
from vtg_cli.weights.layout import CONFIG, INDEX, PARTS, SUMS

CLIP_FILES = (
    "open_clip_model.safetensors",
    "model.safetensors",
    "open_clip_pytorch_model.bin",
    "pytorch_model.bin",
)
"""Files of CLIP's weights in a copy of its repository; the first that is there is taken."""
_TOWERS = {"image_tower": "vision_model.", "text_tower": "text_model."}  # in transformers' files
DECODER = ("first_stage_model.decoder.", "first_stage_model.post_quant_conv.")
"""Prefixes of the names of the part that decodes."""
_DUAL = "first_stage_model.decoder.attn_refinement."
_MARKS = {"image_tower": "visual.conv1.weight", "text_tower": "token_embedding.weight"}
OnPhase = Callable[[str], None]


def convert(
    source: Path,
    out: Path,
    *,
    variant: str | None = None,
    clip: Path | None = None,
    decoder: Path | None = None,
    config: Path | None = None,
    overwrite: bool = False,
    on_phase: OnPhase | None = None,
) -> Path:
    """Make the folder `out`, whole or not at all, and return it.

    variant: a name in spec.VARIANTS; None: guessed from the file where possible
    clip: a folder with CLIP's weights or vocabulary, for what the file lacks
    decoder: the DynamiCrafter checkpoint that lends ToonCrafter its decoder
    config: the model's configuration in the reference's form as JSON, if it has other sizes than
        the released ones

    Raises UsageError for an existing `out` and for what cannot be guessed, WeightsError for a file
    that is damaged, wants to run code or is another model, or if CLIP or a decoder is missing.
    """
    if variant is not None and variant not in VARIANTS:
        raise UsageError(
            f"--variant {variant} is not known",
            f"one of: {', '.join(VARIANTS)}, animatelcm",
            subject=variant,
        )
    check_place(out, overwrite)
    if clip is not None:
        _check_clip(clip)
    report = on_phase or (lambda phase: None)
    report(f"reading {source.name}")
    checkpoint = open_checkpoint(source)
    facts, sizes = _identified(checkpoint, variant, config)
    if _dual(checkpoint):
        checkpoint = _decoded_by(checkpoint, decoder)
    elif decoder is not None:
        _lender(decoder)
        report(f"--decoder is not needed: {source.name} has a plain decoder of its own")
    networks = sizes.networks()
    _fill(networks, checkpoint, clip)
    with whole(out) as part:
        _write(part, networks, config_of(facts, sizes), clip, report)
    return out


def convert_released(checkpoint: Path, out: Path, *, needed: Path | None, **options: Any) -> Path:
    """Make a folder as `convert` does; a converter of base.Model. needed: a folder with CLIP."""
    return convert(checkpoint, out, clip=needed, **options)


def _dual(checkpoint: Checkpoint) -> bool:
    return any(name.startswith(_DUAL) for name in checkpoint.shapes)


def _decoded_by(checkpoint: Checkpoint, lender: Path | None) -> Checkpoint:
    """Return ToonCrafter with the decoder of another checkpoint."""
    if lender is None:
        raise WeightsError(
            f"{checkpoint.path} decodes in a way of its own (ToonCrafter's), which vtg cannot",
            "name a DynamiCrafter checkpoint with --decoder: its decoder reads the same latents",
            subject=str(checkpoint.path),
        )
    plain = _lender(lender)
    own = {n: shape for n, shape in checkpoint.shapes.items() if not n.startswith(DECODER)}
    lent = {n: shape for n, shape in plain.shapes.items() if n.startswith(DECODER)}
    return Checkpoint(
        checkpoint.path, own | lent, lambda n: (plain if n in lent else checkpoint).read(n)
    )


def _lender(file: Path) -> Checkpoint:
    """Open a checkpoint whose decoder can be lent. Raise WeightsError for any other file."""
    plain = open_checkpoint(file)
    if _dual(plain) or not any(name.startswith(DECODER) for name in plain.shapes):
        raise WeightsError(
            f"{file} holds no plain decoder", "a DynamiCrafter checkpoint does", subject=str(file)
        )
    return plain


def _identified(
    checkpoint: Checkpoint, variant: str | None, config: Path | None
) -> tuple[Facts, Sizes]:
    if config is not None:
        try:
            reference = documents.json_file(config)
            return Facts.of(reference["model"]["params"], variant), Sizes.of(reference)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise WeightsError(
                f"{config} is no configuration in the reference's form: {error!r}",
                "it is its .yaml file saved as JSON",
                subject=str(config),
            ) from None
    facts = VARIANTS[variant or _guessed(checkpoint)]
    if _dual(checkpoint) != (facts.variant == TOON):
        is_toon = "ToonCrafter" if _dual(checkpoint) else "no ToonCrafter"
        raise WeightsError(
            f"{checkpoint.path} is no {facts.variant} model: its decoder says it is {is_toon}",
            "leave --variant out, or name the right one",
            subject=facts.variant,
        )
    scale = _base_scale(checkpoint)
    if scale is not None and abs(scale - facts.base_scale) > 0.01:
        raise WeightsError(
            f"{checkpoint.path} is no {facts.variant} model: its dynamic rescale goes to "
            f"{scale:.2g}, not to {facts.base_scale:.2g}",
            "leave --variant out, or name the right one",
            subject=facts.variant,
        )
    return facts, Sizes.released(facts.variant)


def _base_scale(checkpoint: Checkpoint) -> float | None:
    return float(checkpoint.read("scale_arr")[-1]) if "scale_arr" in checkpoint.shapes else None


def _guessed(checkpoint: Checkpoint) -> str:
    """Guess which of the released models it is.

    The two of 512 differ only in their values, so the name of the file or its folder tells them
    apart.
    """
    if any(name.endswith("attn2.alpha") for name in checkpoint.shapes):
        return "256"
    if _dual(checkpoint):
        return TOON
    called = " ".join(checkpoint.path.absolute().parts[-2:]).lower()
    scale = _base_scale(checkpoint)
    if "interp" in called and (scale is None or scale > 0.5):
        return INTERP
    if "1024" in called if scale is None else scale < 0.5:
        return "1024"
    if "512" in called:
        return "512"
    raise UsageError(
        f"{checkpoint.path} does not say which model it is",
        "name it: --variant 512 for image to video, 512_interp for keyframes at both ends, 1024",
        subject="--variant",
    )


def _fill(networks: Mapping[str, nn.Module], checkpoint: Checkpoint, clip: Path | None) -> None:
    """Fill all networks with values; towers that the checkpoint lacks are CLIP's own."""
    lacking = {
        part
        for part, mark in _MARKS.items()
        if keys.RENAMES[part][0] + mark.removeprefix("visual.") not in checkpoint.shapes
    }
    held = {part: network for part, network in networks.items() if part not in lacking}
    _put(held, checkpoint.shapes, checkpoint.read)
    if not lacking:
        return
    if clip is None:
        raise WeightsError(
            f"{checkpoint.path} holds no CLIP ({' and '.join(sorted(lacking))} missing)",
            f"fetch https://huggingface.co/{CLIP_REPOSITORY} and name its folder with --clip",
            subject=str(checkpoint.path),
        )
    file = _clip_weights(clip)
    if file is None:
        raise WeightsError(
            f"{clip} holds no CLIP weights: none of {', '.join(CLIP_FILES)}",
            f"it is a copy of https://huggingface.co/{CLIP_REPOSITORY}",
            subject=str(clip),
        )
    towers = {part: networks[part] for part in sorted(lacking)}
    copy = open_checkpoint(file, bare=True)
    if any(name.startswith("text_model.") for name in copy.shapes):
        _put_transformers(towers, copy)
    else:
        renamed = _as_reference(copy, lacking)
        shapes = {name: copy.shapes[old] for name, old in renamed.items()}
        _put(towers, shapes, lambda name: copy.read(renamed[name]))


def _check_clip(folder: Path) -> None:
    """Raise WeightsError for a place with neither CLIP's weights nor its vocabulary."""
    if not folder.is_dir():
        raise WeightsError(missing(folder, "there is no folder"), subject=str(folder))
    if _clip_weights(folder) is None and not all((folder / n).is_file() for n in VOCABULARY):
        raise WeightsError(
            f"{folder} holds no CLIP weights and no vocabulary of it: none of "
            f"{', '.join(CLIP_FILES)}, and not both of {', '.join(VOCABULARY)}",
            f"it is a copy of https://huggingface.co/{CLIP_REPOSITORY}",
            subject=str(folder),
        )


def _clip_weights(folder: Path) -> Path | None:
    return next((folder / name for name in CLIP_FILES if (folder / name).is_file()), None)


def _as_reference(copy: Checkpoint, wanted: set[str]) -> dict[str, str]:
    """Map the reference's names of tensors to open_clip's."""
    renamed = {}
    for name in copy.shapes:
        image = name.startswith("visual.")
        if name != "attn_mask" and ("image_tower" if image else "text_tower") in wanted:
            prefix = "embedder.model." if image else keys.RENAMES["text_tower"][0]
            renamed[prefix + name] = name
    return renamed


def _put(
    networks: Mapping[str, nn.Module],
    shapes: Mapping[str, keys.Shape],
    read: Callable[[str], Tensor],
) -> None:
    """Call keys.fill in the file's own precision; a part takes the finest of its tensors'."""
    dtypes: dict[str, torch.dtype] = {}
    for name, goes_to in keys.fitted(shapes, networks).items():
        for target in goes_to[:1]:
            finest = dtypes.get(target.part)
            dtype = read(name).dtype
            dtypes[target.part] = dtype if finest is None else torch.promote_types(finest, dtype)
    keys.fill(networks, shapes, read, dtypes=dtypes)


def _put_transformers(networks: Mapping[str, nn.Module], copy: Checkpoint) -> None:
    for part, network in networks.items():
        prefix, wanted = _TOWERS[part], network.state_dict()
        names = {name: prefix + name for name in wanted if prefix + name in copy.shapes}
        odd = [n for n in wanted if copy.shapes.get(prefix + n) != tuple(wanted[n].shape)]
        if odd:
            raise WeightsError(
                f"{copy.path} is another CLIP than DynamiCrafter's: {prefix}{odd[0]} does not fit",
                f"https://huggingface.co/{CLIP_REPOSITORY} is the one",
                subject=str(copy.path),
            )
        values = {name: copy.read(source) for name, source in names.items()}
        dtype = reduce(torch.promote_types, (value.dtype for value in values.values()))
        network.load_state_dict({n: v.to(dtype) for n, v in values.items()}, assign=True)
        network.eval().requires_grad_(False)


def _write(
    folder: Path,
    networks: Mapping[str, nn.Module],
    config: Mapping[str, Any],
    clip: Path | None,
    report: OnPhase,
) -> None:
    for name in PARTS:
        report(f"writing {name}")
        state = networks[name.partition(".")[0]].state_dict()
        save_file({key: _own(value) for key, value in state.items()}, folder / name)
    (folder / CONFIG).write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    (folder / INDEX).write_text(
        json.dumps({"_class_name": "DynamiCrafter"}, indent=2) + "\n", encoding="utf-8"
    )
    if clip is not None and all((clip / name).is_file() for name in VOCABULARY):
        (folder / "tokenizer").mkdir()
        for name in VOCABULARY:
            shutil.copyfile(clip / name, folder / "tokenizer" / name)
    report("hashing")
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    lines = [f"{trust.sha256(file)}  {file.relative_to(folder).as_posix()}\n" for file in files]
    (folder / SUMS).write_text("".join(lines), encoding="utf-8")


def _own(value: Tensor) -> Tensor:
    """Return a tensor that shares its memory with no other: a third of a packed one is copied."""
    value = value.contiguous()
    return value if value.untyped_storage().nbytes() == value.nbytes else value.clone()
