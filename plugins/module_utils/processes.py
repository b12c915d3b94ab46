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
import threading
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from multiprocessing.connection import Pipe, wait
from typing import Any, Callable, Generic, Optional, TypeVar

from .errors import CoraError, WorkerError
from .parallel import cores

T = TypeVar("T")
R = TypeVar("R")

#: An archive smaller than this is read before processes would have started.
WORTH_PROCESSES_BYTES = 4 * 1024 * 1024

_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_WORKER_FAILED = 70  # EX_SOFTWARE of sysexits.h
_STOPPING = (signal.SIGINT, signal.SIGTERM)
_LEAST_IMPORTANT = 19  # nice(2)


class Worker:
    """A forked process that calls a function on what it is sent, one after the other.

    Not to be made while other threads run. Items, results and exceptions travel pickled. It ends with its caller.

    :param others: workers that are there already
    :raises OSError: when there can be no more processes
    """

    def __init__(self, function: Callable[[Any], Any], others: Iterable[Worker] = ()) -> None:
        self.pid: int
        self.connection: Any
        # Python calls hooks around fork() and throws away what is raised in them: a Ctrl-C in that moment would be lost
        unblocked = signal.pthread_sigmask(signal.SIG_BLOCK, _STOPPING)
        try:
            self.pid, self.connection = _start(function, [worker.connection for worker in others], unblocked)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, unblocked)

    def send(self, item: Any) -> None:
        """Give it something to do.

        :raises WorkerError: when it was killed, or nothing can be sent
        """
        try:
            self.connection.send(item)
        except (BrokenPipeError, ConnectionResetError) as error:
            raise self._died() from error
        except OSError as error:  # it may live, and would be waited for
            raise WorkerError(f"A worker process could not be asked: {error}.") from error

    @property
    def has_answered(self) -> bool:
        """Whether :meth:`receive` need not wait."""
        return bool(self.connection.poll())

    def receive(self) -> Any:
        """Wait for the next result. An exception of the function is raised here.

        :raises WorkerError: when it was killed
        """
        try:
            succeeded, value = self.connection.recv()
        except (EOFError, OSError) as error:
            raise self._died() from error
        if not succeeded:
            raise value
        return value

    def stop(self) -> None:
        """Kill it, if it is still there, and collect it."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        self.connection.close()  # after that, or it would complain that nobody reads its answers
        with suppress(ChildProcessError):
            os.waitpid(self.pid, 0)

    def _died(self) -> WorkerError:
        ended = os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT)  # it is collected where all are
        is_killed = ended is not None and ended.si_code in (os.CLD_KILLED, os.CLD_DUMPED)
        how = f"was killed by signal {ended.si_status}" if ended is not None and is_killed else "ended"
        return WorkerError(f"A worker process {how} before it was done (is there memory enough?).")


def where_processes_help(start: Callable[[], T]) -> Optional[T]:
    """What starts processes; None with one core, where threads are at work, or where there can be no more of them."""
    if cores() > 1 and threading.active_count() == 1:
        with suppress(OSError):
            return start()
    return None


def worker_where_it_helps(function: Callable[[Any], Any]) -> Optional[Worker]:
    """A worker, or None as of :func:`where_processes_help`."""
    return where_processes_help(lambda: Worker(function))


class Beside(Generic[R]):
    """One call in a forked process, whose result is welcome and not waited for: it takes the time nobody else wants.

    Not to be made while other threads run.
    """

    def __init__(self, function: Callable[[], R]) -> None:
        def call(_nothing: None) -> R:
            os.nice(_LEAST_IMPORTANT)
            return function()

        self._worker = Worker(call)
        self._worker.send(None)

    def poll(self) -> Optional[R]:
        """The result, once, when it is there; None before, after, and where there is none."""
        connection = self._worker.connection
        try:
            if connection.closed or not connection.poll():
                return None
            result: Optional[R] = self._worker.receive()
        except (CoraError, OSError):
            result = None
        self.close()
        return result

    def close(self) -> None:
        """Wait for it no longer."""
        self._worker.stop()


@contextmanager
def finished_after(function: Callable[[], None]) -> Iterator[None]:
    """Call a function in a forked process beside what stands in the C(with) block, and wait for it at its end, where an
    exception of it is raised. Where there can be no process it is called then.

    :raises WorkerError: when the process is killed
    """
    worker = worker_where_it_helps(lambda _nothing: function())
    if worker is None:
        yield
        function()
        return
    try:
        worker.send(None)
        yield
        worker.receive()
    finally:
        worker.stop()


@contextmanager
def apart(function: Callable[[], R]) -> Iterator[Callable[[], R]]:
    """The function, to be called once in the C(with) block, in a process that is forked before that: threads which are
    started meanwhile would keep it from starting processes itself. Where there can be none it is called as it is.
    """
    worker = worker_where_it_helps(lambda _nothing: function())
    if worker is None:
        yield function
        return

    def call() -> R:
        worker.send(None)
        result: R = worker.receive()
        return result

    try:
        yield call
    finally:
        worker.stop()


class Crew(Generic[T, R]):
    """Some workers that call the same function; to be closed, and none is there any more then.

    :param count: how many
    :raises OSError: when there can be no more processes
    """

    def __init__(self, function: Callable[[T], R], count: int) -> None:
        self._workers: list[Worker] = []
        try:
            for _number in range(count):
                self._workers.append(Worker(function, self._workers))
        except BaseException:
            self.close()
            raise

    def map(self, items: Iterable[T]) -> Iterator[R]:
        """Results as they come; each worker has one item at a time. An exception of the function is raised here.

        :raises WorkerError: when a worker is killed
        """
        return _spread(iter(items), self._workers)

    def close(self) -> None:
        """End all of them, whatever they are at."""
        for worker in self._workers:
            worker.stop()


def forked_map(function: Callable[[T], R], items: Iterable[T], *, workers: int = 0) -> Generator[R, None, None]:
    """C(map) in forked processes, results as they come.

    Not to be called while other threads run. Items, results and exceptions travel pickled. What C(function) keeps, it
    keeps in its own process. Once this generator ends or is closed no worker is there any more.

    :param workers: processes; 0 for one a core
    :raises WorkerError: when a worker is killed
    """
    with closing(Crew(function, workers or cores())) as crew:
        yield from crew.map(items)


def _spread(source: Any, workers: Iterable[Worker]) -> Generator[Any, None, None]:
    idle = list(workers)
    busy: dict[Any, Worker] = {}
    ready = list(_next(source))
    while ready or busy:
        while ready and idle:
            worker = idle.pop()
            worker.send(ready.pop())
            busy[worker.connection] = worker
            ready = list(_next(source))  # while they work
        for connection in wait(list(busy)):
            worker = busy[connection]
            value = worker.receive()
            del busy[connection]
            idle.append(worker)
            yield value


def _next(source: Any) -> Generator[Any, None, None]:
    """One item, where there is one."""
    for item in source:
        yield item
        return


def _start(function: Callable[[Any], Any], others: list[Any], unblocked: Iterable[int]) -> tuple[int, Any]:
    mine, its = Pipe()
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    parent = os.getpid()
    pid = os.fork()
    if pid:
        its.close()
        return pid, mine
    # From here on nothing may return: what the caller would do next is not the worker's to do.
    try:
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        for number in _STOPPING:
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, unblocked)
        for connection in (mine, *others):
            connection.close()  # else nobody would read the end of a pipe
        if os.getppid() == parent:  # not killed between fork and prctl
            _work(function, its)
        os._exit(0)
    finally:
        sys.excepthook(*sys.exc_info())
        os._exit(_WORKER_FAILED)


def _work(function: Callable[[Any], Any], connection: Any) -> None:
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
