"""Compare CHANGELOG.md's newest heading with the package's version; exit 1 where they differ.

`python scripts/check_version.py --release` also demands a date instead of "unreleased".
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HEADING = re.compile(
    r"^## \[(?P<version>\d+\.\d+\.\d+)\] - (?P<date>unreleased|\d{4}-\d{2}-\d{2})$", re.M
)


def package_version(root: Path = ROOT) -> str:
    """`__version__` of the package, read from its source so that nothing needs to be installed."""
    source = (root / "vtg_cli" / "__init__.py").read_text(encoding="utf-8")
    found = re.search(r'^__version__ = "([^"]+)"$', source, re.M)
    if found is None:
        raise SystemExit("vtg_cli/__init__.py has no __version__")
    return found.group(1)


def newest_entry(root: Path = ROOT) -> tuple[str, str]:
    """(version, date or "unreleased") of the first heading in CHANGELOG.md."""
    found = HEADING.search((root / "CHANGELOG.md").read_text(encoding="utf-8"))
    if found is None:
        raise SystemExit("CHANGELOG.md has no heading like '## [1.2.3] - 2026-01-31'")
    return found["version"], found["date"]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--release", action="store_true", help="the newest entry must carry a date")
    release = parser.parse_args().release
    version, (changed, date) = package_version(), newest_entry()
    if changed != version:
        print(f"CHANGELOG.md is at {changed}, the package at {version}", file=sys.stderr)
        return 1
    if release and date == "unreleased":
        print(f"CHANGELOG.md calls {changed} unreleased: give it a date", file=sys.stderr)
        return 1
    print(f"{version} ({date})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
