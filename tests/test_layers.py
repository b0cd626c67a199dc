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

ROOMS: tuple[tuple[str, ...], ...] = (
    ("errors",),
    ("ground",),
    ("machine",),
    ("media",),
    ("weights",),
    ("job",),
    ("conditioning",),
    ("sampling",),
    ("flow",),
    ("backbones",),
    ("lowmem",),
    ("methods",),
    ("training",),
    ("evaluation", "quality"),
    ("plan",),
    ("render",),
    ("clips",),
    ("batch",),
    ("api",),
    ("cli", "web", "__main__"),
)
"""The rooms from the ground up: a module imports from its own room or from one below."""
LEVELS = {f"vtg_cli.{room}": level for level, rooms in enumerate(ROOMS) for room in rooms}
LONGEST = 320
"""Lines of a module; a network may be longer."""
NETWORK = {"vtg_cli.backbones.dynamicrafter.unet"}
"""The one that is."""

ONLY_IMPORTER = {
    "diffusers": {"vtg_cli.backbones.svd.model", "vtg_cli.backbones.dynamicrafter.towers"},
    "transformers": {
        *("vtg_cli.backbones.svd.model", "vtg_cli.backbones.dynamicrafter.towers"),
        *(f"vtg_cli.evaluation.networks.{name}" for name in ("load", "vits")),
        *("vtg_cli.training.encoder", "vtg_cli.training.captioner"),
    },
    "huggingface_hub": {f"vtg_cli.weights.{name}" for name in ("hub", "offer", "cache", "faults")},
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
    room = ".".join(module.split(".")[:2])
    assert room in LEVELS, f"{module} stands in no room: see ROOMS"
    return LEVELS[room]


def inside(module: str, package: str) -> bool:
    return module == package or module.startswith(f"{package}.")


def test_the_walk_sees_the_package() -> None:
    assert {"vtg_cli.errors", "vtg_cli.sampling.loop", "vtg_cli.backbones.svd.model"} <= set(
        MODULES
    )
    assert any(i.target == "vtg_cli.sampling.level" and "Level" in i.names for i in OURS)


def test_the_root_has_four_modules() -> None:
    assert {name for name in MODULES if name.count(".") == 1 and not is_folder(name)} == {
        *("vtg_cli.__main__", "vtg_cli.api", "vtg_cli.errors")
    }


def is_folder(module: str) -> bool:
    return MODULES[module].stem == "__init__"


def test_imports_go_down() -> None:
    """A module imports from its own room or from below; the root only gives its version."""
    up = [
        i
        for i in OURS
        if i.importer != "vtg_cli"
        and (
            i.names != ("__version__",)
            if i.target == "vtg_cli"
            else level(i.target) > level(i.importer)
        )
    ]
    assert not up, "\n".join(map(str, up))


def test_no_circles() -> None:
    """No two modules import each other, by whatever way, in no room; lazily neither."""
    edges = {name: {i.target for i in OURS if i.importer == name} - {name} for name in MODULES}
    edges["vtg_cli"] = set()  # the public names, lazily
    while leaves := [name for name, targets in edges.items() if not targets & set(edges)]:
        for name in leaves:
            del edges[name]
    assert not edges, f"in or above a circle: {sorted(edges)}"


def test_modules_are_short() -> None:
    lines = {name: file.read_text(encoding="utf-8").count("\n") for name, file in MODULES.items()}
    long = {name for name, count in lines.items() if count > LONGEST}
    assert long == NETWORK


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
        if inside(i.importer, "vtg_cli.methods")
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


IMPERATIVES = """
add append apply ask assemble attend average batch begin bind blend bring build call carry check
choose clip close collect combine compare compile complete compute convert convolve copy count
crop cut decide declare decode delete denoise describe draw drop embed encode end enlarge enter
estimate evaluate exit expand explain export extract fail fetch fill filter find fit flush
follow format fuse generate give group guess handle hash have hold ignore import initialise
insert interpolate invert join judge keep kill lay lead leave let limit link list load lock log
look make map mark match measure merge mix move name normalise note open pack pad parse pass
pick place plan play predict prefix prepare print pull put raise re-hash read record redirect
reduce refuse register release remove rename render repeat replace report rescale reset reshape
resize resolve restore resume return reverse rotate round route run sample save say scale search
seek select send set shift show shrink shuffle skip sleep slow smooth solve sort split spread
start stop store stretch strip subtract suggest sum swap take tell test train transform trim try
turn undo unpack update use verify wait walk warn word wrap write yield
"""
"""First words of functions' docstrings; a verb in the imperative that is missing may be added."""


def functions(node: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Yield every function and method below a node that is not a property, which is a value."""
    for each in ast.walk(node):
        if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef):
            marks = {ast.unparse(mark).rpartition(".")[2] for mark in each.decorator_list}
            if not marks & {"property", "cached_property"}:
                yield each


def test_docstrings_begin_with_a_verb() -> None:
    """A function's docstring says what it does, in the imperative: "Return ...", not "The ..."."""
    imperatives, others = {*IMPERATIVES.split()}, []
    for module, file in modules().items():
        for function in functions(ast.parse(file.read_text(encoding="utf-8"))):
            text = ast.get_docstring(function) or "Return"
            if text.split()[0].strip(".,:;").lower() not in imperatives:
                others.append(f"{module}.{function.name}: {text.splitlines()[0]}")
    assert not others
