"""docs/protocol.md says what the code does: its tables, and its examples byte by byte."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from supervisor_stack.control import codec, messages
from supervisor_stack.control.messages import AnyRequest, Done, Status
from tests.control.protocol_tables import tables
from tests.peer import Peer

DOCUMENT = (Path(__file__).parents[2] / "docs" / "protocol.md").read_text()


def blocks(language: str) -> list[str]:
    """The texts of the fenced blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", DOCUMENT, re.DOTALL | re.MULTILINE)


def dumped(dump: str) -> bytes:
    """The bytes that a hexadecimal dump shows; what stands to their right is for people."""
    return bytes.fromhex("".join(re.findall(r"^((?:[0-9a-f]{2} ?)+)", dump, re.MULTILINE)))


@pytest.mark.parametrize(("name", "table"), tables().items())
def test_a_table_is_what_the_messages_are(name: str, table: str) -> None:
    assert f"<!-- {name} -->\n{table}\n<!-- end of {name} -->" in DOCUMENT, (
        "run: python -m tests.control.protocol_tables"
    )


def test_the_cap_on_requests_is_told() -> None:
    assert f"at most {messages.MAX_REQUEST} bytes" in DOCUMENT


@pytest.mark.parametrize("line", blocks("frames")[0].splitlines())
def test_a_message_of_the_example_is_what_the_codec_makes(line: str) -> None:
    direction, first, second = line.split(" ", 2)
    frames = [first.encode(), second.encode()]

    match direction:
        case "C":
            again = codec.encode_request(codec.decode_request(frames))
        case "S":
            again = codec.encode_reply(codec.decode_reply(frames))
        case _:
            again = codec.encode_notice(codec.decode_notice(frames))
    assert again == frames


def test_the_bytes_of_the_example_are_a_request_and_get_an_answer(tmp_path: Path) -> None:
    greeting, request = map(dumped, blocks("hex"))
    asked: list[AnyRequest] = []

    def script(request: AnyRequest) -> Iterator[Done]:
        asked.append(request)
        yield Done()

    with Peer(tmp_path, script) as peer, socket.socket(socket.AF_UNIX) as plain:
        plain.settimeout(10)
        plain.connect(str(peer.path))
        plain.sendall(greeting)
        assert plain.recv(64, socket.MSG_WAITALL)[:10] == b"\xff\0\0\0\0\0\0\0\x01\x7f"
        plain.sendall(request)
        heard = b""
        while not heard.endswith(b'\x01\x07stack/1\x00\x18{"type":"done","id":"1"}'):
            more = plain.recv(4096)
            assert more, heard
            heard += more

    assert asked == [Status(id="1")]
