#!/usr/bin/python
# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: prune
short_description: Remove the backups that a policy no longer keeps
version_added: 1.0.0
description:
  - Decides about each backup and checkpoint of a vault, each project on its own, and about what restores replaced.
    Removes what no rule keeps, and gives the reason for each id.
  - Never removes the newest verified backup of a project, a backup that a kept checkpoint needs, or anything pinned.
    Removes a backup only where the newest backup of its project, and the one that takes its place, were verified.
  - Nothing else takes the seal off a backup. Every removal is written to C(.cora/prune.log) in the vault.
author:
  - cora.backup contributors (!UNKNOWN)
extends_documentation_fragment:
  - cora.backup.attributes
  - cora.backup.vault
  - cora.backup.vault.run
attributes:
  check_mode:
    support: full
    details:
      - Says what would be removed and why, and verifies nothing.
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  project:
    description: Only what is of this project. Left out, each project of the vault.
    type: path
  verify:
    description:
      - Where something would be removed but for a backup that nobody has verified yet, verify that backup first.
      - Reads each backup that is kept once, some time before it takes the place of another.
    type: bool
    default: false
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
    description:
      - Keep all backups that are at most so much older than the newest backup or checkpoint of their project.
      - Left out, 3.
    type: float
  keep_tags:
    description: Keep all backups and checkpoints that have one of these tags. Left out, none.
    type: list
    elements: str
  keep_checkpoints_hours:
    description: Keep all checkpoints that are so old at most. Left out, 24.
    type: float
  keep_checkpoints_hourly_days:
    description: Beyond that, keep one checkpoint an hour until they are so old. Left out, 7.
    type: float
  keep_checkpoints_daily_days:
    description: Beyond that, keep one checkpoint a day until they are so old. Left out, 30.
    type: float
  keep_checkpoints_bytes:
    description:
      - All checkpoints of the vault take so much at most; the oldest go first, the newest state of a project stays.
      - Left out, 20 GiB.
    type: int
  keep_checkpoints_percent:
    description: And at most this part of the file system of the vault; the smaller of both counts. Left out, 10.
    type: float
  keep_restores_days:
    description: Keep what restores replaced for so long; that of the newest restore of a project stays. Left out, 30.
    type: float
seealso:
  - module: cora.backup.checksum
  - module: cora.backup.backup_info
"""

EXAMPLES = r"""
- name: Say what would be removed, and why
  cora.backup.prune:
  check_mode: true

- name: Keep two weeks of days, half a year of weeks, and every release
  cora.backup.prune:
    keep_daily: 14
    keep_weekly: 26
    keep_tags:
      - release
    verify: true
"""

RETURN = r"""
vault:
  description: The vault that was pruned.
  returned: success
  type: str
removed:
  description: What was removed, or in check mode would be.
  returned: success
  type: list
  elements: str
kept:
  description: How many ids are kept.
  returned: success
  type: int
freed_bytes:
  description: What the removed ones took on disk.
  returned: success
  type: int
verified:
  description: Backups that were verified first, because O(verify) was set.
  returned: success
  type: list
  elements: str
decisions:
  description: A decision for each backup, checkpoint and restore.
  returned: success
  type: list
  elements: dict
  contains:
    id:
      description: Which one.
      type: str
    kind:
      description: V(backup), V(checkpoint), or V(restore) for what a restore replaced.
      type: str
    project:
      description: Whose it is; null where its report cannot be read.
      type: str
    keep:
      description: Whether it is kept.
      type: bool
    reasons:
      description: Why.
      type: list
      elements: str
    waits_for:
      description: A backup that has to be verified before this one may go.
      type: str
    size_bytes:
      description: What it takes on disk.
      type: int
recovered:
  description: What an earlier, interrupted run had left and this one put right.
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

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.cora.backup.plugins.module_utils import argspec, argspec_prune
from ansible_collections.cora.backup.plugins.module_utils.errors import CoraError
from ansible_collections.cora.backup.plugins.module_utils.prune import prune
from ansible_collections.cora.backup.plugins.module_utils.prune_summary import prune_diff, prune_summary


def main() -> None:
    """Entry point."""
    module = AnsibleModule(argument_spec=argspec_prune.prune_spec(), supports_check_mode=True)
    argspec.stop_on_signals()
    try:
        result = prune(argspec_prune.prune_request(module.params), check=module.check_mode)
    except CoraError as error:
        module.fail_json(**argspec.failure(error))
    summary = prune_summary(result, check=module.check_mode)
    if module._diff:
        result["diff"] = prune_diff(result)
    argspec.finish(module, result, summary)


if __name__ == "__main__":
    main()
