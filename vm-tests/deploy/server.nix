{
  services.cache-server = {
    enable = true;
    settings = {
      server.standalone = true;
      caches.main.access = "private";
      workspaces.production.cache = "main";
      agents.webserver.workspace = "production";
    };
    nginx = {
      enable = true;
      domain = "cache.example.org";
    };
    openFirewall = true;
  };
}
