# What systemd starts for a port that another program has: once it is free, the daemon gets it by a restart, which the clients
# of its other ports do not notice. The daemon tries again by itself, but cannot where `privateNetwork` cuts it off.
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
      # A port that cannot be opened for another reason restarts the daemon a few times only.
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
