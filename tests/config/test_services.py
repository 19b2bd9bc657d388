"""What the tables of right services become."""

from __future__ import annotations

import pytest

from supervisor_stack.config.values import MAX_DURATION
from supervisor_stack.kinds import KINDS
from supervisor_stack.spec import (
    Address,
    Backoff,
    Log,
    ProbeSpec,
    Reload,
    ServiceSpec,
    StartLimit,
    Watch,
)
from tests.config.sites import GROUP, USER, Site

WEB = '[services.web]\ncommand = ["gunicorn", "br_api.wsgi"]\n'
REDIS = '[services.redis]\nkind = "redis"\nconfig = "redis.conf"\n'
NGINX = '[services.nginx]\nkind = "nginx"\nconfig = "nginx.conf"\n'


def test_a_command_gets_the_defaults(site: Site) -> None:
    service = site.service(WEB)

    assert service == ServiceSpec(
        name="web", argv=(f"{site.folder}/bin/gunicorn", "br_api.wsgi"), cwd=str(site.folder)
    )


def test_every_key_of_a_command_is_honoured(site: Site) -> None:
    text = f"""
[services.web]
kind = "command"
type = "service"
command = ["gunicorn", "-b", "127.0.0.1:9000"]
args = ["br_api.wsgi"]
requires = ["a"]
wants = ["b"]
after = ["c"]
autostart = false
restart = "on-failure"
backoff = {{initial = "500ms", factor = 1.5, max = "1m", reset_after = 30}}
start_limit = {{burst = 3, interval = "2m"}}
on_dependency_crash = "hold"
start_timeout = "5m"
stop_timeout = 1.5
stop_signal = "SIGQUIT"
reload_signal = "usr1"
hold = []
user = "{USER}"
group = "{GROUP}"
env = {{DEBUG = "0"}}
env_file = "site.env"
cwd = "bin"
umask = "027"
limits = {{nofile = 65536, as = "2GiB", core = 0, memlock = "infinity"}}
nice = -5
oom_score_adj = 500
log = {{to = "null"}}
watch = {{paths = ["redis.conf", "later.conf"], action = "reload", debounce = "1s"}}
[services.web.ready]
type = "http"
address = "127.0.0.1:9000"
path = "/health?full=1"
host = "www.example.org:80"
expect = [200, 204]
interval = "200ms"
timeout = 2
{"".join(f'[services.{name}]{chr(10)}command = ["celery"]{chr(10)}' for name in "abc")}
"""
    web = site.load(text).services[0]

    assert web == ServiceSpec(
        name="web",
        argv=(f"{site.folder}/bin/gunicorn", "-b", "127.0.0.1:9000", "br_api.wsgi"),
        requires=("a",),
        wants=("b",),
        after=("c",),
        autostart=False,
        restart="on-failure",
        backoff=Backoff(initial=0.5, factor=1.5, max=60.0, reset_after=30.0),
        start_limit=StartLimit(burst=3, interval=120.0),
        start_timeout=300.0,
        stop_timeout=1.5,
        stop_signal="QUIT",
        reload=Reload(signal="USR1"),
        no_reload="",
        ready=ProbeSpec(
            type="http",
            address=Address(host="127.0.0.1", port=9000),
            path="/health?full=1",
            host="www.example.org:80",
            expect=(200, 204),
            interval=0.2,
            eager=False,
            timeout=2.0,
        ),
        user=USER,
        group=GROUP,
        env={
            "DJANGO_SETTINGS_MODULE": "br_api.prod",
            "WORKERS": "4",
            "SECRET_KEY": 'a#b $HOME "c"',
            "GREETING": 'one\ntwo "three" $4',
            "EMPTY": "",
            "DEBUG": "0",
        },
        cwd=f"{site.folder}/bin",
        umask=0o027,
        limits={"nofile": 65536, "as": 2 * 1024**3, "core": 0, "memlock": -1},
        nice=-5,
        oom_score_adj=500,
        log=Log(to="null"),
        watch=Watch(
            paths=(f"{site.folder}/redis.conf", f"{site.folder}/later.conf"), action="reload", debounce=1.0
        ),
    )


def test_a_server_gets_what_its_kind_knows(site: Site) -> None:
    kind = KINDS["redis"]

    service = site.service(REDIS)

    address = Address(host="127.0.0.1", port=6379)
    assert service.argv[:2] == (f"{site.folder}/bin/redis-server", f"{site.folder}/redis.conf")
    assert (service.kind, service.config) == ("redis", f"{site.folder}/redis.conf")
    assert service.addresses == (address,)
    assert service.ready == ProbeSpec(type="redis", address=address, password="s3cret")
    assert service.start_timeout == kind.start_timeout
    assert service.stop_timeout == kind.stop_timeout
    assert service.stop_signal == kind.stop_signal
    assert (service.reload, service.no_reload) == (None, kind.no_reload)
    assert service.preconditions


def test_what_the_user_writes_wins_over_the_kind(site: Site) -> None:
    service = site.service(f"""
{NGINX}
args = ["-p", "/srv"]
start_timeout = 1
stop_timeout = 2
stop_signal = "TERM"
reload_signal = "SIGUSR2"
env = {{NGINX = "x", A = "b"}}
ready = {{type = "tcp", address = ":8080"}}
hold = []
""")

    own = KINDS["nginx"].reload
    assert own is not None
    assert service.argv[-2:] == ("-p", "/srv")
    assert (service.start_timeout, service.stop_timeout, service.stop_signal) == (1.0, 2.0, "TERM")
    assert service.reload == Reload(
        signal="USR2", timeout=own.timeout, new_workers=own.new_workers, failure=own.failure
    )
    assert service.env == {"NGINX": "x", "A": "b"}
    assert service.ready == ProbeSpec(type="tcp", address=Address(host="", port=8080))


def test_the_environment_of_a_kind_is_under_that_of_the_user(site: Site) -> None:
    assert site.service(f'{NGINX}env = {{A = "b"}}').env == {**KINDS["nginx"].env, "A": "b"}


def test_a_probe_of_the_kind_keeps_what_the_user_does_not_change(site: Site) -> None:
    service = site.service(f'{REDIS}ready = {{timeout = "500ms", password = "other"}}')

    assert service.ready == ProbeSpec(
        type="redis", address=Address(host="127.0.0.1", port=6379), password="other", timeout=0.5
    )


def test_a_probe_of_another_type_asks_at_the_address_of_the_kind(site: Site) -> None:
    service = site.service(f'{REDIS}ready = {{type = "tcp"}}')

    assert service.ready == ProbeSpec(type="tcp", address=Address(host="127.0.0.1", port=6379))


def test_a_probe_without_address_of_nginx_asks_where_its_test_says(site: Site) -> None:
    service = site.service(f'{NGINX}ready = {{type = "http", path = "/up"}}')

    assert service.ready == ProbeSpec(type="http", address=None, path="/up")


def test_an_exec_probe_has_the_path_of_its_program(site: Site) -> None:
    service = site.service(f'{WEB}ready = {{type = "exec", command = ["sleep", "0"]}}')

    assert service.ready == ProbeSpec(type="exec", command=(f"{site.folder}/bin/sleep", "0"))


def test_a_unix_address_is_relative_to_base_dir(site: Site) -> None:
    service = site.service(f'{WEB}ready = {{type = "unix", address = "unix:run/web.sock"}}')

    assert service.ready == ProbeSpec(type="unix", address=Address(path=f"{site.folder}/run/web.sock"))


def test_the_other_servers_can_be_watched_by_their_configuration_file(site: Site) -> None:
    uwsgi = site.service('[services.uwsgi]\nkind = "uwsgi"\nconfig = "uwsgi.ini"\nwatch = true')
    redis = site.service(
        '[services.redis]\nkind = "redis"\nconfig = "redis.conf"\nwatch = {action = "restart"}'
    )

    assert (uwsgi.watch, redis.watch) == (Watch(), Watch(action="restart"))
    assert (uwsgi.config, redis.config) == (f"{site.folder}/uwsgi.ini", f"{site.folder}/redis.conf")


def test_nginx_can_be_watched_without_naming_files(site: Site) -> None:
    assert site.service(f"{NGINX}watch = true").watch == Watch()
    assert site.service(f'{NGINX}watch = {{debounce = "1s"}}').watch == Watch(debounce=1.0)
    assert site.service(f"{NGINX}watch = false").watch is None


def test_a_task_is_tried_again_only_when_it_failed(site: Site) -> None:
    task = '[services.migrate]\ncommand = ["python3", "manage.py", "migrate"]\ntype = "task"\n'

    assert (site.service(task).type, site.service(task).restart) == ("task", "on-failure")
    assert site.service(f'{task}restart = "never"').restart == "never"


def test_a_program_is_looked_for_on_the_path_of_the_service(site: Site) -> None:
    other = site.folder / "venv" / "bin"
    other.mkdir(parents=True)
    (other / "gunicorn").symlink_to(site.folder / "bin" / "gunicorn")

    service = site.service(f'{WEB}env = {{PATH = "{other}:${{PATH}}"}}')

    # Not the target of the link: a virtualenv is known by the path of its programs.
    assert service.argv[0] == f"{other}/gunicorn"


def test_a_relative_folder_of_the_path_is_below_cwd(site: Site) -> None:
    service = site.service(f'{WEB}cwd = "bin"\nenv = {{PATH = "."}}')

    assert service.argv[0] == f"{site.folder}/bin/gunicorn"


def test_a_program_with_a_slash_is_relative_to_cwd(site: Site) -> None:
    (site.folder / "bin" / "tools").symlink_to(site.folder / "bin")

    service = site.service('[services.a]\ncommand = ["tools/celery"]\ncwd = "bin"')

    assert service.argv == (f"{site.folder}/bin/tools/celery",)


def test_a_binary_replaces_the_programs_of_the_kind(site: Site) -> None:
    by_path = site.service(f'{REDIS}binary = "bin/sleep"')
    by_name = site.service(f'{REDIS}binary = "sleep"')

    assert by_path.argv[0] == by_name.argv[0] == f"{site.folder}/bin/sleep"


def test_variables_are_replaced_in_every_string(site: Site) -> None:
    service = site.service("""
[services.web]
command = ["gunicorn", "--name=${NAME}", "${GONE:-a b}", "${EMPTY:-full}", "[${EMPTY}]"]
args = ["$HOME", "$${HOME}", "$"]
cwd = "${GONE:-bin}"
env = {TARGET = "${HOME}/${NAME}"}
start_timeout = "${GONE:-2m}"
stop_signal = "${GONE:-INT}"
ready = {type = "tcp", address = "127.0.0.1:${GONE:-9000}"}
""")

    assert service.argv[1:] == (
        "--name=br_api", "a b", "full", "[]", "$HOME", "${HOME}", "$",
    )  # fmt: skip
    assert service.cwd == f"{site.folder}/bin"
    assert service.env == {"TARGET": "/home/site/br_api"}
    assert (service.start_timeout, service.stop_signal) == (120.0, "INT")
    assert service.ready == ProbeSpec(type="tcp", address=Address(host="127.0.0.1", port=9000))


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ("1", 1.0), ("0.25", 0.25), ('"90"', 90.0), ('"1.5s"', 1.5), ('"500ms"', 0.5), ('"2m"', 120.0),
        ('"1h"', 3600.0), ('"365d"', MAX_DURATION), ("1e2", 100.0),
    ],
)  # fmt: skip
def test_durations_are_numbers_or_have_a_unit(site: Site, written: str, seconds: float) -> None:
    assert site.service(f"{WEB}start_timeout = {written}").start_timeout == seconds


@pytest.mark.parametrize(
    ("written", "size"),
    [
        ("0", 0), ("1024", 1024), ('"1024"', 1024), ('"7b"', 7), ('"64kB"', 64000), ('"64KiB"', 65536),
        ('"10MiB"', 10 * 1024**2), ('"1.5 GB"', 1500000000), ('"2TiB"', 2 * 1024**4), ('"infinity"', -1),
    ],
)  # fmt: skip
def test_sizes_are_numbers_or_have_a_unit(site: Site, written: str, size: int) -> None:
    assert site.service(f"{WEB}limits.as = {written}").limits == {"as": size}


@pytest.mark.parametrize(
    ("written", "address"),
    [
        ("127.0.0.1:80", Address(host="127.0.0.1", port=80)),
        ("localhost:80", Address(host="127.0.0.1", port=80)),
        (":80", Address(port=80)),
        ("*:80", Address(host="*", port=80)),
        ("[::1]:65535", Address(host="::1", port=65535)),
        ("unix:/run/a.sock", Address(path="/run/a.sock")),
        ("unix:@abstract", Address(path="@abstract")),
    ],
)
def test_addresses_have_a_host_and_a_port_or_a_path(site: Site, written: str, address: Address) -> None:
    service = site.service(f'{WEB}ready = {{type = "http", address = "{written}"}}')

    assert service.ready == ProbeSpec(type="http", address=address)


def test_servers_on_one_port_of_different_addresses_are_no_conflict(site: Site) -> None:
    (site.folder / "other.conf").write_text("bind 127.0.0.2\nport 6379\n")

    stack = site.load(REDIS + '[services.other]\nkind = "redis"\nconfig = "other.conf"\n')

    assert [str(service.addresses[0]) for service in stack.services] == ["127.0.0.1:6379", "127.0.0.2:6379"]


def test_a_name_with_a_dot_is_a_name(site: Site) -> None:
    assert site.service('[services."celery.beat-1_x"]\ncommand = ["celery"]').name == "celery.beat-1_x"
