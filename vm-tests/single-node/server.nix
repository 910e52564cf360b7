{
  services.cache-server = {
    enable = true;
    settings = {
      server.standalone = true;
      caches.main = { };
    };
    nginx = {
      enable = true;
      domain = "cache.example.org";
    };
    openFirewall = true;
  };
  users.users.operator.extraGroups = [ "cache-server-admin" ];
}
