"""vtg models verify and rm: what is on this machine, checked again or removed."""

from __future__ import annotations

from typing import Annotated

import typer

from vtg_cli.cli.bar import progress
from vtg_cli.cli.console import agreed, answer, asks, inform, result, result_json
from vtg_cli.errors import UsageError, WeightsError
from vtg_cli.ground.units import counted, size_text
from vtg_cli.weights.catalog import BUILT_IN


def verify(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[NAME|HUB_ID|DIR]...",
            help=("What to check. Default: everything on this machine."),
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Read every file again and compare its hash with what the first pull recorded. No network.

    Names each bad file and ends with exit code 5 if there is one.
    """
    from vtg_cli.weights import keep

    verdicts = []
    for name in names or keep.here():
        if name in BUILT_IN:
            raise UsageError(f"{name} is part of vtg and was not pulled", subject=name)
        with progress(quiet=as_json) as report:
            verdicts.append(keep.verify(name, report))
    rows = [
        {
            "name": each.name,
            "folders": [str(folder) for folder in each.folders],
            "files": each.files,
            "bytes": each.size,
            "bad": [{"file": str(bad.file), "problem": bad.problem} for bad in each.bad],
        }
        for each in verdicts
    ]
    if as_json:
        result_json(rows, indent=2)
    else:
        for each in verdicts:
            state = f"{len(each.bad)} bad" if each.bad else "good"
            result(f"{each.name}  {counted(each.files, 'file')}, {size_text(each.size)}: {state}")
            for bad in each.bad:
                result(f"  {bad.problem}: {bad.file}")
        if not verdicts:
            inform("no model has been pulled to this machine")
    broken = [each.name for each in verdicts if each.bad]
    if broken:
        raise WeightsError(
            f"{', '.join(broken)}: not every file is as it should be",
            f"vtg models pull {broken[0]} fetches what is bad again",
            subject=broken[0],
        )


def remove(
    name: Annotated[str, typer.Argument(metavar="NAME|HUB_ID", help="What to remove.")],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    checkpoint: Annotated[
        bool,
        typer.Option(
            "--checkpoint", help="Only the downloaded checkpoint, not the model imported from it."
        ),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Remove a model from this machine, after asking.

    What other programs fetched of the same repository stays; files of the model itself that vtg did
    not pull are named before anything is removed. The record of hashes stays too.
    """
    from vtg_cli.weights import keep

    what = keep.removal(name, checkpoint_only=checkpoint)
    count = len(what.files) + len(what.parts)
    lines = [f"{name}: {counted(count, 'file')} of {what.repo_id} in the cache"] if count else []
    lines += [f"{name}: the model imported into {what.made}"] if what.made else []
    if what.foreign:
        lines.append(f"  of these, vtg did not pull: {', '.join(what.foreign)}")
    if what.stays:
        lines.append(f"  others of the repository stay: {', '.join(what.stays)}")
    inform(*lines)
    if not yes:
        if not asks():
            raise UsageError(
                f"nothing was removed: nobody is there to ask about {name}",
                f"vtg models rm {name} --yes",
                subject="--yes",
            )
        if not agreed(f"Remove {size_text(what.size)}?"):
            inform("nothing was removed")
            return
    keep.remove(what)
    answer(
        {"name": name, "bytes": what.size, "files": count},
        f"removed {name}, {size_text(what.size)}",
        as_json=as_json,
    )
