"""The `links` of PowerFlex objects: some clients navigate by them, and by their order."""

from __future__ import annotations

from collections.abc import Sequence


def links(
    type_name: str,
    object_id: str,
    relationships: Sequence[str],
    parents: Sequence[tuple[str, str, str | None]] = (),
) -> list[dict[str, str]]:
    """Self first, then relationships (Statistics first of them), then parents (field, type, id)."""
    here = f"/api/instances/{type_name}::{object_id}"
    found = [{"rel": "self", "href": here}]
    for relationship in relationships:
        found.append(
            {
                "rel": f"/api/{type_name}/relationship/{relationship}",
                "href": f"{here}/relationships/{relationship}",
            }
        )
    for field, parent_type, parent_id in parents:
        if parent_id is not None:
            found.append(
                {
                    "rel": f"/api/parent/relationship/{field}",
                    "href": f"/api/instances/{parent_type}::{parent_id}",
                }
            )
    return found
