#!/usr/bin/env bash
# Installs the servers that the tests can use and that this machine lacks: Debian's redis-server, redis-tools,
# memcached and a Java runtime, Amazon's DynamoDB Local (from the npm package that carries its jar), and FerretDB
# (built from its Go module) where there is no mongod. Run it as root on Debian or Ubuntu; a second run is quick and
# changes nothing. The only place where the tests' servers are downloaded. What could not be installed is named at the
# end, with exit code 1; the rest is there all the same.
set -uo pipefail
cd "$(dirname "$0")"

# The same folder as cacheFolder() in local.ts.
cache=${KEEPFRESH_SERVICES_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/keepfresh-services}
simulator=amplify-dynamodb-simulator@2.9.30
failed=()
work=$(mktemp -d)
policy=
trap 'rm -rf "$work"; [ -z "$policy" ] || rm -f "$policy"' EXIT
mkdir -p "$cache"

has() { command -v "$1" >/dev/null 2>&1; }

# Debian starts a daemon as soon as its package is installed; a policy of 101 forbids it while we install.
forbid_daemons() {
  [ -e /usr/sbin/policy-rc.d ] && return
  printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d && chmod 755 /usr/sbin/policy-rc.d && policy=/usr/sbin/policy-rc.d
}

# Nor at the next boot: the tests start servers of their own.
keep_off() {
  has systemctl || return 0
  for unit in redis-server memcached; do systemctl disable "$unit" >/dev/null 2>&1 || true; done
}

debian_packages() {
  local missing=()
  has redis-server || missing+=(redis-server)
  has redis-cli || missing+=(redis-tools)
  has memcached || missing+=(memcached)
  has java || missing+=(default-jre-headless)
  [ ${#missing[@]} -eq 0 ] && return
  has apt-get || return 1
  forbid_daemons
  apt-get update -q || return 1
  # One by one: what cannot be had keeps no other from being installed.
  local package code=0
  for package in "${missing[@]}"; do
    DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "$package" || code=1
  done
  keep_off
  return $code
}

dynamodb() {
  [ -e "$cache/dynamodb/DynamoDBLocal.jar" ] && return
  has npm || return 1
  (cd "$work" && npm pack --silent "$simulator" >/dev/null && tar xzf amplify-dynamodb-simulator-*.tgz) &&
    rm -rf "$cache/dynamodb" && mv "$work/package/emulator" "$cache/dynamodb"
}

ferretdb() {
  has mongod && return
  # Built again when its source or its version changes.
  local stamp go
  stamp=$(cat ferretdb/main.go ferretdb/go.mod ferretdb/go.sum | sha256sum | cut -d' ' -f1)
  [ -x "$cache/ferretdb" ] && [ "$(cat "$cache/ferretdb.stamp" 2>/dev/null)" = "$stamp" ] && return
  go=$(command -v go || echo /usr/local/go/bin/go)
  [ -x "$go" ] || return 1
  # Moved into place, so that a server that runs keeps its file.
  (cd ferretdb && "$go" build -trimpath -buildvcs=false -ldflags='-s -w' -o "$work/ferretdb" .) &&
    mv -f "$work/ferretdb" "$cache/ferretdb" && echo "$stamp" >"$cache/ferretdb.stamp"
}

# attempt NAME FUNCTION
attempt() {
  if "$2"; then echo "$1: installed"; else echo "$1: NOT INSTALLED" >&2; failed+=("$1"); fi
}

attempt 'redis, memcached, java' debian_packages
attempt 'DynamoDB Local' dynamodb
attempt 'mongod or FerretDB' ferretdb

[ ${#failed[@]} -eq 0 ] || { echo "could not install: ${failed[*]}" >&2; exit 1; }
