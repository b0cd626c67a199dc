"""The words an option may take, where it takes one of a few; free of imports that cost time."""

from __future__ import annotations

from typing import Literal

Fit = Literal["crop", "pad", "stretch"]
Endpoints = Literal["exact", "blend", "model"]
Detail = Literal["model", "keyframes"]
Dtype = Literal["auto", "fp32", "fp16", "bf16"]
Memory = Literal["auto", "full", "chunked", "offload", "sequential", "tiny-vram", "tiled"]
Schedule = Literal["karras", "ays", "lcm"]
Solver = Literal["euler", "heun", "dpmpp_2m", "lcm"]
Rotate = Literal["all", "first"]
Init = Literal["random", "flow", "slerp"]
OnBad = Literal["warn", "retry", "fallback", "fail"]
Stream = Literal["y4m", "rawvideo", "nut"]
Audio = Literal["stretch", "keep", "drop"]
Fade = Literal["fade", "drop"]
Copy = Literal["auto", "never"]
Cuts = Literal["hold", "ignore"]
Duplicates = Literal["smooth", "keep"]
Fields = Literal["merge", "keep"]
Arriving = Literal["y4m", "png", "jpeg", "rawvideo", "nut"]
