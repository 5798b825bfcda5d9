#!/usr/bin/env bash
# Build a target of the Dockerfile with buildah, on the base of make-base.sh in place of one from a registry, and
# lay the result open: FOLDER/TARGET is its root file system, FOLDER/TARGET.json its configuration.
# usage: build-image.sh cpu|gpu FOLDER BASE; as root, without daemon and without containers of its own (chroot isolation).
# Layers are kept in FOLDER/storage, so that the next build repeats only what has changed; delete it for one from nothing.
set -euo pipefail
cd "$(dirname "$0")/../.."

target=$1
folder=$(mkdir -p "$2" && cd "$2" && pwd)
base=$(cd "$3" && pwd)
image=localhost/seacanary-test:$target

store() {
  buildah --storage-driver "$driver" --root "$folder/storage" --runroot "$folder/run" "$@"
}

# Where the kernel and the folder's file system allow it, layers are laid over each other, in place of copied.
choose_driver() {
  local trial
  trial=$(mktemp -d "$folder/trial.XXXXXX")
  mkdir "$trial"/{lower,upper,work,merged}
  driver=vfs
  if unshare --mount mount -t overlay overlay "$trial/merged" \
    -o "lowerdir=$trial/lower,upperdir=$trial/upper,workdir=$trial/work" 2>/dev/null; then driver=overlay; fi
  rm -rf "$trial"
}

import_base() {
  local container
  ! store inspect --type image localhost/debian-base >/dev/null 2>&1 || return 0
  container=$(store from scratch)
  store add --quiet "$container" "$base" / >/dev/null
  store commit --quiet --rm "$container" localhost/debian-base >/dev/null
}

# What this machine's pip is told, from wherever it is told so, and the certificates it trusts, are the build's secrets.
write_secrets() {
  "${PYTHON:-python3}" tests/image/pip_secrets.py "$folder"
  secrets=(--secret "id=pip.conf,src=$folder/pip.conf")
  [ ! -e "$folder/ca.crt" ] || secrets+=(--secret "id=ca.crt,src=$folder/ca.crt")
}

lay_open() {
  local container
  container=$(store from --pull-never "$image")
  rm -rf --one-file-system "${folder:?}/$target"
  cp -a "$(store mount "$container")" "$folder/$target"
  store rm "$container" >/dev/null
  store inspect --type image "$image" > "$folder/$target.json"
}

clean() {
  rm -f "$folder/pip.conf" "$folder/ca.crt"
}
trap clean EXIT
choose_driver
import_base
write_secrets
bases=(--build-arg CPU_BASE=localhost/debian-base --build-arg GPU_BASE=localhost/debian-base)
store build --quiet --layers --pull-never --isolation chroot --format docker --target "$target" --tag "$image" "${bases[@]}" \
  "${secrets[@]}" . > "$folder/$target.log" 2>&1 || { tail -n 40 "$folder/$target.log" >&2; exit 1; }
lay_open
