"""What requests have in common that carry a document."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class Request(BaseModel):
    """What is not known is refused: a word that is misspelt must not do something else."""

    model_config = ConfigDict(extra="forbid")


class VolumeRequest(Request):
    """What every new volume has. Limits are for a second; 0: none."""

    name: str
    size_bytes: int
    pool: str | None = None
    thick: bool = False
    fstype: str | None = Field(default=None, pattern="^(ext4|xfs)$")
    limit_iops: int = 0
    limit_bandwidth_bytes_per_s: int = 0
