# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Syncing meanwhile: it hides no error, keeps nobody waiting, and is gone with the work it goes beside."""

from __future__ import annotations

import errno
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from ansible_collections.cora.backup.plugins.module_utils import durable, processes, writing_out
from ansible_collections.cora.backup.plugins.module_utils.errors import RestoreError, WorkerError
from ansible_collections.cora.backup.plugins.module_utils.writing_out import WritingOut
from support.tools import assert_no_child_is_left

COLLECTIONS = Path(__file__).resolve().parents[2] / "playbooks" / "collections"

Syncs = Callable[[Callable[[int], None]], None]


@pytest.fixture
def syncs(monkeypatch: pytest.MonkeyPatch) -> Iterator[Syncs]:
    """Syncs by another function, as soon as it can be."""
    monkeypatch.setattr(processes, "cores", lambda: 4)
    monkeypatch.setattr(writing_out, "_PAUSE_SECONDS", 0)
    yield lambda function: monkeypatch.setattr(durable, "sync_file_system", function)
    assert_no_child_is_left()


def until_told(out: WritingOut) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        out.go_on()
        time.sleep(0.01)


def refuse(_fd: int) -> None:
    raise OSError(errno.EIO, os.strerror(errno.EIO))


def hang(_fd: int) -> None:
    time.sleep(3600)


def test_it_syncs_again_and_again_in_a_process_of_its_own(syncs: Syncs, tmp_path: Path) -> None:
    seen = tmp_path / "seen"

    def note(_fd: int) -> None:
        with seen.open("a") as stream:
            stream.write(f"{os.getpid()}\n")

    syncs(note)
    seen.touch()
    with WritingOut(str(tmp_path)) as out:
        while seen.read_text().count("\n") < 3:
            out.go_on()
    assert {int(line) for line in seen.read_text().splitlines()}.isdisjoint({os.getpid()})


def test_the_pause_is_as_long_as_the_sync(syncs: Syncs, tmp_path: Path) -> None:
    syncs(lambda _fd: time.sleep(0.2))
    with WritingOut(str(tmp_path)) as out:
        out.go_on()
        started = time.monotonic()
        while not out._worker.has_answered:  # type: ignore[union-attr]
            time.sleep(0.001)
        out.go_on()
        assert out._next_at - started >= 0.2
        assert not out._is_syncing, "not at once again"


def test_it_takes_no_error_from_the_descriptor_that_decides(syncs: Syncs, tmp_path: Path) -> None:
    """Two that share one opening share what they are told, and its flags."""
    deciding = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    syncs(lambda fd: os.set_blocking(fd, False))
    try:
        with WritingOut(f"/proc/self/fd/{deciding}") as out:
            out.go_on()
            assert os.path.samestat(os.fstat(out._fd), os.fstat(deciding))
        assert os.get_blocking(deciding)
    finally:
        os.close(deciding)


def test_an_error_is_raised_while_writing_goes_on(syncs: Syncs, tmp_path: Path) -> None:
    syncs(refuse)
    with (
        pytest.raises(RestoreError, match="did not reach the disk: Input/output error"),
        WritingOut(str(tmp_path)) as out,
    ):
        until_told(out)
        pytest.fail("nobody was told")


def test_an_error_of_the_last_sync_is_raised_at_the_end(syncs: Syncs, tmp_path: Path) -> None:
    syncs(refuse)
    with pytest.raises(RestoreError, match="did not reach the disk"), WritingOut(str(tmp_path)) as out:
        out.go_on()


def test_it_is_not_waited_for_when_the_work_fails(syncs: Syncs, tmp_path: Path) -> None:
    syncs(hang)
    with pytest.raises(KeyError), WritingOut(str(tmp_path)) as out:
        out.go_on()
        raise KeyError("work")


def test_work_never_waits_for_a_sync(syncs: Syncs, tmp_path: Path) -> None:
    syncs(hang)
    with pytest.raises(KeyError), WritingOut(str(tmp_path)) as out:
        started = time.monotonic()
        for _number in range(1000):
            out.go_on()
        assert time.monotonic() - started < 60
        raise KeyError("else its end would be waited for")


def test_that_it_was_killed_is_told(syncs: Syncs, tmp_path: Path) -> None:
    syncs(lambda _fd: os.kill(os.getpid(), signal.SIGKILL))
    with pytest.raises(WorkerError, match="killed by signal 9"), WritingOut(str(tmp_path)) as out:
        until_told(out)
        pytest.fail("nobody was told")


def test_one_core_has_no_time_for_it(syncs: Syncs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    syncs(refuse)
    monkeypatch.setattr(processes, "cores", lambda: 1)
    with WritingOut(str(tmp_path)) as out:
        out.go_on()
        assert_no_child_is_left()


def test_it_ends_with_a_caller_that_is_killed(tmp_path: Path) -> None:
    script = """
import os, sys, time
sys.path.insert(0, sys.argv[1])
from ansible_collections.cora.backup.plugins.module_utils import durable, processes, writing_out
def tell(fd):
    os.write(1, b"%d\\n" % os.getpid())
    time.sleep(3600)
processes.cores = lambda: 4
durable.sync_file_system = tell
writing_out._PAUSE_SECONDS = 0
with writing_out.WritingOut(sys.argv[2]) as out:
    out.go_on()
    time.sleep(3600)
"""
    words = [sys.executable, "-c", script, str(COLLECTIONS), str(tmp_path)]
    with subprocess.Popen(words, stdout=subprocess.PIPE) as caller:
        assert caller.stdout is not None
        assert int(caller.stdout.readline()) != caller.pid
        caller.kill()
        # it holds the pipe open as long as it lives
        ready, _writable, _failed = select.select([caller.stdout], [], [], 60)
        assert ready and caller.stdout.read() == b""
