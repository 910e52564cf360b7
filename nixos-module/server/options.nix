# What can be set beside the configuration file, which settings.nix is about.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib) mkOption mkEnableOption types;
  cfg = config.services.cache-server;
in
{
  options.services.cache-server = {
    enable = mkEnableOption "cache-server, a binary cache for Nix";

    package = lib.mkPackageOption pkgs "cache-server" {
      extraDescription = "It has {command}`cache-server` and {command}`cachectl`.";
    };

    environmentFile = mkOption {
      type = types.nullOr (import ../lib/external-path.nix { inherit lib; });
      default = null;
      example = "/run/secrets/cache-server-environment";
      description = "File with environment variables for the daemon: `PGPASSWORD` for a PostgreSQL database, or those of AWS.";
    };

    adminGroup = mkOption {
      type = types.str;
      default = "cache-server-admin";
      description = ''
        Members may use {command}`cachectl`, which is all there is: make tokens, delete paths, stop jobs.
      '';
    };

    privateNetwork = mkOption {
      type = types.bool;
      description = ''
        Cut the daemon off from the network, but for the sockets that systemd hands over to it. By default this is so where
        it has nobody to call: no S3, no PostgreSQL, no upstreams, no other nodes.
      '';
      defaultText = lib.literalMD "whether the daemon has nobody to call";
    };
  };

  config = lib.mkIf cfg.enable { environment.systemPackages = [ cfg.package ]; };
}
