#!/usr/bin/python
# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: spaces_setup
short_description: Find out what a bucket protects, and switch on what it can
version_added: 1.0.0
description:
  - Checks keys, bucket, region and clock.
  - Switches versioning on, and adds a lifecycle rule that clears unfinished uploads away, where the key may. Rules that
    are there stay.
  - Finds out what the key may do by doing it with a small object of its own under C(<prefix>/probe/), which it removes
    where it may - write, read, overwrite, delete, take the deletion back, delete for good.
  - Says what a stolen key could do. What was found is also noted in the vault, for M(cora.backup.status_info).
author:
  - cora.backup contributors (!UNKNOWN)
extends_documentation_fragment:
  - cora.backup.attributes
  - cora.backup.offsite
  - cora.backup.vault
attributes:
  check_mode:
    support: partial
    details:
      - Only looks, so what the key may do stays unknown.
  diff_mode:
    support: none
  idempotent:
    support: full
seealso:
  - module: cora.backup.spaces_upload
"""

EXAMPLES = r"""
- name: Make a bucket fit for backups
  cora.backup.spaces_setup:
  register: bucket

- name: Insist on a bucket that keeps what is deleted
  ansible.builtin.assert:
    that: bucket.object_lock or bucket.versioning == 'enabled'
"""

RETURN = r"""
remote:
  description: Bucket, prefix and service.
  returned: success
  type: str
checked_at:
  description: When this was found out.
  returned: success
  type: str
region:
  description: Of the bucket, as the service tells.
  returned: success
  type: str
clock_skew_seconds:
  description: By how much the clock here is ahead of that of the service; null where it cannot be told.
  returned: success
  type: float
may:
  description:
    - Whether the key may C(list), C(write), C(read), C(overwrite), C(delete), C(delete_for_good), C(change_versioning),
      C(change_lifecycle). What was not tried is missing.
  returned: success
  type: dict
versioning:
  description: V(enabled), V(suspended) or V(off); null where the key may not ask.
  returned: success
  type: str
delete_can_be_undone:
  description: Whether an object that was deleted could be read again.
  returned: success
  type: bool
object_lock:
  description: C(mode) and C(days) of the retention; empty where there is none, null where it cannot be told.
  returned: success
  type: dict
clears_uploads:
  description: Whether a lifecycle rule clears unfinished uploads away.
  returned: success
  type: bool
expires:
  description: What lifecycle rules remove of the backups.
  returned: success
  type: list
  elements: str
public:
  description: Whether objects can be read without a key.
  returned: success
  type: bool
encrypted:
  description: Whether backups are encrypted before they are sent.
  returned: success
  type: bool
switched_on:
  description: What was changed - V(versioning), V(lifecycle).
  returned: success
  type: list
  elements: str
left_behind:
  description: Keys of probes that this key may not remove.
  returned: success
  type: list
  elements: str
protects:
  description: What the bucket does for the backups, in sentences.
  returned: success
  type: list
  elements: str
stolen_key:
  description: What somebody could do who has the key, in sentences.
  returned: success
  type: list
  elements: str
problems:
  description: What should be changed, in sentences.
  returned: success
  type: list
  elements: str
summary:
  description: The result in a person's words, a line each.
  returned: success
  type: list
  elements: str
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.cora.backup.plugins.module_utils import argspec
from ansible_collections.cora.backup.plugins.module_utils.argspec_offsite import OFFSITE_SPEC, offsite_settings
from ansible_collections.cora.backup.plugins.module_utils.offsite_setup import SetupRequest, setup
from ansible_collections.cora.backup.plugins.module_utils.offsite_summary import setup_summary
from ansible_collections.cora.backup.plugins.module_utils.wiring import run


def main() -> None:
    """Entry point."""
    module = AnsibleModule(argument_spec={**OFFSITE_SPEC, **argspec.VAULT_SPEC}, supports_check_mode=True)
    run(module, lambda: setup(_request(module)), setup_summary, needs="boto3")


def _request(module: AnsibleModule) -> SetupRequest:
    return SetupRequest(
        vault=argspec.vault_of(module.params),
        settings=offsite_settings(module.params),
        check=module.check_mode,
    )


if __name__ == "__main__":
    main()
