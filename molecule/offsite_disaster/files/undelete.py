# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes a deletion back in a bucket with versions: undelete.py KEY."""

from __future__ import annotations

import sys

from store import BUCKET, connect

client = connect()
versions = client.list_object_versions(Bucket=BUCKET, Prefix=sys.argv[1])
(marker,) = [one for one in versions["DeleteMarkers"] if one["IsLatest"]]
client.delete_object(Bucket=BUCKET, Key=marker["Key"], VersionId=marker["VersionId"])
