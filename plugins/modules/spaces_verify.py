#!/usr/bin/python
# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: spaces_verify
short_description: Check a backup in DigitalOcean Spaces, or another S3 service
version_added: 1.0.0
description:
  - Compares what stands there with C(SHA256SUMS.txt), by what the service tells of each object. That finds what is
    missing, was cut, or was replaced.
  - With O(deep) it reads every byte, which also finds what rotted, and names the files of the archive that are lost.
  - Changes nothing there, and fails where something is damaged. The result is noted in the vault where there is one.
author:
  - cora.backup contributors (!UNKNOWN)
extends_documentation_fragment:
  - cora.backup.attributes
  - cora.backup.offsite
  - cora.backup.vault
  - cora.backup.vault.project
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
  deep:
    description: Read every byte. Costs a download of the whole backup, of which nothing is kept.
    type: bool
    default: false
  progress_file:
    description: Progress is appended to this file, one JSON object a line, for a program that shows it.
    type: path
seealso:
  - module: cora.backup.spaces_download
  - module: cora.backup.checksum
"""

EXAMPLES = r"""
- name: Is all of the newest one there?
  cora.backup.spaces_verify:

- name: Read every byte of it
  cora.backup.spaces_verify:
    deep: true
"""

RETURN = r"""
id:
  description: Which one was checked.
  returned: when there is such a backup
  type: str
place:
  description: Where it stands.
  returned: when there is such a backup
  type: str
ok:
  description: Whether nothing is damaged.
  returned: when there is such a backup
  type: bool
deep:
  description: Whether every byte was read.
  returned: when there is such a backup
  type: bool
encrypted:
  description: Whether it is encrypted.
  returned: when there is such a backup
  type: bool
damaged:
  description: What is damaged.
  returned: when there is such a backup
  type: list
  elements: dict
  contains:
    artifact:
      description: File of the backup.
      type: str
    path:
      description: File of the project, where it stands in the archive.
      type: str
    problem:
      description: What is wrong.
      type: str
restorable:
  description: What can be restored, in a sentence.
  returned: when there is such a backup
  type: str
objects_checked:
  description: How many objects were looked at.
  returned: when there is such a backup
  type: int
bytes_read:
  description: How many bytes were downloaded for it.
  returned: when there is such a backup
  type: int
duration_seconds:
  description: How long it took.
  returned: when there is such a backup
  type: float
summary:
  description: The result in a person's words, a line each.
  returned: when there is such a backup
  type: list
  elements: str
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.cora.backup.plugins.module_utils import argspec
from ansible_collections.cora.backup.plugins.module_utils.argspec_offsite import OFFSITE_SPEC, offsite_settings
from ansible_collections.cora.backup.plugins.module_utils.offsite_fetch_summary import verify_away_summary
from ansible_collections.cora.backup.plugins.module_utils.offsite_verify import VerifyRequest, verify_offsite
from ansible_collections.cora.backup.plugins.module_utils.wiring import run


def main() -> None:
    """Entry point."""
    module = AnsibleModule(
        argument_spec={
            "id": {"type": "str", "default": "latest"},
            "deep": {"type": "bool", "default": False},
            "progress_file": {"type": "path"},
            **OFFSITE_SPEC,
            **argspec.PROJECT_SPEC,
            **argspec.VAULT_SPEC,
        },
        supports_check_mode=True,
    )
    run(
        module,
        lambda: verify_offsite(_request(module.params)),
        verify_away_summary,
        needs="boto3",
        error_of=lambda result: None if result["ok"] else "IntegrityError",
    )


def _request(params: dict[str, Any]) -> VerifyRequest:
    return VerifyRequest(
        vault=argspec.vault_of(params),
        offsite=offsite_settings(params),
        id_text=params["id"],
        project=argspec.project_of(params),
        deep=params["deep"],
        progress_file=params["progress_file"],
    )


if __name__ == "__main__":
    main()
