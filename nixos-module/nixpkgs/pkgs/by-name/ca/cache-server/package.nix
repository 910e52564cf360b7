{
  lib,
  stdenv,
  rustPlatform,
  fetchgit,
  installShellFiles,
  nix-update-script,
  nixosTests,
}:

rustPlatform.buildRustPackage (finalAttrs: {
  pname = "cache-server";
  version = "0.1.0";

  __structuredAttrs = true;
  strictDeps = true;

  src = fetchgit {
    url = "https://git.example.org/cache-server";
    tag = "v${finalAttrs.version}";
    hash = lib.fakeHash;
  };

  cargoHash = lib.fakeHash;

  # The daemon is the default; cachectl is another member of the workspace.
  cargoBuildFlags = [ "--workspace" ];

  nativeBuildInputs = [ installShellFiles ];

  # The profile has the tests that need neither root nor other programs. Each of them is a process of its own.
  useNextest = true;
  cargoTestFlags = [
    "--workspace"
    "--profile=unprivileged"
  ];

  postInstall = ''
    install -Dm644 config.example.yaml "$out/share/doc/cache-server/config.example.yaml"
    install -Dm644 -t "$out/share/cache-server/monitoring" monitoring/alerts.yaml monitoring/dashboard.json
  ''
  + lib.optionalString (stdenv.buildPlatform.canExecute stdenv.hostPlatform) ''
    mkdir man
    for program in cache-server cachectl; do
      "$out/bin/$program" man man
      for shell in bash fish zsh; do
        "$out/bin/$program" completions "$shell" > "$program.$shell"
        installShellCompletion --cmd "$program" "--$shell" "$program.$shell"
      done
    done
    installManPage man/*
  '';

  passthru = {
    updateScript = nix-update-script { };
    tests = { inherit (nixosTests) cache-server; };
  };

  meta = {
    description = "Self-hosted, distributed Nix binary cache that speaks the Cachix protocol";
    homepage = "https://git.example.org/cache-server";
    changelog = "https://git.example.org/cache-server/blob/v${finalAttrs.version}/CHANGELOG.md";
    license = lib.licenses.mit;
    maintainers = [ ];
    platforms = lib.platforms.linux;
    mainProgram = "cache-server";
  };
})
