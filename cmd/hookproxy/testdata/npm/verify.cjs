// Verifies one delivery, given as JSON on stdin: {body, headers, secrets, jwks}.
// Each secret must verify with the reference library, and each of the keys in
// the key set must have made a v1a signature. Exits 1 where one does not.
const {createPublicKey, verify} = require('node:crypto')
const {Webhook} = require('standardwebhooks')

const {body, headers, secrets, jwks} = JSON.parse(require('node:fs').readFileSync(0, 'utf8'))
for (const secret of secrets) new Webhook(secret).verify(body, headers)
const content = Buffer.from(`${headers['webhook-id']}.${headers['webhook-timestamp']}.${body}`)
const signatures = headers['webhook-signature'].split(' ').filter((one) => one.startsWith('v1a,'))
for (const jwk of jwks.keys) {
  const key = createPublicKey({key: jwk, format: 'jwk'})
  if (!signatures.some((one) => verify(null, content, key, Buffer.from(one.slice(4), 'base64')))) {
    throw new Error(`no v1a signature by the key ${jwk.kid}`)
  }
}
console.log(`verified ${secrets.length} secrets, ${jwks.keys.length} keys`)
