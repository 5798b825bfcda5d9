#!/usr/bin/env bash
# Make a root file system of Debian 12 with debootstrap, once, into a folder that Git ignores: these tests have no image
# registry. It stands for python:3.11-slim-bookworm: the same distribution, with Debian's Python in place of a compiled one.
# usage: make-base.sh FOLDER; as root.
set -euo pipefail

folder=$1
[ -d "$folder" ] && exit 0

# The first archive that this machine's apt uses for packages of Debian itself.
mirror() {
  cat /etc/apt/sources.list /etc/apt/sources.list.d/*.sources 2>/dev/null |
    sed -nE 's#^(URIs: *|deb +(\[[^]]*\] +)?)(https?://[^ ]+).*#\3#p' | grep -m1 'debian'
}

echo "make-base: debootstrap (half a minute, and minutes on a busy disk)" >&2
partial=$folder.partial
rm -rf --one-file-system "$partial"
mkdir -p "$partial"
debootstrap --variant=minbase --include=ca-certificates,python3,python3-venv bookworm "$partial" "$(mirror)" \
  > "$folder.log" 2>&1 || { tail -n 20 "$folder.log" >&2; exit 1; }
# Proxies and the like, as this machine's apt knows them: they stay in this base.
apt-config dump Acquire > "$partial/etc/apt/apt.conf.d/90machine"
# Pages of manuals and translations are left out, as Debian's slim images leave them out.
unread=(/usr/share/{doc,info,linda,lintian,locale,man})
printf 'path-exclude %s/*\n' "${unread[@]}" > "$partial/etc/dpkg/dpkg.cfg.d/docker"
for pages in "${unread[@]}"; do rm -rf "${partial:?}$pages"/*; done
rm -rf "$partial"/var/cache/apt/* "$partial"/var/lib/apt/lists/*
mv "$partial" "$folder"
