"""Our code and its libraries as one self-contained file: a zip that Python runs. It unpacks itself once for
each version, as compiled libraries cannot be loaded out of a zip."""

from __future__ import annotations

import hashlib
import importlib.metadata
import re
import sys
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import artesian

_NAME = re.compile(r"[A-Za-z0-9._-]+")
_EPOCH = (1980, 1, 1, 0, 0, 0)
# A cloud's client describes hundreds of services: those that we use, and those that sign us in.
_CLOUD_DATA = ("botocore", "data")
_CLOUD_SERVICES = ("ec2", "sts", "sso", "sso-oidc", "signin")
_MAIN = '''\
"""Unpacks this file beside the user's caches, once, and runs {what}."""
import hashlib, os, runpy, shutil, sys, tempfile, zipfile

if sys.version_info[:2] != {version}:
    sys.exit("error: {what} in this file is for Python {minor}, not " + sys.version.split()[0])
here = sys.argv[0]
with open(here, "rb") as file:
    name = hashlib.file_digest(file, "sha256").hexdigest()
base = os.environ.get("ARTESIAN_CACHE") or os.path.join(os.path.expanduser("~"), ".cache", "artesian")
site = os.path.join(os.path.abspath(base), name)
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
runpy.run_module("{module}", run_name="__main__", alter_sys=True)
'''


@dataclass(frozen=True, slots=True)
class Contents:
    """What a file holds. `what` it is for people, `module` is run; `libraries`: distributions, with all that
    they need themselves; `left_out`: packages of ours that are not needed; `is_known`: whether our own
    version and libraries can be asked for inside."""

    what: str
    module: str
    libraries: tuple[str, ...]
    left_out: frozenset[str] = frozenset()
    is_known: bool = False


def everything() -> Contents:
    """The whole of Artesian, as its command line runs it."""
    needed = importlib.metadata.requires("artesian") or []
    libraries = tuple(_NAME.findall(one)[0] for one in needed if "extra ==" not in one)
    return Contents("Artesian", "artesian.cli.main", libraries, is_known=True)


def ensure(path: Path, contents: Contents) -> None:
    """Write the file, unless it is there and nothing that is in it has changed since. Raises OSError."""
    note = path.with_name(path.name + ".of")
    fingerprint = _fingerprint(contents)
    try:
        if path.exists() and note.read_text() == fingerprint:
            return
    except (FileNotFoundError, UnicodeDecodeError):
        pass
    note.unlink(missing_ok=True)
    build(path, contents)
    note.write_text(fingerprint)


def _fingerprint(contents: Contents) -> str:
    """Names what the file would be made of, without reading it."""
    what = (sys.version, contents.what, contents.module, contents.libraries, sorted(contents.left_out))
    digest = hashlib.sha256(repr(what).encode())
    for name, source in sorted(_files(contents)):
        state = source.stat()
        digest.update(f"{name} {state.st_size} {state.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def build(path: Path, contents: Contents) -> None:
    """Write the file: the same bytes for the same versions of everything in it. Raises OSError."""
    version = tuple(sys.version_info[:2])
    main = _MAIN
    for name, value in (
        ("version", str(version)),
        ("minor", ".".join(map(str, version))),
        ("what", contents.what),
        ("module", contents.module),
    ):
        main = main.replace(f"{{{name}}}", value)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".new")
    with temporary.open("wb") as file:
        file.write(b"#!/usr/bin/env python3\n")
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
            _add(archive, "__main__.py", main.encode())
            if contents.is_known:
                _add(archive, *_own_metadata())
            for name, source in sorted(_files(contents)):
                _add(archive, name, source.read_bytes())
    temporary.chmod(0o755)
    temporary.replace(path)


def _add(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    entry = zipfile.ZipInfo(name, _EPOCH)
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry.external_attr = 0o644 << 16
    archive.writestr(entry, content)


def _own_metadata() -> tuple[str, bytes]:
    """Of all that an installer notes of us only what is the same on every machine."""
    ours = importlib.metadata.distribution("artesian")
    return f"artesian-{ours.version}.dist-info/METADATA", (ours.read_text("METADATA") or "").encode()


def _files(contents: Contents) -> Iterator[tuple[str, Path]]:
    root = Path(artesian.__file__).parent
    for path in root.rglob("*.py"):
        inside = path.relative_to(root)
        if inside.parts[0] not in contents.left_out:
            yield f"artesian/{inside.as_posix()}", path
    for distribution in _closure(contents.libraries):
        for file in distribution.files or ():
            if _is_needed(file.parts):
                yield file.as_posix(), Path(str(distribution.locate_file(file)))


def _is_needed(parts: tuple[str, ...]) -> bool:
    if {"..", "__pycache__", "tests"} & set(parts) or parts[-1].endswith(".pyc"):
        return False
    return parts[:2] != _CLOUD_DATA or len(parts) == 3 or parts[2] in _CLOUD_SERVICES


def _closure(names: Iterable[str]) -> list[importlib.metadata.Distribution]:
    """The libraries, and all that they need themselves on this platform."""
    found: dict[str, importlib.metadata.Distribution] = {}
    waiting = list(names)
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
