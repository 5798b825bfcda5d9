#!/usr/bin/env bash
# Make a machine that boots, once, of the root file system of make-base.sh: with systemd, as Debian 12 has it.
# usage: make-bootable.sh BASE FOLDER; as root.
set -euo pipefail

base=$1 folder=$2
[ -d "$folder" ] && exit 0

echo "make-bootable: installing systemd" >&2
partial=$folder.partial
rm -rf --one-file-system "$partial"
cp -a "$base" "$partial"
cp -L /etc/resolv.conf "$partial/etc/resolv.conf"
# shellcheck disable=SC2016
systemd-nspawn --quiet --register=no --keep-unit --as-pid2 --resolv-conf=off -D "$partial" sh -ec '
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq
  apt-get install -y -qq --no-install-recommends dbus systemd systemd-sysv
  apt-get clean' > "$folder.log" 2>&1 || { tail -n 20 "$folder.log" >&2; exit 1; }
mv "$partial" "$folder"
