# The configuration of nginx for the virtual hosts, as NixOS writes it, with certificates from where ACME puts them.
{ lib, config }:
let
  location = path: values: ''
    location ${path} {
      proxy_pass ${values.proxyPass};
      ${lib.optionalString values.proxyWebsockets ''
        proxy_http_version 1.1;
        proxy_set_header Upgrade $http_upgrade;
        proxy_set_header Connection $connection_upgrade;
      ''}${values.extraConfig}
    }
  '';
  upstream = name: values: ''
    upstream ${name} {
      ${lib.concatMapStrings (server: "server ${server};\n") (lib.attrNames values.servers)}
      ${values.extraConfig}
    }
  '';
  host =
    name: values:
    let
      encrypted = values.enableACME;
      certificate = "/var/lib/acme/${name}";
      names = lib.concatStringsSep " " ([ name ] ++ values.serverAliases);
    in
    lib.optionalString values.forceSSL ''
      server {
        listen 80;
        server_name ${names};
        location / { return 301 https://$host$request_uri; }
      }
    ''
    + ''
      server {
        listen ${if encrypted then "443 ssl" else "80"};
        server_name ${names};
        ${lib.optionalString encrypted ''
          ssl_certificate ${certificate}/fullchain.pem;
          ssl_certificate_key ${certificate}/key.pem;
        ''}
        ${lib.concatStrings (lib.mapAttrsToList location values.locations)}
        ${values.extraConfig}
      }
    '';
in
lib.optionalString config.services.nginx.enable ''
  events { }
  http {
    map $http_upgrade $connection_upgrade { default upgrade; "" close; }
    ${lib.concatStrings (lib.mapAttrsToList upstream config.services.nginx.upstreams)}
    ${lib.concatStrings (lib.mapAttrsToList host config.services.nginx.virtualHosts)}
  }
''
