# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the module C(rotate) is asked, and how that reaches the engine."""

from __future__ import annotations

from .argspec import PATTERNS, PROJECT_SPEC, VAULT_SPEC, Params, Spec, given, project_to_save_of, vault_of
from .rotate import RotateSettings


def rotate_spec() -> Spec:
    """Options of the module C(rotate)."""
    return {
        "files": PATTERNS,
        "exclude": PATTERNS,
        "rotate_bytes": {"type": "int"},
        "lock_wait_seconds": {"type": "float", "default": 0},
        **PROJECT_SPEC,
        **VAULT_SPEC,
    }


def rotate_settings(params: Params) -> RotateSettings:
    """What C(rotate) is asked to do.

    :raises CoraError: when it cannot be
    """
    return RotateSettings(
        project=project_to_save_of(params),
        vault=vault_of(params),
        lock_wait_seconds=params["lock_wait_seconds"],
        **given(params, "files", "exclude", "rotate_bytes"),
    )
