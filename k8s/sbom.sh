#!/bin/sh
# sbom.sh VERSION REVISION LLHTTP_VERSION: prints what the machine that it runs on is made of, as an
# SPDX 2.3 document in JSON: todo-app, each Debian package that is installed, and llhttp, which the
# programs have inside. The Dockerfile runs it in the image.
set -eu
version=$1 revision=$2 llhttp=$3

# Names and versions of Debian need no escape in JSON; in a purl + and : do.
as_purl() { sed -e 's/+/%2B/g' -e 's/:/%3A/g'; }

# package ID NAME VERSION PURL
package() {
    printf '{"SPDXID":"SPDXRef-%s","name":"%s","versionInfo":"%s",' "$1" "$2" "$3"
    printf '"downloadLocation":"NOASSERTION","filesAnalyzed":false,"supplier":"NOASSERTION",'
    printf '"externalRefs":[{"referenceCategory":"PACKAGE-MANAGER","referenceType":"purl",'
    printf '"referenceLocator":"%s"}]}' "$4"
}

# relation FROM TYPE TO
relation() {
    printf '{"spdxElementId":"SPDXRef-%s","relationshipType":"%s","relatedSpdxElement":"SPDXRef-%s"}' \
        "$1" "$2" "$3"
}

each_package() {
    dpkg-query -W -f '${binary:Package} ${Package} ${Version} ${Architecture} ${db:Status-Status}\n' |
        while read -r _ name its_version architecture status; do
            [ "$status" = installed ] || continue
            "$1" "$name" "$its_version" "$architecture"
        done
}

id_of() { printf 'deb-%s-%s' "$1" "$2" | tr -c 'A-Za-z0-9.-' '-'; }

list_package() {
    printf ',\n'
    package "$(id_of "$1" "$3")" "$1" "$2" "pkg:deb/debian/$(printf '%s@%s' "$1" "$2" | as_purl)?arch=$3"
}

list_relation() {
    printf ',\n'
    relation todo-app DEPENDS_ON "$(id_of "$1" "$3")"
}

printf '{"spdxVersion":"SPDX-2.3","dataLicense":"CC0-1.0","SPDXID":"SPDXRef-DOCUMENT",\n'
printf '"name":"todo-app-%s","documentNamespace":"urn:todo-app:%s:%s",\n' "$version" "$version" "$revision"
printf '"creationInfo":{"created":"%s","creators":["Tool: dpkg-query"]},\n' "$(date -u +%Y-%m-%dT%H:%M:%SZ)"
printf '"packages":[\n'
package todo-app todo-app "$version" "pkg:generic/todo-app@$(printf %s "$version" | as_purl)"
printf ',\n'
package llhttp llhttp "$llhttp" "pkg:deb/debian/node-llhttp@$(printf %s "$llhttp" | as_purl)"
each_package list_package
printf '],\n"relationships":[\n'
relation DOCUMENT DESCRIBES todo-app
printf ',\n'
relation todo-app STATIC_LINK llhttp
each_package list_relation
printf ']}\n'
