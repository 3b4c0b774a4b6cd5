package proxy

import (
	"net/http"
	"os"
	"testing"

	"github.com/hookproxy/hookproxy/identity"
)

// scripted answers each request line with what is written for it.
type scripted map[string]http.HandlerFunc

func (s scripted) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	answer := s[r.Method+" "+r.URL.RequestURI()]
	if answer == nil {
		answer = answering(http.StatusNotFound, "", "")
	}
	answer(w, r)
}

// ruleset runs an example's rules, its identity included, before an API.
func ruleset(t *testing.T, name string, api scripted, cases []exchangeCase) {
	t.Helper()
	source, err := os.ReadFile("../examples/" + name)
	if err != nil {
		t.Fatal(err)
	}
	file := rulesOf(t, string(source))
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			upstream := serve(t, func(w http.ResponseWriter, r *http.Request) {
				if c.answer != nil && r.Method != http.MethodGet {
					c.answer(w, r)
					return
				}
				api.ServeHTTP(w, r)
			})
			transport := transportUnderTest(TransportOptions{})
			t.Cleanup(transport.CloseIdleConnections)
			var entries []identity.Entry
			for _, r := range file.Identity {
				entries = append(entries, identity.Entry{Kind: r.Kind, Header: r.Header, Get: r.Get, User: r.User, Credentials: r.Credentials})
			}
			chain, err := identity.New(identity.Options{Entries: entries, Upstream: upstream, Transport: transport})
			if err != nil {
				t.Fatal(err)
			}
			p := newPublisher()
			s := setUp(t, Options{Upstream: upstream, Ruling: Ruling{Rules: file, Identity: chain}, Publisher: p, CallerPatience: patience})
			s.do(t, c.request, c.sent)
			if got := s.outcomeOf(t, p); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

const bearer = "\nAuthorization: Bearer a"

func TestAnEnvelopeAPI(t *testing.T) {
	api := scripted{
		"GET /v1/users/me": answering(200, asJSON, `{"success":true,"data":{"id":3,"company_id":42}}`),
		"GET /v1/deals/9":  answering(200, asJSON, `{"success":true,"data":{"id":9,"status":"open"}}`),
		"GET /v1/deals/10": answering(200, asJSON, `{"success":true,"data":{"id":10,"status":"won"}}`),
	}
	person := answering(201, asJSON, `{"success":true,"data":{"id":7,"name":"Ann","internal_score":0.5,"api_key":"k"}}`)
	won := answering(200, asJSON, `{"success":true,"data":{"id":9,"status":"won"}}`)
	ruleset(t, "envelope.yaml", api, []exchangeCase{
		{"created", "POST /v1/persons" + bearer, "{}", person, `person.create 42/7 {"id":7,"name":"Ann"}`},
		{"refused with 200", "POST /v1/persons" + bearer, "{}", answering(200, asJSON, `{"success":false,"error":"no"}`), "skipped:when"},
		{"updated", "PATCH /v1/persons/7" + bearer, "{}", person, `person.update 42/7 {"id":7,"name":"Ann"}`},
		{"deleted", "DELETE /v1/persons/7" + bearer, "", answering(200, asJSON, `{"success":true,"data":{"id":7}}`), `person.delete 42/7 {"id":"7"}`},
		{"won", "PUT /v1/deals/9" + bearer, "{}", won, `deal.won 42/9 {"deal":{"id":9,"status":"won"},"was":"open"}`},
		{"won before", "PUT /v1/deals/10" + bearer, "{}", won, "skipped:when"},
		{"many", "POST /v1/persons/bulk" + bearer, "{}", answering(200, asJSON,
			`{"success":true,"data":[{"success":true,"person":{"id":1}},{"success":false},{"success":true,"person":{"id":2}}]}`),
			`person.create 42/1 {"id":1}; person.create 42/2 {"id":2}`},
		{"by nobody", "POST /v1/persons", "{}", person, `person.create /7 {"id":7,"name":"Ann"} parked:user_unknown`},
		{"beside the mount", "POST /persons" + bearer, "{}", person, ""},
	})
}

func TestAnAPIOfStatusesOnly(t *testing.T) {
	api := scripted{
		"GET /me":       answering(200, asJSON, `{"id":42}`),
		"GET /orders/7": answering(200, asJSON, `{"id":7,"state":"open","lines":[{"sku":"a","price":2}]}`),
	}
	ruleset(t, "no-content.yaml", api, []exchangeCase{
		{"created", "POST /orders" + bearer, "{}", answering(201, "Location: http://orders.internal:8080/orders/7", ""),
			`order.create 42/7 {"id":7,"state":"open","lines":[{"sku":"a","price":2}]}`},
		{"updated", "PUT /orders/7" + bearer, "{}", answering(204, "", ""), `order.update 42/7 {"id":7,"state":"open","lines":[{"sku":"a","price":2}]}`},
		{"deleted", "DELETE /orders/7" + bearer, "", answering(204, "", ""), `order.delete 42/7 {"id":7,"state":"open","lines":[{"sku":"a","price":2}]}`},
		{"cancelled", "POST /orders/7/cancel" + bearer, "", answering(204, "", ""), `order.cancelled 42/7 {"id":7,"state":"open","lines":[{"sku":"a","price":2}]}`},
		{"unreadable", "PUT /orders/8" + bearer, "{}", answering(204, "", ""), `order.update 42/8 omitted:fetch_failed; order.shipped 42/8 omitted:fetch_failed parked:when_unknown`},
		{"thin", "POST /parcels" + bearer, "{}", answering(201, "Location: /parcels/5", ""), `parcel.create 42/5 {"id":"5","url":"/parcels/5"}`},
		{"refused", "PUT /orders/7" + bearer, "{}", answering(409, "", ""), "skipped:status"},
	})
}

func TestAnOrderThatHasJustBeenShipped(t *testing.T) {
	state := "open"
	upstream := scripted{
		"GET /me": answering(200, asJSON, `{"id":42}`),
		"GET /orders/7": func(w http.ResponseWriter, r *http.Request) {
			answering(200, asJSON, `{"id":7,"state":"`+state+`","lines":[{"sku":"a","price":2}]}`)(w, r)
		},
	}
	ruleset(t, "no-content.yaml", upstream, []exchangeCase{
		{"shipped", "PATCH /orders/7" + bearer, "{}", func(w http.ResponseWriter, r *http.Request) {
			state = "shipped"
			answering(204, "", "")(w, r)
		}, `order.update 42/7 {"id":7,"state":"shipped","lines":[{"sku":"a","price":2}]}; order.shipped 42/7 {"id":7,"state":"shipped","lines":[{"sku":"a"}]}`},
		{"again", "PATCH /orders/7" + bearer, "{}", answering(204, "", ""), `order.update 42/7 {"id":7,"state":"shipped","lines":[{"sku":"a","price":2}]}`},
	})
}

func TestAnAPIThatAnswersInPart(t *testing.T) {
	const session = "\nX-Session-Id: s"
	api := scripted{
		"GET /users/me":        answering(200, asJSON, `{"objectId":"u1"}`),
		"GET /classes/note/x7": answering(200, asJSON, `{"objectId":"x7","text":"old"}`),
	}
	stored := answering(201, asJSON, `{"objectId":"x7","createdAt":"now"}`)
	ruleset(t, "partial-body.yaml", api, []exchangeCase{
		{"created", "POST /classes/note" + session, `{"text":"<b>", "pin":1.0}`, stored, `note.create u1/x7 {"text":"<b>","pin":1.0,"objectId":"x7","createdAt":"now"}`},
		{"another kind", "POST /classes/task" + session, `{}`, stored, `task.create u1/x7 {"objectId":"x7","createdAt":"now"}`},
		{"a kind that is not listed", "POST /classes/user" + session, `{}`, stored, ""},
		{"updated", "PUT /classes/note/x7" + session, `{"text":"new","draft":true}`, answering(200, asJSON, `{"updatedAt":"now"}`), `note.update u1/x7 {"text":"new","updatedAt":"now"}`},
		{"deleted", "DELETE /classes/note/x7" + session, "", answering(200, asJSON, `{}`), `note.delete u1/x7 {"objectId":"x7","was":{"objectId":"x7","text":"old"}}`},
	})
}
