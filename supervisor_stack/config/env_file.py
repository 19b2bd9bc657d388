"""Files with environment variables, as Django projects and containers have them.

One `NAME=VALUE` a line; empty lines and lines that begin with `#` mean nothing, and a leading
`export` neither. A value may be in single quotes (taken as it is) or in double quotes (with \\n, \\t,
\\", \\\\ and \\$). Without quotes it ends before ` #`. Nothing is expanded: what is in such a file is
meant literally, and it is mostly passwords.
"""

from __future__ import annotations

import re

_NAME = re.compile(r"(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=")
_COMMENT = re.compile(r"\s#")
_SINGLE = re.compile(r"'([^']*)'(?:\s+#.*)?")
_DOUBLE = re.compile(r'"((?:\\.|[^"\\])*)"(?:\s+#.*)?')
_ESCAPE = re.compile(r"\\(.)")
_MEANING = {"n": "\n", "t": "\t", '"': '"', "\\": "\\", "$": "$"}


def parse_env_file(text: str) -> tuple[dict[str, str], tuple[int, ...]]:
    """The variables, and the numbers of the lines that are none.

    The lines themselves are not told: they may hold secrets.
    """
    env: dict[str, str] = {}
    wrong: list[int] = []
    for number, line in enumerate(map(str.strip, text.split("\n")), start=1):
        if not line or line.startswith("#"):
            continue
        name = _NAME.match(line)
        value = _value(line[name.end() :]) if name and "\0" not in line else None
        if name is None or value is None:
            wrong.append(number)
        else:
            env[name[1]] = value
    return env, tuple(wrong)


def _value(written: str) -> str | None:
    quoted = written.lstrip()
    if quoted.startswith("'"):
        single = _SINGLE.fullmatch(quoted)
        return single[1] if single else None
    if quoted.startswith('"'):
        double = _DOUBLE.fullmatch(quoted)
        return _ESCAPE.sub(lambda escape: _MEANING.get(escape[1], escape[0]), double[1]) if double else None
    return _COMMENT.split(written, maxsplit=1)[0].strip()
