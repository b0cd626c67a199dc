"""The law of imports (docs/architecture.md), read from the syntax trees; lazy imports count too.

What starting costs, in fresh processes, is the business of test_imports.py.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "vtg_cli"

LEVELS = {
    # 0: plain facts, and what every tensor shares
    "vtg_cli": 0,  # only __version__ may be taken from it inside the package
    "vtg_cli.amounts": 0,
    "vtg_cli.documents": 0,
    "vtg_cli.errors": 0,
    "vtg_cli.literals": 0,
    "vtg_cli.printable": 0,
    "vtg_cli.records": 0,
    "vtg_cli.rungs": 0,
    "vtg_cli.shorthand": 0,
    "vtg_cli.place": 0,
    "vtg_cli.temporary": 0,
    "vtg_cli.spelling": 0,
    "vtg_cli.timing": 0,
    "vtg_cli.tensor": 0,
    "vtg_cli.device": 0,
    "vtg_cli.hardware": 0,
    "vtg_cli.cost": 0,
    "vtg_cli.sampling.settings": 0,
    # 1: what is asked for, and files
    "vtg_cli.job": 1,
    "vtg_cli.validation": 1,
    "vtg_cli.hooks": 1,
    "vtg_cli.conditioning": 1,
    "vtg_cli.media": 1,
    "vtg_cli.weights": 1,
    # 2 to 6: samplers; networks; papers and what a plan asks; plan and tasks; the command line
    "vtg_cli.sampling": 2,
    "vtg_cli.backbones": 3,
    "vtg_cli.methods": 4,
    "vtg_cli.captions": 4,
    "vtg_cli.reuse": 4,
    "vtg_cli.compilation": 4,
    "vtg_cli.choice": 4,
    "vtg_cli.stills": 4,
    "vtg_cli.presets": 4,
    "vtg_cli.api": 5,
    "vtg_cli.metrics": 5,
    "vtg_cli.batch": 5,
    "vtg_cli.plan": 5,
    "vtg_cli.refusals": 5,
    "vtg_cli.memory": 5,
    "vtg_cli.preflight": 5,
    "vtg_cli.health": 5,
    "vtg_cli.report_paths": 5,
    "vtg_cli.retakes": 5,
    "vtg_cli.sidecar": 5,
    "vtg_cli.renderers": 5,
    "vtg_cli.tasks": 5,
    "vtg_cli.timeline": 5,
    "vtg_cli.clip_notes": 5,
    "vtg_cli.clip_reports": 5,
    "vtg_cli.clip_tracks": 5,
    "vtg_cli.retiming": 5,
    "vtg_cli.sides": 5,
    "vtg_cli.bridging": 5,
    "vtg_cli.streaming": 5,
    "vtg_cli.training": 5,
    "vtg_cli.fitting": 5,
    "vtg_cli.cli": 6,
    "vtg_cli.__main__": 7,
}
"""A module's level is that of the longest name here it begins with. A new module needs a line."""

ONLY_IMPORTER = {
    "diffusers": {"vtg_cli.backbones.svd", "vtg_cli.backbones.dynamicrafter.towers"},
    "transformers": {"vtg_cli.backbones.svd", "vtg_cli.backbones.dynamicrafter.towers"},
    "huggingface_hub": {f"vtg_cli.weights.{name}" for name in ("hub", "cache", "faults")},
    "ray": {"vtg_cli.batch.ray"},
    "fsspec": {"vtg_cli.batch.remote"},
    "av": {f"vtg_cli.media.{name}" for name in ("libav", "probe", "survey", "filtering", "clip")},
}


@dataclass(frozen=True)
class Import:
    importer: str
    line: int
    target: str  # dotted module
    names: tuple[str, ...]  # what is taken from it; empty for `import target`

    def __str__(self) -> str:
        return f"{self.importer}:{self.line} imports {self.target} {' '.join(self.names)}"


def modules() -> dict[str, Path]:
    """Dotted name -> file, for every module of the package."""
    found = {}
    for file in sorted(PACKAGE.rglob("*.py")):
        parts = file.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = file
    return found


MODULES = modules()


def imports_of(module: str, tree: ast.AST) -> Iterator[Import]:
    here = module if MODULES[module].stem == "__init__" else module.rpartition(".")[0]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(module, node.lineno, alias.name, ())
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:  # relative
                package = here.rsplit(".", node.level - 1)[0] if node.level > 1 else here
                base = f"{package}.{base}".rstrip(".")
            for alias in node.names:
                whole = f"{base}.{alias.name}"
                if whole in MODULES:
                    yield Import(module, node.lineno, whole, ())
                else:
                    yield Import(module, node.lineno, base, (alias.name,))


TREES = {name: ast.parse(file.read_text(encoding="utf-8")) for name, file in MODULES.items()}
IMPORTS = [found for name, tree in TREES.items() for found in imports_of(name, tree)]
OURS = [i for i in IMPORTS if i.target.split(".")[0] == "vtg_cli"]


def level(module: str) -> int:
    name = module
    while name not in LEVELS or (name == "vtg_cli" and module != "vtg_cli"):
        name, _, _ = name.rpartition(".")
        assert name, f"{module} has no level: give it a line in LEVELS"
    return LEVELS[name]


def inside(module: str, package: str) -> bool:
    return module == package or module.startswith(f"{package}.")


def test_the_walk_sees_the_package() -> None:
    assert {"vtg_cli.errors", "vtg_cli.sampling.loop", "vtg_cli.backbones.svd"} <= set(MODULES)
    assert any(i.target == "vtg_cli.sampling.level" and "Level" in i.names for i in OURS)


def test_every_module_has_a_level() -> None:
    assert {level(module) for module in MODULES} <= set(range(8))


def test_imports_go_down() -> None:
    """A module imports from its own level or from below; the root only gives its version."""
    public = "vtg_cli"
    up = [
        i
        for i in OURS
        if i.importer != public
        and (
            level(i.target) > level(i.importer)
            or (i.target == public and i.names != ("__version__",))
        )
    ]
    assert not up, "\n".join(map(str, up))


def test_peers_stay_apart() -> None:
    """They share a level and do not know each other; a job holds the plain choices of encoding."""
    peers = ["media", "weights", "conditioning", "hooks", "job"]
    peers = [f"vtg_cli.{name}" for name in peers]
    crossed = [
        i
        for i in OURS
        for here in peers
        for there in peers
        if here != there and inside(i.importer, here) and inside(i.target, there)
    ]
    assert {(i.importer, i.target) for i in crossed} == {("vtg_cli.job", "vtg_cli.media.encoding")}


def test_backbones_know_levels_and_paths_of_sampling() -> None:
    """A backbone says which levels it walks; how they are walked is no business of its own.

    `Delta` is the one shared record: what the reverse half adds to an attention layer.
    """
    allowed = {f"vtg_cli.sampling.{name}" for name in ("level", "path", "settings")}
    other = [
        i
        for i in OURS
        if inside(i.importer, "vtg_cli.backbones")
        and inside(i.target, "vtg_cli.sampling")
        and i.target not in allowed
        and i.names != ("Delta",)
    ]
    assert not other, "\n".join(map(str, other))


def test_methods_know_backbones_by_their_protocol() -> None:
    concrete = [
        i
        for i in OURS
        if i.importer == "vtg_cli.methods"
        and inside(i.target, "vtg_cli.backbones")
        and i.target != "vtg_cli.backbones.base"
    ]
    assert not concrete, "\n".join(map(str, concrete))


@pytest.mark.parametrize("library", ONLY_IMPORTER)
def test_each_big_library_has_one_importer(library: str) -> None:
    importers = {i.importer for i in IMPORTS if i.target.split(".")[0] == library}
    assert importers <= ONLY_IMPORTER[library], importers - ONLY_IMPORTER[library]


def bare_names(node: ast.AST) -> set[str]:
    """Names used as values themselves: `path` in pairwise(path), not in path.iterdir()."""
    owners = {id(n.value) for n in ast.walk(node) if isinstance(n, ast.Attribute)}
    return {n.id for n in ast.walk(node) if isinstance(n, ast.Name) and id(n) not in owners}


def test_one_denoising_loop() -> None:
    """Only sampling/loop.py walks a path; sampling/path.py builds paths, without a predictor."""
    walks = {"path", "timesteps", "sigmas"}
    steps = {"predict", "solver", "euler", "heun", "dpmpp_2m", "renoise"}
    walkers, steppers = [], []
    for name, tree in TREES.items():
        loops = [node for node in ast.walk(tree) if isinstance(node, ast.For | ast.While)]
        for loop in loops:
            if isinstance(loop, ast.For):
                walkers += [name] if bare_names(loop.iter) & walks else []
            calls = {ast.unparse(n.func) for n in ast.walk(loop) if isinstance(n, ast.Call)}
            steppers += [name] if {c.split(".")[-1] for c in calls} & steps else []
    assert sorted(walkers) == ["vtg_cli.sampling.loop", "vtg_cli.sampling.path"]
    assert steppers == ["vtg_cli.sampling.loop"]
    used = {n.id for n in ast.walk(TREES["vtg_cli.sampling.path"]) if isinstance(n, ast.Name)}
    assert not used & {"predict", "Predictor", "solver", "Solver", "Tensor"}
    schedulers = [i for i in IMPORTS if any("Scheduler" in n for n in (*i.names, i.target))]
    assert not schedulers, "\n".join(map(str, schedulers))


def test_no_global_randomness_and_no_prints() -> None:
    """Seeds are arguments, results are returned; only the command line speaks."""
    calls = [
        (name, ast.unparse(node.func), node.lineno)
        for name, tree in TREES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
    ]
    seeding = {"torch.manual_seed", "np.random.seed", "random.seed", "torch.cuda.manual_seed_all"}
    assert [c for c in calls if c[1] in seeding | {"eval", "exec"}] == []
    assert [c for c in calls if c[1] == "print" and not inside(c[0], "vtg_cli.cli")] == []
