#!/usr/bin/env bash
# Sets up what the tests need, then runs all of them.
#
# As root on Debian or Ubuntu it installs what is missing; elsewhere it says what that is. The tests run real Nix and real
# daemons in mount and network namespaces of their own, which takes root.
set -euo pipefail
cd "$(dirname "$0")"

say() { printf '\n==> %s\n' "$*"; }

# Program and the Debian package that has it.
needed=(
  cc:build-essential
  ip:iproute2
  mount:mount
  nix:nix-bin
  unshare:util-linux
)

missing=()
for entry in "${needed[@]}"; do
  command -v "${entry%%:*}" >/dev/null || missing+=("${entry#*:}")
done
if [ ${#missing[@]} -gt 0 ]; then
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    say "installing ${missing[*]}"
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}"
  else
    echo "test.sh: these packages are missing: ${missing[*]}" >&2
    echo "test.sh: install them, or run ./test.sh as root on Debian to have it done" >&2
    exit 1
  fi
fi
if [ "$(id -u)" != 0 ]; then
  echo "test.sh: the tests make mount and network namespaces; run ./test.sh as root" >&2
  exit 1
fi
if ! command -v cargo >/dev/null; then
  echo "test.sh: cargo is missing; install Rust 1.94 or newer" >&2
  exit 1
fi
if ! cargo nextest --version >/dev/null 2>&1; then
  say "installing cargo-nextest"
  cargo install --locked cargo-nextest
fi

say "building"
cargo build --release --workspace --locked

say "testing the examples in the documentation"
cargo test --release --workspace --locked --doc --quiet

say "testing with $(nix --version)"
cargo nextest run --release --workspace --locked "$@"
