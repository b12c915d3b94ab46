# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the modules share that copy by rclone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .offsite_settings import DEFAULT_PREFIX
from .rclone_command import Rclone

RCLONE_SPEC: dict[str, Any] = {
    "remote": {"type": "str", "required": True},
    "prefix": {"type": "str", "default": DEFAULT_PREFIX},
    "bytes_per_second": {"type": "int", "default": 0},
    "ca_bundle": {"type": "path"},
}


def rclone_of(params: Mapping[str, Any]) -> Rclone:
    """The place that a module is told to use.

    :raises SettingsError: when it is none
    """
    return Rclone(params["remote"], params["prefix"], params["bytes_per_second"], params["ca_bundle"] or None)
