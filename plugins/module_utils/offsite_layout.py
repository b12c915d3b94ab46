# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a backup stands in the bucket: names of objects, and how one finds the newest without listing them all.

C(<prefix>/<YYYY-MM-DD>/<id>/<path as in the backup>). SHA256SUMS.txt goes last: where it is missing there is no backup,
only the beginning of an upload. Names are made from the paths that SHA256SUMS.txt has, and never the other way round:
an object that it does not name is not read, so no name of the bucket can lead anywhere.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any, Optional

from . import layout
from .errors import OffsiteMissingError
from .ids import is_id
from .names import to_bytes
from .s3_client import S3
from .s3_errors import code_of, translated

#: What encrypted objects have behind their name.
ENCRYPTED = ".age"
#: A key has at most 1024 bytes; the rest is for prefix, date, id, and what comes behind.
_LONGEST_PATH_BYTES = 800
_LONG = "%long/"
#: Kept as they are: what every service, XML and a shell of rclone carry unchanged. The percent sign is escaped itself.
_PLAIN = re.compile(r"[^\x00-\x1f%\\\x7f-\x9f\ud800-\udfff\ufffe\uffff]+")


def escape_path(path: str) -> str:
    """A path as the end of a key: bytes that a key cannot hold, and C(%), as C(%XX).

    A path that is too long becomes C(%long/) and its SHA-256; SHA256SUMS.txt tells which one it was.
    """
    parts = []
    at = 0
    for match in _PLAIN.finditer(path):
        parts += [_percent(path[at : match.start()]), match.group()]
        at = match.end()
    escaped = "".join(parts) + _percent(path[at:])
    if len(escaped.encode()) > _LONGEST_PATH_BYTES:
        return _LONG + hashlib.sha256(to_bytes(path)).hexdigest()
    return escaped


def _percent(text: str) -> str:
    return "".join(f"%{byte:02X}" for byte in to_bytes(text))


def date_of(backup_id: str) -> str:
    """The day of an id, as it stands in keys: C(YYYY-MM-DD)."""
    return f"{backup_id[:4]}-{backup_id[4:6]}-{backup_id[6:8]}"


def backup_prefix(prefix: str, backup_id: str) -> str:
    """What the keys of one backup begin with, the slash included."""
    return f"{prefix}/{date_of(backup_id)}/{backup_id}/"


def key_of(prefix: str, backup_id: str, path: str, *, encrypted: bool = False) -> str:
    """The key of one file of a backup."""
    return backup_prefix(prefix, backup_id) + escape_path(path) + (ENCRYPTED if encrypted else "")


def mtime_text(mtime_ns: int) -> str:
    """A modification time as rclone writes it: seconds, with nanoseconds as decimals."""
    sign, mtime_ns = ("-", -mtime_ns) if mtime_ns < 0 else ("", mtime_ns)
    return f"{sign}{mtime_ns // 10**9}.{mtime_ns % 10**9:09d}"


def is_date(text: str) -> bool:
    """Whether a directory is one of days."""
    try:
        return datetime.strptime(text, "%Y-%m-%d").strftime("%Y-%m-%d") == text  # noqa: DTZ007
    except ValueError:
        return False


def list_dates(s3: S3) -> list[str]:
    """The days there is something of, oldest first; one request for a thousand of them.

    :raises OffsiteError: when the bucket cannot be listed
    """
    return sorted(name for name in _directories(s3, f"{s3.prefix}/") if is_date(name))


def list_ids(s3: S3, date: str) -> list[str]:
    """Ids of that day that somebody began to upload, oldest first; whether one is complete says :func:`marker`.

    :raises OffsiteError: when the bucket cannot be listed
    """
    names = _directories(s3, f"{s3.prefix}/{date}/")
    return sorted(name for name in names if is_id(name) and date_of(name) == date)


def marker(s3: S3, backup_id: str) -> Optional[dict[str, Any]]:
    """What the service says of a backup's SHA256SUMS.txt; None where it is missing, so that there is no backup.

    :returns: the answer to HEAD, and C(encrypted)
    :raises OffsiteError: when the service does not say
    """
    for encrypted in (False, True):
        answer = head(s3, key_of(s3.prefix, backup_id, layout.SUMS, encrypted=encrypted))
        if answer is not None:
            return {**answer, "encrypted": encrypted}
    return None


def head(s3: S3, key: str) -> Optional[dict[str, Any]]:
    """What the service says of an object; None where there is none.

    :raises OffsiteError: when it does not say; an answer to HEAD gives no reason, so the reason is asked for by a GET
    """
    from botocore.exceptions import ClientError

    with translated("look at", f"{s3.bucket}/{key}"):
        try:
            return dict(s3.client.head_object(Bucket=s3.bucket, Key=key))
        except ClientError as error:
            if code_of(error) == "NoSuchKey":
                return None
        try:
            s3.client.get_object(Bucket=s3.bucket, Key=key, Range="bytes=0-0")["Body"].close()
        except ClientError as error:
            if code_of(error) == "NoSuchKey":
                return None
            raise
        return dict(s3.client.head_object(Bucket=s3.bucket, Key=key))


def newest(s3: S3, *, project: Optional[str] = None) -> str:
    """Id of the newest complete backup, found with a handful of requests however many there are.

    :param project: only of this one; an encrypted backup does not tell, and counts
    :raises OffsiteMissingError: when there is none
    """
    for backup_id in ids_newest_first(s3):
        found = marker(s3, backup_id)
        if found is not None and (project is None or _is_of(found, project)):
            return backup_id
    raise OffsiteMissingError(f"There is no complete backup in {s3.settings.place}.")


def ids_newest_first(s3: S3) -> Iterator[str]:
    """All ids, complete or not; listed a day at a time, as far as they are asked for."""
    for date in reversed(list_dates(s3)):
        yield from reversed(list_ids(s3, date))


def _is_of(found: dict[str, Any], project: str) -> bool:
    return bool(found["encrypted"]) or found.get("Metadata", {}).get("project") == escape_text(project)


def escape_text(text: str) -> str:
    """Text for a header, which holds plain ASCII alone: all else as C(%XX), of its UTF-8 or raw bytes."""
    return "".join(char if " " < char < "\x7f" and char != "%" else _percent(char) for char in text)


def unescape_text(text: str) -> str:
    """The text that :func:`escape_text` was given."""
    raw = re.sub(rb"%([0-9A-F]{2})", lambda m: bytes([int(m.group(1), 16)]), text.encode("utf-8", "replace"))
    return raw.decode("utf-8", "surrogateescape")


def _directories(s3: S3, prefix: str) -> Iterator[str]:
    with translated("list", f"{s3.bucket}/{prefix}"):
        pages = s3.client.get_paginator("list_objects_v2").paginate(Bucket=s3.bucket, Prefix=prefix, Delimiter="/")
        for page in pages:
            for entry in page.get("CommonPrefixes", ()):
                yield entry["Prefix"][len(prefix) : -1]
