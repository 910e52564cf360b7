# The configuration file, checked by the daemon itself while the system is built.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  cfg = config.services.cache-server;
  rendering = import ./rendering.nix { inherit lib pkgs cfg; };

  generated = rendering.keys.yaml.generate "cache-server.yaml" rendering.settings;

  # A program for another kind of machine cannot be asked.
  canCheck = pkgs.stdenv.buildPlatform.canExecute pkgs.stdenv.hostPlatform;
  checked = pkgs.runCommand "cache-server.yaml" { inherit generated; } ''
    cp "$generated" config.yaml
    ${lib.getExe' cfg.package "cache-server"} check-config --offline config.yaml
    cp config.yaml "$out"
  '';
in
{
  config = lib.mkIf cfg.enable {
    environment.etc."cache-server/config.yaml".source = if canCheck then checked else generated;
  };
}
