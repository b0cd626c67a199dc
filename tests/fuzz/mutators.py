"""How an input that is right becomes one that is nearly so: bytes, text, and JSON documents."""

from __future__ import annotations

import copy
import json
import struct
import zlib
from collections.abc import Sequence
from random import Random
from typing import Any

HOSTILE = (
    "",
    " ",
    "\t",
    "\0",
    "-",
    "--",
    "~",
    "~nobody/x",
    ".",
    "..",
    "/",
    "../../../etc/passwd",
    "file:///etc/passwd",
    "concat:a|b",
    "s3://bucket/x.mp4",
    "%04d.png",
    "%s%d%n",
    "{name}",
    "{0.__class__}",
    "{index:99999999}",
    "[red]m[/nope]",
    "\x1b]0;title\x07\x1b[31mred",
    "\r\nX-Header: 1",
    "a\nb",
    "\u2028\u0085\u202e",
    "\ufeff",
    "\ud800",
    "\udcff\udcfe",
    "cafe\u0301",
    "\U0001f600" * 40,
    "a" * 300,
    "a/" * 3000,
    "nan",
    "inf",
    "-1",
    "0",
    "1e999",
    "1e-999",
    "9" * 30,
    "9" * 5000,
    "1/0",
    "0/0",
    "1" * 400 + "/" + "3" * 400,
    "٣",
    "²",
    "0x10",
    "1_000",
    "true",
    "null",
    "@1.2s",
    "a.png@",
    "a.png@1:99:99",
    "a.png@99999999999f",
    "cubic-bezier(nan,0,1,1)",
    "cubic-bezier(0,1e400,1,-1e400)",
    "#12345g",
    "hsl(1,2%,3%",
    "rgb(999,-1,1e9)",
)
"""Texts that have broken programs."""

NUMBERS = (0, 1, -1, 2, 7, 127, 128, 255, 256, 65535, 65536, 2**31 - 1, 2**31, 2**32 - 1, 2**63)

RAW = {
    "@deep list@": "[" * 60_000 + "]" * 60_000,
    "@deep object@": '{"a":' * 30_000 + "0" + "}" * 30_000,
    "@unclosed@": "[" * 200_000,
    "@long number@": "9" * 6_000,
    "@long fraction@": "0." + "3" * 6_000,
    "@infinite@": "1e999",
    "@NaN@": "NaN",
    "@Infinity@": "-Infinity",
}
"""What no Python value becomes when it is written as JSON: written in place of these texts."""


def damaged(rng: Random, *seeds: bytes) -> bytes:
    """One of the seeds with one to six things done to its bytes."""
    content = bytearray(rng.choice(seeds))
    for _ in range(rng.choice((1, 1, 1, 2, 3, 6))):
        at = _place(rng, len(content))
        kind = rng.randrange(9)
        if kind == 0 and content:
            content[min(at, len(content) - 1)] ^= 1 << rng.randrange(8)
        elif kind == 1 and content:
            content[min(at, len(content) - 1)] = rng.randrange(256)
        elif kind == 2:
            del content[at:]
        elif kind == 3:
            del content[at : at + rng.randrange(1, 64)]
        elif kind == 4:
            content[at:at] = rng.randbytes(rng.randrange(1, 64))
        elif kind == 5:
            content[at:at] = content[at : at + rng.randrange(1, 200)]
        elif kind == 6:
            content[at : at + 64] = bytes(64)
        elif kind == 7:
            other = rng.choice(seeds)
            start = _place(rng, len(other))
            content[at:] = other[start:]
        else:
            code = rng.choice((">H", "<H", ">I", "<I", "<Q", ">Q"))
            size = struct.calcsize(code)
            number = rng.choice((*NUMBERS, len(content), rng.randrange(2**16)))
            content[at : at + size] = struct.pack(code, number % 2 ** (8 * size))
    return bytes(content)


def _place(rng: Random, size: int) -> int:
    """Somewhere in it, oftener near the beginning, where headers are."""
    return rng.randrange(min(size, 64) + 1) if rng.random() < 0.4 else rng.randrange(size + 1)


def summed(png: bytes) -> bytes:
    """A PNG with every chunk's checksum right, as far as its chunks can be followed."""
    content, at = bytearray(png), 8
    while at + 12 <= len(content):
        end = at + 8 + int.from_bytes(content[at : at + 4], "big")
        if end + 4 > len(content):
            break
        content[end : end + 4] = zlib.crc32(content[at + 4 : end]).to_bytes(4, "big")
        at = end + 4
    return bytes(content)


def hostile(rng: Random, *, near: str = "") -> str:
    """A text that has broken programs; `near`: or that one with something done to it."""
    text = rng.choice(HOSTILE)
    if not near or rng.random() < 0.4:
        return text
    at = rng.randrange(len(near) + 1)
    kind = rng.randrange(4)
    if kind == 0:
        return near[:at] + text + near[at:]
    if kind == 1:
        return near[:at] + near[at + 1 :]
    if kind == 2:
        return near + near
    return (
        near[:at] + chr(rng.choice((rng.randrange(32, 127), rng.randrange(0x110000)))) + near[at:]
    )


def odd(rng: Random, document: Any) -> Any:
    """A copy of a JSON value with one to three of its parts changed in kind, name or value."""
    document = copy.deepcopy(document)
    for _ in range(rng.choice((1, 1, 2, 3))):
        places = list(_places(document))
        if not places:
            return value(rng)
        holder, key = rng.choice(places)
        kind = rng.randrange(6)
        if kind == 0 and isinstance(holder, dict):
            del holder[key]
        elif kind == 1 and isinstance(holder, dict):
            holder[hostile(rng, near=key)] = holder.pop(key)
        elif kind == 2 and isinstance(holder, list):
            holder[key:key] = [holder[key]] * rng.choice((1, 2, 300))
        elif kind == 3 and isinstance(holder[key], str):
            holder[key] = hostile(rng, near=holder[key])
        else:
            holder[key] = value(rng)
    return document


def value(rng: Random) -> Any:
    """Any JSON value, oftener one that is at an edge."""
    return rng.choice(
        (
            None,
            True,
            False,
            [],
            {},
            [[]],
            [None, 1, "a"],
            {"a": {}},
            rng.choice(NUMBERS),
            -rng.choice(NUMBERS),
            10**25,
            10**400,
            rng.uniform(-10, 10),
            1e-320,
            1.7e308,
            *RAW,
            hostile(rng),
            hostile(rng),
        )
    )


def _places(document: Any) -> list[tuple[Any, Any]]:
    """(holder, key) of every part of a document."""
    keys = (
        list(document)
        if isinstance(document, dict)
        else list(range(len(document)))
        if isinstance(document, list)
        else []
    )
    found = [(document, key) for key in keys]
    for key in keys:
        found += _places(document[key])
    return found


def as_json(rng: Random, document: Any) -> bytes:
    """The document as JSON; now and then with a key twice, another encoding or damage."""
    text = json.dumps(document, ensure_ascii=rng.random() < 0.8)
    for name, raw in RAW.items():
        text = text.replace(json.dumps(name), raw)
    kind = rng.randrange(14)
    if kind == 0 and text.startswith("{") and isinstance(document, dict) and document:
        again = json.dumps(rng.choice(list(document)))
        text = f"{{{again}: {json.dumps(hostile(rng))}, {text[1:]}"
    content = text.encode("utf-16" if kind == 1 else "utf-8", "surrogatepass")
    if kind == 2:
        content = b"\xef\xbb\xbf" + content
    return damaged(rng, content) if kind in (3, 4) else content


def lines(rng: Random, text: str, literals: Sequence[str]) -> bytes:
    """A text with some of its lines changed. literals: what a value may be replaced by."""
    rows = text.split("\n")
    for _ in range(rng.choice((1, 1, 2, 3, 5))):
        at = rng.randrange(len(rows))
        kind = rng.randrange(7)
        if kind == 0:
            rows[at:at] = [rows[at]] * rng.choice((1, 1, 200))
        elif kind == 1 and len(rows) > 1:
            del rows[at]
        elif kind == 2:
            other = rng.randrange(len(rows))
            rows[at], rows[other] = rows[other], rows[at]
        elif kind == 3:
            rows[at] = hostile(rng, near=rows[at])
        elif "=" in rows[at]:
            rows[at] = f"{rows[at].partition('=')[0]}= {rng.choice(literals)}"
        else:
            cells = rows[at].split(",")
            cells[rng.randrange(len(cells))] = rng.choice((hostile(rng), *literals))
            rows[at] = ",".join(cells)
    ends = rng.choice(("\n", "\n", "\n", "\r\n", "\r"))
    coding = rng.choice(("utf-8",) * 12 + ("utf-16", "latin-1", "utf-8-sig"))
    fault = "surrogatepass" if coding.startswith("utf") else "replace"
    content = ends.join(rows).encode(coding, fault)
    return damaged(rng, content) if rng.random() < 0.15 else content
