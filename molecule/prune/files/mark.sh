#!/bin/bash
# mark.sh VAULT PINNED TAGGED: what `cora pin` and `cora tag ID release` leave in a vault.
set -eu
cd "$1/.cora"
mkdir -p pins tags
echo '{}' > "pins/$2.json"
echo '{"tags": ["release"]}' > "tags/$3.json"
