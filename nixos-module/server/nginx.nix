# nginx in front of the daemon, with the settings that pushes and deployments need.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  cfg = config.services.cache-server;
  rendering = import ./rendering.nix { inherit lib pkgs cfg; };
  inherit (cfg.nginx) domain enableACME useACMEHost;

  encrypted = enableACME || useACMEHost != null;
  hostname = rendering.server "hostname";
  # nginx is on the same machine.
  address =
    if
      lib.elem hostname [
        "0.0.0.0"
        "::"
        "localhost"
      ]
    then
      "127.0.0.1"
    else if lib.hasInfix ":" hostname then
      "[${hostname}]"
    else
      hostname;

  # What agents of Cachix Deploy and those who follow a deployment connect to.
  websockets = [
    "= /ws"
    "= /ws-deployment"
    "/api/v1/deploy/log/"
  ];

  proxied =
    settings:
    settings
    // {
      proxyPass = "http://cache-server";
      recommendedProxySettings = false; # these here are all that it takes
      extraConfig = ''
        # Caches are told apart by their host names. The header as the client sent it may be no host name at all, and NixOS
        # builds no system that passes it on.
        proxy_set_header Host $host:$server_port;
        proxy_set_header X-Real-IP $remote_addr;
        proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
        proxy_set_header X-Forwarded-Proto $scheme;
      ''
      + settings.extraConfig or "";
    };
in
{
  config = lib.mkIf (cfg.enable && cfg.nginx.enable) {
    services.cache-server.settings.server.public-url = lib.mkDefault "${
      if encrypted then "https" else "http"
    }://${domain}";

    services.nginx = {
      enable = true;

      upstreams.cache-server = {
        servers."${address}:${toString (rendering.server "server-port")}" = { };
        # The daemon closes connections that were idle for a minute. nginx has to be the first, as a push that meets a
        # connection just being closed cannot be sent again.
        extraConfig = ''
          keepalive 32;
          keepalive_timeout 30s;
        '';
      };

      virtualHosts.${domain} = {
        # Without a DNS provider Let's Encrypt certifies no wildcards.
        serverAliases =
          if enableACME then
            map (name: "${name}.${domain}") (lib.attrNames rendering.enabledCaches)
          else
            [ "*.${domain}" ];
        inherit enableACME useACMEHost;
        forceSSL = encrypted;

        extraConfig = ''
          # NARs have any size. They go straight through: the daemon verifies them as they come, and sends them no faster
          # than they are taken.
          client_max_body_size 0;
          proxy_request_buffering off;
          proxy_buffering off;
          proxy_max_temp_file_size 0;
          # Agents are silent for long, and the end of a large push takes a while to verify.
          proxy_read_timeout 1h;
          proxy_send_timeout 1h;
          client_body_timeout 5m;
        '';

        locations = {
          # Requests share connections to the daemon, which only websockets cannot.
          "/" = proxied {
            extraConfig = ''
              proxy_http_version 1.1;
              proxy_set_header Connection "";
            '';
          };
        }
        // lib.genAttrs websockets (_: proxied { proxyWebsockets = true; });
      };
    };
  };
}
