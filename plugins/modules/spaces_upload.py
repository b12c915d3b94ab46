#!/usr/bin/python
# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: spaces_upload
short_description: Copy the backups of a vault to DigitalOcean Spaces, or another S3 service
version_added: 1.0.0
description:
  - Sends every backup of a vault that is not there yet, the oldest first.
  - Files go side by side, large ones in parts. A run that was killed is taken up where it stopped.
  - What an older backup there has in common with a new archive is copied by the service, and not sent again.
  - C(SHA256SUMS.txt) goes last. Where it is missing there is no backup, only the beginning of an upload.
  - A backup that is damaged here is not sent, and fails the module after the others were sent.
  - Checkpoints stay here.
author:
  - cora.backup contributors (!UNKNOWN)
extends_documentation_fragment:
  - cora.backup.attributes
  - cora.backup.offsite
  - cora.backup.vault
  - cora.backup.vault.run
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
  idempotent:
    support: full
options:
  ids:
    description: Only these backups. Left out, all of the vault.
    type: list
    elements: str
    default: []
  lock_wait_seconds:
    description: How long to wait for another run that copies this vault. Backups themselves never wait for it.
seealso:
  - module: cora.backup.spaces_setup
  - module: cora.backup.spaces_info
"""

EXAMPLES = r"""
- name: Copy what is not there yet
  cora.backup.spaces_upload:

- name: Copy to a place of its own in a bucket that several hosts share
  cora.backup.spaces_upload:
    prefix: "{{ inventory_hostname }}"
    bytes_per_second: 5000000
"""

RETURN = r"""
remote:
  description: Bucket, prefix and service.
  returned: success
  type: str
uploaded:
  description: Ids that are there now and were not before; in check mode those that would be.
  returned: success
  type: list
  elements: str
failures:
  description: Backups that were not sent, and why.
  returned: always
  type: list
  elements: dict
  contains:
    id:
      description: Which one; empty where the service cannot be used at all.
      type: str
    error:
      description: Class of the error.
      type: str
    message:
      description: What happened, and what to do.
      type: str
bytes_sent:
  description: Bytes of objects that went over the line.
  returned: success
  type: int
bytes_copied:
  description: Bytes that the service copied.
  returned: success
  type: int
bytes_found:
  description: Bytes that an earlier run had sent, of uploads that this one finished.
  returned: success
  type: int
swept:
  description: How many abandoned uploads were cleared away.
  returned: success
  type: int
seconds:
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

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.cora.backup.plugins.module_utils import argspec
from ansible_collections.cora.backup.plugins.module_utils.argspec_offsite import OFFSITE_SPEC, offsite_settings
from ansible_collections.cora.backup.plugins.module_utils.offsite_summary import sync_summary
from ansible_collections.cora.backup.plugins.module_utils.offsite_upload import SyncRequest, sync
from ansible_collections.cora.backup.plugins.module_utils.wiring import first_failure, run


def main() -> None:
    """Entry point."""
    module = AnsibleModule(
        argument_spec={
            "ids": {"type": "list", "elements": "str", "default": []},
            **OFFSITE_SPEC,
            **argspec.VAULT_SPEC,
            **argspec.RUN_SPEC,
        },
        supports_check_mode=True,
    )
    run(
        module,
        lambda: sync(_request(module)),
        partial(sync_summary, check=module.check_mode),
        needs="boto3",
        error_of=first_failure,
    )


def _request(module: AnsibleModule) -> SyncRequest:
    return SyncRequest(
        vault=argspec.vault_of(module.params),
        settings=offsite_settings(module.params),
        ids=tuple(module.params["ids"]),
        check=module.check_mode,
        wait_seconds=module.params["lock_wait_seconds"],
        progress_file=module.params["progress_file"],
    )


if __name__ == "__main__":
    main()
