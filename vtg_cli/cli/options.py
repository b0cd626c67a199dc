"""The options the commands share, each written down once: type, flags, help and panel.

Help texts are for people who have never seen a diffusion model. Nothing heavy is imported here:
completion and `--help` pass through.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

import typer

from vtg_cli import literals
from vtg_cli.literals import (
    Arriving,
    Detail,
    Dtype,
    Endpoints,
    Fit,
    Init,
    Memory,
    Method,
    OnBad,
    Rotate,
    Schedule,
    Solver,
    Stream,
)

TIMING, TEXT, MODEL, PICTURE = "Timing", "Text (models that take it)", "Model", "Picture"
SAMPLING = "Sampling (diffusion models only)"
QUALITY, OUTPUT, MACHINE = "Quality", "Output", "Machine"
READING = "Clip"
ARRIVING = "Standard input (with - as the clip)"


def model_names(incomplete: str) -> Iterator[tuple[str, str]]:
    """Completion of --model: the names the catalogue knows, each with its summary."""
    from vtg_cli.weights.catalog import CATALOG

    known = {
        "auto": "the best model this machine has",
        "tiny": "embedded diffusion model",
        "flow": "draft engine: motion alone, the fastest",
    }
    known |= {name: entry.summary for name, entry in CATALOG.items() if entry.kind == "model"}
    return ((name, what) for name, what in known.items() if name.startswith(incomplete))


def reverse_names(incomplete: str) -> Iterator[tuple[str, str]]:
    """Completion of --reverse: the reverse-motion weights the catalogue knows."""
    from vtg_cli.weights.catalog import CATALOG

    entries = (entry for entry in CATALOG.values() if entry.kind == "reverse")
    return ((entry.name, entry.summary) for entry in entries if entry.name.startswith(incomplete))


def curve_names(incomplete: str) -> list[str]:
    """Completion of --ease."""
    from vtg_cli.timing import CURVES

    return [name for name in CURVES if name.startswith(incomplete)]


def text_curve_names(incomplete: str) -> list[str]:
    """Completion of --text-curve."""
    return [name for name in ("hold", *curve_names("")) if name.startswith(incomplete)]


def fusion_names(incomplete: str) -> list[str]:
    """Completion of --fusion."""
    return [name for name in ("mean", "linear") if name.startswith(incomplete)]


def lora_names(incomplete: str) -> list[str]:
    """Completion of --lora; a folder is completed by the shell."""
    return [name for name in ("off", "fit") if name.startswith(incomplete)]


def _option(panel: str, *flags: str, help: str, **more: Any) -> Any:
    return typer.Option(*flags, help=help, rich_help_panel=panel, **more)


KeyframeFiles = Annotated[
    list[str],
    typer.Argument(
        metavar="PICTURE...",
        show_default=False,
        help="The keyframes in order, two or more: png, jpg, webp, tiff, bmp, gif, avif. Each may "
        "say when it is shown, in place of --frames and --duration: a.png@0 b.png@1.5s c.png@3s, "
        "or on which frame: a.png@0f b.png@36f.",
    ),
]
SidecarFile = Annotated[
    str,
    typer.Argument(
        metavar="SIDECAR",
        show_default=False,
        help="The .json file that lies beside a clip vtg made.",
    ),
]

TimelineFile = Annotated[
    str,
    typer.Argument(
        metavar="TIMELINE",
        show_default=False,
        help="A .toml file, as 'vtg timeline init' writes it.",
    ),
]

# ------------------------------------------------------------------------------------------ timing
Frames = Annotated[
    str | None,
    _option(
        TIMING,
        "--frames",
        metavar="N[,N...]",
        help="Frames from one keyframe to the next, both included: one number for all segments "
        "or one for each, such as 16,24,16. Default: the model's own length, 24 for tiny and "
        "flow.",
    ),
]
Duration = Annotated[
    str | None,
    _option(
        TIMING,
        "--duration",
        metavar="TIME",
        help="Length of the whole clip: 1.5, 800ms or 00:01:30. Given without --frames it "
        "decides their number; given with --frames it decides the frame rate.",
    ),
]
Fps = Annotated[
    str | None,
    _option(
        TIMING,
        "--fps",
        metavar="RATE",
        help="Frames a second, exact: 24, 29.97 or 24000/1001. Default: the model's own rate, "
        "24 for tiny and flow.",
    ),
]
Loop = Annotated[
    bool,
    _option(
        TIMING,
        "--loop",
        help="Lead back to the first keyframe, so that the clip plays in a circle; the first "
        "frame is not repeated at the end.",
    ),
]
Ease = Annotated[
    str,
    _option(
        TIMING,
        "--ease",
        metavar="CURVE",
        autocompletion=curve_names,
        help="Pace within each segment: linear, ease, ease-in, ease-out, ease-in-out or "
        "cubic-bezier(x1,y1,x2,y2), as in CSS.",
    ),
]

Carry = Annotated[
    bool,
    _option(
        TIMING,
        "--carry",
        help="With three keyframes or more: motion goes on through the ones within the clip, "
        "without a pause or a corner, as of things that swing, roll or fly. Leave it out where "
        "something stops or turns back at a keyframe.",
    ),
]

# -------------------------------------------------------------------------------------------- text
Prompt = Annotated[
    list[str] | None,
    _option(
        TEXT,
        "--prompt",
        metavar="TEXT",
        help="What the clip shows, in words: once for all keyframes, or once for each of them, "
        "repeated in their order.",
    ),
]
FirstCaption = Annotated[
    str | None,
    _option(TEXT, "--from", metavar="TEXT", help="What the first of two pictures shows."),
]
LastCaption = Annotated[
    str | None,
    _option(TEXT, "--to", metavar="TEXT", help="What the last of two pictures shows."),
]
Caption = Annotated[
    list[str] | None,
    _option(
        TEXT,
        "--caption",
        metavar="TEXT",
        help="In place of --from and --to: once for all pictures, or once for each of them, "
        "repeated in their order.",
    ),
]
NegativePrompt = Annotated[
    str | None,
    _option(
        TEXT,
        "--negative-prompt",
        metavar="TEXT",
        help="What the clip should not be. Default: with captions, words for common flaws.",
    ),
]
TextCurve = Annotated[
    str,
    _option(
        TEXT,
        "--text-curve",
        metavar="CURVE",
        autocompletion=text_curve_names,
        help="How one caption turns into the next: linear, hold (a tenth of the other is always "
        "told) or a curve as of --ease.",
    ),
]

# ------------------------------------------------------------------------------------------- model
Model = Annotated[
    str,
    _option(
        MODEL,
        "--model",
        metavar="NAME",
        envvar="VTG_MODEL",
        autocompletion=model_names,
        help="What draws the frames: auto (the best model already on this machine that it can "
        "run), tiny (embedded), flow (embedded; a draft, the fastest), a name from 'vtg models "
        "list', a folder in diffusers layout, or a hub id such as org/name. Nothing is ever "
        "downloaded from here.",
    ),
]
Lora = Annotated[
    str,
    _option(
        MODEL,
        "--lora",
        metavar="off|fit|FOLDER",
        autocompletion=lora_names,
        help="Whether a diffusion model learns each keyframe before it draws, which keeps what is "
        "in between true to both. fit: it does, 200 training steps a keyframe, kept for the next "
        "time in ~/.cache/vtg/lora. FOLDER: what an earlier fit kept, and nothing is fitted. "
        "Training needs more memory than drawing.",
    ),
]
Fast = Annotated[
    bool,
    _option(
        MODEL,
        "--fast",
        help="A quicker, rougher clip of a diffusion model: 10 steps (animatelcm-svd-xt 4) or the "
        "model's own if those are fewer, on --schedule ays where it can be, and no --lora fit. "
        "Numbers given beside it stay.",
    ),
]
HighQuality = Annotated[
    bool,
    _option(
        MODEL,
        "--quality",
        help="A slower, finer clip of a diffusion model: 50 steps, for tvg 25, or the model's own "
        "if those are more. tiny keeps its 2, which more of them do not better, and "
        "animatelcm-svd-xt takes 8. A number given beside it stays.",
    ),
]
Reverse = Annotated[
    str | None,
    _option(
        MODEL,
        "--reverse",
        metavar="WEIGHTS",
        autocompletion=reverse_names,
        help="Reverse-motion weights for method gi: a delta file (see 'vtg models delta'), the "
        "folder of a tuned U-Net, a catalogue name or a hub id. Default: what the catalogue "
        "knows for the model, if it is on this machine.",
    ),
]
ReverseBase = Annotated[
    str | None,
    _option(
        MODEL,
        "--reverse-base",
        metavar="WEIGHTS",
        help="What the tuned U-Net of --reverse was tuned from: a folder or a name.",
    ),
]
MethodName = Annotated[
    Method | None,
    _option(
        MODEL,
        "--method",
        help="How a diffusion model is led to both keyframes. gi: generative inbetweening, the "
        "best, needs reverse-motion weights. trf: time-reversal fusion, needs none. i2v: plain "
        "image to video from the first keyframe. dynamicrafter: that model's own sampling, in one "
        "direction. To compare with: tei, captions on the straight line; attention, every frame "
        "looks at both ends; di, stills between the inverted keyframes; tvg, both directions side "
        "by side. Default: gi if it can be, else trf.",
    ),
]

# ---------------------------------------------------------------------------------------- sampling
Steps = Annotated[
    int | None,
    _option(
        SAMPLING,
        "--steps",
        metavar="N",
        help="Denoising steps; more take longer and get finer. Default: 25.",
    ),
]
SolverName = Annotated[
    Solver | None,
    _option(
        SAMPLING,
        "--solver",
        help="How a denoising step is taken; lcm draws fresh noise at each, for models distilled "
        "to few steps. Default: euler, or the model's own.",
    ),
]
ScheduleName = Annotated[
    Schedule | None,
    _option(
        SAMPLING,
        "--schedule",
        help="How Stable Video Diffusion spreads noise over the steps: karras, its own; ays (Align "
        "Your Steps), made for 10; lcm, every so many of 40 levels, animatelcm-svd-xt's own. "
        "Default: karras; with --fast ays.",
    ),
]
Guidance = Annotated[
    str | None,
    _option(
        SAMPLING,
        "--guidance",
        metavar="MIN:MAX",
        help="How closely frames follow the keyframe, at the near and the far end. Default: 1:3.",
    ),
]
GuidanceSpan = Annotated[
    str,
    _option(
        SAMPLING,
        "--guidance-span",
        metavar="FROM:TO",
        help="The share of the steps that have guidance, such as 0:0.6; the others take half the "
        "time. It changes the frames.",
    ),
]
FusionName = Annotated[
    str,
    _option(
        SAMPLING,
        "--fusion",
        metavar="WEIGHT",
        autocompletion=fusion_names,
        help="How the motions from both keyframes are mixed: mean, evenly; linear, by nearness; or "
        "how much the first keyframe's counts, 0 to 1: one number, or several spread evenly over "
        "the frames, such as 1,0.8,0.",
    ),
]
RotateWhich = Annotated[
    Rotate,
    _option(
        SAMPLING,
        "--rotate",
        help="What method gi turns where a model has two attentions along time in a block: all of "
        "them, or the first of each block.",
    ),
]
InitFrom = Annotated[
    Init | None,
    _option(
        SAMPLING,
        "--init",
        help="What the clip starts from. random: noise. flow: the keyframes carried along their "
        "motion, with noise on it. slerp: noise that turns from the first keyframe's own into the "
        "last one's. Default: flow where --strength is below 1, else random.",
    ),
]
InitUntil = Annotated[
    float | None,
    _option(
        SAMPLING,
        "--init-until",
        metavar="SHARE",
        help="The share of the steps, 0 to 1, that keep the noise of --init slerp; the rest may "
        "change it. Default: 0.2.",
    ),
]
Strength = Annotated[
    float | None,
    _option(
        SAMPLING,
        "--strength",
        metavar="SHARE",
        help="Share of the steps that --init flow makes, above 0 to 1: the less, the closer to the "
        "keyframes carried along their motion. Below 1 it asks for --init flow. Default: 1; with "
        "--init flow 0.6.",
    ),
]
Temperature = Annotated[
    float | None,
    _option(
        SAMPLING,
        "--temperature",
        metavar="SHARE",
        help="How much of the noise the clip starts with, 0 to 1: less of it, fewer surprises. "
        "Default: 1; for tiny 0, whose clips then do not depend on --seed.",
    ),
]
Renoise = Annotated[
    int | None,
    _option(
        SAMPLING,
        "--renoise",
        metavar="K",
        help="Go back and redo each early step K times, which joins both motions better. "
        "Default: 5 for gi, 1 for trf.",
    ),
]
RenoiseUntil = Annotated[
    float | None,
    _option(
        SAMPLING,
        "--renoise-until",
        metavar="SHARE",
        help="The share of the steps that count as early. Default: 0.5 for gi, 0.6 for trf.",
    ),
]
ImageCurve = Annotated[
    str,
    _option(
        SAMPLING,
        "--image-curve",
        metavar="CURVE",
        help="For models that look at a picture and read no text: how what they see turns from the "
        "first keyframe into the last one over the frames: linear, hold (a tenth of the other "
        "always shows) or a curve as of --ease. off: each direction sees its own keyframe.",
    ),
]
MotionFps = Annotated[
    int | None,
    _option(
        SAMPLING,
        "--motion-fps",
        metavar="N",
        help="Frames a second the model believes it draws, 1 to 60: the fewer, the more moves from "
        "one frame to the next. For DynamiCrafter its fs. It does not change how fast the clip "
        "plays. Default: the model's own.",
    ),
]
MotionBucket = Annotated[
    int,
    _option(
        SAMPLING,
        "--motion-bucket",
        metavar="N",
        help="Amount of motion, 0 to 255.",
    ),
]
NoiseAug = Annotated[
    float,
    _option(
        SAMPLING,
        "--noise-aug",
        metavar="SIGMA",
        help="Noise on the keyframe the model looks at, 0 to 1: more of it, more freedom.",
    ),
]
Reuse = Annotated[
    int,
    _option(
        SAMPLING,
        "--reuse",
        metavar="N",
        help="Compute the deep part of the network at every N-th step only and use its last answer "
        "in between: quicker, rougher. 1: at every step.",
    ),
]
Seed = Annotated[
    int,
    _option(
        SAMPLING,
        "--seed",
        metavar="N",
        help="Where chance starts: the same seed gives the same clip, another one another clip. "
        "flow leaves nothing to chance.",
    ),
]

# ----------------------------------------------------------------------------------------- picture
Width = Annotated[
    int | None,
    _option(
        PICTURE,
        "--width",
        metavar="PIXELS",
        help="Width of the clip. Default: the first keyframe's; for Stable Video Diffusion "
        "its own area in the first keyframe's shape, a multiple of 8.",
    ),
]
Height = Annotated[
    int | None,
    _option(
        PICTURE,
        "--height",
        metavar="PIXELS",
        help="Height of the clip. With only one of the two given, the other follows.",
    ),
]
FitHow = Annotated[
    Fit,
    _option(
        PICTURE,
        "--fit",
        help="Keyframes of another shape: crop their edges, pad them with the background, or "
        "stretch them.",
    ),
]
Background = Annotated[
    str,
    _option(
        PICTURE,
        "--background",
        metavar="COLOUR",
        help="Colour behind transparent keyframes and of --fit pad: a name or #rrggbb.",
    ),
]
Alpha = Annotated[
    bool | None,
    _option(
        PICTURE,
        "--alpha/--no-alpha",
        show_default=False,
        help="Keep transparency, or lay it on the background. Default: keep it where the output "
        "can (all but .mp4 and y4m) and all keyframes have it.",
    ),
]
DetailFrom = Annotated[
    Detail,
    _option(
        PICTURE,
        "--detail",
        help="Where fine detail comes from: model, what it draws at its own size; keyframes, their "
        "texture carried into every frame, at their own size. flow and tiny always do the latter.",
    ),
]
EndpointsHow = Annotated[
    Endpoints,
    _option(
        PICTURE,
        "--endpoints",
        help="exact: the keyframes themselves stand at their places, and the frames between are "
        "colour-matched to them. blend: a short fade into them as well. model: the model's "
        "frames as they are.",
    ),
]

# ----------------------------------------------------------------------------------------- quality
OnBadResult = Annotated[
    OnBad,
    _option(
        QUALITY,
        "--on-bad",
        help="What to do with a segment that is no in-between but a slideshow, a hard cut, a plain "
        "cross-fade, frozen or flickering. warn: say so. retry: draw it again, other seeds, and "
        "keep the best; where nothing is left to chance, at temperature 1. fallback: let flow draw "
        "it, if that is better. fail: make nothing, exit code 6.",
    ),
]
Candidates = Annotated[
    int | None,
    _option(
        QUALITY,
        "--candidates",
        metavar="N",
        help="How often --on-bad retry draws a segment at most, the first time included; it stops "
        "at the first good one. Default: 4.",
    ),
]

# ------------------------------------------------------------------------------------------ output
Output = Annotated[
    str,
    _option(
        OUTPUT,
        "--output",
        "-o",
        metavar="FILE",
        help="Where the clip goes; the suffix decides the format: .mp4 .mov (ProRes) .mkv "
        "(lossless) .webm .gif .webp .apng, or numbered pictures as in out/%04d.png. - is stdout.",
    ),
]
OtherOutput = Annotated[
    str | None,
    _option(
        OUTPUT,
        "--output",
        "-o",
        metavar="FILE",
        help="Where the clip goes. Default: where the sidecar says.",
    ),
]
RenderOutput = Annotated[
    str | None,
    _option(
        OUTPUT,
        "--output",
        "-o",
        metavar="FILE",
        help="Where the clip goes. Default: where the timeline says.",
    ),
]
StreamFormat = Annotated[
    Stream | None,
    _option(OUTPUT, "--format", help="What is written to stdout with -o -."),
]
Crf = Annotated[
    int | None,
    _option(
        OUTPUT,
        "--crf",
        metavar="N",
        help="Quality of .mp4 and .webm: lower is better and larger. Default: 16 and 20.",
    ),
]
Overwrite = Annotated[bool, _option(OUTPUT, "--overwrite", help="Replace the output if it exists.")]
SkipExisting = Annotated[
    bool,
    _option(OUTPUT, "--skip-existing", help="Do nothing, successfully, if the output exists."),
]
NoSidecar = Annotated[
    bool,
    _option(
        OUTPUT,
        "--no-sidecar",
        help="Do not write the .json beside the clip, which 'vtg run' can make it again from.",
    ),
]
NoPaths = Annotated[
    bool,
    _option(
        OUTPUT,
        "--no-paths",
        help="Have the sidecar name files without their folders; 'vtg run' then looks for them "
        "beside it.",
    ),
]
NoMetadata = Annotated[
    bool,
    _option(
        OUTPUT,
        "--no-metadata",
        help="Leave no trace of how the clip was made: neither the sidecar nor the tag in it.",
    ),
]
Sheet = Annotated[
    str | None,
    _option(
        OUTPUT,
        "--sheet",
        metavar="FILE.png",
        help="Also write a contact sheet: frames of the clip side by side in one picture.",
    ),
]
Json = Annotated[
    bool,
    _option(OUTPUT, "--json", help="Print the whole report on stdout instead of the file's name."),
]
JsonOnly = Annotated[bool, _option(OUTPUT, "--json", help="Print JSON.")]
DryRun = Annotated[
    bool,
    _option(OUTPUT, "--dry-run", help="Print what would be made, and make nothing."),
]
Quiet = Annotated[
    bool,
    _option(OUTPUT, "--quiet", "-q", help="No progress and no notes; errors are still said."),
]

# ----------------------------------------------------------------------------------------- machine
Device = Annotated[
    str,
    _option(
        MACHINE,
        "--device",
        metavar="NAME",
        help="Where to compute: auto, cpu, cuda, cuda:1 or mps. flow runs on the CPU.",
    ),
]
DtypeName = Annotated[
    Dtype,
    _option(
        MACHINE,
        "--dtype",
        help="Number format of a diffusion model. auto: fp16 on a GPU, fp32 on a CPU.",
    ),
]
DecodeChunk = Annotated[
    int | None,
    _option(
        MACHINE,
        "--decode-chunk",
        metavar="N",
        help="Frames a diffusion model decodes at once: fewer need less memory.",
    ),
]
MemoryRung = Annotated[
    Memory,
    _option(
        MACHINE,
        "--memory",
        help="What a diffusion model does to need less memory, from full (nothing) to tiled. "
        "auto: as little as it must, less where memory runs out.",
    ),
]
Compile = Annotated[
    bool,
    _option(
        MACHINE,
        "--compile",
        help="Compile a diffusion model's transformer blocks first (torch.compile): minutes at the "
        "start, quicker steps after it, the same frames but for rounding. For long clips on a GPU.",
    ),
]
Debug = Annotated[
    bool,
    _option(MACHINE, "--debug", help="Show the whole traceback of an error."),
]

# ------------------------------------------------------------------------------- standard input
InputFormat = Annotated[
    Arriving | None,
    _option(
        ARRIVING,
        "--input-format",
        help="What comes through standard input: y4m, png or jpeg pictures end to end, rawvideo "
        "(RGB, 8 bits), nut. Default: y4m.",
    ),
]
InputSize = Annotated[
    str | None,
    _option(
        ARRIVING,
        "--input-size",
        metavar="WxH",
        help="Width and height of rawvideo that comes through standard input.",
    ),
]
Fields = Annotated[
    literals.Fields,
    _option(
        READING,
        "--fields",
        help="Interlaced clips. merge: one whole frame of every two fields, at the clip's own "
        "rate. keep: frames as they are stored.",
    ),
]
AllowDamaged = Annotated[
    bool,
    _option(
        READING,
        "--allow-damaged",
        help="Take what is there of a clip or stream that is cut short or damaged.",
    ),
]
InputFps = Annotated[
    str | None,
    _option(
        ARRIVING,
        "--input-fps",
        metavar="RATE",
        help="Frames a second of numbered pictures, and of pictures or rawvideo that come through "
        "standard input. Default: 25.",
    ),
]
