# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files of a backup, encrypted, as what is sent in their place.

The ciphertext stands in C(.cora/offsite/<id>/) until the upload is complete: encrypting twice gives other bytes, with
which an upload that was interrupted could not go on.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Collection, Sequence
from dataclasses import replace

from . import durable, layout
from .errors import OffsiteError
from .ids import is_id
from .names import printable, to_bytes
from .offsite_crypt import check_recipients, encrypt_file
from .offsite_items import Bundle, Item, plain_bundle
from .offsite_layout import ENCRYPTED, key_of
from .offsite_notes import directory_of
from .parallel import ordered_map
from .vault import Vault

_RECIPIENTS = "recipients"
_AT_MOST_OF_FREE = 0.8


def encrypted_bundle(vault: Vault, backup_id: str, prefix: str, recipients: Sequence[str]) -> Bundle:
    """A backup of the vault, encrypted to these.

    :raises CoraError: when it cannot be; then nothing is to be sent
    """
    check_recipients(recipients)
    plain = plain_bundle(vault, backup_id, prefix)
    top = _prepare(vault, backup_id, recipients)
    _check_room(top, [*plain.items, plain.marker])

    def encrypted(item: Item) -> Item:
        target = os.path.join(top, staged_name(item.path))
        if not os.path.exists(target):
            encrypt_file(item.file, target + ".new", recipients)
            os.rename(target + ".new", target)
        return replace(
            item,
            key=key_of(prefix, backup_id, item.path, encrypted=True),
            file=target,
            size_bytes=os.stat(target).st_size,
            sha256=layout.sha256_of_file(target),
        )

    *items, marker = ordered_map(encrypted, [*plain.items, plain.marker])
    return replace(plain, items=tuple(items), marker=marker, encrypted=True)


def _check_room(top: str, items: Sequence[Item]) -> None:
    """Ciphertext must not take the room that the next backup of the vault needs."""
    missing = [item for item in items if not os.path.exists(os.path.join(top, staged_name(item.path)))]
    needed = sum(item.size_bytes for item in missing)
    found = os.statvfs(top)
    free = found.f_bavail * found.f_frsize
    if needed > free * _AT_MOST_OF_FREE:
        raise OffsiteError(
            f"Encrypting it needs {needed} bytes in {printable(top)} until it is sent, and {free} are free there, of "
            "which the next backup needs some. Free space in the vault."
        )


def staged_name(path: str) -> str:
    """Name of the ciphertext of a file: any path fits, however long."""
    return hashlib.sha256(to_bytes(path)).hexdigest() + ENCRYPTED


def _prepare(vault: Vault, backup_id: str, recipients: Sequence[str]) -> str:
    top = os.path.join(directory_of(vault), backup_id)
    wanted = "\n".join(sorted(recipients)).encode("ascii") + b"\n"
    known = os.path.join(top, _RECIPIENTS)
    try:
        with open(known, "rb") as stream:
            is_for_them = stream.read() == wanted
    except OSError:
        is_for_them = False
    if not is_for_them:
        remove_staged(vault, backup_id)
        durable.make_directories(top)
        durable.replace_file(known, wanted)
    return top


def remove_staged(vault: Vault, backup_id: str) -> None:
    """The upload is complete: its ciphertext is not needed any more."""
    path = os.path.join(directory_of(vault), backup_id)
    try:
        if os.path.isdir(path):
            shutil.rmtree(path)
    except OSError as error:
        durable.fail(error, "remove", path)


def forget_staged(vault: Vault, wanted: Collection[str]) -> None:
    """Remove ciphertext of backups that are not to be sent: sent by a run that was killed behind it, or pruned."""
    try:
        names = os.listdir(directory_of(vault))
    except OSError:
        return
    for name in names:
        if is_id(name) and name not in wanted:
            remove_staged(vault, name)
