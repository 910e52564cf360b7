# services.cache-server: the daemon with its configuration file, unit, sockets, firewall and reverse proxy.
#
# settings.nix has the configuration file as options and options.nix the rest of them; rendering.nix makes the file, which
# assertions.nix judges as far as evaluation can; the rest is about the machine around the daemon.
{
  imports = [
    ./options.nix
    ./settings.nix
    ./renamed.nix
    ./assertions.nix
    ./file.nix
    ./service.nix
    ./sockets.nix
    ./reopen.nix
    ./users.nix
    ./firewall.nix
    ./nginx.nix
    ./tls.nix
  ];
}
