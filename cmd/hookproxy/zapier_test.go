package main

import (
	"context"
	"os/exec"
	"strings"
	"testing"

	"github.com/hookproxy/hookproxy/internal/redistest"
	"github.com/hookproxy/hookproxy/internal/sample"
)

// The whole of a REST Hook trigger with Zapier's own library: performList,
// performSubscribe, perform on the body that was really delivered,
// performUnsubscribe; and a hook URL that answers 410. With handshakes on, as
// Zapier's host would be, the target's is exempt.
func TestAZapierTriggerWorks(t *testing.T) {
	t.Parallel()
	wantNode(t, "zapier-platform-core/package.json")
	redistest.Run(t, func(t *testing.T, server *redistest.Server) {
		proxy := start(t, "--upstream", startSample(t), "--redis", "redis://"+server.Addr, "--spool", "none",
			"--rules", writeRules(t, sampleRules+`
subscriptions: {intent: handshake, intent_exempt: 127.0.0.1}
events: {contact.create: {example: {id: 7, name: Ada Lovelace}}}
`))
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		out, err := exec.CommandContext(ctx, "node", "testdata/npm/zapier.js", proxy.front, sample.Accounts[0].Token).CombinedOutput()
		if err != nil || !strings.Contains(string(out), "every step went well") {
			t.Errorf("%v\n%s\n%s", err, out, proxy.log)
		}
	})
}
