"""The completion of stackctl for fish."""

from __future__ import annotations

from collections.abc import Iterator

from share.command_line import CommandLine, Option, Value, Verb, What, signals, stackctl

_SCRIPT = r"""# Made when the package was built, of the verbs of stackctl.

# The verb, and what was given to it apart from options, each on a line.
function __stackctl_given
    set -l verb
    set -l option
    for word in (commandline -opc)[2..]
        if test -n "$option"
            set option
            continue
        end
        switch "$verb $word"
            case @VALUED@
                set option $word
            case '* -*'
            case '*'
                echo -- $word
                test -n "$verb"; or set verb $word
        end
    end
end

# Is this the verb? '' is for none so far.
function __stackctl_verb # VERB
    set -l given (__stackctl_given)
    test "$given[1]" = "$argv[1]"
end

# Is this the verb, and were so many arguments given to it, or more? Not where an option is begun.
function __stackctl_at # VERB COUNT [more]
    string match -q -- '-*' (commandline -ct); and return 1
    set -l given (__stackctl_given)
    set -l missing (math $argv[2] + 1 - (count $given))
    test "$given[1]" = "$argv[1]"
    and test $missing -eq 0 -o "$argv[3]" = more -a $missing -lt 0
end

# The services of the stack that the line is for, without those that it names already.
function __stackctl_services
    set -l words (string replace -r '^~/' "$HOME/" -- (commandline -opc))
    set -l given (__stackctl_given)[2..]
    set -l where
    set -l option
    contains -- all $given; and return
    for word in $words[2..]
        if test -n "$option"
            set -a where $option $word
            set option
            continue
        end
        switch $word
            case @TELLING@
                set option $word
            case @ATTACHED@
                set -a where $word
        end
    end
    for name in ($words[1] list $where 2>/dev/null)
        contains -- $name $given; or echo $name
    end
end

function __stackctl_services_or_all
    __stackctl_services
    test (count (__stackctl_given)) -gt 1; or echo all\tevery\ service
end

function __stackctl_signals
    set -l names @SIGNALS@
    string match -q 'SIG*' -- (commandline -ct); and set names SIG$names
    printf '%s\n' $names
end

complete -c stackctl -f
@LINES@
"""

_WORDS = {
    What.SERVICE: "(__stackctl_services)",
    What.SERVICE_OR_ALL: "(__stackctl_services_or_all)",
    What.SIGNAL: "(__stackctl_signals)",
}


def completion() -> str:
    """The script that fish loads when stackctl is completed for the first time."""
    line = stackctl()
    attached = [f"{flag}=*" if flag.startswith("--") else f"{flag}*" for flag in line.telling]
    return (
        _SCRIPT.replace("@VALUED@", " ".join(map(_quoted, _valued(line))))
        .replace("@TELLING@", " ".join(line.telling))
        .replace("@ATTACHED@", " ".join(map(_quoted, attached)))
        .replace("@SIGNALS@", " ".join(signals()))
        .replace("@LINES@", "\n".join(_lines(line)))
    )


def _valued(line: CommandLine) -> Iterator[str]:
    """Patterns, over `VERB OPTION`, of the options that take the next word."""
    yield from (f"* {flag}" for flag in line.telling)
    for verb in line.verbs:
        yield from (f"{verb.name} {flag}" for option in verb.options if option.value for flag in option.flags)


def _lines(line: CommandLine) -> Iterator[str]:
    yield from (_option(option, "") for option in line.common)
    for verb in line.verbs:
        yield _complete("__stackctl_verb ''", f"-a {verb.name}", verb.summary)
    for verb in line.verbs:
        yield from (_option(option, f"__stackctl_verb {verb.name}") for option in verb.options)
        yield from (
            _argument(verb, place, value)
            for place, value in enumerate(verb.arguments)
            if value.what is not What.NOTHING
        )


def _option(option: Option, condition: str) -> str:
    names = [f"-l {flag[2:]}" if flag.startswith("--") else f"-s {flag[1:]}" for flag in option.flags]
    return _complete(condition, " ".join([*names, *_value(option.value)]), option.brief)


def _value(value: Value | None) -> Iterator[str]:
    match value:
        case None:
            return
        case Value(what=What.FILE):
            yield "-r -F"
        case Value(what=What.NOTHING):
            yield "-x"
        case _:
            yield f"-x -a {_quoted(_WORDS.get(value.what) or ' '.join(value.choices))}"


def _argument(verb: Verb, place: int, value: Value) -> str:
    words = _WORDS.get(value.what) or " ".join(value.choices)
    what = "-F" if value.what is What.FILE else f"-a {_quoted(words)}"
    return _complete(f"__stackctl_at {verb.name} {place}{' more' if value.many else ''}", what, "")


def _complete(condition: str, what: str, description: str) -> str:
    parts = ["complete -c stackctl"]
    if condition:
        parts.append(f"-n {_quoted(condition)}")
    parts.append(what)
    if description:
        parts.append(f"-d {_quoted(description)}")
    return " ".join(parts)


def _quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
