#!/usr/bin/python
# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: spaces_download
short_description: Bring a backup from DigitalOcean Spaces, or another S3 service, into the vault
version_added: 1.0.0
description:
  - Fetches one backup, checks every file of it against C(SHA256SUMS.txt), and publishes and seals it in the vault like
    one that was made there. The vault need not exist.
  - Large files come in ranges, side by side. A run that was killed is taken up where it stopped, and what it had
    fetched is checked before it counts.
  - A backup that is damaged there is not put into the vault.
  - To restore, M(cora.backup.restore) does it on its own, and fetches no more of it than it needs.
author:
  - cora.backup contributors (!UNKNOWN)
extends_documentation_fragment:
  - cora.backup.attributes
  - cora.backup.offsite
  - cora.backup.vault
  - cora.backup.vault.project
  - cora.backup.vault.run
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
  idempotent:
    support: full
options:
  id:
    description: V(latest), an id, or the beginning of exactly one.
    type: str
    default: latest
  seal:
    description:
      - V(required) fails before anything is fetched where files cannot be made immutable.
      - V(best_effort) keeps a backup that root can delete, and says so.
      - Left out, V(required) for root and V(best_effort) for others.
    type: str
    choices:
      - required
      - best_effort
seealso:
  - module: cora.backup.restore
  - module: cora.backup.spaces_verify
  - module: cora.backup.spaces_info
"""

EXAMPLES = r"""
- name: Bring the newest backup of a project to a new machine
  cora.backup.spaces_download:
    id: latest
    project: /srv/shop

- name: Bring one that is encrypted
  cora.backup.spaces_download:
    id: 20261124-040253-3d54373
    identity_file: /etc/cora/identity.txt
"""

RETURN = r"""
id:
  description: Which one it is.
  returned: success
  type: str
path:
  description: Where it is in the vault, or in check mode would be.
  returned: success
  type: str
vault:
  description: The vault.
  returned: success
  type: str
bytes_fetched:
  description: What came from the service in this run.
  returned: success
  type: int
bytes_kept:
  description: What an earlier run had fetched, and this one did not fetch again.
  returned: success
  type: int
sealed:
  description: Whether it is immutable now; null where nothing was fetched.
  returned: success
  type: bool
recovered:
  description: What an earlier, interrupted run had left in the vault and this one put right.
  returned: success
  type: list
  elements: str
duration_seconds:
  description: How long it took.
  returned: success
  type: float
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
from ansible_collections.cora.backup.plugins.module_utils.argspec_offsite import OFFSITE_SPEC, offsite_settings
from ansible_collections.cora.backup.plugins.module_utils.offsite_fetch import FetchRequest, fetch_backup
from ansible_collections.cora.backup.plugins.module_utils.offsite_fetch_summary import fetch_summary
from ansible_collections.cora.backup.plugins.module_utils.wiring import run


def main() -> None:
    """Entry point."""
    module = AnsibleModule(
        argument_spec={
            "id": {"type": "str", "default": "latest"},
            "seal": {"type": "str", "choices": ["required", "best_effort"]},
            **OFFSITE_SPEC,
            **argspec.PROJECT_SPEC,
            **argspec.VAULT_SPEC,
            **argspec.RUN_SPEC,
        },
        supports_check_mode=True,
    )
    check = module.check_mode
    run(
        module,
        lambda: fetch_backup(_request(module.params), check=check),
        partial(fetch_summary, check=check),
        needs="boto3",
    )


def _request(params: dict[str, Any]) -> FetchRequest:
    return FetchRequest(
        vault=argspec.vault_of(params),
        offsite=offsite_settings(params),
        id_text=params["id"],
        project=argspec.project_of(params),
        seal=params["seal"],
        lock_wait_seconds=params["lock_wait_seconds"],
        progress_file=params["progress_file"],
    )


if __name__ == "__main__":
    main()
