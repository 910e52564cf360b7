# Ports that may be reached from outside.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  cfg = config.services.cache-server;
  rendering = import ./rendering.nix { inherit lib pkgs cfg; };
  inherit (cfg) openFirewall;
in
{
  config = lib.mkIf cfg.enable {
    networking.firewall = {
      allowedTCPPorts =
        lib.optional openFirewall.api (rendering.server "server-port")
        ++ lib.optional openFirewall.deploy (rendering.server "deploy-port")
        ++ lib.optionals openFirewall.caches (lib.attrValues rendering.cachePorts);
      allowedUDPPorts = lib.optional openFirewall.dht (rendering.server "dht-port");
    };
  };
}
