"""A headless Chromium, where this machine has one, driven through its DevTools-free options."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="no chromium here (apt: chromium)")


def _run(page: Path, profile: Path, *how: str) -> subprocess.CompletedProcess[str]:
    assert CHROMIUM is not None
    common = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={profile}"]
    common += ["--hide-scrollbars", "--window-size=1000,1400", "--virtual-time-budget=2500"]
    common += ["--enable-logging=stderr", "--force-prefers-reduced-motion"]
    command = [CHROMIUM, *common, *how, page.absolute().as_uri()]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)


def dom(page: Path, script: str = "") -> str:
    """The page's HTML once it has run, `script` at its end with it. No script may have failed.

    The page's own policy lets nothing in but what it holds.
    """
    if script:
        text = page.read_text(encoding="utf-8")
        page = page.with_name(f"driven_{page.name}")
        page.write_text(
            text.replace("</body>", f"<script>\n{script}\n</script>\n</body>"), encoding="utf-8"
        )
    done = _run(page, page.parent / "profile", "--dump-dom")
    wrong = re.findall(r"CONSOLE.*", done.stderr)
    assert not wrong, wrong
    return done.stdout


def picture(page: Path, to: Path) -> None:
    """A screenshot of the page."""
    _run(page, page.parent / "profile", f"--screenshot={to}")
