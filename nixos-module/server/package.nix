# The package, where nixpkgs has none.
{
  config,
  lib,
  pkgs,
  ...
}:
{
  config = lib.mkIf config.services.cache-server.enable {
    services.cache-server.package = lib.mkDefault (
      pkgs.cache-server or (pkgs.callPackage ../../package.nix { })
    );
  };
}
