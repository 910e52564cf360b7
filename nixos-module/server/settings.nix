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

  # Rules in the order in which they are tried. Several modules can add to them.
  rulesOf = keysOfRule: types.listOf (keys.section keysOfRule { });
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
          type = namedOf { what = "workspace"; } (keys.section keys.workspace { });
          default = { };
          example.production.cache = "main";
          description = "Groups of machines for Cachix Deploy, by name.";
        };

        agents = mkOption {
          type = namedOf { what = "agent"; } (keys.section keys.agent { });
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

        oidc = mkOption {
          type = namedOf { what = "OpenID provider"; } (
            keys.section keys.oidc {
              rules = mkOption {
                type = rulesOf keys.oidc-rule;
                example = [
                  {
                    claims.repository = "acme/*";
                    caches = [ "main" ];
                  }
                ];
                description = "Which of its tokens permit what; the first rule that fits decides.";
              };
            }
          );
          default = { };
          example.github = {
            issuer = "https://token.actions.githubusercontent.com";
            audience = "https://cache.example.org";
            rules = [
              {
                claims.repository = "acme/*";
                caches = [ "main" ];
              }
            ];
          };
          description = ''
            OpenID providers whose tokens open caches, by name: CI jobs push without a secret. Their tokens are accepted as they
            are, or exchanged for one of this server that lasts longer.
          '';
        };

        client-certificates = mkOption {
          type = rulesOf keys.client-certificate;
          default = [ ];
          example = [
            {
              claims.dns = "*.builders.example.org";
              caches = [ "main" ];
            }
          ];
          description = ''
            What TLS certificates of clients permit; the first rule that fits decides. `server.tls.client-authorities` says whose
            certificates count. If a request has a token as well, the token decides.
          '';
        };
      };
    };
  };
}
