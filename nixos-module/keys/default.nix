# Makes options of the lists in this folder, one list for each section of the YAML file. A key that the daemon learns is
# added to its list and nowhere else: option, documentation, rendered file and the comparison with config.example.yaml
# follow from the entry.
#
# An entry has
#   type         of the value,
#   default      what the daemon does without the key, as in config.example.yaml; for the documentation,
#   description  and, where it helps, example,
#   reload       true for what the daemon changes without a restart,
#   secret       true for names of files with secrets: handed over by LoadCredential=, never taken from the store;
# or `keys`, a section below this one.
{ lib, pkgs }:
let
  yaml = pkgs.formats.yaml { };

  secretNote = ''


    The file stays where it is, readable for root alone: systemd hands it over (`LoadCredential=`). It must not be in the
    Nix store.
  '';

  # The option is null, and the key left out of the file, until somebody sets it: defaults belong to the daemon.
  keyOption =
    entry:
    if entry ? keys then
      lib.mkOption {
        type = section entry.keys { };
        default = { };
        inherit (entry) description;
      }
    else
      lib.mkOption (
        {
          type = lib.types.nullOr entry.type;
          default = null;
          defaultText = lib.literalMD (
            if entry.default or null == null then
              "none"
            else
              "`${builtins.toJSON entry.default}` (of the daemon)"
          );
          description = entry.description + lib.optionalString (entry.secret or false) secretNote;
        }
        // lib.optionalAttrs (entry ? example) { inherit (entry) example; }
      );

  # A section with the keys of a list and options beside them. Keys without an entry are passed on as they are, and the
  # daemon judges them when the system is built.
  section =
    keys: options:
    lib.types.submodule {
      freeformType = yaml.type;
      options = lib.mapAttrs (_: keyOption) keys // options;
    };

  arguments = { inherit (lib) types; };
in
{
  inherit section yaml;

  server = import ./server.nix arguments;
  cache = import ./cache.nix arguments;
  storage = import ./storage.nix arguments;

  # What the daemon takes the key for, for what the module derives from it.
  effective =
    keys: values: name:
    if values.${name} == null then keys.${name}.default or null else values.${name};

  # Those of the values whose change takes a restart.
  withoutReloadable =
    let
      restarting =
        keys: values:
        lib.mapAttrs (key: value: if keys ? ${key}.keys then restarting keys.${key}.keys value else value) (
          lib.filterAttrs (key: _: !(keys.${key}.reload or false)) values
        );
    in
    restarting;

  # Names of the keys of a list that hold file names of secrets.
  secretsOf = keys: lib.attrNames (lib.filterAttrs (_: entry: entry.secret or false) keys);
}
