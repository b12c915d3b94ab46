# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A run as bars, in SVG: a group a kind of work, the longest bar of each as wide as the picture."""

from __future__ import annotations

from html import escape

from .results import Run, wall

_LABELS, _BARS, _NUMBERS = 150, 480, 80
_LINE = 18
_OURS, _ENGINE, _PEER = "#2f6f4f", "#8fbfa5", "#b8bcc2"


def svg(run: Run) -> str:
    """The picture."""
    body: list[str] = []
    y = 30
    for key, title in run.works.items():
        middles = {name: run.median(key, name, wall) for name in run.results.get(key, {})}
        known = {name: seconds for name, seconds in middles.items() if seconds}
        if not known:
            continue
        body.append(f'<text x="8" y="{y}" font-weight="bold">{escape(title)}</text>')
        for name, seconds in sorted(known.items(), key=lambda pair: pair[1]):
            y += _LINE
            body.append(_bar(name, seconds, max(known.values()), y))
        y += 2 * _LINE
    width = _LABELS + _BARS + _NUMBERS
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{y}" font-family="sans-serif"'
    background = f'<rect width="{width}" height="{y}" fill="white"/>'
    return "\n".join([f'{head} font-size="12">', background, *body, "</svg>"]) + "\n"


def _bar(name: str, seconds: float, longest: float, y: int) -> str:
    length = max(_BARS * seconds / longest, 1)
    colour = _OURS if name == "cora" else _ENGINE if name.startswith("cora") else _PEER
    return (
        f'<text x="{_LABELS - 6}" y="{y}" text-anchor="end">{escape(name)}</text>'
        f'<rect x="{_LABELS}" y="{y - 11}" width="{length:.0f}" height="13" fill="{colour}"/>'
        f'<text x="{_LABELS + length + 5:.0f}" y="{y}">{seconds:.2f} s</text>'
    )
