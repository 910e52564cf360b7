# Option `settings`: the configuration file of the daemon, with an option for each of its keys.
{
  lib,
  pkgs,
  ...
}:
let
  inherit (lib) mkOption types;
  keys = import ../keys { inherit lib pkgs; };
  inherit (import ./named.nix { inherit lib; }) namedOf;

  # A section whose entries refer to one of another section.
  referring =
    what: key: entry:
    namedOf { inherit what; } (
      types.submodule {
        freeformType = keys.yaml.type;
        options.${key} = mkOption {
          type = types.str;
          inherit (entry) description example;
        };
      }
    );
in
{
  options.services.cache-server.settings = mkOption {
    default = { };
    example = {
      server.public-url = "https://cache.example.org";
      caches.internal.access = "private";
    };
    description = ''
      The configuration file of the daemon, key by key. Keys without an option are passed on unchanged. The daemon checks the
      whole file while the system is built, so a mistake fails {command}`nixos-rebuild`.

      Caches, workspaces, agents and storages are lists in the file. Here they are attribute sets by name, so that several modules
      can add to them. Lists whose entries have a `name` are accepted, too.
    '';
    type = types.submodule {
      freeformType = keys.yaml.type;
      options = {
        server = mkOption {
          type = keys.section keys.server { };
          default = { };
          example = {
            public-url = "https://cache.example.org";
            key-file = "/run/secrets/cache-server-key";
          };
          description = "What concerns the daemon as a whole.";
        };

        caches = mkOption {
          type = namedOf { what = "cache"; } (
            keys.section keys.cache {
              storages = import ./storages.nix { inherit lib keys; };
              upstreams = import ./upstreams.nix { inherit lib keys; };
            }
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
          type = referring "workspace" "cache" keys.workspace.cache;
          default = { };
          example.production.cache = "main";
          description = "Groups of machines for Cachix Deploy, by name.";
        };

        agents = mkOption {
          type = referring "agent" "workspace" keys.agent.workspace;
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
      };
    };
  };
}
