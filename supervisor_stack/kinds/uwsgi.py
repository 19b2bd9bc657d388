"""uWSGI: what stackd knows of it. Tried with the wheel pyuwsgi 2.0.30 and with uWSGI 2.0.31."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Sequence

from supervisor_stack.kinds.alive import alive
from supervisor_stack.kinds.base import Facts, Given, Kind
from supervisor_stack.kinds.uwsgi_hold import as_wished, holding
from supervisor_stack.kinds.uwsgi_ini import IniReader, Options
from supervisor_stack.kinds.uwsgi_pid import pid_files
from supervisor_stack.kinds.uwsgi_runs import beside, can_live_beside, fifo, private_socket
from supervisor_stack.kinds.uwsgi_sockets import Socket, sockets
from supervisor_stack.spec import ProbeSpec, ProbeType, Reload

# uWSGI chooses the parser by the option. A file of any other name is an ini file to whoever writes --ini.
_PARSERS = {".yaml": "--yaml", ".yml": "--yaml", ".json": "--json", ".js": "--json", ".xml": "--xml"}

# What names an application; without any of them the web server names it in each request.
_APPLICATION = ("module", "wsgi", "wsgi-file", "file", "mount")

# [NAME ]file:PATH or [NAME ]file:logfile=PATH,maxsize=...
_LOGGERS = ("logger",)
_REQUEST_LOGGERS = ("req-logger", "logger-req")
_FILE_LOGGER = re.compile(r"(?:\w+ )?file:(?:logfile=)?(?P<path>[^,]+)")


def learn(given: Given) -> Facts:
    """How to run uWSGI, where it listens, what it speaks there, and what of it stackd can hold."""
    parser = _PARSERS.get(posixpath.splitext(given.config)[1].lower(), "--ini")
    reader = IniReader(given.files, given.cwd, given.env)
    if parser == "--ini":
        reader.read_file(given.config)
    reader.read_arguments(given.args)
    options = reader.options()
    listening = tuple(sockets(options, given.cwd))
    ready = _probe(options, listening)
    pipe = fifo(given, options) if parser == "--ini" else None
    private = private_socket(given)
    sociable = private is not None and can_live_beside(options, listening, pipe)
    held = holding(given, options, listening, handover=sociable) if parser == "--ini" else as_wished(given)
    handover = held.hold is not None and held.hold.handover
    return Facts(
        argv=(
            given.binary,
            *_binary_path(given),
            parser,
            given.config,
            *_master(options),
            *_need_app(options),
            *given.args,
            *(beside(options) if handover else ()),
        ),
        addresses=tuple(dict.fromkeys(each.address for each in listening if each.address)),
        ready=ready,
        # Workers that are all busy are not hung, and a request would go to the application and its logs
        # for as long as it runs: `harakiri` of uWSGI ends a worker that takes too long.
        alive=alive("process"),
        hold=held.hold,
        no_hold=held.reason,
        fifo=pipe,
        private=private if handover else None,
        logs=tuple(dict.fromkeys(_logs(options, given.cwd))),
        access_logs=tuple(dict.fromkeys(_by_loggers(options, given.cwd, _REQUEST_LOGGERS))),
        pid_files=tuple(pid_files(given, options)),
        problems=(*reader.problems, *_no_probe(given, parser, listening, ready), *held.problems),
    )


def _binary_path(given: Given) -> Iterator[str]:
    """uWSGI re-executes itself at a reload, and takes what it finds for its binary.

    Run by the script of the wheel pyuwsgi that is the interpreter outside of the virtualenv, and the
    instance ends with "No module named 'pyuwsgi'". A compiled uWSGI finds itself.
    """
    if interpreter := given.files.shebang(given.binary):
        yield from ("--binary-path", interpreter)


def _master(options: Options) -> Iterator[str]:
    """Without a master SIGHUP does not reload but ends uWSGI with status 17, and no worker is replaced."""
    if not options.is_on("master"):
        yield "--master"


def _need_app(options: Options) -> Iterator[str]:
    """Without an application uWSGI goes on and answers 500, on sockets too where another run serves well.

    With need-app it exits 22 before it accepts anybody, its traceback the last that it says. Not with
    lazy-apps: there one worker that is renewed while files are replaced would end all others as well
    (master_loop() in core/master.c), so that stays the choice of whoever wrote the configuration.
    """
    lazy = any(options.is_on(key) or options.may_hide(key) for key in ("lazy", "lazy-apps"))
    if options.values(*_APPLICATION) and not lazy and not options.values("need-app"):
        yield "--need-app"


def _probe(options: Options, listening: Sequence[Socket]) -> ProbeSpec | None:
    """The uwsgi protocol first: that is the one by which the workers are asked, with no router between."""
    speaking: tuple[ProbeType, ...] = ("uwsgi", "http")
    for wanted in speaking:
        for each in listening:
            if each.speaks == wanted and each.address:
                return ProbeSpec(type=wanted, address=each.address, path=_page(options))
    return None


def _page(options: Options) -> str:
    """A page that an application answers: without a default one uWSGI answers for itself, with 500."""
    mounts = [value.partition("=")[0] for value in options.values("mount")]
    paths = [mount for mount in mounts if mount.startswith("/")]
    if paths and options.is_on("no-default-app") and options.is_on("manage-script-name"):
        return f"{paths[0].rstrip('/')}/"
    return "/"


def _no_probe(
    given: Given, parser: str, listening: Sequence[Socket], ready: ProbeSpec | None
) -> Iterator[str]:
    """Why it cannot be known when uWSGI is ready."""
    if ready or given.has_ready:
        return
    cure = 'write ready = {type = "uwsgi", address = "127.0.0.1:8001"} with the address of its socket'
    if parser != "--ini":
        yield f"only ini files are read, so where {given.config} lets uWSGI listen is unknown; {cure}"
    elif any(each.address for each in listening):
        yield f"no socket in {given.config} speaks uwsgi or HTTP; add one, or write ready = {{...}}"
    else:
        yield f"found no socket in section [uwsgi] of {given.config}; add one, or {cure}"


def _logs(options: Options, cwd: str) -> Iterator[str]:
    """The files that uWSGI writes itself; everything else comes by stdout, see `env` below."""
    if options.is_on("log-reopen"):
        # Then a reload, which is what uWSGI takes each start for, opens them (uwsgi_setup_log()).
        names = (
            options.last("daemonize") or options.last("logto"),
            options.last("logto2"),
            options.last("daemonize2"),
        )
        # HOST:PORT there sends the log by UDP.
        yield from (posixpath.join(cwd, name) for name in names if name and ":" not in name)
    yield from _by_loggers(options, cwd, _LOGGERS)


def _by_loggers(options: Options, cwd: str, names: tuple[str, ...]) -> Iterator[str]:
    """Opened after chdir()."""
    folder = posixpath.join(cwd, options.last("chdir"))
    for value in options.values(*names):
        if found := _FILE_LOGGER.match(value):
            yield posixpath.join(folder, found["path"])


# What it prints at each start, whatever comes of it (2.0.30), and what a failure has in it besides its cause.
# Not `chdir() to`, nor `added … to pythonpath`: they tell where it looked for what is not there.
_CHATTER = (
    "[uWSGI] getting ", "*** Starting uWSGI ", "compiled with version: ", "os: ", "nodename: ", "machine: ",
    "clock source: ", "pcre jit ", "detected ", "current working directory: ", "uWSGI running as root, ",
    "*** WARNING: you are running uWSGI as root", "your processes number limit ", "your memory page size ",
    "lock engine: ", "thunder lock: ", "dropping root privileges ", "setgid() to ", "setuid() to ",
    "set additional group ", "uwsgi socket ", "Python version: ", "--- Python VM already initialized",
    "Python main interpreter ", "python threads support ", "*** Python threads support ",
    "your server socket listen backlog ", "your mercy for ", "mapped ", "*** Operational MODE: ", "WSGI app ",
    "*** uWSGI is running in multiple ", "spawned uWSGI ", "gracefully (RE)spawned uWSGI ",
    "*** no app loaded. GAME OVER ***", "VACUUM: ", "[pid: ",
)  # fmt: skip


KIND = Kind(
    name="uwsgi",
    copy="uwsgi",
    binaries=("uwsgi", "pyuwsgi"),
    learn=learn,
    # With it uWSGI takes its start for a reload, in which it never daemonizes: an ini with `daemonize`
    # stays in the foreground as it stands (uwsgi_setup_reload() in core/init.c; tried). In a reload it
    # also takes over the sockets that are lent to it, and leaves alone what has been set up before:
    # daemonize's file, `logto`, `logto2` and all pid files are not written, the log goes to stdout; of the
    # pid files stackd writes those that are known (uwsgi_pid.py).
    # -1 makes this the reload number 0. From number 1 on it would also do without chroot, capabilities,
    # namespaces and the hooks before the jail (`uwsgi.reloads` in core/utils.c; hooks tried).
    env={"UWSGI_RELOADS": "-1"},
    # The master's pipe comes first (uwsgi_runs.py), by which requests are finished; none of the signals does
    # that. TERM reloads unless die-on-term is set, and then QUIT does (Management.rst). INT stops either way,
    # and drops requests. Until its master loop is reached, where it makes the pipe, uWSGI ignores HUP and
    # TERM, and Python takes INT while it loads the application (tried): a stop that comes that early is
    # not heard, so it is said again. A second INT means the same as the first, and after the order by
    # the pipe INT means nothing (`uwsgi_instance_is_dying`) but wakes the master: 2.0.28 to 2.0.30 wait
    # for each worker, whatever worker-reload-mercy says, 2.0.31 looks once a second.
    stop_signal="INT",
    stop_again=0.5,
    # As long as uWSGI itself would wait (worker-reload-mercy), and nginx (uwsgi_read_timeout).
    stop_timeout=60.0,
    # A graceful reload waits for busy workers, up to worker-reload-mercy, 60 s by default, before it
    # re-executes and loads the application: that has to fit in. 2.0.27 gets stuck before it tells its workers
    # (unbit/uwsgi#2688) and can only be stopped; the reload fails, as no new worker appears.
    # An application that is broken takes the place of the one that works: exit status 22 with need-app, the
    # page "Internal Server Error" for everybody without. So not where a successor can be tried first.
    reload=Reload(signal="HUP", new_workers=True, timeout=120.0, by_successor=True),
    # Loading a big application takes its time, and so does a database that it asks while loading.
    start_timeout=120.0,
    # 1: cannot bind, or an option that it does not know. 22: the application cannot be loaded (need-app, or
    # one of several `mount`). Neither is final: the address gets free, and an application that asks its
    # database while it is imported loads once that answers. What stays broken ends at the start limit.
    final_exits={},
    chatter=_CHATTER,
)
