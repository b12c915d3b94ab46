#!/bin/sh
# stop_bare.sh ENGINE: the third machine goes.
set -eu
"$1" rm --force --volumes cora-molecule-bare > /dev/null 2>&1 || :
