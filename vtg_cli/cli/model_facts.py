"""The facts of a model for `vtg models`: from the catalogue, and what of it is on this machine."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from vtg_cli.ground.units import size_text
from vtg_cli.weights.catalog import (
    CATALOG,
    EMBEDDED,
    EMBEDDED_FOLDER,
    EMBEDDED_LICENCE,
    place_of,
)
from vtg_cli.weights.entry import Entry, Link, Wheel


def built_in(name: str) -> dict[str, Any]:
    """Return the row of what comes with vtg: the embedded model, or flow, without weights."""
    from vtg_cli.backbones.base import spec_of
    from vtg_cli.weights.layout import used_files

    model = name == EMBEDDED
    size = sum(file.stat().st_size for file in used_files(EMBEDDED_FOLDER)) if model else 0
    row: dict[str, Any] = {
        "name": name,
        "kind": "model" if model else "engine",
        "gb": round(size / 1e9, 4),
        "licence": EMBEDDED_LICENCE,
        "terms": "Part of vtg.",
        "commercial": "yes",
        "gated": False,
        "frames": spec_of(EMBEDDED_FOLDER).frames if model else None,
        "prompts": False,
        "summary": "embedded diffusion model, for any machine"
        if model
        else "optical flow, no network: drafts in seconds",
        "needs": [],
        "tiers": [],
        "here": "yes",
        "path": str(EMBEDDED_FOLDER) if model else None,
        "lacking": [],
    }
    rest = ("repo_id", "folder", "height", "width", "min_vram_gb", "reverse", "base", "revision")
    return row | dict.fromkeys(rest)


def facts(entry: Entry) -> dict[str, Any]:
    """Return an entry as the catalogue has it, and what of it is on this machine."""
    from vtg_cli.weights import store

    copy = store.cached(place_of(entry.name))
    lacking = list(copy.lacking) if copy else []
    folder = copy.folder if copy else None
    state = "no" if copy is None else "partly" if copy.lacking else "yes"
    if entry.variant:
        imported = store.imported(entry)
        state = "yes" if imported else "no" if copy is None else "partly"
        folder, lacking = (imported, []) if imported else (None, lacking)
    row = asdict(entry)
    fields = ("name", "kind", "repo_id", "folder", "gb", "licence", "terms", "commercial", "gated")
    more = ("frames", "height", "width", "prompts", "min_vram_gb", "tiers", "reverse", "base")
    last = ("needs", "revision", "summary")
    return {name: row[name] for name in (*fields, *more, *last)} | {
        "here": state,
        "path": str(folder) if folder else None,
        "lacking": lacking,
    }


def known_of(name: str) -> dict[str, Any]:
    """Return what is known of a catalogue name, a hub id or a folder, with its files."""
    from vtg_cli.backbones.base import spec_of
    from vtg_cli.weights import cache, store, trust

    path = Path(name).expanduser()
    if name not in CATALOG and (path.exists() or store.looks_like_path(name)):
        source = store.resolve(name)
        files = [
            {"name": file.relative_to(path).as_posix(), "bytes": file.stat().st_size}
            for file in sorted(path.rglob("*"))
            if file.is_file()
        ]
        drawn = spec_of(source.folder)
        return {
            "name": name,
            "kind": "model",
            "frames": drawn.frames,
            "prompts": drawn.text,
            "area": drawn.area,
            "here": "yes",
            "path": str(source.folder.absolute()),
            "files": files,
        }
    place = place_of(name)
    record = trust.read(cache.record_path(place.repo_id))
    recorded = store.recorded_files(place, record) if record else {}
    if place.entry is not None:
        from vtg_cli.weights import licence

        row = facts(place.entry)
        row |= {"page": place.entry.page, "accepted": licence.accepted(place.entry)}
        row["must_accept"] = place.entry.must_accept
        if place.entry.wheel is not None:
            return row | _of_wheel(place.entry.wheel)
        if place.entry.link is not None:
            return row | _of_link(place.entry, place.entry.link)
        names = {*place.entry.files, *recorded}
    else:
        copy = store.cached(place)
        state = "no" if copy is None else "partly" if copy.lacking else "yes"
        row = {"name": name, "repo_id": place.repo_id, "here": state}
        row |= {"path": str(copy.folder) if copy else None, "revision": None}
        row["page"] = f"https://huggingface.co/{place.repo_id}"
        names = set(recorded)
    row["pinned"] = row["revision"] is not None
    row["revision"] = row["revision"] or (record.commit if record else None)
    row["files"] = [
        {"name": each, "bytes": file.size, "sha256": file.sha256}
        if (file := recorded.get(each))
        else {"name": each, "bytes": None, "sha256": None}
        for each in sorted(names)
    ]
    return row


def _of_wheel(wheel: Wheel) -> dict[str, Any]:
    """Return what the catalogue pins of a wheel."""
    files = [
        {"name": wheel.file, "bytes": wheel.size, "sha256": wheel.sha256},
        {"name": wheel.member, "bytes": None, "sha256": wheel.member_sha256},
    ]
    return {"revision": wheel.version, "pinned": True, "files": files}


def _of_link(entry: Entry, link: Link) -> dict[str, Any]:
    """Return what the catalogue knows of a file at an address of its own."""
    name, size, sha256 = entry.files[0], link.size or None, link.sha256 or None
    files = [{"name": name, "bytes": size, "sha256": sha256}]
    return {"address": link.url, "pinned": sha256 is not None, "files": files}


def lines_of(row: dict[str, Any]) -> list[tuple[str, str]]:
    """Format `info` for people: label and text."""
    lines = [("name", row["name"])]
    if "summary" in row:
        lines.append(("what", row["summary"]))
    lines.append(("here", row["here"] + (f", {row['path']}" if row["path"] else "")))
    if row.get("address"):
        fetched = "" if row["pinned"] else ", not fetched by vtg: no sha256 is published"
        lines.append(("address", f"{row['address']}{fetched}"))
    elif row.get("repo_id"):
        gated = ", gated" if row.get("gated") else ""
        lines.append(("repository", f"{row['repo_id']}{gated}"))
        revision = row["revision"]
        how = "pinned" if row["pinned"] else "recorded at the first pull"
        lines.append(
            ("revision", f"{revision}, {how}" if revision else "not pinned: the first pull records")
        )
    if row.get("gb"):
        lines.append(("size", size_text(round(row["gb"] * 1e9))))
    for need in row.get("needs", ()):
        lines.append(("needs", f"{need}, {size_text(round(CATALOG[need].gb * 1e9))}"))
    if row.get("licence"):
        lines.append(("licence", f"{row['licence']}: {row['terms']}"))
        accepted = f", accepted on {row['accepted']}" if row.get("accepted") else ""
        lines.append(("commercial", row["commercial"] + accepted))
    for tier in row.get("tiers", ()):
        source = "published" if tier["published"] else "an estimate"
        lines.append(("memory", f"{tier['gb']:g} GB ({source}): {tier['how']}"))
    if row.get("frames"):
        size = f"{row['width']}x{row['height']}, " if row.get("width") else ""
        prompts = "reads prompts" if row["prompts"] else "no prompts"
        lines.append(("draws", f"{size}{row['frames']} frames, {prompts}"))
    if row.get("reverse"):
        lines.append(("reverse", row["reverse"]))
    for file in row.get("files", ()):
        size = f"  {size_text(file['bytes'])}" if file["bytes"] is not None else "  not pulled yet"
        digest = f"  {file['sha256']}" if file.get("sha256") else ""
        lines.append(("file", f"{file['name']}{size}{digest}"))
    return lines
