# shellcheck shell=bash
# The Python environment of a checkout: made on first use, made anew when its requirements change. Sourced, not run.
#
# ENV (say .venv) is a link to ENV.d/<time>-<pid>, which is switched when the new one is complete: a run that is
# killed, or that has no network, leaves the environment of yesterday in place, and the next run starts over.

say() {
  printf 'cora: %s\n' "$*" >&2
}

# What an environment must have been made from to be used: the place, the interpreter, the requirements.
# environment_stamp ENV REQUIREMENTS...
environment_stamp() {
  local file
  readlink -f -- "$1" "$1/bin/python" || true
  for file in "${@:2}"; do
    printf '%s\n' "$(<"$file")"
  done
}

# environment_is_current ENV REQUIREMENTS...
environment_is_current() {
  [[ -x $1/bin/python && -r $1/cora-stamp && $(<"$1/cora-stamp") == "$(environment_stamp "$@")" ]]
}

# Prints the Python to build with: $CORA_PYTHON, else the first of the usual names that is new enough.
find_python() {
  local candidate
  local -a candidates=(python3 python3.14 python3.13 python3.12 python3.11 python3.10)
  if [[ -n ${CORA_PYTHON:-} ]]; then
    candidates=("$CORA_PYTHON")
  fi
  for candidate in "${candidates[@]}"; do
    if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null; then
      printf '%s\n' "$candidate"
      return
    fi
  done
  say "needs Python 3.10 or newer, and ${candidates[0]} is $("${candidates[0]}" -V 2>&1 | tail -n 1)." \
    "Install one (Debian, Ubuntu: apt-get install python3 python3-venv), or name one with CORA_PYTHON=/path/to/python3."
  return 1
}

# Debian keeps the module that puts pip into a new environment in a package of its own.
# ensure_pip PYTHON LOG
ensure_pip() {
  local python=$1 log=$2 package
  if "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    return
  fi
  package=$("$python" -c 'import sys; print("python{}.{}-venv".format(*sys.version_info))')
  if ((EUID == 0)) && command -v apt-get >/dev/null; then
    {
      DEBIAN_FRONTEND=noninteractive apt-get install -qy "$package" ||
        { apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -qy "$package"; }
    } >>"$log" 2>&1 </dev/null || true
  fi
  if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    say "$python cannot make virtual environments. Install its venv module first" \
      "(Debian, Ubuntu: sudo apt-get install $package), then run this again."
    return 1
  fi
}

# fill_environment DIRECTORY LOG REQUIREMENTS...
fill_environment() {
  local directory=$1 log=$2 python file
  local -a arguments=()
  for file in "${@:3}"; do
    arguments+=(-r "$file")
  done
  python=$(find_python) && ensure_pip "$python" "$log" || return
  if ! "$python" -m venv "$directory" >>"$log" 2>&1 ||
    ! "$directory/bin/python" -m pip install --quiet --no-input --disable-pip-version-check "${arguments[@]}" \
      >>"$log" 2>&1 </dev/null; then
    say "could not install its Python packages. The end of $log:"
    grep -v '^WARNING: Location' -- "$log" | tail -n 12 | sed 's/^/    /' >&2
    say "Check that this machine reaches PyPI (or set PIP_INDEX_URL, PIP_PROXY, PIP_CERT), and run this again."
    return 1
  fi
  environment_stamp "$directory" "${@:3}" >"$directory/cora-stamp"
}

# Called with the lock held. make_environment ENV REQUIREMENTS...
make_environment() {
  local environment=$1 previous fresh leftover log
  if environment_is_current "$@"; then
    return # another run made it while this one waited
  fi
  if [[ -e $environment && ! -L $environment ]]; then
    say "$environment was not made by cora, so it is left alone. Remove it, or set CORA_VENV to another path."
    return 1
  fi
  previous=$(readlink -f -- "$environment" || true)
  for leftover in "$environment.d"/*; do
    # The previous one stays until the next change: a long run may still be using it.
    [[ $leftover -ef $previous ]] || rm -rf -- "$leftover"
  done

  fresh=$environment.d/$(date +%s)-$$ log=$environment.d/install.log
  mkdir -p -- "$environment.d"
  # https://bford.info/cachedir/: what can be made again belongs in no backup, ours or another program's.
  printf 'Signature: 8a477f597d28d172789f06886806bc55\n' >"$environment.d/CACHEDIR.TAG"
  say "installing Python packages into $environment (once, about half a minute)"
  if fill_environment "$fresh" "$log" "${@:2}"; then
    ln -sfn -- "${environment##*/}.d/${fresh##*/}" "$environment.d/link"
    mv -T -- "$environment.d/link" "$environment"
    return
  fi
  rm -rf -- "$fresh"
  if "$environment/bin/python" -c 'import ansible, ansible_runner' 2>/dev/null; then
    say "going on with the packages of the last successful installation."
    return
  fi
  return 1
}

# ensure_environment ENV REQUIREMENTS...
ensure_environment() {
  if environment_is_current "$@"; then
    return
  fi
  if ! { : >>"$1.lock"; } 2>/dev/null; then
    say "cannot write $1. Run cora once as the owner of ${1%/*}, or set CORA_VENV to a path you can write."
    return 1
  fi
  # In a subshell, so that the lock ends with the installation and not with the command that follows.
  (
    if command -v flock >/dev/null && ! flock -n 9; then
      say "waiting for another run that is installing into $1"
      flock 9
    fi
    make_environment "$@"
  ) 9>>"$1.lock"
}
