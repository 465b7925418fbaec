"""Documents as `lsblk --json --bytes` prints them, of machines as they are."""

from __future__ import annotations

from typing import Any

TB = 1_000_000_000_000
Row = dict[str, Any]


def row(name: str, kind: str = "disk", *, children: list[Row] | None = None, **facts: Any) -> Row:
    """One device. What lsblk knows nothing of is null, and only who has children has that key."""
    mounted_at = facts.pop("mounted_at", None)
    found: Row = {
        "name": name,
        "kname": name,
        "path": f"/dev/{name}",
        "maj:min": "8:0",
        "pkname": None,
        "type": kind,
        "size": 4 * TB,
        "model": None,
        "wwn": None,
        "serial": None,
        "rota": False,
        "ro": False,
        "mountpoints": [mounted_at],
        "fstype": None,
        "pttype": None,
        "parttype": None,
    }
    found.update(facts)
    if children is not None:
        found["children"] = children
    return found


def document(*rows: Row) -> dict[str, Any]:
    return {"blockdevices": list(rows)}


def mapped(kernel_name: str, name: str, kind: str, **facts: Any) -> Row:
    """A device of the device mapper: its path is not that of the kernel."""
    return row(name, kind, kname=kernel_name, path=f"/dev/mapper/{name}", **facts)


def system_nvme() -> Row:
    """An NVMe disk as an installer leaves it."""
    return row(
        "nvme0n1",
        size=512_110_190_592,
        model="SAMSUNG MZVL2512HCJQ-00BL7              ",
        serial="S64KNX0T123456",
        wwn="eui.002538b121b4e5a7",
        pttype="gpt",
        children=[
            row("nvme0n1p1", "part", pkname="nvme0n1", mounted_at="/boot/efi", fstype="vfat", pttype="gpt"),
            row("nvme0n1p2", "part", pkname="nvme0n1", mounted_at="/", fstype="ext4", pttype="gpt"),
        ],
    )


def bare_sata(name: str = "sdb", **facts: Any) -> Row:
    """An SATA disk fresh out of its box."""
    fresh: Row = {
        "model": "ST4000NM002A-2HZ101",
        "serial": "WJG0ABCD",
        "wwn": "0x5000c500c1a2b3d4",
        "rota": True,
    }
    return row(name, **{**fresh, **facts})
