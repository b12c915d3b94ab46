# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """Options of modules that work on a vault."""

    DOCUMENTATION = r"""
options:
  vault:
    description:
      - Absolute path of the vault, the directory that holds the backups.
      - Left out, it is C(/var/backups/cora) for root, and C($XDG_STATE_HOME/cora/vault)
        (C(~/.local/state/cora/vault)) for other users.
    type: path
"""

    PROJECT = r"""
options:
  project:
    description:
      - V(latest) means the newest backup of this project.
      - Needed where a vault holds backups of several and O(search_from) does not lead to one of them.
    type: path
  search_from:
    description:
      - A directory in the project, used where O(project) is left out.
      - The Git work tree around it is the project, also where there is no backup of it; where there is none, or this
        collection's own checkout, that of which there are backups, if it lies in it.
    type: path
"""

    RUN = r"""
options:
  lock_wait_seconds:
    description:
      - How long to wait when another run holds the vault.
      - V(0) fails at once and says who holds it.
    type: float
    default: 0
  progress_file:
    description:
      - Progress is appended to this file, one JSON object a line, for a program that shows it.
    type: path
"""
