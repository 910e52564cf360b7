# A machine without the module pushes what it builds, by the files for other systems than NixOS.
let
  read = name: builtins.readFile (../../packaging/client + "/${name}");
in
{
  name = "cache-server-plain-client";

  nodes = {
    client = {
      imports = [ ../lib/offline.nix ];
      environment.etc = {
        # As text, because the store takes no `@` in names.
        "plain/cache-server-push@.service".text = read "cache-server-push@.service";
        "plain/cache-server-push@.path".text = read "cache-server-push@.path";
        "plain/post-build-hook" = {
          source = ../../packaging/client/post-build-hook;
          mode = "0755";
        };
        "plain/push.sh".source = ../../nixos-module/client/push.sh;
        "system.nix".source = ../lib/closure.nix;
      };
    };

    server = {
      imports = [ ../../nixos-module ];
      services.cache-server = {
        enable = true;
        settings = {
          server = {
            hostname = "0.0.0.0";
            standalone = true;
            audit-log = "/var/log/cache-server/audit.jsonl";
          };
          caches.main.access = "private";
        };
        firewall.caches = true;
      };
    };
  };

  testScript = builtins.readFile ./test.py;
}
