"""nginx: what stackd knows of it. Tried with 1.22.1; the sources are those of 1.22 where named."""

from __future__ import annotations

import posixpath
import re

from supervisor_stack.kinds.alive import alive
from supervisor_stack.kinds.base import Facts, Given, Kind
from supervisor_stack.kinds.nginx_dump import DumpReader, assembled
from supervisor_stack.kinds.nginx_syntax import Directive, parse
from supervisor_stack.spec import Check, Hold, ProbeSpec, Reload

# On stderr a line reads "nginx: [emerg] ...", in a log "2026/11/22 07:40:04 [emerg] 12#12: *3 ...". Debian
# builds nginx with --error-log-path=stderr, so that the test's stderr has the log's form only.
_COMPLAINT = re.compile(
    r"(?:nginx: |\d{4}/\d\d/\d\d \d\d:\d\d:\d\d )\[(?P<level>emerg|alert|crit|error)\] "
    r"(?:\d+#\d+: )?(?:\*\d+ )?(?P<text>.+)"
)


def learn(given: Given) -> Facts:
    """How to run and to test nginx; where it listens is told by the test, before each start."""
    reader = DumpReader(
        prefix=_prefix(given),
        directives=_option(given.args, "-g"),
        cwd=given.cwd,
        # ngx_http_core_server(): a server block without `listen` listens on 80, or on 8000 for a user
        # who may not bind 80.
        default_port=80 if given.as_root else 8000,
        hold=given.hold,
    )
    # Until nginx has been asked, its files tell.
    told = reader(assembled(given.files, given.config))
    return Facts(
        argv=(given.binary, "-c", given.config, *given.args),
        # Any HTTP answer counts, also the 400 of a TLS port that is asked in plain HTTP. TRACE, because
        # nginx refuses it by itself (405 in ngx_http_process_request_header, before any location is
        # looked for): a GET would be answered, or not, by the application behind.
        # For an nginx without an http block the user writes a probe that suits.
        ready=ProbeSpec(type="http", method="TRACE"),
        # For as long as nginx runs nothing may show in its access log.
        alive=alive("hangup"),
        check=Check(
            # -T: as -t, and prints every file that was read. -q: no "syntax is ok" on stderr. The test
            # opens the logs and binds free ports for a moment, so it has to run as the service's user.
            # -V: tells on stderr how nginx was built, and with -T nginx goes on to test (main() in nginx.c).
            argv=(given.binary, "-T", "-q", "-V", "-c", given.config, *given.args),
            before_start=True,
            # The test would take the descriptors named there for listening sockets and close them.
            without_env=("NGINX",),
            # Names in `upstream`, `proxy_pass` and the like are looked up once, when the file is read.
            transient=r"host not found",
            read=reader,
            evidence=complaints,
        ),
        hold=None if given.hold == () else _hold(given),
        logs=told.logs,
        access_logs=told.access_logs,
        problems=_problems(given),
    )


def _hold(given: Given) -> Hold:
    return Hold(
        lend="nginx",
        # Workers go on without their master, for ever, and share its sockets with those of another.
        handover=True,
        # nginx(8): to a worker, finish the requests and leave.
        retire_signal="QUIT",
        # ngx_open_listening_sockets(): chmod() after bind().
        mode=0o666,
        user=given.user,
        group=given.group,
    )


def complaints(stderr: str) -> tuple[str, ...]:
    """The errors of a configuration test, in nginx's own words."""
    found = (_COMPLAINT.fullmatch(line.strip()) for line in stderr.splitlines())
    return tuple(dict.fromkeys(f"nginx: [{line['level']}] {line['text']}" for line in found if line))


def _prefix(given: Given) -> str:
    """What -p says; the prefix that is compiled in is told by the test."""
    prefix = _option(given.args, "-p")
    return posixpath.join(given.cwd, prefix) if prefix else ""


def _option(args: tuple[str, ...], option: str) -> str:
    """The value of an option of the command line, which may be its own word; the last one counts."""
    value = ""
    for index, arg in enumerate(args):
        if arg == option:
            value = "".join(args[index + 1 : index + 2])
        elif arg.startswith(option):
            value = arg.removeprefix(option)
    return value


def _problems(given: Given) -> tuple[str, ...]:
    """What nginx accepts and stackd cannot work with."""
    try:
        directives = parse(given.files.read(given.config))
    except OSError as error:
        return (f"cannot read {given.config}: {error.strerror}; write the main configuration file of nginx",)
    except ValueError:
        return ()  # nginx says what is wrong with it, before the start
    if Directive("master_process", ("off",)) in directives:
        return (f"master_process is off in {given.config}: no master renews the workers; remove the line",)
    return ()


KIND = Kind(
    name="nginx",
    binaries=("nginx",),
    learn=learn,
    # Set, even empty, it means "inherited sockets", and nginx that inherits never daemonizes, whatever
    # `daemon` says (ngx_add_inherited_sockets in src/core/nginx.c; tried with `daemon on;`). The usual
    # -g 'daemon off;' is an error, "directive is duplicate", when the file has a `daemon` line.
    env={"NGINX": ""},
    # nginx(8): QUIT lets the workers finish their requests, TERM and INT do not. Without
    # worker_shutdown_timeout a slow download keeps a worker for as long as it takes.
    stop_signal="QUIT",
    stop_timeout=10.0,
    # The new configuration is read by the master; the old workers go on until the new ones are there,
    # and stay for good if it is rejected. Only new children tell that it was taken.
    reload=Reload(signal="HUP", new_workers=True, failure=r"\[emerg\]"),
    copy="nginx",
    # Status 1 is a broken configuration, which the test before the start finds, but also an address
    # that is still held by somebody who may go: so none is final.
    final_exits={},
)
