# Machines that are built in unusual ways: each only has to evaluate.
{
  configure,
  lib,
  nixpkgs,
  pkgs,
}:
let
  server = ./machines/simple.nix;
  client = ./configurations/client.nix;
  has = name: builtins.pathExists (nixpkgs + "/nixos/modules/${name}.nix");
  profile = name: nixpkgs + "/nixos/modules/profiles/${name}.nix";
in
lib.mapAttrs (_: configure) {
  container = [
    server
    {
      boot.isContainer = true;
      fileSystems = lib.mkForce { };
    }
  ];
  inside-a-container = [
    {
      containers.cache.config = {
        imports = [
          ../.
          server
        ];
        nixpkgs.pkgs = pkgs;
        system.stateVersion = lib.trivial.release;
      };
    }
  ];
  minimal = [
    server
    client
    (profile "minimal")
  ];
  perlless = [
    server
    (profile "perlless")
  ];
  nftables = [
    server
    { networking.nftables.enable = true; }
  ];
  users-by-systemd = [
    ./configurations/storages.nix
    {
      systemd.sysusers.enable = true;
      users.mutableUsers = false;
      users.allowNoPasswordLogin = true;
    }
  ];
  fixed-users = [
    ./configurations/storages.nix
    {
      users.mutableUsers = false;
      users.allowNoPasswordLogin = true;
    }
  ];
  overlay-etc = [
    server
    client
    {
      system.etc.overlay.enable = true;
      systemd.sysusers.enable = true;
      boot.initrd.systemd.enable = true;
    }
  ];
  imported-twice = [
    server
    ../server
    ../client
    ../.
  ];
  not-the-client = [
    server
    { disabledModules = [ ../client ]; }
  ];
  without-nix = [
    client
    { nix.enable = false; }
  ];
  for-another-processor = [
    server
    {
      nixpkgs.pkgs = lib.mkForce pkgs.pkgsCross.aarch64-multiplatform;
    }
  ];
  own-virtual-host = [
    ./configurations/nginx.nix
    {
      services.cache-server.nginx = {
        locations."= /robots.txt".return = "200 'Disallow: /'";
        extraConfig = "add_header X-Robots-Tag none;";
        serverAliases = [ "nix.example.org" ];
        http2 = false;
      };
    }
  ];
  # What somebody says of the same host elsewhere.
  shared-virtual-host = [
    ./configurations/nginx.nix
    {
      services.cache-server.openFirewall = true;
      services.cache-server.nginx = {
        listen = [
          {
            addr = "0.0.0.0";
            port = 8443;
            ssl = true;
          }
          { addr = "unix:/run/nginx/cache.sock"; }
        ];
        # Older ones take another package for it.
        quic = lib.versionAtLeast lib.trivial.release "26.05";
      };
      services.nginx = {
        recommendedProxySettings = true;
        recommendedTlsSettings = true;
        recommendedOptimisation = true;
        recommendedGzipSettings = true;
        clientMaxBodySize = "1m";
        virtualHosts."cache.example.org" = {
          http2 = false;
          locations."/".proxyPass = "http://127.0.0.1:5000";
          locations."= /robots.txt".return = "200 'Disallow: /'";
          serverAliases = [ "nix.example.org" ];
        };
        virtualHosts."www.example.org".root = "/srv/www";
      };
    }
  ];
  https-by-acme = [
    {
      services.cache-server = {
        enable = true;
        useACMEHost = "cache.example.org";
        settings = {
          server = {
            hostname = "::";
            server-port = 443;
            standalone = true;
          };
          caches.main.tls = {
            certificate = "/var/lib/acme/main.example.org/fullchain.pem";
            key = "/var/lib/acme/main.example.org/key.pem";
          };
        };
        openFirewall = true;
      };
      security.acme.certs."cache.example.org" = {
        domain = "*.cache.example.org";
        dnsProvider = "manual";
      };
    }
  ];
  https-by-files = [
    server
    {
      services.cache-server.settings = {
        server.tls = {
          certificate = ../../vm-tests/lib/offline.nix; # any file
          key = "/run/secrets/my key 100%.pem";
        };
      };
    }
  ];
  odd-places = [
    {
      services.cache-server = {
        enable = true;
        environmentFile = "/run/secrets/my environment";
        adminGroup = "wheel";
        settings = {
          server = {
            standalone = true;
            state-dir = "/srv/my state";
            admin-socket = "/run/cache server/100%.sock";
            audit-log = "/srv/the log/100%/audit.jsonl";
            database = "sqlite:///srv/catalog/cache.sqlite";
          };
          caches.main.storages = {
            "a disk".root = "/mnt/a disk";
            "50%".root = "/mnt/50%";
            "home".root = "/home/cache/$HOME";
          };
        };
      };
    }
  ];
  many-caches = [
    {
      services.cache-server = {
        enable = true;
        settings = {
          server = {
            hostname = "2001:db8::1";
            server-port = 80;
            standalone = true;
            metrics-address = "[::1]:9105";
          };
          caches = lib.genAttrs (map (number: "cache-${toString number}") (lib.range 1 30)) (name: {
            port = 20000 + lib.toInt (lib.removePrefix "cache-" name);
            access = "private";
          });
        };
        openFirewall = true;
      };
    }
  ];
  a-name-to-listen-on = [
    {
      services.cache-server = {
        enable = true;
        privateNetwork = false;
        settings = {
          server = {
            hostname = "cache.internal";
            standalone = true;
          };
          caches.main = { };
        };
        openFirewall = true;
      };
    }
  ];
  several-copies = [
    server
    {
      services.cache-server.settings.caches.main = {
        copies = 2;
        copies-before-answer = 1;
        storages = {
          one.root = "/mnt/one";
          two.root = "/mnt/two";
        };
      };
    }
  ];
  traced = [
    server
    {
      systemd.services.cache-server.environment.OTEL_EXPORTER_OTLP_ENDPOINT = "http://localhost:4318";
    }
  ];
  jobs-with-tokens-of-their-own = [
    server
    {
      services.cache-server.settings.oidc = [
        {
          name = "gitlab";
          issuer = "https://gitlab.com";
          audience = "https://cache.example.org";
          rules = [
            {
              claims.namespace_path = "acme";
              caches = "main";
            }
          ];
        }
      ];
    }
  ];
  own-certificate = [
    ./machines/wildcard.nix
    {
      services.cache-server.nginx = {
        useACMEHost = lib.mkForce null;
        onlySSL = true;
        sslCertificate = "/var/lib/secrets/certificate.pem";
        sslCertificateKey = "/var/lib/secrets/key.pem";
      };
    }
  ];
  with-its-database = [
    server
    {
      services.cache-server.settings.server.database =
        "postgres://cache-server@%2Frun%2Fpostgresql/cache-server";
      services.postgresql = {
        enable = true;
        ensureDatabases = [ "cache-server" ];
        ensureUsers = [
          {
            name = "cache-server";
            ensureDBOwnership = true;
          }
        ];
      };
    }
  ];
}
# What older versions of nixpkgs lack.
// lib.optionalAttrs (has "services/system/userborn") {
  users-by-userborn = configure [
    ./configurations/storages.nix
    { services.userborn.enable = true; }
  ];
}
// lib.optionalAttrs (pkgs ? lix) {
  another-implementation-of-nix = configure [
    client
    { nix.package = pkgs.lix; }
  ];
}
