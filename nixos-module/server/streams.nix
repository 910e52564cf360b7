# The addresses that systemd opens for the daemon, each with a socket unit of its own.
#
# A running system changes no socket: `nixos-rebuild switch` leaves a `.socket` unit whose file has changed as it is. It does
# start units that are new and stops those that are gone. Hence the name of each unit says all that is in it: what changes
# gets another unit, and what stays keeps its unit, its queue and the clients in it.
{
  lib,
  pkgs,
  cfg,
}:
let
  rendering = import ./rendering.nix { inherit lib pkgs cfg; };
  inherit (rendering) server;
  unitText = import ../lib/unit-text.nix { inherit lib; };

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

  # Where Prometheus finds the metrics.
  metrics = server "metrics-address";
  portOf = stream: lib.last (lib.splitString ":" stream);

  common = {
    # To the daemon, however often it failed.
    TriggerLimitIntervalSec = 0;
    Backlog = 4096;
  };
  forPort = common // {
    # The address may be one that the machine is yet to get.
    FreeBind = true;
  };
  forAdmin = common // {
    SocketMode = server "admin-socket-mode";
    SocketGroup =
      if server "admin-socket-group" == null then cfg.adminGroup else server "admin-socket-group";
    DirectoryMode = "0755";
  };

  # systemd does not try again by itself, and opens no socket of a service that runs. See reopen.nix.
  whenTaken = port: { OnFailure = "cache-server-reopen@${port}.service"; };

  unit =
    what: stream: unitConfig: socketConfig:
    let
      content = {
        listenStreams = [ (unitText.whole stream) ];
        socketConfig = socketConfig // {
          Service = "cache-server.service";
        };
        inherit unitConfig;
      };
      hash = builtins.substring 0 8 (builtins.hashString "sha256" (builtins.toJSON content));
    in
    lib.nameValuePair "cache-server-${what}-${hash}" (
      content
      // {
        description = "Socket of the Nix binary cache: ${unitText.whole stream}";
        wantedBy = [ "sockets.target" ];
      }
    );
in
{
  inherit addresses ports;

  # By name, as `systemd.sockets` takes them.
  units = lib.listToAttrs (
    [ (unit "admin" (server "admin-socket") { } forAdmin) ]
    ++ lib.optional (metrics != null) (unit "metrics" metrics (whenTaken (portOf metrics)) forPort)
    ++ lib.concatMap (
      port:
      map (
        address: unit (toString port) "${address}:${toString port}" (whenTaken (toString port)) forPort
      ) addresses
    ) ports
  );
}
