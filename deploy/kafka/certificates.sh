#!/usr/bin/env bash
# Make a certificate authority, and certificates of a broker and a client signed by it, for tests and trials.
# usage: certificates.sh FOLDER
# Makes ca.pem; broker.pem (key and certificate); client.crt and client.key. Valid 90 days, for this machine only.
set -euo pipefail
umask 077
[ $# -eq 1 ] || { echo "usage: certificates.sh FOLDER" >&2; exit 2; }
mkdir -p "$1"
cd "$1"

key() { openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$1" 2>/dev/null; }

signed() { # NAME PURPOSE
  key "$1.key"
  openssl req -new -key "$1.key" -subj "/CN=$1" -out "$1.csr"
  printf '%s\n' "subjectAltName=IP:127.0.0.1,DNS:localhost" "basicConstraints=critical,CA:FALSE" \
    "keyUsage=critical,digitalSignature" "extendedKeyUsage=$2" "authorityKeyIdentifier=keyid" >"$1.ext"
  openssl x509 -req -in "$1.csr" -CA ca.pem -CAkey ca.key -CAcreateserial -days 90 -extfile "$1.ext" \
    -out "$1.crt" 2>/dev/null
  rm "$1.csr" "$1.ext"
}

key ca.key
openssl req -x509 -new -key ca.key -days 90 -subj "/CN=Sea Canary trial authority" \
  -addext "keyUsage=critical,keyCertSign,cRLSign" -out ca.pem
# Brokers and controllers are clients of each other, too.
signed broker serverAuth,clientAuth
signed client clientAuth
cat broker.key broker.crt >broker.pem
rm broker.key broker.crt
