"""What `vtg --help` costs beside `import typer`, as whole processes.

    python benchmarks/bench_help.py [--runs 20]

The processes take turns, so that other work on the machine disturbs all alike. Per process its
least and its median seconds on the clock, and both over those of `import typer`; of `vtg --help` at
most 2 is wanted. Last line: all of it as one JSON object.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time

BASE = "import typer"
PROCESSES = {
    "pass": ["-c", "pass"],
    BASE: ["-c", BASE],
    "vtg --help": ["-m", "vtg_cli", "--help"],
    "vtg --version": ["-m", "vtg_cli", "--version"],
    "vtg interpolate --help": ["-m", "vtg_cli", "interpolate", "--help"],
}


def seconds(arguments: list[str]) -> float:
    begin = time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - begin


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=20, help="of each process (default 20)")
    runs = parser.parse_args().runs
    for arguments in PROCESSES.values():
        seconds(arguments)  # the first run compiles and fills the caches
    turns = [{name: seconds(words) for name, words in PROCESSES.items()} for _ in range(runs)]
    least = {name: min(turn[name] for turn in turns) for name in PROCESSES}
    median = {name: statistics.median(turn[name] for turn in turns) for name in PROCESSES}
    print(f"| process | least s | median s | over `{BASE}`: least | median |")
    print("|---|---:|---:|---:|---:|")
    rows = {}
    for name in PROCESSES:
        ratios = least[name] / least[BASE], median[name] / median[BASE]
        print(
            f"| `{name}` | {least[name]:.3f} | {median[name]:.3f} | "
            f"{ratios[0]:.2f} | {ratios[1]:.2f} |"
        )
        rows[name] = {
            "least_s": round(least[name], 4),
            "median_s": round(median[name], 4),
            "ratios": [round(ratio, 3) for ratio in ratios],
        }
    print(json.dumps({"benchmark": "help", "runs": runs, "processes": rows}))


if __name__ == "__main__":
    main()
