"""What a dump of `nginx -T` says of files, addresses and logs."""

from __future__ import annotations

import pytest

from supervisor_stack.kinds.nginx_dump import DumpReader, assembled
from supervisor_stack.spec import Address, CheckReport
from tests.kinds.given import TextFiles

MAIN = "/etc/nginx/nginx.conf"


def dump(**texts: str) -> str:
    """A dump of files in /etc/nginx; `main` is nginx.conf, other keys are names without .conf."""
    names = {"main": "nginx"}
    return "".join(
        f"# configuration file /etc/nginx/{names.get(name, name)}.conf:\n{text}\n\n"
        for name, text in texts.items()
    )


def read(text: str, reader: DumpReader | None = None) -> CheckReport:
    return (reader or DumpReader())(text)


def addresses(text: str, reader: DumpReader | None = None) -> list[str]:
    return [str(address) for address in read(text, reader).addresses]


def held(text: str, reader: DumpReader | None = None) -> list[str]:
    return [str(address) for address in read(text, reader).hold]


@pytest.mark.parametrize(
    ("listens", "expected"),
    [
        ("listen 80;", ["0.0.0.0:80"]),
        ("listen *:80;", ["0.0.0.0:80"]),
        ("listen 0.0.0.0:80;", ["0.0.0.0:80"]),
        ("listen 127.0.0.1:8000;", ["127.0.0.1:8000"]),
        ("listen 127.0.0.1;", ["127.0.0.1:80"]),
        ("listen localhost:8000;", ["localhost:8000"]),
        ("listen localhost;", ["localhost:80"]),
        ("listen [::]:80;", ["[::]:80"]),
        ("listen [::1];", ["[::1]:80"]),
        ("listen [0:0::1]:80;", ["[::1]:80"]),
        ("listen unix:/run/nginx.sock;", ["unix:/run/nginx.sock"]),
        ('listen "unix:/run/with space.sock";', ["unix:/run/with space.sock"]),
        ("listen unix:nginx.sock;", ["unix:/srv/nginx.sock"]),
        ("listen 8000-8002;", ["0.0.0.0:8000", "0.0.0.0:8001", "0.0.0.0:8002"]),
        ("listen [::1]:8000-8001;", ["[::1]:8000", "[::1]:8001"]),
        ("listen 80 default_server backlog=100;", ["0.0.0.0:80"]),
        ("listen 80; listen 81;", ["0.0.0.0:80", "0.0.0.0:81"]),
        ("listen 80; listen *:80;", ["0.0.0.0:80"]),
        ("listen 443 quic; listen 443 ssl;", ["0.0.0.0:443"]),
        ("listen 443 ssl; listen 80;", ["0.0.0.0:80", "0.0.0.0:443"]),
        ("listen 81 proxy_protocol; listen 80;", ["0.0.0.0:80", "0.0.0.0:81"]),
        ("", ["0.0.0.0:80"]),
        ("location / { return 200; }", ["0.0.0.0:80"]),
    ],
)
def test_listens_become_addresses(listens: str, expected: list[str]) -> None:
    text = dump(main=f"http {{ server {{ {listens} }} }}")

    assert addresses(text, DumpReader(cwd="/srv")) == expected


@pytest.mark.parametrize(
    ("listens", "expected"),
    [
        ("listen 80; listen 127.0.0.1:80;", ["0.0.0.0:80"]),
        ("listen 127.0.0.1:80; listen localhost:80; listen *:80;", ["0.0.0.0:80"]),
        ("listen 80; listen [::1]:80;", ["0.0.0.0:80", "[::1]:80"]),
        ("listen [::1]:80; listen [::]:80;", ["[::]:80"]),
        ("listen 80; listen 127.0.0.1:81;", ["0.0.0.0:80", "127.0.0.1:81"]),
    ],
)
def test_beside_a_wildcard_there_is_no_other_socket_for_the_port(listens: str, expected: list[str]) -> None:
    assert addresses(dump(main=f"http {{ server {{ {listens} }} }}")) == expected


def test_a_server_without_listen_has_the_default_port_of_its_user() -> None:
    assert addresses(dump(main="http { server { } }"), DumpReader(default_port=8000)) == ["0.0.0.0:8000"]


def test_the_servers_of_an_upstream_do_not_listen() -> None:
    assert addresses(dump(main="http { upstream a { server 127.0.0.1:8001; } }")) == []


def test_plain_http_comes_before_tls_and_before_other_protocols() -> None:
    text = dump(
        main="""
        stream { server { listen 3306; } server { listen 53 udp; } }
        mail { server { listen 25; protocol smtp; } }
        http { server { listen 443 ssl; } server { listen 80; } }
        """
    )

    assert addresses(text) == ["0.0.0.0:80", "0.0.0.0:3306", "0.0.0.0:25", "0.0.0.0:443"]


def test_one_listen_with_ssl_makes_its_address_speak_tls_for_all_servers() -> None:
    servers = "server { listen 8443; } server { listen 8443 ssl; } server { listen 8080; }"

    assert addresses(dump(main=f"http {{ {servers} }}")) == ["0.0.0.0:8080", "0.0.0.0:8443"]


def test_ssl_on_is_the_older_way_to_say_so() -> None:
    servers = "server { ssl on; listen 8443; } server { listen 8080; }"

    assert addresses(dump(main=f"http {{ {servers} }}")) == ["0.0.0.0:8080", "0.0.0.0:8443"]


def test_included_files_count_where_they_are_included() -> None:
    text = dump(
        main="http { include sites/*.conf; server { include listen.conf; } }",
        **{"sites/a": "server { listen 81; }", "sites/b": "server { listen 82; }"},
        listen="listen 80;",
    )

    assert addresses(text) == ["0.0.0.0:81", "0.0.0.0:82", "0.0.0.0:80"]


def test_a_file_may_be_included_twice() -> None:
    text = dump(
        main="http { server { listen 81; include more.conf; } server { listen 82; include more.conf; } }",
        more="listen 80;",
    )

    assert addresses(text) == ["0.0.0.0:81", "0.0.0.0:80", "0.0.0.0:82"]


def test_a_wildcard_matches_neither_a_slash_nor_a_leading_dot() -> None:
    text = dump(
        main="http { include *.conf; }",
        a="server { listen 81; }",
        **{"sites/b": "server { listen 82; }", ".c": "server { listen 83; }"},
    )

    assert addresses(text) == ["0.0.0.0:81"]


def test_files_are_all_that_the_dump_names() -> None:
    text = dump(main="http { include mime.conf; }", mime="types { text/html html; }")

    assert read(text).files == (MAIN, "/etc/nginx/mime.conf")


def test_files_have_the_certificates_relative_to_the_main_file() -> None:
    text = dump(
        main="""http { server {
            ssl_certificate site.pem; ssl_certificate_key /etc/ssl/site.key;
            ssl_client_certificate ca.pem; ssl_dhparam dh.pem; ssl_crl crl.pem;
            location / { uwsgi_ssl_certificate up.pem; proxy_ssl_trusted_certificate roots.pem; }
        } }"""
    )

    assert read(text, DumpReader(prefix="/srv")).files == (
        MAIN,
        "/etc/nginx/site.pem",
        "/etc/ssl/site.key",
        "/etc/nginx/ca.pem",
        "/etc/nginx/dh.pem",
        "/etc/nginx/crl.pem",
        "/etc/nginx/up.pem",
        "/etc/nginx/roots.pem",
    )


@pytest.mark.parametrize(
    "line",
    [
        "auth_basic_user_file htpasswd;",
        "ssl_certificate $host.pem;",
        "ssl_certificate data:$pem;",
        "ssl_certificate_key engine:pkcs11:key;",
        "ssl_certificate_by_lua_file a.lua;",
    ],
)
def test_what_nginx_does_not_load_with_its_configuration_is_no_file(line: str) -> None:
    assert read(dump(main=f"http {{ {line} }}")).files == (MAIN,)


def test_globs_are_the_includes_with_wildcards() -> None:
    text = dump(main="include modules/*.conf; http { include mime.conf; include /srv/site?/[ab].conf; }")

    assert read(text).globs == ("/etc/nginx/modules/*.conf", "/srv/site?/[ab].conf")


def test_logs_are_the_files_that_are_named_in_full() -> None:
    text = dump(
        main="""error_log /var/log/error.log warn;
        http { access_log /var/log/a.log main buffer=32k; access_log /var/log/b.log;
               server { access_log off; error_log stderr; access_log syslog:server=unix:/dev/log;
                        access_log /dev/stdout; access_log /var/log/$host.log; error_log memory:1m;
                        access_log logs/relative.log; access_log /var/log/a.log;
                        location / { error_log /var/log/location.log; } } }"""
    )

    assert read(text).logs == ("/var/log/error.log", "/var/log/location.log")
    assert read(text).access_logs == ("/var/log/a.log", "/var/log/b.log")


def test_a_file_that_visitors_write_to_as_well_is_no_log_of_nginx_itself() -> None:
    text = dump(main="error_log /var/log/nginx.log; http { access_log /var/log/nginx.log; }")

    assert (read(text).logs, read(text).access_logs) == ((), ("/var/log/nginx.log",))


def test_a_dump_can_be_assembled_without_nginx() -> None:
    texts = {
        MAIN: "include modules/*.conf; http { include sites/a.conf; include gone.conf; include nginx.conf; }",
        "/etc/nginx/modules/one.conf": "error_log /var/log/error.log;",
        # As nginx does it: relative to the folder of the main file.
        "/etc/nginx/sites/a.conf": "server { include sites/logs.inc; }",
        "/etc/nginx/sites/logs.inc": "access_log /var/log/a.log; }",
        "/etc/nginx/sites/b.conf": "access_log /var/log/b.log;",
    }

    report = read(assembled(TextFiles(texts), MAIN))

    assert report.files == tuple(path for path in texts if not path.endswith("/b.conf"))
    assert report.logs == ("/var/log/error.log",)
    assert assembled(TextFiles({}), MAIN) == ""


def test_relative_logs_are_relative_to_a_known_prefix() -> None:
    text = dump(main="error_log logs/error.log;")

    assert read(text, DumpReader(prefix="/srv/nginx")).logs == ("/srv/nginx/logs/error.log",)


def test_a_file_in_the_syntax_of_a_module_costs_nothing_but_itself() -> None:
    text = dump(main="http { include odd.conf; server { listen 81; } }", odd="{ unlike: nginx }")

    assert read(text).files == (MAIN, "/etc/nginx/odd.conf")
    assert addresses(text) == ["0.0.0.0:81"]


def test_no_dump_is_an_empty_report() -> None:
    assert read("") == CheckReport()


def test_readers_of_the_same_place_are_equal() -> None:
    assert DumpReader(prefix="/srv") == DumpReader(prefix="/srv")
    assert read(dump(main="http { server { } }")).addresses == (Address(host="0.0.0.0", port=80),)


@pytest.mark.parametrize(
    ("listens", "expected"),
    [
        ("listen 80;", ["0.0.0.0:80"]),
        ("listen [::]:80; listen [::1]:81;", ["[::]:80", "[::1]:81"]),
        ("listen 8000-8001;", ["0.0.0.0:8000", "0.0.0.0:8001"]),
        ("listen unix:/run/nginx.sock;", ["unix:/run/nginx.sock"]),
        ("listen 443 ssl; listen 81 proxy_protocol;", ["0.0.0.0:443", "0.0.0.0:81"]),
        ("listen 80 backlog=5 rcvbuf=64k so_keepalive=on deferred fastopen=5 bind;", ["0.0.0.0:80"]),
        ("listen unix:nginx.sock; listen 80;", ["0.0.0.0:80"]),
        ("listen localhost:81; listen 80;", ["0.0.0.0:80"]),
        ("listen 81 multipath; listen 80;", ["0.0.0.0:80"]),
        ("listen 443 quic reuseport; listen 80;", ["0.0.0.0:80"]),
    ],
)
def test_what_can_be_held_is_held(listens: str, expected: list[str]) -> None:
    report = read(dump(main=f"http {{ server {{ {listens} }} }}"))

    assert [str(address) for address in report.hold] == expected
    assert report.problems == ()


def test_the_sockets_of_streams_and_mail_are_held_too() -> None:
    text = dump(
        main="stream { server { listen 3306; } server { listen 53 udp; } } mail { server { listen 25; } }"
    )

    assert held(text) == ["0.0.0.0:3306", "0.0.0.0:25"]


def test_ipv6only_off_in_one_server_makes_the_socket_take_ipv4_as_well() -> None:
    text = dump(main="http { server { listen [::]:80; } server { listen [::]:80 ipv6only=off; } }")

    assert read(text).hold == (Address(host="::", port=80, dual=True),)


def test_reuseport_is_refused_by_name() -> None:
    text = dump(main="http { include site.conf; }", site="server { listen 80 default_server reuseport; }")

    report = read(text)

    assert report.hold == ()
    (problem,) = report.problems
    assert problem == (
        "the socket of `listen 80 default_server reuseport` in /etc/nginx/site.conf cannot be held: "
        "reuseport makes a socket for each worker; remove reuseport, or write hold = []"
    )


def test_reuseport_is_allowed_where_nothing_is_held() -> None:
    report = read(dump(main="http { server { listen 80 reuseport; } }"), DumpReader(hold=()))

    assert report.hold == ()
    assert report.addresses == (Address(host="0.0.0.0", port=80),)
    assert report.problems == ()


def test_only_what_the_user_names_is_held() -> None:
    reader = DumpReader(hold=(Address(host="0.0.0.0", port=81), Address(host="::", port=81)))
    servers = "server { listen 80 reuseport; listen 81; listen [::]:81 ipv6only=off; }"

    report = read(dump(main=f"http {{ {servers} }}"), reader)

    assert report.hold == (Address(host="0.0.0.0", port=81), Address(host="::", port=81, dual=True))
    assert report.problems == ()


def test_what_the_user_names_has_to_be_there_and_to_be_possible() -> None:
    reader = DumpReader(hold=(Address(host="0.0.0.0", port=80), Address(host="0.0.0.0", port=81)))

    report = read(dump(main="http { server { listen 80 reuseport; } }"), reader)

    reason = "reuseport makes a socket for each worker"
    assert report.problems == (
        f"hold names 0.0.0.0:80, which cannot be held: {reason}; remove it there",
        "hold names 0.0.0.0:81, where nginx does not listen; remove it there",
    )


@pytest.mark.parametrize(
    ("top", "prefix", "path"),
    [
        ("pid /run/nginx.pid;", "", "/run/nginx.pid"),
        ("pid logs/nginx.pid;", "/srv", "/srv/logs/nginx.pid"),
        ("pid logs/nginx.pid;", "", ""),
        ("", "/srv", ""),
    ],
)
def test_the_pid_file_is_told_where_it_is_known(top: str, prefix: str, path: str) -> None:
    assert read(dump(main=f"{top} http {{ }}"), DumpReader(prefix=prefix)).pid_file == path


@pytest.mark.parametrize(
    ("reader", "top", "build", "path"),
    [
        (DumpReader(), "", "--pid-path=/run/nginx.pid", "/run/nginx.pid"),
        (DumpReader(), "pid /srv/n.pid;", "--pid-path=/run/nginx.pid", "/srv/n.pid"),
        (DumpReader(), "", "--prefix=/opt/nginx", "/opt/nginx/logs/nginx.pid"),
        (DumpReader(), "pid n.pid;", "--prefix=/opt/nginx", "/opt/nginx/n.pid"),
        (DumpReader(prefix="/srv"), "", "--prefix=/opt/nginx", "/srv/logs/nginx.pid"),
        (DumpReader(prefix="/srv"), "", "--pid-path=/run/nginx.pid", "/run/nginx.pid"),
        (DumpReader(directives="pid /run/g.pid; daemon off;"), "", "", "/run/g.pid"),
        (DumpReader(directives="daemon off;"), "", "--pid-path=/run/nginx.pid", "/run/nginx.pid"),
    ],
)
def test_without_a_line_the_pid_file_is_where_nginx_was_built_to_write_it(
    reader: DumpReader, top: str, build: str, path: str
) -> None:
    told = f"nginx version: nginx/1.22.1\nconfigure arguments: {build}\n"

    assert reader(dump(main=f"{top} http {{ }}"), told).pid_file == path


def test_logs_are_below_the_prefix_that_nginx_was_built_with() -> None:
    told = "nginx version: nginx/1.22.1\nconfigure arguments: --prefix=/opt/nginx\n"

    assert DumpReader()(dump(main="error_log logs/error.log;"), told).logs == ("/opt/nginx/logs/error.log",)
