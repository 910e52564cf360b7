# Cachix Deploy: a machine takes a system that was pushed to a private cache, goes back when one fails, and gets later what it
# was told while it was off.
#
# server.nix is what docs/src/nixos.md shows. The agent is a stand-in for that of cachix (see ../lib/agent.py), and the systems are
# small ones; what differs from `services.cachix-agent` is what they activate.
{
  name = "cache-server-deploy";

  nodes = {
    server.imports = [
      ../../nixos-module
      ./server.nix
    ];

    webserver =
      { pkgs, lib, ... }:
      {
        networking.hosts."192.168.1.1" = [
          "cache.example.org"
          "main.cache.example.org"
        ];
        nix.settings.substituters = lib.mkForce [ ];
        environment.etc."agent.py".source = ../lib/agent.py;

        systemd.services.agent = {
          description = "Agent of Cachix Deploy";
          wantedBy = [ "multi-user.target" ];
          path = [ pkgs.nix ];
          environment.HOME = "/root";
          serviceConfig = {
            ExecStart = "${pkgs.python3}/bin/python3 /etc/agent.py http://cache.example.org webserver /var/lib/secrets/agent-token /nix/var/nix/profiles/deployed";
            # Until its token is there.
            Restart = "always";
            RestartSec = "1s";
          };
          unitConfig.StartLimitIntervalSec = 0;
        };
      };
  };

  testScript = builtins.readFile ./test.py;
}
