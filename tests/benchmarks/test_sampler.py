"""Main processes that come twice, or too often, are found."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from benchmarks import bystander, census
from benchmarks.census import Census, Process
from benchmarks.sampler import HAND_OVER, Lives, Sampler
from tests.servers import wait_until


def main(role: str, pid: int, started: int = 1) -> Process:
    return Process(pid=pid, started=started, role=role, group=pid, state="S", title=role)


def worker(role: str, pid: int, group: int) -> Process:
    return Process(pid=pid, started=1, role=role, group=group, state="S", title=role)


def seen(*moments: tuple[float, tuple[Process, ...]]) -> Lives:
    (at, first), *others = moments
    lives = Lives(Census(first), at)
    for at, processes in others:
        lives.take(Census(processes), at)
    return lives


OLD, NEW = main("mysqld", 10), main("mysqld", 20)


def test_what_stays_is_neither_new_nor_doubled() -> None:
    lives = seen((0.0, (OLD,)), (1.0, (OLD, worker("mysqld", 11, 10))), (2.0, (OLD,)))

    assert lives.new() == {}
    assert lives.duplicates(()) == ()


def test_a_second_main_process_beside_the_first_is_a_duplicate() -> None:
    lives = seen((0.0, (OLD,)), (1.0, (OLD, NEW)), (1.5, (OLD, NEW)), (2.0, (OLD,)))

    assert lives.new() == {"mysqld": 1}
    assert lives.unexpected({}) == {"mysqld": 1}
    assert lives.duplicates(()) == ("mysqld",)
    assert lives.overlaps == {"mysqld": 0.5}


def test_one_that_goes_while_the_next_comes_is_none() -> None:
    lives = seen((0.0, (OLD,)), (1.0, (OLD, NEW)), (1.5, (NEW,)))

    assert lives.duplicates(()) == ()
    assert lives.unexpected({"mysqld": 1}) == {}


def test_a_pid_that_another_process_has_got_is_another_life() -> None:
    lives = seen((0.0, (OLD,)), (1.0, (main("mysqld", 10, started=2),)))

    assert lives.new() == {"mysqld": 1}


def test_a_loop_of_starts_is_counted() -> None:
    moments = [(float(number), (main("nginx", number),)) for number in range(1, 6)]

    assert seen(*moments).unexpected({"nginx": 1}) == {"nginx": 3}


def test_who_hands_over_may_be_there_twice_but_not_for_ever() -> None:
    old, new = main("uwsgi", 1), main("uwsgi", 2)
    within = seen((0.0, (old,)), (1.0, (old, new)), (1.0 + HAND_OVER, (old, new)))
    longer = seen((0.0, (old,)), (1.0, (old, new)), (1.1 + HAND_OVER, (old, new)))

    assert within.duplicates(["uwsgi"]) == ()
    assert longer.duplicates(["uwsgi"]) == ("uwsgi",)


def test_the_processes_of_a_folder_are_looked_at_until_the_end(tmp_path: Path) -> None:
    argv = [sys.executable, bystander.__file__, "task", "1000"]
    with (
        subprocess.Popen(argv, cwd=tmp_path, start_new_session=True) as first,
        subprocess.Popen(argv, cwd=tmp_path) as not_a_leader,
    ):
        try:
            wait_until(lambda: roles(tmp_path) == ["task", "task"], "both are what they are to be")
            with (
                Sampler(tmp_path) as sampler,
                subprocess.Popen(argv, cwd=tmp_path, start_new_session=True) as second,
            ):
                try:
                    wait_until(lambda: bool(sampler.lives.duplicates(())), "the duplicate is found")
                finally:
                    second.kill()
        finally:
            first.kill()
            not_a_leader.kill()

    assert sampler.lives.new() == {"task": 1}
    assert {life.process.pid for life in sampler.lives.lives.values()} == {first.pid, second.pid}


def roles(folder: Path) -> list[str]:
    return [each.role for each in census.take(folder).processes]
