# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What SQLite keeps beside a database: its write-ahead log, the index of that, and its journal.

Asked of a name in an open directory, so that no link is followed, whoever owns the tree.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Collection
from typing import Optional

from .names import to_bytes

#: All that SQLite keeps beside a database; what was committed is in the database once they are gone.
SIDE_FILES = ("-wal", "-shm", "-journal")
#: How databases usually are named; what is one is told by its content.
DATABASE_NAMES = (".db", ".sqlite", ".sqlite3")
_WITH_CONTENT = ("-wal", "-journal")
_NAME_BYTES = 255


def side_paths(path: str) -> list[str]:
    """Where something can stand beside a database; nowhere, where the names would be too long for a file system."""
    return [path + end for end in SIDE_FILES if len(to_bytes(path.rpartition("/")[2] + end)) <= _NAME_BYTES]


def status_beside(directory_fd: int, name: bytes, end: str) -> Optional[os.stat_result]:
    """C(lstat) of what stands beside the database C(name) in a directory; None where nothing does.

    :raises OSError: when that cannot be told
    """
    try:
        return os.stat(name + end.encode("ascii"), dir_fd=directory_fd, follow_symlinks=False)
    except FileNotFoundError:
        return None
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            return None  # the database has so long a name that nothing can stand beside it
        raise


def has_side_files(directory_fd: int, name: bytes) -> bool:
    """Whether anything at all stands beside a database.

    :raises OSError: as :func:`status_beside`
    """
    return any(status_beside(directory_fd, name, end) is not None for end in SIDE_FILES)


def written_beside(directory_fd: int, name: bytes) -> list[os.stat_result]:
    """What may hold newer content of a database than its own file: a log or a journal that is not empty.

    :raises OSError: as :func:`status_beside`
    """
    found = [status_beside(directory_fd, name, end) for end in _WITH_CONTENT]
    return [status for status in found if status is not None and status.st_size]


def is_side_file(path: str, databases: Collection[str]) -> bool:
    """Whether a path is that of something beside one of these databases."""
    return path.endswith(SIDE_FILES) and any(
        path.endswith(end) and path[: -len(end)] in databases for end in SIDE_FILES
    )
