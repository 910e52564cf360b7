# One server behind nginx, a machine that pushes what it builds, and one that fetches its system from the cache.
#
# server.nix and builder.nix are what docs/src/nixos.md shows; here is what makes them testable: a key that is known before the
# server has started, names that no DNS has, and something to build.
let
  names = {
    networking.hosts."192.168.1.3" = [
      "cache.example.org"
      "main.cache.example.org"
    ];
  };
in
{
  name = "cache-server-single-node";

  nodes = {
    builder = {
      imports = [
        ../../nixos-module
        ./builder.nix
        ../lib/offline.nix
        names
      ];
      environment.etc."system.nix".source = ../lib/closure.nix;
      # A hook of its own.
      services.cache-server-client.postBuildHooks = [ "/etc/note-build" ];
      environment.etc."note-build" = {
        mode = "0755";
        text = ''
          #!/bin/sh
          echo "$DRV_PATH" >> /tmp/built
        '';
      };
    };

    client = {
      imports = [
        ../../nixos-module
        ../lib/offline.nix
        names
      ];
      services.cache-server-client.caches.main = {
        url = "http://main.cache.example.org";
        publicKey = "main.cache.example.org-1:Esmvb/xe68TWgdXXlctczTUa1FVz39yAsa+J5uwShdY=";
      };
    };

    server = {
      imports = [
        ../../nixos-module
        ./server.nix
      ];
      services.cache-server.settings.caches.main.signing-key-file = "/etc/test-only/signing-key";
      environment.etc."test-only/signing-key".text =
        "main.cache.example.org-1:7UQgGNzX4WNLqHYZNu1KLbBsr1xzuw5y2GVwa21YQk8Sya9v/F7rxNaB1deVy1zNNRrUVXPf3ICxr4nm7BKF1g==";
      users.users.operator.isNormalUser = true;
    };
  };

  testScript = builtins.readFile ./test.py;
}
