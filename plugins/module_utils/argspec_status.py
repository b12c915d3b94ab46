# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the module C(status_info) is asked, and how that reaches the engine."""

from __future__ import annotations

from dataclasses import fields

from .argspec import VAULT_SPEC, Params, Spec, given
from .status import Limits


def status_spec() -> Spec:
    """Options of the module C(status_info); limits have the names that they have in the engine."""
    limits: Spec = {item.name: {"type": "int" if item.name.endswith("_bytes") else "float"} for item in fields(Limits)}
    return {**limits, "project": {"type": "path"}, "protect": {"type": "bool", "default": False}, **VAULT_SPEC}


def status_limits(params: Params) -> Limits:
    """From when on C(status_info) calls something a problem."""
    return Limits(**given(params, *(item.name for item in fields(Limits))))
