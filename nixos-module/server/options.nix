# What can be set.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib) mkOption mkEnableOption types;
  keys = import ../keys { inherit lib pkgs; };
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

    server = mkOption {
      type = keys.section keys.server { };
      default = { };
      example = {
        public-url = "https://cache.example.org";
        key-file = "/run/secrets/cache-server-key";
      };
      description = "Section `server` of the configuration file: what concerns the daemon as a whole.";
    };

    caches = mkOption {
      type = types.attrsOf (
        keys.section keys.cache { storages = import ./storages.nix { inherit lib keys; }; }
      );
      default = { };
      example = {
        main = { };
        internal.access = "private";
      };
      description = ''
        The caches by name: 1 to 63 letters a-z, digits and hyphens.

        A cache that is removed here is no longer served. Its data stays until {command}`cachectl cache delete` removes it.
      '';
    };

    workspaces = mkOption {
      type = types.attrsOf (
        types.submodule {
          freeformType = keys.yaml.type;
          options.cache = mkOption {
            type = types.str;
            inherit (keys.workspace.cache) description example;
          };
        }
      );
      default = { };
      example.production.cache = "main";
      description = "Groups of machines for Cachix Deploy, by name.";
    };

    agents = mkOption {
      type = types.attrsOf (
        types.submodule {
          freeformType = keys.yaml.type;
          options.workspace = mkOption {
            type = types.str;
            inherit (keys.agent.workspace) description example;
          };
        }
      );
      default = { };
      example.webserver.workspace = "production";
      description = ''
        Machines that take deployments, by name. Such a machine runs

            services.cachix-agent = {
              enable = true;
              host = "https://cache.example.org";
              credentialsFile = "/run/secrets/cachix-agent-token";
            };

        where the file says `CACHIX_AGENT_TOKEN=` with a token of {command}`cachectl agent token NAME`.
      '';
    };

    settings = mkOption {
      inherit (keys.yaml) type;
      default = { };
      description = ''
        More of the configuration file, laid over the rest: for keys that have no option. Unknown keys make the build of
        the system fail.
      '';
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

    openFirewall = {
      api = mkEnableOption "TCP connections to `server.server-port` in the firewall";
      caches = mkEnableOption "TCP connections to the ports of the enabled caches in the firewall";
      deploy = mkEnableOption "TCP connections to `server.deploy-port` in the firewall";
      dht = mkEnableOption "UDP packets to `server.dht-port` in the firewall";
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
