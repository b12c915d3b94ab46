# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Copying a file out of an earlier backup, and only if it still is what it was.

A copy, never a hard link: two backups that share an inode share its C(+i) flag too, and removing one would open the
other. Where the file system can, the copy shares the blocks (reflink).
"""

from __future__ import annotations

import hashlib
import os
from typing import BinaryIO

from . import layout
from .vault_file import VaultFile

_CHUNK_BYTES = 1024 * 1024


def copy_verified(source: str, target: str, sha256: str) -> bool:
    """Copy a file of a backup into another one; the copy is on disk when this returns.

    :param target: its name there, which must not exist
    :returns: False where it is missing, unreadable, or not what C(sha256) says; nothing is left of it then
    :raises VaultError: when the copy cannot be written
    """
    try:
        stream = layout.open_artifact(source)
    except OSError:
        return False
    with stream, VaultFile(target) as copy:
        is_intact = _copy(stream, copy) == sha256
    if not is_intact:
        os.unlink(target)
    return is_intact


def _copy(stream: BinaryIO, copy: VaultFile) -> str:
    digest = hashlib.sha256()
    is_clone = copy.clone(stream.fileno())
    try:
        while chunk := stream.read(_CHUNK_BYTES):
            digest.update(chunk)
            if not is_clone:
                copy.write(chunk)
    except OSError:
        return ""  # the disk gives it back no more
    return digest.hexdigest()
