# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs that nobody watches: timers and cron say by the environment what a person would say by looking.

C(CORA_LOG) names a file that gets every line too, with the time. C(CORA_WHEN_BUSY=skip): when another run holds the
vault, there is nothing to do and nothing to report.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from itertools import takewhile
from typing import TextIO

from .errors import UsageError

_BUSY = "LockedError"
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


def is_skipped(error: str) -> bool:
    """Whether this error ends the run well.

    :param error: name of its class
    """
    return error == _BUSY and os.environ.get("CORA_WHEN_BUSY") == "skip"


@contextmanager
def logged(words: list[str]) -> Iterator[None]:
    """Append what is printed to the log, where one is named.

    :raises UsageError: when it cannot be written
    """
    path = os.environ.get("CORA_LOG", "")
    if not path:
        yield
        return
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o640)
    except OSError as error:
        raise UsageError(f"The log {path} cannot be written: {error.strerror}.") from error
    stdout, stderr = sys.stdout, sys.stderr
    with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace", buffering=1) as log:
        sys.stdout, sys.stderr = _Tee(stdout, log, words), _Tee(stderr, log, words)
        try:
            yield
        finally:
            sys.stdout, sys.stderr = stdout, stderr


class _Tee:
    """A text stream that copies whole lines to the log."""

    def __init__(self, stream: TextIO, log: TextIO, words: list[str]) -> None:
        self._stream = stream
        self._log = log
        # the verb: what follows it may be anybody's business
        self._what = " ".join(takewhile(lambda word: not word.startswith("-"), words))
        self._rest = ""

    def write(self, text: str) -> int:
        """To both."""
        *lines, self._rest = (self._rest + text).split("\n")
        for line in lines:
            if line.strip():
                now = f"{datetime.now().astimezone():%Y-%m-%d %H:%M:%S%z}"
                self._log.write(f"{now} cora {self._what}[{os.getpid()}]: {_CONTROL.sub('?', line)}\n")
        return self._stream.write(text)

    def __getattr__(self, name: str) -> object:
        return getattr(self._stream, name)
