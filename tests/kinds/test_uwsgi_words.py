"""What is shown of the words of the real uWSGI when it does not start: what explains it, and little else."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from supervisor_stack.core.evidence import excerpt, telling_line, without
from supervisor_stack.kinds.uwsgi import KIND
from tests.kinds.uwsgi_instance import APPLICATION, Site

NOT_LOADED = "unable to load app 0 (mountpoint='') (callable not found or import error)"


def last_words(folder: Path, options: str, application: str = APPLICATION, args: Sequence[str] = ()) -> str:
    with Site(folder, f"socket = %dapp.sock\n{options}", application) as site:
        run = site.start_as(site.facts(*args))
        assert run.wait() in (1, 22)
        return run.words


def shown(words: str) -> tuple[str, ...]:
    return excerpt(without(words.splitlines(), KIND.chatter))


def test_an_application_that_cannot_be_imported(tmp_path: Path) -> None:
    words = last_words(tmp_path, "", "import no_such_module\n")

    assert shown(words) == (
        "Traceback (most recent call last):",
        f'  File "{tmp_path}/app/site_under_test.py", line 1, in <module>',
        "    import no_such_module",
        "ModuleNotFoundError: No module named 'no_such_module'",
        NOT_LOADED,
    )


def test_a_module_without_the_callable(tmp_path: Path) -> None:
    words = last_words(tmp_path, "", "app = None\n")

    assert shown(words) == (f"chdir() to {tmp_path}/app", NOT_LOADED)


@pytest.mark.parametrize(
    ("options", "telling", "lines"),
    [
        (
            "need-plugin = nosuch",
            "!!! UNABLE to load uWSGI plugin: ./nosuch_plugin.so: cannot open shared",
            3,
        ),
        ("socket = %dnone/app.sock", "bind(): No such file or directory [core/", 2),
        ("chdir = %dnone", "chdir(): No such file or directory [core/", 2),
        ("strict = true\nsocet = :1", "[strict-mode] unknown config directive: socet", 1),
    ],
)
def test_its_own_mistakes(tmp_path: Path, options: str, telling: str, lines: int) -> None:
    found = shown(last_words(tmp_path, options))

    assert telling_line(found).startswith(telling)
    assert len(found) == lines


def test_an_option_that_does_not_exist(tmp_path: Path) -> None:
    found = shown(last_words(tmp_path, "", args=("--no-such-option",)))

    assert len(found) == 2
    assert found[0].endswith(": unrecognized option '--no-such-option'")
    assert found[1] == "getopt_long() error"


def test_nothing_but_chatter_comes_of_a_start_that_is_well(tmp_path: Path) -> None:
    with Site(tmp_path, "socket = %dapp.sock") as site:
        run = site.start()
        run.wait_for_workers(1)
        left = without(run.words.splitlines(), KIND.chatter)

    assert left == (f"chdir() to {tmp_path}/app",)
