{
  services.cache-server = {
    enable = true;
    server = {
      standalone = true;
      hostname = "0.0.0.0";
      public-url = "http://cache.example.org:5000";
    };
    caches.main.access = "private";
    workspaces.production.cache = "main";
    agents.webserver.workspace = "production";
    openFirewall.api = true;
  };
}
