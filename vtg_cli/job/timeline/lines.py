"""On which line of a TOML text each key stands: TOML readers keep values, not places.

The text has been read by tomllib already, so that it is right is taken for granted. A path is what
leads to a value: names of keys and, in arrays, numbers from 0; ("segment", 1, "ease").
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from vtg_cli.job.timeline.toml import tomllib

Path = tuple[str | int, ...]

_SPACE = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_BARE = re.compile(r"[A-Za-z0-9_-]+")
_SCALAR = re.compile(r"[^,\]}\r\n#]*")
_STRING = re.compile(
    r'"""(?:[^\\]|\\.)*?"{3,5}(?!")'
    r"|'''.*?'{3,5}(?!')"
    r'|"(?:[^"\\]|\\.)*"'
    r"|'[^']*'",
    re.S,
)


def lines_of(text: str) -> Mapping[Path, int]:
    """Return path -> line, from 1, of every key, table and array item of a correct TOML text."""
    reader = _Reader(text)
    reader.document()
    return reader.lines


class _Reader:
    """A walk over the text; `at` is where it stands."""

    def __init__(self, text: str) -> None:
        self.text, self.at = text, 0
        self.lines: dict[Path, int] = {}
        self._counts: dict[Path, int] = {}
        self._seen, self._line = 0, 1

    def document(self) -> None:
        table: Path = ()
        while self._next():
            if self._takes("["):
                several = self._takes("[")
                names = self._names()
                table = self._table(names, several)
                self._takes("]")
                self._takes("]")
            else:
                self._pair(table)

    def _table(self, names: list[str], several: bool) -> Path:
        """Return the path that [a.b] or [[a.b]] opens; a name of an array means its last table."""
        path: Path = ()
        for k, name in enumerate(names):
            path = (*path, name)
            self._note(path)
            if several and k == len(names) - 1:
                self._counts[path] = self._counts.get(path, 0) + 1
            if path in self._counts:
                path = (*path, self._counts[path] - 1)
                self._note(path)
        return path

    def _pair(self, table: Path) -> None:
        path = table
        for name in self._names():
            path = (*path, name)
            self._note(path)
        self._takes("=")
        self._value(path)

    def _value(self, path: Path) -> None:
        self._next()
        if self._takes("["):
            count = 0
            while self._next() != "]":
                self._note((*path, count))
                self._value((*path, count))
                self._takes(",")
                count += 1
            self._takes("]")
        elif self._takes("{"):
            while self._next() != "}":
                self._pair(path)
                self._takes(",")
            self._takes("}")
        elif (string := _STRING.match(self.text, self.at)) is not None:
            self.at = string.end()
        else:
            self.at = self._end(_SCALAR)

    def _names(self) -> list[str]:
        """Return a."b.c".d as its three names."""
        names: list[str] = []
        while not names or self._takes("."):
            self._next()
            string = _STRING.match(self.text, self.at)
            end = string.end() if string else self._end(_BARE)
            raw = self.text[self.at : end]
            names.append(tomllib.loads(f"name = {raw}")["name"] if string else raw)
            self.at = end
        return names

    def _note(self, path: Path) -> None:
        self._line += self.text.count("\n", self._seen, self.at)
        self._seen = self.at
        self.lines.setdefault(path, self._line)

    def _next(self) -> str:
        """Skip blanks and comments and return the character that follows, "" at the end."""
        self.at = self._end(_SPACE)
        return self.text[self.at : self.at + 1]

    def _takes(self, sign: str) -> bool:
        follows = self._next() == sign
        self.at += follows
        return follows

    def _end(self, pattern: re.Pattern[str]) -> int:
        match = pattern.match(self.text, self.at)
        return match.end() if match else self.at
