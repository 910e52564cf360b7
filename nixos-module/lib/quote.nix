# A word for the shell, always in quotes: `lib.escapeShellArg` of a newer nixpkgs leaves them out where it can, and then each
# update of nixpkgs might change the scripts.
{ lib }:
word: "'${lib.replaceStrings [ "'" ] [ "'\\''" ] (toString word)}'"
