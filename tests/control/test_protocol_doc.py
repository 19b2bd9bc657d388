"""docs/protocol.md says what the code does: its tables, and its examples byte by byte."""

from __future__ import annotations

import re
import socket
from pathlib import Path

import pytest

from supervisor_stack.control import codec, messages
from supervisor_stack.control.messages import StatusReply
from supervisor_stack.control.zmtp import Limits, Reader
from tests.control.protocol_tables import tables
from tests.stack import RunningStack

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
    reader = Reader(b"DEALER", {b"ROUTER"}, Limits(size=2**20, frames=2))
    frames: list[bytes] | bytes | None = None

    with (
        RunningStack(tmp_path, "[services.web]\ncommand = ['sleep', '1000']\n") as stack,
        socket.socket(socket.AF_UNIX) as plain,
    ):
        plain.settimeout(10)
        plain.connect(stack.client.endpoint.removeprefix("ipc://"))
        plain.sendall(greeting)
        plain.sendall(request)
        while not isinstance(frames, list):
            if frames is None:
                heard = plain.recv(4096)
                assert heard, "stackd hung up"
                reader.feed(heard)
            frames = reader.next()

    reply = codec.decode_reply(frames)
    assert isinstance(reply, StatusReply)
    assert (reply.id, [service.name for service in reply.services]) == ("1", ["web"])
