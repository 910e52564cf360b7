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

    package = mkOption {
      type = types.package;
      default = pkgs.cache-server or (pkgs.callPackage ../../package.nix { });
      defaultText = lib.literalExpression "pkgs.cache-server";
      description = "Package with {command}`cache-server` and {command}`cachectl`.";
    };

    environmentFile = mkOption {
      type = types.nullOr types.path;
      default = null;
      example = "/run/secrets/cache-server-environment";
      description = ''
        File with environment variables for the daemon: `PGPASSWORD` for a PostgreSQL database, or those of AWS. It must not
        be in the Nix store.
      '';
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

    nginx = {
      enable = mkEnableOption "nginx in front of the daemon";
      domain = mkOption {
        type = types.str;
        example = "cache.example.org";
        description = ''
          Name of the server. Caches are served below it as `NAME.DOMAIN`, so that the DNS needs an entry for `*.DOMAIN`.
        '';
      };
      enableACME = mkOption {
        type = types.bool;
        default = false;
        description = ''
          Get a certificate from Let's Encrypt for the domain and for each cache. As no DNS provider is asked, a new cache
          means a new certificate; {option}`services.cache-server.nginx.useACMEHost` is for wildcard certificates.
        '';
      };
      useACMEHost = mkOption {
        type = types.nullOr types.str;
        default = null;
        example = "cache.example.org";
        description = "Entry of {option}`security.acme.certs` with a certificate for the domain and `*.DOMAIN`.";
      };
    };
  };

  config = lib.mkIf cfg.enable { environment.systemPackages = [ cfg.package ]; };
}
