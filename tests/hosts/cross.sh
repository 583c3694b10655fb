#!/usr/bin/env bash
# Compiles the library, all features, for Windows and macOS, without running it. Needs an apt with Debian's security
# archive, PyPI and the package registry; some six minutes of CPU the first time.
#
# No target's standard library is installed: Debian's `rustc-web` comes with the sources of its own, from which
# `-Z build-std` makes one. Windows' C compiler is Debian's mingw, macOS' is zig. Everything is unpacked into a folder and
# nothing is installed.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
tools=${CARGO_TARGET_DIR:-$root/target}/cross
mkdir -p "$tools"
cd "$tools"
if [ ! -d debian ]; then
    mkdir -p packages
    # The libraries that the compiler is made of have a version in their names.
    driver=$(apt-cache depends libstd-rust-web-dev | awk '/Depends: libstd-rust-web-[0-9]/ { print $2 }')
    llvm=$(apt-cache depends "$driver" | awk '/Depends: libllvm/ { print $2 }')
    (cd packages && apt-get download rustc-web rust-web-src libstd-rust-web-dev "$driver" "$llvm" gcc-mingw-w64-x86-64-win32 \
        gcc-mingw-w64-base binutils-mingw-w64-x86-64 mingw-w64-x86-64-dev mingw-w64-common)
    for package in packages/*.deb; do
        dpkg-deb --extract "$package" debian
    done
    python3 -m venv zig
    zig/bin/pip install --quiet ziglang
fi
usr=$tools/debian/usr
# Its binutils, behind the machine's own programs.
export PATH=$PATH:$usr/bin RUSTC=$usr/bin/rustc RUSTC_BOOTSTRAP=1
export LD_LIBRARY_PATH=$usr/lib/x86_64-linux-gnu${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
export CARGO_TARGET_DIR=$tools/target
# Without the target as the crate `cc` names it, which zig does not know.
cat >zig-cc <<SH
#!/bin/sh
for argument do
    shift
    case \$argument in --target=*) ;; *) set -- "\$@" "\$argument" ;; esac
done
exec "$tools/zig/bin/python" -m ziglang cc -target aarch64-macos "\$@"
SH
printf '#!/bin/sh\nexec "%s" -m ziglang ar "$@"\n' "$tools/zig/bin/python" >zig-ar
chmod +x zig-cc zig-ar
export CC_x86_64_pc_windows_gnu=$usr/bin/x86_64-w64-mingw32-gcc-win32
export CC_aarch64_apple_darwin=$tools/zig-cc AR_aarch64_apple_darwin=$tools/zig-ar
cd "$root"
for target in x86_64-pc-windows-gnu aarch64-apple-darwin; do
    echo "== $target"
    cargo check -Z build-std --target "$target" --package deployment-telemetry --lib --all-features
done
