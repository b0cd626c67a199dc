"""The catalogue against what is known of the networks themselves."""

from __future__ import annotations

import re

import pytest
from hub_server import XT_BESIDE, XT_WANTED

from vtg_cli.backbones.animatelcm import assemble as animatelcm
from vtg_cli.backbones.dynamicrafter.convert import CLIP_FILES
from vtg_cli.backbones.dynamicrafter.spec import VARIANTS
from vtg_cli.backbones.dynamicrafter.vocabulary import CLIP_REPOSITORY, VOCABULARY
from vtg_cli.errors import UsageError
from vtg_cli.weights import layout
from vtg_cli.weights.catalog import CATALOG, Place, place_of, suggestion
from vtg_cli.weights.entry import Entry
from vtg_cli.weights.measuring import FEATURES

UNET, VAE, CLIP = 1_524_623_082, 97_742_847, 632_076_800
"""Parameters of the published networks, counted on diffusers' and transformers' classes."""
MODELS = [entry for entry in CATALOG.values() if entry.kind == "model"]
SVD = [entry for entry in MODELS if entry.backbone == "svd" and not entry.variant]
DC = [entry for entry in MODELS if entry.backbone == "dynamicrafter"]


def test_the_names() -> None:
    assert list(CATALOG) == [
        "rife",
        "dynamicrafter-256",
        "dynamicrafter-512-fp16",
        "dynamicrafter-512",
        "dynamicrafter-1024-fp16",
        "dynamicrafter-1024",
        "dynamicrafter-512-interp-fp16",
        "dynamicrafter-512-interp",
        "animatelcm-svd-xt",
        "svd",
        "svd-xt",
        "svd-xt-1.1",
        "svd-reverse",
        "tooncrafter-fp16",
        "tooncrafter",
        "openclip-vit-h",
        "clip-vocabulary",
        *(entry.name for entry in FEATURES),
    ]
    assert all(name == entry.name for name, entry in CATALOG.items())
    assert [entry.name for entry in CATALOG.values() if entry.gated] == ["svd-xt-1.1"]
    assert {e.name: e.frames for e in SVD} == {"svd": 14, "svd-xt": 25, "svd-xt-1.1": 25}
    assert {e.frames for e in DC} == {16} and all(e.prompts for e in DC)


def test_sizes_are_parameters_times_their_bytes() -> None:
    """Two bytes in half precision; headers and configs stay below the last digit, 0.01 GB."""
    for entry in SVD:
        assert entry.gb == pytest.approx((UNET + VAE + CLIP) * 2 / 1e9, abs=0.006)
    for name in ("svd-reverse", "animatelcm-svd-xt"):
        assert CATALOG[name].gb == pytest.approx(UNET * 4 / 1e9, abs=0.006)


@pytest.mark.parametrize("entry", SVD, ids=lambda entry: entry.name)
def test_what_is_fetched_makes_a_model_folder_and_nothing_more(entry: Entry) -> None:
    files = entry.files
    assert layout.lacking(files) == ()
    assert sorted(files) == sorted(XT_WANTED)
    assert set(files) == set(layout.fetch_list({*XT_WANTED, *XT_BESIDE}))


@pytest.mark.parametrize("entry", DC, ids=lambda entry: entry.name)
def test_a_dynamicrafter_is_one_file_and_the_part_of_clip_it_lacks(entry: Entry) -> None:
    facts = VARIANTS[entry.variant or ""]
    assert (entry.height, entry.width, entry.frames) == (facts.height, facts.width, facts.frames)
    assert entry.name.removesuffix("-fp16") == f"dynamicrafter-{facts.variant.replace('_', '-')}"
    (file,), (need,) = entry.files, entry.needs
    if entry.name.endswith("-fp16"):
        assert file == f"dynamicrafter_{facts.variant}_fp16_pruned.safetensors"
        assert CATALOG[need].files[0] in CLIP_FILES
    else:
        assert file == "model.ckpt"
    assert CATALOG[need].repo_id == CLIP_REPOSITORY
    assert set(VOCABULARY) <= set(CATALOG[need].files)


def test_the_distilled_unet_is_one_file_beside_what_it_was_distilled_from() -> None:
    entry = CATALOG["animatelcm-svd-xt"]
    base = CATALOG[entry.base or ""]
    assert entry.kind == "model" and entry.variant == animatelcm.VARIANT
    assert entry.needs == (base.name,) == (animatelcm.BASE,)
    assert (entry.frames, entry.height, entry.width) == (base.frames, base.height, base.width)
    assert entry.whole and not base.whole and entry.reverse == base.reverse


def test_reverse_motion_is_known_for_svd_and_its_base_is_a_model() -> None:
    for entry in SVD:
        reverse = CATALOG[entry.reverse or ""]
        assert reverse.kind == "reverse"
        assert CATALOG[reverse.base or ""].kind == "model"
        assert CATALOG[reverse.base or ""].frames == reverse.frames == 14


def test_every_entry_states_its_terms() -> None:
    for entry in CATALOG.values():
        assert entry.licence and entry.commercial and entry.terms.endswith(".")
        hub = f"https://huggingface.co/{entry.repo_id}"
        link = entry.link.url if entry.link else hub
        assert entry.page == (entry.wheel.page if entry.wheel else link)
        stability = "Stability" in entry.licence
        assert stability == (entry.commercial == "below US$1M a year")
        assert entry.must_accept == (stability or entry.commercial == "unclear")


def test_what_is_measured_with_is_pinned_or_not_fetched() -> None:
    """A file that vtg fetches from an address or a wheel has a sha256, and so has torchscript."""
    for entry in FEATURES:
        assert entry.kind == "part" and not entry.backbone
        assert all(re.fullmatch("[0-9a-f]{64}", digest) for digest in entry.sha256.values())
        assert set(entry.sha256) <= set(entry.files)
        if entry.variant == "plain":
            assert len(entry.files) == 1 and (entry.link is None) != (entry.wheel is None)
            assert entry.fetched == bool(entry.sha256)
        if entry.link is not None:
            assert entry.link.url.startswith("https://")
            assert bool(entry.link.size) == bool(entry.link.sha256)
            assert entry.sha256.get(entry.files[0], "") == entry.link.sha256
        if entry.files[0].endswith(".pt") and entry.fetched:
            assert entry.files[0] in entry.sha256
    assert [e.name for e in FEATURES if not e.fetched] == ["inception-torchscript", "i3d", "c3d"]


def test_every_model_states_its_memory() -> None:
    for entry in MODELS:
        assert entry.tiers[0].gb == entry.min_vram_gb
        assert [tier.gb for tier in entry.tiers] == sorted(tier.gb for tier in entry.tiers)


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
    assert suggestion("zzz").startswith(
        "known: tiny and flow (embedded), tiny+rife, svd-xt-1.1, svd-xt,"
    )
