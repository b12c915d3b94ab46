#!/usr/bin/python
# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: rclone_download
short_description: Bring a backup back with rclone
version_added: 1.0.0
description:
  - Fetches one backup from where M(cora.backup.rclone_upload) or M(cora.backup.spaces_upload) put it. It is checked,
    published in the vault and sealed as one that was made there.
author:
  - cora.backup contributors (!UNKNOWN)
extends_documentation_fragment:
  - cora.backup.attributes
  - cora.backup.vault
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
  idempotent:
    support: full
options:
  remote:
    description:
      - A remote of rclone and a path in it, C(remote:path). The remote stands in rclone's configuration; one that is
        spelled out is refused, since it would show its keys.
    type: str
    required: true
  prefix:
    description: The directory below it; hosts that share the place have one each.
    type: str
    default: prod
  bytes_per_second:
    description: At most so fast; V(0) for as fast as it goes.
    type: int
    default: 0
  ca_bundle:
    description: File of certificates to trust instead of the system's.
    type: path
  id:
    description: V(latest), an id, or the beginning of exactly one.
    type: str
    default: latest
  seal:
    description:
      - V(required) fails when it cannot be made immutable. V(best_effort) keeps it unsealed then.
      - Left out, V(required) for root, V(best_effort) for others.
    type: str
    choices:
      - required
      - best_effort
seealso:
  - module: cora.backup.rclone_upload
"""

EXAMPLES = r"""
- name: Bring the newest one back
  cora.backup.rclone_download:
    remote: spaces:cora-backups
"""

RETURN = r"""
id:
  description: Name of the backup.
  returned: success
  type: str
path:
  description: Where it is now.
  returned: success
  type: str
sealed:
  description: Whether it is immutable.
  returned: when it was fetched
  type: bool
summary:
  description: The result in a person's words, a line each.
  returned: success
  type: list
  elements: str
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.cora.backup.plugins.module_utils import argspec
from ansible_collections.cora.backup.plugins.module_utils.argspec_rclone import RCLONE_SPEC, rclone_of
from ansible_collections.cora.backup.plugins.module_utils.offsite_rclone import fetch
from ansible_collections.cora.backup.plugins.module_utils.wiring import run


def main() -> None:
    """Entry point."""
    module = AnsibleModule(
        argument_spec={
            "id": {"type": "str", "default": "latest"},
            "seal": {"type": "str", "choices": ["required", "best_effort"]},
            **RCLONE_SPEC,
            **argspec.VAULT_SPEC,
        },
        supports_check_mode=True,
    )
    run(module, lambda: _fetch(module.params, check=module.check_mode), _summary)


def _fetch(params: dict[str, Any], *, check: bool) -> dict[str, Any]:
    return fetch(rclone_of(params), argspec.vault_of(params), params["id"], seal=params["seal"], check=check)


def _summary(result: dict[str, Any]) -> list[str]:
    did = "fetched, checked and in the vault" if result["changed"] else "in the vault already"
    return [f"{result['id']}: {did}."]


if __name__ == "__main__":
    main()
