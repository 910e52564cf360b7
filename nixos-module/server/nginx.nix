# nginx in front of the daemon, with the settings that pushes and deployments need.
{
  config,
  lib,
  pkgs,
  modulesPath,
  ...
}:
let
  inherit (lib) mkDefault mkOption types;
  cfg = config.services.cache-server;
  rendering = import ./rendering.nix { inherit lib pkgs cfg; };

  vhostOptions = import "${modulesPath}/services/web-servers/nginx/vhost-options.nix" {
    inherit config lib;
  };
  isEncrypted = host: host.forceSSL || host.addSSL || host.onlySSL;

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

  # The options with all their defaults, which give way where `services.nginx.virtualHosts` says something else.
  yielding = lib.mapAttrs (
    name: value:
    if lib.isAttrs value && !lib.isDerivation value then
      yielding value
    else if lib.isList value || name == "extraConfig" then
      value
    else
      mkDefault value
  );

  # What a virtual host in front of the daemon has to be.
  host =
    { config, ... }:
    {
      options = {
        enable = lib.mkEnableOption "nginx in front of the daemon";

        domain = mkOption {
          type = types.str;
          example = "cache.example.org";
          description = ''
            Name of the server. Caches are served below it as `NAME.DOMAIN`, so that the DNS needs an entry for `*.DOMAIN`.
          '';
        };
      };

      config = lib.mkIf config.enable {
        # Without a DNS provider Let's Encrypt certifies no wildcards.
        serverAliases =
          if config.enableACME then
            map (name: "${name}.${config.domain}") (lib.attrNames rendering.enabledCaches)
          else
            [ "*.${config.domain}" ];

        forceSSL = mkDefault (
          (config.enableACME || config.useACMEHost != null) && !config.addSSL && !config.onlySSL
        );

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
in
{
  options.services.cache-server.nginx = mkOption {
    type = types.submodule [
      vhostOptions
      host
    ];
    default = { };
    example = {
      enable = true;
      domain = "cache.example.org";
      enableACME = true;
    };
    description = ''
      nginx in front of the daemon: a virtual host for `domain` and the caches below it, with the settings that pushes and
      deployments need. All options of a virtual host are available here, to add to these settings or to override them.

      `enableACME` gets one certificate for the domain and all caches from Let's Encrypt. Each new cache needs a new
      certificate, as wildcards take a DNS provider. `useACMEHost` uses an entry of {option}`security.acme.certs` instead, which
      has to be for the domain and for `*.DOMAIN`. With either of them, clients are redirected to https.
    '';
  };

  config = lib.mkIf (cfg.enable && cfg.nginx.enable) {
    services.cache-server.settings.server.public-url = mkDefault "${
      if isEncrypted cfg.nginx then "https" else "http"
    }://${cfg.nginx.domain}";

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

      virtualHosts.${cfg.nginx.domain} = yielding (
        removeAttrs cfg.nginx [
          "enable"
          "domain"
        ]
      );
    };
  };
}
