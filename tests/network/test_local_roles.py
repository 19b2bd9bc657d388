"""Who may do what on this machine, as other users see it."""

from __future__ import annotations

import grp
import os
import pwd
import signal
import subprocess
from pathlib import Path

from tests.cli.shop import DEADLINE, environment
from tests.network.bench import SERVICES, as_user, somebody
from tests.stack import RunningStack

GAMES = grp.getgrnam("games").gr_gid
MAIL = grp.getgrnam("mail").gr_gid


def stack_with(folder: Path, control: str) -> RunningStack:
    return RunningStack(folder, control + SERVICES)


def test_by_default_others_do_not_even_get_in(tmp_path: Path) -> None:
    with stack_with(tmp_path, "") as stack:
        stack.until_up()

        ran = as_user("daemon", "-c", stack.config, "status")

        assert ran.code == 4
        assert "permission denied\n" in ran.err
        assert "you are daemon; the configuration of stackd lets others in by" in ran.err


def test_a_member_of_the_group_may_look_and_not_act(tmp_path: Path) -> None:
    with stack_with(tmp_path, '[control]\ngroup = "games"\n') as stack:
        stack.until_up()

        # The group is one of his others, as groups of people mostly are.
        assert as_user("daemon", "-c", stack.config, "status", groups=(MAIL, GAMES)).code == 0
        assert as_user("daemon", "-c", stack.config, "wait", "all", groups=(GAMES,)).code == 0
        refused = as_user("daemon", "-c", stack.config, "restart", "web", groups=(GAMES,))

        way = f'operate = ["daemon"] below [control.roles] in {stack.config}'
        assert refused.code == 4
        assert refused.err.splitlines() == [
            "stackctl: cannot restart web: you are daemon, with the role view, and it takes the role operate",
            f"  to be given it: {way}; then: stackctl apply",
            "  nothing was done",
        ]
        as_json = as_user("daemon", "-c", stack.config, "shutdown", "--json", groups=(GAMES,))
        assert as_json.json["error"]["kind"] == "not-permitted"
        assert as_user("daemon", "-c", stack.config, "status").code == 4, "he has left the group"
        assert stack.service("web").run == 1


def test_who_may_operate_is_named_in_the_events_and_in_the_log(tmp_path: Path) -> None:
    with stack_with(tmp_path, '[control.roles]\noperate = ["daemon"]\n') as stack:
        stack.until_up()

        assert as_user("daemon", "-c", stack.config, "restart", "web").code == 0
        assert as_user("daemon", "-c", stack.config, "shutdown").code == 4
        assert as_user("games", "-c", stack.config, "status").code == 4

        asked = [notice for notice in stack.history() if notice.event == "RestartRequested"]
        assert [(notice.service, notice.by) for notice in asked] == [("web", "daemon")]
        uid = pwd.getpwnam("daemon").pw_uid
        log = stack.output.read_text()
        assert f"audit: daemon (uid {uid}, pid " in log
        assert ") asked to restart web: operation 2\n" in log
        assert ") asked to shut down the stack: refused: has the role operate, and it takes admin\n" in log
        told = as_user("daemon", "-c", stack.config, "events").out
        assert "web  running  RestartRequested  by daemon\n" in told


def test_a_group_may_be_given_a_role_that_the_group_of_the_socket_has_not(tmp_path: Path) -> None:
    control = '[control]\ngroup = "games"\n[control.roles]\nadmin = ["@mail"]\nview = ["bin"]\n'
    with stack_with(tmp_path, control) as stack:
        stack.until_up()

        assert as_user("bin", "-c", stack.config, "is-active", "web").code == 0
        assert as_user("bin", "-c", stack.config, "reset", "web").code == 4
        assert as_user("daemon", "-c", stack.config, "reset", "web", groups=(GAMES,)).code == 4
        assert as_user("daemon", "-c", stack.config, "shutdown", groups=(MAIL,)).code == 0


def test_a_role_that_is_taken_away_is_gone_at_once(tmp_path: Path) -> None:
    with stack_with(tmp_path, '[control.roles]\nview = ["daemon"]\n') as stack:
        stack.until_up()
        argv = somebody("daemon", (), "-c", stack.config, "events", "-f")
        with subprocess.Popen(
            argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8", env=environment()
        ) as watcher:
            assert watcher.stdout
            watcher.stdout.readline()

            text = stack.config.read_text()
            stack.config.write_text(text.replace('view = ["daemon"]', 'view = ["bin"]'))
            os.kill(stack.pid, signal.SIGHUP)
            _, told = watcher.communicate(timeout=DEADLINE)

        assert watcher.returncode == 4
        assert "you are daemon, without a role here" in told
        assert as_user("daemon", "-c", stack.config, "status").code == 4
        assert as_user("bin", "-c", stack.config, "status").code == 0
        assert stack.service("web").run == 1


def test_who_gets_in_without_a_role_gets_one_clear_refusal(tmp_path: Path) -> None:
    with stack_with(tmp_path, "") as stack:
        stack.until_up()
        (stack.run_dir / "control.sock").chmod(0o666)  # by somebody who meant well

        ran = as_user("daemon", "-c", stack.config, "status")

        assert ran.code == 4
        message = "cannot see the status: you are daemon, without a role here, and it takes the role view"
        assert ran.err.startswith(f"stackctl: {message}\n")


def test_without_access_lists_others_stay_outside_and_it_is_said(tmp_path: Path) -> None:
    assert os.geteuid() == 0, "only root can mount a file system"
    (tmp_path / "run").mkdir()
    subprocess.run(["mount", "-t", "ramfs", "none", tmp_path / "run"], check=True)
    try:
        with stack_with(tmp_path, '[control.roles]\nadmin = ["daemon"]\n') as stack:
            stack.until_log("cannot let daemon open")
            stack.until_up()

            assert as_user("daemon", "-c", stack.config, "status").code == 4
    finally:
        subprocess.run(["umount", tmp_path / "run"], check=True)


def test_what_the_configuration_starts_is_asked_for_by_stackd(tmp_path: Path) -> None:
    with RunningStack(tmp_path, SERVICES) as stack:
        stack.until_up()

        starts = [notice for notice in stack.history() if notice.event == "StartRequested"]

        assert {notice.by for notice in starts} == {"stackd"}


def test_a_signal_to_stackd_is_named_too(tmp_path: Path) -> None:
    with RunningStack(tmp_path, SERVICES) as stack:
        stack.until_up()
        assert stack.process
        stack.process.terminate()
        stack.process.wait(DEADLINE)

        assert ", stop requested (pid " in stack.output.read_text()
        assert ", by SIGTERM\n" in stack.output.read_text()
