# One of several daemons over one PostgreSQL database and one bucket.
{
  services.cache-server = {
    enable = true;
    settings = {
      server = {
        hostname = "0.0.0.0";
        public-url = "https://cache.example.org";
        node-url = "http://node-1.internal:5000";
        database = "postgres://cache-server@db.example.org/cache-server";
        key-file = "/run/secrets/cache-server-key";
        default-storage = "s3";
        standalone = true;
      };
      caches.main.storages.bucket = {
        s3_bucket = "cache";
        s3_region = "eu-central-1";
      };
    };
    environmentFile = "/run/secrets/cache-server-environment";
  };
}
