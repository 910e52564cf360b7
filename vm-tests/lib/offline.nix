# A machine that asks no binary cache but those of the scenario: there is no network, and each look-up would wait for the DNS.
{ config, lib, ... }:
{
  nix.settings.substituters = lib.mkForce (
    map (cache: cache.url) (lib.attrValues (config.services.cache-server-client.caches or { }))
  );
}
