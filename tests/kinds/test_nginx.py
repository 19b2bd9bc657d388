"""How nginx is run and tested, and what is made of the guide's file."""

from __future__ import annotations

import pytest

from supervisor_stack.kinds.nginx import KIND, complaints, learn
from supervisor_stack.spec import Address, Hold, ProbeSpec
from tests.kinds import guide
from tests.kinds.given import PROJECT, given

CONF = f"{PROJECT}/br_api.conf"


def test_the_guides_file_is_run_with_nothing_added() -> None:
    facts = learn(given(CONF, {CONF: guide.NGINX_CONF}, binary="/usr/bin/nginx", as_root=True))

    assert facts.argv == ("/usr/bin/nginx", "-c", CONF)
    assert KIND.env == {"NGINX": ""}
    assert facts.problems == ()
    assert facts.ready == ProbeSpec(type="http", method="TRACE")


def test_the_check_dumps_the_configuration_before_each_start() -> None:
    check = learn(given(CONF, {CONF: guide.NGINX_CONF}, "-p", "/srv", binary="/usr/bin/nginx")).check

    assert check is not None
    assert check.argv == ("/usr/bin/nginx", "-T", "-q", "-V", "-c", CONF, "-p", "/srv")
    assert check.before_start
    assert check.without_env == ("NGINX",)


def test_the_dump_of_the_guides_file_tells_all_of_it() -> None:
    texts = {
        CONF: guide.NGINX_CONF,
        f"{PROJECT}/mime.types": guide.MIME_TYPES,
        "/usr/local/nginx/conf/uwsgi_params": guide.UWSGI_PARAMS,
    }
    check = learn(given(CONF, texts, as_root=True)).check
    assert check is not None
    assert check.read is not None

    dump = "".join(f"# configuration file {path}:\n{text}\n" for path, text in texts.items())
    report = check.read(dump, "")

    assert report.files == tuple(texts)
    assert report.globs == ()
    assert report.addresses == (Address(host="0.0.0.0", port=80),)
    assert report.logs == (f"{PROJECT}/nginx_error.log",)
    assert report.access_logs == (f"{PROJECT}/nginx_access.log",)


def test_its_sockets_are_lent_to_it_and_shared_by_two_runs() -> None:
    facts = learn(given(CONF, {CONF: guide.NGINX_CONF}, user="www-data"))

    assert facts.hold == Hold(
        lend="nginx", addresses=None, handover=True, retire_signal="QUIT", mode=0o666, user="www-data"
    )


def test_nothing_is_held_when_the_user_says_so() -> None:
    facts = learn(given(CONF, {CONF: guide.NGINX_CONF}, hold=()))

    assert facts.hold is None
    assert facts.check is not None
    assert facts.check.read is not None
    assert facts.check.read(f"# configuration file {CONF}:\n{guide.NGINX_CONF}\n", "").hold == ()


@pytest.mark.parametrize(
    ("args", "log"),
    [
        (("-p", "/srv"), "/srv/error.log"),
        (("-p/srv",), "/srv/error.log"),
        (("-p", "site"), f"{PROJECT}/site/error.log"),
    ],
)
def test_the_prefix_is_taken_from_the_arguments(args: tuple[str, ...], log: str) -> None:
    check = learn(given(CONF, {CONF: ""}, *args)).check
    assert check is not None
    assert check.read is not None

    assert check.read(f"# configuration file {CONF}:\nerror_log error.log;\n", "").logs == (log,)


@pytest.mark.parametrize("args", [("-g", "pid /run/own.pid;"), ("-gpid /run/own.pid;",)])
def test_a_pid_file_in_the_arguments_is_known(args: tuple[str, ...]) -> None:
    check = learn(given(CONF, {CONF: ""}, *args)).check
    assert check is not None
    assert check.read is not None

    assert check.read(f"# configuration file {CONF}:\n\n", "").pid_file == "/run/own.pid"


UNKNOWN = 'unknown directive "lisen" in /etc/nginx/nginx.conf:12'
FAILED = "nginx: configuration file /etc/nginx/nginx.conf test failed"
NO_LOG = "could not open error log file: open() failed (13: Permission denied)"
NO_BIND = "bind() to 0.0.0.0:80 failed (13: Permission denied)"


@pytest.mark.parametrize(
    ("stderr", "evidence"),
    [
        ([f"nginx: [emerg] {UNKNOWN}", FAILED], [f"nginx: [emerg] {UNKNOWN}"]),
        ([f"2026/11/22 07:40:04 [emerg] 12#12: {UNKNOWN}", FAILED], [f"nginx: [emerg] {UNKNOWN}"]),
        ([f"2026/11/22 07:40:04 [emerg] 12#12: *3 {UNKNOWN}"], [f"nginx: [emerg] {UNKNOWN}"]),
        (
            [f"nginx: [emerg] {NO_BIND}", f"2026/11/22 07:40:04 [emerg] 12#12: {NO_BIND}", FAILED],
            [f"nginx: [emerg] {NO_BIND}"],
        ),
        (
            [f"nginx: [alert] {NO_LOG}", "2026/11/22 07:40:04 [warn] 12#12: conflicting server name"],
            [f"nginx: [alert] {NO_LOG}"],
        ),
        ([], []),
    ],
)
def test_complaints_are_in_nginx_own_words_and_each_is_told_once(
    stderr: list[str], evidence: list[str]
) -> None:
    assert complaints("\n".join(stderr)) == tuple(evidence)


def test_a_file_that_is_not_there_is_a_problem() -> None:
    assert learn(given(CONF, {})).problems == (
        f"cannot read {CONF}: No such file or directory; write the main configuration file of nginx",
    )


def test_nginx_without_a_master_is_a_problem() -> None:
    conf = "master_process off;\n" + guide.NGINX_CONF

    assert learn(given(CONF, {CONF: conf})).problems == (
        f"master_process is off in {CONF}: no master renews the workers; remove the line",
    )


def test_a_broken_file_is_left_to_nginx_to_explain() -> None:
    assert learn(given(CONF, {CONF: "http {"})).problems == ()
