# Stands in for what the modules use of nixpkgs' packages. Packages are store paths that nobody built; the files that
# derivations would make keep their text, so that it can be looked at.
{ lib }:
let
  storePath = name: "/nix/store/${lib.concatStrings (lib.replicate 32 "0")}-${name}";
  package = name: {
    type = "derivation";
    inherit name;
    outPath = storePath name;
    meta = { };
  };
  file = name: text: package name // { inherit text; };
in
rec {
  inherit lib;

  # nixpkgs knows this name: of a version control program once, and of an error message since.
  src = throw "`src` was taken from nixpkgs, where it is another package";

  cache-server = package "cache-server";
  garage_2 = package "garage";
  # What the package is made with.
  fetchgit = arguments: arguments;
  installShellFiles = package "install-shell-files";
  nix-update-script = arguments: arguments;
  nixosTests = { };

  nginx = package "nginx";
  coreutils = package "coreutils";
  iproute2 = package "iproute2";
  nix = package "nix";
  python3 = package "python3";

  # JSON is YAML.
  formats.yaml = _: {
    type =
      let
        value = lib.types.nullOr (
          lib.types.oneOf [
            lib.types.bool
            lib.types.int
            lib.types.float
            lib.types.str
            lib.types.path
            (lib.types.attrsOf value)
            (lib.types.listOf value)
          ]
        );
      in
      value;
    generate = name: value: file name (builtins.toJSON value);
  };

  writeScript = name: text: file name text // { mode = "0755"; };

  # Of the commands that make a file of another one, none changes it.
  runCommand =
    name: arguments: _:
    file name arguments.generated.text;

  stdenv = {
    buildPlatform.canExecute = _: true;
    hostPlatform = { };
  };
}
