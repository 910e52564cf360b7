# Lists of the configuration file whose entries have names: options by name, which several modules can add to. A list, as the
# file has it, is taken as well.
{ lib }:
let
  inherit (lib) types;

  # `what` is one of the entries, in messages; `place` makes options of the place in the list.
  byName =
    { what, place }:
    entries:
    let
      names = map (entry: entry.name or (throw "services.cache-server: a ${what} has no `name`")) entries;
      twice = lib.findFirst (name: lib.count (other: other == name) names > 1) null names;
      toEntry =
        number: entry: lib.nameValuePair entry.name (removeAttrs entry [ "name" ] // place number);
    in
    if twice != null then
      throw "services.cache-server: two ${what}s are called `${twice}`"
    else
      lib.listToAttrs (lib.imap1 toEntry entries);
in
{
  namedOf =
    {
      what,
      place ? _: { },
    }:
    type:
    types.coercedTo (types.listOf (types.attrsOf types.anything)) (byName { inherit what place; }) (
      types.attrsOf type
    );
}
