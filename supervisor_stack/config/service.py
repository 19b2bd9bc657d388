"""From one [services.NAME] table to a complete ServiceSpec, the defaults of its kind folded in."""

from __future__ import annotations

from typing import Any

import msgspec

from supervisor_stack.config.draft import Draft
from supervisor_stack.config.machine import problem_of_watched
from supervisor_stack.config.probe import read_probe
from supervisor_stack.config.process import read_process
from supervisor_stack.config.program import read_program
from supervisor_stack.config.service_table import COMMAND, ServiceTable
from supervisor_stack.config.site import Site
from supervisor_stack.config.tables import WatchTable
from supervisor_stack.kinds import KINDS
from supervisor_stack.spec import Backoff, Log, Reload, ServiceSpec, StartLimit, Watch

_FROM_KIND = (
    "stop_signal", "stop_again", "stop_timeout", "stop_when_ready", "stop_refusal", "start_timeout",
    "final_exits", "wish_exits", "kill", "notify", "parent_variable", "chatter", "copy",
)  # fmt: skip
_FROM_USER = (
    "type", "requires", "wants", "after", "autostart", "restart", "start_timeout", "stop_timeout",
    "stop_signal", "umask", "nice", "oom_score_adj", "kill", "on_dependency_crash",
)  # fmt: skip
_NOT_FOR_TASKS = {
    "hold": "a task runs once, and nobody waits for it at a socket; remove it",
    "ready": "a task is ready when it is done; remove it",
    "alive": "a task is done when it ends, and not before; remove it",
    "reload_signal": "a task has nothing to reload; remove it",
    "start_timeout": "a task may take as long as it needs; remove it",
    "watch": "a task runs once, whatever changes; remove it",
}


def read_service(name: str, table: ServiceTable, site: Site) -> ServiceSpec | None:
    """The service, or None when its mistakes leave nothing that could be judged further."""
    given = table.given()
    kind = KINDS[given.get("kind", COMMAND)]
    draft = Draft(name=name, given=given, kind=kind, site=site)
    _check_log(draft)
    _check_task(draft)
    _check_signals(draft)
    process = read_process(draft)
    if draft.is_wrong("kind"):
        return None
    facts = read_program(draft, process)
    reload, no_reload = _reload(draft)
    backoff = _backoff(draft)
    ready = read_probe(draft, "ready", facts, process)
    alive = read_probe(draft, "alive", facts, process)
    watch = _watch(draft, reload, no_reload)
    if facts is None:
        return None
    settings: dict[str, Any] = {"restart": "on-failure"} if draft.is_task else {}
    settings |= {key: getattr(kind, key) for key in _FROM_KIND}
    settings |= {key: given[key] for key in _FROM_USER if key in given}
    return ServiceSpec(
        name=name,
        argv=facts.argv,
        kind=kind.name,
        config=site.absolute(given["config"]) if "config" in given else "",
        **settings,
        backoff=backoff,
        start_limit=StartLimit(**_keys(draft, "start_limit")),
        reload=reload,
        no_reload=no_reload,
        ready=ready,
        alive=alive,
        hold=facts.hold,
        fifo=facts.fifo,
        private=facts.private,
        check=facts.check,
        watch=watch,
        addresses=facts.addresses,
        preconditions=facts.preconditions,
        logs=facts.logs,
        access_logs=facts.access_logs,
        pid_files=facts.pid_files,
        log=Log() if draft.is_wrong("log") else Log(**_keys(draft, "log")),
        env=process.env,
        cwd=process.cwd,
        user=process.user,
        group=process.group,
        limits=process.limits,
    )


def _keys(draft: Draft, name: str) -> dict[str, Any]:
    """The keys of a table of the service, as far as given."""
    table = draft.given.get(name)
    return table.given() if table else {}


def _check_log(draft: Draft) -> None:
    log = _keys(draft, "log")
    to = log.get("to", Log().to)
    for key in ("max_bytes", "keep"):
        if key in log and to != "file":
            draft.wrong(("log", key), f'only a file is rotated, and this goes to "{to}"; remove it')


def _check_task(draft: Draft) -> None:
    if not draft.is_task:
        return
    if not draft.is_command:
        draft.wrong(
            ("type",), f"{draft.kind.name} runs until it is stopped, so it is no task; remove the key"
        )
        return
    for key, why in _NOT_FOR_TASKS.items():
        if draft.given.get(key):
            draft.wrong((key,), why)
    if draft.given.get("restart") == "always":
        draft.wrong(("restart",), 'a task that is done is not started again; write "on-failure" or "never"')


def _check_signals(draft: Draft) -> None:
    # signal(7): neither can be caught.
    if draft.given.get("reload_signal") in ("KILL", "STOP"):
        draft.wrong(
            ("reload_signal",), 'no program can catch it; write the one that it reloads on, such as "HUP"'
        )
    if draft.given.get("stop_signal") == "STOP":
        draft.wrong(("stop_signal",), 'freezes a process and does not end it; write "TERM", say')


def _backoff(draft: Draft) -> Backoff:
    backoff = Backoff(**_keys(draft, "backoff"))
    if backoff.initial > backoff.max:
        draft.wrong(
            ("backoff", "initial"),
            f"{backoff.initial:g} s is more than the longest delay, max = {backoff.max:g} s; "
            "lower it, or raise max",
        )
    return backoff


def _reload(draft: Draft) -> tuple[Reload | None, str]:
    """How it reloads; or None and why it does not."""
    signal, kind = draft.given.get("reload_signal"), draft.kind
    if signal is None:
        return kind.reload, kind.no_reload
    if draft.is_command:
        return Reload(signal=signal), ""
    if kind.reload is None:
        draft.wrong(("reload_signal",), f"is of no use, remove it: {kind.no_reload}")
        return None, kind.no_reload
    return msgspec.structs.replace(kind.reload, signal=signal), ""


def _watch(draft: Draft, reload: Reload | None, no_reload: str) -> Watch | None:
    written = draft.given.get("watch", False)
    if written is False or draft.is_task:
        return None
    keys = written.given() if isinstance(written, WatchTable) else {}
    paths = tuple(draft.site.absolute(path) for path in keys.pop("paths", ()))
    for index, path in enumerate(paths):
        if problem := problem_of_watched(path):
            draft.wrong(("watch", "paths", index), problem)
    watch = Watch(paths=paths, **keys)
    cannot = watch.action == "reload" and reload is None and not draft.is_wrong("reload_signal")
    # A server has its configuration file at least; of a command nobody knows what it reads.
    if not paths and draft.is_command and not draft.is_wrong("watch", "paths"):
        right = 'watch = {paths = ["FILE"], action = "restart"}' if cannot else 'watch = {paths = ["FILE"]}'
        draft.wrong(("watch",), f"nothing tells which files it reads; write {right}")
    elif cannot and "action" in keys:
        draft.wrong(("watch", "action"), f'"reload" does not work here, write "restart": {no_reload}')
    elif cannot and not draft.is_wrong("watch", "action"):
        right = 'add action = "restart"' if keys or paths else 'write watch = {action = "restart"}'
        draft.wrong(("watch",), f"a reload does not work here, {right}: {no_reload}")
    return watch
