# Evaluates the modules of a machine without NixOS: with nixpkgs' library, and stand-ins for the rest.
{ lib }:
let
  pkgs = import ./pkgs.nix { inherit lib; };
in
modules:
let
  inherit
    (lib.evalModules {
      specialArgs = { inherit pkgs; };
      modules = [
        ./options.nix
        ../..
        { nix.package = pkgs.nix; }
      ]
      ++ modules;
    })
    config
    options
    ;
in
{
  inherit config options;
  # What NixOS would refuse to build for.
  refusals = map (assertion: assertion.message) (
    lib.filter (assertion: !assertion.assertion) config.assertions
  );
  files = import ./files.nix { inherit lib config; };
}
