#!/usr/bin/env bash
# Sets up what the tests need, then runs all of them. Arguments go to `cargo nextest run`.
#
# As root on Debian or Ubuntu it installs what is missing; elsewhere it says what that is. The tests run real Nix and real
# daemons in mount and network namespaces of their own, which takes root. They start PostgreSQL and S3 servers of their own.
#
# CI_STRICT=1 makes it fail if anything cannot be tested here.
set -euo pipefail
cd "$(dirname "$0")"

say() { printf '\n==> %s\n' "$*"; }

# Programs that only tests need and no package has. The tests look here too.
tools=/opt/cache-server-test-tools
garage=2.5.0

# Program and the Debian packages that have it.
needed=(
  aspell:aspell,aspell-en
  cc:build-essential
  chromedriver:chromium-driver
  chromium:chromium
  cpio:cpio
  curl:curl
  debootstrap:debootstrap
  dpkg-shlibdeps:dpkg-dev
  faketime:faketime
  fish:fish
  initdb:postgresql
  ip:iproute2
  lintian:lintian
  mount:mount
  nginx:nginx-light
  nix:nix-bin
  node:nodejs
  npm:npm
  nsenter:util-linux
  openssl:openssl
  promtool:prometheus
  python3:python3
  rpmbuild:rpm
  systemd-analyze:systemd
  systemd-nspawn:systemd-container
  unshare:util-linux
  zsh:zsh
)

# Debian keeps the programs of the PostgreSQL server out of PATH.
have() { command -v "$1" >/dev/null || compgen -G "/usr/lib/postgresql/*/bin/$1" >/dev/null; }

missing=()
for entry in "${needed[@]}"; do
  have "${entry%%:*}" && continue
  IFS=, read -ra packages <<<"${entry#*:}"
  missing+=("${packages[@]}")
done
if [ ${#missing[@]} -gt 0 ]; then
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    say "installing ${missing[*]}"
    # nginx would be started.
    no_services=/usr/sbin/policy-rc.d
    if [ -e "$no_services" ]; then no_services=; else
      printf '#!/bin/sh\nexit 101\n' > "$no_services"
      chmod 755 "$no_services"
    fi
    # The package of PostgreSQL would make a database and start it.
    no_database=/etc/postgresql-common/createcluster.d/cache-server-tests.conf
    mkdir -p "${no_database%/*}"
    echo 'create_main_cluster = false' > "$no_database"
    trap 'rm -f "$no_database" "$no_services"' EXIT
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}"
    rm -f "$no_database" "$no_services"
    trap - EXIT
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
  echo "test.sh: cargo is missing; install Rust 1.94.1 or newer" >&2
  exit 1
fi
if ! cargo nextest --version >/dev/null 2>&1; then
  say "installing cargo-nextest"
  cargo install --locked cargo-nextest
fi
if ! "$tools/bin/garage" --version 2>/dev/null | grep -qwF "$garage"; then
  say "installing Garage $garage, an S3 server, into $tools"
  target=$(mktemp -d)
  trap 'rm -rf "$target"' EXIT
  # Built to be there soon, not to be fast: a third of the time that a little optimisation takes. But it hashes every byte.
  fast=()
  for crate in blake2 crc32fast libsodium-sys libsqlite3-sys md-5 sha1 sha2 zstd-sys; do
    fast+=(--config "profile.release.package.$crate.opt-level=2")
  done
  CARGO_TARGET_DIR=$target CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_OPT_LEVEL=0 \
    CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 CARGO_PROFILE_RELEASE_DEBUG=0 cargo install garage \
    --version "$garage" --locked --no-default-features --features bundled-libs,sqlite --root "$tools" --force \
    "${fast[@]}"
  rm -rf "$target"
  trap - EXIT
fi

# What cannot be tested here is written to this file, one line each, and counted at the end.
NOT_TESTED=$(mktemp)
scenarios=$(mktemp)
packages=$(mktemp)
export NOT_TESTED
trap 'rm -f "$NOT_TESTED" "$scenarios" "$packages"' EXIT

# What NixOS looks at nginx configurations with, in the version that nixpkgs has.
if ! [ -x "$tools/gixy/bin/gixy" ]; then
  say "installing gixy, a linter for nginx, into $tools"
  if ! { python3 -m venv "$tools/gixy" && "$tools/gixy/bin/pip" install --quiet gixy==0.1.21 pyparsing==2.4.7 &&
    "$tools/gixy/bin/gixy" --version >/dev/null; }; then
    rm -rf "$tools/gixy"
    echo "test.sh: gixy cannot be installed (it takes python3-venv and PyPI)" >&2
  fi
fi

# The schemas of Kubernetes and of compose files.
if ! [ -x "$tools/manifests/bin/kubernetes-validate" ]; then
  say "installing what knows the schemas of Kubernetes and compose files into $tools"
  if ! { python3 -m venv "$tools/manifests" &&
    "$tools/manifests/bin/pip" install --quiet kubernetes-validate==1.37.0 compose-spec==0.2.1 pyyaml==6.0.3; }; then
    rm -rf "$tools/manifests"
    echo "test.sh: the schemas cannot be installed (they take python3-venv and PyPI)" >&2
  fi
fi

# A bare system, on copies of which packages are installed.
if ! [ -d "$tools/debian" ]; then
  say "bootstrapping a bare Debian system in $tools"
  if debootstrap --variant=minbase --include=ca-certificates,curl,dbus,libdbi-perl,nix-bin,systemd-sysv bookworm "$tools/debian.new" >/dev/null; then
    rm -rf "$tools/debian.new/var/cache/apt/archives" "$tools/debian.new/var/lib/apt/lists"
    mv "$tools/debian.new" "$tools/debian"
  else
    rm -rf "$tools/debian.new"
    echo "test.sh: no Debian system can be bootstrapped" >&2
  fi
fi

if ! command -v mdbook >/dev/null && ! [ -x "$tools/bin/mdbook" ]; then
  say "installing mdbook into $tools"
  CARGO_PROFILE_RELEASE_OPT_LEVEL=0 CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 \
    cargo install --locked --quiet --root "$tools" --no-default-features --features search mdbook ||
    echo "test.sh: mdbook cannot be installed" >&2
fi

# A certified OpenID provider, in the version that its lock file names.
provider=server/tests/data/openid-provider
if ! cmp -s "$provider/package-lock.json" "$tools/openid-provider/package-lock.json" ||
  ! [ -d "$tools/openid-provider/node_modules/oidc-provider" ]; then
  say "installing oidc-provider into $tools"
  mkdir -p "$tools/openid-provider"
  cp "$provider/package.json" "$provider/package-lock.json" "$tools/openid-provider/"
  npm ci --prefix "$tools/openid-provider" --no-audit --no-fund --silent
fi

# What renders the manual of NixOS needs them, and a Python that not every system has.
if [ -n "${NIXPKGS:-}" ] && ! [ -x "$tools/render-docs/bin/python" ]; then
  for python in python3 python3.14 python3.13 python3.12; do
    if "$python" -c 'import sys; sys.exit(sys.version_info < (3, 12))' 2>/dev/null; then
      say "installing what renders the manual of NixOS into $tools"
      "$python" -m venv "$tools/render-docs" &&
        "$tools/render-docs/bin/pip" install --quiet markdown-it-py mdit-py-plugins || rm -rf "$tools/render-docs"
      break
    fi
  done
fi

say "checking the text of the documentation"
docs/tests/check

say "building"
# The same targets and features as the tests below: another selection would compile large dependencies again.
cargo build --workspace --bins --tests --features fail-points --locked

say "testing the examples in the documentation"
cargo test --workspace --features fail-points --locked --doc --quiet

say "running the commands of the documentation"
docs/tests/commands

say "testing the NixOS module"
nixos-module/tests/run

say "testing with $(nix --version), and scenarios of several machines and packages beside it"
# The machines of a scenario mostly wait for each other, and so do those that packages are installed on.
(
  status=0
  vm-tests/run --keep-going >"$scenarios" 2>&1 || status=$((status + 1))
  packaging/tests/run >"$packages" 2>&1 || status=$((status + 2))
  exit $status
) &
machines_run=$!
failed=
cargo nextest run --workspace --features fail-points --locked "$@" || failed="$failed tests"
machines=0
wait "$machines_run" || machines=$?
if ((machines & 1)); then
  failed="$failed scenarios"
  cat "$scenarios"
else
  grep '^vm-tests: ' "$scenarios"
fi
if ((machines & 2)); then
  failed="$failed packages"
  cat "$packages"
else
  grep '^packages: ' "$packages"
fi

count=$(wc -l <"$NOT_TESTED")
if [ "$count" -gt 0 ]; then
  say "not tested here: $count"
  sed 's/^/  - /' "$NOT_TESTED"
  if [ "${CI_STRICT:-}" = 1 ]; then failed="$failed what was not tested (CI_STRICT)"; fi
fi
if [ -n "$failed" ]; then
  say "FAILED:$failed"
  exit 1
fi
