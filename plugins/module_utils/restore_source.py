# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a restore finds what it restores: in the vault, or in the copy elsewhere where the vault has not got it.

The vault comes first; nobody is asked over the network for what is here. Restoring everything fetches the backup whole,
so that it is in the vault from then on; restoring files by name fetches only what they need.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Optional

from .catalog import LATEST, NEWEST, resolve_id
from .defaults import SEAL_BEST_EFFORT
from .errors import NotFoundError, OffsiteMissingError
from .offsite_fetch import FetchRequest, fetch_backup
from .offsite_layout import marker
from .offsite_reader import open_remote_state
from .offsite_settings import OffsiteSettings
from .offsite_which import resolve_offsite
from .s3_client import connect
from .saved_state import SavedState, open_state
from .settings import RestoreRequest
from .vault import Vault

Offsite = Callable[[], Optional[OffsiteSettings]]


def resolve_anywhere(
    vault: str, text: str, project: Optional[str], offsite: Offsite
) -> tuple[str, Optional[OffsiteSettings]]:
    """The id that C(text) means, and where it is when it is not in the vault.

    :param offsite: asked for only where the vault has no answer, so that its settings cannot hinder a restore from here
    :raises NotFoundError: when neither has it
    """
    try:
        return resolve_id(vault, text, project), None
    except NotFoundError as error:
        if _several_here(vault, text, project):
            raise
        settings = offsite()
        if settings is None:
            raise
        try:
            return resolve_offsite(connect(settings), text, project), settings
        except (NotFoundError, OffsiteMissingError) as away:
            raise NotFoundError(f"{error} Nor is it offsite: {away}") from away


def _several_here(vault: str, text: str, project: Optional[str]) -> bool:
    """Whether the vault has too many answers, not too few: then another place must not decide."""
    ids = Vault(vault).ids()
    if text in (LATEST, NEWEST):
        return bool(ids) and project is None
    return any(one.startswith(text) for one in ids + Vault(vault).checkpoint_ids())


def is_away(request: RestoreRequest, backup_id: str) -> bool:
    """Whether this backup is only offsite."""
    return request.offsite is not None and not os.path.isdir(Vault(request.vault).find(backup_id))


def open_source(request: RestoreRequest, backup_id: str) -> SavedState:
    """The backup as something to restore from.

    :raises CoraError: when it is not there, or damaged where that matters
    """
    vault, by_name = Vault(request.vault), request.scenario == "files"
    if request.offsite is None or not is_away(request, backup_id):
        return open_state(vault, backup_id, by_name=by_name)
    return open_remote_state(vault, connect(request.offsite), backup_id, by_name=by_name)


def bring_here(request: RestoreRequest) -> tuple[RestoreRequest, dict[str, Any]]:
    """Before a restore that changes something: a backup that is only offsite comes into the vault, unless single files
    are wanted of it, which can be read where it is.

    :returns: the request with the id that is meant, and the result of the fetch; empty where there was none
    :raises CoraError: when it could not be fetched
    """
    offsite = request.offsite
    if offsite is None:
        return request, {}
    s3 = connect(offsite)
    backup_id = resolve_offsite(s3, request.id_text, request.project)
    request = replace(request, id_text=backup_id)
    if not is_away(request, backup_id):
        return request, {}
    Vault(request.vault).prepare()
    if request.scenario == "files" and not (marker(s3, backup_id) or {}).get("encrypted"):
        return request, {}
    fetched = fetch_backup(
        FetchRequest(
            vault=request.vault,
            offsite=offsite,
            id_text=backup_id,
            seal=SEAL_BEST_EFFORT,  # a restore must not fail because this disk cannot seal
            lock_wait_seconds=request.lock_wait_seconds,
            progress_file=request.progress_file,
        )
    )
    return request, fetched
