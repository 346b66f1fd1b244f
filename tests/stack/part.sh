#!/usr/bin/env bash
# part.sh [--there] NAME: makes a part of the stack, once for each set of pins, and prints where it
# is. NAME is a program (daprd, scheduler, placement, sentry, injector; helm; kube-score; promtool;
# etcd, kube-apiserver, kubectl, kube-controller-manager, kube-scheduler, kwok with stages.yaml beside
# it), kafka (a folder: libs/, and template/ with the topics), crds (a folder of custom resource
# definitions), dapr-chart (a folder: Dapr's own Helm chart), debian (a tar: the root of a slim Debian
# 12), or python (an interpreter that has what requirements.txt pins).
# With --there it makes nothing, and fails when the part is missing: so tests ask.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
only_look=
if [ "$1" = --there ]; then
    only_look=1
    shift
fi
name=$1
readonly here only_look name
readonly cache="${XDG_CACHE_HOME:-$HOME/.cache}/todo-app/stack"

# build_go FOLDER PACKAGE [FLAG ...]: FOLDER has the pins.
build_go() {
    local go
    go=$(bash "$here/../lib/go.sh" 1.26.6)
    cp "$here/$1"/go.{mod,sum} .
    GOFLAGS=-mod=readonly GOTOOLCHAIN=local "$go" build -trimpath "${@:3}" -o program "$2" >&2
}

build_kafka() {
    command -v mvn >/dev/null || {
        echo "Kafka needs a JDK and Maven: apt-get install default-jdk-headless maven" >&2
        exit 1
    }
    mvn -q -B -f "$here/kafka/pom.xml" -DoutputDirectory="$PWD/libs" \
        org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies >&2
    python3 "$here/kafka/template.py" "$PWD"
}

# module_folder MODULE@VERSION: prints where its files are.
module_folder() {
    local go
    go=$(bash "$here/../lib/go.sh" 1.26.6)
    GOTOOLCHAIN=local "$go" mod download -json "$1" | sed -n 's/^\t"Dir": "\(.*\)",$/\1/p'
}

# What kwok does with nodes and pods is in stages; these are its own of the fast kind.
build_kwok() {
    build_go kwok sigs.k8s.io/kwok/cmd/kwok
    local folder file
    folder=$(module_folder "sigs.k8s.io/kwok@$(sed -n 's/^\tsigs.k8s.io\/kwok \(v[0-9.]*\).*/\1/p' go.mod)")
    for file in "$folder"/kustomize/stage/{node,pod}/fast/{node,pod}-*.yaml; do
        [ ! -f "$file" ] || { echo --- && cat "$file"; } >>stages.yaml
    done
}

build_dapr_chart() {
    cp -r "$(module_folder "$(sed -n 's/^require \(github.com\/dapr\/dapr\) /\1@/p' "$here/dapr/go.mod")")/charts/dapr/." .
    chmod -R u+w .
}

# The definitions of the resources that others bring to a cluster, from the modules that have them.
build_crds() {
    local module files folder file
    while read -r module files; do
        folder=$(module_folder "$module")
        for file in "$folder"/$files; do # a pattern
            cp "$file" .
        done
    done <"$here/crds.txt"
}

# build_debian PACKAGE: Debian's program without its service.
build_debian() {
    apt-get download -q "$1" >&2
    dpkg-deb -x "$1"_*.deb unpacked
    mv "unpacked/usr/bin/$name" program
    rm -r unpacked "$1"_*.deb
}

# As root, or as a user who may have a user namespace; what that takes mmdebstrap says.
build_debian_root() {
    local options
    mapfile -t options <"$here/debian.txt"
    mmdebstrap --quiet "${options[@]}" bookworm root.tar >&2
}

build_python() {
    python3 -m venv program
    program/bin/pip install -q --disable-pip-version-check --no-input -r "$here/requirements.txt" >&2
}

case $name in
daprd)
    recipe=(build_go dapr github.com/dapr/dapr/cmd/daprd -tags stablecomponents)
    pins=("$here"/dapr/go.{mod,sum}) result=/program
    ;;
scheduler | placement | sentry | injector)
    recipe=(build_go dapr "github.com/dapr/dapr/cmd/$name")
    pins=("$here"/dapr/go.{mod,sum}) result=/program
    ;;
helm)
    recipe=(build_go helm helm.sh/helm/v3/cmd/helm) pins=("$here"/helm/go.{mod,sum}) result=/program
    ;;
kube-apiserver | kube-controller-manager | kube-scheduler | kubectl)
    # It says which version it is, which clients ask for.
    recipe=(build_go kube "k8s.io/kubernetes/cmd/$name" -ldflags
        "-X k8s.io/component-base/version.gitVersion=v1.34.1")
    pins=("$here"/kube/go.{mod,sum}) result=/program
    ;;
kwok) recipe=(build_kwok) pins=("$here"/kwok/go.{mod,sum}) result=/program ;;
dapr-chart) recipe=(build_dapr_chart) pins=("$here/dapr/go.mod") result= ;;
kube-score)
    recipe=(build_go kube-score github.com/zegl/kube-score/cmd/kube-score)
    pins=("$here"/kube-score/go.{mod,sum}) result=/program
    ;;
crds) recipe=(build_crds) pins=("$here/crds.txt") result= ;;
debian) recipe=(build_debian_root) pins=("$here/debian.txt") result=/root.tar ;;
etcd) recipe=(build_debian etcd-server) pins=("$here/part.sh") result=/program ;;
promtool) recipe=(build_debian prometheus) pins=("$here/part.sh") result=/program ;;
kafka)
    recipe=(build_kafka) pins=("$here"/kafka/{pom.xml,template.py}) result=
    ;;
python) recipe=(build_python) pins=("$here/requirements.txt") result=/program/bin/python3 ;;
*)
    echo "part.sh: no part is called \"$name\"" >&2
    exit 2
    ;;
esac

hash=$(cat "${pins[@]}" | sha256sum)
readonly target="$cache/$name-${hash:0:16}"
if [ ! -f "$target/ready" ]; then
    if [ -n "$only_look" ]; then
        echo "$name is not in $cache: run ./todo stack prepare" >&2
        exit 1
    fi
    mkdir -p "$cache"
    exec 9>"$cache/$name.lock"
    flock 9
    if [ ! -f "$target/ready" ]; then
        echo "making $name in $cache; the first time takes minutes" >&2
        rm -rf "$target"
        mkdir "$target"
        (cd "$target" && "${recipe[@]}")
        : >"$target/ready"
    fi
    exec 9>&-
fi
printf '%s\n' "$target$result"
