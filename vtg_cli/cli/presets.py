"""vtg morph, blend and transition: `interpolate` with other defaults."""

from __future__ import annotations

from vtg_cli.cli.create import preset_command
from vtg_cli.job.presets import PRESETS

morph, blend, transition = map(preset_command, PRESETS)
