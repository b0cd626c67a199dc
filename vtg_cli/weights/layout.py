"""The layout of model folders, told from file names alone.

    model_index.json, scheduler/scheduler_config.json,
    {unet,vae,image_encoder}/config.json and their weights: STEM[.fp16].safetensors, or all shards
    STEM[.fp16]-00001-of-0000N.safetensors with STEM.safetensors.index[.fp16].json

A model of ours is simpler: model_index.json and one NETWORK, or (DynamiCrafter, as `vtg models
import` writes it) CONFIG, the PARTS and perhaps a tokenizer/. Any model folder may hold its
reverse-motion delta as REVERSE.

The same rules serve a folder on disk and a repository's list of files. Only safetensors count.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from vtg_cli.errors import WeightsError

STEMS = {
    "unet": "diffusion_pytorch_model",
    "vae": "diffusion_pytorch_model",
    "image_encoder": "model",
}
INDEX = "model_index.json"
NETWORK = "network.safetensors"
SUMS = "SHA256SUMS"  # of an imported folder, as `sha256sum --check` reads it
NOTICES = "NOTICES.txt"  # of those who made an imported network, where they are to be kept
RIFE = "RIFE"  # the class that model_index.json names for an engine of learned motion
REVERSE = "reverse.safetensors"
CONFIG = "config.json"
PARTS = tuple(
    f"{part}.safetensors"
    for part in ("unet", "resampler", "autoencoder", "image_tower", "text_tower")
)
"""Files of a DynamiCrafter folder; the first of them tells that it is one."""
VOCABULARY = ("tokenizer/vocab.json", "tokenizer/merges.txt")  # of its prompts, if there
SMALL = (INDEX, "scheduler/scheduler_config.json")
OPTIONAL = ("feature_extractor/preprocessor_config.json",)  # fetched with a model, not read by vtg


def names_in(folder: Path) -> set[str]:
    """Return the files of a model folder, as posix paths relative to it, broken links left out."""
    inside = (*STEMS, "scheduler", "feature_extractor", "tokenizer")
    places = [folder, *(folder / part for part in inside)]
    return {
        file.relative_to(folder).as_posix()
        for place in places
        if place.is_dir()
        for file in place.iterdir()
        if file.is_file()
    }


def weights_among(names: Collection[str], stem: str, *, half: bool = True) -> tuple[str, ...]:
    """Return one folder's weight files called `stem`; () if none or a shard is missing.

    half: take the fp16 variant if both are there; else the full one
    """
    for infix in (".fp16", "") if half else ("", ".fp16"):
        single = f"{stem}{infix}.safetensors"
        if single in names:
            return (single,)
        shard = re.compile(rf"{re.escape(stem + infix)}-\d{{5}}-of-(\d{{5}})\.safetensors")
        shards = sorted(name for name in names if shard.fullmatch(name))
        if shards and {int(m[1]) for s in shards if (m := shard.fullmatch(s))} == {len(shards)}:
            return tuple(shards)
    return ()


def index_of(weights: Sequence[str]) -> tuple[str, ...]:
    """Return the file that says which tensor is in which shard; () for a single file."""
    shard = re.fullmatch(
        r"(.+?)(\.fp16)?-\d{5}-of-\d{5}\.safetensors", weights[0] if weights else ""
    )
    return (f"{shard[1]}.safetensors.index{shard[2] or ''}.json",) if shard else ()


def _part(names: Collection[str], part: str) -> set[str]:
    """Return the file names of one folder, "" for the root."""
    return {name.rpartition("/")[2] for name in names if name.rpartition("/")[0] == part}


def _weights_of(part: str) -> str:
    return f"{STEMS[part]}[.fp16].safetensors"


def lacking(names: Collection[str]) -> tuple[str, ...]:
    """Return what a model folder with these files still needs; () if it is complete."""
    if INDEX in names and NETWORK in names:
        return ()
    if PARTS[0] in names:
        return tuple(name for name in (INDEX, CONFIG, *PARTS) if name not in names)
    missing = [name for name in SMALL if name not in names]
    for part, stem in STEMS.items():
        inside = _part(names, part)
        if "config.json" not in inside:
            missing.append(f"{part}/config.json")
        weights = weights_among(inside, stem)
        if not weights:
            missing.append(f"{part}/{_weights_of(part)}")
        missing += [f"{part}/{name}" for name in index_of(weights) if name not in inside]
    return tuple(missing)


def fetch_list(names: Collection[str]) -> tuple[str, ...]:
    """Return what to fetch of a repository: a model folder, else a U-Net at its root or in unet/.

    The fp16 variant if there is one; () if the files make neither.
    """
    if not lacking(names) and PARTS[0] in names:
        return (INDEX, CONFIG, *PARTS, *(name for name in VOCABULARY if name in names))
    if not lacking(names):
        small = [name for name in (*SMALL, *OPTIONAL) if name in names]
        return (*small, *(file for part in STEMS for file in _part_files(names, part, part)))
    return _part_files(names, "", "unet") or _part_files(names, "unet", "unet")


def _part_files(names: Collection[str], folder: str, part: str) -> tuple[str, ...]:
    inside = _part(names, folder)
    weights = weights_among(inside, STEMS[part])
    if "config.json" not in inside or not weights:
        return ()
    small = ["config.json", *(name for name in index_of(weights) if name in inside)]
    return tuple(f"{folder}/{name}".lstrip("/") for name in (*small, *weights))


def used_files(folder: Path) -> Iterator[Path]:
    """Yield the files of a model or U-Net folder that results depend on: configs, weights."""
    for name in sorted(names_in(folder)):
        part, _, file = name.rpartition("/")
        stem = STEMS.get(part or "unet")
        weights = stem is not None and file.startswith(stem) and file.endswith(".safetensors")
        ours = name in (NETWORK, *PARTS, *VOCABULARY)
        if name in SMALL or ours or (stem is not None and file == "config.json") or weights:
            yield folder / name


def unet_folder(folder: Path) -> Path | None:
    """Return `folder` itself or its unet/ if one of them holds a whole U-Net, else None."""
    places = (folder, folder / "unet")
    return next((place for place in places if not lacking_unet(names_in(place))), None)


def lacking_unet(names: Collection[str]) -> tuple[str, ...]:
    """Return what a U-Net folder with these files still needs; () if it is complete."""
    missing = [] if "config.json" in names else ["config.json"]
    return (*missing, *([] if weights_among(names, STEMS["unet"]) else [_weights_of("unet")]))


def unet_weights(folder: Path) -> tuple[Path, ...]:
    """Return the U-Net's weights in `folder` or unet/, full precision first. Raise WeightsError."""
    for place in (folder, folder / "unet"):
        weights = weights_among(names_in(place), STEMS["unet"], half=False)
        if weights:
            return tuple(place / name for name in weights)
    pickles = sorted(folder.glob("**/*.bin"))
    raise WeightsError(
        f"{folder} holds no U-Net: no {_weights_of('unet')} in it or in its unet/",
        f"{pickles[0].name} is a pickle, which vtg does not read; save it as safetensors"
        if pickles
        else "give the folder with the U-Net's config.json and safetensors",
        subject=str(folder),
    )


def network_files(folder: Path) -> tuple[Path, ...]:
    """Return the weight files of a model folder's denoising network. Raise WeightsError."""
    for name in (NETWORK, PARTS[0]):
        if (folder / name).is_file():
            return (folder / name,)
    return unet_weights(folder)


def listed(names: Collection[str]) -> str:
    """Join the first few of many names for a sentence."""
    first = list(names)[:3]
    return ", ".join(first) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
