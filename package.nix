# The package as nixpkgs would have it (nixos-module/nixpkgs), built from this directory.
{
  lib,
  callPackage,
  rustPlatform,
  testers,
}:
let
  # What the compiler and the tests read, so that a change of anything else compiles nothing again. This is no argument:
  # `callPackage` would fill one called `src` with the package of that name.
  src = lib.fileset.toSource {
    root = ./.;
    fileset = lib.fileset.unions [
      ./.config/nextest.toml
      ./Cargo.toml
      ./Cargo.lock
      ./LICENSE
      ./config.example.yaml
      ./ctl
      ./docs/src/reference
      ./fuzz/corpus
      ./monitoring/alerts.yaml
      ./monitoring/dashboard.json
      ./nixos-module/keys/keys.json
      ./server
    ];
  };

  fromHere =
    definition:
    removeAttrs definition [ "cargoHash" ]
    // {
      inherit src;
      # Everything is from crates.io, so that the checksums of the lock file are all it takes.
      cargoLock.lockFile = ./Cargo.lock;
      passthru.tests = lib.mapAttrs (_: testers.runNixOSTest) (import ./vm-tests);
    };

  # Before 25.05 it takes no function.
  takesFunction = lib.versionAtLeast lib.trivial.release "25.05";
  buildRustPackage =
    define:
    rustPlatform.buildRustPackage (
      if takesFunction then
        finalAttrs: fromHere (define finalAttrs)
      else
        lib.fix (finalAttrs: fromHere (define finalAttrs))
    );
in
callPackage ./nixos-module/nixpkgs/pkgs/by-name/ca/cache-server/package.nix {
  rustPlatform = rustPlatform // {
    inherit buildRustPackage;
  };
}
