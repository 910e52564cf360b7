# Ports that may be reached from outside.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib) mkOption types;
  cfg = config.services.cache-server;
  rendering = import ./rendering.nix { inherit lib pkgs cfg; };
  inherit (cfg) openFirewall firewall;

  listensOutside =
    !lib.elem (rendering.server "hostname") [
      "localhost"
      "127.0.0.1"
      "::1"
    ];

  # Those of the virtual host, if it names them.
  nginxPorts =
    if cfg.nginx.listen == [ ] then
      [
        80
        443
      ]
    else
      lib.unique (
        map (listen: if listen.port == null then 80 else listen.port) (
          lib.filter (listen: !lib.hasPrefix "unix:" listen.addr) cfg.nginx.listen
        )
      );

  # `openFirewall` was a set of choices once.
  isOld = lib.isAttrs openFirewall;
  choice =
    name: isUseful: defaultText: description:
    mkOption {
      type = types.bool;
      default = if isOld then openFirewall.${name} or false else openFirewall && isUseful;
      defaultText = lib.literalExpression "config.services.cache-server.openFirewall${defaultText}";
      description = "Whether to let ${description} through the firewall.";
    };
  unlessLocal = " && config.services.cache-server.settings.server.hostname != \"localhost\"";
in
{
  options.services.cache-server = {
    openFirewall = mkOption {
      type = types.either types.bool (types.attrsOf types.bool) // {
        description = "boolean";
      };
      default = false;
      description = ''
        Whether to open the ports of this service in the firewall. With nginx in front, these are 80 and 443, or those of
        `nginx.listen`. Otherwise they
        are those of the daemon, unless it listens on the loopback address only. The port of the DHT is opened unless
        `settings.server.standalone` is set. {option}`services.cache-server.firewall` decides about each of them.
      '';
    };

    firewall = {
      nginx =
        choice "nginx" cfg.nginx.enable " && config.services.cache-server.nginx.enable"
          "connections to nginx";
      api = choice "api" (
        listensOutside && !cfg.nginx.enable
      ) unlessLocal "TCP connections to `settings.server.server-port`";
      caches = choice "caches" (
        listensOutside && !cfg.nginx.enable
      ) unlessLocal "TCP connections to the ports of the enabled caches";
      deploy = choice "deploy" (
        listensOutside && !cfg.nginx.enable
      ) unlessLocal "TCP connections to `settings.server.deploy-port`";
      dht =
        choice "dht" (rendering.server "standalone" != true)
          " && !config.services.cache-server.settings.server.standalone"
          "UDP packets to `settings.server.dht-port`";
    };
  };

  config = lib.mkIf cfg.enable {
    warnings = lib.optional isOld "services.cache-server: `openFirewall` is true or false now; its choices are those of `services.cache-server.firewall`";

    networking.firewall = {
      allowedTCPPorts =
        lib.optionals firewall.nginx nginxPorts
        ++ lib.optional firewall.api (rendering.server "server-port")
        ++ lib.optional firewall.deploy (rendering.server "deploy-port")
        ++ lib.optionals firewall.caches (lib.attrValues rendering.cachePorts);
      allowedUDPPorts =
        lib.optional firewall.dht (rendering.server "dht-port")
        # HTTP/3.
        ++ lib.optional (firewall.nginx && cfg.nginx.quic) 443;
    };
  };
}
