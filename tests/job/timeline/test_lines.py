"""Lines of TOML keys, against what tomllib reads: every value of these texts is its own line."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from vtg_cli.job.timeline.lines import Path, lines_of
from vtg_cli.job.timeline.toml import tomllib

PLAIN = """\
a = 1
# b = 9
b = 3 # [c]

c . d = 5
"q.r" = 6
'l' = 7
"""
TABLES = """\
[one]
a = 2
[one.two]
b = 4
[[many]]
c = 6

[[many]]
c = 9
[many.inner]
d = 11
[[many.inner.more]]
e = 13
[[many.inner.more]]
e = 15
[[many]]
c = 17
"""
INLINE = """\
x = { a = 1, b.c = 1, "d]" = [1, 1] }
y = [
  3, # ] }
  { k = 4, s = "}," },
  [ 5, 5,
    6 ],
]
"""
STRINGS = '''\
s = """ [no]
a = 9
\\""" still " in it """""
t = \'\'\'
[[no]] # no comment
"""\'\'\'
u = "[x] # = \\" = "
v = 8
w = [ "a#]", 9, "\\\\", 9 ]
"k\\u0041#" = 10
[ 'ta.b]' . "le" ]
z = 12
'''
ENDINGS = PLAIN.replace("\n", "\r\n")


def leaves(value: Any, path: Path = ()) -> Iterator[tuple[Path, int]]:
    """Every whole number in what tomllib read, with the way to it."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from leaves(inner, (*path, name))
    elif isinstance(value, list):
        for k, inner in enumerate(value):
            yield from leaves(inner, (*path, k))
    elif isinstance(value, int):
        yield path, value


@pytest.mark.parametrize(
    ("text", "count"),
    [(PLAIN, 5), (TABLES, 8), (INLINE, 9), (STRINGS, 5), (ENDINGS, 5)],
    ids=["plain", "tables", "inline", "strings", "crlf"],
)
def test_every_value_stands_on_its_line(text: str, count: int) -> None:
    lines = lines_of(text)
    found = list(leaves(tomllib.loads(text)))
    assert len(found) == count
    assert [(path, lines[path]) for path, _ in found] == found


def test_tables_and_strings_have_lines_too() -> None:
    lines = lines_of(TABLES)
    assert (lines["one",], lines["many",], lines["many", 0]) == (1, 5, 5)
    assert (lines["many", 1], lines["many", 1, "inner"], lines["many", 2]) == (8, 10, 16)
    lines = lines_of(STRINGS)
    assert (lines["s",], lines["t",], lines["u",], lines["ta.b]", "le"]) == (1, 4, 7, 11)


def test_an_empty_text_has_none() -> None:
    assert lines_of("") == {} == lines_of("# only this\n\n")
