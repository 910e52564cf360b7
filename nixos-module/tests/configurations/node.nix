# One of several nodes that find each other by the DHT, with machines to deploy to.
{
  services.cache-server = {
    enable = true;
    settings = {
      server = {
        hostname = "cache-2.example.org";
        public-url = "https://cache-2.example.org";
        database = "postgres://cache-server@db.example.org/cache-server";
        database-password-file = "/run/secrets/cache-database-password";
        dht-bootstrap-host = [ "cache-1.example.org" ];
        audit-log = "/srv/audit/cache-server.jsonl";
        dht-network-key-file = "/run/secrets/cache-network-key";
      };
      caches.main.priority = 20;
      workspaces.production.cache = "main";
      agents = {
        webserver.workspace = "production";
        database.workspace = "production";
      };
    };
    openFirewall = true;
  };
}
