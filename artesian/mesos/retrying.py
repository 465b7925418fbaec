"""How long to wait before the next attempt."""

from __future__ import annotations


def delay_s(failures: int, chance: float, first_s: float, most_s: float) -> float:
    """Doubles with each failure up to the most, of which chance (0 to 1) takes up to a half away.

    So many schedulers that lose the same master do not all come back at the same moment.
    """
    doublings = min(failures, 30)
    return min(most_s, first_s * 2.0**doublings) * (1.0 - chance / 2.0)
