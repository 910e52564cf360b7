# Opens a port that another program had when its socket was started. The daemon tries again by itself, but cannot with
# `privateNetwork`, and systemd opens no socket for a service that runs. So systemd starts this unit when a socket fails: it
# waits until the port is free and restarts the daemon. The other sockets stay, so their clients are not refused.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  cfg = config.services.cache-server;
in
{
  config = lib.mkIf cfg.enable {
    systemd.services."cache-server-reopen@" = {
      description = "Port %i of the Nix binary cache, once it is free";
      # If the socket fails for another reason, the daemon is restarted only a few times.
      unitConfig = {
        StartLimitIntervalSec = "1h";
        StartLimitBurst = 5;
      };
      path = [ pkgs.iproute2 ];
      scriptArgs = "%i";
      script = ''
        while [ -n "$(ss --no-header --listening --tcp --numeric "sport = :$1")" ]; do
          sleep 5
        done
        systemctl --no-block try-restart cache-server.service
      '';
      serviceConfig = import ../lib/hardening.nix { privateNetwork = false; } // {
        Type = "exec";
        RestrictAddressFamilies = [
          "AF_UNIX"
          "AF_NETLINK"
        ];
      };
    };
  };
}
