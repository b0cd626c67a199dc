"""vtg batch on small pairs: items a second, and what kill -9 costs.

    python benchmarks/bench_batch.py --items 200 --kills 10

1 and 2 workers make all pairs undisturbed. Then a third batch is killed again and again at random
moments, in turn the parent alone and it with all its workers, and started again with --resume; in
the end every clip must be there, with the frames of the undisturbed run, and none made twice.
The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import signal
import tempfile
import time
from pathlib import Path
from typing import Any

from pairs import draw, left_over, made_twice, records, vtg_batch, wrong


def undisturbed(pairs: Path, out: Path, workers: int, items: int) -> dict[str, Any]:
    """A whole batch: items a second by its own clock, CPU seconds an item, and how many workers
    were at an item on average, start-up included.
    """
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    process = vtg_batch(pairs, out, "--workers", str(workers))
    told, _ = process.communicate()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    summary = json.loads(told)
    assert (process.returncode, summary["made"]) == (0, items), summary
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {
        "workers": workers,
        "seconds": summary["seconds"],
        "items_per_second": round(items / summary["seconds"], 2),
        "cpu_seconds_per_item": round(cpu / items, 3),
        "workers_busy": round(sum(i["seconds"] for i in summary["items"]) / summary["seconds"], 2),
    }


def killed(pairs: Path, out: Path, kills: int, items: int, chance: random.Random) -> list[str]:
    """Kills and resumes; a line about each kill."""
    told = []
    for number in range(kills):
        before = sum(record["event"] == "done" for record in records(out))
        share = (items - before) // (kills - number + 1)
        moment = before + chance.randint(1, max(1, 2 * share - 1))
        whole = number % 2 == 0
        resume = ["--resume"] if number else []
        process = vtg_batch(pairs, out, "--workers", "2", *resume, start_new_session=True)
        while sum(record["event"] == "done" for record in records(out)) < moment:
            assert process.poll() is None, "the batch ended before it was killed"
            time.sleep(0.05)
        time.sleep(chance.uniform(0, 0.5))
        if whole:
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
        process.communicate()
        time.sleep(0.1)
        found = records(out)
        done = sum(record["event"] == "done" for record in found)
        begun = sum(record["event"] == "start" for record in found)
        who = "parent and workers" if whole else "parent alone"
        told.append(
            f"kill {number + 1:2} ({who}): {done} of {items} done, {begun} begun so far, "
            f"{len(left_over(out))} temporary files"
        )
        print(told[-1], flush=True)
    return told


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--items", type=int, default=200)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--repeats", type=int, default=1, help="of the undisturbed runs, in turn")
    parser.add_argument("--seed", type=int, default=0, help="of the moments of the kills")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="vtg-bench-") as folder:
        desk = Path(folder)
        draw(desk / "pairs", args.items)
        runs = []
        for repeat in range(args.repeats):
            for workers in (1, 2):
                out = desk / f"clips{workers}" / str(repeat)
                runs.append(undisturbed(desk / "pairs", out, workers, args.items))
                print(
                    f"{workers} workers: {runs[-1]['items_per_second']} items a second, "
                    f"{runs[-1]['cpu_seconds_per_item']} CPU seconds an item, "
                    f"{runs[-1]['workers_busy']} of them at work on average",
                    flush=True,
                )
        out = desk / "killed"
        killed(desk / "pairs", out, args.kills, args.items, random.Random(args.seed))
        resume = ["--resume"] if args.kills else []
        process = vtg_batch(desk / "pairs", out, "--workers", "2", *resume)
        summary = json.loads(process.communicate()[0])
        begun = sum(record["event"] == "start" for record in records(out))
        card = {
            "items": args.items,
            "runs": runs,
            "kills": args.kills,
            "last_exit_code": process.returncode,
            "last_made": summary["made"],
            "last_skipped": summary["skipped"],
            "wrong_clips": wrong(out, desk / "clips1" / "0", args.items),
            "made_twice": made_twice(out),
            "begun_in_vain": begun - args.items,
            "left_over": left_over(out),
            "load": [round(load, 1) for load in os.getloadavg()],
            "cpus": os.cpu_count(),
        }
        print(json.dumps(card))


if __name__ == "__main__":
    main()
