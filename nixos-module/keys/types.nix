# The types that keys.json names, as option types.
{ types }:
let
  text = types.str;
in
{
  inherit text;
  inherit (types) bool port;
  inherit (types.ints) positive unsigned;
  percentage = types.ints.between 1 100;
  size = types.either types.ints.unsigned types.str;
  claims = types.attrsOf (types.either types.str (types.listOf types.str));
  # A secret is of another type; see ../lib/external-path.nix.
  file = types.path;
  mode = types.strMatching "0?[0-7]{3}";
  # Not `types.path`, as a path literal would be copied into the store.
  place = types.strMatching "/.*" // {
    description = "absolute path";
  };
  duration = types.strMatching "[0-9].*" // {
    description = "time such as 30s, 90min, 24h or 7days";
  };
  interval = types.either (types.enum [ "off" ]) (
    types.strMatching "[0-9].*"
    // {
      description = "time such as 30s, 90min, 24h or 7days";
    }
  );
}
