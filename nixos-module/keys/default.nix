# Makes options of the keys of the YAML file, one list for each of its sections.
#
# keys.json comes from the daemon (`cache-server generate-reference`), so a new key of the daemon is an option once that file
# is generated again: option, documentation, rendered file and reload triggers follow from its entry. An entry has
#   type         a name in types.nix, or `enum` with its `words`; `list` for one such value or a list of them,
#   default      what the daemon does without the key; for the documentation. `derived` describes one that is worked out,
#   description  and, where it helps, example,
#   required     true for what the file has to say,
#   reload       true for what the daemon changes without a restart,
#   secret       true for names of files with secrets, which are never taken from the store;
# or `keys`, a section below this one. adjustments.nix changes what is different on NixOS, such as `credential`: files that are
# handed over by LoadCredential=, which all secrets are.
{ lib, pkgs }:
let
  inherit (lib) types;
  yaml = pkgs.formats.yaml { };
  generated = builtins.fromJSON (builtins.readFile ./keys.json);
  optionTypes = import ./types.nix { inherit types; };
  externalPath = import ../lib/external-path.nix { inherit lib; };
  adjustments = import ./adjustments.nix { inherit types optionTypes; };

  # Some words are numbers, which nobody puts in quotes.
  wordOf =
    words:
    if lib.any (word: builtins.match "[0-9]+" word != null) words then
      types.coercedTo types.int toString (types.enum words)
    else
      types.enum words;

  typeOf =
    entry:
    let
      one =
        if entry.type == "enum" then
          wordOf entry.words
        else if entry.secret or false then
          externalPath
        else
          optionTypes.${entry.type};
    in
    if entry.list or false then types.either one (types.listOf one) else one;

  # The entry of a key with the type of its option and what NixOS has to add.
  adjusted =
    adjustment: entry:
    if entry ? keys then
      entry // { keys = adjustedKeys (adjustment.keys or { }) entry.keys; }
    else
      let
        credential = entry.secret or false || adjustment.credential or false;
      in
      entry
      // {
        inherit credential;
        type = typeOf entry;
        # systemd hands a credential over when the daemon starts, so another file takes a restart.
        reload = entry.reload or false && !credential;
      }
      // removeAttrs adjustment [ "note" ]
      // {
        description = entry.description + lib.optionalString (adjustment ? note) " ${adjustment.note}";
      };
  adjustedKeys = adjustments: lib.mapAttrs (key: adjusted (adjustments.${key} or { }));
  sections = lib.mapAttrs (section: adjustedKeys adjustments.${section}) generated;

  credentialNote = ''


    The file stays where it is, readable for root alone: systemd hands it over (`LoadCredential=`).
  '';

  # An option that is not required is null, and its key left out of the file, until somebody sets it: defaults belong to the
  # daemon.
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
          description = entry.description + lib.optionalString entry.credential credentialNote;
        }
        // (
          if entry.required or false then
            { inherit (entry) type; }
          else
            {
              type = types.nullOr entry.type;
              default = null;
              defaultText = lib.literalMD (
                if entry.default or null == null then
                  entry.derived or "none"
                else
                  "`${builtins.toJSON entry.default}` (of the daemon)"
              );
            }
        )
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
in
{
  inherit section yaml;

  inherit (sections)
    server
    cache
    storage
    upstream
    workspace
    agent
    oidc
    oidc-rule
    client-certificate
    ;

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

  # Names of the keys of a list that hold file names of credentials, and those of its sections.
  credentialsOf = keys: lib.attrNames (lib.filterAttrs (_: entry: entry.credential or false) keys);
  sectionsOf = lib.filterAttrs (_: entry: entry ? keys);
}
