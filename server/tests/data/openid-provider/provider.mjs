// A certified OpenID provider for the tests: `node provider.mjs PORT KEYS`. KEYS is a file with private keys as a JWK set, which is
// made if there is none. Clients get what they ask for: the form field `claims` of a token request holds the claims of the token.
import fs from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { pathToFileURL } from 'node:url';

const tools = process.env.OPENID_PROVIDER;
const require = createRequire(path.join(tools, 'package.json'));
const load = async (name) => import(pathToFileURL(require.resolve(name)).href);
const { default: Provider } = await load('oidc-provider');
const { exportJWK, generateKeyPair } = await load('jose');

const [, , port, file] = process.argv;
if (!fs.existsSync(file)) {
  const keys = [];
  for (const alg of ['RS256', 'ES256']) {
    const { privateKey } = await generateKeyPair(alg, { extractable: true });
    keys.push({ ...(await exportJWK(privateKey)), alg, use: 'sig', kid: `${path.basename(file)}-${alg}` });
  }
  fs.writeFileSync(file, JSON.stringify({ keys }));
}
const issuer = `http://127.0.0.1:${port}`;
const lifetime = (context) => Number(context?.oidc?.body?.lifetime ?? 300);
const client = (name, alg) => ({
  client_id: name,
  client_secret: 'a secret of the tests alone',
  grant_types: ['client_credentials'],
  redirect_uris: [],
  response_types: [],
});
const provider = new Provider(issuer, {
  jwks: JSON.parse(fs.readFileSync(file, 'utf8')),
  clients: [client('rsa'), client('curve')],
  extraParams: ['claims_of_token', 'lifetime'],
  features: {
    devInteractions: { enabled: false },
    clientCredentials: { enabled: true },
    resourceIndicators: {
      enabled: true,
      defaultResource: () => 'https://cache.test',
      getResourceServerInfo: (context, resource, requester) => ({
        scope: '',
        audience: context.oidc.body.audience ?? resource,
        accessTokenTTL: lifetime(context),
        accessTokenFormat: 'jwt',
        jwt: { sign: { alg: requester.clientId === 'rsa' ? 'RS256' : 'ES256' } },
      }),
      useGrantedResource: () => true,
    },
  },
  extraTokenClaims: (context) => JSON.parse(context.oidc.body.claims_of_token ?? '{}'),
});
provider.listen(Number(port), '127.0.0.1', () => console.log('ready'));
