# The sockets, which systemd opens and keeps: while the daemon is restarted, clients wait instead of being refused.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  cfg = config.services.cache-server;
  rendering = import ./rendering.nix { inherit lib pkgs cfg; };
  inherit (rendering) server;

  hostname = server "hostname";
  isIPv4 = builtins.match "[0-9]+(\\.[0-9]+){3}" hostname != null;
  isIPv6 = lib.hasInfix ":" hostname;
  # systemd resolves no names. The daemon opens the ports of such a host name by itself.
  addresses =
    if hostname == "localhost" then
      [ "127.0.0.1" ]
    else if isIPv6 then
      [ "[${hostname}]" ]
    else if isIPv4 then
      [ hostname ]
    else
      [ ];

  ports = [
    (server "server-port")
    (server "deploy-port")
  ]
  ++ lib.attrValues rendering.cachePorts;
  adminSocket = server "admin-socket";
in
{
  config = lib.mkIf cfg.enable {
    services.cache-server.server.admin-socket = lib.mkDefault "/run/cache-server/admin.sock";

    systemd.sockets.cache-server = {
      description = "Sockets of the Nix binary cache";
      wantedBy = [ "sockets.target" ];
      listenStreams = [
        adminSocket
      ]
      ++ lib.concatMap (port: map (address: "${address}:${toString port}") addresses) ports;
      socketConfig = {
        # Of the admin socket.
        SocketMode = server "admin-socket-mode";
        SocketGroup =
          if server "admin-socket-group" == null then cfg.adminGroup else server "admin-socket-group";
        DirectoryMode = "0755";
        # The address may be one that the machine is yet to get.
        FreeBind = true;
        Backlog = 4096;
        # To the daemon, however often it failed.
        TriggerLimitIntervalSec = 0;
      };
    };

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
