"""`artesian up --engine`: short for a spec, and never against one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import typer

from artesian.cli.cluster import engines
from artesian.cli.cluster.engines import EngineKind, spec_with
from artesian.cli.cluster.plans import fail_without_engine
from artesian.cli.main import main
from artesian.cli.outcome import ExitCode
from artesian.cli.output import Output
from artesian.model.errors import Conflict, SpecError

CEPH, EMBEDDED = EngineKind.CEPH, EngineKind.EMBEDDED
EXISTING = """
engine:
  gateway: https://10.0.0.7:8443
  managers: 10.0.0.7
  password_file: /etc/password
  secret_file: /etc/secret
"""


class ApiStandIn:
    """Has a spec, and takes another."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.put_texts: list[str] = []

    def get(self, path: str) -> dict[str, Any]:
        assert path == "/spec"
        return {"text": self.text}

    def put(self, path: str, document: dict[str, Any]) -> dict[str, Any]:
        assert path == "/spec"
        self.put_texts.append(document["text"])
        return {"warnings": ["a word"]}


def asked(text: str, kind: EngineKind | None) -> tuple[list[str], list[str]]:
    """What the cluster is given, and the warnings."""
    api = ApiStandIn(text)
    warnings = engines.ask_for(api, kind, Output(as_json=True))  # type: ignore[arg-type]
    return api.put_texts, warnings


@pytest.mark.parametrize(
    ("text", "kind", "given"),
    [
        ("", CEPH, "engine: ceph\n"),
        ("engine: ceph\n", EMBEDDED, "engine: embedded\n"),
        ("engine: embedded\n", CEPH, "engine: ceph\n"),
    ],
)
def test_a_cluster_of_which_nothing_else_is_said_is_told(text: str, kind: EngineKind, given: str) -> None:
    assert asked(text, kind) == ([given], ["a word"])


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("", None),
        ("engine: ceph\nnew_disks: take\n", None),
        ("", EMBEDDED),
        ("engine: ceph\n", CEPH),
        ("engine: {kind: ceph, heal_after: 5m}\npools: [{name: a}]\n", CEPH),
        ("new_disks: take\n", EMBEDDED),
    ],
)
def test_a_spec_that_says_so_already_stays(text: str, kind: EngineKind | None) -> None:
    assert asked(text, kind) == ([], [])


@pytest.mark.parametrize(
    ("text", "kind", "words"),
    [
        (
            "new_disks: take\n",
            CEPH,
            "asks for the embedded engine, and --engine for ceph: write `engine: ceph`",
        ),
        (
            "engine: {kind: ceph, heal_after: 5m}",
            EMBEDDED,
            "asks for the ceph engine, and --engine for embed",
        ),
        (EXISTING, CEPH, "names an engine that is there already"),
        (EXISTING, EMBEDDED, "names an engine that is there already"),
    ],
)
def test_a_spec_that_says_otherwise_is_not_changed(text: str, kind: EngineKind, words: str) -> None:
    with pytest.raises(Conflict, match=f"the cluster's spec {words}"):
        asked(text, kind)


def test_a_file_is_never_changed_and_has_to_say_the_same(tmp_path: Path) -> None:
    file = tmp_path / "spec.yaml"
    file.write_text("engine: ceph\n")
    engines.check_spec(CEPH, file)
    engines.check_spec(None, file)
    engines.check_spec(CEPH, None)
    with pytest.raises(Conflict, match=f"{file} asks for the ceph engine, and --engine for embedded"):
        engines.check_spec(EMBEDDED, file)
    file.write_text("engine: cehp\n")
    with pytest.raises(SpecError, match=f"{file}: spec, line 1: engine: 'cehp' is no engine"):
        engines.check_spec(CEPH, file)


def test_what_is_written_is_a_spec() -> None:
    for kind, other in ((CEPH, EMBEDDED), (EMBEDDED, CEPH)):
        written = spec_with(kind, f"engine: {other}", "it")
        assert spec_with(kind, written, "it", may_change=False) == written


def test_nothing_is_begun_when_a_spec_says_otherwise(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, folder = tmp_path / "spec.yaml", tmp_path / "cluster"
    file.write_text("new_disks: take\n")
    code = main(["up", "--dir", str(folder), "--engine", "ceph", "--spec", str(file)])
    assert code == ExitCode.IN_THE_WAY
    assert "asks for the embedded engine" in capsys.readouterr().err
    assert not folder.exists()


def test_nothing_is_begun_for_a_spec_that_is_wrong(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, folder = tmp_path / "spec.yaml", tmp_path / "cluster"
    file.write_text("engine: cehp\n")
    assert main(["up", "--dir", str(folder), "--spec", str(file)]) == ExitCode.USAGE
    assert "'cehp' is no engine" in capsys.readouterr().err
    assert not folder.exists()


def test_nodes_that_cannot_have_an_engine_are_no_success() -> None:
    nodes_alone = {"engine": None, "nodes": [{}]}
    with pytest.raises(typer.Exit) as ended:
        fail_without_engine(nodes_alone, [])
    assert ended.value.exit_code == ExitCode.FAILED
    fail_without_engine(nodes_alone, [{"state": "held"}])
    fail_without_engine(nodes_alone | {"engine": {"kind": "ceph"}}, [])
