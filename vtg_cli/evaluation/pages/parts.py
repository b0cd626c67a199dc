"""What the pages share: a document around them, clips as strips of pictures, curves, tables.

Everything that comes from outside passes `text` or `data` on its way into a page.
"""

from __future__ import annotations

import base64
import html
import io
import json
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any

import numpy as np
from PIL import Image

from vtg_cli.evaluation.shots import Frames
from vtg_cli.media.sheet import positions

COLOURS = ("#555555", "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
"""Of Okabe and Ito 2008, which colour-blind people tell apart; the first is the truth's."""
LONGEST = 32  # frames of a strip
QUALITY = 70  # of its JPEG
WIDEST = 32_000  # pixels, half of what JPEG holds
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"
PLOT = (360, 110)  # width and height of a curve, in CSS pixels


def text(words: object) -> str:
    """Return words escaped for HTML, in attributes too; what is not UTF-8 is shown as such."""
    plain = str(words).encode("utf-8", "backslashreplace").decode()
    return html.escape(plain, quote=True)


def data(value: Any) -> str:
    """Return a value as a script element that a page's script reads; no word can end it."""
    content = json.dumps(value).replace("<", "\\u003c").replace(">", "\\u003e")
    return f'<script type="application/json" id="data">{content}</script>'


def asset(name: str) -> str:
    """Read a style or script that lies beside this module."""
    return files(__package__).joinpath(name).read_text(encoding="utf-8")


def document(title: str, body: str, scripts: Sequence[str]) -> str:
    """Return a whole page. scripts: names of the assets."""
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{text(title)}</title>
<style>
{asset("style.css")}</style>
</head>
<body>
{body}
<script>
{"".join(map(asset, scripts))}</script>
</body>
</html>
"""


def strip(frames: Frames, width: int, name: str, longest: int = LONGEST, ident: str = "") -> str:
    """Return frames [F, H, W, 3] side by side as one picture, from which a player plays.

    width: of a frame in pixels, at the most; longest: frames, a longer clip is shown in even steps;
    ident: of the element
    """
    chosen = frames[positions(len(frames), min(longest, WIDEST // width))]
    height, breadth = chosen.shape[1:3]
    across = min(width, breadth)
    down = max(1, round(height * across / breadth))
    sheet = Image.new("RGB", (across * len(chosen), down))
    for number, frame in enumerate(chosen):
        small = Image.fromarray(frame).resize((across, down), Image.Resampling.LANCZOS)
        sheet.paste(small, (number * across, 0))
    content = io.BytesIO()
    sheet.save(content, "JPEG", quality=QUALITY)
    own = f' id="{text(ident)}"' if ident else ""
    encoded = base64.b64encode(content.getvalue()).decode()
    return (
        f'<img class="strip"{own} alt="{text(name)}" data-frames="{len(chosen)}" '
        f'src="data:image/jpeg;base64,{encoded}">'
    )


def curves(series: Mapping[str, Sequence[float]], colours: Mapping[str, str], title: str) -> str:
    """Return lines over time as SVG, each from t = 0 to 1; the axis begins at 0."""
    known = {name: values for name, values in series.items() if len(values) > 1}
    most = max((max(values) for values in known.values()), default=0.0) or 1.0
    width, height = PLOT
    lines = []
    for name, values in known.items():
        places = [
            f"{width * i / (len(values) - 1):.1f},{height - height * value / most:.1f}"
            for i, value in enumerate(values)
        ]
        lines.append(
            f'<polyline fill="none" stroke="{colours[name]}" stroke-width="1.5" '
            f'points="{" ".join(places)}"><title>{text(name)}</title></polyline>'
        )
    return (
        f'<figure class="curves"><figcaption>{text(title)}, up to {most:.3g}</figcaption>'
        f'<svg viewBox="-2 -2 {width + 4} {height + 4}" width="{width}" height="{height}" '
        f'role="img" aria-label="{text(title)}"><path d="M0 0V{height}H{width}" fill="none" '
        f'stroke="#999"/>{"".join(lines)}</svg></figure>'
    )


def table(header: Sequence[str], rows: Sequence[Sequence[str]], published: Sequence[bool]) -> str:
    """Return a table of text. published: the rows that somebody else printed."""
    head = "".join(f"<th>{text(cell)}</th>" for cell in header)
    body = []
    for row, elsewhere in zip(rows, published, strict=True):
        cells = "".join(f"<td>{text(cell)}</td>" for cell in row)
        body.append(f'<tr class="{"published" if elsewhere else "ours"}">{cells}</tr>')
    return f'<div class="wide"><table><tr>{head}</tr>{"".join(body)}</table></div>'


def mean_curve(rows: Sequence[Sequence[float]]) -> list[float]:
    """Average curves of one length; none if there are none."""
    whole = [row for row in rows if len(row)]
    return [float(value) for value in np.mean(whole, axis=0)] if whole else []
