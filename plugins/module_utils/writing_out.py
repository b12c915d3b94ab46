# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bringing a tree to disk while it is still being written, so that the sync which decides finds little left to do.

It promises nothing: whether all is on disk is for the caller's own C(syncfs) to tell, on a descriptor that was opened
before anything was written. Since Linux 5.8 a descriptor is told of every error since it was opened, once, whoever else
was told (C(errseq_t), lib/errseq.c); two that share one opening share that once. So this one has an opening of its own,
and takes no error from the caller's. Older kernels tell an error to whoever asks first: so what it hears is raised.
"""

from __future__ import annotations

import os
import time
from typing import Optional

from . import durable
from .errors import RestoreError
from .processes import Worker, worker_where_it_helps
from .safe_tree import OPEN_DIRECTORY

_PAUSE_SECONDS = 0.3


def not_on_disk(error: OSError) -> RestoreError:
    """What a failed sync of a new tree means."""
    return RestoreError(f"What was unpacked did not reach the disk: {error.strerror}.")


class WritingOut:
    """A process that syncs the file system of a directory now and then; it is gone when the C(with) block is left.

    Does nothing with one core, where threads are at work, or where there can be no more processes.

    :param top: the directory
    :raises OSError: when it cannot be opened
    """

    def __init__(self, top: str) -> None:
        self._top = top
        self._fd = -1
        self._worker: Optional[Worker] = None
        self._is_syncing = False
        self._asked_at = 0.0
        self._next_at = time.monotonic() + _PAUSE_SECONDS

    def __enter__(self) -> WritingOut:
        self._fd = os.open(self._top, OPEN_DIRECTORY & ~os.O_NOFOLLOW)
        self._worker = worker_where_it_helps(lambda _nothing: durable.sync_file_system(self._fd))
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        try:
            if kind is None and self._is_syncing and self._worker is not None:
                self._hear(self._worker)
        finally:
            if self._worker is not None:
                self._worker.stop()
            os.close(self._fd)

    def go_on(self) -> None:
        """Something was written. Has it synced, if the last time is over and was a while ago; does not wait.

        :raises RestoreError: when the system said that something did not get to the disk
        :raises WorkerError: when the process was killed
        """
        if self._worker is None:
            return
        if self._is_syncing:
            if not self._worker.has_answered:
                return
            self._hear(self._worker)
        if time.monotonic() >= self._next_at:
            self._asked_at = time.monotonic()
            self._worker.send(None)
            self._is_syncing = True

    def _hear(self, worker: Worker) -> None:
        self._is_syncing = False
        try:
            worker.receive()
        except OSError as error:
            raise not_on_disk(error) from error
        # a file system that takes long for it is left alone as long: what is written meanwhile waits for it, too
        took_seconds = time.monotonic() - self._asked_at
        self._next_at = time.monotonic() + max(_PAUSE_SECONDS, took_seconds)
