# A machine that fetches from two caches and pushes what it builds to one of them and to a third, with a hook and with
# passwords of its own.
{
  services.cache-server-client.postBuildHooks = [ "/run/current-system/sw/bin/log-build" ];
  services.cache-server-client.netrcFiles = [ "/run/secrets/netrc" ];
  services.cache-server-client.caches = {
    main = {
      url = "main.cache.example.org";
      publicKey = "main.cache.example.org-1:6NCHdD59X431o0gWypbMrAURkbJ16ZPMQFGspcDShjY=";
    };
    internal = {
      url = "https://internal.cache.example.org";
      publicKey = "internal.cache.example.org-1:6NCHdD59X431o0gWypbMrAURkbJ16ZPMQFGspcDShjY=";
      tokenFile = "/run/secrets/internal-token";
      push = true;
    };
    # By its address, and with an option of Nix.
    spare = {
      url = "http://[2001:db8::1]:5000/api/v1/cache/spare?parallel-compression=true";
      tokenFile = "/run/secrets/spare-token";
      push = true;
    };
  };
}
