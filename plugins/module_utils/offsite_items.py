# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files of a backup as objects: what is sent, under which key, with what beside it."""

from __future__ import annotations

import os
from dataclasses import dataclass

from . import layout
from .errors import IntegrityError, NotFoundError
from .names import printable, to_bytes
from .offsite_layout import escape_text, key_of, mtime_text
from .vault import Vault


@dataclass(frozen=True)
class Item:
    """One file that becomes one object.

    :param path: as SHA256SUMS.txt has it
    :param file: where its bytes stand; of an encrypted one the ciphertext
    :param size_bytes: of those bytes
    :param sha256: of those bytes too: a digest of the plain content would let anybody confirm what a secret is
    """

    path: str
    key: str
    file: str
    size_bytes: int
    mtime_ns: int
    sha256: str

    def metadata(self) -> dict[str, str]:
        """What the service keeps beside the bytes."""
        return {"sha256": self.sha256, "mtime": mtime_text(self.mtime_ns)}


@dataclass(frozen=True)
class Bundle:
    """A backup, ready to be sent.

    :param items: all files but SHA256SUMS.txt
    :param marker: SHA256SUMS.txt, which goes last
    """

    backup_id: str
    project: str
    items: tuple[Item, ...]
    marker: Item
    encrypted: bool = False

    @property
    def size_bytes(self) -> int:
        """Of all objects."""
        return sum(item.size_bytes for item in self.items) + self.marker.size_bytes

    def marker_metadata(self) -> dict[str, str]:
        """Beside SHA256SUMS.txt also stands what a list wants to know; nothing about an encrypted backup."""
        found = {**self.marker.metadata(), "objects": str(len(self.items) + 1), "bytes": str(self.size_bytes)}
        if not self.encrypted:
            found["project"] = escape_text(self.project)
        return found


def plain_bundle(vault: Vault, backup_id: str, prefix: str) -> Bundle:
    """A backup of the vault as it stands there.

    :raises NotFoundError: when it is not there (any more)
    :raises IntegrityError: when a file is missing
    """
    path = vault.path_of(backup_id)
    if not os.path.isdir(path):
        raise NotFoundError(f"{backup_id} is not in {printable(vault.root)}.")
    sums = layout.read_sums(path)
    report = layout.read_report(path, checked=True)
    items = [_item(path, backup_id, prefix, name, digest) for name, digest in sums.items()]
    marker = _item(path, backup_id, prefix, layout.SUMS, layout.sha256_of(layout.encode_sums(sums)))
    return Bundle(backup_id=backup_id, project=report["project"], items=tuple(items), marker=marker)


def _item(directory: str, backup_id: str, prefix: str, path: str, sha256: str) -> Item:
    file = os.path.join(directory, path)
    try:
        found = os.lstat(to_bytes(file))
    except OSError as error:
        raise IntegrityError(f"{printable(path)} of {backup_id} is missing: {error.strerror}.") from error
    return Item(
        path=path,
        key=key_of(prefix, backup_id, path),
        file=file,
        size_bytes=found.st_size,
        mtime_ns=found.st_mtime_ns,
        sha256=sha256,
    )
