# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading that leaves no trace in a project."""

from __future__ import annotations

import os


def open_at(name: bytes, flags: int, directory_fd: int) -> int:
    """Open a file or directory; its atime stays where that is allowed.

    :raises OSError: when it cannot be opened
    """
    try:
        return os.open(name, flags | os.O_NOATIME, dir_fd=directory_fd)
    except PermissionError:  # O_NOATIME is for the owner and root
        return os.open(name, flags, dir_fd=directory_fd)
