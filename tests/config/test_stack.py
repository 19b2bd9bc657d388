"""The stack as a whole: its folders, its sockets, and the cheap way to find them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from supervisor_stack.config import load, locate
from supervisor_stack.errors import ConfigError
from supervisor_stack.spec import ControlSpec, Grant, StackSpec
from tests.config.sites import GROUP, USER, Site

ROOT = Path(__file__).parents[2]
SAMPLE = ROOT / "etc" / "stackd.toml"
WORKER = '[services.worker]\ncommand = ["celery", "worker"]\n'


def test_an_almost_empty_file_gets_the_defaults(site: Site) -> None:
    stack = site.load(WORKER)

    assert stack == StackSpec(
        name="site",
        base_dir=str(site.folder),
        runtime_dir="/run/stackd",
        log_dir="/var/log/stackd",
        control=ControlSpec(socket="ipc:///run/stackd/control.sock", events="ipc:///run/stackd/events.sock"),
        services=stack.services,
        source=str(site.file),
    )


def test_relative_folders_are_below_base_dir(site: Site) -> None:
    (site.folder / "sockets").mkdir()
    stack = site.load(f"""
[stack]
name = "br_api"
base_dir = "bin/.."
runtime_dir = "run"
log_dir = "./log"
[control]
socket = "ipc://sockets/stackd.sock"
group = "{GROUP}"
{WORKER}""")

    # `..` is left to the kernel: behind a symbolic link only it knows where that leads.
    base = f"{site.folder}/bin/.."
    assert (stack.name, stack.base_dir, stack.runtime_dir) == ("br_api", base, f"{base}/run")
    assert stack.log_dir == f"{base}/log"
    assert stack.control == ControlSpec(
        socket=f"ipc://{base}/sockets/stackd.sock",
        events=f"ipc://{base}/sockets/events.sock",
        group=GROUP,
        grants=(Grant(role="view", name=f"@{GROUP}", number=os.getegid()),),
    )


def test_the_folder_of_a_linked_file_is_that_of_the_link(site: Site) -> None:
    elsewhere = site.folder / "bin" / "linked.toml"
    elsewhere.symlink_to(site.write(WORKER))

    assert load(elsewhere, site.environ).base_dir == str(site.folder / "bin")


def test_a_relative_path_of_the_file_becomes_absolute(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.write(WORKER)
    monkeypatch.chdir(site.folder)

    stack = load("stackd.toml", site.environ)

    assert (stack.source, stack.base_dir) == (str(site.file), str(site.folder))


def test_services_keep_the_order_of_the_file(site: Site) -> None:
    stack = site.load("".join(f'[services.{name}]\ncommand = ["celery"]\n' for name in "cab"))

    assert [service.name for service in stack.services] == ["c", "a", "b"]


def test_a_byte_order_mark_and_windows_line_ends_do_no_harm(site: Site) -> None:
    assert site.load("\ufeff" + WORKER.replace("\n", "\r\n")) == site.load(WORKER)


def test_mistakes_of_a_file_with_windows_line_ends_have_their_lines(site: Site) -> None:
    mistakes = site.mistakes(b'\xef\xbb\xbf[services.a]\r\ncommand = [\r\n  "celery",\r\n  1]\r\n')

    assert mistakes[1:] == ["FILE:4: services.a.command[1]: is a number; put it in quotes"]


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    missing = tmp_path / "stackd.toml"

    for read in (load, locate):
        with pytest.raises(ConfigError) as caught:
            read(str(missing), {})
        assert caught.value.message == f"cannot read the configuration {missing}: No such file or directory"
        assert caught.value.detail == (
            f"{missing}: cannot be read: No such file or directory; name another file with -c FILE",
        )


@pytest.mark.parametrize(
    "places",
    [
        'runtime_dir = "new/run"\n[control]\nsocket = "ipc://new/run/other.sock"',
        'runtime_dir = "new/run"\n[control]\nsocket = "ipc://new/other.sock"',
        'runtime_dir = "new/run"\n[control]\nsocket = "ipc://bin/other.sock"',
    ],
)
def test_a_socket_may_be_in_a_folder_that_is_there_or_that_stackd_makes(site: Site, places: str) -> None:
    assert site.load(f"[stack]\n{places}\n{WORKER}").services


def test_a_folder_in_place_of_the_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="Is a directory"):
        load(tmp_path, {})


def test_a_path_that_no_file_can_have_is_an_error() -> None:
    with pytest.raises(ConfigError, match="null byte"):
        load("/etc/stackd\0.toml", {})


def test_a_file_without_end_is_an_error() -> None:
    with pytest.raises(ConfigError, match="larger than 16 MiB"):
        load("/dev/zero", {})


def test_locate_tells_what_load_tells(site: Site) -> None:
    for places in ("", 'runtime_dir = "run/${NAME}"\nbase_dir = "bin"\n[control]\nsocket = "ipc://x.sock"\n'):
        site.write(f"[stack]\n{places}{WORKER}")

        found, read = locate(str(site.file), site.environ), load(site.file, site.environ).control
        assert (found.socket, found.events) == (read.socket, read.events)


def test_locate_does_not_mind_mistakes_elsewhere(site: Site) -> None:
    site.write('[stack]\nruntime_dir = "run"\nname = 5\n[services.a]\nkind = "none"\n')

    assert locate(str(site.file), site.environ).socket == f"ipc://{site.folder}/run/control.sock"


@pytest.mark.parametrize(
    ("text", "mistake"),
    [
        ("stack = 1", "1: stack: is a number, not a table; write [stack]"),
        ("[stack]\nruntime_dir = 5", "2: stack.runtime_dir: is a number, not a path; write it as a string"),
        (
            '[control]\nsocket = "/run/x"',
            '2: control.socket: "/run/x" is not an endpoint; write socket = "ipc:///run/x"',
        ),
        (
            '[stack]\nbase_dir = "a\\u0000"',
            "2: stack.base_dir: has a NUL character, which no path, argument or variable can have; remove it",
        ),
    ],
)
def test_locate_tells_mistakes_in_what_it_needs(site: Site, text: str, mistake: str) -> None:
    with pytest.raises(ConfigError) as caught:
        locate(str(site.write(text)), {})

    assert [site.shown(line) for line in caught.value.detail] == [f"FILE:{mistake}"]


def test_locate_loads_neither_the_schema_nor_the_kinds(site: Site) -> None:
    site.write(WORKER)
    program = (
        "import sys; from supervisor_stack.config import locate\n"
        f"locate({str(site.file)!r}, {{}})\n"
        "print(*sys.modules)"
    )

    run = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True, cwd=ROOT
    )

    loaded = {name for name in run.stdout.split() if name.startswith("supervisor_stack.")}
    too_much = {"supervisor_stack.kinds", "supervisor_stack.config.schema", "supervisor_stack.config.shape"}
    assert "supervisor_stack.config.places" in loaded
    assert not loaded & too_much


def test_the_sample_is_right(site: Site) -> None:
    stack = site.load(_adapted(SAMPLE.read_text()))

    assert [service.name for service in stack.services] == ["mysqld", "redis", "uwsgi", "nginx"]


def test_what_the_sample_has_in_comments_is_right_as_well(site: Site) -> None:
    text = re.sub(r"(?m)^#(?=[a-z\[])", "", SAMPLE.read_text())

    stack = site.load(_adapted(text))

    assert {service.name for service in stack.services} > {"migrate", "worker", "api"}


def _adapted(text: str) -> str:
    """The sample, with the users and programs of this machine in place of those that it speaks of."""
    text = re.sub(r'"/(?:home|opt)/[^"]*/bin/(?:uwsgi|python|celery|api)"', '"/bin/sh"', text)
    text = re.sub(r'user = "[^"]*"', f'user = "{USER}"', text)
    return (
        text.replace("${BR_API:-/home/project/br_api}", ".")
        .replace('group = "stackd"', f'group = "{GROUP}"')
        .replace('".env"', '"site.env"')
        .replace('"br_api.conf"', '"nginx.conf"')
    )
