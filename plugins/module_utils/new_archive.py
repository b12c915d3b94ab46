# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A new archive of a project and its index: two files of a directory, from their first byte to their last."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Callable, Optional

from . import layout
from .archive_file import ArchiveFile
from .archive_writer import ArchiveTotals, ArchiveWriter
from .earlier_backup import EarlierBackup
from .index import IndexWriter
from .progress import Progress
from .project_archiver import ProjectArchiver
from .scan import Found
from .settings import BackupSettings
from .taken import Taken
from .vault_file import VaultFile


def write_archive(
    settings: BackupSettings,
    directory: str,
    archive: str,
    progress: Progress,
    take: Callable[[ProjectArchiver, ArchiveWriter], Taken] = lambda archiver, _writer: archiver.run(),
    earlier: Optional[EarlierBackup] = None,
) -> tuple[Taken, ArchiveTotals]:
    """Write an archive of the project and its index into a directory of the vault.

    :param archive: name of the archive there
    :param take: what goes into it, where that is not everything, each file read
    :param earlier: the backup that frames are taken over from
    :raises VaultError: when the vault cannot be written
    """
    archive_path, index_path = os.path.join(directory, archive), os.path.join(directory, layout.INDEX)
    with VaultFile(archive_path) as stream, VaultFile(index_path, keep_in_cache=True) as index:
        align = stream.shares_blocks(archive_path + ".probe")
        reader, sha256 = (earlier.reader, earlier.archive_sha256()) if earlier is not None else (None, "")
        lines = IndexWriter(index)
        with ArchiveFile(stream, reader, sha256) as file, ArchiveWriter(file, lines, reader, align=align) as writer:
            taken = take(ProjectArchiver(settings, directory, writer, progress), writer)
            totals = writer.finish()
    return taken, totals


def write_entries(
    settings: BackupSettings, directory: str, archive: str, progress: Progress, entries: Iterable[Found]
) -> tuple[Taken, ArchiveTotals]:
    """The same of some entries, sorted as a walk would find them."""
    return write_archive(settings, directory, archive, progress, lambda archiver, _writer: archiver.run(entries))
