# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Work on all cores in processes: for what calls the kernel once a file, where threads of Python wait for one another.

Workers are forked, so they have what the caller has: descriptors, and the lock it holds. None outlives the caller, also
where that is killed: who comes next must find nobody writing any more, and until then the lock is theirs too.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Generator, Iterable
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Pipe, wait
from typing import Any, Callable, Generic, Optional, TypeVar

from .errors import CoraError, WorkerError
from .parallel import cores

T = TypeVar("T")
R = TypeVar("R")

_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_WORKER_FAILED = 70  # EX_SOFTWARE of sysexits.h


@dataclass(frozen=True)
class _Worker:
    pid: int
    connection: Any

    def stop(self) -> None:
        """Kill it, if it is still there, and collect it."""
        self.connection.close()
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        with suppress(ChildProcessError):
            os.waitpid(self.pid, 0)


class Beside(Generic[R]):
    """One call in a forked process, whose result is welcome and not waited for.

    Not to be made while other threads run.
    """

    def __init__(self, function: Callable[[], R]) -> None:
        self._worker = _start(lambda _nothing: function(), [])
        self._worker.connection.send(None)

    def poll(self) -> Optional[R]:
        """The result, once, when it is there; None before, after, and where there is none."""
        connection = self._worker.connection
        try:
            if connection.closed or not connection.poll():
                return None
            succeeded, value = connection.recv()
        except (EOFError, OSError):
            succeeded, value = False, None
        self.close()
        return value if succeeded else None

    def close(self) -> None:
        """Wait for it no longer."""
        self._worker.stop()


def forked_map(function: Callable[[T], R], items: Iterable[T], *, workers: int = 0) -> Generator[R, None, None]:
    """C(map) in forked processes, results as they come; each worker has one item at a time.

    Not to be called while other threads run. Items, results and exceptions travel pickled. What C(function) keeps, it
    keeps in its own process. An exception of it is raised here. Once this generator ends or is closed no worker is
    there any more.

    :param workers: processes; 0 for one a core
    :raises WorkerError: when a worker is killed
    """
    source = iter(items)
    started: list[_Worker] = []
    try:
        idle = []
        for _number in range(workers or cores()):
            started.append(_start(function, [worker.connection for worker in started]))
            idle.append(started[-1].connection)
        yield from _spread(source, idle, {worker.connection: worker.pid for worker in started})
    finally:
        for worker in started:
            worker.stop()


def _spread(source: Any, idle: list[Any], pids: dict[Any, int]) -> Generator[Any, None, None]:
    busy: list[Any] = []
    ready = list(_next(source))
    while ready or busy:
        while ready and idle:
            connection = idle.pop()
            _send(connection, ready.pop(), pids[connection])
            busy.append(connection)
            ready = list(_next(source))  # while they work
        for connection in wait(busy):
            succeeded, value = _receive(connection, pids[connection])
            if not succeeded:
                raise value
            busy.remove(connection)
            idle.append(connection)
            yield value


def _next(source: Any) -> Generator[Any, None, None]:
    """One item, where there is one."""
    for item in source:
        yield item
        return


def _send(connection: Any, item: Any, pid: int) -> None:
    try:
        connection.send(item)
    except OSError as error:
        raise _died(pid) from error


def _receive(connection: Any, pid: int) -> tuple[bool, Any]:
    try:
        succeeded, value = connection.recv()
    except (EOFError, OSError) as error:
        raise _died(pid) from error
    return bool(succeeded), value


def _died(pid: int) -> WorkerError:
    ended = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)  # it is collected where all are
    is_killed = ended is not None and ended.si_code in (os.CLD_KILLED, os.CLD_DUMPED)
    how = f"was killed by signal {ended.si_status}" if ended is not None and is_killed else "ended"
    return WorkerError(f"A worker process {how} before it was done (is there memory enough?).")


def _start(function: Callable[[T], R], others: list[Any]) -> _Worker:
    mine, its = Pipe()
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    parent = os.getpid()
    pid = os.fork()
    if pid:
        its.close()
        return _Worker(pid, mine)
    # From here on nothing may return: what the caller would do next is not the worker's to do.
    try:
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)
        for connection in (mine, *others):
            connection.close()  # else nobody would read the end of a pipe
        if os.getppid() == parent:  # not killed between fork and prctl
            _work(function, its)
        os._exit(0)
    finally:
        sys.excepthook(*sys.exc_info())
        os._exit(_WORKER_FAILED)


def _work(function: Callable[[T], R], connection: Any) -> None:
    while True:
        try:
            item = connection.recv()
        except EOFError:
            return
        answer: tuple[bool, Any]
        try:
            answer = True, function(item)
        except (CoraError, OSError) as error:  # are raised in the caller
            answer = False, error
        connection.send(answer)
