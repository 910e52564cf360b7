# The hook that Nix runs after each build. It only notes down what was built, as Nix waits for it; services push that later.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  cfg = config.services.cache-server-client;
  inherit (import ./places.nix) queueOf;
  quote = import ../lib/quote.nix { inherit lib; };
  pushedTo = lib.attrNames (lib.filterAttrs (_: cache: cache.push) cfg.caches);

  ours = "/etc/cache-server-client/post-build-hook";
  hook = pkgs.writeScript "cache-server-client-post-build-hook" (
    ''
      #!/bin/sh
      # Notes down for the services cache-server-client-push-* what was built. Nix gives up building when a hook fails.
      set -f
      # Nix 2.8 leaves OUT_PATHS empty.
      for path in ''${OUT_PATHS:-$(${config.nix.package}/bin/nix-store --query --outputs "$DRV_PATH")}; do
        for queue in ${toString (map queueOf pushedTo)}; do
          ${pkgs.coreutils}/bin/ln -sfn "$path" "$queue/''${path##*/}" || echo "cache-server-client: $path will not be pushed by way of $queue" >&2
        done
      done
    ''
    + lib.optionalString (cfg.postBuildHooks != [ ]) ''
      set -e
      ${lib.concatMapStringsSep "\n" (other: quote "${other}") cfg.postBuildHooks}
    ''
  );
in
{
  config = lib.mkIf (pushedTo != [ ]) {
    nix.settings.post-build-hook = lib.mkDefault ours;
    environment.etc."cache-server-client/post-build-hook".source = hook;

    assertions = [
      {
        assertion = config.nix.settings.post-build-hook == ours;
        message = "services.cache-server-client: with the `post-build-hook` ${config.nix.settings.post-build-hook}, nothing that is built would be pushed. Give that program to `services.cache-server-client.postBuildHooks` instead of `nix.settings`.";
      }
    ];
  };
}
