# The catalog is lost and made anew from the files, or brought back from a backup.
{
  name = "cache-server-recovery";

  nodes.server = {
    imports = [
      ../../nixos-module
      ../lib/offline.nix
    ];
    services.cache-server = {
      enable = true;
      settings = {
        server.standalone = true;
        caches.main = { };
      };
    };
    environment.etc."system.nix".source = ../lib/closure.nix;
  };

  testScript = builtins.readFile ./test.py;
}
