# The sockets, which systemd opens and keeps: while the daemon is restarted, clients wait instead of being refused.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  cfg = config.services.cache-server;
  streams = import ./streams.nix { inherit lib pkgs cfg; };
  inherit (streams) addresses ports;
in
{
  config = lib.mkIf cfg.enable {
    services.cache-server.settings.server.admin-socket = lib.mkDefault "/run/cache-server/admin.sock";

    systemd.sockets = streams.units;
    systemd.services.cache-server.serviceConfig.Sockets = map (name: "${name}.socket") (
      lib.attrNames streams.units
    );

    assertions = [
      {
        assertion = addresses != [ ] || lib.all (port: port >= 1024) ports;
        message = "services.cache-server: `server.hostname` is a name, which systemd cannot listen on, and the daemon may not open ports below 1024. Give an address.";
      }
      {
        assertion = addresses != [ ] || !cfg.privateNetwork;
        message = "services.cache-server: `server.hostname` is a name, which systemd cannot listen on, and with `privateNetwork` the daemon cannot either. Give an address, or set `privateNetwork = false`.";
      }
    ];
  };
}
