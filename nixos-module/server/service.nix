# The unit of the daemon.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  cfg = config.services.cache-server;
  rendering = import ./rendering.nix { inherit lib pkgs cfg; };
  unitText = import ../lib/unit-text.nix { inherit lib; };

  stateDir = rendering.server "state-dir";
  inherit (rendering) outside;

  usesHome = lib.any (path: builtins.match "/(home|root|run/user)/.*" path != null) outside;

  # One dead disk of several is the daemon's to cope with; without its only one a cache is better not there at all.
  rootsOf =
    cache:
    lib.filter (root: lib.elem root rendering.localRoots) (
      map (storage: storage.root) (rendering.storagesOf cache)
    );
  caches = lib.attrValues rendering.enabledCaches;
  indispensable = lib.concatMap rootsOf (
    lib.filter (cache: lib.length (rendering.storagesOf cache) == 1) caches
  );
  required = lib.unique (
    lib.optional (stateDir != null) stateDir ++ rendering.databaseDirectory ++ indispensable
  );
  wanted = lib.subtractLists required rendering.localRoots;

  # Traces are sent to where the environment says.
  sendsTraces = lib.any (lib.hasPrefix "OTEL_") (
    lib.attrNames config.systemd.services.cache-server.environment
  );
in
{
  config = lib.mkIf cfg.enable {
    services.cache-server.privateNetwork = lib.mkDefault (!rendering.callsOthers && !sendsTraces);

    systemd.services.cache-server = {
      description = "Nix binary cache";
      documentation = [ "man:cachectl(1)" ];
      wantedBy = [ "multi-user.target" ];
      # Its sockets (sockets.nix) are only wanted: where one cannot be opened, the daemon serves the others.
      after = [
        "network-online.target"
      ]
      # The target is that of its users and databases, and younger than the service.
      ++ lib.optionals (config.services.postgresql.enable or false) [
        "postgresql.service"
        "postgresql.target"
      ];
      wants = [ "network-online.target" ];

      unitConfig = {
        # Started again for as long as it takes, when a database is late or a disk is away.
        StartLimitIntervalSec = 0;
        RequiresMountsFor = map unitText.word required;
        # Unknown to systemd before 256, which ignores it.
        WantsMountsFor = map unitText.word wanted;
      };

      # There is no RuntimeDirectory=: the admin socket is in the directory of the socket unit, out of the daemon's reach.

      # Stopped and started in one go, so that clients wait for as short as can be.
      stopIfChanged = false;

      # What the daemon cannot change while it runs takes a restart, as do changes of the unit itself: other secrets,
      # other directories.
      restartTriggers = [
        (builtins.hashString "sha256" (
          builtins.toJSON (rendering.keys.withoutReloadable rendering.keys.server rendering.settings.server)
        ))
      ];
      reloadTriggers = [ config.environment.etc."cache-server/config.yaml".source ];

      serviceConfig =
        import ../lib/hardening.nix {
          inherit (cfg) privateNetwork;
          inherit usesHome;
          # Threads that work for the web pages lower their own priority.
          systemCalls = [ "setpriority" ];
        }
        // {
          Type = "notify";
          ExecStart = "${lib.getExe' cfg.package "cache-server"} --config /etc/cache-server/config.yaml";
          # Waits until it is done, and fails when something is wrong with the file. With all rights, as the daemon's own user
          # need not be one of those who may use the socket.
          ExecReload = "+${lib.getExe' cfg.package "cachectl"} --socket ${unitText.argument (rendering.server "admin-socket")} reload";
          WatchdogSec = "60s";
          Restart = "on-failure";
          RestartSec = "2s";
          # Running transfers may end; the daemon itself knows when it has waited enough.
          TimeoutStopSec = if cfg.settings.server.drain-timeout == null then "2min" else "infinity";
          # The first start after an update may have a catalog to bring up to date.
          TimeoutStartSec = "10min";
          LimitNOFILE = 65536;

          # The user is the one of users.nix where there is one.
          DynamicUser = true;
          User = "cache-server";
          Group = "cache-server";
          StateDirectory = "cache-server";
          StateDirectoryMode = "0750";
          ReadWritePaths = map (path: unitText.word "-${path}") outside;
          LoadCredential = map ({ name, file }: "${name}:${unitText.whole file}") rendering.credentials;
        }
        // lib.optionalAttrs rendering.logsToItsDirectory {
          LogsDirectory = "cache-server";
          LogsDirectoryMode = "0750";
        }
        // lib.optionalAttrs (cfg.environmentFile != null) {
          EnvironmentFile = unitText.whole cfg.environmentFile;
        };
    };

    # A directory that is there already keeps what is in it.
    systemd.tmpfiles.settings."10-cache-server" = lib.genAttrs (map unitText.whole outside) (_: {
      d = {
        user = "cache-server";
        group = "cache-server";
        mode = "0750";
      };
    });
  };
}
