# The type of a file with a secret: an absolute path as a string, and not one in the Nix store, where everybody may read it.
{ lib }:
lib.types.externalPath or (
  # For nixpkgs before 25.05.
  lib.types.addCheck lib.types.str (
    path: lib.hasPrefix "/" path && !lib.hasPrefix builtins.storeDir path
  )
  // {
    description = "absolute path not in the Nix store";
  }
)
