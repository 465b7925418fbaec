"""Names of statistics that clients expect to find although they are always zero here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

CAPACITY_TYPES = frozenset({"System", "ProtectionDomain", "FaultSet", "StoragePool", "Sds", "Device"})

# What is neither zero nor an empty rate or list when it means nothing.
DEFAULTS: Mapping[str, Any] = {
    "aggregateCompressionLevel": "Uncompressed",
    "compressionRatio": 1.0,
    "compressedDataCompressionRatio": 1.0,
    "thinAndSnapshotRatio": 1.0,
    "overallUsageRatio": 1.0,
    "persistentChecksumBuilderProgress": 100.0,
    "replicationState": "UnmarkedForReplication",
    "replicationJournalVolume": False,
    "initiatorSdcId": None,
    "registrationKey": None,
    "registrationKeys": [],
    "reservationType": "NotReserved",
    "rfcacheReadsSkipped": 0,
}

_KINDS = ("fwdRebuild", "bckRebuild", "normRebuild", "rebalance")
_JOBS = (
    "activeMovingInFwdRebuildJobs",
    "activeMovingInBckRebuildJobs",
    "activeMovingInNormRebuildJobs",
    "activeMovingInRebalanceJobs",
    "activeMovingOutFwdRebuildJobs",
    "activeMovingOutBckRebuildJobs",
    "activeMovingOutNormRebuildJobs",
    "activeMovingRebalanceJobs",
    "pendingMovingInFwdRebuildJobs",
    "pendingMovingInBckRebuildJobs",
    "pendingMovingInNormRebuildJobs",
    "pendingMovingInRebalanceJobs",
    "pendingMovingOutFwdRebuildJobs",
    "pendingMovingOutBckRebuildJobs",
    "pendingMovingOutNormrebuildJobs",  # spelt so by PowerFlex
    "pendingMovingRebalanceJobs",
)
_CAPACITIES = (
    "degradedHealthyVacInKb",
    "degradedFailedVacInKb",
    "failedVacInKb",
    "semiProtectedVacInKb",
    "inMaintenanceVacInKb",
    "rmPendingAllocatedInKb",
    "rmPendingThickInKb",
    "tempCapacityInKb",
    "tempCapacityVacInKb",
    "trimmedUserDataCapacityInKb",
    "netTrimmedUserDataCapacityInKb",
    "metadataOverheadInKb",
    "netMetadataOverheadInKb",
    "netSnapshotCapacityInKb",
    "exposedCapacityInKb",
    "inaccessibleCapacityInKb",
    "persistentChecksumCapacityInKb",
)
_COUNTS = (
    "numOfMappedToAllVolumes",
    "numOfVolumesInDeletion",
    "numOfMigratingVolumes",
    "numOfMigratingVtrees",
    "numOfIncomingVtreeMigrations",
    "numOfOutgoingMigrations",
    "numOfReplicationJournalVolumes",
    "numOfDeviceAtFaultRebuilds",
    "BackgroundScannedInMB",
    "backgroundScanReadErrorCount",
    "backgroundScanFixedReadErrorCount",
    "backgroundScanCompareErrorCount",
    "backgroundScanFixedCompareErrorCount",
    "rmcacheSizeInKb",
)

ALWAYS_SHOWN: tuple[str, ...] = (
    *(f"{kind}{suffix}" for kind in _KINDS for suffix in ("CapacityInKb", "ReadBwc", "WriteBwc")),
    *_JOBS,
    *_CAPACITIES,
    *_COUNTS,
    "primaryReadFromDevBwc",
    "secondaryReadFromDevBwc",
    "primaryReadFromRmcacheBwc",
    "secondaryReadFromRmcacheBwc",
    "volMigrationReadBwc",
    "volMigrationWriteBwc",
    "spSdsIds",
    "migratingVtreeIds",
    "migratingVolumeIds",
)
