# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pins and tags of backups and checkpoints; they stand beside what is sealed: C(.cora/pins), C(.cora/tags)."""

from __future__ import annotations

import json
import os
import re
from datetime import datetime, timezone
from typing import Any

from . import durable
from .errors import SettingsError
from .names import printable
from .vault import Vault
from .who import who_runs_this

_TAG = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def pins_directory(vault: Vault) -> str:
    """Where pins stand, C(<id>.json) for each."""
    return os.path.join(vault.control, "pins")


def tags_directory(vault: Vault) -> str:
    """Where tags stand, C(<id>.json) for those of each state."""
    return os.path.join(vault.control, "tags")


def _pin_path(vault: Vault, state_id: str) -> str:
    return os.path.join(pins_directory(vault), f"{state_id}.json")


def _tags_path(vault: Vault, state_id: str) -> str:
    return os.path.join(tags_directory(vault), f"{state_id}.json")


def is_pinned(vault: Vault, state_id: str) -> bool:
    """Whether nothing may remove this state; a pin that cannot be read is one too."""
    return os.path.lexists(_pin_path(vault, state_id))


def tags_of(vault: Vault, state_id: str) -> list[str]:
    """The tags of a state, sorted."""
    try:
        with open(_tags_path(vault, state_id), "rb") as stream:
            document = json.load(stream)
    except (OSError, ValueError):
        return []
    tags = document.get("tags") if isinstance(document, dict) else None
    return sorted(str(tag) for tag in tags) if isinstance(tags, list) else []


def set_pin(vault: Vault, state_id: str, *, on: bool) -> bool:
    """Pin a state, or take its pin off. Needs the vault's lock: a prune may be about to remove it.

    :returns: whether that changed anything
    :raises VaultError: when it could not be written
    """
    if is_pinned(vault, state_id) == on:
        return False
    if on:
        _write(_pin_path(vault, state_id), {})
    else:
        _remove(_pin_path(vault, state_id))
    return True


def set_tag(vault: Vault, state_id: str, tag: str, *, on: bool) -> bool:
    """Give a state a tag, or take it away. Needs the vault's lock.

    :returns: whether that changed anything
    :raises SettingsError: when this is no name for a tag
    :raises VaultError: when it could not be written
    """
    if not _TAG.fullmatch(tag):
        raise SettingsError(
            f"{printable(tag)!r} is no tag: up to 64 letters, digits, dots, hyphens and underscores, "
            "a letter or a digit first."
        )
    before = tags_of(vault, state_id)
    after = sorted({*before, tag} if on else set(before) - {tag})
    if after == before:
        return False
    if after:
        _write(_tags_path(vault, state_id), {"tags": after})
    else:
        _remove(_tags_path(vault, state_id))
    return True


def forget_marks(vault: Vault, state_id: str) -> None:
    """Remove what the vault remembers of a state that is gone: its tags, and the result of its last check."""
    for path in (_tags_path(vault, state_id), os.path.join(vault.verified, f"{state_id}.json")):
        if os.path.lexists(path):
            _remove(path)


def _write(path: str, document: dict[str, Any]) -> None:
    durable.make_directories(os.path.dirname(path))
    at = f"{datetime.now(timezone.utc):%Y-%m-%dT%H:%M:%SZ}"
    durable.replace_file(path, json.dumps({**document, "at": at, "by": who_runs_this()}, indent=2).encode() + b"\n")


def _remove(path: str) -> None:
    try:
        os.unlink(path)
    except OSError as error:
        durable.fail(error, "remove", path)
    durable.sync_directory(os.path.dirname(path))
