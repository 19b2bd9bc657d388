"""The table: in which state, on which event, which move is made, and where it may lead.

Every state meets every event here: a row of RULES, or of IGNORED with the reason why the event is
of no consequence. tests/core/test_rules.py walks the whole product, and docs/states.md is printed
from these tables.
"""

from __future__ import annotations

from typing import NamedTuple

from supervisor_stack.core import events as ev
from supervisor_stack.core.moves import (
    adoption,
    endings,
    leaving,
    living,
    reloading,
    starting,
    succession,
    wanting,
)
from supervisor_stack.core.moves.base import Move, Step
from supervisor_stack.core.state import Service, State

STOPPED, WAITING, STARTING, RUNNING, RELOADING, STOPPING, KILLING, BACKOFF, EXITED, FAILED = State
ANYWHERE = frozenset(State)


class Rule(NamedTuple):
    """A move, and the states that it may lead to."""

    move: Move
    to: frozenset[State]


Row = tuple[set[State] | frozenset[State], type[ev.Event], Move, set[State]]

SETTLED = {STOPPED, WAITING, BACKOFF, EXITED, FAILED}
MAY_SWEEP = SETTLED | {KILLING}

_ROWS: tuple[Row, ...] = (
    # What the operator wants. {} leads nowhere else: the state stays.
    ({STOPPED, WAITING, FAILED, BACKOFF}, ev.StartRequested, wanting.want, {WAITING}),
    ({STARTING, RUNNING, RELOADING}, ev.StartRequested, wanting.want_after_all, set()),
    ({STOPPING}, ev.StartRequested, wanting.want_back, {STARTING}),
    ({KILLING}, ev.StartRequested, wanting.want_again, set()),
    ({EXITED}, ev.StartRequested, starting.start_exited, {WAITING, EXITED}),
    (
        {WAITING, BACKOFF, EXITED, FAILED, STOPPED},
        ev.StopRequested,
        wanting.rest,
        {STOPPED, STOPPING, KILLING},
    ),
    ({STARTING, RUNNING, RELOADING, KILLING}, ev.StopRequested, wanting.unwant, set()),
    ({STOPPING}, ev.StopRequested, wanting.insist, set()),
    ({STOPPED, WAITING, BACKOFF, EXITED, FAILED}, ev.RestartRequested, wanting.want, {WAITING}),
    ({STARTING, STOPPING, KILLING}, ev.RestartRequested, wanting.want_again, set()),
    ({RUNNING}, ev.RestartRequested, succession.renew_on_request, set()),
    ({RELOADING}, ev.RestartRequested, succession.renew_on_request, set()),
    ({RUNNING}, ev.DependenciesReady, succession.begin_renewal, {RELOADING}),
    ({RUNNING}, ev.DependenciesPending, succession.call_off_renewal, set()),
    ({STARTING, RUNNING, RELOADING}, ev.DependencyCrashed, wanting.follow_dependency, set()),
    (ANYWHERE - {FAILED}, ev.ResetRequested, wanting.forget, set()),
    ({FAILED}, ev.ResetRequested, wanting.forget_failure, {WAITING, STOPPED}),
    # What another stackd has left.
    (SETTLED, ev.Adopted, adoption.adopt_down, {KILLING}),
    ({STARTING}, ev.Adopted, adoption.adopt_starting, MAY_SWEEP | {RUNNING, RELOADING}),
    ({RUNNING}, ev.Adopted, adoption.adopt_running, set()),
    ({RELOADING}, ev.Adopted, adoption.adopt_reloading, {RUNNING}),
    ({STOPPING}, ev.Adopted, adoption.adopt_stopping, MAY_SWEEP),
    ({KILLING}, ev.Adopted, adoption.adopt_killing, set()),
    # Start.
    ({WAITING}, ev.DependenciesPending, starting.note_needs, set()),
    ({WAITING}, ev.DependenciesReady, starting.begin, {STARTING}),
    ({STARTING}, ev.CheckFinished, starting.spawn_checked, MAY_SWEEP),
    ({STARTING}, ev.Spawned, starting.supervise, {STARTING, RUNNING}),
    ({STARTING}, ev.SpawnFailed, endings.after_spawn_failure, MAY_SWEEP),
    ({STARTING}, ev.ProbeFailed, starting.judge_answer, {STOPPING}),
    ({STARTING}, ev.StatusReceived, starting.note_status, set()),
    ({STARTING}, ev.BecameReady, starting.accept, {RUNNING, RELOADING}),
    ({STARTING}, ev.DeadlinePassed, starting.give_up_start, {STOPPING}),
    ({RUNNING, RELOADING}, ev.BecameReady, starting.recover, set()),
    ({RUNNING, RELOADING}, ev.ProbeFailed, starting.note_answer, set()),
    ({RUNNING}, ev.DeadlinePassed, starting.trust, set()),
    ({RUNNING}, ev.AliveMissed, living.count_miss, {RELOADING, STOPPING}),
    ({RUNNING, RELOADING}, ev.AliveAnswered, living.note_life, set()),
    (ANYWHERE, ev.ConfigKept, starting.note_copy, set()),
    (ANYWHERE, ev.HoldFailed, reloading.note_unheld, set()),
    ({BACKOFF}, ev.DeadlinePassed, starting.retry, {WAITING}),
    ({BACKOFF, FAILED}, ev.FilesChanged, starting.retry_changed, {WAITING}),
    # Reload.
    ({RUNNING}, ev.ReloadRequested, reloading.test_reload, {RELOADING}),
    ({RUNNING}, ev.FilesChanged, reloading.follow_change, {RELOADING}),
    ({RELOADING}, ev.ReloadRequested, reloading.follow_later, set()),
    ({STARTING, RELOADING}, ev.FilesChanged, reloading.follow_later, set()),
    ({RELOADING}, ev.CheckFinished, reloading.apply_reload, {RELOADING, RUNNING}),
    ({RELOADING}, ev.ReloadVerified, reloading.finish_reload, {RELOADING, RUNNING}),
    ({RELOADING}, ev.ReloadFailed, reloading.reject_reload, {RELOADING, RUNNING}),
    ({RELOADING}, ev.DeadlinePassed, reloading.abandon_reload, {RELOADING, RUNNING, STOPPING}),
    # Stop.
    ({STARTING, RUNNING, RELOADING}, ev.DependentsDown, leaving.leave, {STOPPING}),
    ({STOPPING}, ev.Spawned, leaving.signal_late, set()),
    ({STOPPING}, ev.SpawnFailed, leaving.settle_unborn, MAY_SWEEP),
    ({STOPPING}, ev.CheckFinished, leaving.settle_unborn, MAY_SWEEP),
    ({STOPPING}, ev.StatusReceived, leaving.allow_more_time, set()),
    ({STOPPING}, ev.StopRefused, leaving.note_refusal, set()),
    ({STOPPING}, ev.DeadlinePassed, leaving.kill, {KILLING}),
    ({KILLING}, ev.DeadlinePassed, leaving.report_unkillable, set()),
    # The end of a run.
    ({STARTING, RUNNING}, ev.ProcessExited, endings.after_exit, MAY_SWEEP),
    ({RELOADING}, ev.ProcessExited, succession.lose_present, MAY_SWEEP | {STARTING}),
    ({STOPPING}, ev.ProcessExited, endings.after_stop, MAY_SWEEP),
    ({KILLING}, ev.ProcessExited, endings.after_kill, SETTLED),
    ({KILLING}, ev.MembersGone, endings.swept, SETTLED),
    ({STOPPING}, ev.GenerationGone, endings.forget_last_generation, MAY_SWEEP),
    (ANYWHERE - {STOPPING}, ev.GenerationGone, endings.forget_generation, set()),
)

RULES: dict[tuple[State, type[ev.Event]], Rule] = {
    (state, event): Rule(move, frozenset(to | {state}))
    for states, event, move, to in _ROWS
    for state in states
}

# A successor exists in one state only, so that its facts need no more than a column.
SUCCESSION: dict[type[ev.Event], Rule] = {
    event: Rule(move, frozenset(to | {RELOADING}))
    for event, move, to in (
        (ev.CheckFinished, succession.spawn_successor, {RUNNING, STOPPING}),
        (ev.Spawned, succession.probe_successor, set()),
        (ev.SpawnFailed, succession.fail_successor, {RUNNING, STOPPING}),
        (ev.ProbeFailed, succession.judge_successor, {RUNNING, STOPPING}),
        (ev.StatusReceived, succession.note_successor, set()),
        (ev.BecameReady, succession.take_over, {RUNNING}),
        (ev.ProcessExited, succession.lose_successor, {RUNNING, STOPPING}),
    )
}
"""What is done, in the state `reloading`, about a fact whose run is the successor's."""

_LATE = "late: the process, the test or the wait that it tells of is over"
_NOT_YET = "cannot be: nothing of the kind was ordered in this state"
_NO_PROCESS = "nothing runs that could reload; the next start reads the files as they are"

IGNORED: dict[tuple[State, type[ev.Event]], str] = {
    (state, event): reason
    for states, events, reason in (
        (
            ANYWHERE - {WAITING, RUNNING},
            (ev.DependenciesReady, ev.DependenciesPending),
            "it is not waiting for them",
        ),
        (
            ANYWHERE - {STARTING, RUNNING, RELOADING},
            (ev.DependentsDown,),
            "there is nothing that could leave, or it is leaving already",
        ),
        ({STOPPED, WAITING, EXITED}, (ev.ReloadRequested, ev.FilesChanged), _NO_PROCESS),
        (
            ANYWHERE - {STARTING, RUNNING, RELOADING},
            (ev.DependencyCrashed,),
            "it has no process, or is leaving already",
        ),
        (ANYWHERE - {RUNNING, RELOADING}, (ev.AliveMissed, ev.AliveAnswered), _LATE),
        (
            {RELOADING},
            (ev.AliveMissed,),
            "it is being renewed or taking up files, and is asked again after that",
        ),
        (ANYWHERE - {STOPPING}, (ev.StopRefused,), _LATE),
        ({STARTING}, (ev.ReloadRequested,), "refused before it gets here: it is not running yet"),
        ({STOPPING, KILLING}, (ev.ReloadRequested, ev.FilesChanged), "it is leaving"),
        ({BACKOFF, FAILED}, (ev.ReloadRequested,), _NO_PROCESS),
        (
            {STOPPED, WAITING, BACKOFF, EXITED, FAILED, KILLING},
            (ev.CheckFinished, ev.Spawned, ev.SpawnFailed),
            _LATE,
        ),
        ({RUNNING, RELOADING}, (ev.Spawned, ev.SpawnFailed), _NOT_YET),
        ({RUNNING}, (ev.CheckFinished,), "late: the reload was given up"),
        (ANYWHERE - {STARTING, RUNNING, RELOADING}, (ev.BecameReady, ev.ProbeFailed), _LATE),
        (
            ANYWHERE - {STARTING, STOPPING},
            (ev.StatusReceived,),
            "its status counts only while it starts or stops",
        ),
        (ANYWHERE - {RELOADING}, (ev.ReloadVerified, ev.ReloadFailed), "late: the reload was given up"),
        ({STOPPED, WAITING, BACKOFF, EXITED, FAILED}, (ev.ProcessExited,), _LATE),
        (ANYWHERE - {KILLING}, (ev.MembersGone,), "it was not being swept, or its main process told all"),
        ({STOPPED, WAITING, EXITED, FAILED}, (ev.DeadlinePassed,), "these states have no deadline"),
    )
    for state in states
    for event in events
}


def step(service: Service, event: ev.Event, now: float, chance: float) -> Step:
    """The service after this event, and the orders that go with it. Facts of older runs are dropped.

    Raises AssertionError when a move leads where the table does not allow: a bug, and the record
    that was passed in is still whole.
    """
    if isinstance(event, ev.RunEvent) and event.run != service.run:
        if service.successor is None or event.run != service.successor.run:
            return service, ()  # a late fact of a run that is over, or on its way out
        rule = SUCCESSION.get(type(event))
    else:
        rule = RULES.get((service.state, type(event)))
    if rule is None:
        return service, ()
    after, orders = rule.move(service, event, now, chance)
    if after.state not in rule.to:
        raise AssertionError(f"{rule.move.__name__} may not lead from {service.state} to {after.state}")
    return after, orders
