"""The agent as one self-contained file: our code and the libraries that it needs on a node, in a zip that
Python runs. It unpacks itself once for each version, as compiled libraries cannot be loaded out of a zip."""

from __future__ import annotations

import hashlib
import importlib.metadata
import re
import sys
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import artesian

NEEDED_ON_NODES = (
    "uvloop",
    "xxhash",
    "pysyncobj",
    "starlette",
    "uvicorn",
    "httptools",
    "cryptography",
    "pydantic",
    "PyYAML",
    "structlog",
)
_LEFT_OUT = ("api", "cli", "scheduler", "drill", "planner", "strategy", "store", "clusters")
_NAME = re.compile(r"[A-Za-z0-9._-]+")
_EPOCH = (1980, 1, 1, 0, 0, 0)
_MAIN = '''\
"""Unpacks this file beside the user's caches, once, and runs the agent: python3 FILE FOLDER"""
import hashlib, os, runpy, shutil, sys, tempfile, zipfile

if sys.version_info[:2] != {version}:
    sys.exit("error: this agent is for Python {version[0]}.{version[1]}, not " + sys.version.split()[0])
here = sys.argv[0]
with open(here, "rb") as file:
    name = hashlib.file_digest(file, "sha256").hexdigest()
base = os.environ.get("ARTESIAN_CACHE") or os.path.join(os.path.expanduser("~"), ".cache", "artesian")
site = os.path.join(base, name)
if not os.path.isdir(site):
    os.makedirs(base, mode=0o700, exist_ok=True)
    fresh = tempfile.mkdtemp(dir=base)
    with zipfile.ZipFile(here) as archive:
        archive.extractall(fresh)
    try:
        os.rename(fresh, site)
    except OSError:
        shutil.rmtree(fresh)
        if not os.path.isdir(site):
            raise
sys.path.insert(0, site)
os.environ["PYTHONPATH"] = site
runpy.run_module("artesian.agent", run_name="__main__", alter_sys=True)
'''


@dataclass(frozen=True, slots=True)
class AgentFile:
    """The file's bytes, and their SHA-256 in hexadecimal."""

    content: bytes
    sha256: str


class AgentFiles:
    """Makes the file when it is asked for first, and keeps it. `folder` is where it is made."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "agent.pyz"
        self._lock = threading.Lock()
        self._made: AgentFile | None = None

    def get(self) -> AgentFile:
        """The file; the same bytes for the same versions of everything in it."""
        with self._lock:
            if self._made is None:
                build(self._path)
                content = self._path.read_bytes()
                self._made = AgentFile(content, hashlib.sha256(content).hexdigest())
            return self._made


def build(path: Path) -> None:
    """Write the file."""
    version = tuple(sys.version_info[:2])
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".new")
    with temporary.open("wb") as file:
        file.write(b"#!/usr/bin/env python3\n")
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
            _add(archive, "__main__.py", _MAIN.replace("{version}", str(version)).encode())
            for name, source in sorted(_files()):
                _add(archive, name, source.read_bytes())
    temporary.chmod(0o755)
    temporary.replace(path)


def _add(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    entry = zipfile.ZipInfo(name, _EPOCH)
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry.external_attr = 0o644 << 16
    archive.writestr(entry, content)


def _files() -> Iterator[tuple[str, Path]]:
    root = Path(artesian.__file__).parent
    for path in root.rglob("*.py"):
        inside = path.relative_to(root)
        if inside.parts[0] not in _LEFT_OUT:
            yield f"artesian/{inside.as_posix()}", path
    for distribution in _closure():
        for file in distribution.files or ():
            parts = file.parts
            if ".." in parts or "__pycache__" in parts or file.suffix == ".pyc" or "tests" in parts:
                continue
            yield file.as_posix(), Path(str(distribution.locate_file(file)))


def _closure() -> list[importlib.metadata.Distribution]:
    """The libraries, and all that they need themselves on this platform."""
    found: dict[str, importlib.metadata.Distribution] = {}
    waiting = list(NEEDED_ON_NODES)
    while waiting:
        name = waiting.pop()
        key = re.sub(r"[-_.]+", "-", name).lower()
        if key in found:
            continue
        try:
            found[key] = importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError:
            continue  # only wanted on other platforms or versions
        for requirement in found[key].requires or ():
            if "extra ==" not in requirement and (match := _NAME.match(requirement)) is not None:
                waiting.append(match[0])
    return [found[key] for key in sorted(found)]
