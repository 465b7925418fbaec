"""What cannot be asked is said in the words of whoever asks: a node's, or the scheduler's."""

from __future__ import annotations

import pytest

from artesian.engines.ceph import monitors as module
from artesian.engines.ceph.errors import BindingsMissing, MonitorsSilent
from artesian.engines.ceph.keys import cephx_key
from artesian.engines.ceph.monitors import Monitors
from artesian.engines.ceph.session import CephSession
from artesian.engines.port import EngineUnreachable
from tests.engines.ceph.installed import why_no_ceph

KEY = cephx_key("secret", "client.us")
NOBODY = "127.0.0.1:1"


def test_without_monitors_nothing_is_asked() -> None:
    with pytest.raises(MonitorsSilent, match="no monitor is known"):
        Monitors("", (), "client.us", KEY).ask("mon dump")
    with pytest.raises(EngineUnreachable, match="no monitor is known"):
        CephSession((), "client.us", KEY).ask("mon dump")


def test_without_bindings_nothing_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    def none() -> None:
        raise BindingsMissing("there are none")

    monkeypatch.setattr(module, "load_rados", none)
    for prefix in ("mon dump", "osd df"):
        with pytest.raises(BindingsMissing):
            Monitors("", (NOBODY,), "client.us", KEY).ask(prefix)
        with pytest.raises(EngineUnreachable, match="there are none"):
            CephSession((NOBODY,), "client.us", KEY).ask(prefix)


@pytest.mark.skipif(bool(why_no_ceph()), reason=why_no_ceph() or "Ceph is installed")
def test_monitors_that_do_not_answer_are_named() -> None:
    session = CephSession((NOBODY,), "client.us", KEY)
    with pytest.raises(EngineUnreachable, match=rf"monitors {NOBODY} answers"):
        session.get("artesian/owner")
    with (
        Monitors("", (f"[v2:{NOBODY}/0]",), "client.us", KEY, answer_s=1) as monitors,
        pytest.raises(MonitorsSilent, match=rf"monitors {NOBODY} answers"),
    ):
        monitors.remove("artesian/owner")
