"""NBD addresses, `nbd+unix:///NAME?socket=PATH`, and a look at what a server offers under one."""

from __future__ import annotations

import contextlib
import os
import socket
import struct
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from artesian.attach.errors import BadAddress, NoSuchExport

_MAX_NAME_BYTES = 4096
_MAX_REPLY_BYTES = 65536

_GREETING = struct.Struct(">8s8sH")
_OPTION = struct.Struct(">8sII")
_REPLY = struct.Struct(">QIII")
_EXPORT_INFO = struct.Struct(">HQH")
_OPTION_MAGIC = b"IHAVEOPT"
_REPLY_MAGIC = 0x3E889045565A9
_OPTION_ABORT, _OPTION_INFO, _OPTION_GO = 2, 6, 7
_REPLY_ACK, _REPLY_INFO, _REPLY_ERROR = 1, 3, 1 << 31
_INFO_EXPORT = 0

FLAG_READ_ONLY = 1 << 1
FLAG_SEND_FLUSH = 1 << 2
FLAG_SEND_WRITE_ZEROES = 1 << 6


@dataclass(frozen=True, slots=True)
class NbdAddress:
    """One export of an NBD server that listens on a Unix socket."""

    name: str
    socket_path: Path

    @classmethod
    def parse(cls, uri: str) -> NbdAddress:
        """Raises BadAddress."""
        parts = urlsplit(uri)
        if parts.scheme != "nbd+unix" or parts.netloc or parts.fragment:
            raise BadAddress(f"{uri!r} is not an address like nbd+unix:///NAME?socket=PATH")
        key, _, path = parts.query.partition("=")  # by hand: in these addresses a plus sign is a plus sign
        path = unquote(path)
        if key != "socket" or "&" in parts.query or not path.startswith("/"):
            raise BadAddress(f"{uri!r} must name one absolute path, as in nbd+unix:///NAME?socket=PATH")
        name = unquote(parts.path.removeprefix("/"))
        if "\0" in name + path or len(name.encode()) > _MAX_NAME_BYTES:
            raise BadAddress(f"{uri!r} holds a name that no NBD server can have")
        return cls(name, Path(path))

    def __str__(self) -> str:
        return f"nbd+unix:///{quote(self.name, safe='')}?socket={quote(str(self.socket_path))}"


@dataclass(frozen=True, slots=True)
class ExportInfo:
    """`flags` are NBD's transmission flags."""

    size_bytes: int
    flags: int

    @property
    def read_only(self) -> bool:
        return bool(self.flags & FLAG_READ_ONLY)


def look(address: NbdAddress, timeout_s: float = 10.0) -> ExportInfo:
    """Ask the server about the export without opening it. Raises BadAddress, or NoSuchExport."""
    with contextlib.closing(_connect(address, timeout_s)) as connection:
        export = _negotiate(connection, address, _OPTION_INFO)
        with contextlib.suppress(OSError):
            connection.sendall(_OPTION.pack(_OPTION_MAGIC, _OPTION_ABORT, 0))
        return export


def open_export(address: NbdAddress, timeout_s: float = 10.0) -> tuple[socket.socket, ExportInfo]:
    """A connection on which requests may be sent, with simple replies. Raises BadAddress, NoSuchExport."""
    connection = _connect(address, timeout_s)
    try:
        return connection, _negotiate(connection, address, _OPTION_GO)
    except BaseException:
        connection.close()
        raise


def _connect(address: NbdAddress, timeout_s: float) -> socket.socket:
    """By way of the folder's descriptor: a socket's path may be longer than the kernel takes at once."""
    path = address.socket_path
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(timeout_s)
    try:
        try:
            folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        except FileNotFoundError:
            raise NoSuchExport(f"the folder of {path} is gone") from None
        try:
            connection.connect(f"/proc/self/fd/{folder}/{path.name}")
        finally:
            os.close(folder)
    except OSError as error:
        connection.close()
        raise _unreachable(address, error) from None
    except BaseException:
        connection.close()
        raise
    return connection


def _unreachable(address: NbdAddress, error: Exception) -> BadAddress:
    reason = getattr(error, "strerror", None) or str(error) or "no answer"
    return BadAddress(f"no NBD server answers on {address.socket_path}: {reason}")


def _negotiate(connection: socket.socket, address: NbdAddress, option: int) -> ExportInfo:
    try:
        magic, option_magic, server_flags = _GREETING.unpack(_receive(connection, _GREETING.size))
        if magic != b"NBDMAGIC" or option_magic != _OPTION_MAGIC:
            raise BadAddress(f"what listens on {address.socket_path} does not speak NBD")
        connection.sendall(struct.pack(">I", server_flags & 0b11))
        name = address.name.encode()
        body = struct.pack(">I", len(name)) + name + struct.pack(">H", 0)
        connection.sendall(_OPTION.pack(_OPTION_MAGIC, option, len(body)) + body)
        return _read_replies(connection, address)
    except (OSError, struct.error) as error:
        raise _unreachable(address, error) from None


def _read_replies(connection: socket.socket, address: NbdAddress) -> ExportInfo:
    found: ExportInfo | None = None
    while True:
        magic, _option, kind, length = _REPLY.unpack(_receive(connection, _REPLY.size))
        if magic != _REPLY_MAGIC or length > _MAX_REPLY_BYTES:
            raise BadAddress(f"what listens on {address.socket_path} does not speak NBD")
        payload = _receive(connection, length)
        if kind == _REPLY_INFO and len(payload) == _EXPORT_INFO.size:
            info, size_bytes, flags = _EXPORT_INFO.unpack(payload)
            if info == _INFO_EXPORT:
                found = ExportInfo(size_bytes, flags)
        elif kind & _REPLY_ERROR:
            because = payload.decode(errors="replace").strip()
            raise NoSuchExport(
                f"the NBD server on {address.socket_path} has no export {address.name!r}"
                + (f": {because}" if because else "")
            )
        elif kind == _REPLY_ACK:
            break
    if found is None:
        raise BadAddress(f"the NBD server on {address.socket_path} does not tell the size of its export")
    return found


def _receive(connection: socket.socket, length: int) -> bytes:
    data = bytearray()
    while len(data) < length:
        piece = connection.recv(length - len(data))
        if not piece:
            raise ConnectionError("it closed the connection")
        data += piece
    return bytes(data)
