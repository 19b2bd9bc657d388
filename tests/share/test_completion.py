"""What bash, zsh and fish offer for a command line of stackctl."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from supervisor_stack.cli.grammar import VERBS
from supervisor_stack.control.states import STATES
from tests.share.conftest import SERVICES
from tests.share.shells import Fish, Shell, Zsh
from tests.stack import HEAD, RunningStack

NAMES = ["0_a--b", "celery.beat-2", "web"]
COMMON = {"--help", "--json", "--no-color", "--host", "--socket", "--version"}


def long_options(shell: Shell, line: str) -> set[str]:
    """The options that begin with two dashes; zsh says with a = that a value follows."""
    return {option.rstrip("=") for option in shell.offers(f"{line} --")}


def test_verbs(shell: Shell) -> None:
    assert shell.offers("stackctl ") == sorted(VERBS)
    assert shell.offers("stackctl st") == ["start", "status", "stop"]
    assert shell.offers("stackctl --json --socket ipc:///x st") == ["start", "status", "stop"]


@pytest.mark.parametrize("words", ["-c stop", "-cstop", "--socket stop", "--socket=stop"])
def test_the_value_of_an_option_is_no_verb(shell: Shell, words: str) -> None:
    assert shell.offers(f"stackctl {words} ev") == ["events"]


def test_options_before_a_verb_and_after_it(shell: Shell) -> None:
    assert long_options(shell, "stackctl") == COMMON
    assert long_options(shell, "stackctl stop") == COMMON | {"--cascade", "--no-wait", "--timeout"}
    assert long_options(shell, "stackctl shutdown") == COMMON | {"--keep-services", "--no-wait", "--timeout"}
    assert {"-c", "-f", "-n"} <= set(shell.offers("stackctl logs -"))


def test_an_option_is_not_offered_twice(shell: Shell) -> None:
    offered = long_options(shell, "stackctl stop --cascade --timeout 3 --json")

    # fish leaves that to its user, for every command.
    left = set() if isinstance(shell, Fish) else {"--cascade", "--timeout", "--json"}
    assert offered & left == set()
    assert "--no-wait" in offered


def test_values(shell: Shell) -> None:
    assert shell.offers("stackctl wait --for ") == sorted(STATES)
    assert shell.offers("stackctl wait web --for rel") == ["reloading"]
    assert shell.offers("stackctl signal USR") == ["USR1", "USR2"]
    assert shell.offers("stackctl signal SIGUSR") == ["SIGUSR1", "SIGUSR2"]
    assert shell.offers("stackctl --socket ") == []
    assert shell.offers("stackctl stop --timeout ") == []


def test_a_value_behind_an_equals_sign(shell: Shell) -> None:
    if isinstance(shell, Fish):
        assert shell.offers("stackctl wait --for=rel") == ["--for=reloading"]
    else:
        assert shell.completed("stackctl wait --for=rel").rstrip() == "stackctl wait --for=reloading"


def test_files(shell: Shell) -> None:
    (shell.folder / "for the shop.toml").touch()
    if isinstance(shell, Fish):
        assert shell.offers("stackctl -c for") == ["for the shop.toml"]
        assert shell.offers("stackctl status -c ~/for") == ["~/for the shop.toml"]
    else:
        assert shell.completed("stackctl -c for").rstrip() == r"stackctl -c for\ the\ shop.toml"
        assert shell.completed("stackctl status -c ~/for").rstrip() == (
            r"stackctl status -c ~/for\ the\ shop.toml"
        )


@pytest.mark.parametrize("words", ["list >of", "list > of", "start web 2>of", "start web >> of"])
def test_files_that_the_output_goes_to(shell: Shell, words: str) -> None:
    (shell.folder / "of-the-shop.log").touch()

    assert shell.completed(f"stackctl -c none.toml {words}").rstrip().endswith("of-the-shop.log")


class TestServices:
    """Their names, of a stackd that runs."""

    def test_each_verb_gets_what_it_takes(self, shell: Shell, stack: RunningStack) -> None:
        line = f"stackctl -c {stack.config}"

        assert shell.offers(f"{line} start ") == sorted([*NAMES, "all"])
        assert shell.offers(f"{line} status ") == NAMES
        assert shell.offers(f"{line} stop 0") == ["0_a--b"]
        assert shell.offers(f"{line} logs -n 5 cel") == ["celery.beat-2"]
        assert shell.offers(f"{line} signal HUP ") == NAMES
        assert shell.offers(f"{line} nonsense w") == []
        assert shell.offers(f"{line} events w") == []

    def test_none_is_offered_again(self, shell: Shell, stack: RunningStack) -> None:
        line = f"stackctl -c {stack.config}"

        assert shell.offers(f"{line} stop web ") == ["0_a--b", "celery.beat-2"]
        assert shell.offers(f"{line} stop web --timeout 3 0_a--b c") == ["celery.beat-2"]
        assert shell.offers(f"{line} stop {' '.join(NAMES)} ") == []
        assert shell.offers(f"{line} stop all w") == []
        assert shell.offers(f"{line} is-active web c") == []
        if not isinstance(shell, Fish):  # which tells no redirection from an argument
            assert shell.offers(f"{line} is-active >/dev/null 2> /dev/null c") == ["celery.beat-2"]

    @pytest.mark.parametrize(
        "line",
        [
            "stackctl -c {config} stop w",
            "stackctl -c{config} stop w",
            "stackctl stop -c {config} w",
            "stackctl stop 0_a--b -c {config} w",
            "stackctl --socket ipc://{folder}/run/control.sock stop w",
            "stackctl stop --socket=ipc://{folder}/run/control.sock w",
            "stackctl --json -c none.toml -c {config} stop --no-wait w",
            "{bin}/stackctl -c {config} stop w",
            "NO_COLOR=1 stackctl -c {config} stop w",
            "time stackctl -c {config} stop w",
            "true; stackctl -c {config} stop w",
        ],
    )
    def test_they_are_those_of_the_stack_that_the_line_is_for(
        self, shell: Shell, stack: RunningStack, bin_: Path, line: str
    ) -> None:
        assert shell.offers(line.format(config=stack.config, folder=stack.folder, bin=bin_)) == ["web"]

    @pytest.mark.parametrize(
        "written", ["'a stack.toml'", '"a stack.toml"', r"a\ stack.toml", r"~/a\ stack.toml"]
    )
    def test_the_file_may_be_written_as_shells_write_it(
        self, shell: Shell, stack: RunningStack, written: str
    ) -> None:
        (shell.folder / "a stack.toml").write_text(stack.config.read_text())

        assert shell.offers(f"stackctl -c {written} stop w") == ["web"]

    def test_nothing_on_the_line_is_executed(self, shell: Shell, stack: RunningStack) -> None:
        trap = shell.folder / "trap"

        shell.offers(f"stackctl -c $(touch {trap}) -c {stack.config} stop ")
        shell.offers(f"stackctl -c ';touch {trap};' stop ")

        assert not trap.exists()

    def test_stackd_is_asked_for_names_only(self, shell: Shell, stack: RunningStack, bin_: Path) -> None:
        (bin_ / "asked").unlink(missing_ok=True)

        shell.offers("stackctl st")
        shell.offers("stackctl stop --")
        assert not (bin_ / "asked").exists()

        shell.offers(f"stackctl -c {stack.config} stop ")
        assert (bin_ / "asked").read_text().splitlines() == [f"list -c {stack.config}"]


class TestWithoutStackd:
    """What is offered all the same; and that nothing is said."""

    def test_the_names_are_those_of_the_file(self, shell: Shell) -> None:
        folder = shell.folder
        (folder / "down.toml").write_text(HEAD.format(run=folder / "run", log=folder / "log") + SERVICES)

        assert shell.offers("stackctl -c down.toml start ") == sorted([*NAMES, "all"])

    def test_without_a_file_there_are_none(self, shell: Shell) -> None:
        assert shell.offers("stackctl -c none.toml start ") == ["all"]
        assert shell.offers("stackctl -c none.toml is-active ") in ([], ["--help"])

    def test_the_terminal_shows_no_complaint(self, shell: Shell) -> None:
        shell.offers("stackctl -c none.toml status ")

        assert b"cannot" not in shell.shown


def test_shellcheck_has_nothing_against_the_script_for_bash(share: Path) -> None:
    script = share / "bash-completion/completions/stackctl"

    ran = subprocess.run(["shellcheck", "--shell=bash", script], check=False, capture_output=True, text=True)

    assert (ran.returncode, ran.stdout) == (0, "")


def test_descriptions_are_the_summaries(share: Path, bin_: Path, tmp_path: Path) -> None:
    with Fish(share, tmp_path, bin_) as fish:
        assert fish.described("stackctl ") == {name: verb.summary for name, verb in VERBS.items()}
        assert fish.described("stackctl stop --cas") == {"--cascade": "also those who need them, in order"}
    with Zsh(share, tmp_path, bin_) as zsh:
        zsh.completed("stackctl st\t")
        for name in ("start", "status", "stop"):
            assert VERBS[name].summary.encode() in zsh.shown
