# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What was removed offsite on purpose: C(<prefix>/pruned/<id>), an object without content.

It is written before the first object of a backup goes, and stays. So a vault that still has the backup does not send it
again, and a prune that was killed in the middle is finished by the next one.
"""

from __future__ import annotations

from .ids import is_id
from .s3_client import S3
from .s3_errors import translated

_DIRECTORY = "pruned"


def pruned_ids(s3: S3) -> set[str]:
    """Ids that were removed, or are about to be.

    :raises OffsiteError: when the bucket cannot be listed
    """
    prefix = f"{s3.prefix}/{_DIRECTORY}/"
    pages = s3.client.get_paginator("list_objects_v2")
    with translated("list", f"{s3.bucket}/{prefix}"):
        names = [
            found["Key"][len(prefix) :]
            for page in pages.paginate(Bucket=s3.bucket, Prefix=prefix)
            for found in page.get("Contents", ())
        ]
    return {name for name in names if is_id(name)}


def note_pruned(s3: S3, backup_id: str) -> None:
    """Say that a backup is being removed.

    :raises OffsiteError: when that cannot be written; then nothing may be removed
    """
    key = f"{s3.prefix}/{_DIRECTORY}/{backup_id}"
    with translated("write", f"{s3.bucket}/{key}"):
        s3.client.put_object(Bucket=s3.bucket, Key=key, Body=b"")
