"""The manual pages: stackctl(1), stackd.toml(5) and stackd(8)."""

from __future__ import annotations

import os
from datetime import UTC, datetime

from share import command_line
from share.command_line import Option, Verb
from share.manual import Manual
from share.roff import bold, filled, italic, prose, section, tagged, usage, verbatim
from supervisor_stack import __version__
from supervisor_stack.cli.arguments import tree
from supervisor_stack.cli.stackd import DEFAULT_CONFIG
from supervisor_stack.cli.stackd import parser as stackd_parser


def stackctl() -> str:
    """Of the client."""
    line = command_line.stackctl()
    first, _ = tree()
    return _page(
        ("stackctl", 1, "talk to stackd about its stack"),
        [section("Synopsis"), usage(str(first.usage))],
        [
            section("Description"),
            *filled(
                f"{bold('stackctl')} asks {bold('stackd')}(8) how its services are, and has it start, stop, "
                f"restart and reload them. Without a verb it is {bold('stackctl status')}. What it says for "
                f"people is made for a terminal, and what it says for programs, with {bold('--json')}, does "
                "not depend on one. Data goes to the standard output, talk to the standard error."
            ),
        ],
        [section("Options"), *filled("These stand before the verb or after it."), *_options(line.common)],
        [section("Verbs"), *(text for verb in line.verbs for text in _verb(verb))],
        _OPERATIONS.sections("Why", "The live screen", "Logs"),
        [section("Exit status"), *_OPERATIONS.part("stackctl")],
        _environment(
            ("STACKD_CONFIG", f"The configuration file, where there is no {bold('-c')}."),
            ("NO_COLOR", f"If it is set and not empty, as {bold('--no-color')}."),
        ),
        _files(
            (DEFAULT_CONFIG, "What the stack is; it also tells where stackd listens."),
            ("/run/stackd/control.sock", "Where that is by default."),
        ),
        _examples(
            ("Is all well, and if not, what is wrong with nginx?", "stackctl\nstackctl status nginx"),
            (
                "Restart the site, without a gap where that is possible.",
                "stackctl restart uwsgi nginx",
            ),
            ("In a script: go on when the database answers.", "stackctl wait --timeout 60 mysqld || exit"),
            ("All that the services say, as it comes.", "stackctl logs -f"),
            (
                "A stack of its own, without root.",
                "stackctl -c ~/.local/share/br_api/stackd.toml status",
            ),
        ),
        _see_also("stackd(8)", "stackd.toml(5)", "systemctl(1)"),
    )


def stackd_toml() -> str:
    """Of the configuration: all that docs/config.md says."""
    manual = Manual("config.md")
    return _page(
        ("stackd.toml", 5, "what a stack is, for stackd and stackctl"),
        [
            section("Description"),
            *filled(
                "One file says what the stack is: which services there are, what each one needs, and how "
                f"{bold('stackd')}(8) finds out that it is of use. It is {bold(DEFAULT_CONFIG)}, or what "
                f"{bold('-c')} names."
            ),
            ".PP",
            *verbatim(_SMALLEST),
        ],
        manual.sections(*manual.titles()),
        _see_also("stackd(8)", "stackctl(1)"),
    )


def stackd() -> str:
    """Of the daemon."""
    parser = stackd_parser()
    options = command_line.options_of(parser)
    return _page(
        ("stackd", 8, "supervise the services of a web stack"),
        [section("Synopsis"), usage(" ".join(["stackd", *map(_optional, options)]))],
        [
            section("Description"),
            *filled(
                f"{bold('stackd')} runs a web stack on one machine: MySQL or MariaDB, Redis, uWSGI, nginx, "
                "and what else the site needs. It starts the services in order, where each waits until those "
                "that it needs answer; restarts what crashes, and replaces what hangs; takes up changed "
                "configurations after testing them; and stops everything in reverse. It stays in the "
                "foreground. Killed, upgraded or restarted, it finds its services again, running."
            ),
            ".PP",
            *filled(
                f"What the stack is stands in {bold('stackd.toml')}(5); {bold('stackctl')}(1) is how people "
                "and scripts talk to it."
            ),
        ],
        [section("Options"), *_options(options)],
        _OPERATIONS.sections("Signals", "What happens when", "Bad weather", "Stop signals and patience"),
        _OPERATIONS.sections("Which processes belong to a service"),
        [section("Exit status"), *_OPERATIONS.part("stackd")],
        _environment(
            (
                "NOTIFY_SOCKET",
                f"Where systemd is told how it is, and that it is alive: {bold('sd_notify')}(3).",
            ),
        ),
        _OPERATIONS.sections("Files", "Log files", "Troubles"),
        _examples(
            ("Every mistake in a configuration, and nothing started.", "stackd --check -c stackd.toml"),
            ("The stack in the foreground; Ctrl-C stops it in order.", "stackd -c stackd.toml"),
            ("As a service: see docs/install.md.", "systemctl enable --now stackd"),
        ),
        _see_also("stackctl(1)", "stackd.toml(5)", "systemd.service(5)"),
    )


_OPERATIONS = Manual("operations.md")

_SMALLEST = """\
[stack]
base_dir = "/home/project/br_api"

[services.uwsgi]
kind = "uwsgi"
config = "uwsgi.ini"

[services.nginx]
kind = "nginx"
config = "br_api.conf"
requires = ["uwsgi"]
"""


def _page(name: tuple[str, int, str], *parts: list[str]) -> str:
    title, number, what = name
    head = [
        r".\" Made when the package was built, of its own definitions and of docs/*.md.",
        f'.TH "{title.upper()}" "{number}" "{_date()}" "stackd {__version__}"',
        section("Name"),
        rf"{title} \- {prose(what)}",
    ]
    return "\n".join([*head, *(line for part in parts for line in part)]) + "\n"


def _date() -> str:
    """That of the sources, if whoever builds tells it (reproducible-builds.org); never that of today."""
    epoch = os.environ.get("SOURCE_DATE_EPOCH")
    return datetime.fromtimestamp(int(epoch), UTC).date().isoformat() if epoch else ""


def _verb(verb: Verb) -> list[str]:
    lines = tagged(usage(verb.usage), _sentence(verb.summary))
    return lines + ([".RS", *_options(verb.options), ".RE"] if verb.options else [])


def _options(options: tuple[Option, ...]) -> list[str]:
    lines = []
    for option in options:
        value = f" {italic(option.value.name)}" if option.value else ""
        lines += tagged(f"{', '.join(map(bold, option.flags))}{value}", _sentence(option.help))
    return lines


def _optional(option: Option) -> str:
    value = f" {option.value.name}" if option.value else ""
    return f"[{option.flags[0]}{value}]"


def _sentence(text: str) -> str:
    return prose(text[:1].upper() + text[1:].rstrip(".") + ".")


def _environment(*variables: tuple[str, str]) -> list[str]:
    return [section("Environment"), *(line for name, text in variables for line in tagged(bold(name), text))]


def _files(*files: tuple[str, str]) -> list[str]:
    return [section("Files"), *(line for path, text in files for line in tagged(italic(path), prose(text)))]


def _examples(*examples: tuple[str, str]) -> list[str]:
    lines = [section("Examples")]
    for number, (what, text) in enumerate(examples):
        lines += [*([".PP"] if number else []), *filled(prose(what)), *verbatim(text)]
    return lines


def _see_also(*pages: str) -> list[str]:
    names = [page.split("(") for page in pages]
    ends = [*"," * (len(names) - 1), ""]
    return [
        section("See also"),
        *(f".BR {name} ({rest}{end}" for (name, rest), end in zip(names, ends, strict=True)),
    ]
