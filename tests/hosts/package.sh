#!/usr/bin/env bash
# Packs each crate that is meant to be published and compiles it from the packed file alone, with all features.
# Needs the package registry, until the dependencies are downloaded.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$root/target}/package-check
unpacked=$(mktemp -d)
trap 'rm -rf "$unpacked"' EXIT
cd "$root"
for crate in deployment-telemetry deployment-telemetry-build; do
    cargo package --package "$crate" --no-verify --allow-dirty
    file=$(ls -t "$CARGO_TARGET_DIR"/package/"$crate"-[0-9]*.crate | head -1)
    tar --extract --gzip --file "$file" --directory "$unpacked"
    folder=$unpacked/$(basename "$file" .crate)
    echo "$crate: $(find "$folder" -type f | wc -l) files, $(du -k "$file" | cut -f1) KiB packed"
    # A workspace around the folder would take it for a member.
    printf '\n[workspace]\n' >>"$folder/Cargo.toml"
    (cd "$folder" && cargo check --all-features && RUSTDOCFLAGS="-D warnings" cargo doc --all-features --no-deps)
done
