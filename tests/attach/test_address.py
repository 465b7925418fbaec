from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from artesian.attach.address import NbdAddress, look
from artesian.attach.errors import BadAddress, NoSuchExport

from .conftest import MIB, NbdServer


@pytest.mark.parametrize(
    ("name", "path"),
    [("data", "/run/nbd.sock"), ("", "/a b"), ("a/b c?&=%+ü", "/run/x+y&z=%?#"), ("1", "/")],
)
def test_an_address_survives_being_written_and_read(name: str, path: str) -> None:
    address = NbdAddress(name, Path(path))
    assert NbdAddress.parse(str(address)) == address


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "data",
        "nbd://host/data",
        "nbd+unix://host/data?socket=/x",
        "nbd+unix:///data",
        "nbd+unix:///data?socket=relative",
        "nbd+unix:///data?socket=/x&socket=/y",
        "nbd+unix:///data?other=/x",
        "nbd+unix:///data?socket=/x#fragment",
        "nbd+unix:///%00?socket=/x",
        "nbd+unix:///" + "n" * 4097 + "?socket=/x",
    ],
)
def test_what_is_no_address_is_refused(uri: str) -> None:
    with pytest.raises(BadAddress):
        NbdAddress.parse(uri)


def test_a_look_tells_size_and_access(serve: Callable[..., NbdServer]) -> None:
    writable, read_only = serve(5 * MIB), serve(3 * MIB, read_only=True)
    seen = look(NbdAddress.parse(writable.uri))
    assert (seen.size_bytes, seen.read_only) == (5 * MIB, False)
    seen = look(NbdAddress.parse(read_only.uri))
    assert (seen.size_bytes, seen.read_only) == (3 * MIB, True)


def test_nobody_listening_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadAddress, match=r"no NBD server answers on .*/nbd\.sock"):
        look(NbdAddress("x", tmp_path / "nbd.sock"))
    with pytest.raises(NoSuchExport, match=r"the folder of .*/absent/nbd\.sock is gone"):
        look(NbdAddress("x", tmp_path / "absent" / "nbd.sock"))


GREETING = b"NBDMAGICIHAVEOPT\x00\x03"
REPLY = (0x3E889045565A9).to_bytes(8, "big") + (6).to_bytes(4, "big")


@pytest.mark.parametrize(
    ("sent", "error", "words"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", BadAddress, "does not speak NBD"),
        (b"", BadAddress, "closed the connection"),
        (GREETING + b"\0" * 20, BadAddress, "does not speak NBD"),
        (GREETING + REPLY + b"\xff\xff\xff\xff\xff\xff\xff\xff", BadAddress, "does not speak NBD"),
        (GREETING + REPLY + b"\x80\0\0\x06\0\0\0\x04gone", NoSuchExport, "no export 'x': gone"),
        (GREETING + REPLY + b"\0\0\0\x01\0\0\0\0", BadAddress, "does not tell the size"),
    ],
)
def test_a_strange_server_is_refused(tmp_path: Path, sent: bytes, error: type[Exception], words: str) -> None:
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()

        def answer() -> None:
            peer, _ = listener.accept()
            peer.sendall(sent)
            peer.shutdown(socket.SHUT_WR)
            with contextlib.suppress(ConnectionResetError):
                while peer.recv(4096):
                    pass
            peer.close()

        thread = threading.Thread(target=answer)
        thread.start()
        with pytest.raises(error, match=words):
            look(NbdAddress("x", path))
        thread.join()
