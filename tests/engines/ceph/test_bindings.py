"""Ceph's own Python modules are found where distributions put them."""

from __future__ import annotations

from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

import pytest

from artesian.engines.ceph.bindings import find, load_rados, load_rbd
from artesian.engines.ceph.errors import BindingsMissing, BindingsUnfit
from tests.engines.ceph.installed import why_no_ceph


@pytest.mark.parametrize("suffix", EXTENSION_SUFFIXES)
def test_a_module_for_this_python_is_found(tmp_path: Path, suffix: str) -> None:
    (tmp_path / "b").mkdir()
    path = tmp_path / "b" / f"rados{suffix}"
    path.touch()
    assert find("rados", [tmp_path / "a", tmp_path / "b"]) == path


def test_one_for_another_python_is_named(tmp_path: Path) -> None:
    path = tmp_path / "rados.cpython-36m-x86_64-linux-gnu.so"
    path.touch()
    with pytest.raises(BindingsUnfit, match="cpython-36m"):
        find("rados", [tmp_path])


def test_what_is_to_be_installed_is_named(tmp_path: Path) -> None:
    (tmp_path / "radosgw.so").touch()
    with pytest.raises(BindingsMissing, match="python3-rados"):
        find("rados", [tmp_path])


@pytest.mark.skipif(bool(why_no_ceph()), reason=why_no_ceph() or "Ceph is installed")
def test_they_are_loaded_once_and_know_each_other() -> None:
    rados, rbd = load_rados(), load_rbd()
    assert load_rados() is rados and load_rbd() is rbd
    assert issubclass(rados.Error, Exception) and issubclass(rbd.Error, Exception)
