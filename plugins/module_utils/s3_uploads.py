# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Unfinished uploads: found again after a kill, taken up, and cleared away when nobody needs them any more.

The service keeps them, and tells which there are. A key that may only write may not ask for that list; for it the
numbers are noted in the vault.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta, timezone
from typing import Callable, Optional

from .errors import OffsiteError, OffsiteMissingError, OffsitePermissionError, OffsiteUnsupportedError
from .s3_client import S3
from .s3_errors import translated

#: After so many days an upload that nobody went on with is garbage, whoever began it.
ABANDONED_DAYS = 7

Note = Callable[[dict[str, str]], None]


class Uploads:
    """The unfinished uploads of one backup.

    :param prefix: its keys begin with that
    :param noted: upload number by key, as an earlier run noted it
    :param note: keeps such numbers for a later run
    """

    def __init__(self, s3: S3, prefix: str, *, noted: Mapping[str, str], note: Note) -> None:
        self._s3 = s3
        self._noted = dict(noted)
        self._note = note
        self._found: dict[str, list[str]] = {}
        for key, upload_id, _begun in list_uploads(s3, prefix):
            self._found.setdefault(key, []).append(upload_id)
        for key, upload_id in noted.items():
            if upload_id not in self._found.setdefault(key, []):
                self._found[key].append(upload_id)

    def take_up(self, key: str, wanted: Mapping[int, str]) -> tuple[Optional[str], dict[int, tuple[int, str]]]:
        """The upload of an object that has most of what is wanted, and what it has; the others are cleared away.

        :param wanted: ETag of each part, by number
        :returns: its number, and size and ETag of its parts
        """
        found = []
        for upload_id in self._found.get(key, ()):
            parts = _parts(self._s3, key, upload_id)
            if parts is None:
                continue
            if not parts.keys() <= wanted.keys():
                # Ceph puts nothing together while there is a part that nobody names
                abort(self._s3, key, upload_id)
                continue
            found.append((sum(1 for number, part in parts.items() if wanted[number] == part[1]), upload_id, parts))
        if not found:
            return None, {}
        *others, (_count, best, best_parts) = sorted(found, key=lambda one: one[:2])
        for _few, upload_id, _parts_of_it in others:
            abort(self._s3, key, upload_id)
        return best, best_parts

    def begun(self, key: str, upload_id: str) -> None:
        """Note an upload, before anything is sent for it."""
        self._noted[key] = upload_id
        self._note(dict(self._noted))

    def finished(self, key: str) -> None:
        """Forget one that became an object."""
        if self._noted.pop(key, None) is not None:
            self._note(dict(self._noted))

    def given_up(self, key: str, upload_id: str) -> None:
        """Clear one away whose parts the service does not put together, so that the next run begins anew."""
        abort(self._s3, key, upload_id)
        self.finished(key)


def list_uploads(s3: S3, prefix: str) -> Iterator[tuple[str, str, datetime]]:
    """Key, number and beginning of each unfinished upload; nothing where this key may not ask."""
    try:
        with translated("list the unfinished uploads of", f"{s3.bucket}/{prefix}"):
            pages = s3.client.get_paginator("list_multipart_uploads").paginate(Bucket=s3.bucket, Prefix=prefix)
            found = [entry for page in pages for entry in page.get("Uploads", ())]
    except (OffsitePermissionError, OffsiteUnsupportedError):
        return
    for entry in found:
        yield entry["Key"], entry["UploadId"], entry["Initiated"]


def _parts(s3: S3, key: str, upload_id: str) -> Optional[dict[int, tuple[int, str]]]:
    """Size and ETag of the parts of an upload; None where it is gone or this key may not ask."""
    parts: dict[int, tuple[int, str]] = {}
    try:
        with translated("list the parts of", f"{s3.bucket}/{key}"):
            pages = s3.client.get_paginator("list_parts").paginate(Bucket=s3.bucket, Key=key, UploadId=upload_id)
            for page in pages:
                for entry in page.get("Parts", ()):
                    parts[entry["PartNumber"]] = (entry["Size"], entry["ETag"].strip('"'))
    except (OffsiteMissingError, OffsitePermissionError):
        return None
    return parts


def abort(s3: S3, key: str, upload_id: str) -> bool:
    """Clear an unfinished upload away; returns whether it went. Where that fails nothing else does."""
    try:
        with translated("clear away an unfinished upload of", f"{s3.bucket}/{key}"):
            s3.client.abort_multipart_upload(Bucket=s3.bucket, Key=key, UploadId=upload_id)
    except OffsiteError:
        return False
    return True


def sweep(s3: S3, is_done: Callable[[str], bool]) -> int:
    """Clear away what nobody will go on with: uploads of finished backups, and those that are old.

    :param is_done: whether the backup of a key is complete
    :returns: how many went
    """
    oldest = datetime.now(timezone.utc) - timedelta(days=ABANDONED_DAYS)
    swept = 0
    for key, upload_id, begun in list_uploads(s3, f"{s3.prefix}/"):
        if begun < oldest or is_done(key):
            swept += abort(s3, key, upload_id)
    return swept
