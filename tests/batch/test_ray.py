"""The ray engine: its own logic with a stand-in for ray, a small Ray for real, and (slow) a cluster
that loses a node in the middle.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from reading import read_video

from vtg_cli.batch.dispatch import Lost, Ready, dispatch
from vtg_cli.batch.item import Item
from vtg_cli.batch.ray import QUIET, RayCrew
from vtg_cli.batch.worker import Settings
from vtg_cli.errors import UsageError, VtgError

MakeItem = Callable[..., Item]
ROOT = Path(__file__).resolve().parents[2]
needs_ray = pytest.mark.skipif(find_spec("ray") is None, reason="ray, an extra, is not installed")


class RayError(Exception):
    pass


class Reference:
    """Of a call not made yet."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.function, self.arguments = function, arguments


class StandIn:
    """As much of ray as the engine uses; actors live here, and die when `deaths` says so."""

    exceptions = SimpleNamespace(RayError=RayError)

    def __init__(self, gpus: int = 0, nodes: int = 2, deaths: tuple[int, ...] = ()) -> None:
        self.gpus, self.alive, self.deaths = gpus, nodes, set(deaths)
        self.calls = 0
        self.inits: list[dict[str, Any]] = []
        self.options: list[dict[str, Any]] = []
        self.killed: list[Any] = []

    def init(self, **arguments: Any) -> None:
        self.inits.append(arguments)
        print("ray has something to say")

    def shutdown(self) -> None:
        pass

    def kill(self, actor: Any) -> None:
        self.killed.append(actor)

    def nodes(self) -> list[dict[str, bool]]:
        return [{"Alive": k < self.alive} for k in range(3)]

    def cluster_resources(self) -> dict[str, float]:
        return {"GPU": float(self.gpus)} if self.gpus else {}

    def remote(self, made: type) -> Any:
        def options(**given: Any) -> Any:
            self.options.append(given)
            return SimpleNamespace(remote=lambda *arguments: self._actor(made(*arguments)))

        return SimpleNamespace(options=options)

    def _actor(self, actor: Any) -> Any:
        def method(function: Any) -> Any:
            return SimpleNamespace(remote=partial(Reference, function))

        return SimpleNamespace(ready=method(actor.ready), make=method(actor.make))

    def wait(self, references: list[Any], **_: Any) -> tuple[list[Any], list[Any]]:
        return references[:1], references[1:]

    def get(self, reference: Any) -> Any:
        if reference.arguments:
            self.calls += 1
            if self.calls in self.deaths:
                raise RayError("the node died")
        return reference.function(*reference.arguments)


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RAY_ADDRESS", *QUIET):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def crew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., RayCrew]:
    def made(ray: StandIn, **more: Any) -> RayCrew:
        monkeypatch.setitem(sys.modules, "ray", ray)  # type: ignore[arg-type]
        told = {"address": None, "gpus": False, "workers": None, **more}
        # what the engine sets by default is taken back with the test
        for name in QUIET:
            monkeypatch.setenv(name, "")
            monkeypatch.delenv(name)
        return RayCrew(Settings(str(tmp_path / "out")), **told)

    return made


def test_a_lost_actor_is_replaced_and_nothing_made_twice(
    tmp_path: Path, item: MakeItem, crew: Callable[..., RayCrew], capfd: pytest.CaptureFixture[str]
) -> None:
    ray = StandIn(deaths=(2,))
    with crew(ray) as made:
        assert made.places == 2
        outcomes = list(dispatch(made, [item(n) for n in "xyz"], places=2, retries=1))
    assert sorted((o.name, o.state) for o in outcomes) == [(n, "made") for n in "xyz"]
    assert len(ray.options) == 3  # two actors and one in place of the lost one
    assert ray.options[0] == {
        "num_cpus": 1,
        "num_gpus": 0,
        "max_restarts": 0,
        "scheduling_strategy": "SPREAD",
    }
    lines = (tmp_path / "out" / "vtg-batch.jsonl").read_text().splitlines()
    done = [r["output"] for r in map(json.loads, lines) if r["event"] == "done"]
    assert sorted(done) == ["x.mp4", "y.mp4", "z.mp4"]
    assert capfd.readouterr().out == ""  # stdout is for results


def test_one_actor_for_every_gpu(crew: Callable[..., RayCrew]) -> None:
    ray = StandIn(gpus=4)
    with crew(ray, gpus=True) as made:
        assert made.places == 4
        made.start(0)
        assert made.listen() == (0, Ready())
    assert ray.options[0]["num_gpus"] == 1
    with crew(StandIn(gpus=4), gpus=True, workers=2) as made:
        assert made.places == 2
    with crew(StandIn(gpus=4)) as made:  # a draft needs none
        assert made.places == 2


def test_an_actor_that_does_not_come_up(crew: Callable[..., RayCrew]) -> None:
    class Broken(StandIn):
        def get(self, reference: Any) -> Any:
            raise RayError("no")

    with crew(Broken()) as made:
        made.start(0)
        assert made.listen() == (0, Lost("was lost (RayError)"))


def test_a_cluster_without_room(
    crew: Callable[..., RayCrew], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vtg_cli.batch.ray.PATIENCE", -1.0)
    ray = StandIn()
    monkeypatch.setattr(ray, "wait", lambda references, **_: ([], references))
    with crew(ray) as made:
        made.start(0)
        with pytest.raises(VtgError, match="no node of the ray cluster had room for a worker"):
            made.listen()


def test_nothing_is_reported_home_unless_asked(
    crew: Callable[..., RayCrew], monkeypatch: pytest.MonkeyPatch
) -> None:
    with crew(StandIn()):
        assert os.environ["RAY_USAGE_STATS_ENABLED"] == "0"
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "1")
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.1:6379")
    ray = StandIn()
    made = RayCrew(Settings("out"), address=None, gpus=False, workers=None)
    assert os.environ["RAY_USAGE_STATS_ENABLED"] == "1"
    monkeypatch.setitem(made.__dict__, "_ray", ray)
    with made:
        assert ray.inits[0]["address"] == "10.0.0.1:6379"


def test_a_cluster_that_cannot_be_reached(crew: Callable[..., RayCrew]) -> None:
    class Away(StandIn):
        def init(self, **arguments: Any) -> None:
            raise ConnectionError("nobody there\nat all")

    with pytest.raises(VtgError) as error, crew(Away(), address="10.0.0.1:1"):
        pass
    assert error.value.message == "cannot reach ray at 10.0.0.1:1: nobody there"


def test_without_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UsageError) as error:
        RayCrew(Settings("out"), address=None, gpus=False, workers=None)
    assert error.value.message == "--engine ray needs ray, which is not installed"
    assert error.value.hint == "pip install 'vtg-cli[ray]', here and on every node"


@pytest.fixture
def pairs(tmp_path: Path, paint: Any) -> Iterator[Path]:
    for name in "xy":
        paint(f"in/{name}_a.png"), paint(f"in/{name}_b.png", 3)
    yield tmp_path / "in"


@needs_ray
def test_a_small_ray_for_real(tmp_path: Path, pairs: Path) -> None:
    out = tmp_path / "out"
    command = [sys.executable, "-m", "vtg_cli", "batch", str(pairs), "-o", str(out)]
    command += ["--engine", "ray", "--workers", "1", "--model", "flow", "--frames", "4", "--json"]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("RAY_")}
    environment |= {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300)
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert (summary["made"], summary["failed"]) == (2, 0)
    assert [len(read_video(str(out / f"{name}.mp4"))[0]) for name in "xy"] == [4, 4]


@needs_ray
@pytest.mark.slow
def test_a_node_is_killed_in_the_middle() -> None:
    """benchmarks/bench_ray.py: a head and two nodes, one of them killed at work."""
    command = [sys.executable, "benchmarks/bench_ray.py", "--items", "24"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment)
    assert done.returncode == 0, done.stderr
    card = json.loads(done.stdout.splitlines()[-1])
    assert (card["exit_code"], card["failed"]) == (0, 0)
    assert card["made"] + card["skipped"] == 24
    assert (card["wrong_clips"], card["made_twice"], card["left_over"]) == ([], [], [])
    assert 6 <= card["done_when_killed"] < 24
    assert len(card["begun_again"]) == 1  # the item that was in flight
