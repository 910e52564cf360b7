# What the flake puts out, as far as it can be known with packages that are none.
{ lib }:
let
  build = arguments: arguments // { outPath = "/nix/store/package"; };
  packagesOf =
    system:
    import ./pkgs.nix { inherit lib; }
    // {
      callPackage =
        file: arguments:
        let
          given = {
            inherit lib;
            stdenv.hostPlatform = { inherit system; };
            stdenv.buildPlatform.canExecute = _: true;
            rustPlatform.buildRustPackage = build;
            rustc.version = "1.99.0";
            installShellFiles = { };
          };
          make = import file;
        in
        make (builtins.intersectAttrs (lib.functionArgs make) given // arguments);
      mkShell = build;
      testers.runNixOSTest = test: test;
    };
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
    _: lib.mapAttrs (_: package: package.meta // { inherit (package) version postInstall; })
  ) outputs.packages;
  checks = lib.mapAttrs (_: lib.attrNames) outputs.checks;
  modules = lib.mapAttrs (_: toString) outputs.nixosModules;
  overlay = lib.attrNames (outputs.overlays.default (packagesOf "x86_64-linux") { });
}
