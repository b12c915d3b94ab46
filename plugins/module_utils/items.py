# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What was found in a project as an item of the archive: its tar header and its line in the index."""

from __future__ import annotations

import grp
import os
import pwd
import stat
from dataclasses import dataclass, field
from typing import Optional

from .frame_building import Item
from .index import Entry
from .scan import Found
from .source_files import StreamedFile, is_settled
from .tar_format import DIRECTORY, FILE, HARDLINK, Member


@dataclass(frozen=True)
class Original:
    """Metadata of the project's file, where its bytes are read from a copy of ours."""

    status: os.stat_result
    xattrs: dict[str, bytes]
    wal: Optional[tuple[int, int]] = None


@dataclass
class Owners:
    """Names of the users and groups that own something, looked up once each."""

    users: dict[int, str] = field(default_factory=dict)
    groups: dict[int, str] = field(default_factory=dict)

    def user(self, uid: int) -> str:
        """Name of a user; empty where the number has none."""
        if uid not in self.users:
            try:
                self.users[uid] = pwd.getpwuid(uid).pw_name
            except KeyError:
                self.users[uid] = ""
        return self.users[uid]

    def group(self, gid: int) -> str:
        """Name of a group; empty where the number has none."""
        if gid not in self.groups:
            try:
                self.groups[gid] = grp.getgrgid(gid).gr_name
            except KeyError:
                self.groups[gid] = ""
        return self.groups[gid]


def item_of(
    found: Found,
    status: os.stat_result,
    owners: Owners,
    *,
    kind: str,
    size_bytes: int = 0,
    stored_bytes: int = 0,
    data: bytes = b"",
    link: str = "",
    xattrs: Optional[dict[str, bytes]] = None,
    sparse: bool = False,
    database: bool = False,
    wal: Optional[tuple[int, int]] = None,
    cut_bytes: int = 0,
    settled: Optional[bool] = None,
) -> Item:
    """The item of something that was found.

    :param status: what it was when it was read
    :param settled: its times will tell of the next change; None where that depends on nothing but how old they
        were when the walk saw it
    """
    mode = stat.S_IMODE(status.st_mode)
    source = fresh = None
    if kind in (FILE, HARDLINK, DIRECTORY):
        # the ctime of a directory tells of extended attributes and ACLs; its size says nothing
        identity = 0 if kind == DIRECTORY else status.st_size, status.st_ctime_ns, status.st_ino
        if is_settled(status.st_ctime_ns, found.seen_ns or None) if settled is None else settled:
            source = identity
        else:
            fresh = identity
    # by position: this runs once a file, and naming the fields takes longer than making the two
    member = Member(
        found.path,
        kind,
        mode,
        status.st_uid,
        status.st_gid,
        owners.user(status.st_uid),
        owners.group(status.st_gid),
        stored_bytes,
        status.st_mtime_ns,
        link,
        xattrs or {},
        size_bytes if sparse else None,
    )
    entry = Entry(
        found.path,
        kind,
        size_bytes,
        mode,
        status.st_uid,
        status.st_gid,
        status.st_mtime_ns,
        frame=0,
        at=0,
        link=link,
        database=database,
        cut_bytes=cut_bytes,
        source=source,
        wal=wal,
        fresh=fresh,
    )
    return Item(member, entry, data)


def streamed_item(
    found: Found, stream: StreamedFile, original: Original, owners: Owners, *, database: bool, settled: bool
) -> Item:
    """The item of a large file, whose content is still to be read."""
    return item_of(
        found,
        original.status,
        owners,
        kind=FILE,
        size_bytes=stream.content_bytes,
        stored_bytes=stream.stored_bytes,
        xattrs=original.xattrs,
        sparse=stream.segments is not None,
        database=database,
        wal=original.wal,
        cut_bytes=stream.start,
        settled=settled,
    )
