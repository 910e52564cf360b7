# The client on macOS, with all of nix-darwin and nixpkgs.
{ nixpkgs, darwin }:
let
  pkgs = import ./nixpkgs.nix {
    inherit nixpkgs;
    system = "aarch64-darwin";
  };
  inherit
    (import (darwin + "/eval-config.nix") {
      inherit (pkgs) lib;
      modules = [
        ../client/darwin.nix
        ./configurations/client.nix
        {
          nixpkgs.pkgs = pkgs;
          system.stateVersion = 6;
          # Another system, with packages of its own.
          system.tools.darwin-uninstaller.enable = false;
        }
      ];
    })
    config
    ;
in
{
  system = config.system.build.toplevel.drvPath;
  inherit (config) warnings;
  failures = map (assertion: assertion.message) (
    builtins.filter (assertion: !assertion.assertion) config.assertions
  );
  daemons = pkgs.lib.mapAttrs (_: daemon: {
    inherit (daemon) script path environment;
    settings = pkgs.lib.filterAttrs (_: setting: setting != null) daemon.serviceConfig;
  }) (pkgs.lib.filterAttrs (name: _: pkgs.lib.hasPrefix "cache-server" name) config.launchd.daemons);
  plists = pkgs.lib.filterAttrs (name: _: pkgs.lib.hasInfix "cache-server" name) (
    pkgs.lib.mapAttrs (_: file: file.text) config.environment.launchDaemons
  );
  activation = config.system.activationScripts.extraActivation.text;
  settings = {
    inherit (config.nix.settings)
      netrc-file
      post-build-hook
      substituters
      trusted-public-keys
      ;
  };
  hook = config.environment.etc."cache-server-client/post-build-hook".source.text;
}
