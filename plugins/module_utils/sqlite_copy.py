# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A consistent copy of a SQLite database that other programs are writing to.

SQLite's online backup API does it, in one step inside one read transaction, so that no writer can make it start over. A
database a crashed program left behind is recovered in its copy, never in place. What SQLite cannot read is copied
as bytes. Never a C(.dump): that loses C(user_version), C(application_id) and rowids.

POSIX drops a process's locks on a file when the process closes any descriptor of it: while a copy runs, nothing else in
this process may open and close the source. (The descriptor pinned here is C(O_PATH), which is exempt.)
"""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Callable
from urllib.parse import quote

from .beside_database import SIDE_FILES, status_beside
from .durable import sync_file
from .errors import ProjectError
from .names import printable

SQLITE_MAGIC = b"SQLite format 3\0"

_WAL_VERSION = 2  # bytes 18 and 19 of the header
_STEADY_ATTEMPTS = 3
_LIVE_ATTEMPTS = 10
_CLOCK_TICK_NS = 20_000_000  # file times advance in steps; 10 ms on the slowest kernels
_BUSY_CODES = (5, 6)  # SQLITE_BUSY, SQLITE_LOCKED
_LONGEST_DIRECTORY = 400  # SQLite takes paths of 512 bytes; room for our names and its suffixes
_INTEGRITY_LINES = 20
# What only the application can do: an order, or a function, that an index or a constraint uses.
_NEEDS_APPLICATION = re.compile(r"(?:no such (collation) sequence|no such function|unknown function): ([^()]+)")
_LENT_AT_MOST = 100


@dataclass(frozen=True)
class DatabaseCopy:
    """How a database was copied.

    :param method: C(online), C(recovered) (what a crash left was put right in the copy) or C(plain) (the bytes as they
        were: whoever wants all of it keeps C(-wal) and C(-journal) too)
    :param integrity: C(ok), or what SQLite found wrong with the copy
    :param warning: a sentence for the person who reads the report
    """

    method: str
    integrity: str
    warning: str | None


class _UnsteadyError(Exception):
    """The files changed under a copy that needs them to stand still."""


def is_sqlite(header: bytes) -> bool:
    """Whether a file that starts with these (at least 16) bytes is a SQLite database."""
    return header[:16] == SQLITE_MAGIC


def copy_database(
    source: str,
    destination: str,
    *,
    lock_timeout_seconds: float,
    expected_inode: tuple[int, int] | None = None,
) -> DatabaseCopy:
    """Copy one database; a file that is there already is replaced.

    C(destination) is complete in itself, has mode 0600 and is fsynced (its directory is not). The source, and what lies
    beside it, stays as it is.

    :param lock_timeout_seconds: how long to wait for a program that has locked the database
    :param expected_inode: C(st_dev) and C(st_ino) the source must have: what the caller saw when it decided to copy it
    :raises ProjectError: the source is no regular file (a link, say), or another file took its place
    :raises VaultError: the copy could not be brought to disk
    :raises OSError: it vanished or cannot be read, or there is no room for the copy
    """
    with _pin(source, expected_inode) as pin, _scratch_beside(destination) as scratch:
        target = os.path.join(scratch, "copy")
        method, reason = _copy(pin, target, time.monotonic() + lock_timeout_seconds)
        integrity = check_integrity(target)
        if method == "recovered" and integrity != "ok":
            os.unlink(target)
            _copy_bytes(pin.reopen_path, target)
            method, reason, integrity = "plain", f"{reason}; after recovery: {integrity}", check_integrity(target)
        sync_file(target)
        os.rename(target, destination)
    return DatabaseCopy(method, integrity, _warning(source, method, reason, integrity))


def check_integrity(path: str) -> str:
    """C(ok), or what C(PRAGMA integrity_check) found; reads only, and needs no right to write beside C(path).

    The file must not be in use: it is opened as immutable, and a C(-wal) beside it is not looked at.
    """
    if len(os.fsencode(os.path.abspath(path))) > _LONGEST_DIRECTORY:
        return _check_copy(path)
    try:
        return _ask_integrity(path)
    except sqlite3.Error as exc:
        return printable(str(exc)) or type(exc).__name__


def _warning(source: str, method: str, reason: str, integrity: str) -> str | None:
    name = printable(source)
    if method == "plain":
        text = f"{name} was copied as a plain file, without SQLite's guarantees: {reason}."
    elif method == "recovered":
        text = f"{name} could not be read in place ({reason}); its copy was recovered."
    else:
        text = ""
    if integrity != "ok" and integrity not in reason:
        text += f" The integrity check of the copy of {name} says: {integrity}."
    return text.strip() or None


# --- the source, held so that nobody can put another file in its place ---


@dataclass(frozen=True)
class _Pin:
    path: str
    name: str
    directory_fd: int
    fd: int

    @property
    def reopen_path(self) -> str:
        """Leads to the pinned file itself, whatever its name leads to by now."""
        return f"/proc/self/fd/{self.fd}"

    @property
    def inode(self) -> tuple[int, int]:
        status = os.fstat(self.fd)
        return status.st_dev, status.st_ino

    def status(self, suffix: str) -> os.stat_result | None:
        return status_beside(self.directory_fd, os.fsencode(self.name), suffix)

    def is_wal(self) -> bool:
        with open(self.reopen_path, "rb") as file:
            header = file.read(20)
        return is_sqlite(header) and _WAL_VERSION in header[18:20]

    def state(self) -> tuple[object, ...]:
        """Equal states mean that nothing was written in between; waits until the times in it can tell."""
        for _unused in range(10):
            found = [self.status(suffix) for suffix in ("", "-wal", "-journal")]
            newest = max((status.st_ctime_ns for status in found if status), default=0)
            if not 0 <= time.time_ns() - newest < _CLOCK_TICK_NS:
                break
            time.sleep(_CLOCK_TICK_NS / 1e9)
        return tuple(s and (s.st_dev, s.st_ino, s.st_size, s.st_mtime_ns, s.st_ctime_ns) for s in found)

    def check_name(self) -> None:
        """:raises ProjectError: when the name leads to another file by now"""
        status = self.status("")
        if status is None or (status.st_dev, status.st_ino) != self.inode:
            raise ProjectError(f"{printable(self.path)} was replaced while it was being copied: run the backup again.")


@contextmanager
def _pin(path: str, expected_inode: tuple[int, int] | None) -> Iterator[_Pin]:
    directory, name = os.path.split(os.path.abspath(path))
    directory_fd = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fd = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory_fd)
        try:
            pin = _Pin(os.path.join(directory, name), name, directory_fd, fd)
            if not stat.S_ISREG(os.fstat(fd).st_mode):
                raise ProjectError(f"{printable(path)} is not a regular file, so it is not copied as a database.")
            if expected_inode is not None and pin.inode != expected_inode:
                raise ProjectError(f"{printable(path)} was replaced before it could be copied: run the backup again.")
            yield pin
        finally:
            os.close(fd)
    finally:
        os.close(directory_fd)


@contextmanager
def _scratch_beside(destination: str) -> Iterator[str]:
    directory = os.path.dirname(os.path.abspath(destination))
    while len(os.fsencode(directory)) > _LONGEST_DIRECTORY:
        directory = os.path.dirname(directory)
    with tempfile.TemporaryDirectory(prefix=".cora-db-", dir=directory) as scratch:
        yield scratch


# --- the three ways to copy ---


def _copy(pin: _Pin, target: str, deadline: float) -> tuple[str, str]:
    """The method that worked, and why it was not the first one."""
    for _unused in range(_LIVE_ATTEMPTS):
        try:
            if os.fstat(pin.fd).st_size == 0:  # nothing was ever committed; SQLite's own copy would not be empty
                _copy_bytes(pin.reopen_path, target)
            else:
                _copy_online(pin, target, deadline)
            return "online", ""
        except (sqlite3.Error, _UnsteadyError) as exc:
            reason = printable(str(exc))
            _remove(target)
        try:
            _copy_recovered(pin, target)
            return "recovered", reason
        except (sqlite3.Error, _UnsteadyError) as exc:
            if str(exc) != reason:
                reason += f"; {printable(str(exc))}"
            _remove(target)
            # What looked like the leftovers of a crash changes: a program was just opening or closing it.
            if not isinstance(exc, _UnsteadyError) or time.monotonic() >= deadline:
                break
    _copy_bytes(pin.reopen_path, target)
    return "plain", reason


def _copy_online(pin: _Pin, target: str, deadline: float) -> None:
    for _unused in range(_STEADY_ATTEMPTS):
        index, log = pin.status("-shm"), pin.status("-wal")
        if index is not None or not pin.is_wal():
            break
        if log is not None and log.st_size > 0:
            raise _UnsteadyError("a write-ahead log without its index, as a crash or a copy leaves it")
        # No program has it open. Even a reader would create -wal and -shm, and a reader cannot remove them.
        before = pin.state()
        _run_backup(pin, target, deadline, immutable=True)
        if pin.state() == before:
            return
        _remove(target)
    # After the last attempt too: programs open and close it all the time, and SQLite may leave its two files; it gives
    # them to the owner of the database, and the next writer that closes it removes them.
    _run_backup(pin, target, deadline, immutable=False)


def _run_backup(pin: _Pin, target: str, deadline: float, *, immutable: bool) -> None:
    # The name goes percent-quoted into a URI: SQLite turns it back into the same bytes, whatever they are.
    uri = f"file://{quote(os.fsencode(pin.path))}?mode=ro" + ("&immutable=1" if immutable else "")
    wait_seconds = max(0.0, deadline - time.monotonic())
    with closing(sqlite3.connect(uri, uri=True, timeout=wait_seconds, isolation_level=None)) as live:
        live.execute("BEGIN")
        live.execute("PRAGMA user_version").fetchone()  # starts the read transaction, whatever the schema says
        # SQLite opened it by name. It has the pinned file open, or else somebody moved things in between.
        if _count_open(pin.inode) < 2:
            raise ProjectError(f"{printable(pin.path)} was replaced while it was being opened: run the backup again.")
        with closing(_connect_target(target)) as copy:
            live.backup(copy, pages=-1, progress=_until(deadline), sleep=0.05)
    pin.check_name()
    _require_complete(target)


def _copy_recovered(pin: _Pin, target: str) -> None:
    for _unused in range(_STEADY_ATTEMPTS):
        before = pin.state()
        _copy_bytes(pin.reopen_path, target)
        for suffix in ("-wal", "-journal"):
            _copy_sidecar(pin, suffix, target)
        if pin.state() == before:
            break
        _remove(target)
    else:
        raise _UnsteadyError("it kept changing while it was copied")
    pin.check_name()
    with closing(_connect_target(target)) as copy:
        copy.execute("SELECT count(*) FROM sqlite_master").fetchone()  # rolls a hot journal back, or reads the log
        copy.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    _require_complete(target)


def _connect_target(target: str) -> sqlite3.Connection:
    os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600))
    connection = sqlite3.connect(f"file://{quote(os.fsencode(target))}?mode=rw", uri=True, isolation_level=None)
    connection.execute("PRAGMA synchronous=OFF")  # one fsync at the end; a half-written copy is thrown away anyway
    return connection


def _until(deadline: float) -> Callable[[int, int, int], None]:
    def progress(code: int, _remaining: int, _total: int) -> None:
        # backup() itself would try again for ever.
        if code in _BUSY_CODES and time.monotonic() >= deadline:
            raise sqlite3.OperationalError("database is locked")

    return progress


def _copy_sidecar(pin: _Pin, suffix: str, target: str) -> None:
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    status = pin.status(suffix)
    if status is None:
        return
    if not stat.S_ISREG(status.st_mode):
        raise _UnsteadyError(f"its {suffix} is not a regular file")
    fd = os.open(pin.name + suffix, flags, dir_fd=pin.directory_fd)
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise _UnsteadyError(f"its {suffix} is not a regular file")
        _copy_bytes(f"/proc/self/fd/{fd}", target + suffix)
    finally:
        os.close(fd)


def _copy_bytes(source: str, target: str) -> None:
    fd = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with open(source, "rb") as reader, open(fd, "wb") as writer:
        shutil.copyfileobj(reader, writer, 1024 * 1024)


# --- small things ---


def _require_complete(target: str) -> None:
    # A journal that is still there after a successful read holds nothing to roll back; a log would hold commits.
    log = target + "-wal"
    if os.path.lexists(log) and os.path.getsize(log) > 0:
        raise sqlite3.OperationalError("its write-ahead log could not be brought into the copy")


def _remove(target: str) -> None:
    for suffix in ("", *SIDE_FILES):
        try:
            os.unlink(target + suffix)
        except FileNotFoundError:
            pass


def _count_open(inode: tuple[int, int]) -> int:
    """How many descriptors of this process lead to the file; ours is one of them."""
    count = 0
    for entry in os.listdir("/proc/self/fd"):
        try:
            status = os.stat(f"/proc/self/fd/{entry}")
        except FileNotFoundError:
            continue  # the descriptor of the listing itself, or another thread's
        count += (status.st_dev, status.st_ino) == inode
    return count


def _ask_integrity(path: str) -> str:
    uri = f"file://{quote(os.fsencode(os.path.abspath(path)))}?mode=ro&immutable=1"
    pragma = "integrity_check"
    with closing(sqlite3.connect(uri, uri=True, isolation_level=None)) as connection:
        for _unused in range(_LENT_AT_MOST):
            try:
                rows = connection.execute(f"PRAGMA {pragma}({_INTEGRITY_LINES})").fetchall()
                break
            except sqlite3.OperationalError as exc:
                _lend(connection, exc)
                pragma = "quick_check"  # with a stand-in for its order an index cannot be compared with its table
        else:
            return "could not be checked: it uses too many functions of its application"
    lines = [line.strip() for (text,) in rows for line in str(text).splitlines()]
    return "ok" if lines == ["ok"] else printable("; ".join(lines)) or "no answer"


def _lend(connection: sqlite3.Connection, error: sqlite3.OperationalError) -> None:
    """Define a stand-in for what the application would have defined; any other error goes on."""
    needed = _NEEDS_APPLICATION.match(str(error))
    if needed is None:
        raise error
    if needed.group(1):
        connection.create_collation(needed.group(2), lambda one, two: (one > two) - (one < two))
    else:
        connection.create_function(needed.group(2), -1, lambda *_values: None, deterministic=True)


def _check_copy(path: str) -> str:
    """For a path that is too long for SQLite: check a copy under a short one."""
    with tempfile.TemporaryDirectory(prefix="cora-db-") as scratch:
        short = os.path.join(scratch, "copy")
        try:
            _copy_bytes(path, short)
        except OSError as exc:
            return f"could not be checked: {exc.strerror}"
        return check_integrity(short)
