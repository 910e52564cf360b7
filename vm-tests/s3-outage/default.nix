# A cache on S3 alone and one that has a disk to fall back to, while the S3 service dies and returns.
let
  bucket = {
    type = "s3";
    s3_bucket = "cache";
    s3_endpoint = "http://garage:3900";
    s3_region = "garage";
    s3_access_key_file = "/etc/test-only/access-key";
    s3_secret_key_file = "/etc/test-only/secret-key";
  };
in
{
  name = "cache-server-s3-outage";

  nodes = {
    garage.imports = [ ../lib/garage.nix ];

    server = {
      imports = [
        ../../nixos-module
        ../lib/offline.nix
      ];
      environment.etc = {
        "test-only/access-key".text = "GK0123456789abcdef01234567";
        "test-only/secret-key".text = "4a6f1e0c9b8d7253e1f09a4b5c6d7e8f0123456789abcdeffedcba9876543210";
      };
      services.cache-server = {
        enable = true;
        settings = {
          server.standalone = true;
          caches = {
            alone = {
              port = 8081;
              storages = [ (bucket // { name = "bucket"; }) ];
            };
            safe = {
              port = 8082;
              storage-strategy = "in-order";
              storages = [
                (bucket // { name = "bucket"; })
                {
                  name = "disk";
                  root = "storage";
                }
              ];
            };
          };
        };
      };
    };
  };

  testScript = builtins.readFile ./test.py;
}
