#!/bin/bash
# check_saved.sh NUMBER: so many checkpoints are there; each is whole, sealed, and cannot be taken away.
set -eu -o pipefail
shopt -s nullglob
cd /srv/checkpoint_restore/vault
checkpoints=(progress/"$(date -u +%Y)"/??/??/??????-*)
[ "${#checkpoints[@]}" = "$1" ] || { echo "not $1 checkpoints: ${checkpoints[*]}"; exit 1; }
for path in "${checkpoints[@]}"; do
    (cd "$path" && sha256sum --check --quiet --strict SHA256SUMS.txt)
    unsealed=$(find "$path" -exec lsattr -d {} + | awk '$1 !~ /i/')
    [ -z "$unsealed" ] || { echo "not sealed: $unsealed"; exit 1; }
    for name in changes.tar.gz INDEX.jsonl.gz deleted.txt git.diff REPORT.json SHA256SUMS.txt; do
        if rm -f "$path/$name" 2> /dev/null; then echo "rm took $name"; exit 1; fi
        [ -e "$path/$name" ] || { echo "no $name"; exit 1; }
    done
    if rm -rf "$path" 2> /dev/null; then echo "rm took $path"; exit 1; fi
    if mv "$path" "${path%/*}/moved" 2> /dev/null; then echo "mv moved $path"; exit 1; fi
done
