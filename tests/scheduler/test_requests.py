"""What users ask for: a new state, or a refusal that says why and leaves everything as it was."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from uuid import UUID

import pytest

from artesian.model.disk import PoolName
from artesian.model.drill import DrillState
from artesian.model.engine import CephSettings, EngineSeen, SeenPool
from artesian.model.errors import ArtesianError, Conflict, NotPossible, NotThere, SpecError
from artesian.model.observation import Observation
from artesian.model.plan import Consent
from artesian.model.spec import Spec
from artesian.model.state import EngineIdentity, FrameworkState, Stopping
from artesian.model.wishes import VolumeWish
from artesian.planner.assigning import assignment_of, generation_of
from artesian.planner.planning import Decision, decide
from artesian.scheduler import requests
from artesian.scheduler.memory import Memory
from artesian.scheduler.node_requests import (
    add_node,
    find_disk,
    maintain_node,
    remove_disk,
    remove_node,
    return_disk,
)
from artesian.scheduler.volume_requests import (
    attach_volume,
    create_volume,
    default_pool,
    delete_volume,
    detach_volume,
    grow_volume,
    limit_volume,
    rename_volume,
)
from artesian.store.codec import changed_documents
from tests.drill.cases import a_drill, with_drills
from tests.scheduler.cases import GIB, POOL, SEEN, STATE, MemoryStore, a_node

Request = Callable[[FrameworkState], FrameworkState]


def attach(name: str, node: str, force: bool = False, **more: str | None) -> Request:
    options: dict[str, str | None] = {"mount_path": None, "fstype": None, **more}
    return lambda state: attach_volume(
        state, SEEN, name, node, mount_path=options["mount_path"], fstype=options["fstype"], force=force
    )


def create(
    name: str = "fresh",
    pool: PoolName = POOL,
    size_bytes: int = GIB,
    node: str | None = None,
    mount_path: str | None = None,
) -> Request:
    wish = VolumeWish(name, pool, size_bytes, node=node, mount_path=mount_path)
    return lambda state: create_volume(state, SEEN, wish)


def changed(request: Request) -> set[str]:
    """Documents that a good request writes or removes."""
    return set(changed_documents(STATE, request(STATE)))


CEPH_STATE = replace(
    STATE,
    spec_text="engine: ceph",
    engine=EngineIdentity("ceph", str(UUID(int=7)), "artesian", ceph=CephSettings()),
)


def bare_decision() -> Decision:
    return decide(Spec(), Observation(nodes=(a_node("n1", "sdb"), a_node("n2", "sdb"))), FrameworkState())


# --- refusals


@pytest.mark.parametrize(
    ("request_", "error", "words"),
    [
        (lambda s: requests.approve(s, bare_decision(), "old", "me"), Conflict, "the plan is not old any"),
        (lambda s: requests.set_spec(s, "pols: []"), SpecError, "line 1: pols is not known; is pools meant"),
        (lambda s: requests.set_spec(s, "engine: ceph"), Conflict, "no Ceph takes its place: leave `engine:"),
        (lambda s: requests.set_spec(s, "pools: [{}"), SpecError, "not YAML"),
        (lambda s: remove_node(s, SEEN, "n9"), NotThere, "there is no node n9 in use"),
        (lambda s: remove_node(s, replace(SEEN, nodes=()), "n1"), NotPossible, "managers need"),
        (lambda s: remove_node(s, SEEN, "n2"), Conflict, "volume data is on node n2"),
        (lambda s: add_node(s, SEEN, "n9"), NotThere, "there is no node n9; there are n1, n2"),
        (lambda s: maintain_node(s, SEEN, "n4", in_maintenance=True), NotThere, "no node n4 in use"),
        (lambda s: remove_disk(s, SEEN, "n3", "sdz"), NotThere, "node n3 has no disk sdz"),
        (lambda s: remove_disk(s, SEEN, "n9", "sdb"), NotThere, "node n9 has no disk sdb"),
        (lambda s: remove_disk(s, SEEN, "n3", ""), NotThere, "has no disk"),
        (lambda s: remove_disk(s, SEEN, "n3", "db"), NotThere, "has no disk db"),
        (lambda s: return_disk(s, SEEN, "n3", "sdb"), Conflict, "has neither been removed nor failed"),
        (lambda s: maintain_node(s, SEEN, "n2", in_maintenance=True), Conflict, "is on node n2"),
        (lambda s: return_disk(s, SEEN, "n3", "sdz"), NotThere, "has no disk"),
        (create(""), NotPossible, "no name for a volume"),
        (create("-x"), NotPossible, "no name for a volume"),
        (create("a/b"), NotPossible, "no name for a volume"),
        (create("x\n"), NotPossible, "no name for a volume"),
        (create("x" * 32), NotPossible, "no name for a volume"),
        (create("data"), Conflict, "there is a volume data already"),
        (create("going"), Conflict, "there is a volume going already"),
        (create("theirs"), Conflict, "the engine has a volume theirs that is not ours"),
        (create(pool=PoolName("x", "y")), NotThere, "there is no pool x/y; there are default/default"),
        (create(size_bytes=0), NotPossible, "multiple of 1 GiB; the next one is 1GiB"),
        (create(size_bytes=-GIB), NotPossible, "multiple of 1 GiB"),
        (create(size_bytes=GIB + 1), NotPossible, "the next one is 2GiB"),
        (create(node="n9"), NotThere, "there is no node n9 in use"),
        (create(node="n3"), Conflict, "node n3 has no client yet"),
        (lambda s: grow_volume(s, SEEN, "nothing", GIB), NotThere, "there are data"),
        (lambda s: grow_volume(s, SEEN, "data", 4 * GIB), NotPossible, "volumes do not shrink"),
        (lambda s: grow_volume(s, SEEN, "data", 9 * GIB - 1), NotPossible, "the next one is 9GiB"),
        (lambda s: grow_volume(s, SEEN, "going", 9 * GIB), NotThere, "there is no volume going"),
        (lambda s: limit_volume(s, "nothing", 50, None), NotThere, "there is no volume nothing"),
        (lambda s: limit_volume(s, "data", 10, None), NotPossible, "from 11 to 1000000000 requests a second"),
        (lambda s: limit_volume(s, "data", -1, None), NotPossible, "or 0 for none"),
        (lambda s: limit_volume(s, "data", None, (1 << 20) + 1), NotPossible, "the next one is 2MiB"),
        (lambda s: limit_volume(s, "data", None, -1), NotPossible, "multiple of 1 MiB a second"),
        (lambda s: rename_volume(s, SEEN, "nothing", "x"), NotThere, "there is no volume nothing"),
        (lambda s: rename_volume(s, SEEN, "new", "x"), Conflict, "still being made"),
        (lambda s: rename_volume(s, SEEN, "data", "idle"), Conflict, "there is a volume idle"),
        (lambda s: rename_volume(s, SEEN, "data", "a b"), NotPossible, "no name for a volume"),
        (lambda s: delete_volume(s, "data"), Conflict, "is on node n2: detach it first"),
        (lambda s: delete_volume(s, "going"), NotThere, "there is no volume going"),
        (attach("nothing", "n1"), NotThere, "there is no volume nothing"),
        (attach("data", "n9"), NotThere, "there is no node n9 in use"),
        (attach("data", "n3", force=True), Conflict, "no client yet"),
        (lambda s: detach_volume(s, SEEN, "nothing", force=True), NotThere, "there is no volume"),
        (create(node="n2", mount_path="/data"), Conflict, "volume data is mounted at /data of node n2"),
        (attach("idle", "n2", mount_path="/data/"), Conflict, "volume data is mounted at /data of node n2"),
    ],
)  # fmt: skip
def test_a_refusal_says_why_and_changes_nothing(
    request_: Request, error: type[ArtesianError], words: str
) -> None:
    store = MemoryStore(
        {key: body for key, body in changed_documents(FrameworkState(), STATE).items() if body is not None}
    )
    memory = Memory(store)
    before = store.load()
    with pytest.raises(error) as refused:
        memory.change(request_)
    assert words in str(refused.value)
    assert memory.state == STATE
    assert store.load() == before


# --- plans, specs, everything


@pytest.mark.parametrize("text", ["", "engine: embedded", "global_pool: a/b"])
def test_a_ceph_that_was_made_stays_whatever_the_spec_says(text: str) -> None:
    for state in (CEPH_STATE, replace(CEPH_STATE, engine_seen_once=False)):
        with pytest.raises(
            Conflict, match="is Ceph, and no other takes its place: write `engine: ceph` into"
        ):
            requests.set_spec(state, text)


def test_the_kind_of_an_engine_may_change_until_it_is_made() -> None:
    bare = requests.set_spec(FrameworkState(), "engine: ceph")
    assert bare.engine is None
    assert requests.set_spec(bare, "engine: embedded").spec_text == "engine: embedded"


def test_what_is_set_of_ceph_may_change_and_nodes_are_told() -> None:
    before = assignment_of(CEPH_STATE, "n1", "10.0.0.1")
    state = requests.set_spec(CEPH_STATE, "engine: {kind: ceph, osd_memory: 4GiB, heal_after: 5m}")
    after = assignment_of(state, "n1", "10.0.0.1")
    assert after == replace(before, ceph=CephSettings(4 * GIB, 300))
    assert generation_of(after) != generation_of(before)


def test_what_else_is_said_in_a_spec_changes_no_engine() -> None:
    assert requests.set_spec(CEPH_STATE, "engine: ceph\nnew_disks: take").engine == CEPH_STATE.engine
    assert requests.set_spec(STATE, "new_disks: take").engine == STATE.engine


def test_exactly_what_needs_consent_is_approved() -> None:
    decision = bare_decision()
    asked = {step.id for step in decision.plan.steps if step.consent is Consent.NEEDED}
    state = requests.approve(FrameworkState(), decision, decision.plan.id, "me")
    assert state.approval is not None
    assert (set(state.approval.step_ids), state.approval.who) == (asked, "me")
    assert asked < {step.id for step in decision.plan.steps}


def test_a_plan_that_asks_nothing_needs_no_approval() -> None:
    decision = decide(Spec(), Observation(), FrameworkState())
    assert requests.approve(STATE, decision, decision.plan.id, "me") is STATE


def test_a_spec_is_kept_as_it_was_written() -> None:
    assert requests.set_spec(STATE, "new_disks: take  # all\n").spec_text == "new_disks: take  # all\n"
    assert requests.set_spec(STATE, "").spec_text == ""


def test_pausing_and_stopping_are_single_switches() -> None:
    assert changed(lambda s: requests.pause(s, paused=True)) == {"paused"}
    assert requests.pause(requests.pause(STATE, paused=True), paused=False) == STATE
    assert changed(lambda s: requests.stop_everything(s, Stopping.ALL)) == {"stopping"}


# --- nodes and disks


def test_a_node_leaves_and_is_used_again() -> None:
    left = remove_node(STATE, SEEN, "n3")
    assert left.node("n3") == replace(STATE.node("n3"), leaving=True)
    assert add_node(left, SEEN, "n3") == STATE


def test_a_node_of_a_volume_that_is_being_deleted_may_leave() -> None:
    volumes = {"data": replace(STATE.volumes["data"], deleted=True)}
    assert remove_node(replace(STATE, volumes=volumes), SEEN, "n2").node("n2").leaving


def test_maintenance_begins_and_ends() -> None:
    begun = maintain_node(STATE, SEEN, "n1", in_maintenance=True)
    assert begun.node("n1").in_maintenance
    assert maintain_node(begun, SEEN, "n1", in_maintenance=False) == STATE


@pytest.mark.parametrize("name", ["sdb", "/dev/sdb", "/dev/disk/by-id/sdb", "serial:n3-sdb"])
def test_a_disk_is_found_by_every_name(name: str) -> None:
    assert find_disk(STATE, SEEN, "n3", name) == "serial:n3-sdb"
    assert changed(lambda s: remove_disk(s, SEEN, "n3", name)) == {"tombstones/serial:n3-sdb"}


def test_a_disk_that_is_not_seen_is_found_by_its_claim() -> None:
    for name in ("sdb", "/dev/sdb", "serial:n3-sdb"):
        assert find_disk(STATE, Observation(), "n3", name) == "serial:n3-sdb"


def test_removing_a_disk_twice_is_removing_it() -> None:
    removed = remove_disk(STATE, SEEN, "n3", "sdb")
    assert remove_disk(removed, SEEN, "n3", "sdb") is removed
    assert removed.claims == STATE.claims


def test_a_removed_disk_comes_back_once_its_data_has_moved() -> None:
    removed = remove_disk(STATE, SEEN, "n3", "sdc")
    assert return_disk(removed, SEEN, "n3", "sdc") == STATE


# --- volumes


def test_a_new_volume_is_wished_as_it_was_asked_for() -> None:
    assert changed(create()) == {"volumes/fresh"}
    wish = create(node="n1")(STATE).volumes["fresh"]
    assert (wish.pool, wish.size_bytes, wish.node, wish.engine_id) == (POOL, GIB, "n1", None)


def test_a_volume_may_be_wished_before_the_engine_answers() -> None:
    wish = VolumeWish("fresh", PoolName("later", "later"), GIB)
    assert create_volume(STATE, Observation(), wish).volumes["fresh"] == wish


def test_ceph_makes_no_thick_volumes() -> None:
    thick, thin = VolumeWish("fresh", POOL, GIB, thick=True), VolumeWish("fresh", POOL, GIB)
    still_to_be_made = FrameworkState(spec_text="engine: ceph")
    for state in (CEPH_STATE, still_to_be_made):
        with pytest.raises(NotPossible, match="there are no thick volumes, only thin ones"):
            create_volume(state, SEEN, thick)
        assert create_volume(state, SEEN, thin).volumes["fresh"] == thin
    assert create_volume(STATE, SEEN, thick).volumes["fresh"].thick


def test_a_volume_grows() -> None:
    assert changed(lambda s: grow_volume(s, SEEN, "data", 8 * GIB)) == set()
    assert grow_volume(STATE, SEEN, "data", 9 * GIB).volumes["data"].size_bytes == 9 * GIB


def test_a_volume_is_the_same_under_another_name() -> None:
    state = rename_volume(STATE, SEEN, "data", "other")
    assert "data" not in state.volumes
    assert state.volumes["other"] == replace(STATE.volumes["data"], name="other")


def test_a_volume_does_not_take_the_name_of_one_that_is_not_ours() -> None:
    with pytest.raises(Conflict):
        rename_volume(STATE, SEEN, "data", "theirs")


def test_a_volume_that_is_nowhere_is_deleted() -> None:
    assert delete_volume(STATE, "idle").volumes["idle"].deleted


def test_a_volume_moves_without_its_old_mount() -> None:
    wish = attach("data", "n1")(STATE).volumes["data"]
    assert (wish.node, wish.mount_path, wish.forced_from) == ("n1", None, None)


def test_a_volume_that_stays_keeps_its_mount() -> None:
    wish = attach("data", "n2", fstype="xfs")(STATE).volumes["data"]
    assert (wish.node, wish.mount_path, wish.fstype) == ("n2", "/data", "xfs")
    assert attach("data", "n2", mount_path="/other")(STATE).volumes["data"].mount_path == "/other"


def test_force_is_against_the_node_that_has_it_and_never_the_new_one() -> None:
    forced = attach("data", "n1", force=True)(STATE)
    assert forced.volumes["data"].forced_from == "n2"
    assert attach("data", "n2", force=True)(STATE).volumes["data"].forced_from is None
    assert attach("data", "n2")(forced).volumes["data"].forced_from is None


def test_every_stay_on_a_node_has_a_generation_of_its_own() -> None:
    state, generations = STATE, []
    stays: list[Request] = [
        attach("data", "n1", force=True),
        attach("data", "n2"),
        lambda s: detach_volume(s, SEEN, "data", force=True),
        attach("data", "n2"),
    ]
    for request in stays:
        state = request(state)
        generations.append(state.volumes["data"].generation)
    assert generations == [1, 2, 3, 4]
    assert create(node="n1")(STATE).volumes["fresh"].generation == 1


def test_a_limit_of_which_nothing_is_said_stays() -> None:
    state = limit_volume(STATE, "data", 500, 1 << 20)
    assert limit_volume(state, "data", 600, None).volumes["data"].limit_bandwidth_bytes_per_s == 1 << 20
    none = limit_volume(state, "data", 0, None).volumes["data"]
    assert (none.limit_iops, none.limit_bandwidth_bytes_per_s) == (0, 1 << 20)
    assert limit_volume(limit_volume(state, "data", 0, 0), "data", None, None) == STATE


def test_what_stays_on_its_node_keeps_its_generation() -> None:
    state = attach("data", "n1")(STATE)
    for request in (
        attach("data", "n1", mount_path="/other", force=True),
        lambda s: grow_volume(s, SEEN, "data", 9 * GIB),
        lambda s: rename_volume(s, SEEN, "data", "other"),
    ):
        state = request(state)
    assert state.volumes["other"].generation == 1


def test_one_path_serves_one_volume_at_a_time() -> None:
    assert attach("idle", "n1", mount_path="/data")(STATE).volumes["idle"].mount_path == "/data"
    assert attach("data", "n2", mount_path="/data")(STATE).volumes["data"].mount_path == "/data"
    left = detach_volume(STATE, SEEN, "data", force=False)
    assert attach("idle", "n2", mount_path="/data")(left).volumes["idle"].node == "n2"


def test_detaching_leaves_a_volume_nowhere() -> None:
    wish = detach_volume(STATE, SEEN, "data", force=False).volumes["data"]
    assert (wish.node, wish.mount_path, wish.forced_from) == (None, None, None)
    assert detach_volume(STATE, SEEN, "data", force=True).volumes["data"].forced_from == "n2"


def test_force_is_not_forgotten_by_asking_twice() -> None:
    once = detach_volume(STATE, SEEN, "data", force=True)
    assert detach_volume(once, SEEN, "data", force=True) == once


def test_the_only_pool_is_the_default() -> None:
    assert default_pool(SEEN) == POOL
    with pytest.raises(NotThere, match="no storage pool yet"):
        default_pool(Observation())
    two = EngineSeen("abc", pools=(SeenPool("1", POOL), SeenPool("2", PoolName("b", "c"))))
    with pytest.raises(Conflict, match="say which pool: default/default, b/c"):
        default_pool(Observation(engine=two))


def test_the_volume_of_a_drill_goes_with_the_drill() -> None:
    drill = a_drill()
    wish = replace(STATE.volumes["data"], name=drill.volume)
    during = with_drills(STATE.with_volume(wish), drill)
    undoing = with_drills(during, replace(drill, state=DrillState.UNDOING))
    for one in (during, undoing):
        with pytest.raises(Conflict, match="that of a drill"):
            rename_volume(one, SEEN, drill.volume, "mine")
    with pytest.raises(Conflict, match="that of a drill"):
        detach_volume(during, SEEN, drill.volume, force=False)
    assert detach_volume(undoing, SEEN, drill.volume, force=True).volumes[drill.volume].node is None
