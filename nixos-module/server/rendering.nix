# The configuration file as a value, and what follows from it for the machine.
{
  lib,
  pkgs,
  cfg,
}:
let
  keys = import ../keys { inherit lib pkgs; };
  inherit (cfg.settings)
    caches
    workspaces
    agents
    oidc
    client-certificates
    ;

  isSet = value: value != null && value != { };
  # Without what nobody set, sections included.
  clean =
    value:
    if lib.isList value then
      map clean value
    else if lib.isAttrs value && !lib.isDerivation value then
      lib.filterAttrs (_: isSet) (lib.mapAttrs (_: clean) value)
    else
      value;

  # With a group that may read certificates, the daemon does so itself, again and again.
  sectionsOf =
    list: removeAttrs (keys.sectionsOf list) (lib.optional (cfg.certificateGroup != null) "tls");

  # Credentials are known by a name each, which the daemon looks for in $CREDENTIALS_DIRECTORY.
  named =
    prefix: key: number:
    "${prefix}${key}-${toString number}";
  withCredentials =
    list: prefix: values:
    values
    // lib.genAttrs (lib.filter (key: values.${key} != null) (keys.credentialsOf list)) (
      key:
      if lib.isList values.${key} then
        lib.imap1 (number: _: named prefix key number) values.${key}
      else
        "${prefix}${key}"
    )
    // lib.mapAttrs (
      section: below: withCredentials below.keys "${prefix}${section}-" values.${section}
    ) (sectionsOf list);
  credentialsOf =
    list: prefix: values:
    lib.concatMap (
      key:
      if values.${key} == null then
        [ ]
      else if lib.isList values.${key} then
        lib.imap1 (number: file: {
          name = named prefix key number;
          inherit file;
        }) values.${key}
      else
        [
          {
            name = "${prefix}${key}";
            file = values.${key};
          }
        ]
    ) (keys.credentialsOf list)
    ++ lib.concatLists (
      lib.mapAttrsToList (
        section: below: credentialsOf below.keys "${prefix}${section}-" values.${section}
      ) (sectionsOf list)
    );

  # By number, as names of storages may have characters that those of credentials may not.
  storagePrefix = cache: number: "${cache}-storage-${toString number}-";

  storagesOf =
    cache:
    lib.sort (
      one: other: if one.order == other.order then one.name < other.name else one.order < other.order
    ) (lib.mapAttrsToList (name: storage: storage // { inherit name; }) cache.storages);

  renderStorage =
    cache: number: storage:
    clean (removeAttrs (withCredentials keys.storage (storagePrefix cache number) storage) [ "order" ]);

  upstreamPrefix = cache: number: "${cache}-upstream-${toString number}-";
  upstreamsOf = cache: if cache.upstreams == null then [ ] else cache.upstreams;
  renderUpstream =
    cache: number: upstream:
    if lib.isAttrs upstream then
      clean (withCredentials keys.upstream (upstreamPrefix cache number) upstream)
    else
      upstream;

  renderCache =
    name: cache:
    clean (withCredentials keys.cache "${name}-" cache)
    // {
      inherit name;
    }
    // lib.optionalAttrs (upstreamsOf cache != [ ]) {
      upstreams = lib.imap1 (renderUpstream name) cache.upstreams;
    }
    // lib.optionalAttrs (cache.storages != { }) {
      storages = lib.imap1 (renderStorage name) (storagesOf cache);
    };

  listOf = lib.mapAttrsToList (name: value: clean value // { inherit name; });

  server = keys.effective keys.server cfg.settings.server;
  enabledCaches = lib.filterAttrs (_: cache: cache.enabled != false) caches;
  typeOf = storage: if storage.type == null then server "default-storage" else storage.type;
  allStorages = lib.concatMap storagesOf (lib.attrValues caches);
  # Relative directories are in the state directory, which systemd makes, as are those of its own name.
  isOutside =
    path: path != null && lib.hasPrefix "/" path && !lib.hasPrefix "/var/lib/cache-server/" "${path}/";

  localRoots = lib.unique (
    map (storage: storage.root) (
      lib.filter (storage: typeOf storage == "local" && isOutside storage.root) allStorages
    )
  );

  auditLog = server "audit-log";
  # The one that systemd makes.
  logsToItsDirectory = auditLog != null && lib.hasPrefix "/var/log/cache-server/" auditLog;

  isPostgres = builtins.match "postgres.*://.*" (server "database") != null;
  # The directory of the catalog, which needs room for more than one file.
  databaseDirectory =
    let
      path = lib.last (builtins.match "(sqlite:(//)?)?(.*)" (server "database"));
    in
    lib.optional (!isPostgres && isOutside path) (dirOf path);

  fixedPorts = lib.mapAttrs (_: cache: cache.port) (
    lib.filterAttrs (_: cache: cache.port != null) enabledCaches
  );
  # The daemon gives it to the first cache that names none, unless something else has it.
  defaultPort =
    let
      first = lib.findFirst (name: enabledCaches.${name}.port == null) null (lib.attrNames enabledCaches);
      taken = lib.attrValues fixedPorts ++ [
        (server "server-port")
        (server "deploy-port")
      ];
    in
    lib.optionalAttrs (first != null && !lib.elem (server "default-port") taken) {
      ${first} = server "default-port";
    };
in
{
  inherit
    keys
    server
    typeOf
    storagesOf
    allStorages
    enabledCaches
    fixedPorts
    ;

  settings = clean (
    removeAttrs cfg.settings [ "client-certificates" ]
    // {
      server = withCredentials keys.server "" cfg.settings.server;
      caches = lib.mapAttrsToList renderCache caches;
      workspaces = listOf workspaces;
      agents = listOf agents;
    }
    // lib.optionalAttrs (oidc != { }) { oidc = listOf oidc; }
    // lib.optionalAttrs (client-certificates != [ ]) { inherit client-certificates; }
  );

  # Names and files of the credentials.
  credentials =
    credentialsOf keys.server "" cfg.settings.server
    ++ lib.concatLists (
      lib.mapAttrsToList (
        name: cache:
        credentialsOf keys.cache "${name}-" cache
        ++ lib.concatLists (
          lib.imap1 (number: credentialsOf keys.storage (storagePrefix name number)) (storagesOf cache)
          ++ lib.imap1 (
            number: upstream:
            if lib.isAttrs upstream then
              credentialsOf keys.upstream (upstreamPrefix name number) upstream
            else
              [ ]
          ) (upstreamsOf cache)
        )
      ) caches
    );

  # Port of each enabled cache that has one.
  cachePorts = fixedPorts // defaultPort;

  inherit localRoots databaseDirectory;

  # Directories outside of those that systemd makes, which the daemon writes to.
  outside = lib.unique (
    localRoots
    ++ lib.optional (server "state-dir" != null) (server "state-dir")
    ++ databaseDirectory
    ++ lib.optional (isOutside auditLog && !logsToItsDirectory) (dirOf auditLog)
  );

  inherit logsToItsDirectory;

  # Whether the daemon calls others by itself.
  callsOthers =
    server "standalone" != true
    || lib.any (storage: typeOf storage == "s3") allStorages
    || lib.any (cache: cache.upstreams != null && cache.upstreams != [ ]) (lib.attrValues caches)
    || isPostgres
    # Their keys are fetched from the providers.
    || oidc != { }
    || server "node-url" != null;
}
