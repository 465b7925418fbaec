"""RecordIO, the framing of Mesos' event streams: the length in decimal, a newline, and as many bytes."""

from __future__ import annotations

# Far more than any event has; a length beyond it is no length.
_LONGEST_RECORD_BYTES = 1 << 30
_LONGEST_HEADER_BYTES = len(str(_LONGEST_RECORD_BYTES))


def encode(record: bytes) -> bytes:
    """A record as it is sent."""
    return b"%d\n" % len(record) + record


class Decoder:
    """Makes records of bytes, which may be cut anywhere."""

    def __init__(self) -> None:
        self._held = bytearray()
        self._wanted_bytes: int | None = None

    @property
    def is_between_records(self) -> bool:
        """Whether nothing is held of a record that is not complete: a stream may end here."""
        return not self._held and self._wanted_bytes is None

    def feed(self, data: bytes) -> list[bytes]:
        """The records that are complete with these bytes. Raises ValueError if they are not RecordIO."""
        self._held += data
        records: list[bytes] = []
        position = 0
        while True:
            if self._wanted_bytes is None:
                end = self._held.find(b"\n", position, position + _LONGEST_HEADER_BYTES + 1)
                if end < 0:
                    self._check_header(self._held[position : position + _LONGEST_HEADER_BYTES + 1])
                    break
                self._wanted_bytes = _length(bytes(self._held[position:end]))
                position = end + 1
            if len(self._held) - position < self._wanted_bytes:
                break
            records.append(bytes(self._held[position : position + self._wanted_bytes]))
            position += self._wanted_bytes
            self._wanted_bytes = None
        del self._held[:position]
        return records

    def _check_header(self, start: bytearray) -> None:
        """What is no length is told at once, rather than when there is a newline at last."""
        if len(start) > _LONGEST_HEADER_BYTES or (start and not start.isdigit()):
            raise ValueError(f"{bytes(start)!r} is not the length of a record")


def _length(header: bytes) -> int:
    if not header.isdigit() or int(header) > _LONGEST_RECORD_BYTES:
        raise ValueError(f"{header!r} is not the length of a record")
    return int(header)
