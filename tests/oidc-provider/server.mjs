// The authorization server of the whole-system tests: oidc-provider, certified by the OpenID Foundation, on a free port of
// the loopback interface; over TLS where `OIDC_CERTIFICATE`, `OIDC_KEY` and `OIDC_CLIENT_CA` hold PEM. Standard output has one
// JSON object a line: first `{"listening": ISSUER}`, then every request it received and answered, with the address where it came in
// (`at`), and every event of the provider. Standard input takes commands, one JSON object a line, each answered by
// `{"done": COMMAND}` with the `number` it had:
//
//   {"command": "rotate"}                      sign with a new key from now on; the old one is published too
//   {"command": "settle"}                      nothing: what was said before comes before the answer
//   {"command": "behave", "path": P, "as": B}  requests whose path begins with P: "delayed" (by "ms"), "rubbish", "broken" (500), "absent" (404) or "well"
//
// It ends with its standard input.

import { createServer } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { createPublicKey, generateKeyPair, randomUUID, verify } from 'node:crypto';
import { createInterface } from 'node:readline';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';

const { default: Provider, errors } = await import(pathToFileURL(process.env.OIDC_PROVIDER));
const settings = JSON.parse(process.env.OIDC_SETTINGS ?? '{}');

const say = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);

// By which JWTs for resources are signed; all else is by RS256.
const alg = settings.alg ?? 'RS256';
const kinds = { RS256: ['rsa', { modulusLength: 2048 }], ES512: ['ec', { namedCurve: 'P-521' }] };

async function newKey(alg) {
  const { privateKey } = await promisify(generateKeyPair)(...kinds[alg]);
  return { ...privateKey.export({ format: 'jwk' }), kid: randomUUID(), use: 'sig', alg };
}

const newKeys = () => Promise.all([...new Set([alg, 'RS256'])].map(newKey));

const keys = await newKeys();
const { OIDC_CERTIFICATE: cert, OIDC_KEY: key, OIDC_CLIENT_CA: ca } = process.env;
const server = cert ? createTlsServer({ cert, key, ca, requestCert: !settings.aliases, rejectUnauthorized: false }) : createServer();
// Where clients are asked for certificates at an address of its own, nobody gets there without one (RFC 8705, section 5).
const mutual = settings.aliases && createTlsServer({ cert, key, ca, requestCert: true, rejectUnauthorized: true });

async function listen(server) {
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return `${cert ? 'https' : 'http'}://127.0.0.1:${server.address().port}`;
}

const origin = await listen(server);
const alias = mutual && (await listen(mutual));
const issuer = settings.slash ? `${origin}/` : origin;

const configuration = () => ({
  clients: settings.clients ?? [],
  jwks: { keys },
  cookies: { keys: [randomUUID()] },
  scopes: ['openid', 'offline_access', 'orders:read', 'orders:write'],
  claims: { openid: ['sub'], profile: ['name'] },
  ttl: { AccessToken: settings.ttl ?? 600, ClientCredentials: settings.ttl ?? 600, Session: 600, Grant: 600, Interaction: 600, IdToken: 600, RefreshToken: 600 },
  issueRefreshToken: (context, client) => client.grantTypeAllowed('refresh_token'),
  // Whoever sends a browser without a challenge gets no code.
  pkce: { required: () => true },
  clientAuthMethods: ['client_secret_basic', 'client_secret_post', 'private_key_jwt', 'tls_client_auth', 'self_signed_tls_client_auth', 'none'],
  discovery: alias ? { mtls_endpoint_aliases: { introspection_endpoint: `${alias}/token/introspection`, token_endpoint: `${alias}/token` } } : {},
  features: {
    devInteractions: { enabled: true },
    clientCredentials: { enabled: true },
    introspection: { enabled: true },
    revocation: { enabled: true },
    dPoP: { enabled: true },
    mTLS: {
      enabled: true,
      certificateBoundAccessTokens: true,
      tlsClientAuth: true,
      selfSignedTlsClientAuth: true,
      getCertificate: ({ req }) => req.socket.getPeerX509Certificate?.()?.toString(),
      certificateAuthorized: ({ req }) => req.socket.authorized,
      certificateSubjectMatches: ({ req }, property, expected) => {
        // Node writes a name as lines of `CN=shop`.
        const subject = req.socket.getPeerX509Certificate().subject.split('\n').join(',');
        return property === 'tls_client_auth_subject_dn' && subject === expected;
      },
    },
    resourceIndicators: {
      enabled: true,
      defaultResource: () => 'urn:orders',
      // What is asked for by name decides the form of its tokens.
      getResourceServerInfo: (context, resource) => ({
        scope: 'orders:read orders:write',
        audience: resource,
        accessTokenFormat: resource.endsWith(':opaque') ? 'opaque' : 'jwt',
        jwt: { sign: { alg } },
      }),
    },
  },
  // Tokens of a machine have its own name as subject.
  extraTokenClaims: (context, token) => ({ tenant: 'acme', roles: ['buyer', token.kind] }),
  renderError: (context, out) => {
    context.type = 'json';
    context.body = out;
  },
});

// oidc-provider leaves token exchange (RFC 8693) to whoever runs it: a token of its own for the same subject and another audience.
const EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange';
function exchange(provider) {
  return async (ctx) => {
    const { client, params } = ctx.oidc;
    const [head, payload, signature] = params.subject_token.split('.');
    const read = (part) => JSON.parse(Buffer.from(part, 'base64url'));
    const { kty, n, e } = keys.find(({ kid }) => kid === read(head).kid) ?? {};
    const known = kty && verify('sha256', `${head}.${payload}`, createPublicKey({ key: { kty, n, e }, format: 'jwk' }), Buffer.from(signature, 'base64url'));
    if (!known) throw new errors.InvalidGrant('not a token of this server');
    const { audience } = params;
    if (audience === 'urn:closed') throw new errors.InvalidTarget('nobody gets there');
    const token = new provider.AccessToken({ accountId: read(payload).sub, client, grantId: randomUUID(), gty: 'token_exchange', scope: params.scope });
    token.resourceServer = new provider.ResourceServer(audience, { audience, scope: params.scope, accessTokenFormat: 'jwt', jwt: { sign: { alg: 'RS256' } } });
    const value = await token.save();
    ctx.oidc.entity('AccessToken', token);
    const type = 'urn:ietf:params:oauth:token-type:access_token';
    ctx.body = { access_token: value, issued_token_type: type, token_type: token.tokenType, expires_in: token.expiration, scope: token.scope };
  };
}

let callback;
function serve() {
  const provider = new Provider(issuer, configuration());
  provider.registerGrantType(EXCHANGE, exchange(provider), ['subject_token', 'subject_token_type', 'requested_token_type', 'audience', 'scope']);
  for (const event of ['access_token.issued', 'access_token.saved', 'client_credentials.issued', 'client_credentials.saved', 'grant.success', 'authorization.success', 'authorization.error', 'introspection.error', 'revocation.error', 'grant.error', 'jwks.error', 'discovery.error', 'end_session.error', 'server_error', 'refresh_token.consumed', 'end_session.success']) {
    provider.on(event, (...details) => {
      const error = details.find((detail) => detail instanceof Error);
      say({ event, error: error && `${error.error ?? error.name}: ${error.error_description ?? error.message}`, detail: error?.error_detail });
    });
  }
  callback = provider.callback();
}
serve();

const behaviours = new Map();
async function answer(at, request, response) {
  const asked = `${request.method} ${request.url.split('?')[0]}`;
  say({ received: asked, at });
  response.on('finish', () => say({ request: asked, status: response.statusCode, at }));
  const found = [...behaviours].find(([path]) => request.url.startsWith(path))?.[1];
  switch (found?.as) {
    case 'rubbish':
      response.writeHead(200, { 'content-type': 'application/json' }).end('{"keys": [{"kty": "RSA", "n": "<html>');
      return;
    case 'broken':
      response.writeHead(500, { 'content-type': 'text/html' }).end('<h1>Oops</h1>');
      return;
    case 'absent':
      response.writeHead(404).end();
      return;
    case 'delayed':
      await new Promise((resolve) => setTimeout(resolve, found.ms));
      // Whoever gave up has taken the body along: the provider would complain of a request without one.
      if (request.socket.destroyed) return;
  }
  callback(request, response);
}
server.on('request', answer.bind(null, origin));
mutual?.on('request', answer.bind(null, alias));

createInterface({ input: process.stdin })
  .on('line', async (line) => {
    const order = JSON.parse(line);
    if (order.command === 'rotate' || order.command === 'withdraw') {
      if (order.command === 'withdraw') keys.length = 0;
      keys.unshift(...(await newKeys()));
      serve();
    } else if (order.command === 'behave') {
      behaviours.delete(order.path);
      if (order.as !== 'well') behaviours.set(order.path, order);
    }
    say({ done: order.command, number: order.number });
  })
  .on('close', () => process.exit(0));

say({ listening: issuer, alias });
