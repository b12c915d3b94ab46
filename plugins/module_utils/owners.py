# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The accounts that a backup's files belong to, and having them on a machine that has never seen the project.

A restore goes by numbers, so an account has to have the number it had. People's accounts (from 1000 on) are made where
they are missing. Those of packages (www-data, redis, ...) come with their packages, and are only named.
"""

from __future__ import annotations

import grp
import os
import pwd
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .archive_reader import ArchiveReader
from .index import Entry
from .names import printable
from .programs import run

_FIRST_PERSON, _LAST_PERSON = 1000, 59999
#: What useradd takes everywhere; an archive may say anything.
_NAME = re.compile(r"[a-z_][a-z0-9_-]{0,30}")


@dataclass
class Owners:
    """Numbers and names, as the archive has them."""

    users: dict[int, str] = field(default_factory=dict)
    groups: dict[int, str] = field(default_factory=dict)


def owners_of(backup: str) -> Owners:
    """Whose the files of a backup are; reads one header for each account, not the archive.

    :raises IntegrityError: when index or archive is damaged
    """
    owners = Owners()

    def is_new(entry: Entry) -> bool:
        return entry.uid not in owners.users or entry.gid not in owners.groups

    with ArchiveReader(backup) as reader:
        for group in reader.groups():
            if not any(is_new(entry) for entry in group.entries):
                continue
            for opened in reader.open_group(group, is_new):
                owners.users.setdefault(opened.member.uid, opened.member.uname)
                owners.groups.setdefault(opened.member.gid, opened.member.gname)
    return owners


def have_accounts(backup: str, *, check: bool = False) -> dict[str, Any]:
    """Make the people's accounts and groups that are missing here.

    :returns: C(changed), C(created) and a sentence for each account that cannot be made
    :raises ProgramError: groupadd or useradd failed
    """
    owners = owners_of(backup)
    users, groups, warnings = _missing(owners)
    if not check:
        for gid, name in groups.items():
            run(["groupadd", "--gid", str(gid), "--", name])
        for uid, name in users.items():
            _make_user(uid, name)
    return {
        "changed": bool(users or groups),
        "created": sorted({*users.values(), *groups.values()}),
        "warnings": warnings,
    }


def _missing(owners: Owners) -> tuple[dict[int, str], dict[int, str], list[str]]:
    known_users = {entry.pw_uid: entry.pw_name for entry in pwd.getpwall()}
    known_groups = {entry.gr_gid: entry.gr_name for entry in grp.getgrall()}
    notes: list[str] = []
    users = _sort("user", owners.users, known_users, notes)
    groups = _sort("group", owners.groups, known_groups, notes)
    return users, groups, notes


def _sort(kind: str, wanted: Mapping[int, str], known: Mapping[int, str], notes: list[str]) -> dict[int, str]:
    """Those to make; the others that are not as they were get a note."""
    missing = {}
    for number, name in sorted(wanted.items()):
        if number == 0 or known.get(number) == name or (not name and number not in known):
            continue  # it is there, or it had no name over there either
        shown = printable(name or "nobody's")
        if number in known:
            notes.append(
                f"Files of the {kind} {shown} ({number}) belong to {known[number]} here, who has that number: "
                "see with find -user or -group, and chown them."
            )
        elif not _FIRST_PERSON <= number <= _LAST_PERSON or not _NAME.fullmatch(name):
            notes.append(
                f"Files belong to the {kind} {shown} ({number}), who is not here: install the package that brings it, "
                "and chown them if it gets another number."
            )
        elif name in known.values():
            notes.append(f"The {kind} {shown} has another number here than the files ({number}): chown them.")
        else:
            missing[number] = name
    return missing


def _make_user(uid: int, name: str) -> None:
    # a home directory that is there already (a disk of its own, say) is taken as it is
    try:
        group = ["--gid", grp.getgrnam(name).gr_name]
    except KeyError:
        group = ["--user-group"]
    home = [] if os.path.isdir(f"/home/{name}") else ["--create-home"]
    run(["useradd", "--uid", str(uid), *group, *home, "--shell", "/bin/bash", "--", name])
