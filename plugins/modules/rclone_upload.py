#!/usr/bin/python
# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: rclone_upload
short_description: Copy backups elsewhere with rclone
version_added: 1.0.0
description:
  - Sends the backups that are not there yet to any service that rclone knows, oldest first. C(SHA256SUMS.txt) goes
    last, when rclone has compared all the rest, so that a half copy is no backup.
  - The names are those that M(cora.backup.spaces_upload) gives.
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
  ids:
    description: Only these backups. Empty means all of the vault.
    type: list
    elements: str
    default: []
  deep:
    description:
      - Compare by reading everything back. Otherwise by the hashes of the service, where it has any.
    type: bool
    default: false
  lock_wait_seconds:
    description: How long to wait when another run copies backups of this vault.
    type: float
    default: 0
seealso:
  - module: cora.backup.rclone_download
"""

EXAMPLES = r"""
- name: Send what is missing
  cora.backup.rclone_upload:
    remote: storagebox:backups
"""

RETURN = r"""
remote:
  description: Where they are.
  returned: always
  type: str
uploaded:
  description: Ids that were sent.
  returned: success
  type: list
  elements: str
failures:
  description: Backups that could not be sent, and why.
  returned: always
  type: list
  elements: dict
bytes_sent:
  description: What went over the network.
  returned: success
  type: int
summary:
  description: The result in a person's words, a line each.
  returned: success
  type: list
  elements: str
"""

from functools import partial
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.cora.backup.plugins.module_utils import argspec
from ansible_collections.cora.backup.plugins.module_utils.argspec_rclone import RCLONE_SPEC, rclone_of
from ansible_collections.cora.backup.plugins.module_utils.offsite_rclone import sync
from ansible_collections.cora.backup.plugins.module_utils.offsite_summary import sync_summary
from ansible_collections.cora.backup.plugins.module_utils.wiring import first_failure, run


def main() -> None:
    """Entry point."""
    module = AnsibleModule(
        argument_spec={
            "ids": {"type": "list", "elements": "str", "default": []},
            "deep": {"type": "bool", "default": False},
            "lock_wait_seconds": {"type": "float", "default": 0},
            **RCLONE_SPEC,
            **argspec.VAULT_SPEC,
        },
        supports_check_mode=True,
    )
    check = module.check_mode
    run(
        module,
        lambda: _sync(module.params, check=check),
        partial(sync_summary, check=check),
        error_of=first_failure,
    )


def _sync(params: dict[str, Any], *, check: bool) -> dict[str, Any]:
    return sync(
        rclone_of(params),
        argspec.vault_of(params),
        ids=params["ids"],
        deep=params["deep"],
        check=check,
        wait_seconds=params["lock_wait_seconds"],
    )


if __name__ == "__main__":
    main()
