# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which backup of the bucket a person means, found without listing all there are."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice
from typing import Any, Optional

from .catalog import LATEST, NEWEST
from .errors import NotFoundError, OffsiteMissingError
from .ids import is_id
from .names import printable
from .offsite_layout import date_of, ids_newest_first, list_dates, list_ids, marker, unescape_text
from .offsite_settings import OffsiteSettings
from .s3_client import S3, connect

#: C(latest) of nobody in particular: so many of the newest have to be of one project.
_LOOKED_AT = 5
_BEGINNING = re.compile(r"\d{1,8}(-[0-9a-z-]*)?")


def resolve_offsite(s3: S3, text: str, project: Optional[str] = None) -> str:
    """The id of a whole backup that C(text) means: C(latest), an id, or the beginning of exactly one.

    :param project: C(latest) is then of this project; an encrypted backup does not tell whose it is, and counts
    :raises NotFoundError: when none answers, or more than one does
    :raises OffsiteError: when the service does not answer
    """
    if text in (LATEST, NEWEST):
        return _latest(s3, project)
    matching = list(islice(_whole(s3, _candidates(s3, text)), 2))
    if len(matching) == 1:
        return matching[0]
    if matching:
        raise NotFoundError(
            f"{printable(text)!r} is the beginning of several ids in {s3.settings.place}, {matching[0]} and "
            f"{matching[1]} among them. Give more of it."
        )
    raise NotFoundError(
        f"No backup in {s3.settings.place} has the id {printable(text)!r}; cora offsite list shows all."
    )


def project_offsite(settings: OffsiteSettings, backup_id: str) -> Optional[str]:
    """Whose a backup is; None where it does not tell (encrypted), or is not there."""
    return _project(marker(connect(settings), backup_id))


def _project(found: Optional[dict[str, Any]]) -> Optional[str]:
    project = (found or {}).get("Metadata", {}).get("project")
    return unescape_text(project) if project else None


def _candidates(s3: S3, text: str) -> Iterator[str]:
    if is_id(text):
        yield text
    elif _BEGINNING.fullmatch(text):
        # an id begins with its day, so only the days that begin alike are listed
        day = text.partition("-")[0]
        for date in list_dates(s3):
            if date.replace("-", "").startswith(day):
                yield from (one for one in list_ids(s3, date) if one.startswith(text) and date_of(one) == date)


def _whole(s3: S3, ids: Iterator[str]) -> Iterator[str]:
    return (one for one in ids if marker(s3, one) is not None)


def _latest(s3: S3, project: Optional[str]) -> str:
    found = ((one, marker(s3, one)) for one in ids_newest_first(s3))
    whole = ((one, _project(answer)) for one, answer in found if answer is not None)
    if project is not None:
        wanted = project.rstrip("/")
        for backup_id, origin in whole:
            if origin is None or origin.rstrip("/") == wanted:
                return backup_id
        raise OffsiteMissingError(f"No whole backup in {s3.settings.place} is of {printable(wanted)}.")
    newest = list(islice(whole, _LOOKED_AT))
    if not newest:
        raise OffsiteMissingError(f"There is no whole backup in {s3.settings.place}.")
    projects = sorted({printable(origin) for _one, origin in newest if origin is not None})
    if len(projects) > 1:
        # a guess here could be a full restore of the wrong project
        raise NotFoundError(
            f"{s3.settings.place} holds backups of several projects ({', '.join(projects)}): say which with --project."
        )
    return newest[0][0]
