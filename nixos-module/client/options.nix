# The options of a machine that uses binary caches, and what Nix is told; the same on NixOS and on nix-darwin.
{
  config,
  lib,
  ...
}:
let
  inherit (lib) mkOption types;
  cfg = config.services.cache-server-client;

  caches = lib.attrValues cfg.caches;
  withToken = lib.filter (cache: cache.tokenFile != null) caches;
  pushedTo = lib.filter (cache: cache.push) caches;

  inherit (import ./urls.nix { inherit lib; }) hostOf;
  inherit (import ./places.nix) netrc;
in
{
  options.services.cache-server-client = {
    caches = mkOption {
      type = types.attrsOf (
        types.submodule {
          options = {
            url = mkOption {
              type = types.strMatching "https?://[^/' ]+(/[^' ]*)?|[^/:' ]+(:[0-9]+)?(/[^' ]*)?" // {
                description = "URL with http or https, or without either";
              };
              apply = url: if lib.hasInfix "://" url then url else "https://${url}";
              example = "https://main.cache.example.org";
              description = "Where the cache is, by default with https. {command}`cachectl cache info NAME` says it.";
            };
            publicKey = mkOption {
              type = types.nullOr types.str;
              default = null;
              example = "main.cache.example.org-1:6NCHdD59X431o0gWypbMrAURkbJ16ZPMQFGspcDShjY=";
              description = ''
                Key that Nix shall trust. Needed for fetching, so that a cache without one is only pushed to.
              '';
            };
            tokenFile = mkOption {
              type = types.nullOr (import ../lib/external-path.nix { inherit lib; });
              default = null;
              example = "/run/secrets/cache-token";
              description = ''
                File with the token for reading a private cache, or for pushing, as made by
                {command}`cachectl token create`. Nix gets it as the password for the host of the `url`.
              '';
            };
            push = mkOption {
              type = types.bool;
              default = false;
              description = ''
                Push whatever is built on this machine. Builds do not wait for it; what could not be pushed is kept from garbage
                collection and pushed later.
              '';
            };
          };
        }
      );
      default = { };
      example.main = {
        url = "https://main.cache.example.org";
        publicKey = "main.cache.example.org-1:6NCHdD59X431o0gWypbMrAURkbJ16ZPMQFGspcDShjY=";
        tokenFile = "/run/secrets/cache-token";
        push = true;
      };
      description = "Binary caches that this machine uses, by any name of letters, digits, hyphens and underscores.";
    };

    netrcFiles = mkOption {
      type = types.listOf (import ../lib/external-path.nix { inherit lib; });
      default = [ ];
      example = [ "/run/secrets/netrc" ];
      description = ''
        More files with passwords, in the format of Nix's `netrc-file`. Nix reads a single one, which this module makes if one of
        the caches has a token. What is in these files comes behind the tokens.
      '';
    };

    postBuildHooks = mkOption {
      type = types.listOf types.path;
      default = [ ];
      example = lib.literalExpression "[ (pkgs.writeShellScript \"log-build\" \"logger \\\"built $OUT_PATHS\\\"\") ]";
      description = ''
        More programs to run after each build, in this order. Nix has a single `post-build-hook`, which this module sets if it
        pushes to a cache. Its hook runs these programs with the same environment. If one of them fails, Nix stops building, as
        it does for any hook.
      '';
    };
  };

  config = lib.mkIf (cfg.caches != { }) {
    nix.settings = {
      substituters = map (cache: cache.url) (lib.filter (cache: cache.publicKey != null) caches);
      trusted-public-keys = lib.filter (key: key != null) (map (cache: cache.publicKey) caches);
      # What a cache is for: be found soon after it was pushed.
      narinfo-cache-negative-ttl = lib.mkDefault 60;
    }
    // lib.optionalAttrs (withToken != [ ]) { netrc-file = lib.mkDefault netrc; };

    warnings =
      let
        unencrypted = lib.filter (cache: lib.hasPrefix "http://" cache.url) withToken;
        warning = url: "services.cache-server-client: the token for ${url} is sent unencrypted; use https";
      in
      map (cache: warning cache.url) unencrypted;

    assertions = [
      {
        assertion = withToken == [ ] || config.nix.settings.netrc-file == netrc;
        message = "services.cache-server-client: with the `netrc-file` ${
          toString config.nix.settings.netrc-file or ""
        }, Nix would not find the tokens. Give that file to `services.cache-server-client.netrcFiles` instead of `nix.settings`.";
      }
      {
        assertion = lib.all (cache: cache.tokenFile != null) pushedTo;
        message = "services.cache-server-client: pushing takes a token; give each cache with `push` a `tokenFile`.";
      }
    ]
    ++ map (name: {
      # Units, credentials and directories are called by it.
      assertion = builtins.match "[a-zA-Z0-9_][a-zA-Z0-9_-]*" name != null;
      message = "services.cache-server-client: `${name}` cannot be the name of a cache: only letters, digits, hyphens and underscores. It need not be the name that the server has for it.";
    }) (lib.attrNames cfg.caches)
    ++ lib.mapAttrsToList (host: users: {
      assertion = lib.length users == 1;
      message = "services.cache-server-client: Nix knows one password for a host, and ${host} has several caches with tokens here. Use their own host names, NAME.HOST, as `url`.";
    }) (lib.groupBy (cache: hostOf cache.url) withToken);
  };
}
