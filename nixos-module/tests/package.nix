# package.nix as `callPackage` of nixpkgs calls it: every argument is filled by the package of its name, those with a default
# included. A library stands in that knows no more than the package uses, so that this is tested everywhere.
let
  lib = {
    fileset = {
      toSource = fileset: fileset // { outPath = "/nix/store/source"; };
      unions =
        files:
        assert builtins.all builtins.pathExists files;
        files;
    };
    importTOML = file: builtins.fromTOML (builtins.readFile file);
    optionalString = condition: text: if condition then text else "";
    versionOlder = one: other: builtins.compareVersions one other < 0;
    licenses.mit = "mit";
    platforms.linux = [ ];
  };
  pkgs = import ./stub/pkgs.nix { inherit lib; } // {
    rustPlatform.buildRustPackage = arguments: arguments;
    rustc.version = "1.99.0";
    installShellFiles = null;
  };
  package = import ./stub/call-package.nix { inherit pkgs; } ../../package.nix { };
in
{
  inherit (package) pname version;
  source = toString package.src.root;
  inherit (package.meta) broken;
}
