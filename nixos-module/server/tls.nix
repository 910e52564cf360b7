# HTTPS by the daemon itself, without a web server in front of it.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib) mkDefault mkOption types;
  cfg = config.services.cache-server;
  rendering = import ./rendering.nix { inherit lib pkgs cfg; };

  host = cfg.useACMEHost;
  certificate =
    config.security.acme.certs.${host}
      or (throw "services.cache-server: there is no certificate `${host}` in `security.acme.certs`, which `useACMEHost` asks for");
  port = rendering.server "server-port";
in
{
  options.services.cache-server = {
    useACMEHost = mkOption {
      type = types.nullOr types.str;
      default = null;
      example = "cache.example.org";
      description = ''
        Certificate of {option}`security.acme.certs` with which the daemon speaks HTTPS by itself. It should be for the name of
        the server and for `*.NAME`, below which the caches are. Renewed certificates are used within seconds, without a restart.
        Without nginx something else has to answer the challenges: a `dnsProvider`, which wildcards take anyway, or `listenHTTP`.

        {option}`services.cache-server.nginx.useACMEHost` is for nginx in front of the daemon.
      '';
    };

    certificateGroup = mkOption {
      type = types.nullOr types.str;
      default = null;
      example = "acme";
      description = ''
        Group that may read the files of `settings.server.tls` and of the `tls` of caches. The daemon becomes a member of it, and
        notices by itself when a file is replaced. Without a group systemd hands the files over when the daemon starts, so that
        root alone has to be able to read them. {option}`services.cache-server.useACMEHost` sets the group.
      '';
    };
  };

  config = lib.mkIf cfg.enable (
    lib.mkMerge [
      {
        assertions = [
          {
            assertion = !(cfg.nginx.enable && cfg.settings.server.tls.certificate != null);
            message = "services.cache-server: nginx speaks HTTPS in front of the daemon, and plain HTTP with it. Give the certificate to `nginx` instead of `settings.server.tls` or `useACMEHost`, or do without `nginx.enable`.";
          }
        ];

        systemd.services.cache-server.serviceConfig = lib.mkIf (cfg.certificateGroup != null) {
          SupplementaryGroups = [ cfg.certificateGroup ];
        };
      }

      (lib.mkIf (host != null) {
        services.cache-server = {
          certificateGroup = mkDefault certificate.group;
          settings.server = {
            tls = {
              certificate = mkDefault "${certificate.directory}/fullchain.pem";
              key = mkDefault "${certificate.directory}/key.pem";
            };
            public-url = mkDefault "https://${lib.removePrefix "*." certificate.domain}${
              lib.optionalString (port != 443) ":${toString port}"
            }";
          };
        };

        # It makes a certificate of its own first where there is none yet.
        systemd.services.cache-server = {
          wants = [ "acme-${host}.service" ];
          after = [
            "acme-selfsigned-${host}.service"
            "acme-${host}.service"
          ];
        };
      })
    ]
  );
}
