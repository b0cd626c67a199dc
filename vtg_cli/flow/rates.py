"""The cost of the engines that are no diffusion models (machine/cost.py)."""

from __future__ import annotations

from dataclasses import replace

from vtg_cli.machine.cost import MIB, Rates

FLOW = Rates(
    start=0.45,
    segment=0.3,
    known=512 * 288,
    near=1.1e-5,
    near_frame=4e-7,
    pixel=1e-6,
    frame=6e-8,
    start_bytes=82 * MIB,
    near_bytes=810,
    pixel_bytes=125,
    frame_bytes=3.5,
)
RIFE = Rates(
    start=1.7,
    fitted=False,
    segment=0.1,
    frame=2e-6,
    start_bytes=310 * MIB,
    pixel_bytes=900,
    frame_bytes=3,
)


def guided(own: Rates) -> Rates:
    """Return the cost of a model that also looks at what RIFE sees, frame by frame."""
    return replace(
        own,
        fitted=False,
        frame=own.frame + RIFE.frame,
        pixel_bytes=own.pixel_bytes + RIFE.pixel_bytes,
    )
