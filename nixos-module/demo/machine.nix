# A virtual machine with a server: `nix run .#vm`. Its ports are on this machine as well.
#
# `root` logs in without a password. The disk image is nixos.qcow2 in the working directory.
{
  imports = [ ../. ];

  services.cache-server = {
    enable = true;
    settings = {
      server = {
        hostname = "0.0.0.0";
        standalone = true;
        public-url = "http://localhost:5000";
      };
      caches.main = { };
    };
    firewall = {
      api = true;
      caches = true;
    };
  };

  virtualisation.vmVariant.virtualisation = {
    graphics = false;
    forwardPorts =
      map
        (port: {
          from = "host";
          host = {
            inherit port;
            address = "127.0.0.1";
          };
          guest.port = port;
        })
        [
          5000
          8080
        ];
  };

  services.getty.autologinUser = "root";
  users.motd = ''

    This machine serves the cache `main` on port 8080:

      cachectl cache info main
      cachectl token create --cache main --permission write --expires 1h

    poweroff ends it.
  '';

  # What any system has to have; the virtual machine replaces it.
  boot.loader.grub.enable = false;
  fileSystems."/" = {
    device = "none";
    fsType = "tmpfs";
  };
}
