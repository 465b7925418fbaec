"""Ceph's own Python modules, `rados` and `rbd`.

They come with the distribution's packages, into the folder of its own Python's modules. That folder is not
ours to look for modules in, so they are loaded by the paths of their files.
"""

from __future__ import annotations

import importlib.util
import sys
import sysconfig
import threading
from collections.abc import Iterable
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from typing import Any

from artesian.engines.ceph.errors import BindingsMissing, BindingsUnfit

_MINOR = f"{sys.version_info.major}.{sys.version_info.minor}"
FOLDERS = (
    Path("/usr/lib/python3/dist-packages"),
    Path(f"/usr/lib64/python{_MINOR}/site-packages"),
    Path(f"/usr/lib/python{_MINOR}/site-packages"),
    Path(sysconfig.get_path("platlib")),
)
_lock = threading.Lock()


def load_rados() -> Any:
    """The module `rados`. Raises BindingsMissing."""
    return _load("rados")


def load_rbd() -> Any:
    """The module `rbd`, which needs `rados`. Raises BindingsMissing."""
    _load("rados")
    return _load("rbd")


def find(name: str, folders: Iterable[Path] = FOLDERS) -> Path:
    """The file of a module that this Python can load. Raises BindingsMissing."""
    others: list[Path] = []
    for folder in folders:
        for suffix in EXTENSION_SUFFIXES:
            if (path := folder / f"{name}{suffix}").is_file():
                return path
        others += sorted(folder.glob(f"{name}.*.so"))
    if others:
        raise BindingsUnfit(
            f"{others[0]} is not for Python {_MINOR}, which runs this: run Artesian with the Python that the "
            "distribution's packages are for"
        )
    raise BindingsMissing(
        f"Ceph's Python module {name} is not installed: install the packages python3-rados and python3-rbd"
    )


def _load(name: str) -> Any:
    with _lock:
        if name in sys.modules:
            return sys.modules[name]
        path = find(name)
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None and spec.loader is not None
        try:
            module = importlib.util.module_from_spec(spec)
            sys.modules[name] = module  # `rbd` imports `rados` by its name
            spec.loader.exec_module(module)
        except ImportError as error:
            sys.modules.pop(name, None)
            raise BindingsMissing(f"{path} cannot be loaded: {error}") from error
        return module
