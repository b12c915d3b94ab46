#!/usr/bin/python
# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: spaces_prune
short_description: Remove the backups in an S3 service that a policy no longer keeps
version_added: 1.0.0
description:
  - Decides about each complete backup in DigitalOcean Spaces, or another S3 service, each project on its own, and
    removes what no rule keeps. Gives the reason for each id.
  - Never removes the newest complete backup of a project, or what is pinned in the vault. Looks first whether all of a
    backup is there that takes the place of one that goes.
  - Needs a key of its own, C(SPACES_DELETE_ACCESS_KEY) and C(SPACES_DELETE_SECRET_KEY) in the environment file. It need
    not be on the server that makes the backups.
  - What was removed is not sent again by M(cora.backup.spaces_upload).
  - In a bucket with versioning the old versions stay, until a lifecycle rule of the bucket removes them.
author:
  - cora.backup contributors (!UNKNOWN)
extends_documentation_fragment:
  - cora.backup.attributes
  - cora.backup.offsite
  - cora.backup.vault
attributes:
  check_mode:
    support: full
    details:
      - Says what would be removed and why. Needs no key that may delete.
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  project:
    description: Only what is of this project. Left out, each project there.
    type: path
  keep_last:
    description: Keep this many of the newest backups. Left out, 3; at least 1.
    type: int
  keep_hourly:
    description: Keep the newest backup of each of this many hours (UTC) in which there are any. Left out, 0.
    type: int
  keep_daily:
    description: The same for days. Left out, 14.
    type: int
  keep_weekly:
    description: The same for weeks, which begin on Monday. Left out, 8.
    type: int
  keep_monthly:
    description: The same for months. Left out, 12.
    type: int
  keep_yearly:
    description: The same for years. Left out, 3.
    type: int
  keep_within_days:
    description: Keep all backups that are at most so much older than the newest of their project. Left out, 3.
    type: float
  keep_tags:
    description: Keep all backups that have one of these tags in the vault. Left out, none.
    type: list
    elements: str
  progress_file:
    description: Progress is appended to this file, one JSON object a line, for a program that shows it.
    type: path
seealso:
  - module: cora.backup.prune
  - module: cora.backup.spaces_verify
"""

EXAMPLES = r"""
- name: Say what would be removed, and why
  cora.backup.spaces_prune:
  check_mode: true

- name: Keep two weeks of days and two years of months
  cora.backup.spaces_prune:
    keep_daily: 14
    keep_monthly: 24
    env_file: /root/cora-delete.env
"""

RETURN = r"""
place:
  description: Bucket, prefix and service.
  returned: success
  type: str
removed:
  description: What was removed, or in check mode would be.
  returned: success
  type: list
  elements: str
finished:
  description: Backups of which an earlier, interrupted run had left something, which is gone now.
  returned: success
  type: list
  elements: str
kept:
  description: How many ids are kept.
  returned: success
  type: int
freed_bytes:
  description: What the removed ones measured.
  returned: success
  type: int
verified:
  description: Backups that were looked at because they take the place of others.
  returned: success
  type: list
  elements: str
versions_stay:
  description: Whether the bucket keeps what was removed as old versions; null where that is not known.
  returned: success
  type: bool
decisions:
  description: A decision for each backup.
  returned: success
  type: list
  elements: dict
  contains:
    id:
      description: Which one.
      type: str
    kind:
      description: V(backup).
      type: str
    project:
      description: Whose it is; null where that is not known.
      type: str
    keep:
      description: Whether it is kept.
      type: bool
    reasons:
      description: Why.
      type: list
      elements: str
    waits_for:
      description: A backup that has to be whole before this one may go.
      type: str
    size_bytes:
      description: What it measures.
      type: int
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
from ansible_collections.cora.backup.plugins.module_utils.argspec_prune import (
    offsite_prune_request,
    offsite_prune_spec,
)
from ansible_collections.cora.backup.plugins.module_utils.offsite_fetch_summary import prune_away_summary
from ansible_collections.cora.backup.plugins.module_utils.offsite_prune import prune_offsite
from ansible_collections.cora.backup.plugins.module_utils.prune_summary import prune_diff
from ansible_collections.cora.backup.plugins.module_utils.wiring import run


def main() -> None:
    """Entry point."""
    module = AnsibleModule(argument_spec=offsite_prune_spec(), supports_check_mode=True)
    run(module, lambda: _prune(module), partial(prune_away_summary, check=module.check_mode), needs="boto3")


def _prune(module: AnsibleModule) -> dict[str, Any]:
    request = offsite_prune_request(module.params, vault=argspec.vault_of(module.params))
    result = prune_offsite(request, check=module.check_mode)
    return {**result, "diff": prune_diff(result)} if module._diff else result


if __name__ == "__main__":
    main()
