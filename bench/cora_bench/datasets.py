# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Trees to back up: made once under the scratch directory, the same bytes from the same seed on the same machine.

Small files are cut out of real text of this machine (sources, documentation, translations), so that they compress as
sources do; no two are equal, so that nobody wins by finding copies that a real project would not have.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from json import dumps

MEGABYTE = 1_000_000
#: Raised when what is written changes, so that old data is made anew.
_VERSION = 1
_CORPUS_BYTES = 128 * MEGABYTE
_CORPUS_PLACES = ("/usr/share", "/usr/lib/python3", "/usr/lib/python3.11", "/usr/lib/python3.13", "/usr/include")
_CORPUS_ENDINGS = (".py", ".h", ".c", ".js", ".json", ".html", ".css", ".md", ".txt", ".xml", ".po", ".pm", ".sh")
_ENDINGS = ("py", "js", "ts", "html", "css", "json", "md", "txt", "c", "h", "go", "rs", "yml", "svg")
_WORDS = ("archive", "backup", "cache", "daemon", "engine", "frame", "header", "index", "journal", "kernel", "lease")
_FILES_A_DIRECTORY = 11
_SPRING_2024_NS = 1_711_000_000_000_000_000


@dataclass(frozen=True)
class Spec:
    """What a data set holds.

    :param files: how many small files
    :param small_bytes: what they measure together
    :param large_text_bytes: one large file that compresses well, such as an SQL dump
    :param large_binary_bytes: one large file that does not compress, such as a film
    :param pictures: files of 1 to 3 MB that do not compress
    """

    name: str
    files: int
    small_bytes: int
    large_text_bytes: int = 0
    large_binary_bytes: int = 0
    pictures: int = 0
    seed: int = 20260101


SPECS = {
    spec.name: spec
    for spec in (
        Spec("small", 2_000, 30 * MEGABYTE, 10 * MEGABYTE, 10 * MEGABYTE, 5),
        Spec("mixed", 70_000, 1_200 * MEGABYTE, 250 * MEGABYTE, 250 * MEGABYTE, 50),
        Spec("many", 1_000_000, 2_000 * MEGABYTE),
        Spec("hundred", 100_000, 200 * MEGABYTE),
        Spec("big", 500, 10 * MEGABYTE, 2_500 * MEGABYTE, 2_500 * MEGABYTE),
    )
}


@dataclass(frozen=True)
class Dataset:
    """A tree that stands on disk.

    :param files: regular files in it
    :param size_bytes: their content
    :param sample: path, relative, of one small file in the middle
    """

    spec: Spec
    path: str
    files: int
    size_bytes: int
    sample: str


def ensure(spec: Spec, scratch: str) -> Dataset:
    """Make the data set, unless it stands there already."""
    path = os.path.join(scratch, "data", spec.name)
    stamp_path = path + ".stamp"
    stamp = dumps({"version": _VERSION, **asdict(spec)}, sort_keys=True)
    if not os.path.exists(stamp_path) or _read(stamp_path) != stamp:
        shutil.rmtree(path, ignore_errors=True)
        # in a process of its own: the kernel counts the memory of whoever starts a program as the peak of that program
        maker = multiprocessing.get_context("fork").Process(target=_make, args=(spec, path))
        maker.start()
        maker.join()
        if maker.exitcode:
            raise SystemExit(f"{path} could not be made.")
        with open(stamp_path, "w", encoding="ascii") as stream:
            stream.write(stamp)
    return _measure(spec, path)


def change(dataset: Dataset, number: int) -> None:
    """Write one small file in a hundred anew, others each time; as many bytes as before."""
    chance = random.Random(number)
    for directory, names, entries in os.walk(dataset.path):
        names.sort()
        for name in sorted(entries):
            path = os.path.join(directory, name)
            size = 0 if os.path.islink(path) else os.path.getsize(path)
            if 0 < size < MEGABYTE and chance.random() < 0.01:
                with open(path, "r+b") as stream:
                    stream.write(chance.randbytes(min(size, 40)))


def _read(path: str) -> str:
    with open(path, encoding="ascii") as stream:
        return stream.read()


def _measure(spec: Spec, path: str) -> Dataset:
    files = size_bytes = 0
    sample = ""
    for directory, names, entries in os.walk(path):
        names.sort()
        for name in sorted(entries):
            full = os.path.join(directory, name)
            if os.path.islink(full):
                continue
            files += 1
            size_bytes += os.lstat(full).st_size
            if files == spec.files // 2:
                sample = os.path.relpath(full, path)
    return Dataset(spec, path, files, size_bytes, sample)


def _make(spec: Spec, path: str) -> None:
    chance = random.Random(spec.seed)
    corpus = _corpus()
    os.makedirs(path)
    directory = path
    for number, size in enumerate(_sizes(spec, chance)):
        if number % _FILES_A_DIRECTORY == 0:
            directory = os.path.join(path, *_directory_parts(number // _FILES_A_DIRECTORY, chance))
            os.makedirs(directory, exist_ok=True)
        name = f"{chance.choice(_WORDS)}_{number}.{chance.choice(_ENDINGS)}"
        at = chance.randrange(len(corpus) - size)
        _write(os.path.join(directory, name), [b"%d %d\n" % (spec.seed, number), corpus[at : at + size]], chance)
    if spec.large_text_bytes:
        _write(os.path.join(path, "dump.sql"), _text(corpus, spec.large_text_bytes, chance), chance)
    if spec.large_binary_bytes:
        _write(os.path.join(path, "film.mp4"), _noise(spec.large_binary_bytes, chance), chance)
    for number in range(spec.pictures):
        size = chance.randrange(MEGABYTE, 3 * MEGABYTE)
        _write(os.path.join(path, f"picture-{number}.jpg"), _noise(size, chance), chance)
    os.symlink("dump.sql", os.path.join(path, "latest"))


def _corpus() -> bytes:
    parts: list[bytes] = []
    total = 0
    for place in _CORPUS_PLACES:
        for directory, names, files in os.walk(place):
            names.sort()
            for name in sorted(files):
                full = os.path.join(directory, name)
                if name.endswith(_CORPUS_ENDINGS) and not os.path.islink(full):
                    with open(full, "rb") as stream:
                        parts.append(stream.read(4 * MEGABYTE))
                    total += len(parts[-1])
                if total >= _CORPUS_BYTES:
                    return b"".join(parts)
    return b"".join(parts)


def _sizes(spec: Spec, chance: random.Random) -> list[int]:
    """Sizes as in source trees: many files of a few kilobytes, few of a hundred."""
    raw = [min(chance.lognormvariate(0, 1.3), 60.0) for _ in range(spec.files)]
    scale = spec.small_bytes / sum(raw)
    return [int(size * scale) for size in raw]


def _directory_parts(number: int, chance: random.Random) -> list[str]:
    parts = [f"package{number // 400}", _WORDS[number // 20 % len(_WORDS)]]
    parts += [chance.choice(_WORDS) for _ in range(chance.randrange(3))]
    return [*parts, f"part{number}"]


def _text(corpus: bytes, size_bytes: int, chance: random.Random) -> Iterator[bytes]:
    while size_bytes > 0:
        step = min(size_bytes, 10_000)
        at = chance.randrange(len(corpus) - step)
        yield corpus[at : at + step]
        size_bytes -= step


def _noise(size_bytes: int, chance: random.Random) -> Iterator[bytes]:
    while size_bytes > 0:
        step = min(size_bytes, MEGABYTE)
        yield chance.randbytes(step)
        size_bytes -= step


def _write(path: str, parts: Iterator[bytes] | list[bytes], chance: random.Random) -> None:
    with open(path, "wb") as stream:
        stream.writelines(parts)
    moment = _SPRING_2024_NS + chance.randrange(10**16)
    os.utime(path, ns=(moment, moment))
