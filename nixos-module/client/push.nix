# Pushes what is built here: the post-build hook of Nix only notes it down, a service for each cache does the work, so that a
# cache that is away holds up no other.
{
  config,
  lib,
  ...
}:
let
  cfg = config.services.cache-server-client;
  inherit (import ./urls.nix { inherit lib; }) pushUrl;
  pushedTo = lib.filterAttrs (_: cache: cache.push) cfg.caches;

  # The notes are links to the paths in a directory of roots, which keeps the paths from garbage collection until they are
  # pushed.
  queues = "/nix/var/nix/gcroots/cache-server-client";
  queueOf = name: "${queues}/${name}";
  unitOf = name: "cache-server-client-push-${name}";

  forEach = make: lib.mapAttrs' make pushedTo;
in
{
  config = lib.mkIf (pushedTo != { }) {
    nix.settings.post-build-hook = "/etc/cache-server-client/post-build-hook";

    # Nix waits for the hook, and gives up building when it fails.
    environment.etc."cache-server-client/post-build-hook" = {
      mode = "0755";
      text = ''
        #!/bin/sh
        # Notes down for ${unitOf "*"}.service what was built.
        set -f
        # Nix 2.8 leaves OUT_PATHS empty.
        for path in ''${OUT_PATHS:-$(nix-store --query --outputs "$DRV_PATH")}; do
          for cache in ${toString (lib.attrNames pushedTo)}; do
            ln -sfn "$path" "${queues}/$cache/''${path##*/}" || echo "cache-server-client: $path will not be pushed to $cache" >&2
          done
        done
      '';
    };

    systemd.tmpfiles.settings."10-cache-server-client" = forEach (
      name: _:
      lib.nameValuePair (queueOf name) {
        d = {
          user = "root";
          group = "root";
          mode = "0755";
        };
      }
    );

    systemd.paths = forEach (
      name: _:
      lib.nameValuePair (unitOf name) {
        description = "Watch for what is to be pushed to the binary cache ${name}";
        wantedBy = [ "multi-user.target" ];
        pathConfig.DirectoryNotEmpty = queueOf name;
      }
    );

    systemd.services = forEach (
      name: cache:
      lib.nameValuePair (unitOf name) {
        description = "Push what was built to the binary cache ${name}";
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
          CacheDirectory = "cache-server-client/${name}";
        };
        # Paths go together, so that their closures are looked at once; a batch has a bound for the sake of the command line.
        # Nix remembers for 30 days that a cache had a path, and would not push again what was deleted there since.
        script = ''
          export XDG_CACHE_HOME="$CACHE_DIRECTORY"
          cd ${queueOf name}
          while
            set --
            for note in *; do
              if [ -e "$note" ]; then set -- "$@" "$note"; else rm -f -- "$note"; fi
              [ $# -lt 200 ] || break
            done
            [ $# -gt 0 ]
          do
            nix --extra-experimental-features nix-command copy --option narinfo-cache-positive-ttl 0 --to ${lib.escapeShellArg (pushUrl cache.url)} "''${@/#//nix/store/}"
            rm -- "$@"
          done
        '';
      }
    );
  };
}
