# Five nodes that find each other's paths by the DHT: the first of them dies, the network is cut in two and heals, one comes
# late, and what is private stays so.
#
# node.nix is what docs/src/nixos.md shows, the second of the nodes. The others differ in their names, the first also in that it has
# nobody to enter the network through.
let
  numbers = [
    1
    2
    3
    4
    5
  ];
  names = number: [
    "node${toString number}.example.org"
    "main.node${toString number}.example.org"
    "secret.node${toString number}.example.org"
  ];
  node =
    number:
    { lib, ... }:
    {
      imports = [
        ../../nixos-module
        ./node.nix
        ../lib/offline.nix
      ];
      services.cache-server.settings = {
        caches.secret.access = "private";
        server = {
          public-url = lib.mkForce "http://node${toString number}.example.org:5000";
          dht-bootstrap-host = lib.mkIf (number == 1) (lib.mkForce [ ]);
        };
      };
      environment.etc."test-only/network-key".text = "a test of five nodes, and of nothing that matters";
      networking.hosts = builtins.listToAttrs (
        map (other: {
          name = "192.168.1.${toString other}";
          value = names other;
        }) numbers
      );
    };
in
{
  name = "cache-server-federation";

  nodes = builtins.listToAttrs (
    map (number: {
      name = "node${toString number}";
      value = node number;
    }) numbers
  );

  testScript = builtins.readFile ./test.py;
}
