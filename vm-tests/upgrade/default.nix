# The daemon is replaced while clients read and push. systemd keeps the sockets, so nobody is refused.
#
# The daemon is replaced by itself here. On a real machine `nixos-rebuild switch` restarts it the same way.
{
  name = "cache-server-upgrade";

  nodes = {
    client = {
      imports = [ ../lib/offline.nix ];
      environment.etc."load".source = ./load;
    };

    server = {
      imports = [ ../../nixos-module ];
      services.cache-server = {
        enable = true;
        settings = {
          server = {
            hostname = "0.0.0.0";
            standalone = true;
          };
          caches.main = { };
        };
        firewall = {
          api = true;
          caches = true;
        };
      };
    };
  };

  testScript = builtins.readFile ./test.py;
}
