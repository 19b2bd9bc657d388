"""The keys of the screen, said once: for the bindings, the line at the bottom and the help."""

from __future__ import annotations

from typing import NamedTuple


class Key(NamedTuple):
    """`key`: textual's name of it. `hint`: in the line at the bottom; "": only in the help."""

    key: str
    shown: str
    action: str
    hint: str
    meaning: str


KEYS = (
    Key("s", "s", "start", "start", "start the service, and what it needs"),
    Key("x", "x", "stop", "stop", "stop it; asks first, and says who needs it"),
    Key("r", "r", "restart", "restart", "a new run of it"),
    Key("R", "R", "reload", "reload", "have it take up its changed configuration"),
    Key("l", "l", "pane('log')", "logs", "its logs, as they come"),
    Key("d,enter", "d, Enter", "pane('details')", "details", "all about it"),
    Key("e", "e", "pane('events')", "events", "what happened to all services"),
    Key("slash", "/", "filter", "filter", "show only services whose name, kind or state contains a text"),
    Key("n", "n", "sort('name')", "", "sort by name; once more: as configured"),
    Key("c", "c", "sort('cpu')", "", "sort by CPU"),
    Key("m", "m", "sort('memory')", "", "sort by memory"),
    Key("t", "t", "sort('restarts')", "", "sort by restarts"),
    Key(
        "y",
        "y",
        "copy",
        "copy",
        "copy what is selected with the mouse, or the pane with the focus, or the row",
    ),
    Key("escape", "Esc", "away", "", "away with the message, the pane, the filter"),
    Key("ctrl+c", "Ctrl-C", "interrupt", "", "copy what is selected, or quit"),
    Key("question_mark", "?", "help", "help", "this"),
    Key("q", "q", "quit", "quit", "quit; what was asked for goes on in stackd"),
)

_MORE = (
    ("Up Down j k", "another service; PageUp, PageDown, Home, End"),
    ("Tab", "to the pane and back, to scroll it"),
    ("mouse", "choose, scroll, select text; with Shift the terminal's own selection"),
)


def hints() -> list[str]:
    """For the line at the bottom, the more useful ones first."""
    return [f"{key.shown.partition(',')[0]} {key.hint}" for key in KEYS if key.hint]


def help_lines() -> list[str]:
    """All keys and what they do."""
    told = [(key.shown, key.meaning) for key in KEYS] + list(_MORE)
    width = max(len(shown) for shown, _ in told)
    return [f"{shown:<{width}}  {meaning}" for shown, meaning in told]
