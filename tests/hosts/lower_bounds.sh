#!/usr/bin/env bash
# Compiles the library alone with the lowest version that each of its dependencies allows. Cargo keeps what a host has
# locked, so a bound that is too low fails there, and one that is too high moves the host's other crates.
# Needs the package registry.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
# For `-Z direct-minimal-versions` with a stable cargo.
export RUSTC_BOOTSTRAP=1
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$root/target}/lower-bounds

# check HALF FEATURES...: with the dependencies of the sender, or with those of the receiver as well.
check() {
    local half=$1 copy
    shift
    copy=$(mktemp -d)
    cp -r "$root"/{src,Cargo.toml,askama.toml} "$copy"
    (
        cd "$copy"
        python3 "$root/tests/hosts/alone.py" "$half"
        cargo -Z direct-minimal-versions generate-lockfile --quiet
        for features in "$@"; do
            echo "== $half: $features"
            cargo check --locked --no-default-features --features "$features"
        done
    )
    rm -rf "$copy"
}

check sender tls-ring postgres,tls-ring sqlite-bundled,tls-ring postgres,tls-aws-lc-rs
check receiver receiver,postgres,sqlite-bundled,tls-ring
