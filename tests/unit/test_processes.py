# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Work in forked processes: all of it is done, what fails is told, and no worker outlives its caller."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.cora.backup.plugins.module_utils import processes
from ansible_collections.cora.backup.plugins.module_utils.errors import IntegrityError, WorkerError
from ansible_collections.cora.backup.plugins.module_utils.processes import apart, finished_after, forked_map
from support.tools import assert_no_child_is_left

COLLECTIONS = Path(__file__).resolve().parents[2] / "playbooks" / "collections"


@contextmanager
def closing_worker(function: Callable[[Any], Any]) -> Iterator[processes.Worker]:
    worker = processes.Worker(function)
    try:
        yield worker
    finally:
        worker.stop()


def with_pid(number: int) -> tuple[int, int]:
    time.sleep(0.001)
    return number, os.getpid()


def test_every_item_is_done_once_in_other_processes() -> None:
    done = list(forked_map(with_pid, range(500), workers=3))
    assert sorted(number for number, _pid in done) == list(range(500))
    assert len({pid for _number, pid in done}) == 3 and os.getpid() not in {pid for _number, pid in done}
    assert_no_child_is_left()


@pytest.mark.parametrize("count", [0, 1, 2])
def test_fewer_items_than_workers(count: int) -> None:
    assert len(list(forked_map(with_pid, range(count), workers=4))) == count
    assert_no_child_is_left()


def test_large_items_and_results() -> None:
    done = list(forked_map(lambda data: data[::-1], [bytes([number]) * 3_000_000 for number in range(8)], workers=2))
    assert sorted(done) == [bytes([number]) * 3_000_000 for number in range(8)]


INTERRUPTED_IN_A_FORK = """
import os, signal, sys
sys.path.insert(0, sys.argv[1])
from ansible_collections.cora.backup.plugins.module_utils.processes import Worker
os.register_at_fork(after_in_parent=lambda: os.kill(os.getpid(), signal.SIGINT))
try:
    Worker(print)
except KeyboardInterrupt:
    print("interrupted", flush=True)
print(signal.pthread_sigmask(signal.SIG_BLOCK, []))
"""


def test_an_interrupt_while_a_process_is_made_is_not_lost() -> None:
    """Python throws away what is raised in a hook of fork(), and most of its signal handlers run there then."""
    words = [sys.executable, "-c", INTERRUPTED_IN_A_FORK, str(COLLECTIONS)]
    done = subprocess.run(words, capture_output=True, text=True, check=True, timeout=60)
    assert (done.stdout, done.stderr) == ("interrupted\nset()\n", "")


def test_a_worker_can_be_stopped_by_signals() -> None:
    """What was blocked while it was made is not blocked in it."""
    with closing_worker(lambda _nothing: sorted(signal.pthread_sigmask(signal.SIG_BLOCK, []))) as worker:
        worker.send(None)
        assert worker.receive() == []


def test_an_error_is_raised_here() -> None:
    def refuse(number: int) -> int:
        if number == 5:
            raise IntegrityError("The content of x is damaged.")
        return number

    with pytest.raises(IntegrityError, match="The content of x is damaged"):
        list(forked_map(refuse, range(100), workers=2))
    assert_no_child_is_left()


def test_an_error_of_the_items_is_raised_too() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise IntegrityError("The index is cut short.")

    with pytest.raises(IntegrityError, match="cut short"):
        list(forked_map(with_pid, items(), workers=2))
    assert_no_child_is_left()


def test_a_worker_that_is_killed_is_told_of() -> None:
    def die(number: int) -> int:
        if number == 3:
            os.kill(os.getpid(), signal.SIGKILL)
        return number

    with pytest.raises(WorkerError, match="killed by signal 9"):
        list(forked_map(die, range(100), workers=2))
    assert_no_child_is_left()


def test_whoever_stops_early_leaves_nobody_at_work() -> None:
    def slow(number: int) -> int:
        if number:
            time.sleep(3600)
        return number

    with closing(forked_map(slow, range(100), workers=2)) as done:
        assert next(done) == 0
    assert_no_child_is_left()


def test_workers_end_with_a_caller_that_is_killed() -> None:
    script = """
import os, sys, time
sys.path.insert(0, sys.argv[1])
from ansible_collections.cora.backup.plugins.module_utils.processes import forked_map
def tell(number):
    os.write(1, b"%d\\n" % os.getpid())
    time.sleep(3600)
list(forked_map(tell, range(2), workers=2))
"""
    with subprocess.Popen([sys.executable, "-c", script, str(COLLECTIONS)], stdout=subprocess.PIPE) as caller:
        assert caller.stdout is not None
        workers = [int(caller.stdout.readline()) for _number in range(2)]
        assert len(set(workers)) == 2 and all(os.path.exists(f"/proc/{pid}") for pid in workers)
        caller.kill()
        # they hold the pipe open as long as one of them lives
        ready, _writable, _failed = select.select([caller.stdout], [], [], 60)
        assert ready and caller.stdout.read() == b""


@pytest.mark.parametrize("count", [4, 1], ids=["a process", "one core"])
def test_finished_after(count: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(processes, "cores", lambda: count)
    caller, seen = os.getpid(), tmp_path / "seen"

    def work() -> None:
        seen.write_text(str(os.getpid()))

    with finished_after(work):
        pass
    assert (int(seen.read_text()) == caller) == (count == 1)
    assert_no_child_is_left()


@pytest.mark.parametrize("count", [4, 1], ids=["a process", "one core"])
def test_finished_after_brings_the_error(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "cores", lambda: count)
    reached: list[bool] = []

    def fail() -> None:
        raise IntegrityError("It is damaged.")

    with pytest.raises(IntegrityError, match=r"It is damaged\."), finished_after(fail):
        reached.append(True)
    assert reached == [True]
    assert_no_child_is_left()


def test_finished_after_waits_for_nobody_when_the_block_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "cores", lambda: 4)
    with pytest.raises(KeyError), finished_after(lambda: time.sleep(3600)):
        raise KeyError("block")
    assert_no_child_is_left()


@pytest.mark.parametrize("count", [4, 1], ids=["a process", "one core"])
def test_apart_starts_processes_whatever_threads_there_are(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "cores", lambda: count)
    caller, done = os.getpid(), threading.Event()
    with apart(lambda: (os.getpid(), threading.active_count())) as call:
        thread = threading.Thread(target=done.wait)
        thread.start()
        pid, threads = call()
        done.set()
        thread.join()
    assert (pid == caller, threads) == ((True, 2) if count == 1 else (False, 1))
    assert_no_child_is_left()


def test_apart_brings_the_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "cores", lambda: 4)

    def fail() -> None:
        raise IntegrityError("It is damaged.")

    with pytest.raises(IntegrityError, match=r"It is damaged\."), apart(fail) as call:
        call()
    assert_no_child_is_left()
