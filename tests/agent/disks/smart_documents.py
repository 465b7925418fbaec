"""What `smartctl --json` (7.2 to 7.4) prints of some disks, shortened to what tells them apart."""

from __future__ import annotations

from typing import Any


def _head(status: int, device: dict[str, str], *messages: str) -> dict[str, Any]:
    head: dict[str, Any] = {
        "json_format_version": [1, 0],
        "smartctl": {"version": [7, 3], "svn_revision": "5338", "exit_status": status},
    }
    if messages:
        head["smartctl"]["messages"] = [{"string": text, "severity": "error"} for text in messages]
    return head | {"device": {"info_name": device["name"], **device}}


def _attribute(number: int, name: str, value: int, worst: int, least: int, raw: str, **more: Any) -> Any:
    return {
        "id": number,
        "name": name,
        "value": value,
        "worst": worst,
        "thresh": least,
        "when_failed": more.get("when_failed", ""),
        "flags": {"value": 51, "string": "PO--CK ", "prefailure": more.get("prefailure", True)},
        "raw": {"value": int(raw.split()[0]), "string": raw},
    }


_SATA = {"name": "/dev/sda", "type": "sat", "protocol": "ATA"}
_NVME = {"name": "/dev/nvme0", "type": "nvme", "protocol": "NVMe"}

SATA_FINE: dict[str, Any] = _head(0, _SATA) | {
    "model_name": "WDC WD40EFRX-68N32N0",
    "smart_support": {"available": True, "enabled": True},
    "smart_status": {"passed": True},
    "ata_smart_attributes": {
        "revision": 16,
        "table": [
            _attribute(1, "Raw_Read_Error_Rate", 200, 200, 51, "0"),
            _attribute(5, "Reallocated_Sector_Ct", 200, 200, 140, "0"),
            _attribute(194, "Temperature_Celsius", 118, 103, 0, "32", prefailure=False),
        ],
    },
    "temperature": {"current": 32},
}

SATA_FAILING: dict[str, Any] = _head(24, _SATA) | {  # bits 3 and 4
    "model_name": "ST3000DM001-1CH166",
    "smart_support": {"available": True, "enabled": True},
    "smart_status": {"passed": False},
    "ata_smart_attributes": {
        "revision": 10,
        "table": [
            _attribute(1, "Raw_Read_Error_Rate", 95, 92, 6, "132918272"),
            _attribute(5, "Reallocated_Sector_Ct", 1, 1, 36, "63880", when_failed="now"),
            _attribute(190, "Airflow_Temperature_Cel", 70, 40, 45, "30 (Min/Max 21/31)", when_failed="past"),
        ],
    },
}

SATA_WITH_A_PAST: dict[str, Any] = _head(0b11100000, _SATA) | {
    "smart_status": {"passed": True},
    "ata_smart_attributes": {
        "table": [_attribute(190, "Airflow_Temperature_Cel", 60, 40, 45, "40", when_failed="past")]
    },
}

NVME_FINE: dict[str, Any] = _head(0, _NVME) | {
    "model_name": "Samsung SSD 970 EVO 500GB",
    "smart_status": {"passed": True, "nvme": {"value": 0}},
    "nvme_smart_health_information_log": {
        "critical_warning": 0,
        "temperature": 39,
        "available_spare": 100,
        "available_spare_threshold": 10,
        "percentage_used": 4,
        "media_errors": 0,
    },
}

NVME_WARNING: dict[str, Any] = _head(8, _NVME) | {
    "smart_status": {"passed": False, "nvme": {"value": 5}},
    "nvme_smart_health_information_log": {
        "critical_warning": 5,
        "available_spare": 3,
        "available_spare_threshold": 10,
        "percentage_used": 97,
        "media_errors": 1290,
    },
}

NVME_TOO_HOT: dict[str, Any] = _head(8, _NVME) | {
    "smart_status": {"passed": False, "nvme": {"value": 2}},
    "nvme_smart_health_information_log": {"critical_warning": 2, "temperature": 86, "percentage_used": 1},
}

NVME_WORN_OUT: dict[str, Any] = _head(0, _NVME) | {
    "smart_status": {"passed": True, "nvme": {"value": 0}},
    "nvme_smart_health_information_log": {"critical_warning": 0, "percentage_used": 104},
}

# A virtio disk, and one of QEMU's SCSI controller.
VIRTUAL: dict[str, Any] = {
    "json_format_version": [1, 0],
    "smartctl": {
        "version": [7, 3],
        "messages": [
            {"string": "/dev/vda: Unable to detect device type", "severity": "error"},
        ],
        "exit_status": 1,
    },
}
VIRTUAL_SCSI: dict[str, Any] = _head(4, {"name": "/dev/sdb", "type": "scsi", "protocol": "SCSI"}) | {
    "scsi_vendor": "QEMU",
    "scsi_product": "QEMU HARDDISK",
    "smart_support": {"available": False},
}

ASLEEP: dict[str, Any] = _head(2, _SATA, "Device is in STANDBY mode, exit(2)")
