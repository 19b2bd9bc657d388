"""What is shown of the last words of servers; the words are theirs."""

from __future__ import annotations

import pytest

from supervisor_stack.core.evidence import excerpt, telling_line, without

TRACEBACK = (
    "Traceback (most recent call last):",
    '  File "/srv/app/wsgi.py", line 1, in <module>',
    "    import no_such_module",
    "ModuleNotFoundError: No module named 'no_such_module'",
)
CHAINED = (
    *TRACEBACK,
    "",
    "During handling of the above exception, another exception occurred:",
    "",
    "Traceback (most recent call last):",
    '  File "/srv/app/wsgi.py", line 3, in <module>',
    '    raise RuntimeError("no settings")',
    "RuntimeError: no settings",
)

NGINX = (
    *["2026/11/27 05:10:01 [emerg] 9#9: bind() to 0.0.0.0:80 failed (98: Address already in use)"] * 5,
    "2026/11/27 05:10:05 [emerg] 9#9: still could not bind()",
)
MARIADB = (
    "2026-11-27  5:10:03 0 [Warning] Can't create test file '/nodata/vm.lower-test' (Errcode: 2)",
    "mariadbd: Can't change dir to '/nodata/' (Errcode: 2 \"No such file or directory\")",
    "2026-11-27  5:10:03 0 [ERROR] Aborting",
)
MARIADB_TABLES = (
    "2026-11-27  5:10:03 0 [Note] Server socket created on IP: '0.0.0.0', port: '3306'.",
    "2026-11-27  5:10:03 0 [ERROR] Fatal error: Can't open and lock privilege tables: Table 'mysql.db'",
    "2026-11-27  5:10:03 0 [ERROR] Aborting",
)
REDIS = (
    "*** FATAL CONFIG FILE ERROR (Redis 7.0.15) ***",
    "Reading the configuration file, at line 1",
    ">>> 'bogus yes'",
    "Bad directive or wrong number of arguments",
)
REDIS_BIND = (
    "7:C 27 Nov 2026 05:10:03.516 # Configuration loaded",
    "7:M 27 Nov 2026 05:10:03.517 # Warning: Could not create server TCP listening socket 203.0.113.9:6379",
    "7:M 27 Nov 2026 05:10:03.517 # Failed listening on port 6379 (TCP), aborting.",
)


@pytest.mark.parametrize(
    ("words", "telling"),
    [
        (TRACEBACK, TRACEBACK[-1]),
        (CHAINED, CHAINED[-1]),
        (NGINX, NGINX[-1]),
        (MARIADB, MARIADB[1]),
        (MARIADB_TABLES, MARIADB_TABLES[1]),
        (REDIS, REDIS[0]),
        (REDIS_BIND, REDIS_BIND[2]),
    ],
)
def test_the_words_of_a_server_are_shown_whole_where_they_are_few(
    words: tuple[str, ...], telling: str
) -> None:
    assert telling_line(words) == telling
    assert excerpt(words) == words


@pytest.mark.parametrize("traceback", [TRACEBACK, CHAINED])
def test_a_traceback_is_shown_from_its_first_line(traceback: tuple[str, ...]) -> None:
    words = ("listening at :8000", "booting a worker", *traceback, "shutting down")

    assert excerpt(words) == (*traceback, "shutting down")


def test_of_a_long_traceback_the_end_is_shown() -> None:
    long = (TRACEBACK[0], *(f"  line {number}" for number in range(30)), TRACEBACK[-1])

    assert excerpt(long) == long[-13:]


def test_what_a_server_says_at_each_start_is_left_out() -> None:
    words = ("os: Linux", "machine: x86_64", "bind(): Permission denied")

    assert without(words, ("os: ", "machine: ")) == ("bind(): Permission denied",)
    assert without(words, ()) == words


def test_who_says_nothing_else_is_quoted_all_the_same() -> None:
    assert without(("os: Linux", "machine: x86_64"), ("os: ", "machine: ")) == (
        "os: Linux",
        "machine: x86_64",
    )
