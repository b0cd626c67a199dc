"""Text that others wrote, made fit for a terminal: file names, columns, model names, answers."""

from __future__ import annotations

OBEYED = {"Cc", "Cf", "Cs", "Zl", "Zp"}
"""Unicode categories that a terminal obeys or cannot show: controls, marks of direction, halves of
surrogate pairs, separators of lines."""
JOINERS = "\u200c\u200d"
"""Exceptions that ordinary names hold: Persian words, composed emoji."""


def obeyed(character: str) -> bool:
    """Return whether a terminal would act on the character, or cannot show it."""
    from unicodedata import category  # which no ordinary text needs

    return category(character) in OBEYED and character not in JOINERS


def printable(text: str) -> str:
    r"""Return the text as one line that a terminal shows and does not obey.

    Characters it would obey become escapes: `\n`, `\x1b`, `\u202e`; a byte of a file name that is
    not UTF-8 becomes `\xff`. A backslash stays one.
    """
    return text if text.isprintable() else "".join(map(_shown, text))


def _shown(character: str) -> str:
    if not obeyed(character):
        return character
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # how Python keeps a byte that is not UTF-8
        return f"\\x{code - 0xDC00:02x}"
    if 0x80 <= code <= 0xFF:  # which Python writes as if it were that byte
        return f"\\u{code:04x}"
    return character.encode("unicode_escape").decode()
