// A client of the whole-system tests: `oauth4webapi`, which is nobody's of this repository and strict about the standards. It knows the URL
// of an API and its own name and secret, and finds out everything else: of the API's metadata (RFC 9728) which server issues tokens for it, and of
// the server's (RFC 8414) where.
//
// `ORIGIN` is what clients know the API by, and `ADDRESS` where it really is. Standard output has one JSON object a line: first `{"client": true}`,
// then an answer to each line of standard input, `{"done": "call", "number": N, …}`:
//
//   {"command": "call", "url": U, "id": I, "secret": S, "bound": B}   the resource, with a token that is bound to a key where B is true
//
// An answer has `refused`, the challenge to a request without a token, `servers`, `scopes`, `status`, `text`, and `nonces`, how often a nonce was
// asked for; or `error`. It ends with its standard input.

import { createInterface } from 'node:readline';
import { pathToFileURL } from 'node:url';

const oauth = await import(pathToFileURL(process.env.OAUTH_CLIENT));
const { ORIGIN: origin, ADDRESS: address } = process.env;
const say = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);

// The API is where this says, under its own name.
const fetched = (url, options) => {
  const { href, host } = new URL(url);
  if (!href.startsWith(origin)) return fetch(url, options);
  return fetch(href.replace(origin, `http://${address}`), { ...options, headers: { ...Object.fromEntries(new Headers(options?.headers)), host } });
};
const options = { [oauth.allowInsecureRequests]: true, [oauth.customFetch]: fetched };

async function call({ url, id, secret, bound }) {
  const resource = new URL(url);
  const refused = (await fetched(resource)).headers.get('www-authenticate');
  const api = await oauth.processResourceDiscoveryResponse(resource, await oauth.resourceDiscoveryRequest(resource, options));
  const issuer = new URL(api.authorization_servers[0]);
  const found = await oauth.discoveryRequest(issuer, { ...options, algorithm: 'oauth2' });
  const server = await oauth.processDiscoveryResponse(issuer, found);
  const client = { client_id: id };
  const DPoP = bound ? oauth.DPoP(client, await oauth.generateKeyPair('ES256')) : undefined;
  const parameters = { scope: api.scopes_supported.join(' '), resource: api.resource };
  const granted = await oauth.clientCredentialsGrantRequest(server, client, oauth.ClientSecretBasic(secret), parameters, { ...options, DPoP });
  const { access_token: token } = await oauth.processClientCredentialsResponse(server, client, granted);
  let nonces = 0;
  for (;;) {
    try {
      const answer = await oauth.protectedResourceRequest(token, 'GET', resource, undefined, undefined, { ...options, DPoP });
      return { refused, servers: api.authorization_servers, scopes: api.scopes_supported, status: answer.status, text: await answer.text(), nonces };
    } catch (error) {
      // It has kept the nonce that came with the refusal.
      if (!oauth.isDPoPNonceError(error) || nonces++ > 0) throw error;
    }
  }
}

createInterface({ input: process.stdin })
  .on('line', async (line) => {
    const order = JSON.parse(line);
    const answer = await call(order).catch((error) => ({ error: `${error.name}: ${error.message} ${JSON.stringify(error.cause ?? null)}` }));
    say({ done: order.command, number: order.number, ...answer });
  })
  .on('close', () => process.exit(0));

say({ client: true });
