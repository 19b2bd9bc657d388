"""How uWSGI is run, where it listens and what it speaks there."""

from __future__ import annotations

import pytest

from supervisor_stack.kinds.alive import alive
from supervisor_stack.kinds.base import Facts
from supervisor_stack.kinds.uwsgi import KIND, learn
from supervisor_stack.spec import Address, Fifo, Hold, PrivateSocket, ProbeSpec
from tests.kinds import guide
from tests.kinds.given import PROJECT, given

INI = f"{PROJECT}/uwsgi.ini"
UWSGI = "/usr/local/bin/uwsgi"
VENV = "/home/project/.virtualenvs/br_api/bin"


def learnt(text: str, *args: str) -> Facts:
    return learn(given(INI, {INI: f"[uwsgi]\nmaster = true\n{text}\n"}, *args, binary=UWSGI))


def test_the_guides_ini_works_as_it_stands() -> None:
    facts = learn(given(INI, {INI: guide.UWSGI_INI}, binary=UWSGI))

    address = Address(host="127.0.0.1", port=8001)
    runs = "/run/stackd/runs/server"
    assert facts == Facts(
        argv=(UWSGI, "--ini", INI, "--need-app"),
        addresses=(address,),
        ready=ProbeSpec(type="uwsgi", address=address),
        alive=alive("process"),
        hold=Hold(lend="address", addresses=(address,), handover=True, mode=0o664, defer_accept=4),
        fifo=Fifo(path=f"{runs}/{{run}}.fifo", option="--master-fifo", stop="q\n", remind="HUP"),
        private=PrivateSocket(path=f"{runs}/{{run}}.sock", option="--uwsgi-socket", speaks="uwsgi"),
    )
    assert KIND.env == {"UWSGI_RELOADS": "-1"}


def test_a_script_is_told_its_interpreter() -> None:
    binary = f"{VENV}/uwsgi"
    scripts = {binary: f"{VENV}/python3.11"}

    facts = learn(given(INI, {INI: guide.UWSGI_INI}, binary=binary, scripts=scripts))

    assert facts.argv[:5] == (binary, "--binary-path", f"{VENV}/python3.11", "--ini", INI)


@pytest.mark.parametrize("line", ["", "master = false", "master = off", "master = true\nmaster = 0"])
def test_uwsgi_gets_a_master_when_its_ini_has_none(line: str) -> None:
    facts = learn(given(INI, {INI: f"[uwsgi]\nsocket = :1\n{line}"}, "--vacuum", binary=UWSGI))

    assert facts.argv == (UWSGI, "--ini", INI, "--master", "--vacuum")


@pytest.mark.parametrize(
    ("text", "needs"),
    [
        ("module = app", True),
        ("wsgi-file = app.py", True),
        ("mount = /=app.py", True),
        ("", False),
        ("module = app\nneed-app = false", False),
        ("module = app\nlazy-apps = true", False),
        ("module = app\nif-env = LAZY\nlazy = true\nendif =", False),
    ],
)
def test_uwsgi_is_told_to_end_without_its_application_where_that_ends_nothing_that_works(
    text: str, needs: bool
) -> None:
    assert ("--need-app" in learnt(f"socket = :1\n{text}").argv) is needs


@pytest.mark.parametrize(
    ("name", "option"),
    [
        ("uwsgi.ini", "--ini"),
        ("uwsgi.conf", "--ini"),
        ("uwsgi.yaml", "--yaml"),
        ("uwsgi.yml", "--yaml"),
        ("uwsgi.json", "--json"),
        ("uwsgi.XML", "--xml"),
    ],
)
def test_the_name_of_the_file_chooses_its_parser(name: str, option: str) -> None:
    config = f"{PROJECT}/{name}"

    assert learn(given(config, {config: ""}, binary=UWSGI)).argv[:3] == (UWSGI, option, config)


@pytest.mark.parametrize(
    ("text", "addresses", "probe"),
    [
        ("socket = :8001", ["0.0.0.0:8001"], "uwsgi 0.0.0.0:8001"),
        ("socket = 0.0.0.0:8001", ["0.0.0.0:8001"], "uwsgi 0.0.0.0:8001"),
        ("socket = localhost:8001", ["localhost:8001"], "uwsgi localhost:8001"),
        ("socket = [::1]:8001", ["[::1]:8001"], "uwsgi [::1]:8001"),
        ("uwsgi-socket = :8001", ["0.0.0.0:8001"], "uwsgi 0.0.0.0:8001"),
        ("socket = /run/app.sock", ["unix:/run/app.sock"], "uwsgi unix:/run/app.sock"),
        ("socket = app.sock", [f"unix:{PROJECT}/app.sock"], f"uwsgi unix:{PROJECT}/app.sock"),
        ("socket = app.sock\nchdir = /srv/app", ["unix:/srv/app/app.sock"], "uwsgi unix:/srv/app/app.sock"),
        ("socket = ../app.sock\nchdir = src", [f"unix:{PROJECT}/app.sock"], f"uwsgi unix:{PROJECT}/app.sock"),
        # Without a colon it is the name of a file, also when it looks like a port.
        ("socket = 8001", [f"unix:{PROJECT}/8001"], f"uwsgi unix:{PROJECT}/8001"),
        ("socket = /run//app.sock", ["unix:/run//app.sock"], "uwsgi unix:/run//app.sock"),
        ("shared-socket = :80\nshared-socket = :8001\nsocket = =1\nhttp = =0", ["0.0.0.0:8001", "0.0.0.0:80"],
         "uwsgi 0.0.0.0:8001"),
        ("http-socket = :8080", ["0.0.0.0:8080"], "http 0.0.0.0:8080"),
        ("http = :8080", ["0.0.0.0:8080"], "http 0.0.0.0:8080"),
        ("http = :8080\nsocket = :8001", ["0.0.0.0:8080", "0.0.0.0:8001"], "uwsgi 0.0.0.0:8001"),
        ("socket = :8001\nprotocol = http", ["0.0.0.0:8001"], "http 0.0.0.0:8001"),
        ("socket = :8001\nuwsgi-socket = :8002\nprotocol = http", ["0.0.0.0:8001", "0.0.0.0:8002"],
         "uwsgi 0.0.0.0:8002"),
        ("https = :8443,a.crt,a.key\nhttp = :8080", ["0.0.0.0:8443", "0.0.0.0:8080"], "http 0.0.0.0:8080"),
        ("fastcgi-socket = :9000\nsocket = :8001", ["0.0.0.0:9000", "0.0.0.0:8001"], "uwsgi 0.0.0.0:8001"),
        ("socket = :8001\nsocket = :8001", ["0.0.0.0:8001"], "uwsgi 0.0.0.0:8001"),
        ("socket = fd://3\nsocket = @abstract\nsocket = =0\nsocket = 10.0.*:1\nsocket = :8001",
         ["0.0.0.0:8001"], "uwsgi 0.0.0.0:8001"),
        ("socket = \\0abstract\nsocket = :8001", ["0.0.0.0:8001"], "uwsgi 0.0.0.0:8001"),
    ],
)  # fmt: skip
def test_sockets_become_addresses_and_the_first_that_speaks_is_asked(
    text: str, addresses: list[str], probe: str
) -> None:
    facts = learnt(text)

    assert [str(address) for address in facts.addresses] == addresses
    assert facts.ready is not None
    assert f"{facts.ready.type} {facts.ready.address}" == probe
    assert facts.problems == ()


@pytest.mark.parametrize(
    ("text", "page"),
    [
        ("module = app", "/"),
        ("mount = /shop=app.py\nmount = /b=b.py\nmanage-script-name = true", "/"),
        ("mount = a.org=a\nmount = /b/=b\nmanage-script-name = true\nno-default-app = true", "/b/"),
        # Only whoever says which application is meant gets an answer.
        ("mount = /shop=app.py\nno-default-app = true", "/"),
    ],
)
def test_the_page_that_is_asked_is_one_that_an_application_answers(text: str, page: str) -> None:
    ready = learnt(f"socket = :1\n{text}").ready

    assert ready is not None
    assert ready.path == page


@pytest.mark.parametrize(
    ("text", "logs"),
    [
        ("daemonize = /var/log/app.log", ()),
        ("logto = /var/log/app.log\nlogto2 = /var/log/app2.log", ()),
        ("logto = /var/log/app.log\nlogto2 = b.log\nlog-reopen = true",
         ("/var/log/app.log", f"{PROJECT}/b.log")),
        ("daemonize = a.log\nlogto = b.log\nlog-reopen", (f"{PROJECT}/a.log",)),
        ("logto = 127.0.0.1:514\nlog-reopen = true", ()),
        ("logger = file:/var/log/app.log", ("/var/log/app.log",)),
        ("logger = file:app.log", (f"{PROJECT}/app.log",)),
        ("logger = file:app.log\nchdir = /srv/app", ("/srv/app/app.log",)),
        ("req-logger = requests file:logfile=/var/log/req.log,maxsize=1000", ()),
        ("logger = syslog:app", ()),
    ],
)  # fmt: skip
def test_logs_are_the_files_that_uwsgi_writes_itself(text: str, logs: tuple[str, ...]) -> None:
    assert learnt(f"socket = :1\n{text}").logs == logs


@pytest.mark.parametrize("option", ["req-logger", "logger-req"])
def test_a_log_of_the_requests_is_not_what_uwsgi_says_itself(option: str) -> None:
    facts = learnt(f"socket = :1\n{option} = requests file:logfile=/var/log/req.log,maxsize=1000")

    assert (facts.logs, facts.access_logs) == ((), ("/var/log/req.log",))


CURE = 'write ready = {type = "uwsgi", address = "127.0.0.1:8001"} with the address of its socket'


def test_an_ini_without_a_socket_is_a_problem() -> None:
    assert learnt("module = app").problems == (
        f"found no socket in section [uwsgi] of {INI}; add one, or {CURE}",
    )


def test_sockets_that_no_probe_can_ask_are_a_problem() -> None:
    assert learnt("fastcgi-socket = :9000").problems == (
        f"no socket in {INI} speaks uwsgi or HTTP; add one, or write ready = {{...}}",
    )


def test_a_file_that_is_no_ini_is_a_problem() -> None:
    config = f"{PROJECT}/uwsgi.yaml"

    assert learn(given(config, {config: "uwsgi:\n  socket: :1"})).problems == (
        f"only ini files are read, so where {config} lets uWSGI listen is unknown; {CURE}",
    )


@pytest.mark.parametrize("name", ["uwsgi.ini", "uwsgi.yaml"])
def test_with_a_probe_of_the_user_no_socket_has_to_be_found(name: str) -> None:
    config = f"{PROJECT}/{name}"

    assert learn(given(config, {config: ""}, has_ready=True)).problems == ()


def test_a_file_that_is_not_there_is_the_first_problem() -> None:
    problem = f"cannot read {INI}: No such file or directory; name a file that uWSGI can read"

    assert learn(given(INI, {})).problems[0] == problem


def written(text: str, *, as_root: bool = True) -> list[tuple[str, str, str]]:
    facts = learn(given(INI, {INI: f"[uwsgi]\n{text}\n"}, binary=UWSGI, as_root=as_root))
    return [(file.path, file.user, file.group) for file in facts.pid_files]


@pytest.mark.parametrize(
    ("text", "files"),
    [
        ("", []),
        ("pidfile = /run/a.pid", [("/run/a.pid", "", "")]),
        ("pidfile = %d%n.pid", [(f"{PROJECT}/uwsgi.pid", "", "")]),
        (
            "chdir = /srv\npidfile = a.pid\npidfile2 = b.pid",
            [(f"{PROJECT}/a.pid", "", ""), ("/srv/b.pid", "", "")],
        ),
        (
            "uid = www\ngid = web\npidfile = /a\npidfile2 = /b\nsafe-pidfile = /c\nsafe-pidfile2 = /d",
            [("/a", "", ""), ("/b", "www", "web"), ("/c", "", ""), ("/d", "www", "web")],
        ),
        ("uid = www\nmaster-as-root = true\npidfile2 = /b", [("/b", "", "")]),
        ("immediate-uid = 33\npidfile = /a\npidfile2 = /b", [("/a", "33", ""), ("/b", "33", "")]),
        ("pidfile = /old.pid\npidfile = /new.pid", [("/new.pid", "", "")]),
        ("if-env = NO\npidfile = /hidden.pid\nendif =", []),
    ],
)
def test_its_pid_files_are_known_and_who_would_write_them(
    text: str, files: list[tuple[str, str, str]]
) -> None:
    assert written(text) == files


def test_who_is_not_root_writes_his_pid_files_himself() -> None:
    assert written("uid = www\npidfile2 = /b", as_root=False) == [("/b", "", "")]
