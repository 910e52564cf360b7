# Pushes what was built here and noted down by the hook: a service for each cache, so that a cache that is away holds up no other.
{
  config,
  lib,
  ...
}:
let
  cfg = config.services.cache-server-client;
  scripts = import ./scripts.nix { inherit lib; };
  inherit (import ./places.nix) queueOf;
  pushedTo = lib.filterAttrs (_: cache: cache.push) cfg.caches;

  unitOf = name: "cache-server-client-push-${name}";
  forEach = make: lib.mapAttrs' make pushedTo;
in
{
  config = lib.mkIf (pushedTo != { }) {
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
          "nix-daemon.socket"
          "cache-server-client-netrc.service"
        ];
        wants = [ "network-online.target" ];
        requires = [ "cache-server-client-netrc.service" ];
        path = [ config.nix.package ];
        # Its store is read-only here, and only root may read the passwords.
        environment.NIX_REMOTE = "daemon";
        serviceConfig = import ../lib/hardening.nix { privateNetwork = false; } // {
          Type = "oneshot";
          # A cache that is away is tried again, for as long as it takes.
          Restart = "on-failure";
          RestartSec = "10s";
          CacheDirectory = "cache-server-client/${name}";
          ReadWritePaths = [ (queueOf name) ];
          # Nix would like a larger stack, and does without.
          SystemCallErrorNumber = "EPERM";
        };
        script = ''
          export HOME="$CACHE_DIRECTORY" XDG_CACHE_HOME="$CACHE_DIRECTORY"
        ''
        + scripts.push {
          queue = queueOf name;
          inherit cache;
        };
      }
    );
  };
}
