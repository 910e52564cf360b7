# Behind nginx with certificates of Let's Encrypt.
{
  services.cache-server = {
    enable = true;
    settings = {
      server.standalone = true;
      caches = {
        main = { };
        internal.access = "private";
      };
    };
    nginx = {
      enable = true;
      domain = "cache.example.org";
      enableACME = true;
    };
  };
}
