"""Which volumes there are, as far as was heard: for questions while nobody can be asked."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import structlog

from artesian.host.files import write_durably
from artesian.volumes.ports import Volumes

log = structlog.get_logger()


class KnownVolumes:
    """Kept on the disk, as a node may start when no scheduler does."""

    def __init__(self, path: Path, volumes: Volumes) -> None:
        self._path = path
        self._volumes = volumes
        self._lock = threading.Lock()
        self._digest, self._sizes = self._load()

    def sizes(self) -> dict[str, int]:
        """In bytes, by volume, as they were heard last."""
        return self._sizes

    def refresh(self) -> dict[str, int]:
        """As they are now. Raises SchedulerAway, ArtesianError, OSError."""
        found = self._volumes.known(self._digest)
        if found is not None:
            with self._lock:
                text = json.dumps({"digest": found[0], "volumes": found[1]})
                write_durably(self._path, text + "\n", 0o600)
                self._digest, self._sizes = found
        return self._sizes

    def _load(self) -> tuple[str, dict[str, int]]:
        try:
            document = json.loads(self._path.read_bytes())
            sizes = {str(name): int(size) for name, size in document["volumes"].items()}
            return str(document["digest"]), sizes
        except FileNotFoundError:
            return "", {}
        except (OSError, KeyError, TypeError, ValueError, AttributeError) as error:
            log.error("the known volumes cannot be read", path=str(self._path), reason=str(error))
            return "", {}
