"""The catalogue against what is known of the networks themselves."""

from __future__ import annotations

import pytest
from hub_server import XT_BESIDE, XT_WANTED

from vtg_cli.errors import UsageError
from vtg_cli.weights import layout
from vtg_cli.weights.catalog import CATALOG, Entry, Place, place_of, suggestion

UNET, VAE, CLIP = 1_524_623_082, 97_742_847, 632_076_800
"""Parameters of the published networks, counted on diffusers' and transformers' classes."""
MODELS = [entry for entry in CATALOG.values() if entry.kind == "model"]


def test_the_names() -> None:
    assert list(CATALOG) == ["svd", "svd-xt", "svd-xt-1.1", "svd-reverse"]
    assert all(name == entry.name for name, entry in CATALOG.items())
    assert [entry.name for entry in CATALOG.values() if entry.gated] == ["svd-xt-1.1"]
    assert {e.name: e.frames for e in MODELS} == {"svd": 14, "svd-xt": 25, "svd-xt-1.1": 25}


def test_sizes_are_parameters_times_their_bytes() -> None:
    """Two bytes in half precision; headers and configs stay below the last digit, 0.01 GB."""
    for entry in MODELS:
        assert entry.gb == pytest.approx((UNET + VAE + CLIP) * 2 / 1e9, abs=0.006)
    assert CATALOG["svd-reverse"].gb == pytest.approx(UNET * 4 / 1e9, abs=0.006)


@pytest.mark.parametrize("entry", MODELS, ids=lambda entry: entry.name)
def test_what_is_fetched_makes_a_model_folder_and_nothing_more(entry: Entry) -> None:
    files = entry.files
    assert layout.lacking(files) == ()
    assert sorted(files) == sorted(XT_WANTED)
    assert set(files) == set(layout.fetch_list({*XT_WANTED, *XT_BESIDE}))


def test_reverse_motion_is_known_for_every_model_and_its_base_is_a_model() -> None:
    for entry in MODELS:
        reverse = CATALOG[entry.reverse or ""]
        assert reverse.kind == "reverse"
        assert CATALOG[reverse.base or ""].kind == "model"
        assert CATALOG[reverse.base or ""].frames == reverse.frames == 14


def test_every_entry_states_its_terms() -> None:
    for entry in CATALOG.values():
        assert entry.licence and entry.commercial and entry.terms.endswith(".")
        assert entry.page == f"https://huggingface.co/{entry.repo_id}"


def test_places() -> None:
    entry = CATALOG["svd-reverse"]
    assert place_of("svd-reverse") == Place(entry.repo_id, entry.folder, entry)
    assert place_of("org/name") == Place("org/name")
    assert place_of("org/na-me.2/a/b.safetensors") == Place("org/na-me.2", "a/b.safetensors")


@pytest.mark.parametrize("name", ["", "svdxt", "org/", "/name", "org/../x", "a b/c", "org/name/"])
def test_what_is_neither_name_nor_hub_id(name: str) -> None:
    with pytest.raises(UsageError):
        place_of(name)


@pytest.mark.parametrize(
    ("typo", "meant"),
    [("svdxt", "svd-xt"), ("SVD-XT", "svd-xt"), ("svd-xt-11", "svd-xt-1.1"), ("folw", "flow")],
)
def test_a_typo_gets_the_closest_name(typo: str, meant: str) -> None:
    assert suggestion(typo).startswith(f"did you mean {meant}? ")


def test_what_resembles_nothing_gets_the_list_alone() -> None:
    assert suggestion("zzz").startswith("known: tiny and flow (embedded), svd, svd-xt, svd-xt-1.1;")
