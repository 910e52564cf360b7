# Configurations that are refused, each with what has to be in the message.
let
  machine = options: {
    services.cache-server = {
      enable = true;
      settings.caches.main = { };
    }
    // options;
  };
  server =
    settings:
    machine {
      settings = {
        caches.main = { };
      }
      // settings;
    };
  cache = settings: server { caches.main = settings; };
  client = settings: { services.cache-server-client.caches.main = settings; };
in
{
  a-secret-in-the-store = {
    throws = true;
    module = server { server.key-file = "/nix/store/00000000000000000000000000000000-key"; };
    message = "services.cache-server.settings.server.key-file' is not of type `null or absolute path not in the Nix store'";
  };
  a-secret-by-a-path-literal = {
    throws = true;
    module = cache { signing-key-file = ./wrong.nix; };
    message = "services.cache-server.settings.caches.main.signing-key-file' is not of type";
  };
  an-environment-in-the-store = {
    throws = true;
    module = machine { environmentFile = ./wrong.nix; };
    message = "services.cache-server.environmentFile' is not of type";
  };
  a-secret-in-the-file = {
    module = server { server.key = "hunter2"; };
    message = "`server.key` would be in the Nix store, where everybody may read it. Use `server.key-file`.";
  };
  a-token-in-the-file = {
    module = server { server.metrics-token = "hunter2"; };
    message = "`server.metrics-token` would be in the Nix store, where everybody may read it. Use `server.metrics-token-file`.";
  };
  an-s3-key-in-the-file = {
    module = cache {
      storages.s3 = {
        type = "s3";
        s3_bucket = "cache";
        s3_region = "eu-central-1";
        s3_access_key = "AKIA";
        s3_secret_key_file = "/run/secrets/s3";
      };
    };
    message = "`caches.main.storages.s3.s3_access_key` would be in the Nix store";
  };
  half-of-an-s3-key = {
    module = cache {
      storages.s3 = {
        type = "s3";
        s3_bucket = "cache";
        s3_region = "eu-central-1";
        s3_secret_key_file = "/run/secrets/s3";
      };
    };
    message = "`s3_access_key_file` and `s3_secret_key_file` belong together";
  };
  s3-without-a-place = {
    module = cache {
      storages.s3 = {
        type = "s3";
        s3_bucket = "cache";
      };
    };
    message = "needs an `s3_region` (AWS) or an `s3_endpoint`";
  };
  s3-without-a-bucket = {
    module = cache {
      storages.s3 = {
        type = "s3";
        s3_region = "eu-central-1";
      };
    };
    message = "caches.main.storages.s3: a storage on S3 needs an `s3_bucket`";
  };
  a-password-in-the-database-url = {
    module = server { server.database = "postgres://cache:hunter2@db/cache"; };
    message = "the password in `server.database` would be in the Nix store";
  };
  a-password-among-the-parameters = {
    module = server { server.database = "postgres://cache@db/cache?password=hunter2"; };
    message = "the password in `server.database` would be in the Nix store";
  };
  a-directory-that-others-need = {
    module = server { server.audit-log = "/var/log/cache-audit.jsonl"; };
    message = "`/var/log` would belong to the daemon alone, and others need it";
  };
  a-root-that-others-need = {
    module = cache { storages.one.root = "/mnt"; };
    message = "`/mnt` would belong to the daemon alone, and others need it";
  };
  shares-that-do-not-sum-to-100 = {
    module = cache {
      storage-strategy = "split";
      storages = {
        one = {
          root = "/one";
          split = 30;
        };
        two = {
          root = "/two";
          split = 60;
        };
      };
    };
    message = "caches.main: the shares (`split`) of the storages sum to 90 instead of 100";
  };
  a-share-that-is-missing = {
    module = {
      services.cache-server = {
        enable = true;
        settings.server.default-storage-strategy = "split";
        settings.caches.main.storages = [
          {
            name = "one";
            root = "/one";
            split = 100;
          }
          {
            name = "two";
            root = "/two";
          }
        ];
      };
    };
    message = "with the strategy `split` each storage needs a `split`; missing in two";
  };
  ports-that-clash = {
    module = cache { port = 5000; };
    message = "port 5000 is taken by server.server-port and caches.main.port";
  };
  two-storages-of-one-name = {
    throws = true;
    module = cache {
      storages = [
        {
          name = "one";
          root = "/one";
        }
        {
          name = "one";
          root = "/two";
        }
      ];
    };
    message = "two storages are called `one`";
  };
  a-storage-without-a-name = {
    throws = true;
    module = cache { storages = [ { root = "/one"; } ]; };
    message = "a storage has no `name`";
  };
  a-storage-without-a-root = {
    module = cache { storages.one = { }; };
    message = "caches.main.storages.one: a local storage needs a `root`";
  };
  a-cache-with-a-name-that-no-host-has = {
    module = server { caches."My Cache" = { }; };
    message = "`My Cache` cannot be the name of a cache";
  };
  no-cache = {
    module = {
      services.cache-server.enable = true;
    };
    message = "there is nothing to serve";
  };
  a-workspace-of-a-cache-that-is-not-there = {
    module = server { workspaces.production.cache = "mian"; };
    message = "workspaces.production: there is no cache `mian`";
  };
  an-agent-of-a-workspace-that-is-not-there = {
    module = server { agents.webserver.workspace = "production"; };
    message = "agents.webserver: there is no workspace `production`";
  };
  a-signing-key-where-clients-sign = {
    module = cache {
      signing = "client";
      signing-key-file = "/run/secrets/main";
    };
    message = "with `signing = \"client\"` the server signs nothing";
  };
  a-state-directory-beside-the-file = {
    throws = true;
    module = server { server.state-dir = "state"; };
    message = "services.cache-server.settings.server.state-dir' is not of type";
  };
  a-word-that-is-none = {
    throws = true;
    module = cache { storage-strategy = "round-robbin"; };
    message = "services.cache-server.settings.caches.main.storage-strategy' is not of type";
  };
  a-name-to-listen-on-without-network = {
    module = server {
      server = {
        hostname = "cache.example.org";
        standalone = true;
      };
    };
    message = "`server.hostname` is a name, which systemd cannot listen on";
  };
  a-low-port-of-a-name = {
    module = server {
      server = {
        hostname = "cache.example.org";
        server-port = 80;
      };
    };
    message = "the daemon may not open ports below 1024";
  };
  a-rule-for-a-cache-that-is-not-there = {
    module = server {
      oidc.github = {
        issuer = "https://token.actions.githubusercontent.com";
        audience = "https://cache.example.org";
        rules = [
          {
            claims.repository = "acme/*";
            caches = [ "mian" ];
          }
        ];
      };
    };
    message = "oidc.github: a rule opens the cache `mian`, which is not there";
  };
  a-provider-without-an-audience = {
    throws = true;
    module = server {
      oidc.github = {
        issuer = "https://token.actions.githubusercontent.com";
        rules = [ ];
      };
    };
    message = "services.cache-server.settings.oidc.github.audience' ";
  };
  a-key-of-tls-in-the-store = {
    throws = true;
    module = server { server.tls.key = ./wrong.nix; };
    message = "services.cache-server.settings.server.tls.key' is not of type";
  };
  https-behind-nginx = {
    module = machine {
      settings = {
        caches.main = { };
        server.tls = {
          certificate = "/run/secrets/certificate.pem";
          key = "/run/secrets/key.pem";
        };
      };
      nginx = {
        enable = true;
        domain = "cache.example.org";
      };
    };
    message = "nginx speaks HTTPS in front of the daemon, and plain HTTP with it";
  };
  two-kinds-of-certificates = {
    module = machine {
      nginx = {
        enable = true;
        domain = "cache.example.org";
        enableACME = true;
        useACMEHost = "example.org";
      };
    };
    message = "`nginx.enableACME` and `nginx.useACMEHost` exclude each other";
  };
  a-certificate-for-nobody = {
    module = machine { nginx.enableACME = true; };
    message = "certificates are for nginx; set `nginx.enable`";
  };
  pushing-without-a-token = {
    module = client {
      url = "https://main.cache.example.org";
      push = true;
    };
    message = "pushing takes a token; give each cache with `push` a `tokenFile`";
  };
  a-token-in-the-store = {
    throws = true;
    module = client {
      url = "https://main.cache.example.org";
      tokenFile = ./wrong.nix;
    };
    message = "services.cache-server-client.caches.main.tokenFile' is not of type";
  };
  two-tokens-for-one-host = {
    module = {
      services.cache-server-client.caches = {
        one = {
          url = "https://cache.example.org/api/v1/cache/one";
          tokenFile = "/run/secrets/one";
        };
        two = {
          url = "https://cache.example.org/api/v1/cache/two";
          tokenFile = "/run/secrets/two";
        };
      };
    };
    message = "Nix knows one password for a host, and cache.example.org has several";
  };
  a-url-of-another-kind = {
    throws = true;
    module = client {
      url = "s3://bucket";
      publicKey = "main.cache.example.org-1:6NCHdD59X431o0gWypbMrAURkbJ16ZPMQFGspcDShjY=";
    };
    message = "services.cache-server-client.caches.main.url' is not of type";
  };
  a-client-cache-with-an-odd-name = {
    module.services.cache-server-client.caches."my cache".url = "https://cache.example.org";
    message = "`my cache` cannot be the name of a cache";
  };
  passwords-that-nix-would-not-find = {
    module = {
      services.cache-server-client.caches.main = {
        url = "https://main.cache.example.org";
        tokenFile = "/run/secrets/token";
      };
      nix.settings.netrc-file = "/etc/nix/netrc";
    };
    message = "with the `netrc-file` /etc/nix/netrc, Nix would not find the tokens. Give that file to `services.cache-server-client.netrcFiles`";
  };
  a-hook-that-would-push-nothing = {
    module = {
      services.cache-server-client.caches.main = {
        url = "https://main.cache.example.org";
        tokenFile = "/run/secrets/token";
        push = true;
      };
      nix.settings.post-build-hook = "/etc/nix/upload";
    };
    message = "with the `post-build-hook` /etc/nix/upload, nothing that is built would be pushed. Give that program to `services.cache-server-client.postBuildHooks`";
  };
}
