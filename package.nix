# The package: daemon, cachectl, man pages, completions and the commented configuration file.
{
  lib,
  stdenv,
  rustPlatform,
  rustc,
  installShellFiles,
}:
let
  inherit ((lib.importTOML ./Cargo.toml).workspace) package;

  # Only what the compiler reads, so that a change of documentation or tests compiles nothing again. This is no argument:
  # `callPackage` would fill one called `src` with the package of that name.
  src = lib.fileset.toSource {
    root = ./.;
    fileset = lib.fileset.unions [
      ./Cargo.toml
      ./Cargo.lock
      ./LICENSE
      ./config.example.yaml
      ./ctl
      ./server
    ];
  };
in
rustPlatform.buildRustPackage {
  pname = "cache-server";
  inherit (package) version;
  inherit src;

  # Everything is from crates.io, so that the checksums of the lock file are all it takes.
  cargoLock.lockFile = ./Cargo.lock;
  cargoBuildFlags = [ "--workspace" ];

  # They take real daemons, namespaces and root; ./test.sh and the flake's checks run them.
  doCheck = false;

  nativeBuildInputs = [ installShellFiles ];

  postInstall = ''
    install -Dm644 config.example.yaml "$out/share/doc/cache-server/config.example.yaml"
    if [ -d server/share ]; then cp -r server/share "$out/share/cache-server"; fi
  ''
  + lib.optionalString (stdenv.buildPlatform.canExecute stdenv.hostPlatform) ''
    mkdir man
    "$out/bin/cachectl" man man
    installManPage man/*
    for shell in bash fish zsh; do
      "$out/bin/cachectl" completions "$shell" > "cachectl.$shell"
      installShellCompletion --cmd cachectl "--$shell" "cachectl.$shell"
    done
  '';

  meta = {
    description = "Self-hosted, distributed Nix binary cache that speaks the Cachix protocol";
    license = lib.licenses.mit;
    platforms = lib.platforms.linux;
    mainProgram = "cache-server";
    broken = lib.versionOlder rustc.version package.rust-version;
  };
}
