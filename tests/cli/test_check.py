"""stackctl check: the configuration, and nginx's own test of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

from supervisor_stack.cli.check import judge
from supervisor_stack.spec import Check, ServiceSpec
from tests.cli.shop import DEADLINE, STACKCTL, Ran, stackctl
from tests.daemon.unprivileged import unprivileged
from tests.servers import program


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A stack of nginx and a command, without mistakes."""
    nginx = tmp_path / "nginx.conf"
    nginx.write_text(
        f"pid {tmp_path}/nginx.pid;\nerror_log {tmp_path}/error.log;\nevents {{}}\n"
        "http { access_log off; server { listen 127.0.0.1:21090; } }\n"
    )
    file = tmp_path / "stackd.toml"
    file.write_text(
        f"[stack]\nname = 'shop'\nruntime_dir = '{tmp_path}'\nlog_dir = '{tmp_path}'\n"
        f"[services.nginx]\nkind = 'nginx'\nconfig = '{nginx}'\nbinary = '{program('nginx')}'\n"
        "[services.worker]\ncommand = ['sleep', '1']\n"
    )
    return file


def replace(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


def of(argv: list[str]) -> Ran:
    ran = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=DEADLINE)
    return Ran(ran.returncode, ran.stdout, ran.stderr)


def stackd(*words: str) -> Ran:
    return of(unprivileged(sys.executable, "-m", "supervisor_stack.cli.stackd", *words))


def check(file: Path, *words: str) -> Ran:
    return stackctl("-c", file, "check", *words)


def test_a_configuration_without_mistakes_is_0(file: Path) -> None:
    assert check(file) == (0, "", f"{file}: no mistakes; tested by themselves: nginx\n")


def test_a_configuration_without_mistakes_in_json(file: Path) -> None:
    assert check(file, "--json").json == {
        "v": 1, "ok": True, "config": str(file), "services": ["nginx", "worker"], "tested": ["nginx"],
        "unjudged": [],
    }  # fmt: skip


def test_every_mistake_is_a_line_of_stdout(file: Path) -> None:
    replace(file, "command = ", "comand = ")

    ran = check(file)

    assert ran.code == 6
    assert all(line.startswith(f"{file}:") for line in ran.out.splitlines())
    assert 'did you mean "command"?' in ran.out
    assert ran.err.startswith(f"stackctl: cannot use the configuration {file}: ")


@pytest.mark.parametrize("of_stackd", [False, True])
@pytest.mark.parametrize(
    ("name", "why"), [("none.toml", "No such file or directory"), ("", "Is a directory")]
)
def test_a_file_that_cannot_be_read_is_a_line_of_stdout_too(
    tmp_path: Path, name: str, why: str, of_stackd: bool
) -> None:
    file = tmp_path / name

    ran = stackd("--check", "-c", str(file)) if of_stackd else check(file)

    assert ran.out == f"{file}: cannot be read: {why}; name another file with -c FILE\n"
    assert ran.code == (78 if of_stackd else 6)


def test_whoever_only_looks_is_told_what_he_cannot_judge() -> None:
    """Not in tmp_path, which pytest keeps to its own user."""
    other = "root" if os.geteuid() else "daemon"
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        file = Path(folder) / "stackd.toml"
        file.write_text(f"[services.worker]\nuser = '{other}'\ncommand = ['/bin/sleep', '1']\n")
        why = "not judged: you are not root, and only root may start a service as somebody else"
        left = f"{file}:2: services.worker.user: {why}\n"

        ran = stackd("--check", "-c", str(file))
        assert ran == (0, "", left)

        ran = of(unprivileged(*STACKCTL, "-c", str(file), "check"))
        assert ran == (0, "", f"{left}{file}: no mistakes; tested by themselves: none\n")

        ran = of(unprivileged(*STACKCTL, "-c", str(file), "check", "--json"))
        assert ran.json["unjudged"] == [left.strip()]


def test_what_a_service_has_against_its_own_configuration_is_told(file: Path) -> None:
    nginx = file.with_name("nginx.conf")
    replace(nginx, "listen", "lisen")

    ran = check(file)

    assert ran.out == (
        f"{nginx}: services.nginx: configuration test failed (nginx -T exited 1)\n"
        f'  nginx: [emerg] unknown directive "lisen" in {nginx}:4\n'
    )
    assert ran.err == f"stackctl: cannot use the configuration {file}: nginx does not pass its own test\n"
    assert ran.code == 6


def test_mistakes_in_json_are_the_detail_of_an_error(file: Path) -> None:
    replace(file.with_name("nginx.conf"), "listen", "lisen")

    ran = check(file, "--json")

    assert ran.json["error"]["kind"] == "config-invalid"
    assert ran.json["error"]["detail"][0].startswith(f"{file.with_name('nginx.conf')}: services.nginx: ")
    assert (ran.code, ran.err) == (6, "")


def spec(*argv: str, **test: Any) -> ServiceSpec:
    return ServiceSpec(name="web", argv=("web",), config="web.conf", check=Check(argv=argv, **test))


def test_a_test_that_does_not_end_is_ended() -> None:
    verdict = judge(spec("/bin/sleep", "1000", timeout=0.05))

    assert verdict.cause == "sleep 1000 did not end within 0.05 s"


def test_a_test_that_cannot_be_executed_is_told() -> None:
    verdict = judge(spec("/nowhere/nginx", "-t"))

    assert verdict.cause == "cannot execute /nowhere/nginx: No such file or directory"


def test_a_test_without_a_reader_of_its_evidence_is_told_with_its_last_words() -> None:
    verdict = judge(spec("/bin/sh", "-c", "echo oh >&2; echo no >&2; exit 3"))

    assert list(verdict.lines()) == [
        "web.conf: services.web: configuration test failed (sh -c exited 3)",
        "  oh",
        "  no",
    ]


def test_a_test_runs_without_the_variables_that_would_mislead_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NGINX", "5;6;")

    verdict = judge(spec("/bin/sh", "-c", "exit ${NGINX:+1}", without_env=("NGINX",)))

    assert verdict.cause == ""
