"""The command line itself, and where it finds stackd."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from supervisor_stack.cli.arguments import parse
from supervisor_stack.cli.grammar import VERBS
from supervisor_stack.errors import RequestError
from tests.cli.shop import DEADLINE, STACKCTL, Shop, environment, notice, stackctl
from tests.peer import Peer

COMMON = "[-c FILE | --socket ENDPOINT | --host NAME[,NAME…]] [--json] [--no-color]"


def test_options_stand_before_the_verb_after_it_and_among_names() -> None:
    before = parse(["--json", "-c", "f", "--no-color", "stop", "a", "b"])
    after = parse(["stop", "a", "--json", "b", "-c", "f", "--no-color"])

    for options in (before, after):
        assert (options.json, options.config, options.no_color) == (True, "f", True)
        assert list(options.services) == ["a", "b"]


def test_the_later_of_two_wins() -> None:
    assert parse(["-c", "first", "status", "-c", "second"]).config == "second"


@pytest.mark.parametrize(
    ("words", "cause"),
    [
        (["statu"], "no verb `statu`; did you mean status?"),
        (["aply"], "no verb `aply`; did you mean apply?"),
        (["start"], "the following arguments are required: SERVICE|all"),
        (["is-active"], "the following arguments are required: SERVICE"),
        (["is-active", "a", "b"], "unrecognized arguments: b"),
        (["status", "--cascade"], "unrecognized arguments: --cascade"),
        (["--jso", "status"], "unrecognized arguments: --jso"),
        (
            ["stop", "a", "--timeout", "soon"],
            "argument --timeout: invalid duration (such as 5, 5s, 2m) value: 'soon'",
        ),
        (
            ["stop", "a", "--timeout", "-1"],
            "argument --timeout: invalid duration (such as 5, 5s, 2m) value: '-1'",
        ),
        (
            ["stop", "a", "--timeout", "nan"],
            "argument --timeout: invalid duration (such as 5, 5s, 2m) value: 'nan'",
        ),
        (["logs", "-n", "-3"], "argument -n: invalid count value: '-3'"),
        (["-c"], "argument -c: expected one argument"),
        (["start", "all", "web"], "`all` stands alone: it means every service"),
        (["reset", "web", "all"], "`all` stands alone: it means every service"),
        (["wait", "web", "--for", "active", "all"], "`all` stands alone: it means every service"),
    ],
)
def test_a_mistake_is_named(words: list[str], cause: str) -> None:
    with pytest.raises(RequestError) as caught:
        parse(words)

    assert caught.value.message == f"cannot understand the command line: {cause}"


def test_a_mistake_is_2_and_shows_the_usage_of_the_verb() -> None:
    assert stackctl("is-active") == (
        2,
        "",
        (
            "stackctl: cannot understand the command line: the following arguments are required: SERVICE\n"
            f"  usage: stackctl {COMMON} is-active SERVICE\n"
        ),
    )


def test_a_mistake_in_json_is_an_object() -> None:
    ran = stackctl("strat", "--json")

    assert ran.json == {
        "v": 1,
        "ok": False,
        "error": {
            "kind": "bad-request",
            "message": "cannot understand the command line: no verb `strat`; did you mean start?",
            "detail": [f"usage: stackctl {COMMON} VERB [ARGUMENT…]"],
        },
    }
    assert (ran.code, ran.err) == (2, "")


def test_help_lists_every_verb() -> None:
    ran = stackctl("--help")

    assert ran.code == 0
    listed = {line.split()[0] for line in ran.out.splitlines() if line.startswith("  ") and line.strip()}
    assert set(VERBS) <= listed


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help(verb: str) -> None:
    assert stackctl(verb, "-h").out.startswith(f"usage: stackctl {COMMON} {verb}")


@pytest.mark.parametrize(
    ("text", "seconds"), [("5", 5), ("0.5", 0.5), ("5s", 5), ("2m", 120), ("500ms", 0.5)]
)
def test_a_duration_is_written_as_in_the_configuration(text: str, seconds: float) -> None:
    assert parse(["start", "all", "--timeout", text]).timeout == seconds
    assert parse(["top", "--interval", text]).period == seconds


@pytest.mark.parametrize("words", [(), ("status",), ("help",)])
def test_help_is_a_word_too(words: tuple[str, ...]) -> None:
    asked = ("-h",) if words in ((), ("help",)) else (*words, "-h")

    assert stackctl("help", *words) == stackctl(*asked)


def test_help_of_no_verb_is_a_mistake() -> None:
    ran = stackctl("help", "statu")

    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith("stackctl: cannot understand the command line: no verb `statu`; did you mean")


FULL = Path("/dev/full")


@pytest.mark.parametrize(
    "words",
    [("status",), ("--json", "status"), ("status", "web"), ("events",), ("--json", "events"), ("--help",)],
)
def test_output_that_cannot_be_written_is_an_error(peer: Peer, shop: Shop, words: tuple[str, ...]) -> None:
    shop.notices = tuple(notice(seq, "web", "waiting", "starting") for seq in range(1, 200))
    with FULL.open("wb") as full:
        ran = subprocess.run(
            [*STACKCTL, "--socket", peer.endpoint, *words],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            env=environment(),
            timeout=DEADLINE,
            check=False,
        )

    assert (ran.returncode, ran.stderr) == (
        1,
        "stackctl: cannot write the output: No space left on device\n",
    )


def configuration(folder: Path, endpoint: str) -> Path:
    file = folder / "stackd.toml"
    file.write_text(f"[stack]\nname = 'shop'\n[control]\nsocket = '{endpoint}'\n")
    return file


def test_the_configuration_tells_where_stackd_is(peer: Peer, tmp_path: Path) -> None:
    file = configuration(tmp_path, peer.endpoint)

    assert stackctl("-c", file, "is-active", "web").out == "running\n"
    assert stackctl("is-active", "web", STACKD_CONFIG=str(file)).out == "running\n"


def test_socket_goes_before_the_configuration(peer: Peer, tmp_path: Path) -> None:
    words = ("-c", tmp_path / "none.toml", "--socket", peer.endpoint, "is-active", "web")

    assert stackctl(*words).out == "running\n"


@pytest.mark.parametrize(
    ("words", "code"),
    [((), 4), (("wait", "web"), 4), (("graph",), 4), (("start", "web"), 6), (("apply",), 6), (("check",), 6)],
)
def test_a_configuration_that_is_not_there_is_6_and_for_a_query_nobody_to_ask(
    tmp_path: Path, words: tuple[str, ...], code: int
) -> None:
    ran = stackctl("-c", tmp_path / "none.toml", *words)

    assert ran.code == code
    assert ran.err.startswith(f"stackctl: cannot read the configuration {tmp_path}/none.toml: ")


def test_where_nobody_listens_it_is_said_how_stackd_is_started(tmp_path: Path) -> None:
    file = configuration(tmp_path, f"ipc://{tmp_path}/none.sock")

    assert stackctl("-c", file, "start", "web") == (
        7,
        "",
        (
            f"stackctl: cannot reach stackd at ipc://{tmp_path}/none.sock: it is not running\n"
            f"  start it with: stackd -c {file}\n"
        ),
    )


@pytest.mark.parametrize(
    ("endpoint", "code"), [("tcp://127.0.0.1:9", 2), ("/run/x.sock", 2), ("ipc:///nowhere/x.sock", 4)]
)
def test_an_endpoint_where_nobody_can_be(endpoint: str, code: int) -> None:
    assert stackctl("--socket", endpoint).code == code


def test_another_version_of_the_protocol_is_told(peer: Peer, shop: Shop) -> None:
    shop.operation = ([b"stack/2", b"{}"],)

    ran = stackctl("--socket", peer.endpoint, "start", "web")

    assert ran == (
        1,
        "",
        "stackctl: cannot understand stackd: it speaks 'stack/2', and this stackctl speaks 'stack/1'\n",
    )
