"""The page of two clips: a slider between them, their difference, side by side, all in step."""

from __future__ import annotations

from vtg_cli.evaluation.pages import parts
from vtg_cli.evaluation.pages.parts import text
from vtg_cli.evaluation.pages.report import CONTROLS
from vtg_cli.evaluation.shots import Frames

WIDTH, LONGEST = 480, 64  # pixels of a frame, and frames, that a page holds


def page(names: tuple[str, str], clips: tuple[Frames, Frames]) -> str:
    """Return the page of two clips of one shape [F, H, W, 3]."""
    first, second = (
        parts.strip(clip, WIDTH, name, LONGEST, ident)
        for clip, name, ident in zip(clips, names, ("a", "b"), strict=True)
    )
    a, b = map(text, names)
    body = f"""<h1>{a} | {b}</h1>
{CONTROLS}
<h2>Slider</h2>
<p>Left of it <b>{a}</b>, right of it <b>{b}</b>.</p>
<div class="stage"><canvas id="wipe"></canvas></div>
<p><input type="range" id="split" min="0" max="1" step="0.002" value="0.5" aria-label="slider"></p>
<h2>Side by side</h2>
<div class="pair"><figure><canvas id="left"></canvas><figcaption>{a}</figcaption></figure>
<figure><canvas id="right"></canvas><figcaption>{b}</figcaption></figure></div>
<h2>Difference</h2>
<p>times <input type="range" id="gain" min="1" max="16" value="4" aria-label="gain">
<output id="times">4</output>; mean <output id="mean"></output> code values</p>
<div class="stage"><canvas id="difference"></canvas></div>
<div class="hidden">{first}{second}</div>"""
    return parts.document(f"{names[0]} | {names[1]}", body, ("player.js", "compare.js"))
