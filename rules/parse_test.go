package rules

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// parsed parses a rules file that must be right, to the parser and by the schema.
func parsed(t testing.TB, source string) *File {
	t.Helper()
	file, err := Parse("rules.yaml", []byte(source))
	if err != nil {
		t.Fatalf("Parse:\n%v", err)
	}
	if err := validate(t, source); err != nil {
		t.Errorf("the schema refuses what Parse takes: %v", err)
	}
	return file
}

func TestAnEmptySectionMeansItsDefaults(t *testing.T) {
	file := parsed(t, "rules:\nresources:\nidentity:\nsubscriptions:\ncapture:\n")
	want := SubscriptionSettings{Path: "/api/v1/subscription/", EventsPath: "/api/v1/event/", MaxPerUser: 100, MaxTotal: 100000, MaxBacklog: 10000,
		MaxBacklogSize: 64 << 20, Intent: "none", Samples: 3}
	if !cmp.Equal(file.Subscriptions, want) || file.Capture != (CaptureSettings{MaxBody: 1 << 20, Budget: 64 << 20}) {
		t.Errorf("got %+v, %+v", file.Subscriptions, file.Capture)
	}
	if file.Match("POST", "/contacts") != nil || len(file.Events()) != 0 {
		t.Error("a file without rules matches")
	}
}

func TestSettingsAreRead(t *testing.T) {
	file := parsed(t, `
subscriptions: {path: /hooks, events_path: /hook-events/, max_per_user: 5, max_total: 6, max_backlog: 7, max_backlog_size: 8MiB, intent: handshake, samples: 0,
  intent_exempt: [Hooks.Zapier.com, "*.make.com", "2001:db8::1"],
  limits: {ordered: false, skinny: true, max_rate: 2.5, debounce: 1m30s, batch: false, batch_within: 5s}}
capture: {max_body: 2 MB, budget: 4000000}
`)
	want := SubscriptionSettings{Path: "/hooks/", EventsPath: "/hook-events/", MaxPerUser: 5, MaxTotal: 6, MaxBacklog: 7, MaxBacklogSize: 8 << 20,
		Intent: "handshake", IntentExempt: []string{"hooks.zapier.com", "*.make.com", "2001:db8::1"},
		Limits: OptionLimits{MaxRate: 2.5, Debounce: 90 * time.Second, Batch: -1, BatchWithin: 5 * time.Second, NoOrder: true}}
	if !cmp.Equal(file.Subscriptions, want) || file.Capture != (CaptureSettings{MaxBody: 2e6, Budget: 4e6}) {
		t.Errorf("got %+v, %+v", file.Subscriptions, file.Capture)
	}
}

func TestIdentityIsReadInOrderWithItsShortForms(t *testing.T) {
	file := parsed(t, `
identity:
  - header: {name: x-user}
  - header: X-Account
  - basic: {get: /me}
  - basic: /me?fields=id
  - whoami: {get: /me, user: data.account.id, credentials: [authorization, X-Api-Key]}
  - whoami: /whoami
  - anonymous: {user: 42}
`)
	want := []Resolver{
		{Kind: "header", Header: "X-User", Line: 3},
		{Kind: "header", Header: "X-Account", Line: 4},
		{Kind: "basic", Get: "/me", Line: 5},
		{Kind: "basic", Get: "/me?fields=id", Line: 6},
		{Kind: "whoami", Get: "/me", User: "data.account.id", Credentials: []string{"Authorization", "X-Api-Key"}, Line: 7},
		{Kind: "whoami", Get: "/whoami", User: "id", Credentials: []string{"Authorization"}, Line: 8},
		{Kind: "anonymous", User: "42", Line: 9},
	}
	if diff := cmp.Diff(want, file.Identity); diff != "" {
		t.Error(diff)
	}
}

// routes answers "METHOD path event" of every rule.
func routes(file *File) []string {
	var all []string
	for _, r := range file.Rules {
		all = append(all, r.Method+" "+r.Path+" "+strings.Join(r.Events, "|"))
	}
	return all
}

func TestAResourceStandsForCreateUpdateAndDelete(t *testing.T) {
	file := parsed(t, `
resources:
  contact: /contacts
  note: {path: "/contacts/{contact}/notes/", only: [create, delete]}
  page: {path: /pages, only: update}
`)
	want := []string{
		"POST /contacts contact.create",
		"PUT /contacts/{id} contact.update",
		"PATCH /contacts/{id} contact.update",
		"DELETE /contacts/{id} contact.delete",
		"POST /contacts/{contact}/notes note.create",
		"DELETE /contacts/{contact}/notes/{id} note.delete",
		"PUT /pages/{id} page.update",
		"PATCH /pages/{id} page.update",
	}
	if diff := cmp.Diff(want, routes(file)); diff != "" {
		t.Error(diff)
	}
	if file.Rules[4].Position != "rules.yaml:4" {
		t.Errorf("position %s", file.Rules[4].Position)
	}
}

func TestRulesStandInFileOrderWhateverSectionComesFirst(t *testing.T) {
	file := parsed(t, `
rules:
  - {on: "PUT|PATCH /deals/{id}", emit: deal.won, when: {response.body.stage: won}}
  - {on: [POST /a, "PUT /b/{x:[0-9]{2,3}}"], emit: a.b}
  - {on: "POST /api/{kind:deal|contact}/records", emit: "{path.kind}.create"}
resources: {deal: /deals}
`)
	want := []string{
		"PUT /deals/{id} deal.won", "PATCH /deals/{id} deal.won", "POST /a a.b", "PUT /b/{x:[0-9]{2,3}} a.b",
		"POST /api/{kind:deal|contact}/records contact.create|deal.create",
		"POST /deals deal.create", "PUT /deals/{id} deal.update", "PATCH /deals/{id} deal.update", "DELETE /deals/{id} deal.delete",
	}
	if diff := cmp.Diff(want, routes(file)); diff != "" {
		t.Error(diff)
	}
	wantEvents := []string{"a.b", "contact.create", "deal.create", "deal.delete", "deal.update", "deal.won"}
	if diff := cmp.Diff(wantEvents, file.Events()); diff != "" {
		t.Error(diff)
	}
}

func TestAllMistakesAreReportedAtOnceInOrder(t *testing.T) {
	_, err := Parse("rules.yaml", []byte(`identty: []
subscriptions:
  path: /hooks/
  max_per_user: many
  path: /again/
rules:
  - on: post /contacts
    emit: contact
    whn: {}
  - emit: [a.b]
`))
	want := strings.TrimSpace(`
rules.yaml:1:1: rules file: unknown key "identty"; did you mean "identity"? (expected one of identity, subscriptions, capture, matching, mode, resources, rules, events)
rules.yaml:4:17: subscriptions.max_per_user: expected a whole number from 1 to 100000, found "many"
rules.yaml:5:3: subscriptions: the key "path" stands in line 3 already
rules.yaml:7:9: on: expected a method in capitals, found "post"; did you mean "POST"?
rules.yaml:9:5: rule: unknown key "whn"; did you mean "when"? (expected one of on, emit, status, when, user, payload, merge, pick, omit, resource, each, max_items, keep, guarantee, mode, fetch)
rules.yaml:10:5: rule: expected the key on`)
	if diff := cmp.Diff(want, err.Error()); diff != "" {
		t.Error(diff)
	}
	var mistake Mistake
	if !errors.As(err, &mistake) || mistake.Line != 1 || mistake.Column != 1 {
		t.Errorf("errors.As found %+v", mistake)
	}
}

func TestMistakesPastTheHundredthAreOnlyCounted(t *testing.T) {
	_, err := Parse("r", []byte("rules:\n"+strings.Repeat("  - 1\n", 250)))
	mistakes, ok := err.(Mistakes)
	if !ok || len(mistakes) != 101 || mistakes[100].Message != "150 more mistakes from here on" {
		t.Fatalf("got %d mistakes, the last %v", len(mistakes), mistakes[len(mistakes)-1])
	}
}

func TestRulesThatWouldAlwaysHappenTogetherAreAMistake(t *testing.T) {
	_, err := Parse("rules.yaml", []byte(`resources:
  contact: /contacts
rules:
  - {on: "PATCH /contacts/{contact}", emit: contact.update, payload: response.body.data}
`))
	want := "rules.yaml:4:5: PATCH /contacts/{contact} emits contact.update in line 2 already; both would happen each time"
	if err == nil || err.Error() != want {
		t.Errorf("got %v", err)
	}
	parsed(t, `
rules:
  - {on: "PATCH /deals/{id}", emit: deal.done, when: {response.body.stage: won}}
  - {on: "PATCH /deals/{id}", emit: deal.done, when: {response.body.stage: lost}}
  - {on: "PATCH /deals/{id}", emit: deal.done, when: {response.body.stage: lost}, user: response.body.owner}
  - {on: "PATCH /deals/{id:[0-9]+}", emit: deal.done, when: {response.body.stage: lost}}
`)
}
