"""Whole clusters in a simulated world, with the real decision code, and faults drawn from a seed.

Real: the scheduler's pass (`Scheduler.one_pass`), strategies, planner, guard, `Actor`, `Memory`, `Reports`,
`Remediator` with all rules and remedies, the provider of spare disks, the codec, the requests of users and
the assignments. Simulated: the substrate and its nodes with their disks, the agents, the engine, a cloud that
makes disks, the store and the clock. There are no threads and no sleeps: the actor's pool is a
serial one (`scheduler.py`), so a seed gives the same run every time.

    world.py        one cluster: clock, nodes, engine, store, scheduler; one tick is one second
    nodes.py        nodes, disks and the substrate          agents.py     what an agent does in a second
    system.py       what the engine is                      engine.py     the engine's port, with faults
    store.py        a store that kills the scheduler        scheduler.py  the real scheduler, made serial
    watch.py        what must never happen (design, section 8), checked at every change and after every pass
    rules.py        names of rules
    scale.py        a large cluster without faults, and a watch in hand
    drill.py        a seed: events.py happen, then they stop, and the cluster has to become healthy

Remedies, with rules, budgets and providers, have drills of their own: hours in them instead of minutes.

    cloud.py        a provider of disks, with faults        calls.py      answers that come later
    remedy_watch.py what remedies must never do             remedy_events.py, remedy_drill.py

`python -m tests.simulation --seeds 1000 [--first 0] [--nodes 6] [--ticks 150] [--remedies]` runs many seeds,
prints those that fail, and for how many simulated hours at least one fault was active.
"""
