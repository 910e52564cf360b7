# The least: one public cache for everybody who can reach the machine.
{
  services.cache-server = {
    enable = true;
    settings = {
      server = {
        hostname = "0.0.0.0";
        standalone = true;
      };
      caches.main = { };
    };
    firewall.api = true;
  };
}
