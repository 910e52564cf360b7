# Pushes what is built here: the post-build hook of Nix only notes it down, a service does the work.
{
  config,
  lib,
  ...
}:
let
  cfg = config.services.cache-server-client;
  pushedTo = lib.filterAttrs (_: cache: cache.push) cfg.caches;

  # The notes are links to the paths in a directory of roots, which keeps the paths from garbage collection until they are
  # pushed.
  queue = "/nix/var/nix/gcroots/cache-server-client";
in
{
  config = lib.mkIf (pushedTo != { }) {
    nix.settings.post-build-hook = "/etc/cache-server-client/post-build-hook";

    # Nix waits for the hook, and gives up building when it fails.
    environment.etc."cache-server-client/post-build-hook" = {
      mode = "0755";
      text = ''
        #!/bin/sh
        # Notes down for cache-server-client-push.service what was built.
        set -f
        # Nix 2.8 leaves OUT_PATHS empty.
        for path in ''${OUT_PATHS:-$(nix-store --query --outputs "$DRV_PATH")}; do
          ln -sfn "$path" "${queue}/''${path##*/}" || echo "cache-server-client: $path will not be pushed" >&2
        done
      '';
    };

    systemd.tmpfiles.settings."10-cache-server-client".${queue}.d = {
      user = "root";
      group = "root";
      mode = "0755";
    };

    systemd.paths.cache-server-client-push = {
      description = "Watch for what is to be pushed to binary caches";
      wantedBy = [ "multi-user.target" ];
      pathConfig.DirectoryNotEmpty = queue;
    };

    systemd.services.cache-server-client-push = {
      description = "Push what was built to binary caches";
      after = [
        "network-online.target"
        "cache-server-client-netrc.service"
      ];
      wants = [ "network-online.target" ];
      requires = [ "cache-server-client-netrc.service" ];
      path = [ config.nix.package ];
      serviceConfig = {
        Type = "oneshot";
        # A cache that is away is tried again, for as long as it takes.
        Restart = "on-failure";
        RestartSec = "10s";
        ProtectHome = true;
        PrivateTmp = true;
        NoNewPrivileges = true;
        CacheDirectory = "cache-server-client";
      };
      # Paths go together, so that their closures are looked at once; a batch has a bound for the sake of the command line.
      script = ''
        export XDG_CACHE_HOME="$CACHE_DIRECTORY"
        cd ${queue}
        while
          set --
          for note in *; do
            if [ -e "$note" ]; then set -- "$@" "$note"; else rm -f -- "$note"; fi
            [ $# -lt 200 ] || break
          done
          [ $# -gt 0 ]
        do
      ''
      + lib.concatStrings (
        lib.mapAttrsToList (_: cache: ''
          nix --extra-experimental-features nix-command copy --to ${lib.escapeShellArg cache.url} "''${@/#//nix/store/}"
        '') pushedTo
      )
      + ''
          rm -- "$@"
        done
      '';
    };
  };
}
