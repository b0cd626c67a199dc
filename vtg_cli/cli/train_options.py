"""The parameters of `vtg train`."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import typer

from vtg_cli.cli.options import Debug, HelpAll, own

TRAINING, CLIPS, WATCH, RUNNING, ALIGNMENT = (
    "Training",
    "Clips",
    "Watching",
    "Device and memory",
    "Alignment",
)


def _option(panel: str, *flags: str, help: str, **more: Any) -> Any:
    return typer.Option(*flags, help=help, rich_help_panel=panel, **more)


def _rare(panel: str, *flags: str, help: str, **more: Any) -> Any:
    """Declare an option that only --help-all shows."""
    return _option(panel, *flags, help=help, hidden=True, **more)


Data = Annotated[
    str,
    typer.Argument(
        metavar="DATA",
        show_default=False,
        help="A folder of clips (videos, or folders of numbered pictures), a manifest.jsonl of "
        "'vtg data scan', or procedural[:COUNT], clips that vtg renders.",
    ),
]
Out = Annotated[
    str,
    typer.Option(
        "-o",
        "--output",
        metavar="FOLDER",
        help="Folder of the run: its checkpoints, log, pictures and, at the end, "
        "reverse.safetensors. The same command goes on where it stopped.",
    ),
]
Model = Annotated[
    str,
    typer.Option(
        "--model",
        metavar="NAME",
        help="Name from 'vtg models list', or a folder.",
    ),
]
First = Annotated[str, typer.Argument(metavar="A", help="The first picture.")]
Last = Annotated[str, typer.Argument(metavar="B", help="The last picture.")]
Fits = Annotated[str, typer.Option("-o", "--output", metavar="FOLDER", help="Folder of the LoRAs.")]
Steps = Annotated[int, _option(TRAINING, "--steps", min=1, help="Steps of the optimiser.")]
Batch = Annotated[
    int, _option(TRAINING, "--batch", min=1, max=4096, help="Clips a step, over all processes.")
]
Rate = Annotated[float, _option(TRAINING, "--rate", min=0.0, max=1.0, help="Learning rate.")]
Schedule = Annotated[
    Literal["constant", "linear", "cosine"],
    _rare(
        TRAINING,
        "--schedule",
        help="Of the learning rate; linear and cosine fall to 0.",
    ),
]
Warmup = Annotated[
    int,
    _rare(TRAINING, "--warmup", min=0, help="Steps until the full learning rate."),
]
Decay = Annotated[
    float,
    _rare(TRAINING, "--weight-decay", min=0.0, help="AdamW's, of full weights."),
]
Clip = Annotated[float, _rare(TRAINING, "--clip", min=0.0, help="Largest norm of the gradient.")]
Ema = Annotated[
    float,
    _rare(
        TRAINING,
        "--ema",
        min=0.0,
        max=0.99999,
        help="Share of the running average; 0: none.",
    ),
]
Begin = Annotated[
    str | None,
    _option(TRAINING, "--begin", metavar="FILE", help="Delta file to begin with."),
]
Seed = Annotated[int, _option(TRAINING, "--seed", min=0, max=2**31, help="Random seed.")]
Frames = Annotated[
    int | None, _option(CLIPS, "--frames", min=3, help="Frames of a window; default: the model's.")
]
Stride = Annotated[
    int, _option(CLIPS, "--stride", min=1, max=64, help="Take every so many frames of a clip.")
]
Size = Annotated[
    str | None, _option(CLIPS, "--size", metavar="WxH", help="Size; default: the model's own.")
]
Fit = Annotated[
    Literal["crop", "pad", "stretch"],
    _rare(CLIPS, "--fit", help="What is done to clips of another shape."),
]
Latents = Annotated[
    str | None,
    _option(CLIPS, "--latents", metavar="FOLDER", help="Cache of 'vtg data cache'."),
]
SaveEvery = Annotated[
    int, _rare(WATCH, "--save-every", min=1, help="Steps from checkpoint to checkpoint.")
]
Keep = Annotated[int, _rare(WATCH, "--keep", min=1, max=100, help="Checkpoints kept.")]
SampleEvery = Annotated[
    int,
    _option(WATCH, "--sample-every", min=0, help="Steps between strips of in-betweens; 0: none."),
]
Tries = Annotated[
    int,
    _option(
        WATCH,
        "--held-out",
        min=0,
        max=64,
        help="Clips kept apart and measured before and after; 0: none.",
    ),
]
SampleSteps = Annotated[
    int | None,
    _rare(
        WATCH,
        "--sample-steps",
        min=1,
        help="Steps of sampling; default: the model's.",
    ),
]
TensorBoard = Annotated[bool, _option(WATCH, "--tensorboard", help="Also log for TensorBoard.")]
Device = Annotated[
    str, _option(RUNNING, "--device", metavar="DEVICE", help="auto, cpu, cuda, cuda:1 or mps.")
]
Dtype = Annotated[
    Literal["auto", "fp32", "bf16", "fp16"],
    _option(
        RUNNING,
        "--dtype",
        help="Precision of the network; what is trained is in fp32.",
    ),
]
Checkpointing = Annotated[
    bool,
    _option(
        RUNNING,
        "--gradient-checkpointing",
        help="Compute activations twice instead of keeping them: less memory, a third more time.",
    ),
]
DryRun = Annotated[
    bool,
    typer.Option("--dry-run", help="Tell what it takes; train nothing."),
]
Json = Annotated[bool, typer.Option("--json", help="Print the report, or the plan, as JSON.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Only results and errors.")]
Encoder = Annotated[
    str,
    _option(
        ALIGNMENT,
        "--encoder",
        metavar="FOLDER",
        help="Folder of a DINOv2 model (transformers).",
    ),
]
Weight = Annotated[
    float,
    _option(ALIGNMENT, "--align-weight", min=0.0, help="Lambda of the alignment's loss."),
]
Layer = Annotated[
    int | None,
    _option(ALIGNMENT, "--layer", min=0, help="Aligned block; default: the middle one."),
]
Variant = Annotated[
    Literal["cosine", "relational"],
    _option(
        ALIGNMENT,
        "--variant",
        help="cosine: each token with its patch (REPA, VTG); relational: all pairs of tokens "
        "(VideoREPA's TRD).",
    ),
]
Reduction = Annotated[
    Literal["mean", "sum"],
    _option(
        ALIGNMENT,
        "--reduction",
        help="Of the cosine loss over frames: mean, or sum as VTG writes it, stronger by the "
        "number of frames.",
    ),
]
Hidden = Annotated[int, _rare(ALIGNMENT, "--hidden", min=1, help="Width of the projector.")]

COMMON = (
    own("data", Data),
    own("out", Out),
    own("model", Model, "tiny"),
    own("steps", Steps, 15_000),
    own("batch", Batch, 4),
    own("rate", Rate, 1e-4),
    own("schedule", Schedule, "constant"),
    own("warmup", Warmup, 0),
    own("decay", Decay, 1e-2),
    own("clip", Clip, 1.0),
    own("ema", Ema, 0.999),
    own("begin", Begin, None),
    own("seed", Seed, 0),
    own("frames", Frames, None),
    own("stride", Stride, 2),
    own("size", Size, None),
    own("how", Fit, "crop"),
    own("latents", Latents, None),
    own("save_every", SaveEvery, 500),
    own("keep", Keep, 2),
    own("sample_every", SampleEvery, 500),
    own("tries", Tries, 2),
    own("sample_steps", SampleSteps, None),
    own("tensorboard", TensorBoard, False),
    own("device", Device, "auto"),
    own("dtype", Dtype, "auto"),
    own("checkpointing", Checkpointing, False),
    own("dry_run", DryRun, False),
    own("as_json", Json, False),
    own("quiet", Quiet, False),
    own("debug", Debug, False),
    own("help_all", HelpAll, False),
)
"""Parameters of every command that trains reverse motion; named as in training.settings."""

ALIGNED = (
    own("encoder", Encoder),
    own("weight", Weight, 0.5),
    own("layer", Layer, None),
    own("variant", Variant, "cosine"),
    own("reduction", Reduction, "mean"),
    own("hidden", Hidden, 2048),
)
"""Those of alignment; named as in training.settings.Alignment."""
