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
    optionalString = condition: text: if condition then text else "";
    inherit (builtins) mapAttrs;
    versionAtLeast = one: other: builtins.compareVersions one other >= 0;
    trivial.release = "26.05";
    fakeHash = "";
    licenses.mit = "mit";
    platforms.linux = [ ];
  };
  pkgs = import ./stub/pkgs.nix { inherit lib; } // {
    inherit callPackage;
    rustPlatform.buildRustPackage =
      define:
      let
        final = define final;
      in
      final;
    testers.runNixOSTest = scenario: scenario.name;
  };
  callPackage = import ./stub/call-package.nix { inherit pkgs; };
  package = callPackage ../../package.nix { };
in
{
  inherit (package) pname version;
  source = toString package.src.root;
  inherit (package.passthru) tests;
  meta = removeAttrs package.meta [ "platforms" ];
  isPlain = !(package ? cargoHash) && package.cargoLock.lockFile == ../../Cargo.lock;
}
