#!/usr/bin/env bash
# Build helm and kube-apiserver, once, from their published sources into a folder that Git ignores, and put the
# definitions of the custom resources that the chart makes beside them.
# Usage: build-tools.sh FOLDER [helm]; with `helm`, helm alone. Prints nothing if all is there. Needs Go 1.21 or newer,
# which fetches the version that the modules ask for. GO_PARALLEL=1 leaves other cores alone.
set -euo pipefail

HELM_VERSION=v3.22.0
# Kubernetes releases v1.N.P together with its staging modules v0.N.P.
KUBERNETES_MINOR_AND_PATCH=36.3
PROMETHEUS_OPERATOR=github.com/prometheus-operator/prometheus-operator@v0.85.0
KEDA=github.com/kedacore/keda/v2@v2.21.0

folder=$(mkdir -p "$1" && cd "$1" && pwd)
helm=$folder/helm-$HELM_VERSION
apiserver=$folder/kube-apiserver-v1.$KUBERNETES_MINOR_AND_PATCH
# Compilers side by side would take all cores of a small machine and 3 GB.
export GOFLAGS="${GOFLAGS:-} -p=${GO_PARALLEL:-2}"

say() { echo "build-tools: $*" >&2; }

build_helm() {
  say "building helm $HELM_VERSION (a minute or two)"
  GOBIN=$folder/.bin go install -trimpath -ldflags "-s -w -X helm.sh/helm/v3/internal/version.version=$HELM_VERSION" \
    "helm.sh/helm/v3/cmd/helm@$HELM_VERSION"
  mv "$folder/.bin/helm" "$helm"
}

# k8s.io/kubernetes replaces its staging modules by folders of its own repository; outside it they are named anew.
write_module() {
  local kubernetes=v1.$KUBERNETES_MINOR_AND_PATCH staging=v0.$KUBERNETES_MINOR_AND_PATCH source
  source=$(go mod download -json "k8s.io/kubernetes@$kubernetes" | sed -n 's/.*"GoMod": "\(.*\)".*/\1/p')
  {
    echo "module seacanary.org/apiserver"
    sed -n '/^go [0-9]/p' "$source"
    echo "require k8s.io/kubernetes $kubernetes"
    sed -nE "s#^[[:space:]]*(replace )?(k8s.io/[a-z0-9-]+) => ./staging/.*#replace \2 => \2 $staging#p" "$source"
  } > go.mod
  printf 'package tools\n\nimport _ "k8s.io/kubernetes/cmd/kube-apiserver/app"\n' > tools.go
}

build_apiserver() {
  say "building kube-apiserver v1.$KUBERNETES_MINOR_AND_PATCH (four minutes on two cores)"
  local module
  module=$(mktemp -d "$folder/.module.XXXXXX")
  (
    cd "$module"
    write_module
    go mod tidy
    # Without its version the server calls itself v0.0.0, and no chart would install there.
    local named=k8s.io/component-base/version
    go build -mod=mod -trimpath -o kube-apiserver -ldflags "-s -w -X $named.gitVersion=v1.$KUBERNETES_MINOR_AND_PATCH \
      -X $named.gitMajor=1 -X $named.gitMinor=${KUBERNETES_MINOR_AND_PATCH%.*}" k8s.io/kubernetes/cmd/kube-apiserver
  )
  mv "$module/kube-apiserver" "$apiserver"
  rm -rf "$module"
}

fetch_definitions() {
  say "fetching definitions of custom resources"
  mkdir -p "$folder/.definitions"
  cp "$(module_folder "$PROMETHEUS_OPERATOR")"/example/prometheus-operator-crd/*_{servicemonitors,prometheusrules}.yaml \
    "$(module_folder "$KEDA")"/config/crd/bases/keda.sh_{scaledobjects,triggerauthentications}.yaml \
    "$folder/.definitions"
  chmod -R u+w "$folder/.definitions"
  mv "$folder/.definitions" "$folder/definitions"
}

module_folder() {
  go mod download -json "$1" | sed -n 's/.*"Dir": "\(.*\)".*/\1/p'
}

command -v go >/dev/null || { say "Go is not installed: 'make helm-test' brings it, or see https://go.dev/doc/install"; exit 1; }
[ -x "$helm" ] || build_helm
ln -sfn "$(basename "$helm")" "$folder/helm"
[ "${2:-all}" = helm ] && exit 0
[ -d "$folder/definitions" ] || fetch_definitions
[ -x "$apiserver" ] || build_apiserver
ln -sfn "$(basename "$apiserver")" "$folder/kube-apiserver"
