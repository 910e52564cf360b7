# services.cache-server: the daemon with its configuration file, unit, sockets, firewall and reverse proxy.
#
# options.nix says what can be set and storages.nix how storages are; rendering.nix makes the file of it, which
# assertions.nix judges as far as evaluation can; the rest is about the machine around the daemon.
{
  imports = [
    ./options.nix
    ./assertions.nix
    ./file.nix
    ./service.nix
    ./sockets.nix
    ./users.nix
    ./firewall.nix
    ./nginx.nix
  ];
}
