#!/bin/sh
# Runs the Molecule scenarios, all or the ones named, on containers with a real systemd:
#
#   molecule/run.sh [--keep] [SCENARIO...]
#   molecule/run.sh --destroy
#
# Prints one line a scenario and ends with "N passed, N failed"; what a scenario printed is in molecule/logs/. --keep leaves
# the nodes running, for looking around and for faster next runs, until --destroy.
# A bare Debian machine is enough, as root: missing programs come from apt, Python packages go to .venv-molecule.
#
# CORA_TEST_ENGINE  podman (default) or docker; image/build.sh says how to start from an image that was pulled
# CORA_TEST_PYTHON  the Python for Molecule, 3.11 or newer (default python3)
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(dirname "$here")
venv=$root/.venv-molecule
logs=$here/logs
export CORA_TEST_ENGINE="${CORA_TEST_ENGINE:-podman}"
export MOLECULE_PROJECT_DIRECTORY="$root"
export PATH="$venv/bin:$PATH"
# Ansible starts some hundred times, and compiling it takes longer than what it does. The compiled files stay out of the
# checkout, so whoever wants it clean gets that.
unset PYTHONDONTWRITEBYTECODE
export PYTHONPYCACHEPREFIX="$venv/pycache"
# The output goes to files.
export NO_COLOR=1 ANSIBLE_FORCE_COLOR=0 ANSIBLE_NOCOLOR=1

usage() { sed -n '2,12s/^# \{0,1\}//p' "$0"; }

# shellcheck disable=SC2086 # $needed is a list of names
install_programs() {
    needed=""
    need() { command -v "$1" > /dev/null || needed="$needed $2"; }
    if [ "$CORA_TEST_ENGINE" = podman ]; then
        need podman podman
        need crun crun
        [ -x /usr/lib/podman/netavark ] || needed="$needed netavark"
    elif ! command -v "$CORA_TEST_ENGINE" > /dev/null; then
        echo "run.sh: there is no $CORA_TEST_ENGINE on this machine" >&2
        return 1
    fi
    need mmdebstrap "mmdebstrap debian-archive-keyring"
    # a real object store, for the nodes to reach on this host
    need ceph-mon ceph-mon
    need ceph-osd ceph-osd
    need ceph ceph-common
    need radosgw radosgw
    need openssl openssl
    "${CORA_TEST_PYTHON:-python3}" -c 'import ensurepip' 2> /dev/null || needed="$needed python3 python3-venv"
    [ -n "$needed" ] || return 0
    if [ "$(id -u)" != 0 ]; then
        echo "run.sh: not root, so please install:$needed" >&2
        return 1
    fi
    echo "installing:$needed"
    { apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends $needed; } \
        > "$logs/apt.log" 2>&1 || { cat "$logs/apt.log" >&2; return 1; }
}

install_molecule() {
    if cmp -s "$here/requirements.txt" "$venv/installed.txt"; then return 0; fi
    echo "installing Molecule in .venv-molecule"
    rm -rf "$venv"
    "${CORA_TEST_PYTHON:-python3}" -m venv "$venv"
    echo '*' > "$venv/.gitignore"
    "$venv/bin/pip" --disable-pip-version-check install -q --no-compile -r "$here/requirements.txt"
    cp "$here/requirements.txt" "$venv/installed.txt"
}

all_scenarios() {
    for file in "$here"/*/molecule.yml; do
        name=$(basename "$(dirname "$file")")
        [ "$name" = default ] || echo "$name"
    done
}

nodes_are_up() {
    for node in bookworm trixie; do
        state=$("$CORA_TEST_ENGINE" container inspect --format '{{ .State.Running }}' "cora-molecule-$node" 2> /dev/null || :)
        [ "$state" = true ] || return 1
    done
}

# Molecule looks for the common configuration beside a .git, which a copy of this project may not have.
ours() { molecule --base-config "$root/.config/molecule/config.yml" "$@"; }

create_nodes() {
    began=$(date +%s)
    # Molecule believes its own notes: after lost containers it would take them for running.
    { ours reset --scenario-name default && ours create --no-command-borders; } > "$logs/create.log" 2>&1 || { cat "$logs/create.log" >&2; return 1; }
    echo "nodes: up ($(($(date +%s) - began)) s)"
}

destroy_nodes() { ours destroy --no-command-borders > "$logs/destroy.log" 2>&1 || { cat "$logs/destroy.log" >&2; return 1; }; }

run_scenario() { # NAME
    began=$(date +%s)
    verdict=passed
    # The nodes go at the end of the run, not of each scenario.
    ours test --scenario-name "$1" --destroy never --no-command-borders > "$logs/$1.log" 2>&1 || verdict=failed
    # To Molecule a playbook that is not there is no failure, nor is one that ran nowhere.
    if grep -q -e 'Missing playbook' -e 'no hosts matched' "$logs/$1.log"; then verdict=failed; fi
    [ "$verdict" = passed ] || tail -n 60 "$logs/$1.log" >&2
    echo "scenario $1: $verdict ($(($(date +%s) - began)) s)"
    [ "$verdict" = passed ]
}

# What happens in the one mount namespace of a run.
run_inside() { # keep|drop SCENARIO...
    keep=$1
    shift
    "$here/image/build.sh"
    if nodes_are_up; then
        keep=keep
    else
        create_nodes || { destroy_nodes || :; echo "0 passed, $# failed"; return 1; }
    fi
    failed=0
    for name in "$@"; do
        run_scenario "$name" || failed=$((failed + 1))
    done
    [ "$keep" = keep ] || destroy_nodes || failed=$((failed + 1))
    echo "$(($# - failed)) passed, $failed failed"
    [ "$failed" = 0 ]
}

mkdir -p "$logs"
cd "$root"
case ${1:-} in
    --inside) shift; run_inside "$@"; exit ;;
    --destroy-inside) destroy_nodes; exit ;;
esac

# One run at a time on a machine, from whatever checkout: the nodes have fixed names.
exec 9> "${XDG_RUNTIME_DIR:-/run/lock}/cora-molecule.lock"
flock --nonblock 9 || { echo "run.sh: another run is going on" >&2; exit 1; }
keep=drop
case ${1:-} in
    -h | --help) usage; exit 0 ;;
    --destroy) "$here/enter.sh" "$here/run.sh" --destroy-inside 9>&-; exec "$here/enter.sh" --unpin ;;
    --keep) keep=keep; shift ;;
    -*) usage >&2; exit 2 ;;
esac
install_programs
install_molecule
# shellcheck disable=SC2046 # names without blanks
[ $# -gt 0 ] || set -- $(all_scenarios)
[ "$keep" = drop ] || "$here/enter.sh" --pin
# The lock must not live on in the containers that the run starts.
"$here/enter.sh" "$here/run.sh" --inside "$keep" "$@" 9>&-
