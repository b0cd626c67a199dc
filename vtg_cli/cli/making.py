"""vtg models delta and import: files of ours made of released ones."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vtg_cli.cli.console import answer, inform, result, result_json
from vtg_cli.errors import UsageError
from vtg_cli.ground.units import size_text


def delta(
    tuned: Annotated[
        str,
        typer.Option(metavar="DIR|NAME", help="The tuned reverse-motion U-Net."),
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="The .safetensors to write.")
    ],
    base: Annotated[
        str, typer.Option(metavar="DIR|NAME", help="The U-Net it was tuned from.")
    ] = "svd",
    dtype: Annotated[
        str, typer.Option(metavar="fp16|fp32", help="Precision of the file.")
    ] = "fp16",
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the file if it exists.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Keep what reverse-motion tuning changed in a U-Net: a file of 50 MB instead of gigabytes.

    The file goes to `vtg interpolate --reverse FILE` and fits every Stable Video Diffusion model.
    """
    from vtg_cli.weights import delta as deltas
    from vtg_cli.weights.reverse import unet_folder

    written = deltas.write(
        unet_folder(tuned), unet_folder(base), output, dtype=dtype, overwrite=overwrite
    )
    if as_json:
        facts = {
            "path": str(written.path),
            "bytes": written.size,
            "tensors": written.tensors,
            "parameters": written.numbers,
            "unchanged": written.unchanged,
        }
        result_json(facts)
    else:
        result(f"{written.path}  {size_text(written.size)}")


def import_model(
    checkpoint: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            help="DynamiCrafter's or ToonCrafter's model.ckpt, a pruned .safetensors of it, "
            "AnimateLCM-SVD-xt's, or RIFE's flownet.pkl.",
        ),
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="DIR", help="The model folder to make.")
    ],
    variant: Annotated[
        str | None,
        typer.Option(
            metavar="256|512|1024|512_interp|tooncrafter|animatelcm",
            help="Which of the released models it is. Default: as the file and its folder say.",
        ),
    ] = None,
    clip: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="A copy of laion/CLIP-ViT-H-14-laion2B-s32B-b79K: the vocabulary that prompts "
            "need, and the CLIP weights that pruned files lack.",
        ),
    ] = None,
    decoder: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="A DynamiCrafter checkpoint whose decoder stands in for ToonCrafter's own.",
        ),
    ] = None,
    base: Annotated[
        str | None,
        typer.Option(
            metavar="DIR|NAME",
            help="For animatelcm: the model it was distilled from, which supplies all but the "
            "U-Net's weights. Default: svd-xt.",
        ),
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(
            metavar="JSON",
            help="The model's configuration, for one of other sizes than the released ones.",
        ),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the model folder if it exists.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Make a model folder of a released checkpoint: safetensors, config, hashes.

    Nothing in the file is executed. The folder goes to `vtg interpolate --model DIR`.
    """
    from vtg_cli.backbones.animatelcm import assemble as animatelcm
    from vtg_cli.backbones.dynamicrafter.convert import convert
    from vtg_cli.flow.rife import weights as rife
    from vtg_cli.weights import notices, store

    def phase(text: str) -> None:
        inform(text)

    if variant is None and rife.is_released(checkpoint):
        _refuse(("--clip", clip), ("--decoder", decoder), ("--config", config), ("--base", base))
        imported = rife.convert(checkpoint, output, overwrite=overwrite)
        inform(notices.RIFE)
        answer({"path": str(imported)}, str(imported), as_json=as_json)
        return
    if variant == animatelcm.VARIANT or (variant is None and animatelcm.is_one(checkpoint)):
        _refuse(("--clip", clip), ("--decoder", decoder), ("--config", config))
        lent = store.resolve(base or animatelcm.BASE).folder
        imported = animatelcm.assemble(
            checkpoint, lent, output, overwrite=overwrite, on_phase=phase
        )
        answer({"path": str(imported)}, str(imported), as_json=as_json)
        return
    _refuse(("--base", base))
    folder = convert(
        checkpoint,
        output,
        variant=variant,
        clip=clip,
        decoder=decoder,
        config=config,
        overwrite=overwrite,
        on_phase=phase,
    )
    if not (folder / "tokenizer").is_dir():
        inform(
            "prompts will need CLIP's vocab.json and merges.txt: put them in "
            f"{folder / 'tokenizer'}, or name their folder with --clip",
        )
    answer({"path": str(folder)}, str(folder), as_json=as_json)


def _refuse(*options: tuple[str, object]) -> None:
    """Raise UsageError for the first of these options that was given."""
    for option, value in options:
        if value is not None:
            raise UsageError(
                f"{option} means nothing to this checkpoint", "leave it out", subject=option
            )
