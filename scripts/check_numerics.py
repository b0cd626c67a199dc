"""Run the numeric tests as other processors compute: torch's kernels for each level of vector
instructions that this processor has, with one thread and with two. `make test-numerics`.

A level the processor lacks is left out and named. Further arguments go to pytest.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time

TESTS = [
    "tests/sampling",
    "tests/conditioning",
    "tests/parity",
    "tests/ground/test_tensor.py",
    "tests/backbones/dynamicrafter/test_unet.py",
    "tests/backbones/dynamicrafter/test_resampler.py",
    "tests/backbones/dynamicrafter/test_towers.py",
    "tests/backbones/svd/test_model.py",
    "tests/backbones/tiny/test_network.py",
    "tests/backbones/tiny/test_prior.py",
    "tests/lowmem/test_tiles.py",
    "tests/lowmem/test_deepcache.py",
    "tests/training/test_losses.py",
    "tests/training/test_muon.py",
]
"""Those that compare numbers which torch computed; the rest of the suite takes minutes."""

LEVELS = {
    "default": {"ONEDNN_MAX_CPU_ISA": "SSE41", "MKL_ENABLE_INSTRUCTIONS": "SSE4_2"},
    "avx2": {"ONEDNN_MAX_CPU_ISA": "AVX2", "MKL_ENABLE_INSTRUCTIONS": "AVX2"},
    "avx512": {"ONEDNN_MAX_CPU_ISA": "AVX512_CORE", "MKL_ENABLE_INSTRUCTIONS": "AVX512"},
}
"""torch's own kernels (ATEN_CPU_CAPABILITY), each level the ones before it too; the same for its
convolutions and its matrix products, which come from other libraries."""

THREADS = (1, 2)


def split(capability: str) -> tuple[list[str], list[str]]:
    """Levels that a processor of torch's `capability` runs, and those that it lacks."""
    levels = [*LEVELS]
    best = capability.lower()
    count = levels.index(best) + 1 if best in levels else 1
    return levels[:count], levels[count:]


def best_capability() -> str:
    """What torch finds where nothing caps it; asked in a process of its own."""
    code = "import torch; print(torch.backends.cpu.get_cpu_capability())"
    free = {k: v for k, v in os.environ.items() if k != "ATEN_CPU_CAPABILITY"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=free, check=True, stdout=subprocess.PIPE, text=True
    )
    return done.stdout.strip()


def main(arguments: list[str]) -> int:
    capability = best_capability()
    levels, lacking = split(capability)
    failed = []
    for level in levels:
        for threads in THREADS:
            name = f"ATEN_CPU_CAPABILITY={level} OMP_NUM_THREADS={threads}"
            print(f"-- {name}", flush=True)
            environment = os.environ | LEVELS[level] | {"ATEN_CPU_CAPABILITY": level}
            environment |= {k: str(threads) for k in ("OMP_NUM_THREADS", "MKL_NUM_THREADS")}
            begin = time.monotonic()
            command = [sys.executable, "-m", "pytest", "-n", "2", *TESTS, *arguments]
            if subprocess.run(command, env=environment).returncode:
                failed.append(name)
            print(f"-- {time.monotonic() - begin:.0f} s", flush=True)
    for level in lacking:
        print(f"-- left out: {level}, which this processor ({capability}) lacks")
    for name in failed:
        print(f"-- failed: {name}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
