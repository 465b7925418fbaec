"""What a node lacks of Ceph, and how it comes there."""

from __future__ import annotations

from pathlib import Path

import pytest

from artesian.engines.ceph import packages
from artesian.engines.ceph.errors import BindingsMissing, BindingsUnfit, CephNodeError
from artesian.engines.ceph.process_config import Role

APT, DNF = packages.MANAGERS


@pytest.fixture
def bin_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """All programs there are."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return folder


def program(folder: Path, name: str, text: str = "exit 0") -> None:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


@pytest.fixture
def bindings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ceph's Python modules are there."""
    monkeypatch.setattr(packages, "find_bindings", lambda name: Path(f"/{name}.so"))


def test_who_runs_nothing_lacks_nothing(bin_folder: Path) -> None:
    assert packages.missing(()) == []


@pytest.mark.usefixtures("bindings")
def test_what_is_lacking_depends_on_what_is_to_run(bin_folder: Path) -> None:
    program(bin_folder, "ceph-mon")
    assert packages.missing([Role.MON]) == ["monmaptool", "setpriv"]
    program(bin_folder, "monmaptool")
    program(bin_folder, "setpriv")
    assert packages.missing([Role.MON]) == []
    assert "ceph-mgr" in packages.missing([Role.MON, Role.MGR])


def test_whatever_is_to_run_has_to_ask_monitors(bin_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def find(name: str) -> Path:
        raise BindingsMissing(f"no {name}")

    monkeypatch.setattr(packages, "find_bindings", find)
    program(bin_folder, "ceph-mgr")
    assert packages.missing([Role.MGR]) == ["no rados", "no rbd"]


def test_modules_for_another_python_are_not_to_be_installed(
    bin_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def find(name: str) -> Path:
        raise BindingsUnfit(f"{name} is for another Python")

    monkeypatch.setattr(packages, "find_bindings", find)
    with pytest.raises(BindingsUnfit):
        packages.missing([Role.OSD])


def test_each_distribution_has_its_way() -> None:
    assert packages.manager(lambda tool: "/usr/bin/dnf" if tool == "dnf" else None) == DNF
    assert packages.manager(lambda tool: f"/usr/bin/{tool}") == APT
    assert packages.manager(lambda _: None) is None


@pytest.mark.parametrize("manager", packages.MANAGERS, ids=lambda one: one.tool)
def test_everything_that_is_named_is_installed_without_questions(manager: packages.Manager) -> None:
    install = manager.commands[-1]
    assert set(manager.packages) <= set(install)
    assert {"--yes", "--assumeyes"} & set(install)


def test_only_root_installs_and_others_are_told_what() -> None:
    assert packages.why_not(["ceph-osd"], 0, APT) == ""
    refusal = packages.why_not(["ceph-osd"], 1000, APT)
    assert "root" in refusal and "ceph-osd" in refusal and "python3-rados" in refusal
    assert "apt-get" in packages.why_not(["ceph-osd"], 0, None)


def test_installing_runs_the_tool(bin_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.getuid", lambda: 0)
    program(bin_folder, "apt-get", f'echo "$DEBIAN_FRONTEND: $*" >>{tmp_path}/said')
    config = tmp_path / "config"
    config.touch()
    packages.prepare(config)
    update, install = (tmp_path / "said").read_text().splitlines()
    assert update.startswith("noninteractive: update")
    assert "install" in install and install.endswith(" ".join(APT.packages))
    assert not config.exists()


def test_a_tool_that_fails_is_told_of_and_tried_again_later(
    bin_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.getuid", lambda: 0)
    program(bin_folder, "apt-get", "exit 100")
    config = tmp_path / "config"
    config.touch()
    with pytest.raises(CephNodeError, match="apt-get"):
        packages.prepare(config)
    assert config.exists()
