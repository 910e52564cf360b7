# Unit files of the options, as NixOS writes them.
{ lib, config }:
let
  show = value: if lib.isBool value then lib.boolToString value else toString value;
  lines =
    values:
    lib.concatLists (
      lib.mapAttrsToList (name: value: map (one: "${name}=${show one}") (lib.toList value)) values
    );
  section = name: values: lib.optionalString (values != [ ]) "[${name}]\n${lib.concatLines values}";
  spaced = name: values: lib.optional (values != [ ]) "${name}=${lib.concatStringsSep " " values}";

  common =
    unit:
    section "Unit" (
      lib.optional (unit.description != "") "Description=${unit.description}"
      ++ spaced "Documentation" unit.documentation
      ++ spaced "Requires" unit.requires
      ++ spaced "Wants" unit.wants
      ++ spaced "After" unit.after
      ++ spaced "Before" unit.before
      ++ lines unit.unitConfig
      ++ spaced "X-Restart-Triggers" (map toString unit.restartTriggers)
      ++ spaced "X-Reload-Triggers" (map toString unit.reloadTriggers)
    );
  # NixOS makes the links by itself; elsewhere `systemctl enable` does.
  install = unit: section "Install" (spaced "WantedBy" unit.wantedBy);

  scriptOf =
    name: phase:
    "/nix/store/${lib.concatStrings (lib.replicate 32 "0")}-unit-script-${
      lib.replaceStrings [ "@" ] [ "_" ] name
    }-${phase}";
  scripts =
    name: unit:
    lib.optionalAttrs (unit.script != "") {
      ${scriptOf name "start"} = unit.script;
    }
    // lib.optionalAttrs (unit.preStart != "") {
      ${scriptOf name "pre-start"} = unit.preStart;
    };

  path = packages: lib.concatMapStringsSep ":" (package: "${package}/bin") packages;
  service =
    name: unit:
    common unit
    + section "Service" (
      [
        "Environment=\"PATH=${path unit.path}${
          lib.optionalString (unit.path != [ ]) ":"
        }/run/current-system/sw/bin\""
      ]
      ++ lib.mapAttrsToList (
        variable: value: "Environment=\"${variable}=${show value}\""
      ) unit.environment
      ++ lib.optional (!unit.stopIfChanged) "X-StopIfChanged=false"
      ++ lib.optional (unit.preStart != "") "ExecStartPre=${scriptOf name "pre-start"}"
      ++
        lib.optional (unit.script != "")
          "ExecStart=${scriptOf name "start"}${
            lib.optionalString (unit.scriptArgs != "") " ${unit.scriptArgs}"
          }"
      ++ lines unit.serviceConfig
    )
    + install unit;
  socket =
    _: unit:
    common unit
    + section "Socket" (
      map (address: "ListenStream=${address}") unit.listenStreams ++ lines unit.socketConfig
    )
    + install unit;
  pathUnit = _: unit: common unit + section "Path" (lines unit.pathConfig) + install unit;

  files =
    suffix: make:
    lib.mapAttrs' (
      name: unit: lib.nameValuePair "/etc/systemd/system/${name}.${suffix}" (make name unit)
    );
in
{
  units =
    files "service" service config.systemd.services
    // files "socket" socket config.systemd.sockets
    // files "path" pathUnit config.systemd.paths;

  scripts = lib.concatMapAttrs (
    name: unit: lib.mapAttrs (_: text: "#!/bin/bash\nset -e\n${text}") (scripts name unit)
  ) config.systemd.services;
}
