# HTTPS without a web server: by files that root alone may read, and by files of a group that are renewed while the daemon runs.
{
  name = "cache-server-https";

  nodes =
    let
      server =
        { pkgs, ... }:
        {
          imports = [ ../../nixos-module ];
          environment.systemPackages = [ pkgs.openssl ];
          services.cache-server = {
            enable = true;
            settings = {
              server = {
                hostname = "0.0.0.0";
                server-port = 443;
                standalone = true;
                tls.client-authorities = "/var/lib/certificates/authority.pem";
                tls.certificate = "/var/lib/certificates/server.pem";
                tls.key = "/var/lib/certificates/server-key.pem";
              };
              caches.main.access = "private";
              client-certificates = [
                {
                  claims.cn = "builder";
                  caches = [ "main" ];
                }
              ];
            };
            openFirewall = true;
          };
        };
    in
    {
      client =
        { pkgs, ... }:
        {
          imports = [ ../lib/offline.nix ];
          environment.systemPackages = [ pkgs.openssl ];
        };

      files = {
        imports = [ server ];
        services.cache-server.settings.server.public-url = "https://files";
      };

      group = {
        imports = [ server ];
        services.cache-server.settings.server.public-url = "https://group";
        services.cache-server.certificateGroup = "certificates";
        users.groups.certificates = { };
      };
    };

  testScript = builtins.readFile ./test.py;
}
