# services.cache-server-client: a machine that fetches from binary caches, private ones as well, and pushes what it builds.
#
# What systemd does is in netrc.nix and push.nix; darwin.nix is the same for launchd.
{
  imports = [
    ./options.nix
    ./hook.nix
    ./netrc.nix
    ./push.nix
  ];
}
