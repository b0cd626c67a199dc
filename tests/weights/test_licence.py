"""Acceptance of licences: kept, and asked for anew where the terms changed."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hub_server import Hub

from vtg_cli.errors import WeightsError
from vtg_cli.weights import cache, licence
from vtg_cli.weights.catalog import CATALOG

SVD = CATALOG["svd"]


def test_accepted_once_for_all_of_the_same_terms(hub: Hub) -> None:
    assert licence.accepted(SVD) is None
    with pytest.raises(WeightsError) as caught:
        licence.require(SVD)
    assert caught.value.exit_code == 5
    assert caught.value.message == (
        "the terms of svd (Stability AI Community) have not been accepted yet"
    )
    assert caught.value.hint == (
        "read them with vtg models licence svd, then vtg models pull svd --accept-licence"
    )
    licence.accept(SVD, "2026-01-02")
    licence.require(SVD)
    assert licence.accepted(CATALOG["svd-xt"]) == "2026-01-02"
    assert licence.accepted(replace(SVD, terms="Other terms.")) is None
    licence.require(CATALOG["dinov2-base"])  # free for any use: nothing to accept


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", '{"format": "other", "accepted": {}}', '{"format": 1}']
)
def test_a_damaged_file_means_nothing_was_accepted(text: str, hub: Hub) -> None:
    licence.accept(SVD, "2026-01-02")
    path = cache.own_folder() / "licences.json"
    path.write_text(text)
    assert licence.accepted(SVD) is None
    licence.accept(SVD, "2026-01-03")
    assert licence.accepted(SVD) == "2026-01-03"
    assert json.loads(path.read_text())["accepted"]["Stability AI Community"]["for"] == "svd"
