# All scenarios by name, each for `pkgs.testers.runNixOSTest`.
let
  folders = builtins.readDir ./.;
  isScenario = name: folders.${name} == "directory" && builtins.pathExists (./. + "/${name}/test.py");
in
builtins.listToAttrs (
  map (name: {
    inherit name;
    value = import (./. + "/${name}");
  }) (builtins.filter isScenario (builtins.attrNames folders))
)
