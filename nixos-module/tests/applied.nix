# A nixpkgs with the pull request in it: nothing is imported here from this repository.
{ nixpkgs }:
let
  pkgs = import ./nixpkgs.nix { inherit nixpkgs; };
  inherit (pkgs) lib;

  system = import (nixpkgs + "/nixos/lib/eval-config.nix") {
    system = null;
    modules = [
      {
        nixpkgs.pkgs = pkgs;
        boot.isContainer = true;
        system.stateVersion = lib.trivial.release;
        services.cache-server = {
          enable = true;
          settings.caches.main = { };
        };
      }
    ];
  };
  inherit (system) config;
in
{
  package = pkgs.cache-server.drvPath;
  meta = removeAttrs pkgs.cache-server.meta [
    "license"
    "platforms"
  ];
  # Both of its systems of tests are the one of NixOS.
  test = pkgs.nixosTests.cache-server.driver.drvPath;
  passthru = pkgs.cache-server.tests.cache-server.driver.drvPath;

  system = config.system.build.toplevel.drvPath;
  usesPackage = config.services.cache-server.package.drvPath;
  chapters = map (chapter: toString chapter.value) config.meta.doc;
}
