# What the flake puts out, as far as it can be known with packages that are none.
{ lib }:
let
  build = arguments: arguments // { outPath = "/nix/store/package"; };
  packagesOf =
    system:
    let
      pkgs = import ./pkgs.nix { inherit lib; } // {
        # That of nixpkgs asks for more than old Nix has.
        lib = lib // {
          trivial.release = "26.05";
          fileset = {
            toSource = fileset: fileset;
            unions = files: files;
          };
        };
        inherit callPackage;
        stdenv.hostPlatform = { inherit system; };
        stdenv.buildPlatform.canExecute = _: true;
        rustPlatform.buildRustPackage = define: build (lib.fix define);
        mkShell = build;
        testers.runNixOSTest = test: test;
      };
      callPackage = import ./call-package.nix { inherit pkgs; };
    in
    pkgs;
  outputs = (import ../../../flake.nix).outputs {
    self = { };
    nixpkgs = {
      inherit lib;
      legacyPackages = lib.genAttrs [ "x86_64-linux" "aarch64-linux" ] packagesOf;
    };
  };
in
{
  packages = lib.mapAttrs (
    _: packages:
    lib.mapAttrs
      (
        _: package:
        package.meta
        // {
          inherit (package) version postInstall;
          # Evaluated as far as it is without a store.
          hasSource = lib.isAttrs package.src;
        }
      )
      # The others are made of machines, or run these.
      (
        removeAttrs packages [
          "demo"
          "vm"
        ]
      )
  ) outputs.packages;
  checks = lib.mapAttrs (_: lib.attrNames) outputs.checks;
  modules = lib.mapAttrs (_: toString) outputs.nixosModules;
  overlay = lib.attrNames (outputs.overlays.default (packagesOf "x86_64-linux") { });
}
