"""The folder of an AnimateLCM-SVD-xt: svd-xt's own with the released file for its U-Net's weights.
Nothing is copied where a file can have two names.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from vtg_cli.backbones.animatelcm.spec import CLASS
from vtg_cli.errors import WeightsError
from vtg_cli.weights import layout, sizes, store
from vtg_cli.weights.folder import check_place, whole

VARIANT = "animatelcm"
BASE = "svd-xt"
WEIGHTS, CONFIG = f"unet/{layout.STEMS['unet']}.safetensors", "unet/config.json"
LENT = ("vae", "image_encoder", "scheduler", "feature_extractor")
"""Folders of svd-xt that are taken as they are."""


def is_one(checkpoint: Path) -> bool:
    """Return whether a file is one of diffusers' U-Nets alone, judging by its header."""
    if checkpoint.suffix != ".safetensors" or not checkpoint.is_file():
        return False
    try:
        return "conv_in.weight" in sizes.shapes_in(checkpoint)
    except WeightsError:  # which is told by who reads it
        return False


def assemble(
    checkpoint: Path,
    base: Path,
    out: Path,
    *,
    overwrite: bool = False,
    on_phase: Callable[[str], None] | None = None,
) -> Path:
    """Make the model folder `out` from the released file and svd-xt's folder, whole or not at all,
    and return it.

    Only the file's header is read before that. Raises UsageError for an existing `out`,
    WeightsError for a file that is no such U-Net, naming the first tensor that differs, or for an
    incomplete base.
    """
    report = on_phase or (lambda phase: None)
    check_place(out, overwrite)
    names = layout.names_in(base)
    lacking = [n for n in layout.lacking(names) if not n.startswith("unet/diffusion")]
    if lacking or layout.NETWORK in names or layout.PARTS[0] in names:
        what = f"lacks {layout.listed(lacking)}" if lacking else "holds another kind of model"
        raise WeightsError(
            f"{base} is no folder of svd-xt: it {what}", "vtg models pull svd-xt", subject=str(base)
        )
    report(f"checking {checkpoint.name}")
    from vtg_cli.backbones.svd.model import check_unet

    check_unet(base / CONFIG, [checkpoint])
    report("joining it with its base")
    with whole(out) as part:
        _fill(part, checkpoint, base)
    return out


def convert_released(
    checkpoint: Path,
    out: Path,
    *,
    variant: str | None,
    needed: Path | None,
    overwrite: bool,
    on_phase: Callable[[str], None],
) -> Path:
    """Make a folder as `assemble` does; a converter of base.Model. needed: svd-xt's folder."""
    assert needed is not None
    return assemble(checkpoint, needed, out, overwrite=overwrite, on_phase=on_phase)


def _fill(folder: Path, checkpoint: Path, base: Path) -> None:
    lent = [n for n in layout.names_in(base) if n.partition("/")[0] in LENT or n == CONFIG]
    sources = {WEIGHTS: checkpoint, **{name: base / name for name in lent}}
    for name, file in sources.items():
        (folder / name).parent.mkdir(exist_ok=True)
        _joined(file, folder / name)
    index = json.dumps({"_class_name": CLASS}, indent=2) + "\n"
    (folder / layout.INDEX).write_text(index, encoding="utf-8")
    sources[layout.INDEX] = folder / layout.INDEX
    lines = [f"{store.hash_of(sources[name])}  {name}\n" for name in sorted(sources)]
    (folder / layout.SUMS).write_text("".join(lines), encoding="utf-8")


def _joined(file: Path, place: Path) -> None:
    """Link the same file under another name, or copy it where the disk is another."""
    try:
        os.link(file.resolve(), place)
    except OSError:
        shutil.copyfile(file, place)
