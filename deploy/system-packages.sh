#!/usr/bin/env bash
# Install the Debian packages named, through apt where that is allowed; say what to do where it is not.
# usage: system-packages.sh REQUIRED|OPTIONAL PACKAGE...
set -u
need=$1
shift
missing=()
for package in "$@"; do
  dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
done
[ ${#missing[@]} -eq 0 ] && exit 0

apt=(apt-get)
if [ "$(id -u)" -ne 0 ]; then
  if sudo -n true 2>/dev/null; then apt=(sudo -n apt-get); else apt=(); fi
fi
if command -v apt-get >/dev/null && [ ${#apt[@]} -gt 0 ]; then
  echo "Installing Debian packages: ${missing[*]}"
  export DEBIAN_FRONTEND=noninteractive
  if "${apt[@]}" install -y -qq "${missing[@]}" >/dev/null 2>&1 ||
    { "${apt[@]}" update -qq >/dev/null && "${apt[@]}" install -y -qq "${missing[@]}" >/dev/null; }; then
    exit 0
  fi
fi
echo "These packages are missing and could not be installed from here: ${missing[*]}" >&2
echo "Install them once, as root:  apt-get install ${missing[*]}" >&2
[ "$need" = REQUIRED ] && exit 1
echo "Going on without them: the tests that need them will be skipped, and say so." >&2
exit 0
