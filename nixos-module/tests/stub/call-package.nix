# `callPackage` as nixpkgs has it: every argument of a file is filled by the package of its name, arguments with a default
# included.
{ pkgs }:
file: arguments:
let
  make = import file;
in
make (builtins.intersectAttrs (builtins.functionArgs make) pkgs // arguments)
