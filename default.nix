# For use without flakes:
#   the package     nix-build
#   the module      imports = [ "${cache-server}/nixos-module" ];
{
  pkgs ? import <nixpkgs> { },
}:
pkgs.callPackage ./package.nix { }
