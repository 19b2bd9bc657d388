"""The completion of stackctl for zsh."""

from __future__ import annotations

import re

from share.command_line import CommandLine, Option, Value, Verb, What, signals, stackctl

_SCRIPT = r"""#compdef stackctl
# Made when the package was built, of the verbs of stackctl.

_stackctl() {
  local context state state_descr line curcontext=$curcontext word ret=1
  local -A opt_args
  local -a verbs common program where
  local -i i at

  # Where the verb is, and which stackd is meant: the list of services is asked for with the same words.
  program=(${(Q)words[1]/#\~\//$HOME/})
  for ((i = 2; i < CURRENT; i++)); do
    word=$words[i]
    case $word in
      @TELLING@)
        if ((i + 1 < CURRENT)); then where+=($word "${(Q)words[i + 1]/#\~\//$HOME/}"); fi
        ((i++)) ;;
      @ATTACHED@) where+=("${(Q)word}") ;;
      -*) ;;
      *) if ((! at)); then at=i; fi ;;
    esac
  done

  common=(
@COMMON@
  )
  if ((! at)); then
    _arguments -s -S -C $common ': :->verb' && ret=0
    if [[ $state == verb ]]; then
      verbs=(
@VERBS@
      )
      _describe -t verbs verb verbs && ret=0
    fi
    return ret
  fi

  words=("${(@)words[at,-1]}")
  ((CURRENT -= at - 1))
  curcontext=${curcontext%:*:*}:stackctl-$words[1]:
  case $words[1] in
@CASES@
    *) _arguments -s -S $common ;;
  esac
}

# The services of the stack, without those that the line names already. With an argument also `all`.
_stackctl_services() {
  local -a names given expl
  [[ $PREFIX != -* ]] || return 1
  given=(${line:#$PREFIX$SUFFIX})
  ((! $given[(Ie)all])) || return 1
  names=(${(f)"$(_call_program services ${(q)program} list ${(q)where} 2>/dev/null)"})
  if (($# && ! $#given)); then names+=(all); fi
  names=(${names:|given})
  _wanted services expl service compadd -a names
}

_stackctl_signals() {
  local -a names expl
  names=(@SIGNALS@)
  if [[ $PREFIX == SIG* ]]; then names=(SIG$^names); fi
  _wanted signals expl signal compadd -a names
}

_stackctl "$@"
"""

# With a blank first, _arguments adds no words of its own.
_ACTIONS = {
    What.FILE: "_files",
    What.SERVICE: " _stackctl_services",
    What.SERVICE_OR_ALL: " _stackctl_services all",
    What.SIGNAL: " _stackctl_signals",
    What.NOTHING: " ",
}


def completion() -> str:
    """The function that compinit finds in site-functions."""
    line = stackctl()
    return (
        _SCRIPT.replace("@TELLING@", f"({'|'.join(line.telling)})")
        .replace("@ATTACHED@", _attached(line))
        .replace("@COMMON@", "\n".join(f"    {_option(option)}" for option in line.common))
        .replace("@VERBS@", "\n".join(f"        {_quoted(_described(verb))}" for verb in line.verbs))
        .replace("@CASES@", "\n".join(_case(verb) for verb in line.verbs if verb.options or verb.arguments))
        .replace("@SIGNALS@", " ".join(signals()))
    )


def _attached(line: CommandLine) -> str:
    """Patterns for an option that has its value in the same word."""
    patterns = (f"{flag}=*" if flag.startswith("--") else f"{flag}?*" for flag in line.telling)
    return f"({'|'.join(patterns)})"


def _described(verb: Verb) -> str:
    return f"{verb.name}:{verb.summary}"


def _case(verb: Verb) -> str:
    specs = [*map(_option, verb.options), *map(_argument, range(1, 9), verb.arguments)]
    head = f"    {verb.name})\n      _arguments -s -S $common \\\n"
    return head + " \\\n".join(f"        {spec}" for spec in specs) + "\n      ;;"


def _option(option: Option) -> str:
    value = option.value
    rest = f"[{_escaped(option.brief, '[]')}]"
    if value:
        rest += _value(value)
    if len(option.flags) == 1:
        flag = option.flags[0]
        attached = "" if not value else "=" if flag.startswith("--") else "+"
        return _quoted(f"{flag}{attached}{rest}")
    # -h and --help end everything.
    exclusive = "- *" if "--help" in option.flags else " ".join(option.flags)
    return f"{_quoted(f'({exclusive})')}{{{','.join(option.flags)}}}{_quoted(rest)}"


def _argument(place: int, value: Value) -> str:
    return _quoted(f"{'*' if value.many else place}{_value(value)}")


def _value(value: Value) -> str:
    action = f"({' '.join(value.choices)})" if value.what is What.ONE_OF else _ACTIONS[value.what]
    return f":{_escaped(value.name, ':')}:{action}"


def _escaped(text: str, characters: str) -> str:
    return re.sub(rf"([{re.escape(characters)}\\])", r"\\\1", text)


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"
