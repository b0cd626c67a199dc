"""vtg batch --engine ray on a head and two nodes, one of which is killed in the middle.

    python benchmarks/bench_ray.py --items 40

The nodes are processes of this machine: a head without CPUs and two with one each. When a quarter
of the clips is there, a node whose worker is at an item gets SIGKILL: its raylet, which is what
makes it a node, and the worker, which would else go on for seconds before it notices. At the end
every clip must be there, with the frames of an undisturbed local run, and none made twice.
The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from pairs import draw, left_over, made_twice, records, vtg_batch, wrong

os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}
STORE = 80 * 1024 * 1024  # bytes of each node's object store


def parent_of(pid: int) -> int:
    """Of a process of this machine. Linux."""
    status = Path(f"/proc/{pid}/stat").read_text()
    return int(status.rpartition(")")[2].split()[1])


def at_work(out: Path) -> set[int]:
    """Processes that began an item and have not done it."""
    last: dict[int, str] = {}
    for record in records(out):
        last[record["pid"]] = record["event"]
    return {pid for pid, event in last.items() if event == "start"}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--items", type=int, default=40)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="vtg-ray-") as folder:
        desk = Path(folder)
        draw(desk / "pairs", args.items)
        process = vtg_batch(desk / "pairs", desk / "truth")
        assert json.loads(process.communicate()[0])["made"] == args.items
        card = cluster_run(desk, args.items)
        print(json.dumps(card))


def cluster_run(desk: Path, items: int) -> dict[str, Any]:
    """The batch on the cluster, its node killed; what came of it."""
    from ray.cluster_utils import Cluster

    cluster = Cluster(
        initialize_head=True,
        head_node_args={
            "num_cpus": 0,
            "object_store_memory": STORE,
            "include_dashboard": False,
            "temp_dir": str(desk / "ray"),
        },
    )
    try:
        nodes = [
            cluster.add_node(num_cpus=1, object_store_memory=STORE, include_dashboard=False)
            for _ in range(2)
        ]
        cluster.wait_for_nodes()
        begin = time.monotonic()

        def log(text: str) -> None:
            print(f"{time.monotonic() - begin:6.1f} s  {text}", flush=True)

        raylets = {
            node.all_processes["raylet"][0].process.pid: f"node {number}"
            for number, node in enumerate(nodes, start=1)
        }
        log(f"head without CPUs, {', '.join(f'{n}: raylet {pid}' for pid, n in raylets.items())}")
        out = desk / "clips"
        process = vtg_batch(
            *(desk / "pairs", out, "--engine", "ray", "--ray-address", cluster.address),
            *("--workers", "2"),
        )
        node_of: dict[int, str] = {}
        victim = None
        while victim is None:
            assert process.poll() is None, "the batch ended before a node was killed"
            time.sleep(0.02)
            for pid in {record["pid"] for record in records(out)} - node_of.keys():
                node_of[pid] = raylets[parent_of(pid)]
            done = sum(record["event"] == "done" for record in records(out))
            if done >= items // 4 and len(set(node_of.values())) == 2 and at_work(out):
                victim = parent_of(min(at_work(out)))
        killed = raylets[victim]
        mine = [pid for pid in node_of if parent_of(pid) == victim]
        for pid in (victim, *mine):
            os.kill(pid, signal.SIGKILL)
        log(
            f"{done} of {items} done; {killed} killed at work, SIGKILL to raylet {victim} and "
            f"worker {mine[0]}"
        )
        told, _ = process.communicate()
        assert told, f"the batch ended with {process.returncode} and said nothing"
        summary = json.loads(told)
        log(f"exit code {process.returncode}: {summary['made']} made, {summary['failed']} failed")
        found = records(out)
        by_node = Counter(
            node_of.get(r["pid"], "replaced worker") for r in found if r["event"] == "done"
        )
        for name, count in sorted(by_node.items()):
            log(f"{count} clips made on {name}{' before it was killed' * (name == killed)}")
        begun = Counter(record["output"] for record in found if record["event"] == "start")
        twice = sorted(output for output, times in begun.items() if times > 1)
        log(f"begun again on another node: {', '.join(twice) or 'none'}")
        return {
            "items": items,
            "exit_code": process.returncode,
            "made": summary["made"],
            "skipped": summary["skipped"],
            "failed": summary["failed"],
            "done_when_killed": done,
            "by_node": by_node,
            "begun_again": twice,
            "wrong_clips": wrong(out, desk / "truth", items),
            "made_twice": made_twice(out),
            "left_over": left_over(out),
            "seconds": summary["seconds"],
        }
    finally:
        cluster.shutdown()


if __name__ == "__main__":
    main()
