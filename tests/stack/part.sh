#!/usr/bin/env bash
# part.sh [--there] NAME: makes a part of the stack, once for each set of pins, and prints where it
# is. NAME is daprd, scheduler, placement or sentry (a program), kafka (a folder: libs/, and
# template/ with the topics), or python (an interpreter that has what requirements.txt pins).
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

build_dapr() {
    local go tags=()
    go=$(bash "$here/../lib/go.sh" 1.26.6)
    [ "$name" != daprd ] || tags=(-tags stablecomponents)
    cp "$here"/dapr/go.{mod,sum} .
    GOFLAGS=-mod=readonly GOTOOLCHAIN=local "$go" build -trimpath "${tags[@]}" -o program \
        "github.com/dapr/dapr/cmd/$name" >&2
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

build_python() {
    python3 -m venv program
    program/bin/pip install -q --disable-pip-version-check --no-input -r "$here/requirements.txt" >&2
}

case $name in
daprd | scheduler | placement | sentry)
    recipe=build_dapr pins=("$here"/dapr/go.{mod,sum}) result=/program
    ;;
kafka)
    recipe=build_kafka pins=("$here"/kafka/{pom.xml,template.py}) result=
    ;;
python) recipe=build_python pins=("$here/requirements.txt") result=/program/bin/python3 ;;
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
        (cd "$target" && "$recipe")
        : >"$target/ready"
    fi
    exec 9>&-
fi
printf '%s\n' "$target$result"
