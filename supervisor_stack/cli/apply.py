"""The verb apply: what differs between stackd.toml and what runs, and to make that so."""

from __future__ import annotations

import sys

from supervisor_stack.cli.failure import Deed
from supervisor_stack.cli.options import Options
from supervisor_stack.cli.output import InterruptError, emit, say, shape_of, tell
from supervisor_stack.cli.progress import view, watch
from supervisor_stack.cli.shapes import Applied, ApplyFailure, Applying, Planned
from supervisor_stack.cli.target import connect
from supervisor_stack.control.client import StackClient
from supervisor_stack.control.client.outcomes import in_one
from supervisor_stack.control.messages import Accepted, Apply, Finished
from supervisor_stack.control.plans import Plan, lines
from supervisor_stack.control.purpose import purpose
from supervisor_stack.errors import ConfigError, OperationError

DIFFERS = 1
"""Exit code of --plan when something differs, as that of diff(1)."""


def apply(options: Options) -> int:
    """Show the plan, and carry it out; with --plan only show it. Raises StackError."""
    try:
        client = connect(options)
    except ConfigError as error:  # so wrong that it does not even say where stackd listens
        raise ConfigError(error.message, (*error.detail, "nothing was changed.")) from None
    with client:
        return _show(client, options) if options.plan else _carry_out(client, options)


def _show(client: StackClient, options: Options) -> int:
    plan = client.request(Apply(plan=True)).plan
    if options.json:
        emit(Planned(plan=plan))
    else:
        _say(plan, options)
    return DIFFERS if plan.changes else 0


def _carry_out(client: StackClient, options: Options) -> int:
    message = Apply()
    truth = "stackd may have begun with it"
    try:
        steps = client.operate(message, options.timeout)
        accepted = next(steps)
        if not isinstance(accepted, Accepted) or accepted.plan is None:
            raise TypeError(f"apply begins with Accepted and a plan, not with {accepted}")
        truth = "stackd goes on with it"
        if not options.json:
            _say(accepted.plan, options)
        elif not options.wait:
            emit(Applying(op=accepted.op, plan=accepted.plan, services=accepted.services))
        if not options.wait:
            return 0
        deed = _deed(accepted.plan, options)
        with view(deed, accepted) as shown:
            finished = watch(steps, shown)
    except KeyboardInterrupt:
        detail = f"{truth}: {purpose(message)}; see how with: stackctl status"
        raise InterruptError("cannot wait for the end: interrupted", (detail,)) from None
    return _report(accepted.plan, finished, deed)


def _say(plan: Plan, options: Options) -> None:
    """The plan on stdout, two lines for each change; that there is none is talk."""
    if not plan.changes:
        tell(f"nothing differs: stackd runs what {plan.source} says")
    elif sys.stdout.isatty():
        from supervisor_stack.cli.tty import print_plan

        print_plan(lines(plan), options.no_color)
    else:
        for what, why in lines(plan):
            say(what)
            say(why)
        sys.stdout.flush()  # before the progress, which goes another way


def _deed(plan: Plan, options: Options) -> Deed:
    verbs = {change.service: change.effect for change in plan.changes}
    return Deed(options, verbs, {name: _truth(name, verb, plan.source) for name, verb in verbs.items()})


def _truth(service: str, verb: str, source: str) -> str:
    """What is true after a failure."""
    if verb == "stop":
        return f"{service} is not part of {source} any more, and is forgotten when it is down."
    return f"{source} is in effect: correct it and apply it once more."


def _report(plan: Plan, finished: Finished, deed: Deed) -> int:
    """The exit code. To a person the failures were told already."""
    errors = [deed.error(each) for each in finished.outcomes if each.error]
    if not deed.options.json:
        return OperationError.exit_code if errors else 0
    if errors:
        error = shape_of(in_one(Apply(), errors))
        emit(ApplyFailure(error=error, op=finished.op, plan=plan, services=finished.outcomes))
        return OperationError.exit_code
    emit(Applied(op=finished.op, plan=plan, services=finished.outcomes))
    return 0
