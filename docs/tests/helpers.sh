# What the comments in pages use to set the stage. Sourced by the shell of each page.

# Starts a daemon in the background and waits until it is ready. Prints what it printed.
start_daemon() {
  local log="$MACHINE/daemon-$RANDOM.log"
  "$@" >"$log" 2>&1 &
  local pid=$!
  for _ in $(seq 600); do
    if grep -q ' ready ' "$log"; then sleep 0.2; cat "$log"; return 0; fi
    kill -0 "$pid" 2>/dev/null || { cat "$log"; return 1; }
    sleep 0.1
  done
  cat "$log"
  return 1
}

stop_daemons() {
  local pids
  pids=$(jobs -p)
  [ -z "$pids" ] || { kill $pids; wait; }
}

# Builds a path of its own and links it as ./result (or as the second argument).
build() {
  cat > "$MACHINE/build.nix" <<EOF
derivation {
  name = "$1";
  system = builtins.currentSystem;
  builder = "/bin/sh";
  args = [ "-c" "mkdir -p \$out/bin 2>/dev/null || /bin/mkdir -p \$out/bin; echo $1 > \$out/bin/$1" ];
  PATH = "/bin:/usr/bin";
}
EOF
  nix-build "$MACHINE/build.nix" -o "${2:-result}" >/dev/null
}

# An HTTPS proxy for cache.example.org and its subdomains in front of port 5000, with a certificate that Nix and curl trust.
start_proxy() {
  local at="$MACHINE/nginx"
  openssl req -x509 -newkey rsa:2048 -nodes -days 2 -keyout "$at/key.pem" -out "$at/cert.pem" -subj /CN=cache.example.org \
    -addext 'subjectAltName=DNS:cache.example.org,DNS:*.cache.example.org' 2>/dev/null
  cat > "$at/nginx.conf" <<EOF
user root;
pid $at/pid;
error_log $at/error.log;
events {}
http {
  access_log off;
  client_body_temp_path $at/body;
  proxy_temp_path $at/proxy;
  fastcgi_temp_path $at/f; uwsgi_temp_path $at/u; scgi_temp_path $at/s;
  client_max_body_size 0;
  server {
    listen 443 ssl;
    ssl_certificate $at/cert.pem;
    ssl_certificate_key $at/key.pem;
    location / {
      proxy_pass http://127.0.0.1:5000;
      proxy_set_header Host \$host;
      proxy_request_buffering off;
    }
  }
}
EOF
  nginx -c "$at/nginx.conf"
  export NIX_SSL_CERT_FILE="$at/cert.pem" SSL_CERT_FILE="$at/cert.pem" CURL_CA_BUNDLE="$at/cert.pem"
}
