#!/usr/bin/env bash
# Builds the library alone with the lowest version that each of its dependencies allows, for each set of features that
# hosts combine. Cargo keeps what a host has locked, so a bound that is too low fails there.
#
# `-Z direct-minimal-versions` needs a nightly cargo, or RUSTC_BOOTSTRAP=1 with a stable one.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
export RUSTC_BOOTSTRAP=1
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
cp -r "$root"/{src,Cargo.toml,askama.toml,README.md,CHANGELOG.md} "$copy"
mkdir -p "$copy/tests" && cp -r "$root/tests/golden" "$copy/tests"
cd "$copy"
# Alone: no member of the workspace, no test and none of their dependencies takes part in the resolution.
python3 - <<'PY'
import re
text = open("Cargo.toml").read()
text = re.sub(r"(?ms)^members = \[.*?\]\n", "", text, count=1)
text = re.sub(r"(?ms)^\[dev-dependencies\].*?(?=^\[)", "", text)
text = re.sub(r"(?ms)^\[\[(test|bench)\]\].*?(?=^\[|\Z)", "", text)
open("Cargo.toml", "w").write(text)
PY
cargo -Z direct-minimal-versions generate-lockfile
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$root/target}/lower-bounds
for features in tls-ring postgres,tls-ring sqlite-bundled,tls-ring postgres,tls-aws-lc-rs receiver,postgres,sqlite-bundled,tls-ring; do
    echo "== $features"
    cargo check --locked --no-default-features --features "$features"
done
