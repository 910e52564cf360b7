# What is wrong and can be known before anything is built. The daemon judges the rest when the file is made.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  cfg = config.services.cache-server;
  rendering = import ./rendering.nix { inherit lib pkgs cfg; };
  inherit (rendering) server storagesOf typeOf;
  inherit (cfg.settings)
    caches
    workspaces
    agents
    oidc
    client-certificates
    ;

  refuse = condition: message: {
    assertion = !condition;
    message = "services.cache-server: ${message}";
  };

  inline =
    what: values: key: instead:
    refuse (
      values ? ${key}
    ) "`${what}.${key}` would be in the Nix store, where everybody may read it. Use `${instead}`.";

  # Ports that the daemon listens on, with what for.
  listeners = [
    {
      what = "server.server-port";
      port = server "server-port";
    }
    {
      what = "server.deploy-port";
      port = server "deploy-port";
    }
  ]
  ++ lib.mapAttrsToList (name: port: {
    what = "caches.${name}.port";
    inherit port;
  }) rendering.fixedPorts;
  clashes = lib.mapAttrsToList (
    port: users:
    refuse (lib.length users > 1)
      "port ${port} is taken by ${lib.concatMapStringsSep " and " (user: user.what) users}."
  ) (lib.groupBy (listener: toString listener.port) listeners);

  ofStorage =
    cache: storage:
    let
      what = "caches.${cache}.storages.${storage.name}";
      isS3 = typeOf storage == "s3";
      hasAccess = storage.s3_access_key_file != null;
      hasSecret = storage.s3_secret_key_file != null;
    in
    [
      (refuse (
        !isS3 && storage.root == null
      ) "${what}: a local storage needs a `root`, the directory that it lives in.")
      (refuse (isS3 && storage.s3_bucket == null) "${what}: a storage on S3 needs an `s3_bucket`.")
      (refuse (
        isS3 && storage.s3_region == null && storage.s3_endpoint == null
      ) "${what}: a storage on S3 needs an `s3_region` (AWS) or an `s3_endpoint`.")
      (refuse (
        isS3 && hasAccess != hasSecret
      ) "${what}: `s3_access_key_file` and `s3_secret_key_file` belong together.")
      (inline what storage "s3_access_key" "s3_access_key_file")
      (inline what storage "s3_secret_key" "s3_secret_key_file")
    ];

  ofCache =
    name: cache:
    let
      storages = storagesOf cache;
      strategy =
        if cache.storage-strategy == null then
          server "default-storage-strategy"
        else
          cache.storage-strategy;
      written = lib.filter (storage: storage.draining != true) storages;
      without = lib.filter (storage: storage.split == null) written;
      tierOf = storage: if storage.tier == null then 0 else storage.tier;
      sums = lib.mapAttrs (_: lib.foldl' (sum: storage: sum + storage.split) 0) (
        lib.groupBy (storage: toString (tierOf storage)) written
      );
      # Forced only if each storage has a share.
      wrongSums = lib.filterAttrs (_: sum: sum != 100) sums;
      ofTier = tier: if builtins.length (lib.attrNames sums) > 1 then " of tier ${tier}" else "";
      isSplit = strategy == "split" && written != [ ];
    in
    [
      (refuse (builtins.match "[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?" name == null)
        "`${name}` cannot be the name of a cache: 1 to 63 letters a-z, digits and hyphens, as in a host name."
      )
      (refuse (isSplit && without != [ ])
        "caches.${name}: with the strategy `split` each storage needs a `split`; missing in ${
          lib.concatMapStringsSep ", " (storage: storage.name) without
        }."
      )
      (refuse (isSplit && without == [ ] && wrongSums != { })
        "caches.${name}: ${
          lib.concatStringsSep "; " (
            lib.mapAttrsToList (
              tier: sum:
              "the shares (`split`) of the storages${ofTier tier} sum to ${toString sum} instead of 100"
            ) wrongSums
          )
        }."
      )
      (refuse (storages == [ ] && server "default-storage" != "local")
        "caches.${name}: has no storages, and `server.default-storage` is not `local`, which needs no more keys."
      )
      (refuse (cache.signing == "client" && cache.signing-key-file != null)
        "caches.${name}: with `signing = \"client\"` the server signs nothing; remove `signing-key-file`."
      )
    ]
    ++ lib.concatMap (ofStorage name) storages;

  # What is written to belongs to the daemon.
  isShared =
    directory:
    builtins.match "/|/(boot|dev|etc|home|media|mnt|nix|opt|proc|root|run|srv|sys|tmp|usr|var)/?|/var/(cache|lib|log|spool|tmp)/?|/nix/(store|var)(/.*)?" directory
    != null;

  missing =
    what: names: key: from:
    lib.mapAttrsToList (
      name: value:
      refuse (!(names ? ${value.${key}})) "${what}.${name}: there is no ${key} `${value.${key}}`."
    ) from;

  ofRules =
    what: rules:
    map (
      name: refuse (!(caches ? ${name})) "${what}: a rule opens the cache `${name}`, which is not there."
    ) (lib.unique (lib.concatMap (rule: lib.toList rule.caches) rules));
in
{
  config = lib.mkIf cfg.enable {
    assertions =
      clashes
      ++ map (
        directory:
        refuse (isShared directory) "`${directory}` would belong to the daemon alone, and others need it. Give a directory below it."
      ) rendering.outside
      ++ lib.concatLists (lib.mapAttrsToList ofCache caches)
      ++ missing "workspaces" caches "cache" workspaces
      ++ missing "agents" workspaces "workspace" agents
      ++ lib.concatLists (lib.mapAttrsToList (name: provider: ofRules "oidc.${name}" provider.rules) oidc)
      ++ ofRules "client-certificates" client-certificates
      ++ [
        (inline "server" cfg.settings.server "key" "server.key-file")
        (inline "server" cfg.settings.server "metrics-token" "server.metrics-token-file")
        (refuse (builtins.match "[a-z]+://([^/@]*:[^/@]*@.*|.*[?&]password=.*)" (server "database") != null)
          "the password in `server.database` would be in the Nix store, where everybody may read it. Leave it out and use `server.database-password-file`."
        )
        (refuse (
          caches == { }
        ) "there is nothing to serve; declare a cache, as in `settings.caches.main = { };`.")
        (refuse (
          cfg.nginx.enableACME && cfg.nginx.useACMEHost != null
        ) "`nginx.enableACME` and `nginx.useACMEHost` exclude each other.")
        (refuse (
          (cfg.nginx.enableACME || cfg.nginx.useACMEHost != null) && !cfg.nginx.enable
        ) "certificates are for nginx; set `nginx.enable`.")
      ];
  };
}
