#!/usr/bin/env bash
# Checks everything there is to check:  tools/test.sh [--fast] [--only STAGE]... [--list]
#
#   --fast        without containers and slow tests, under three minutes
#   --only STAGE  this stage alone (may be repeated); --list names them
#
# PYTHON=python3.13 picks the Python to test with (default python3). Installs what is missing: Debian packages when
# run as root, Python packages into .venv-test-<version>. The last line is `N passed, N failed`.
set -euo pipefail

root=$(readlink -f -- "${BASH_SOURCE[0]}")
root=${root%/tools/*}
cd -- "$root"
# shellcheck source=tools/lib/environment.sh
. tools/lib/environment.sh

# Programs that the tests compare with, and the Debian packages that bring them.
declare -A packages=(
  [bsdtar]=libarchive-tools [chattr]=e2fsprogs [getfacl]=acl [getfattr]=attr [git]=git [mkfs.btrfs]=btrfs-progs
  [mkfs.ext4]=e2fsprogs [mkfs.xfs]=xfsprogs [rsync]=rsync [setcap]=libcap2-bin [sqlite3]=sqlite3
  [strace]=strace [unshare]=util-linux [visudo]=sudo
)
# A real S3 service and other people's programs to talk to it; the stages of --fast need none of it.
declare -A offsite_packages=(
  [age]=age [aws]=awscli [ceph-mon]=ceph-mon [ceph-osd]=ceph-osd [ceph]=ceph-common [curl]=curl [faketime]=faketime
  [openssl]=openssl [radosgw]=radosgw [rclone]=rclone
)
[[ " $* " == *" --fast "* ]] || for program in "${!offsite_packages[@]}"; do
  packages[$program]=${offsite_packages[$program]}
done

install_programs() {
  local program log
  local -a missing=()
  for program in "${!packages[@]}"; do
    command -v "$program" >/dev/null || missing+=("${packages[$program]}")
  done
  if ((${#missing[@]} == 0)); then
    return
  fi
  if ((EUID != 0)) || ! command -v apt-get >/dev/null; then
    say "tests that need them will fail until these are installed: ${missing[*]}"
    return
  fi
  say "installing ${missing[*]}"
  log=$(mktemp)
  if ! { apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends \
    "${missing[@]}"; } >"$log" 2>&1 </dev/null; then
    tail -n 20 -- "$log" >&2
    say "could not install them: tests that need them will fail."
  fi
  rm -f -- "$log"
}

export CORA_PYTHON=${PYTHON:-${CORA_PYTHON:-}}
python=$(find_python)
version=$("$python" -c 'import sys; print("{}.{}".format(*sys.version_info))')
environment=$root/.venv-test-$version

install_programs
ensure_environment "$environment" "$root/requirements-dev.txt" "$root/requirements.txt"
export PATH=$environment/bin:$PATH
exec "$environment/bin/python" -c 'import sys; sys.path[0] = "tests"
import runpy; runpy.run_module("suite", run_name="__main__", alter_sys=True)' "$@"
