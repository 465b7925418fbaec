"""A Ceph that was there before is used as its owner says, and what is not ours in it stays as it is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from artesian.engines.ceph import names
from artesian.engines.ceph.adopted import AdoptedCeph
from artesian.engines.ceph.keys import cephx_key, keyring
from artesian.engines.ceph.session import CephSession
from artesian.engines.port import ChangeRefused, EngineUnreachable
from artesian.model.changes import (
    AddDomain,
    AddManager,
    AddPool,
    AddServer,
    AdoptEngine,
    CreateEngine,
)
from artesian.model.engine import CephSettings, ExistingEngine
from artesian.model.state import EngineIdentity
from tests.engines.ceph.installed import why_no_ceph
from tests.engines.deployment import DOMAIN, POOL, Deployment
from tests.engines.test_ceph_conformance import SECRET, CephHandle

pytestmark = [
    pytest.mark.slow,
    pytest.mark.heavy,
    pytest.mark.skipif(bool(why_no_ceph()), reason=why_no_ceph() or "Ceph is installed"),
]

OURS = "the secret of who adopts it"


class Theirs:
    """A cluster of somebody else's, with a pool and an entity of his own; and what its owner can see."""

    def __init__(self, handle: CephHandle, system_id: str, session: CephSession) -> None:
        self.handle = handle
        self.fsid = names.fsid(system_id)
        self.session = session
        self.keyring = handle.folder / "theirs.keyring"
        self.keyring.write_text(keyring(SECRET, names.OWNER))

    def existing(self, **changes: Any) -> ExistingEngine:
        monitors = (self.handle.address("n1"),)
        plain = ExistingEngine((), monitors, "admin", str(self.keyring), "", ceph=CephSettings())
        return replace(plain, **changes)

    def identity(self) -> EngineIdentity:
        return EngineIdentity("ceph", self.fsid, self.fsid, adopted=self.existing(), client_root="us")

    def everything(self) -> dict[str, Any]:
        """Of what was there before us."""
        entities = [one for one in self.session.ask("auth ls")["auth_dump"] if one["entity"] != names.ADMIN]
        buckets = self.session.ask("osd crush dump")
        return {
            "entities": entities,
            "rules": buckets["rules"],
            "default tree": [one for one in buckets["buckets"] if one["name"] == "default"],
            "pools": self.session.ask("osd dump")["pools"],
            "config": [
                (one["section"], one["name"], one["value"])
                for one in self.session.ask("config dump")
                if one["mask"] != f"class:{names.device_class(POOL)}"
            ],
            "clients": self.session.ask("osd dump")["require_min_compat_client"],
        }


@pytest.fixture(scope="module")
def theirs() -> Iterator[Theirs]:
    handle = CephHandle()
    deployment = Deployment(handle)
    session = CephSession([handle.address("n1")], names.OWNER, cephx_key(SECRET, names.OWNER))
    try:
        deployment.do(CreateEngine((deployment.place("n1"),)))
        session.command("auth rm", entity=names.ADMIN)  # nobody like us has been here
        session.command("auth get-or-create", entity="client.payroll", caps=["mon", "allow r"])
        session.command("osd pool create", pool="payroll", pg_num=8, size=2)
        yield Theirs(handle, deployment.identity.system_id, session)
    finally:
        session.close()
        deployment.stop()
        handle.destroy()


def adopted(theirs: Theirs, identity: EngineIdentity | None = None, **changes: Any) -> AdoptedCeph:
    return AdoptedCeph(theirs.existing(**changes), identity, OURS)


class TestBefore:
    def test_it_is_shown_as_it_is(self, theirs: Theirs) -> None:
        before = theirs.everything()
        seen = adopted(theirs).observe()
        assert seen.system_id == theirs.fsid
        assert [one.host for one in seen.managers] == [theirs.handle.address("n1")]
        assert theirs.everything() == before

    def test_nothing_is_changed_in_it(self, theirs: Theirs) -> None:
        before = theirs.everything()
        with pytest.raises(ChangeRefused, match="has not been adopted"):
            adopted(theirs).carry_out(AddDomain("d"))
        assert theirs.everything() == before

    def test_a_key_that_does_not_fit_is_told(self, theirs: Theirs, tmp_path: Path) -> None:
        wrong = tmp_path / "wrong"
        wrong.write_text(keyring("another secret", names.OWNER))
        with pytest.raises(EngineUnreachable, match=r"do not take the key of client\.admin"):
            adopted(theirs, password_file=str(wrong)).observe()

    @pytest.mark.parametrize(
        ("content", "words"),
        [
            ("[client.other]\n\tkey = AQ==\n", r"has no key of client\.admin; it has those of client\.other"),
            ("[client.admin]\n\tkey = of the house\n", r"has something for client\.admin that is no key"),
            ("no keyring at all", "is no keyring"),
            (None, "cannot be read"),
        ],
    )
    def test_a_keyring_that_is_none_is_told(
        self, theirs: Theirs, tmp_path: Path, content: str | None, words: str
    ) -> None:
        path = tmp_path / "keyring"
        if content is not None:
            path.write_text(content)
        with pytest.raises(EngineUnreachable, match=words):
            adopted(theirs, password_file=str(path)).observe()

    def test_monitors_that_cannot_be_reached_are_named(self, theirs: Theirs) -> None:
        nobody = theirs.handle.address("n4")
        with pytest.raises(EngineUnreachable, match=nobody.replace(".", r"\.")):
            adopted(theirs, managers=(nobody,)).observe()

    def test_another_cluster_than_the_one_that_is_named_is_not_taken(self, theirs: Theirs) -> None:
        other = "00000000-0000-4000-8000-000000000000"
        with pytest.raises(EngineUnreachable, match=f"{theirs.fsid} answers .* names {other}"):
            adopted(theirs, system_id=other).observe()
        with pytest.raises(ChangeRefused, match=other):
            adopted(theirs).carry_out(AdoptEngine(other, theirs.existing()))


class TestAfter:
    def test_adopting_it_adds_a_key_and_nothing_else(self, theirs: Theirs) -> None:
        before = theirs.everything()
        change = AdoptEngine(theirs.fsid, theirs.existing())
        for identity in (None, theirs.identity(), theirs.identity()):  # as often as it is asked for
            adopted(theirs, identity).carry_out(change)
        assert theirs.everything() == before
        assert adopted(theirs, theirs.identity()).observe().system_id == theirs.fsid

    def test_what_is_ours_is_beside_what_was_there(self, theirs: Theirs) -> None:
        engine = adopted(theirs, theirs.identity())
        engine.carry_out(AdoptEngine(theirs.fsid, theirs.existing()))
        before = theirs.everything()
        engine.carry_out(AddDomain(DOMAIN))
        engine.carry_out(AddPool(POOL, 10))
        engine.carry_out(AddServer("n2", theirs.handle.address("n2"), DOMAIN, None))
        assert engine.observe().pool(POOL) is not None
        assert theirs.everything() == before

    def test_its_managers_are_not_changed(self, theirs: Theirs) -> None:
        engine = adopted(theirs, theirs.identity())
        with pytest.raises(ChangeRefused, match="are not changed"):
            engine.carry_out(AddManager(Deployment(theirs.handle).place("n2")))

    def test_nobody_else_adopts_it(self, theirs: Theirs) -> None:
        adopted(theirs).carry_out(AdoptEngine(theirs.fsid, theirs.existing()))
        other = AdoptedCeph(theirs.existing(), None, "somebody else's secret")
        with pytest.raises(ChangeRefused, match="uses this Ceph already"):
            other.carry_out(AdoptEngine(theirs.fsid, theirs.existing()))
        with pytest.raises(EngineUnreachable, match=r"uses this Ceph already.*ceph auth rm"):
            other.observe()

    def test_a_key_of_ours_that_was_taken_away_is_missed(self, theirs: Theirs) -> None:
        """Nothing is made of what can be seen without it: all that is ours would look lost."""
        engine = adopted(theirs, theirs.identity())
        engine.carry_out(AdoptEngine(theirs.fsid, theirs.existing()))
        theirs.session.command("auth rm", entity=names.ADMIN)
        with pytest.raises(EngineUnreachable, match="do not take the key"):
            adopted(theirs, theirs.identity()).observe()
        engine.carry_out(AdoptEngine(theirs.fsid, theirs.existing()))
        assert adopted(theirs, theirs.identity()).observe().system_id == theirs.fsid
