# Several caches over disks and S3, with secrets, in both forms of `storages`.
{
  services.cache-server = {
    enable = true;
    settings = {
      server = {
        hostname = "::";
        public-url = "https://cache.example.org";
        key-file = "/run/secrets/cache-server-key";
        default-retention = 30;
        gc-interval = "6h";
        log.format = "json";
        metrics-address = "127.0.0.1:9105";
        metrics-token-file = "/run/secrets/cache-metrics-token";
        audit-log = "/var/log/cache-server/audit.jsonl";
        standalone = true;
        tls = {
          certificate = "/run/secrets/certificate.pem";
          key = "/run/secrets/key.pem";
          client-authorities = [ "/run/secrets/clients.pem" ];
        };
      };
      oidc.github = {
        issuer = "https://token.actions.githubusercontent.com";
        audience = "https://cache.example.org";
        rules = [
          {
            claims = {
              repository = "acme/*";
              ref = [
                "refs/heads/main"
                "refs/tags/*"
              ];
            };
            caches = [ "main" ];
            lifetime = "2h";
          }
        ];
      };
      client-certificates = [
        {
          claims.dns = "*.builders.example.org";
          caches = "internal";
          permission = "read";
        }
      ];
      caches = {
        main = {
          storage-strategy = "split";
          signing-key-file = [
            "/run/secrets/main-new"
            "/run/secrets/main-old"
          ];
          storages = [
            {
              name = "ssd";
              root = "/mnt/ssd";
              split = 30;
              max-size = "500GB";
            }
            {
              name = "hdd";
              root = "/mnt/hdd";
              split = 70;
            }
            {
              name = "off site";
              type = "s3";
              s3_bucket = "cache";
              s3_endpoint = "https://s3.example.org";
              s3_access_key_file = "/run/secrets/s3-access-key";
              s3_secret_key_file = "/run/secrets/s3-secret-key";
              draining = true;
            }
          ];
        };
        internal = {
          access = "private";
          port = 8081;
          upstreams = [
            "nixos"
            {
              url = "https://private.example.org";
              public-keys = [ "private.example.org-1:6NCHdD59X431o0gWypbMrAURkbJ16ZPMQFGspcDShjY=" ];
              lookup-timeout = "2s";
              token-file = "/run/secrets/upstream-token";
            }
            {
              url = "s3://nars?region=eu-west-1&endpoint=s3.example.org";
              public-keys = [ "nars.example.org-1:6NCHdD59X431o0gWypbMrAURkbJ16ZPMQFGspcDShjY=" ];
              s3-access-key-file = "/run/secrets/upstream-access-key";
              s3-secret-key-file = "/run/secrets/upstream-secret-key";
            }
          ];
          storage-strategy = "in-order";
          storages = {
            slow.root = "/mnt/hdd";
            fast = {
              root = "/mnt/ssd";
              order = 1;
            };
          };
        };
        # Its only disk: no disk, no daemon.
        releases = {
          compression = "xz";
          port = 8443;
          tls = {
            certificate = "/run/secrets/releases.pem";
            key = "/run/secrets/releases-key.pem";
          };
          storages.archive.root = "/mnt/archive";
        };
        # In the state directory, by both of its names.
        scratch.storages = {
          one.root = "scratch";
          two.root = "/var/lib/cache-server/more-scratch";
        };
        retired.enabled = false;
      };
    };
    firewall = {
      api = true;
      caches = true;
    };
  };
}
