"""Fails where a crate that the workspace depends on needs a younger Rust than the workspace declares."""

import json
import subprocess
import sys


def version(text):
    return tuple(int(part) for part in text.split(".")[:2])


metadata = subprocess.run(
    ["cargo", "metadata", "--format-version", "1", "--all-features"], check=True, stdout=subprocess.PIPE
)
packages = json.loads(metadata.stdout)["packages"]
(declared,) = {package["rust_version"] for package in packages if package["source"] is None}
younger = [
    f"{package['name']} {package['version']} needs Rust {package['rust_version']}"
    for package in packages
    if package["rust_version"] and version(package["rust_version"]) > version(declared)
]
if younger:
    sys.exit(f"rust-version is {declared}, but\n" + "\n".join(younger))
print(f"Every crate in Cargo.lock that states a version of Rust is content with {declared}.")
