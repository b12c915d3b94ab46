# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The copy elsewhere, as the settings of a person describe it, for verbs that need no Ansible."""

from __future__ import annotations

import os
from typing import Any

from ansible_collections.cora.backup.plugins.module_utils.offsite_settings import OffsiteSettings

from .context import Context
from .errors import UsageError


def offsite_settings(context: Context) -> OffsiteSettings:
    """The service that the settings name.

    :raises SettingsError: when something is missing or wrong
    """
    from ansible_collections.cora.backup.plugins.module_utils import argspec_offsite

    return argspec_offsite.offsite_settings(_params(context))


def offsite_if_any(context: Context) -> OffsiteSettings | None:
    """The same; None where this machine has no keys to a copy elsewhere."""
    from ansible_collections.cora.backup.plugins.module_utils import argspec_offsite

    return argspec_offsite.offsite_if_any(_params(context))


def uses_rclone(context: Context) -> bool:
    """Whether rclone carries the backups, and not cora itself."""
    return bool(_setting(context, "cora_offsite_transport") == "rclone")


def only_by_s3(context: Context, instead: str) -> None:
    """What rclone cannot do for us is not done by another way than the one that is set.

    :raises UsageError: when rclone carries the backups
    """
    if uses_rclone(context):
        raise UsageError(f"cora_offsite_transport is rclone, and this works with s3 only: {instead}.")


def _params(context: Context) -> dict[str, Any]:
    from ansible_collections.cora.backup.plugins.module_utils.argspec_offsite import OFFSITE_SPEC

    return {name: _typed(context, name, option["type"]) for name, option in OFFSITE_SPEC.items()}


def _setting(context: Context, name: str) -> Any:
    return context.extra_vars.get(name, context.inventory.value(name))


def _typed(context: Context, name: str, kind: str) -> Any:
    name = f"cora_offsite_{name}"
    value = _setting(context, name)
    if value is None or value == "":
        return None
    if kind == "list":
        value = [value] if isinstance(value, str) else value
        good = isinstance(value, list) and all(isinstance(one, str) and "{{" not in one for one in value)
    elif kind == "int":
        value = int(value) if isinstance(value, str) and value.isdigit() else value
        good = isinstance(value, int) and not isinstance(value, bool)
    else:
        good = isinstance(value, str) and "{{" not in value
        value = os.path.expandvars(os.path.expanduser(value)) if good and kind == "path" else value
    if not good:
        raise UsageError(f"{name} is {value!r}, which is no plain {_WORDS[kind]}: give it with -e {name}=VALUE.")
    return value


_WORDS = {"list": "list of texts", "int": "number", "str": "text", "path": "path"}
