# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """Options of modules that save a project: which one, and what of it."""

    DOCUMENTATION = r"""
options:
  project:
    description: Absolute path of the directory to save. Either this or O(search_from) is needed.
    type: path
  search_from:
    description:
      - Save the top of the Git work tree around this directory.
      - Where there is none, the project around it of which the vault has a backup.
    type: path
  exclude:
    description:
      - Patterns (C(gitignore) syntax, relative to the project) of what is left out and only counted.
      - Left out, C(node_modules/), C(venv/), C(.venv/), C(__pycache__/) and C(.git/).
    type: list
    elements: str
  critical:
    description:
      - Patterns of files that are also kept uncompressed.
      - Left out, Markdown files at the top, work logs, C(.env) files, and pm2 and compose files at the top.
    type: list
    elements: str
  logs:
    description:
      - Patterns of logs, kept by their newest O(log_cap_bytes).
      - Left out, C(*.log) and what C(logrotate) makes of it uncompressed.
    type: list
    elements: str
  log_cap_bytes:
    description: How much of a log is kept. Left out, 50 MiB.
    type: int
  large_file_bytes:
    description: Files over this size are listed in C(LARGE_FILES.txt). Left out, 50 MiB.
    type: int
  paranoid:
    description:
      - Read every file for a full backup, and take nothing over from an earlier one.
      - Otherwise files whose size, times and inode did not change are taken over from the newest backup, compressed as
        they are, after their SHA-256 was compared.
      - Left out, V(false).
    type: bool
  seal:
    description:
      - V(required) fails where the backup cannot be made immutable.
      - V(best_effort) keeps it and says so.
      - Left out, V(required) for root and V(best_effort) for other users, who cannot set the flag.
    type: str
    choices:
      - required
      - best_effort
requirements:
  - pathspec (Python package)
"""
