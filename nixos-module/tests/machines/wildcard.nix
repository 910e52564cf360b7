# Behind nginx with a certificate for all names below the domain.
{
  services.cache-server = {
    enable = true;
    settings = {
      server = {
        hostname = "127.0.0.1";
        standalone = true;
      };
      caches.main.upstreams = [ "https://cache.nixos.org" ];
    };
    nginx = {
      enable = true;
      domain = "cache.example.org";
      useACMEHost = "cache.example.org";
    };
  };
}
