# One cache for each strategy, over the same three disks, of which the first fills up.
let
  storages = share: {
    a = {
      root = "/mnt/a";
      max-size = "4 MiB";
      split = share 50;
    };
    b = {
      root = "/mnt/b";
      split = share 30;
    };
    c = {
      root = "/mnt/c";
      split = share 20;
    };
  };
  cache = port: strategy: {
    inherit port;
    storage-strategy = strategy;
    storages = storages (percent: if strategy == "split" then percent else null);
  };
in
{
  name = "cache-server-strategies";

  nodes.server = {
    imports = [
      ../../nixos-module
      ../lib/offline.nix
    ];
    services.cache-server = {
      enable = true;
      settings = {
        server.standalone = true;
        caches = {
          round = cache 8081 "round-robin";
          order = cache 8082 "in-order";
          split = cache 8083 "split";
          least = cache 8084 "least-used";
        };
      };
    };
  };

  testScript = builtins.readFile ./test.py;
}
