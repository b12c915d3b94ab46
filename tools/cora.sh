#!/usr/bin/env bash
# The cora command, from a plain checkout: needs python3, git and a shell, and installs the rest beside itself.
#
# CORA_VENV    where its Python environment lives (default: .venv in the checkout)
# CORA_PYTHON  the Python that environment is made with (default: python3, or the first newer one there is)
set -euo pipefail

root=$(readlink -f -- "${BASH_SOURCE[0]}")
root=${root%/tools/*}
environment=${CORA_VENV:-$root/.venv}
if [[ $root =~ \.old-[0-9]{8}-[0-9]{6}(/|$) ]]; then
  # A tree that a restore kept: an undo exchanges it with the one in use while it runs from it. So it runs from a copy, and
  # nothing new goes into the tree, least of all the environment.
  cache=${XDG_CACHE_HOME:-$HOME/.cache}/cora
  mkdir -p -- "$cache/kept"
  find "$cache/kept" -mindepth 1 -maxdepth 1 -mmin +1440 -exec rm -rf -- {} +
  copy=$(mktemp -d -- "$cache/kept/XXXXXXXX")
  for name in ansible.cfg galaxy.yml inventory meta playbooks plugins requirements.txt roles tools; do
    [[ ! -e $root/$name ]] || cp -dR --preserve=mode,timestamps -- "$root/$name" "$copy/"
  done
  root=$copy
  environment=${CORA_VENV:-$cache/venv}
fi

# shellcheck source=tools/lib/environment.sh
. "$root/tools/lib/environment.sh"
ensure_environment "$environment" "$root/requirements.txt"

# Neither `-m` nor PYTHONPATH: the first would import from the current directory, which is somebody's project with
# perhaps a json.py in it, and the second would be inherited by the services a restore starts.
launch='import sys; sys.path[0] = sys.argv.pop(1)
from cora_cli.main import main; sys.exit(main(sys.argv[1:]))'
exec "$environment/bin/python" -E -c "$launch" "$root/tools" "$@"
