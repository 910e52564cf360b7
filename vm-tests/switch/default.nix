# `nixos-rebuild switch` to configurations with other ports and addresses, while clients read from a port that stays.
#
# Where there are no virtual machines, ../runner/switch.py decides about units as the switch-to-configuration of NixOS does.
{
  name = "cache-server-switch";

  nodes = {
    client.environment.etc."load".source = ../upgrade/load;

    server =
      { lib, pkgs, ... }:
      {
        # It takes a port.
        environment.systemPackages = [ pkgs.python3 ];
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
        };
        networking.firewall.allowedTCPPorts = [
          5000
          5100
          8080
          8081
          8085
          8090
          8180
        ];
        specialisation = {
          # A cache is added that has a port of its own.
          added.configuration.services.cache-server.settings.caches.second.port = 8081;
          # Two ports change, and one of them is that of the API.
          moved.configuration.services.cache-server.settings = {
            server.server-port = 5100;
            caches.second.port = 8090;
          };
          # The port of the first cache changes, for which no cache says a word.
          default.configuration.services.cache-server.settings.server.default-port = 8180;
          # A port that something else has.
          busy.configuration.services.cache-server.settings.caches.second.port = 8085;
          # Everything but the admin socket changes.
          local.configuration.services.cache-server.settings.server.hostname = lib.mkForce "localhost";
        };
      };
  };

  testScript = builtins.readFile ./test.py;
}
