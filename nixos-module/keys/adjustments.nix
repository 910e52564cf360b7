# What is different on NixOS from what keys.json says, by section and key: its `type`, what its default is
# `derived` from, or a `note` that follows the description.
{ types, optionTypes }:
{
  server = {
    hostname.note = "Behind nginx on the same machine the default is right.";
    public-url.note = "{option}`services.cache-server.nginx.enable` sets it.";
    database.note = ''
      A password must not be in the URL, because everybody may read the Nix store: use
      {option}`services.cache-server.settings.server.database-password-file`.
    '';
    state-dir = {
      type = optionTypes.place;
      derived = "`/var/lib/cache-server`, which systemd makes and owns";
    };
    admin-socket = {
      type = optionTypes.place;
      derived = "`/run/cache-server/admin.sock`, where {command}`cachectl` looks for it";
    };
    admin-socket-group.derived = "the group of {option}`services.cache-server.adminGroup`";
    key-file.note = "Without it, the daemon makes a key at its first start and keeps it in the state directory.";
    default-port.note = "The first cache is the first one by name.";
    tls.keys.key.note = ''
      The daemon reads the file itself, so that a renewed certificate takes no restart. Let it: for certificates of
      {option}`security.acme`, set their `group` and add that group to
      `systemd.services.cache-server.serviceConfig.SupplementaryGroups`.
    '';
  };
  cache = {
    # Lists only, which several modules can add to.
    trusted-public-keys.type = types.listOf types.str;
    # ../server/upstreams.nix has the option.
    upstreams.type = types.listOf types.str;
    federation.keys.keep-max-size.type = types.either types.ints.positive types.str;
  };
  storage = {
    max-size.type = types.either types.ints.positive types.str;
  };
  upstream = {
    # A list only, which several modules can add to.
    public-keys.type = types.listOf types.str;
  };
  workspace = { };
  agent = { };
}
