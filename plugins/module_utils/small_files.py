# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Small files in places that somebody else can write to."""

from __future__ import annotations

import os
import stat

from .names import to_bytes, to_text


def read_regular(path: str, *, limit_bytes: int = 8192) -> str:
    """The beginning of a file; empty when there is none, or something in its place that could block its reader."""
    try:
        fd = os.open(to_bytes(path), os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError:
        return ""
    try:
        return to_text(os.read(fd, limit_bytes)) if stat.S_ISREG(os.fstat(fd).st_mode) else ""
    finally:
        os.close(fd)
