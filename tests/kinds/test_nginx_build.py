"""What `nginx -V` tells of how it was built."""

from __future__ import annotations

import pytest

from supervisor_stack.kinds.nginx_build import Build, built

FLAGS = "--with-cc-opt='-g -O2 --prefix=/not/this' --with-compat"
DEBIAN = f"{FLAGS} --prefix=/usr/share/nginx --error-log-path=stderr --pid-path=/run/nginx.pid --with-debug"
OPENRESTY = "--prefix=/usr/local/openresty/nginx --with-cc-opt=-O2 --add-module=../ngx_devel_kit-0.3.2"


@pytest.mark.parametrize(
    ("version", "arguments", "build"),
    [
        ("nginx/1.22.1", DEBIAN, Build(prefix="/usr/share/nginx", pid_path="/run/nginx.pid")),
        ("nginx/1.13.7", "", Build(prefix="/usr/local/nginx", pid_path="logs/nginx.pid")),
        ("nginx/1.13.7", "--prefix=/opt/n", Build(prefix="/opt/n", pid_path="logs/nginx.pid")),
        ("nginx/1.13.7", "--prefix=/a --prefix=/b", Build(prefix="/b", pid_path="logs/nginx.pid")),
        ("nginx/1.13.7", "--prefix=", Build(prefix="/srv/", pid_path="logs/nginx.pid")),
        ("nginx/1.13.7", "--prefix='/a b' --pid-path=x.pid", Build(prefix="/a b", pid_path="x.pid")),
        ("nginx/1.13.7", "--pid-path='/run/a b'", Build(prefix="/usr/local/nginx", pid_path="/run/a b")),
        (
            "openresty/1.21.4.1",
            OPENRESTY,
            Build(prefix="/usr/local/openresty/nginx", pid_path="logs/nginx.pid"),
        ),
    ],
)
def test_the_prefix_and_the_pid_file_are_told(version: str, arguments: str, build: Build) -> None:
    told = f"nginx version: {version}\nbuilt with OpenSSL 3.0.22\nconfigure arguments: {arguments}\nmore\n"

    assert built(told, "/srv") == build


def test_of_a_fork_with_another_name_only_what_it_says_is_known() -> None:
    told = "Angie version: Angie/1.5.0\nconfigure arguments: --prefix=/etc/angie --with-threads\n"

    assert built(told, "/srv") == Build(prefix="/etc/angie")


@pytest.mark.parametrize("told", ["", "nginx version: nginx/1.22.1\n", "nginx: [warn] something\n"])
def test_without_its_arguments_nothing_is_known(told: str) -> None:
    assert built(told, "/srv") == Build()
