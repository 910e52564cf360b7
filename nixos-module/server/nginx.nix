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
in
{
  config = lib.mkIf (cfg.enable && cfg.nginx.enable) {
    services.cache-server.server.public-url = lib.mkDefault "${
      if encrypted then "https" else "http"
    }://${domain}";

    services.nginx = {
      enable = true;
      virtualHosts.${domain} = {
        # Without a DNS provider Let's Encrypt certifies no wildcards.
        serverAliases =
          if enableACME then
            map (name: "${name}.${domain}") (lib.attrNames rendering.enabledCaches)
          else
            [ "*.${domain}" ];
        inherit enableACME useACMEHost;
        forceSSL = encrypted;

        locations."/" = {
          proxyPass = "http://${address}:${toString (rendering.server "server-port")}";
          proxyWebsockets = true; # agents of Cachix Deploy
          recommendedProxySettings = false; # these here are all that it takes
          extraConfig = ''
            # Caches are told apart by their host names.
            proxy_set_header Host $http_host;
            proxy_set_header X-Real-IP $remote_addr;
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            proxy_set_header X-Forwarded-Proto $scheme;
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
        };
      };
    };
  };
}
