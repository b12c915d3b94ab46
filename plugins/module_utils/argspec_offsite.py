# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What modules of the copy elsewhere share: where it is, and how to get there. Never a key: those stand in a file."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Optional

from .offsite_settings import (
    ADDRESSING,
    DEFAULT_ENV_FILE,
    REQUIRED,
    OffsiteSettings,
    read_env_file,
    read_offsite_settings,
)

Spec = dict[str, Any]
Params = Mapping[str, Any]

#: Options of every module that talks to the service; settings of a person have C(cora_offsite_) before these names.
OFFSITE_SPEC: Spec = {
    "env_file": {"type": "path"},
    "prefix": {"type": "str"},
    "addressing": {"type": "str", "choices": list(ADDRESSING)},
    "bytes_per_second": {"type": "int"},
    "ca_bundle": {"type": "path"},
    "encrypt_to": {"type": "list", "elements": "str"},
    "identity_file": {"type": "path"},
    "proxy": {"type": "str"},
    "storage_class": {"type": "str"},
}


def offsite_settings(params: Params) -> OffsiteSettings:
    """The service that a module is told to use; an option that is left out or empty is the default.

    :raises SettingsError: when something is missing or wrong
    """
    options = {name: _given(params.get(name)) for name in OFFSITE_SPEC if name != "env_file"}
    return read_offsite_settings(params.get("env_file") or None, **options)


def offsite_if_any(params: Params) -> Optional[OffsiteSettings]:
    """The same; None where this machine has no keys to a copy elsewhere, or not for this user.

    :raises SettingsError: when it has some, and something is missing or wrong
    """
    path = params.get("env_file") or DEFAULT_ENV_FILE
    if os.path.exists(path) and not os.access(path, os.R_OK):
        return None
    values = read_env_file(path)
    values = os.environ if values is None else values
    return offsite_settings(params) if any(values.get(name) for name in REQUIRED) else None


def _given(value: Any) -> Optional[Any]:
    if isinstance(value, list):
        return tuple(value) or None
    return value if value != "" else None
