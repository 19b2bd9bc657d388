"""What services use, and the replies that tell of it."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import zmq

from supervisor_stack.control.codec import decode_reply, encode_request
from supervisor_stack.control.messages import Status, StatusReply
from supervisor_stack.daemon.proc import children
from supervisor_stack.daemon.status import EncodedStatus
from tests.stack import RunningStack

SLEEPERS = "".join(f"[services.s{n}]\ncommand = ['/bin/sleep', '1000']\n" for n in range(300))
BUSY = "[services.busy]\ncommand = ['/bin/sh', '-c', 'while :; do :; done']\n"
FAMILY = "[services.family]\ncommand = ['/bin/sh', '-c', '/bin/sleep 1000 & /bin/sleep 1000 & wait']\n"


def test_an_encoded_reply_has_the_fields_of_the_message() -> None:
    assert EncodedStatus.__struct_fields__ == StatusReply.__struct_fields__
    assert EncodedStatus.__struct_config__.tag == StatusReply.__struct_config__.tag


def test_the_first_answer_has_the_memory_of_hundreds_of_services(tmp_path: Path) -> None:
    with RunningStack(tmp_path, SLEEPERS) as stack:
        stack.until_up()
        services = stack.status().services

        assert len(services) == 300
        for service in services:
            assert service.pid is not None
            resident = int(Path(f"/proc/{service.pid}/statm").read_text().split()[1]) * os.sysconf(
                "SC_PAGESIZE"
            )
            assert (service.processes, service.memory_bytes) == (1, resident)


def test_a_new_run_is_never_told_with_the_figures_of_the_one_before(tmp_path: Path) -> None:
    with RunningStack(tmp_path, FAMILY) as stack:
        stack.until_up()
        while stack.status().services[0].processes != 3:
            pass
        os.kill(stack.pid_of("family"), signal.SIGSTOP)
        (before,) = stack.status().services
        os.kill(stack.pid_of("family"), signal.SIGKILL)
        stack.until_run("family", 2)
        (after,) = stack.status().services

        assert (before.processes, after.run) == (3, 2)
        assert after.pid is not None
        assert after.processes <= 1 + len(list(children(after.pid)))


def test_a_busy_service_is_seen_to_be_busy(tmp_path: Path) -> None:
    with RunningStack(tmp_path, BUSY) as stack:
        stack.until_up()
        assert stack.status().services[0].cpu_percent == 0.0
        for _ in iter(lambda: (stack.status().services[0].cpu_percent or 0) > 10, True):
            pass


def test_words_that_are_not_utf8_are_shown_all_the_same(tmp_path: Path) -> None:
    script = "exec sh -c 'sleep 1000; :' \"$(printf '\\\\377')\""
    with RunningStack(tmp_path, f'[services.odd]\ncommand = [\'sh\', \'-c\', """{script}"""]\n') as stack:
        stack.until_up()
        while stack.service("odd").processes < 2:
            pass
        detail = stack.service("odd").detail

    assert detail is not None
    assert any("\ufffd" in process.command for process in detail.tree)


def test_requests_that_come_while_figures_are_taken_are_all_answered(tmp_path: Path) -> None:
    with RunningStack(tmp_path, SLEEPERS) as stack, zmq.Context() as context:
        stack.until_up()
        with context.socket(zmq.DEALER) as client:
            client.connect(stack.client.endpoint)
            wanted = [(f"s{n}",) if n % 2 else () for n in range(40)]
            for number, services in enumerate(wanted):
                client.send_multipart(encode_request(Status(id=str(number), services=services)))
            replies = [decode_reply(client.recv_multipart()) for _ in wanted]

    told = {reply.id: reply.services for reply in replies if isinstance(reply, StatusReply)}
    assert [len(told[str(number)]) for number in range(40)] == [1 if names else 300 for names in wanted]
    assert all(service.processes == 1 for services in told.values() for service in services)
