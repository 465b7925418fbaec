"""Loop devices are found by the files behind them."""

from __future__ import annotations

from pathlib import Path

from artesian.host.loops import loop_devices

MOUNTS = "21 1 254:0 / / rw - ext4 /dev/vda rw\n"


def attach(sys_block: Path, name: str, file: Path) -> None:
    entry = sys_block / name / "loop" / "backing_file"
    entry.parent.mkdir(parents=True)
    entry.write_text(f"{file}\n")


def look(tmp_path: Path, mounts: str) -> list[str]:
    table = tmp_path / "mountinfo"
    table.write_text(mounts)
    return [one for found in loop_devices(tmp_path / "sys", table).values() for one in found]


def test_every_device_of_a_file_is_found(tmp_path: Path) -> None:
    disk = tmp_path / "sdb"
    disk.touch()
    for name in ("loop0", "loop1"):
        attach(tmp_path / "sys", name, disk)
    assert look(tmp_path, MOUNTS) == ["/dev/loop0", "/dev/loop1"]


def test_a_file_that_is_gone_is_passed_over(tmp_path: Path) -> None:
    attach(tmp_path / "sys", "loop0", tmp_path / "gone")
    assert look(tmp_path, MOUNTS) == []


def test_what_a_process_makes_up_is_not_asked_for(tmp_path: Path) -> None:
    """It may stand still, and everybody who asks with it."""
    (tmp_path / "a b").mkdir()
    for number, name in enumerate(("volume", "a b/volume", "volumes")):
        (tmp_path / name).touch()
        attach(tmp_path / "sys", f"loop{number}", tmp_path / name)
    mounted = "".join(
        f"30 21 0:50 / {str(tmp_path / name).replace(' ', chr(92) + '040')} rw - fuse.artesian x rw\n"
        for name in ("volume", "a b")
    )
    assert look(tmp_path, MOUNTS + mounted) == ["/dev/loop2"]
