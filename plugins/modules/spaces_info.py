#!/usr/bin/python
# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: spaces_info
short_description: List the backups in DigitalOcean Spaces, or another S3 service
version_added: 1.0.0
description:
  - Lists the complete backups of a bucket, the newest first. The beginning of an upload is none.
author:
  - cora.backup contributors (!UNKNOWN)
extends_documentation_fragment:
  - cora.backup.attributes
  - cora.backup.attributes.info_module
  - cora.backup.offsite
  - cora.backup.vault
seealso:
  - module: cora.backup.backup_info
"""

EXAMPLES = r"""
- name: See what is there
  cora.backup.spaces_info:
  register: offsite

- name: Fail when the newest backup of the vault is not there
  ansible.builtin.assert:
    that: offsite.backups and offsite.backups[0].local
"""

RETURN = r"""
remote:
  description: Bucket, prefix and service.
  returned: success
  type: str
backups:
  description: One entry a backup, newest first.
  returned: success
  type: list
  elements: dict
  contains:
    id:
      description: Its id.
      type: str
    created_at:
      description: When the backup was made.
      type: str
    uploaded_at:
      description: When its upload was finished.
      type: str
    project:
      description: Of what; null where that is not told, for instance of an encrypted one.
      type: str
    objects:
      description: How many objects it is made of; null where that is not told.
      type: int
    size_bytes:
      description: Of all its objects; null where that is not told.
      type: int
    encrypted:
      description: Whether it is encrypted.
      type: bool
    local:
      description: Whether the vault of this host has it, too.
      type: bool
summary:
  description: The list as a table, a line each.
  returned: success
  type: list
  elements: str
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.cora.backup.plugins.module_utils import argspec
from ansible_collections.cora.backup.plugins.module_utils.argspec_offsite import OFFSITE_SPEC, offsite_settings
from ansible_collections.cora.backup.plugins.module_utils.offsite_list import list_offsite
from ansible_collections.cora.backup.plugins.module_utils.offsite_summary import list_summary
from ansible_collections.cora.backup.plugins.module_utils.s3_client import connect
from ansible_collections.cora.backup.plugins.module_utils.wiring import run


def main() -> None:
    """Entry point."""
    module = AnsibleModule(argument_spec={**OFFSITE_SPEC, **argspec.VAULT_SPEC}, supports_check_mode=True)
    run(
        module,
        lambda: _list(module.params),
        lambda result: list_summary(result["backups"], result["remote"]),
        needs="boto3",
    )


def _list(params: dict[str, Any]) -> dict[str, Any]:
    settings = offsite_settings(params)
    return {"remote": settings.place, "backups": list_offsite(connect(settings), argspec.vault_of(params))}


if __name__ == "__main__":
    main()
