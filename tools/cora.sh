#!/usr/bin/env bash
# The cora command, from a plain checkout: needs python3, git and a shell, and installs the rest beside itself.
#
# CORA_VENV    where its Python environment lives (default: .venv in the checkout)
# CORA_PYTHON  the Python that environment is made with (default: python3, or the first newer one there is)
set -euo pipefail

root=$(readlink -f -- "${BASH_SOURCE[0]}")
root=${root%/tools/*}
environment=${CORA_VENV:-$root/.venv}
if [[ -z ${CORA_VENV:-} && $root =~ \.old-[0-9]{8}-[0-9]{6}(/|$) ]]; then
  # A tree that a restore kept: an undo exchanges it with the one in use, so nothing new goes in, least of all the
  # environment that the undo itself would run in.
  environment=${XDG_CACHE_HOME:-$HOME/.cache}/cora/venv
  mkdir -p -- "${environment%/*}"
fi

# shellcheck source=tools/lib/environment.sh
. "$root/tools/lib/environment.sh"
ensure_environment "$environment" "$root/requirements.txt"

# Neither `-m` nor PYTHONPATH: the first would import from the current directory, which is somebody's project with
# perhaps a json.py in it, and the second would be inherited by the services a restore starts.
launch='import sys; sys.path[0] = sys.argv.pop(1)
import runpy; runpy.run_module("cora_cli", run_name="__main__", alter_sys=True)'
exec "$environment/bin/python" -E -c "$launch" "$root/tools" "$@"
