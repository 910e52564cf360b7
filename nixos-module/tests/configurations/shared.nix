# One of several daemons over one PostgreSQL database and one bucket; a key that has no option.
{
  services.cache-server = {
    enable = true;
    server = {
      hostname = "0.0.0.0";
      public-url = "https://cache.example.org";
      node-url = "http://node-1.internal:5000";
      database = "postgres://cache-server@db.example.org/cache-server";
      key-file = "/run/secrets/cache-server-key";
      default-storage = "s3";
    };
    environmentFile = "/run/secrets/cache-server-environment";
    caches.main.storages.bucket = {
      s3_bucket = "cache";
      s3_region = "eu-central-1";
    };
    settings.server.standalone = true;
  };
}
