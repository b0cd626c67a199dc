"""The one reader of foreign JSON and TOML."""

from __future__ import annotations

from pathlib import Path

import pytest

from vtg_cli.errors import MediaError, WeightsError
from vtg_cli.ground import documents

JSON = {
    "deep": (b'{"a":' + b"[" * 100_000, "nested deeper than 64 levels"),
    "closed": (b'{"a":' + b"[" * 70 + b"]" * 70 + b"}", "nested deeper than 64 levels"),
    "digits": (b'{"a": ' + b"9" * 5000 + b"}", "a number of 5000 digits"),
    "nan": (b'{"a": NaN}', "NaN is not a JSON number"),
    "inf": (b'{"a": 1e999}', "1e999 is not a JSON number"),
    "list": (b"[]", "it is not a JSON object"),
    "null": (b"null", "it is not a JSON object"),
    "text": (b"\xff\xfe\xfd", ""),
    "empty": (b"", "Expecting value"),
}


@pytest.mark.parametrize("name", JSON)
def test_what_is_no_object_is_a_value_error(name: str) -> None:
    content, message = JSON[name]
    with pytest.raises(ValueError) as caught:
        documents.json_object(content)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_every_unicode_form_is_read(encoding: str) -> None:
    assert documents.json_object('{"é": [1, 2.5]}'.encode(encoding)) == {"é": [1, 2.5]}
    assert documents.json_object("\ufeff{}") == {}


def test_sixty_four_levels_are_read() -> None:
    content = b'{"a":' + b"[" * 63 + b"]" * 63 + b"}"
    assert list(documents.json_object(content)) == ["a"]


def test_names_given_twice() -> None:
    assert documents.json_object('{"a": 1, "a": 2}') == {"a": 2}
    with pytest.raises(ValueError, match=r"^a appears in it twice$"):
        documents.json_object('{"a": 1, "a": 2}', unique=True)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a = 1\na = 2\n", r"line 2"),
        ("a = " + "[" * 100_000, r"^nested deeper than 64 levels$"),
        ("a = " + "[" * 70 + "]" * 70, r"^nested deeper than 64 levels$"),
        ("a = " + "9" * 5000, r"^a number is too long$"),
    ],
)
def test_toml(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        documents.toml_tables(text)
    assert documents.toml_tables("\ufeffa = 1") == {"a": 1}


def test_a_file_is_read_to_a_bound(tmp_path: Path) -> None:
    file = tmp_path / "x.json"
    file.write_text('{"a": 1}')
    assert documents.json_file(file, 8) == {"a": 1}
    file.write_text('{"a": 1} ')
    with pytest.raises(ValueError, match=r"^longer than 0 MB$"):
        documents.json_file(file, 8)
    with pytest.raises(ValueError, match=r"^longer than 16 MB$"):
        documents.json_file(Path("/dev/zero"))


def test_reading_says_it_as_the_place_needs_it(tmp_path: Path) -> None:
    with pytest.raises(WeightsError) as caught, documents.reading("c.json", WeightsError, "again"):
        {}["facts"]
    assert (caught.value.message, caught.value.hint) == (
        "c.json cannot be read: it lacks facts",
        "again",
    )
    with pytest.raises(MediaError) as missing, documents.reading("d.json", MediaError):
        documents.json_file(tmp_path / "d.json")
    assert missing.value.message == "d.json cannot be read: No such file or directory"
    with pytest.raises(WeightsError) as odd, documents.reading("e.json", WeightsError):
        len(3)  # type: ignore[arg-type]
    assert odd.value.message.endswith("a value in it is of another type than belongs there")
