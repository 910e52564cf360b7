{
  services.cache-server = {
    enable = true;
    settings = {
      server = {
        hostname = "0.0.0.0";
        public-url = "http://node2.example.org:5000";
        dht-bootstrap-host = [ "node1.example.org" ];
        dht-network-key-file = "/var/lib/secrets/cache-network-key";
      };
      caches.main = { };
    };
    openFirewall = true;
  };
}
