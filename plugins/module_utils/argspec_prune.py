# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a retention policy looks like to a module, here and elsewhere."""

from __future__ import annotations

from dataclasses import fields

from .argspec import RUN_SPEC, VAULT_SPEC, Params, Spec, given, vault_of
from .argspec_offsite import OFFSITE_SPEC, offsite_settings
from .keep_rules import Policy, PruneRequest
from .offsite_prune import OffsitePruneRequest


def prune_spec() -> Spec:
    """Options of the module C(prune); those of the policy have the names that it has in the engine."""
    spec: Spec = {item.name: {"type": _POLICY_TYPES[str(item.type)]} for item in fields(Policy)}
    spec["keep_tags"] = {"type": "list", "elements": "str"}
    return {
        **spec,
        "project": {"type": "path"},
        "verify": {"type": "bool", "default": False},
        **VAULT_SPEC,
        **RUN_SPEC,
    }


_POLICY_TYPES = {"int": "int", "float": "float", "tuple[str, ...]": "list"}


def prune_request(params: Params) -> PruneRequest:
    """What C(prune) is asked to do; what was left out of the policy is the engine's default.

    :raises CoraError: when it cannot be
    """
    return PruneRequest(
        vault=vault_of(params),
        policy=Policy(**given(params, *(item.name for item in fields(Policy)))),
        project=params["project"].rstrip("/") if params["project"] else None,
        verify=params["verify"],
        lock_wait_seconds=params["lock_wait_seconds"],
        progress_file=params["progress_file"],
    )


_POLICY_SPEC: Spec = {
    **{f"keep_{name}": {"type": "int"} for name in ("last", "hourly", "daily", "weekly", "monthly", "yearly")},
    "keep_within_days": {"type": "float"},
    "keep_tags": {"type": "list", "elements": "str"},
}


def offsite_prune_spec() -> Spec:
    """Options of the module C(spaces_prune)."""
    return {
        "project": {"type": "path"},
        "vault": {"type": "path"},
        "progress_file": {"type": "path"},
        **_POLICY_SPEC,
        **OFFSITE_SPEC,
    }


def offsite_prune_request(params: Params, *, vault: str) -> OffsitePruneRequest:
    """What C(spaces_prune) is asked to do; what was left out of the policy is the engine's default.

    :raises CoraError: when it cannot be
    """
    return OffsitePruneRequest(
        vault=vault,
        offsite=offsite_settings(params),
        policy=Policy(**given(params, *_POLICY_SPEC)),
        project=params["project"].rstrip("/") if params["project"] else None,
        progress_file=params["progress_file"],
    )
