# The files of a machine that its options ask for, by name, each with text and mode. Outside of /etc and the store there is
# only /firewall, for the reader.
{ lib, config }:
let
  inherit (import ./units.nix { inherit lib config; }) units scripts;
  plain = lib.mapAttrs (
    _: text: {
      inherit text;
      mode = "0644";
    }
  );
  executable = lib.mapAttrs (
    _: text: {
      inherit text;
      mode = "0755";
    }
  );
  unlessEmpty = name: text: lib.optionalAttrs (text != "") { ${name} = text; };

  etc = lib.mapAttrs' (
    name: file:
    lib.nameValuePair "/etc/${name}" {
      text = if file.text != null then file.text else file.source.text or (builtins.readFile file.source);
      mode = file.source.mode or file.mode;
    }
  ) config.environment.etc;

  word = path: if lib.hasInfix " " path then "'${path}'" else path;
  tmpfiles = lib.mapAttrs' (
    name: paths:
    lib.nameValuePair "/etc/tmpfiles.d/${name}.conf" (
      lib.concatLines (
        lib.concatLists (
          lib.mapAttrsToList (
            path: types:
            lib.mapAttrsToList (
              type: entry: "${type} ${word path} ${entry.mode or "-"} ${entry.user or "-"} ${entry.group or "-"}"
            ) types
          ) paths
        )
      )
    )
  ) config.systemd.tmpfiles.settings;

  sysusers = lib.concatLines (
    lib.mapAttrsToList (name: _: "g ${name}") config.users.groups
    ++ map (name: "u ${name}") (
      lib.attrNames (lib.filterAttrs (_: user: user.isNormalUser) config.users.users)
    )
    ++ lib.mapAttrsToList (name: user: "u ${name} -:${user.group} \"${user.description}\"") (
      lib.filterAttrs (_: user: user.isSystemUser) config.users.users
    )
    ++ lib.concatLists (
      lib.mapAttrsToList (
        name: user: map (group: "m ${name} ${group}") user.extraGroups
      ) config.users.users
    )
  );

  nixConf = lib.concatLines (
    lib.mapAttrsToList (
      name: value: "${name} = ${if lib.isBool value then lib.boolToString value else toString value}"
    ) config.nix.settings
  );

  hosts = lib.concatLines (
    lib.mapAttrsToList (address: names: "${address} ${toString names}") config.networking.hosts
  );

  ports = what: list: lib.optional (list != [ ]) "${what} ${toString (lib.sort lib.lessThan list)}";
  firewall = lib.concatLines (
    ports "tcp" config.networking.firewall.allowedTCPPorts
    ++ ports "udp" config.networking.firewall.allowedUDPPorts
  );
in
etc
// executable scripts
// plain (
  units
  // tmpfiles
  // unlessEmpty "/etc/sysusers.d/nixos.conf" sysusers
  // unlessEmpty "/etc/hosts" hosts
  // unlessEmpty "/etc/nix/nix.conf" nixConf
  // unlessEmpty "/etc/nginx/nginx.conf" (import ./nginx.nix { inherit lib config; })
  // unlessEmpty "/firewall" firewall
)
