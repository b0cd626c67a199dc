"""vtg run of a clip's report."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vtg_cli.job.jobs import Bridge, Retime
    from vtg_cli.render.report import Recorded


def again(
    recorded: Recorded, job: Retime | Bridge, *, as_json: bool, dry_run: bool, quiet: bool
) -> None:
    """A clip made again from its report. MediaError where an old clip has changed since."""
    from vtg_cli.cli import bridge, clips
    from vtg_cli.job.jobs import Retime
    from vtg_cli.render.report import unchanged

    if isinstance(job, Retime):
        unchanged(recorded, [job.clip.path])
        clips.carry_out(job, as_json=as_json, dry_run=dry_run, quiet=quiet)
    else:
        unchanged(recorded, [job.first.path, job.last.path])
        bridge.carry_out(job, as_json=as_json, dry_run=dry_run, quiet=quiet)
