# Evaluates the modules of a machine without NixOS: with nixpkgs' library, and stand-ins for the rest.
{ lib }:
let
  pkgs = import ./pkgs.nix { inherit lib; };

  evaluate =
    modules:
    let
      inherit
        (lib.evalModules {
          specialArgs = {
            inherit pkgs;
            modulesPath = toString ./modules;
          };
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
      # Another configuration that the machine can be switched to, in a folder of its own, as NixOS has it.
      specialised = lib.concatMapAttrs (
        name: other:
        let
          machine = evaluate (
            modules
            ++ [
              other.configuration
              { specialisation = lib.mkForce { }; }
            ]
          );
        in
        if machine.refusals != [ ] then
          throw (toString machine.refusals)
        else
          lib.mapAttrs' (file: lib.nameValuePair "/specialisation/${name}${file}") machine.files
      ) config.specialisation;
    in
    {
      inherit config options;
      # What NixOS would refuse to build for.
      refusals = map (assertion: assertion.message) (
        lib.filter (assertion: !assertion.assertion) config.assertions
      );
      files = import ./files.nix { inherit lib config; } // specialised;
    };
in
evaluate
