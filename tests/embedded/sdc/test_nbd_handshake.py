"""Option haggling, as the protocol's document has it."""

from __future__ import annotations

import errno
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from artesian.embedded.sdc.nbd_constants import (
    GREETING,
    IHAVEOPT,
    NBD_CMD_BLOCK_STATUS,
    NBD_FLAG_CAN_MULTI_CONN,
    NBD_FLAG_READ_ONLY,
    NBD_FLAG_SEND_DF,
    NBD_FLAG_SEND_FAST_ZERO,
    NBD_FLAG_SEND_FLUSH,
    NBD_FLAG_SEND_FUA,
    NBD_FLAG_SEND_TRIM,
    NBD_FLAG_SEND_WRITE_ZEROES,
    NBD_INFO_BLOCK_SIZE,
    NBD_INFO_DESCRIPTION,
    NBD_INFO_EXPORT,
    NBD_INFO_NAME,
    NBD_OPT_ABORT,
    NBD_OPT_EXPORT_NAME,
    NBD_OPT_EXTENDED_HEADERS,
    NBD_OPT_GO,
    NBD_OPT_INFO,
    NBD_OPT_LIST,
    NBD_OPT_LIST_META_CONTEXT,
    NBD_OPT_SET_META_CONTEXT,
    NBD_OPT_STARTTLS,
    NBD_OPT_STRUCTURED_REPLY,
    NBD_REP_ACK,
    NBD_REP_ERR_INVALID,
    NBD_REP_ERR_POLICY,
    NBD_REP_ERR_TOO_BIG,
    NBD_REP_ERR_UNKNOWN,
    NBD_REP_ERR_UNSUP,
    NBD_REP_INFO,
    NBD_REP_META_CONTEXT,
    NBD_REP_SERVER,
    NBDMAGIC,
    OPTION,
    U32,
)
from tests.embedded.sdc.nbd_memory import MemoryExport
from tests.embedded.sdc.nbd_wire import (
    BOTH_CLIENT_FLAGS,
    Answers,
    Wire,
    context_data,
    go_data,
    handshake,
    option,
    option_replies,
    request,
    string,
)

SIZE = 12345678
EVERYTHING = (
    NBD_FLAG_SEND_FLUSH
    | NBD_FLAG_SEND_FUA
    | NBD_FLAG_SEND_TRIM
    | NBD_FLAG_SEND_WRITE_ZEROES
    | NBD_FLAG_SEND_FAST_ZERO
    | NBD_FLAG_CAN_MULTI_CONN
)


def wire(*, read_only: bool = False) -> Wire:
    """A client that has been greeted and has sent its flags."""
    connection = Wire(MemoryExport("vol", SIZE, read_only=read_only), MemoryExport("other", 4096))
    connection.feed(BOTH_CLIENT_FLAGS)
    connection.take()
    return connection


def replies_to(connection: Wire, number: int, data: bytes = b"") -> list[tuple[int, bytes]]:
    """(type, data) of the replies to one option."""
    connection.feed(option(number, data))
    replies = option_replies(connection.take())
    assert all(replied == number for replied, _, _ in replies)
    return [(kind, text) for _, kind, text in replies]


def kinds(replies: list[tuple[int, bytes]]) -> list[int]:
    return [kind for kind, _ in replies]


def test_the_server_speaks_first_and_offers_fixed_newstyle_without_padding() -> None:
    assert Wire().take() == GREETING.pack(NBDMAGIC, IHAVEOPT, 3)


@pytest.mark.parametrize("flags, padding", [(1, 124), (3, 0), (0, 124), (2, 0)])
def test_export_name_answers_with_size_and_flags(flags: int, padding: int) -> None:
    connection = Wire(MemoryExport("vol", SIZE))
    connection.feed(U32.pack(flags) + option(NBD_OPT_EXPORT_NAME, b"vol"))
    answer = connection.take()[GREETING.size :]
    size, transmission_flags = struct.unpack_from(">QH", answer)
    assert size == SIZE
    assert transmission_flags == 1 | EVERYTHING
    assert answer[10:] == bytes(padding)


@pytest.mark.parametrize("name", [b"nothing", b"\xff\xfe", b"x" * 70000])
def test_export_name_of_an_export_that_is_not_there_ends_the_connection(name: bytes) -> None:
    connection = wire()
    connection.feed(option(NBD_OPT_EXPORT_NAME, name))
    assert connection.take() == b""
    assert connection.transport.closed


def test_go_describes_the_export_and_begins() -> None:
    connection = wire()
    replies = replies_to(connection, NBD_OPT_GO, go_data("vol"))
    assert kinds(replies) == [NBD_REP_INFO, NBD_REP_ACK]
    assert replies[0][1] == struct.pack(">HQH", NBD_INFO_EXPORT, SIZE, 1 | EVERYTHING)
    assert connection.connection.export is connection.exports("vol")


def test_info_tells_what_was_asked_for_and_does_not_begin() -> None:
    connection = wire()
    wanted = (NBD_INFO_EXPORT, NBD_INFO_NAME, NBD_INFO_DESCRIPTION, NBD_INFO_BLOCK_SIZE, 77)
    replies = replies_to(connection, NBD_OPT_INFO, go_data("vol", *wanted))
    assert kinds(replies) == [NBD_REP_INFO] * 4 + [NBD_REP_ACK]
    found = {struct.unpack_from(">H", data)[0]: data[2:] for _, data in replies[:4]}
    assert found[NBD_INFO_NAME] == b"vol"
    assert b"vol" in found[NBD_INFO_DESCRIPTION]
    assert struct.unpack(">III", found[NBD_INFO_BLOCK_SIZE]) == (1, 4096, 32 << 20)
    assert connection.connection.export is None


def test_unfragmented_reads_are_offered_with_structured_replies_only() -> None:
    connection = wire()
    replies_to(connection, NBD_OPT_STRUCTURED_REPLY)
    replies = replies_to(connection, NBD_OPT_GO, go_data("vol"))
    assert struct.unpack(">HQH", replies[0][1])[2] == 1 | EVERYTHING | NBD_FLAG_SEND_DF


def test_a_read_only_export_says_so_and_offers_no_changes() -> None:
    replies = replies_to(wire(read_only=True), NBD_OPT_INFO, go_data("vol"))
    flags = struct.unpack(">HQH", replies[0][1])[2]
    assert flags == 1 | NBD_FLAG_READ_ONLY | NBD_FLAG_SEND_FLUSH | NBD_FLAG_SEND_FUA | NBD_FLAG_CAN_MULTI_CONN


@pytest.mark.parametrize("number", [NBD_OPT_INFO, NBD_OPT_GO])
def test_after_an_unknown_export_the_client_may_ask_for_another(number: int) -> None:
    connection = wire()
    assert kinds(replies_to(connection, number, go_data("nothing"))) == [NBD_REP_ERR_UNKNOWN]
    assert kinds(replies_to(connection, NBD_OPT_GO, go_data("other"))) == [NBD_REP_INFO, NBD_REP_ACK]


def test_list_names_all_exports() -> None:
    replies = replies_to(wire(), NBD_OPT_LIST)
    assert replies == [(NBD_REP_SERVER, string("vol")), (NBD_REP_SERVER, string("other")), (NBD_REP_ACK, b"")]


def test_abort_is_acknowledged_before_the_end() -> None:
    connection = wire()
    assert kinds(replies_to(connection, NBD_OPT_ABORT, b"goodbye")) == [NBD_REP_ACK]
    assert connection.transport.closed


@pytest.mark.parametrize(
    "number, expected",
    [
        (NBD_OPT_STARTTLS, NBD_REP_ERR_POLICY),
        (NBD_OPT_EXTENDED_HEADERS, NBD_REP_ERR_UNSUP),
        (4, NBD_REP_ERR_UNSUP),
        (0xFFFFFFFF, NBD_REP_ERR_UNSUP),
    ],
)
def test_what_the_server_cannot_do_is_refused_and_haggling_goes_on(number: int, expected: int) -> None:
    connection = wire()
    ((kind, message),) = replies_to(connection, number)
    assert kind == expected and message.decode().isprintable() and message
    assert kinds(replies_to(connection, NBD_OPT_GO, go_data("vol")))[-1] == NBD_REP_ACK


MALFORMED = [
    (NBD_OPT_LIST, b"x"),
    (NBD_OPT_STARTTLS, b"x"),
    (NBD_OPT_STRUCTURED_REPLY, b"x"),
    *(
        (number, data)
        for number in (NBD_OPT_INFO, NBD_OPT_GO)
        for data in (
            b"",
            b"\0\0",
            U32.pack(4) + b"vol",
            U32.pack(0xFFFFFFFF) + b"vol",
            U32.pack(5000) + b"x" * 5000 + b"\0\0",
            string("vol"),
            string("vol") + b"\0",
            string("vol") + b"\0\2\0\1",
            go_data("vol", 1) + b"\0",
            U32.pack(2) + b"\xff\xfe" + b"\0\0",
        )
    ),
    *(
        (number, data)
        for number in (NBD_OPT_LIST_META_CONTEXT, NBD_OPT_SET_META_CONTEXT)
        for data in (
            b"",
            string("vol"),
            string("vol") + U32.pack(1),
            string("vol") + U32.pack(0xFFFFFFFF) + string("base:"),
            context_data("vol", "base:allocation") + b"x",
            string("vol") + U32.pack(1) + U32.pack(20) + b"base:",
        )
    ),
]


@pytest.mark.parametrize("number, data", MALFORMED)
def test_a_malformed_option_is_invalid_and_haggling_goes_on(number: int, data: bytes) -> None:
    connection = wire()
    if number != NBD_OPT_STRUCTURED_REPLY:
        replies_to(connection, NBD_OPT_STRUCTURED_REPLY)
    assert kinds(replies_to(connection, number, data)) == [NBD_REP_ERR_INVALID]
    assert kinds(replies_to(connection, NBD_OPT_GO, go_data("vol")))[-1] == NBD_REP_ACK


def test_an_option_that_is_too_long_is_refused_and_passed_over() -> None:
    connection = wire()
    assert kinds(replies_to(connection, NBD_OPT_INFO, bytes(1 << 20))) == [NBD_REP_ERR_TOO_BIG]
    assert kinds(replies_to(connection, NBD_OPT_GO, go_data("vol")))[-1] == NBD_REP_ACK


@pytest.mark.parametrize("said", [U32.pack(4), U32.pack(0x80000003), BOTH_CLIENT_FLAGS + bytes(OPTION.size)])
def test_a_client_that_speaks_something_else_is_left(said: bytes) -> None:
    connection = Wire(MemoryExport("vol", SIZE))
    connection.feed(said)
    assert connection.transport.closed
    assert connection.take() == GREETING.pack(NBDMAGIC, IHAVEOPT, 3)


# --- metadata contexts


@pytest.mark.parametrize("number", [NBD_OPT_LIST_META_CONTEXT, NBD_OPT_SET_META_CONTEXT])
def test_contexts_need_structured_replies_and_an_export(number: int) -> None:
    connection = wire()
    data = context_data("vol", "base:allocation")
    assert kinds(replies_to(connection, number, data)) == [NBD_REP_ERR_INVALID]
    replies_to(connection, NBD_OPT_STRUCTURED_REPLY)
    assert kinds(replies_to(connection, number, context_data("nothing"))) == [NBD_REP_ERR_UNKNOWN]
    replies = replies_to(connection, number, data)
    assert kinds(replies) == [NBD_REP_META_CONTEXT, NBD_REP_ACK]
    assert replies[0][1][4:] == b"base:allocation"


@pytest.mark.parametrize(
    "queries, listed, selected",
    [
        ((), True, False),
        (("base:",), True, False),
        (("base:other", "qemu:dirty-bitmap:x", "base:allocation"), True, True),
        (("qemu:allocation-depth",), False, False),
    ],
)
def test_queries_list_and_select_contexts(queries: tuple[str, ...], listed: bool, selected: bool) -> None:
    connection = wire()
    replies_to(connection, NBD_OPT_STRUCTURED_REPLY)
    for number, found in ((NBD_OPT_LIST_META_CONTEXT, listed), (NBD_OPT_SET_META_CONTEXT, selected)):
        replies = replies_to(connection, number, context_data("vol", *queries))
        assert kinds(replies) == [NBD_REP_META_CONTEXT] * found + [NBD_REP_ACK]


@pytest.mark.parametrize(
    "data, works",
    [
        (context_data("vol", "base:allocation"), True),
        (context_data("other", "base:allocation"), False),
        (context_data("vol"), False),
        (context_data("nothing", "base:allocation"), False),
        (b"malformed", False),
    ],
)
def test_the_last_selection_counts_and_only_for_its_own_export(data: bytes, works: bool) -> None:
    connection = wire()
    replies_to(connection, NBD_OPT_STRUCTURED_REPLY)
    replies_to(connection, NBD_OPT_SET_META_CONTEXT, context_data("vol", "base:allocation"))
    replies_to(connection, NBD_OPT_SET_META_CONTEXT, data)
    replies_to(connection, NBD_OPT_GO, go_data("vol"))
    answers = Answers(structured=True)
    connection.feed(answers.expect(request(NBD_CMD_BLOCK_STATUS, 1, 0, 4096)))
    answers.take(connection.take())
    assert answers.finished[1].error == (0 if works else errno.EINVAL)


# --- anything at all

messages = st.one_of(
    st.binary(max_size=60),
    st.builds(
        option,
        st.integers(0, 14) | st.integers(0, 2**32 - 1),
        st.one_of(
            st.binary(max_size=40),
            st.just(go_data("vol", 3)),
            st.just(context_data("vol", "base:allocation")),
        ),
    ),
    st.builds(
        lambda number, length, data: OPTION.pack(IHAVEOPT, number, length) + data,
        st.integers(1, 11),
        st.integers(0, 2**32 - 1),
        st.binary(max_size=40),
    ),
)


@given(st.sampled_from([BOTH_CLIENT_FLAGS, U32.pack(1), b""]), st.lists(messages, max_size=8), st.data())
def test_no_bytes_in_no_fragments_upset_the_handshake(
    flags: bytes, said: list[bytes], data: st.DataObject
) -> None:
    whole, cut = Wire(MemoryExport("vol", SIZE)), Wire(MemoryExport("vol", SIZE))
    stream = flags + b"".join(said)
    whole.feed(stream)
    cuts = iter(lambda: data.draw(st.integers(1, 40)), None)
    cut.feed(stream, cuts)
    assert cut.take() == whole.take()
    for connection in (whole, cut):
        assert not connection.transport.aborted, "aborting is for our own faults"
    assert cut.transport.closed == whole.transport.closed


@given(st.integers(0, 200), st.integers(0, 255), st.booleans())
def test_a_changed_byte_is_answered_or_ends_the_connection(at: int, value: int, go: bool) -> None:
    said = bytearray(handshake("vol", go=go))
    said[at % len(said)] = value
    connection = Wire(MemoryExport("vol", SIZE))
    connection.feed(bytes(said))
    assert not connection.transport.aborted
    assert connection.take().startswith(GREETING.pack(NBDMAGIC, IHAVEOPT, 3))
