"""`--json` on every verb: one object, or lines of them, as docs/schema says, whatever goes wrong.

A new verb is one entry of CASES, and one of OUTPUTS in cli/shapes.py.
"""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import jsonschema
import pytest

from supervisor_stack import __version__
from supervisor_stack.cli import stackctl as program
from supervisor_stack.cli.grammar import VERBS
from supervisor_stack.cli.shapes import OUTPUTS
from supervisor_stack.control.messages import Accepted, Failed, Finished, PlanReply
from supervisor_stack.control.parts import Detail, Outcome, Times
from supervisor_stack.control.plans import Change, KeyChange, Plan
from tests.cli.schemas import FOLDER, Schema, schemas, text
from tests.cli.shop import DEADLINE, SINCE, STACKCTL, Ran, Shop, environment, node, notice, service, stackctl
from tests.peer import Peer, Vanish

CHANGE = Change(
    what="changed",
    service="web",
    keys=(KeyChange(key="nice", before=None, after="5"),),
    effect="restart",
    why="!",
)
PLAN = Plan(source="/etc/stackd/stackd.toml", changes=(CHANGE,))
ACCEPTED = Accepted(op=17, services=("db", "web"), plan=PLAN)
DB = Outcome(service="db", state="running")
GOOD = Finished(op=17, ok=True, outcomes=(DB, Outcome(service="web", state="running")))
FAILED = Outcome(service="web", state="failed", error="exit status 1", detail=("!",))
BAD = Finished(
    op=17,
    ok=False,
    outcomes=(DB, FAILED),
)
SEEN = Times(asked=SINCE, begun=SINCE, spawned=SINCE, ready=SINCE)


class Case(NamedTuple):
    """How to test a verb. `good`: arguments with which it answers. `unknown`: those that name a service that
    does not exist; None: it takes none. `alone`: what it does not need stackd for.

    `is_query`: whether it asks, and has one exit code for "there is nobody to ask". `prints`: whether it has
    anything to print for programs; one that has not, refuses.
    """

    good: tuple[tuple[str, ...], ...] = ((),)
    unknown: tuple[str, ...] | None = None
    is_query: bool = True
    alone: bool = False
    prints: bool = True


_ACTION = Case((("web",), ("all",), ("web", "--no-wait")), ("wbe",), is_query=False)
CASES = {
    "status": Case(((), ("web",)), ("wbe",)),
    "list": Case(),
    "start": _ACTION,
    "stop": _ACTION,
    "restart": _ACTION,
    "reload": _ACTION,
    "apply": Case(((), ("--no-wait",)), is_query=False),
    "logs": Case((("web",), ("-n", "1")), ("wbe",)),
    "top": Case(prints=False),
    "events": Case(((), ("-n", "1"))),
    "graph": Case(((), ("web",)), ("wbe",)),
    "explain": Case((("web",),), ("wbe",)),
    "blame": Case(((), ("web",)), ("wbe",)),
    "check": Case(alone=True, is_query=False),
    "is-active": Case((("web",),), ("wbe",)),
    "wait": Case((("web",), ("all", "--for", "running")), ("wbe",)),
    "signal": Case((("HUP", "web"),), ("HUP", "wbe"), is_query=False),
    "reset": Case((("web",), ("all",)), ("wbe",), is_query=False),
    "shutdown": Case((("--no-wait",),), is_query=False),
    "keygen": Case((("--server",),), alone=True, is_query=False),
    "version": Case(),
}
TALKING = [verb for verb, case in CASES.items() if case.prints and not case.alone]
NAMING = [verb for verb, case in CASES.items() if case.unknown is not None]
OPERATIONS = ("start", "stop", "restart", "reload", "apply", "shutdown")


def arguments(verb: str) -> tuple[str, ...]:
    return CASES[verb].good[0]


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    """Two services with logs, events and a start, and whatever is asked of them succeeds."""
    log = tmp_path / "web.log"
    log.write_text("[22/Nov/2026:05:45:36 +0000] hello\nagain\n")
    shop = Shop(service("db"), service("web", detail=Detail(log_to="file", log=str(log))))
    shop.notices = (notice(1, "web", "waiting", "starting"), notice(2, "web", "starting", "running"))
    shop.nodes = (node("db", times=SEEN), node("web", requires=("db",), times=SEEN))
    return shop


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A configuration without mistakes."""
    file = tmp_path / "stackd.toml"
    file.write_text(f"[stack]\nname = 'shop'\nruntime_dir = '{tmp_path}/run'\nlog_dir = '{tmp_path}/log'\n")
    with file.open("a") as more:
        more.write("[services.web]\ncommand = ['true']\n")
    return file


# The schemas.


def test_every_verb_has_a_case_and_a_shape() -> None:
    assert set(CASES) == set(VERBS)
    assert list(OUTPUTS) == list(VERBS)


@pytest.mark.parametrize(("name", "schema"), schemas().items())
def test_a_schema_is_what_the_types_say(name: str, schema: Schema) -> None:
    jsonschema.Draft202012Validator.check_schema(schema)
    assert (FOLDER / f"{name}.json").read_text() == text(schema), "run: python -m tests.cli.schemas"


def test_there_is_no_schema_of_a_verb_that_there_is_not() -> None:
    assert {path.stem for path in FOLDER.glob("*.json")} == {*VERBS, "hosts"}


def validator(verb: str) -> jsonschema.Draft202012Validator:
    """Judges what a verb prints by its file in docs/schema. There a field may be added; here it may not, or
    what is printed beside the types would never be seen."""
    read: Schema = json.loads((FOLDER / f"{verb}.json").read_text())
    for part in read["$defs"].values():
        part["additionalProperties"] = False
    return jsonschema.Draft202012Validator(read)


def printed(verb: str, ran: Ran) -> list[Any]:
    """What it printed, each line of it valid; only a stream may have several, or none."""
    found = [json.loads(line) for line in ran.out.splitlines()]
    for each in found:
        validator(verb).validate(each)
    assert len(found) == 1 or OUTPUTS[verb].is_stream, ran.out
    return found


def failure(verb: str, ran: Ran) -> Any:
    """The error that it printed last, with nothing on stderr."""
    *_, last = printed(verb, ran)
    assert last["ok"] is False
    assert last["v"] == 1
    assert ran.err == ""
    return last["error"]


# Successes.


@pytest.mark.parametrize(
    ("verb", "words"), [(verb, words) for verb in TALKING for words in CASES[verb].good], ids=" ".join
)
def test_what_succeeds_is_as_the_schema_says(
    peer: Peer, shop: Shop, verb: str, words: tuple[str, ...]
) -> None:
    if verb in OPERATIONS:
        shop.operation = (ACCEPTED, GOOD)

    ran = stackctl("--socket", peer.endpoint, "--json", verb, *words)

    told = printed(verb, ran)
    assert (ran.code, ran.err) == (0, "")
    assert told
    if not OUTPUTS[verb].is_stream:
        assert ran.out.startswith('{"v":1,"ok":true')


@pytest.mark.parametrize("verb", [verb for verb, case in CASES.items() if case.alone])
def test_what_needs_no_stackd_succeeds_without_one(config: Path, verb: str) -> None:
    ran = stackctl("-c", config, "--json", verb, *arguments(verb))

    (told,) = printed(verb, ran)
    assert (told["ok"], ran.code, ran.err) == (True, 0, "")


@pytest.mark.parametrize("verb", [verb for verb, case in CASES.items() if not case.prints])
def test_what_is_for_people_alone_refuses(peer: Peer, verb: str) -> None:
    ran = stackctl("--socket", peer.endpoint, "--json", verb)

    assert failure(verb, ran)["kind"] == "bad-request"
    assert ran.code == 2


# Failures, each of every verb that may meet it.


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("where", ["before", "after", "=1"])
def test_a_mistake_in_the_command_line(verb: str, where: str) -> None:
    words = {
        "before": ("--json", verb, "--nonsense"),
        "after": (verb, "--nonsense", "--json"),
        "=1": (verb, "--json=1"),
    }[where]

    ran = stackctl(*words)

    assert failure(verb, ran)["kind"] == "bad-request"
    assert ran.code == 2


def test_the_own_version_is_told_with_the_failure(tmp_path: Path) -> None:
    ran = stackctl("--socket", f"ipc://{tmp_path}/control.sock", "--json", "version")

    assert (ran.json["ok"], ran.json["stackctl"]) == (False, __version__)


@pytest.mark.parametrize("verb", TALKING)
def test_no_stackd(tmp_path: Path, verb: str) -> None:
    ran = stackctl("--socket", f"ipc://{tmp_path}/control.sock", "--json", verb, *arguments(verb))

    assert failure(verb, ran)["kind"] == "not-running"
    assert ran.code == (4 if CASES[verb].is_query else 7)


@pytest.mark.parametrize("verb", TALKING)
def test_an_endpoint_that_is_none(verb: str) -> None:
    ran = stackctl("--socket", "/run/control.sock", "--json", verb, *arguments(verb))

    assert failure(verb, ran)["kind"] == "bad-request"
    assert ran.code == 2


@pytest.mark.parametrize("verb", [*TALKING, "check"])
def test_a_configuration_that_is_wrong(config: Path, verb: str) -> None:
    config.write_text("[stack\n")

    ran = stackctl("-c", config, "--json", verb, *arguments(verb))

    assert failure(verb, ran)["kind"] == "config-invalid"
    assert ran.code == (4 if CASES[verb].is_query else 6)


@pytest.mark.parametrize("verb", NAMING)
def test_a_service_that_there_is_not(peer: Peer, shop: Shop, verb: str) -> None:
    if verb in (*OPERATIONS, "signal", "reset"):
        shop.operation = (Failed(error="unknown-service", message="no service `wbe`; did you mean web?"),)

    ran = stackctl("--socket", peer.endpoint, "--json", verb, *(CASES[verb].unknown or ()))

    assert failure(verb, ran) == {
        "kind": "unknown-service", "message": "no service `wbe`; did you mean web?", "detail": [],
    }  # fmt: skip
    assert ran.code == 4


class Answering:
    """The same answer to whatever is asked."""

    def __init__(self, *steps: Any) -> None:
        self._steps = steps

    def __call__(self, _request: object) -> Iterator[Any]:
        yield from self._steps


@pytest.mark.parametrize("verb", TALKING)
@pytest.mark.parametrize(
    ("step", "kind", "code"),
    [
        (Failed(error="not-permitted", message="cannot do that: you are nobody"), "not-permitted", 4),
        (Failed(error="refused", message="cannot do that: not now"), "refused", 1),
        (Failed(error="internal", message="cannot serve the request: internal error"), "internal", 1),
        ([b"stack/2", b"{}"], "protocol-version", 1),
        ([b"stack/1", b"{"], "protocol-version", 1),
        (Vanish(), "not-running", None),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_stackd_that_answers_with_a_failure(
    peer: Peer, verb: str, step: Any, kind: str, code: int | None
) -> None:
    peer.script = Answering(step)

    ran = stackctl("--socket", peer.endpoint, "--json", verb, *arguments(verb))

    assert failure(verb, ran)["kind"] == kind
    assert ran.code == (code or (4 if CASES[verb].is_query else 7))


def started(peer: Peer, verb: str, *words: str) -> subprocess.Popen[str]:
    command = [*STACKCTL, "--socket", peer.endpoint, "--json", verb, *arguments(verb), *words]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, env=environment())


def ended(process: subprocess.Popen[str]) -> Ran:
    out, err = process.communicate(timeout=DEADLINE)
    return Ran(process.returncode, out, err)


def test_a_stackd_that_is_silent(peer: Peer) -> None:
    peer.script = Answering()
    # All of them wait at once. For apply that is a minute: stackd looks at many files.
    running = {verb: started(peer, verb) for verb in TALKING if verb != "apply"}

    for verb, process in running.items():
        ran = ended(process)
        assert failure(verb, ran)["kind"] == "timed-out", verb
        # `wait` is told how long to wait; for the others silence is as good as nobody.
        assert ran.code == (4 if CASES[verb].is_query and verb != "wait" else 124), verb


@pytest.mark.parametrize("verb", TALKING)
def test_an_interruption(peer: Peer, verb: str) -> None:
    peer.script = Answering()
    with started(peer, verb) as process:
        assert peer.asked.wait(DEADLINE)
        process.send_signal(signal.SIGINT)
        ran = ended(process)

    assert failure(verb, ran)["kind"] == "interrupted"
    assert ran.code == 130


@pytest.mark.parametrize("verb", OPERATIONS)
def test_an_operation_that_fails(peer: Peer, shop: Shop, verb: str) -> None:
    shop.operation = (ACCEPTED, BAD)
    words = () if verb in ("apply", "shutdown") else ("web",)

    ran = stackctl("--socket", peer.endpoint, "--json", verb, *words)

    assert failure(verb, ran)["kind"] == "failed"
    assert ran.json["op"] == 17
    assert [each["error"] for each in ran.json["services"]] == ["", "exit status 1"]
    assert ran.code == 1


@pytest.mark.parametrize("verb", OPERATIONS)
def test_an_operation_that_takes_too_long(peer: Peer, shop: Shop, verb: str) -> None:
    shop.operation = (ACCEPTED,)
    words = () if verb in ("apply", "shutdown") else ("web",)

    ran = stackctl("--socket", peer.endpoint, "--json", verb, *words, "--timeout", "0.1")

    assert failure(verb, ran)["kind"] == "timed-out"
    assert ran.code == 124


@pytest.mark.parametrize("verb", ["wait"])
def test_waiting_that_takes_too_long_or_is_in_vain(peer: Peer, shop: Shop, verb: str) -> None:
    shop.services["web"] = service("web", "starting")
    late = stackctl("--socket", peer.endpoint, "--json", verb, "web", "--timeout", "0.1")
    shop.services["web"] = service("web", "failed")
    vain = stackctl("--socket", peer.endpoint, "--json", verb, "web")

    assert (failure(verb, late)["kind"], late.code) == ("timed-out", 124)
    assert (failure(verb, vain)["kind"], vain.code) == ("failed", 3)


def test_a_plan(peer: Peer, shop: Shop) -> None:
    shop.operation = (PlanReply(plan=PLAN),)

    ran = stackctl("--socket", peer.endpoint, "--json", "apply", "--plan")

    (told,) = printed("apply", ran)
    assert (told["ok"], ran.code) == (True, 1)


def test_a_status_that_is_watched_is_a_stream(peer: Peer) -> None:
    with started(peer, "status", "--watch") as process:
        assert process.stdout
        first = json.loads(process.stdout.readline())
        process.send_signal(signal.SIGINT)
        ran = ended(process)

    validator("status").validate(first)
    assert (first["ok"], failure("status", ran)["kind"], ran.code) == (True, "interrupted", 130)


def test_a_signal_that_is_none(peer: Peer) -> None:
    ran = stackctl("--socket", peer.endpoint, "--json", "signal", "HUPP", "web")

    assert (failure("signal", ran)["kind"], ran.code) == ("bad-request", 2)


def test_the_names_of_a_stack_whose_stackd_is_away(config: Path) -> None:
    ran = stackctl("-c", config, "--json", "list")

    assert failure("list", ran)["kind"] == "not-running"
    assert (ran.json["services"], ran.code) == (["web"], 4)


def test_a_key_that_is_there_already(config: Path) -> None:
    words = ("-c", config, "--json", "keygen", "--server")
    assert stackctl(*words).code == 0

    ran = stackctl(*words)

    assert (failure("keygen", ran)["kind"], ran.code) == ("refused", 1)


# Streams: what failed comes last, after what could be shown.


def test_a_log_that_cannot_be_read_is_told_at_the_end(peer: Peer, shop: Shop, tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "log").symlink_to(tmp_path / name / "log")
    shop.services["db"] = service("db", detail=Detail(log=str(tmp_path / "one" / "log")))

    one = stackctl("--socket", peer.endpoint, "--json", "logs")
    shop.services["more"] = service("more", detail=Detail(log=str(tmp_path / "two" / "log")))
    both = stackctl("--socket", peer.endpoint, "--json", "logs")

    cause = f"cannot read {tmp_path}/one/log of db: Too many levels of symbolic links"
    assert failure("logs", one) == {"kind": "internal", "message": cause, "detail": []}
    assert [each.get("line") for each in printed("logs", one)][1:] == ["again", None]
    assert failure("logs", both) == {
        "kind": "internal",
        "message": "cannot show 2 logs",
        "detail": [cause, cause.replace("one", "two").replace("of db", "of more")],
    }
    assert (one.code, both.code) == (1, 1)


@pytest.mark.parametrize("verb", ["logs", "events"])
def test_a_stream_that_is_interrupted_ends_with_that(peer: Peer, verb: str) -> None:
    with started(peer, verb, "-f") as process:
        assert process.stdout
        first = process.stdout.readline()
        process.send_signal(signal.SIGINT)
        ran = ended(process)
        validator(verb).validate(json.loads(first))

    assert failure(verb, ran)["kind"] == "interrupted"
    assert ran.code == 130


def test_events_end_with_the_error_when_stackd_goes(peer: Peer) -> None:
    with started(peer, "events", "-f") as process:
        assert process.stdout
        process.stdout.readline()
        process.stdout.readline()
        peer.do(Vanish())
        ran = ended(process)

    assert failure("events", ran)["kind"] == "not-running"
    assert ran.code == 4


# What no verb can help.


def test_words_that_are_not_utf8(peer: Peer, config: Path, tmp_path: Path) -> None:
    name = b"\xff".decode(errors="surrogateescape")
    asked = stackctl("--socket", peer.endpoint, "--json", "status", name)
    missing = stackctl("-c", tmp_path / name, "--json", "status")
    strange = config.rename(tmp_path / name)
    checked = stackctl("-c", strange, "--json", "check")

    assert failure("status", asked)["kind"] == "bad-request"
    assert failure("status", missing)["kind"] == "config-invalid"
    assert checked.json["config"] == str(strange)
    assert (asked.code, missing.code, checked.code) == (2, 4, 0)


def test_a_mistake_of_ours_is_an_object_too(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def fail(_options: object) -> int:
        raise RuntimeError("that was not foreseen")

    monkeypatch.setattr("supervisor_stack.cli.verbs.version", fail)
    with pytest.raises(RuntimeError):
        program.main(["--json", "version"])

    told = failure("version", Ran(1, capfd.readouterr().out, ""))
    assert (told["kind"], told["detail"]) == ("internal", ["RuntimeError: that was not foreseen"])


def test_help_is_for_people() -> None:
    assert stackctl("--json", "status", "-h").out.startswith("usage: ")
