"""The real servers find in a copy, lying elsewhere, what they find in their files."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import pytest

from supervisor_stack.daemon.conf_files import Disk
from supervisor_stack.daemon.fold_dump import Dump
from supervisor_stack.kinds.fold import FOLDS
from supervisor_stack.kinds.fold.uwsgi import question
from supervisor_stack.kinds.nginx_dump import split
from supervisor_stack.kinds.nginx_syntax import Directive, parse
from supervisor_stack.kinds.uwsgi import KIND, learn
from supervisor_stack.spec import Address
from tests.kinds.nginx_site import write_site
from tests.kinds.real import free_ports, given_on_disk
from tests.servers import DEADLINE, program, start_server


def output(folder: Path, *argv: str, env: dict[str, str] | None = None) -> str:
    ran = subprocess.run(
        argv,
        cwd=folder,
        env={**os.environ, **(env or {})},
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def elsewhere(folder: Path, text: str) -> Path:
    copy = folder / "somewhere" / "else.conf"
    copy.parent.mkdir()
    copy.write_text(text)
    return copy


def fold_files(style: str, config: Path) -> Path:
    return elsewhere(config.parent, FOLDS[style].fold(str(config), Disk(), str(config.parent)))


def make_certificate(folder: Path) -> None:
    request = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 -subj /CN=x"
    output(folder, *request.split(), "-keyout", "site.key", "-out", "site.pem")


def test_nginx(tmp_path: Path) -> None:
    make_certificate(tmp_path)
    (port,) = free_ports(1)
    (tmp_path / "sites").mkdir()
    (tmp_path / "sites" / "shop.conf").write_text(
        f"server {{\n  include tls.inc;\n  listen 127.0.0.1:{port} ssl; # ) }}\n"
        "  location ~ ^/(a|b)$ { return 200 '#\u3000\"x\" {y}'; }\n"
        "  location /p { auth_basic x; auth_basic_user_file users; }\n"
        "  if ($arg_a ~* '^(x|y)$') { return 403; }\n}\n"
    )
    (tmp_path / "tls.inc").write_text("ssl_certificate site.pem;\nssl_certificate_key 'site.key';\n")
    (tmp_path / "types.inc").write_text("types { text/html html; }\n")
    (tmp_path / "sizes.inc").write_text("small 1;\n~^big 2;\n")
    config = write_site(
        tmp_path,
        f"log_format main '$remote_addr \"$request\"';\ninclude types.inc;\n"
        "map $arg_x $size { default 0; include sizes.inc; }\n"
        f"include {tmp_path}/sites/*.conf; include none/*.conf;\n",
    )
    nginx = (program("nginx"), "-T", "-q", "-c")
    original = output(tmp_path, *nginx, str(config))
    copy = elsewhere(tmp_path, FOLDS["nginx"].fold(str(config), Dump(split(original)), "/"))

    (told,) = split(output(tmp_path, *nginx, str(copy))).values()

    texts = {path.removeprefix(f"{tmp_path}/"): parse(text) for path, text in split(original).items()}
    texts |= {f"{tmp_path}/sites/*.conf": texts["sites/shop.conf"], "none/*.conf": ()}
    assert parse(told) == tuple(expanded(texts["nginx.conf"], texts, tmp_path))


def expanded(
    directives: Iterable[Directive], texts: Mapping[str, Iterable[Directive]], folder: Path
) -> Iterator[Directive]:
    """The directives with those of each include in its place, and the names of files absolute."""
    for each in directives:
        if each.name == "include":
            yield from expanded(texts[each.args[0]], texts, folder)
        elif each.block is not None:
            yield Directive(each.name, each.args, tuple(expanded(each.block, texts, folder)))
        elif each.name in ("ssl_certificate", "ssl_certificate_key", "auth_basic_user_file"):
            yield Directive(each.name, (f"{folder}/{each.args[0]}",))
        else:
            yield each


UWSGI = """[uwsgi]
base = %d and %p
socket = /tmp/%n-%c.sock
ini = more.ini:extra
if-env = HOME
home = %(_)/%(base)
endif =
for = 1 2
env = N%(_)=%(_)
endfor =
ini = :extra
set-ph = percent=100%%
x = $(HOME) %(percent) %0 %1 %e %v @(more.ini)
odd = a%-b
"""


@pytest.mark.parametrize("config", ["web.ini", "linked/web.ini", "link.ini", "100%/web.ini"])
def test_uwsgi(tmp_path: Path, config: str) -> None:
    (tmp_path / "100%").mkdir()
    (tmp_path / "100%" / "web.ini").write_text(UWSGI)
    (tmp_path / "web.ini").write_text(UWSGI)
    (tmp_path / "more.ini").write_text("[uwsgi]\nno = 1\n[extra]\nmore = %p %P %x %s\nvacuum = true\n")
    (tmp_path / "linked").symlink_to(".")
    (tmp_path / "link.ini").symlink_to("web.ini")
    text = FOLDS["uwsgi"].fold(str(tmp_path / config), Disk(), str(tmp_path))
    copy = elsewhere(tmp_path, text)
    uwsgi = learn(given_on_disk(tmp_path / config, program("uwsgi"))).argv

    def options(path: Path) -> str:
        argv = [str(path) if word == str(tmp_path / config) else word for word in uwsgi]
        return output(tmp_path, *argv, *question(uwsgi, text), env=KIND.env)

    found = options(copy)

    assert "more.ini" in found
    assert found == options(tmp_path / config)


def test_a_question_to_uwsgi_removes_nothing_that_another_instance_uses(tmp_path: Path) -> None:
    ini = tmp_path / "web.ini"
    ini.write_text(f"[uwsgi]\nvacuum = true\npidfile = {tmp_path}/pid\nstats = {tmp_path}/stats\n")
    used = [tmp_path / "pid", tmp_path / "stats"]
    for path in used:
        path.touch()

    output(tmp_path, program("uwsgi"), "--ini", str(ini), *question((), ini.read_text()), env=KIND.env)

    assert all(path.exists() for path in used)


def test_mysqld(tmp_path: Path) -> None:
    (tmp_path / "conf.d").mkdir()
    (tmp_path / "conf.d" / "b.cnf").write_text(
        "[mariadb]\nport=1\n!include more.cnf\nwait-timeout=3\n[client]\nport=9"
    )
    (tmp_path / "conf.d" / "a.cnf").write_text("[server]\nport = 2 # no\n")
    (tmp_path / "more.cnf").write_text("[mysqld]\nplugin-load-add = 'x y'\n")
    config = tmp_path / "my.cnf"
    config.write_text(
        '[mysqld]\nport=3\n!includedir conf.d\nsocket = "/tmp/a b"\n!include none.cnf\nbind-address=::\n'
    )
    copy = fold_files("mysqld", config)

    def options(path: Path) -> list[str]:
        _, _, options = output(
            tmp_path, program("mariadbd"), f"--defaults-file={path}", "--print-defaults"
        ).partition("\n")
        return options.split()

    found = options(copy)

    assert "--wait-timeout=3" in found
    assert found == options(config)


def test_redis(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    (tmp_path / "data").mkdir()
    (tmp_path / "more.conf").write_text("maxmemory 10mb\nsave 60 1\nsave 300 10\n")
    (tmp_path / "data" / "last.conf").write_text("requirepass 'a # \\'b'\n")
    config = tmp_path / "redis.conf"
    config.write_text(
        f"bind 127.0.0.1\nport {port}\ninclude more.conf\ndir data\nINCLUDE las*.conf\n"
        'logfile ""\nuser bob on >x ~* +@all\n'
    )
    copy = fold_files("redis", config)

    def settings(path: Path) -> dict[str, str]:
        with start_server(
            tmp_path, Address(host="127.0.0.1", port=port), (program("redis-server"), str(path))
        ):
            redis = (program("redis-cli"), "-p", str(port), "-a", "a # 'b")
            told = output(tmp_path, *redis, "CONFIG", "GET", "*").splitlines()
            users = output(tmp_path, *redis, "ACL", "LIST")
        return dict(zip(told[::2], told[1::2], strict=True)) | {"users": users}

    found = settings(copy)

    assert found["save"] == "60 1 300 10"
    assert found == settings(config)
