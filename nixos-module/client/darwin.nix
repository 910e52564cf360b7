# services.cache-server-client on nix-darwin: launchd does what systemd does on NixOS.
{
  config,
  lib,
  ...
}:
let
  cfg = config.services.cache-server-client;
  scripts = import ./scripts.nix { inherit lib; };
  inherit (import ./places.nix) netrc queueOf;
  quote = import ../lib/quote.nix { inherit lib; };

  withToken = lib.filterAttrs (_: cache: cache.tokenFile != null) cfg.caches;
  pushedTo = lib.filterAttrs (_: cache: cache.push) cfg.caches;

  tokenOf = _: cache: quote cache.tokenFile;
  log = name: "/var/log/cache-server-client-${name}.log";
in
{
  imports = [
    ./options.nix
    ./hook.nix
  ];

  config = lib.mkIf (cfg.caches != { }) {
    launchd.daemons =
      lib.optionalAttrs (withToken != { }) {
        cache-server-client-netrc = {
          script = ''
            set -euo pipefail
            umask 077
            mkdir -p ${dirOf netrc}
          ''
          # A token that is not there yet is waited for.
          + lib.concatStrings (lib.mapAttrsToList (name: cache: "test -s ${tokenOf name cache}\n") withToken)
          + scripts.netrc {
            directory = dirOf netrc;
            caches = withToken;
            inherit tokenOf;
            others = map quote cfg.netrcFiles;
          };
          serviceConfig = {
            RunAtLoad = true;
            KeepAlive.SuccessfulExit = false;
            WatchPaths = lib.mapAttrsToList (_: cache: cache.tokenFile) withToken ++ cfg.netrcFiles;
            StandardErrorPath = log "netrc";
          };
        };
      }
      // lib.mapAttrs' (
        name: cache:
        lib.nameValuePair "cache-server-client-push-${name}" {
          path = [
            config.nix.package
            "/usr/bin"
            "/bin"
          ];
          environment = {
            NIX_REMOTE = "daemon";
            HOME = "/var/root";
          };
          script = ''
            set -euo pipefail
          ''
          + scripts.push {
            queue = queueOf name;
            inherit cache;
          };
          # launchd starts it for as long as there is something in the queue, ten seconds apart.
          serviceConfig = {
            QueueDirectories = [ (queueOf name) ];
            StandardErrorPath = log "push-${name}";
          };
        }
      ) pushedTo;

    system.activationScripts.extraActivation.text = lib.concatMapStrings (name: ''
      mkdir -p ${queueOf name}
    '') (lib.attrNames pushedTo);
  };
}
