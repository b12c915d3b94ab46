#!/bin/sh
# Save what changed, as `cora save` does. Where cora cannot run (no Python, no network for its packages, no bash), write
# one plain archive of the whole project with nothing but a shell and tar: better that than nothing.
#
#   sh tools/save.sh [--project DIR] [--vault DIR] [options of cora save]
#   sh tools/save.sh --oneshot [...]     # the plain archive in any case
#
# The archive: VAULT/progress/YYYY/MM/DD/HHMMSS-COMMIT-oneshot.tar.gz (UTC), with its digest beside it (.sha256).
# It is no checkpoint: cora list, restore and prune pass it over. Restore it with tar -xzf, remove it by hand.
# SQLite databases (*.db, *.sqlite, *.sqlite3) are copied with the program sqlite3 where there is one.
# Exit codes: 0 done, 1 failed, 2 wrong usage, 3 done, but some files could not be read.
set -u
umask 077

say() { printf 'save.sh: %s\n' "$*" >&2; }
fail() {
  say "$@"
  exit 1
}

here=$(cd -- "$(dirname -- "$0")" && pwd -P) || exit 1
settings=$here/../inventory/group_vars/all.yml

# A setting that is plain text; anything else only Ansible could work out.
setting() {
  [ ! -r "$settings" ] || sed -n "s/^$1: *[\"']\{0,1\}\(\/[^\"'{#]*[^\"'{# ]\)[\"']\{0,1\} *\(#.*\)\{0,1\}$/\1/p" "$settings"
}

project='' vault='' oneshot=''
take_options() {
  while [ $# -gt 0 ]; do
    case $1 in
    --project) project=${2-} && shift ;;
    --project=*) project=${1#*=} ;;
    --vault) vault=${2-} && shift ;;
    --vault=*) vault=${1#*=} ;;
    --oneshot) oneshot=yes ;;
    esac
    [ $# -eq 0 ] || shift
  done
}
take_options "$@"

if [ -z "$oneshot" ]; then
  # Asking for the version builds the Python environment where there is none yet: what fails here is that, not the save.
  if command -v bash >/dev/null 2>&1 && "$here/cora.sh" version >/dev/null; then
    exec "$here/cora.sh" save "$@"
  fi
  say "cora cannot run here, so a plain archive of everything is made."
fi

# --- the plain archive ---

[ -n "$project" ] || project=$(setting cora_project)
if [ -z "$project" ]; then
  project=$(pwd -P)
  while [ "$project" != / ] && ! [ -e "$project/.git" ]; do
    project=$(dirname -- "$project")
  done
  if [ "$project" = / ]; then
    say "there is no Git work tree around $(pwd): name the project with --project DIR."
    exit 2
  fi
fi
project=$(cd -- "$project" 2>/dev/null && pwd -P) || fail "the project is not a directory that can be entered."
[ "$project" != / ] || fail "the project cannot be the whole system."

[ -n "$vault" ] || vault=$(setting cora_vault)
if [ -z "$vault" ]; then
  vault=/var/backups/cora
  [ "$(id -u)" -eq 0 ] || vault=${XDG_STATE_HOME:-$HOME/.local/state}/cora/vault
fi
case $vault in
/*) ;;
*) vault=$(pwd -P)/$vault ;;
esac
case $vault/ in
"$project"/*) fail "the vault lies inside the project: what removes the project would remove the archive too." ;;
esac

commit() {
  if command -v git >/dev/null 2>&1 && git -C "$project" rev-parse --short HEAD 2>/dev/null; then
    return
  fi
  head=$(cat -- "$project/.git/HEAD" 2>/dev/null) || head=
  case $head in
  'ref: '*)
    ref=${head#ref: }
    found=$(cat -- "$project/.git/$ref" 2>/dev/null) ||
      found=$(sed -n "s|^\([0-9a-f]*\) $ref\$|\1|p" "$project/.git/packed-refs" 2>/dev/null)
    ;;
  *) found=$head ;;
  esac
  case $found in
  '' | *[!0-9a-f]*) echo nogit ;;
  *) printf '%.7s\n' "$found" ;;
  esac
}

is_sqlite() {
  [ "$(dd if="$1" bs=15 count=1 2>/dev/null)" = "SQLite format 3" ]
}

now=$(date -u '+%Y/%m/%d/%H%M%S')
name=${now##*/}-$(commit)-oneshot
directory=$vault/progress/${now%/*}
mkdir -p -- "$directory" || fail "cannot make $directory."
work=$vault/.cora/oneshot-$$
mkdir -p -- "$work/databases" || fail "cannot write to $vault."
trap 'rm -rf -- "$work"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# What backups leave out too: directories of these names. A file of such a name (.git of a submodule) is kept. A path with
# a line break cannot be listed here: better it is in the archive than that half of its name leaves out something else.
line_break='
'
(cd -- "$project" && find . -type d \( -name node_modules -o -name venv -o -name .venv -o -name __pycache__ -o -name .git \) \
  -prune ! -path "*$line_break*" -print) 2>/dev/null | sed 's/[][\\*?]/\\&/g' >"$work/exclude"
incomplete=''

# Consistent copies go into the archive last: unpacking, they take the place of what was read while programs wrote.
if command -v sqlite3 >/dev/null 2>&1; then
  find "$project" \( -name node_modules -o -name venv -o -name .venv -o -name __pycache__ -o -name .git \) -prune -o \
    -type f \( -name '*.db' -o -name '*.sqlite' -o -name '*.sqlite3' \) -print >"$work/found"
  while IFS= read -r file; do
    is_sqlite "$file" || continue
    path=${file#"$project"/}
    copy=$work/databases/$path
    mkdir -p -- "$(dirname -- "$copy")"
    # in the dot command a quotation mark is doubled
    if printf '.timeout 10000\n.backup "%s"\n' "$(printf '%s' "$copy" | sed 's/"/""/g')" |
      sqlite3 -batch -bail "$file" 2>"$work/said" && [ -s "$copy" ]; then
      touch -r "$file" -- "$copy"
      chown --reference="$file" -- "$copy" 2>/dev/null
      chmod --reference="$file" -- "$copy" 2>/dev/null
      printf './%s\n' "$path" >>"$work/copied"
      printf '%s\n' "$path" | sed 's/[][\\*?]/\\&/g; s|^|./|; s|$|-wal|p; s|-wal$|-shm|p; s|-shm$|-journal|' >>"$work/exclude"
    else
      say "$path: no consistent copy ($(cat "$work/said")); its files are kept as they are."
    fi
  done <"$work/found"
fi

tar -cf "$work/archive.tar" -X "$work/exclude" -C "$project" . 2>"$work/said"
code=$?
if [ $code -eq 0 ] && [ -s "$work/copied" ]; then
  tar -rf "$work/archive.tar" -C "$work/databases" -T "$work/copied" 2>>"$work/said"
  code=$?
fi
if [ $code -ne 0 ]; then
  sed 's/^/save.sh: /' "$work/said" >&2
  incomplete=yes
fi
tar -tf "$work/archive.tar" >/dev/null 2>&1 || fail "the archive could not be written whole. Is the disk full?"

ending=.tar
if command -v gzip >/dev/null 2>&1; then
  gzip -c "$work/archive.tar" >"$work/archive.tar.gz" || fail "the archive could not be compressed. Is the disk full?"
  gzip -t "$work/archive.tar.gz" || fail "the compressed archive is damaged."
  ending=.tar.gz
fi
target=$directory/$name$ending
[ ! -e "$target" ] || fail "$target is there already: try again."
sync
mv -- "$work/archive$ending" "$target" || fail "cannot move the archive to $target."
if command -v sha256sum >/dev/null 2>&1; then
  (cd -- "$directory" && sha256sum -- "$name$ending" >"$name$ending.sha256")
fi
sync

sealed='NOT sealed: it can be removed'
if command -v chattr >/dev/null 2>&1; then
  for file in "$target" "$target.sha256"; do
    [ ! -e "$file" ] || chattr +i "$file" 2>/dev/null || continue
    case $(lsattr -d "$target" 2>/dev/null) in ????i*) sealed='sealed (chattr +i)' ;; esac
  done
fi
printf '%s\n' "$target"
say "saved all of $project, $sealed. Restore: mkdir NEW && tar -xpf '$target' -C NEW"
[ -z "$incomplete" ] || exit 3
