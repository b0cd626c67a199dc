"""The records of the kinds of models: complete, and the only place that tells one from another."""

from __future__ import annotations

from pathlib import Path

import pytest

from vtg_cli.backbones import base
from vtg_cli.backbones.base import function, model_of, models
from vtg_cli.errors import WeightsError
from vtg_cli.weights.catalog import CATALOG, EMBEDDED_FOLDER

ROOM = Path(base.__file__).parent


def test_every_folder_is_a_kind() -> None:
    folders = {spec.parent.name for spec in ROOM.glob("*/spec.py")}
    assert {"svd", "animatelcm", "dynamicrafter", "tiny"} <= folders == set(models())
    classes = [model.class_name for model in models().values()]
    assert len(set(classes)) == len(classes)


@pytest.mark.parametrize("name", models())
def test_what_a_record_names_is_there(name: str) -> None:
    model = models()[name]
    for place in filter(None, (model.load, model.words, model.convert)):
        assert callable(function(place)), place


def test_what_the_catalogue_runs_has_a_record() -> None:
    rows = [row for row in CATALOG.values() if row.kind == "model"]
    assert {row.backbone for row in rows} <= set(models())
    assert all(models()[row.backbone].convert for row in rows if row.variant)


def test_a_folder_finds_its_record(tmp_path: Path) -> None:
    assert model_of(EMBEDDED_FOLDER) is models()["tiny"]
    (tmp_path / "model_index.json").write_text('{"_class_name": "Unheard"}')
    with pytest.raises(WeightsError, match="models of class Unheard are not supported") as failed:
        model_of(tmp_path)
    assert "TinyVideoModel" in str(failed.value.hint)
