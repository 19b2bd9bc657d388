"""stackctl events, once and with -f."""

from __future__ import annotations

import json
import subprocess

from tests.cli.shop import DEADLINE, STACKCTL, Shop, environment, following, lines, notice, stackctl
from tests.peer import Peer, Vanish


def test_events_are_told_with_reason_and_evidence(peer: Peer, shop: Shop) -> None:
    shop.notices = (
        notice(1, "web", "waiting", "starting"),
        notice(2, "web", "running", "backoff", event="ProcessExited", reason="exit status 1", detail=("oh",)),
        notice(3, "web", "running", "running", event="StopRequested"),
    )

    ran = stackctl("--socket", peer.endpoint, "events")

    assert ran == (
        0,
        (
            "2026-11-22T05:45:36.123Z  web  waiting -> starting  Spawned\n"
            "2026-11-22T05:45:36.123Z  web  running -> backoff  ProcessExited  exit status 1\n"
            "  oh\n"
            "2026-11-22T05:45:36.123Z  web  running  StopRequested\n"
        ),
        "",
    )


def test_the_last_events_in_json_are_the_notices(peer: Peer, shop: Shop) -> None:
    shop.notices = tuple(notice(seq, "web", "waiting", "starting") for seq in range(1, 6))

    ran = stackctl("--socket", peer.endpoint, "events", "--json", "-n", "2")

    told = [json.loads(line) for line in ran.out.splitlines()]
    assert [each["seq"] for each in told] == [4, 5]
    assert told[0]["service"] == "web"


def test_events_are_followed(peer: Peer, shop: Shop) -> None:
    shop.notices = (notice(1, "web", "waiting", "starting"),)
    with following("--socket", peer.endpoint, "events", "-f") as process:
        assert lines(process, 1)[0].endswith("waiting -> starting  Spawned\n")

        shop.notices = (*shop.notices, notice(2, "web", "starting", "running"))
        peer.do(shop.notices[-1])

        assert lines(process, 1)[0].endswith("starting -> running  Spawned\n")


def test_events_that_stackd_has_forgotten_are_counted(peer: Peer, shop: Shop) -> None:
    shop.notices = (notice(1, "web", "waiting", "starting"),)
    command = [*STACKCTL, "--socket", peer.endpoint, "events", "-f"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, env=environment()) as process:
        lines(process, 1)

        shop.notices = (notice(9, "web", "starting", "running"),)
        peer.do(shop.notices[-1])
        lines(process, 1)
        peer.do(Vanish())
        _, err = process.communicate(timeout=DEADLINE)

    assert err.splitlines() == [
        "stackd no longer knows the 7 events before the next one",
        f"stackctl: cannot reach stackd at {peer.endpoint}: it is not running",
    ]
    assert process.returncode == 4


def test_a_reader_that_leaves_ends_it_quietly(peer: Peer, shop: Shop) -> None:
    shop.notices = tuple(notice(seq, "web", "waiting", "starting") for seq in range(1, 2000))
    command = [*STACKCTL, "--socket", peer.endpoint, "events", "-n", "2000"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, env=environment()) as process:
        assert process.stdout
        assert process.stderr
        process.stdout.close()

        assert process.stderr.read() == ""
    assert process.returncode == 141
