# All packages of a nixpkgs.
{
  nixpkgs,
  system ? "x86_64-linux",
}:
let
  # A copy of nixpkgs may lack generated files of many megabytes. What needs them here is not looked at.
  lacksHaskell =
    !(builtins.pathExists (nixpkgs + "/pkgs/development/haskell-modules/hackage-packages.nix"));
  withoutHaskell =
    _: previous:
    let
      linter = previous.hello // {
        compiler.bootstrapAvailable = true;
      };
    in
    {
      cachix = previous.hello;
      shellcheck = linter;
      shellcheck-minimal = linter;
      nixfmt = linter;
      nixfmt-tree = linter;
    };
  # The scenarios take a Garage that is younger than some versions of nixpkgs.
  withGarage = _: previous: { garage_2 = previous.garage_2 or previous.garage; };
in
import nixpkgs {
  inherit system;
  config = { };
  overlays = [ withGarage ] ++ (if lacksHaskell then [ withoutHaskell ] else [ ]);
}
