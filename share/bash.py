"""The completion of stackctl for bash."""

from __future__ import annotations

from share.command_line import CommandLine, Option, Value, Verb, What, signals, stackctl

_SCRIPT = r"""# bash completion for stackctl. Made when the package was built, of the verbs of stackctl.

# What stands after a verb, or before any: its options, what their values are, and what its arguments are.
# What it is: file, service, service-or-all, signal, verb, nothing, or else the words to choose from. With a
# * it may come again.
_stackctl_grammar() { # VERB
    options=(@COMMON_OPTIONS@)
    values=(@COMMON_VALUES@)
    arguments=()
    case $1 in
@CASES@
    esac
}

_stackctl() {
    local IFS=$' \t\n' program cur kind offered word blanks rest option='' verb='' i
    local -a words=() options=() arguments=() where=() given=() used=()
    local -A values=()
    local redirection='^([0-9]+|&)?[<>]'
    COMPREPLY=()

    # readline cuts at = and : as well, as in ipc:///run/x. Here a word is what stands between blanks.
    rest=${COMP_LINE:0:COMP_POINT}
    for ((i = 0; i <= COMP_CWORD; i++)); do
        blanks=${rest%%[![:space:]]*}
        rest=${rest:${#blanks}}
        word=${COMP_WORDS[i]}
        ((i < COMP_CWORD)) || word=$rest
        if ((i == 0)) || [[ $blanks ]]; then words+=("$word"); else words[-1]+=$word; fi
        rest=${rest:${#word}}
    done
    cur=${words[-1]}
    unset 'words[-1]'

    _stackctl_unquote "${words[0]}"
    program=$word
    _stackctl_grammar ''
    for word in "${words[@]:1}"; do
        if [[ $option ]]; then
            _stackctl_where "$option" "$word"
            option=
        elif [[ $word =~ $redirection ]]; then
            if [[ $word == *[\<\>\|\&] ]]; then option='>'; fi # the file is the next word
        elif [[ ${word:0:1} != - ]]; then
            if [[ $verb ]]; then
                given+=("$word")
            else
                verb=$word
                _stackctl_grammar "$verb"
            fi
        elif [[ $word == --*=* ]]; then
            used+=("${word%%=*}")
            _stackctl_where "${word%%=*}" "${word#*=}"
        else
            used+=("$word")
            if [[ ${values[$word]-} ]]; then
                option=$word
            elif [[ $word != --* && ${values[${word:0:2}]-} ]]; then # -cFILE
                _stackctl_where "${word:0:2}" "${word:2}"
            fi
        fi
    done

    if [[ $option ]]; then
        kind=${values[$option]-file}
    elif [[ $cur =~ $redirection ]]; then
        kind='file'
    elif [[ $cur == --*=* ]]; then
        kind=${values[${cur%%=*}]-nothing}
        cur=${cur#*=}
    elif [[ $cur == -* ]]; then
        kind=${options[*]}
        given=("${used[@]}")
    elif [[ ! $verb ]]; then
        kind=verb
    elif ((${#given[@]} < ${#arguments[@]})); then
        kind=${arguments[${#given[@]}]}
    elif ((${#arguments[@]})) && [[ ${arguments[-1]} == *'*' ]]; then
        kind=${arguments[-1]}
    else
        kind=nothing
    fi

    case ${kind%'*'} in
        nothing) return ;;
        file)
            compopt -o default # readline's own, with all that it knows of quotes and ~
            return
            ;;
        verb) offered='@VERBS@' ;;
        signal)
            offered='@SIGNALS@'
            [[ $cur != SIG* ]] || offered=SIG${offered// / SIG}
            ;;
        service | service-or-all)
            [[ " ${given[*]} " != *' all '* ]] || return
            offered=$("$program" list "${where[@]}" 2>/dev/null)
            [[ ${kind%'*'} == service || ${#given[@]} -gt 0 ]] || offered+=' all'
            ;;
        *) offered=$kind ;;
    esac
    for word in $offered; do
        if [[ $word == "$cur"* && " ${given[*]} " != *" $word "* ]]; then COMPREPLY+=("$word"); fi
    done
}

# An option with a value: if it says which stackd is meant, the list of services is asked for with it.
_stackctl_where() { # OPTION VALUE
    case $1 in
        @TELLING@)
            local word
            _stackctl_unquote "$2"
            where+=("$1" "$word")
            ;;
    esac
}

# Sets `word` to what the shell will make of it, as far as that takes no more than quotes and a ~.
_stackctl_unquote() { # WORD
    word=${1//[\\\"\']/}
    if [[ $1 == \~/* ]]; then word=$HOME/${word#*/}; fi
}

complete -F _stackctl stackctl
"""


def completion() -> str:
    """The script that bash-completion loads when stackctl is completed for the first time."""
    line = stackctl()
    return (
        _SCRIPT.replace("@COMMON_OPTIONS@", _flags(line.common))
        .replace("@COMMON_VALUES@", _values(line.common))
        .replace("@CASES@", "\n".join(filter(None, map(_case, line.verbs))))
        .replace("@VERBS@", " ".join(verb.name for verb in line.verbs))
        .replace("@SIGNALS@", " ".join(signals()))
        .replace("@TELLING@", _telling(line))
    )


def _case(verb: Verb) -> str:
    arrays = {
        "options+": _flags(verb.options),
        "values+": _values(verb.options),
        "arguments": " ".join(map(_kind, verb.arguments)),
    }
    lines = [f"            {name}=({words})" for name, words in arrays.items() if words]
    return "\n".join((f"        {verb.name})", *lines, "            ;;")) if lines else ""


def _flags(options: tuple[Option, ...]) -> str:
    return " ".join(flag for option in options for flag in option.flags)


def _values(options: tuple[Option, ...]) -> str:
    return " ".join(
        f"[{flag}]={_kind(option.value)}" for option in options if option.value for flag in option.flags
    )


def _kind(value: Value) -> str:
    kind = " ".join(value.choices) if value.what is What.ONE_OF else value.what.value
    return f"'{kind}{'*' if value.many else ''}'"


def _telling(line: CommandLine) -> str:
    return " | ".join(line.telling)
