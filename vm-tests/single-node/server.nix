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
  };
  networking.firewall.allowedTCPPorts = [
    80
    443
  ];
  users.users.operator.extraGroups = [ "cache-server-admin" ];
}
