package subscriptions

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"

	"github.com/hookproxy/hookproxy/internal/redistest"
)

// described reads the document that is served, and has it validated.
func described(t *testing.T, r *rig, path string) *openapi3.T {
	t.Helper()
	served := r.send(t, "ann", "GET", path+"openapi.json", "").want(t, 200)
	doc, err := openapi3.NewLoader().LoadFromData([]byte(served.body))
	if err != nil {
		t.Fatal(err)
	}
	if err := doc.Validate(t.Context(), openapi3.EnableSchemaPatternValidation(), openapi3.EnableSchemaDefaultsValidation()); err != nil {
		t.Fatalf("%v in %s", err, served.body)
	}
	return doc
}

func TestTheDescriptionIsValidAndHasTheRealPathsAndSchemes(t *testing.T) {
	r := newRig(t, redistest.Mini(t), func(o *HandlerOptions) {
		o.Path, o.EventsPath, o.Credentials, o.Parameters = "/hooks/subs", "/hooks/events/", []string{"Authorization", "X-Api-Key"}, []string{"api[key]", "token"}
	})
	doc := described(t, r, "/hooks/subs/")
	if !doc.IsOpenAPI31OrLater() {
		t.Errorf("it is OpenAPI %s", doc.OpenAPI)
	}
	want := []string{"/hooks/events/", "/hooks/events/{name}/sample", "/hooks/subs/", "/hooks/subs/openapi.json", "/hooks/subs/{id}/", "/hooks/subs/{id}/confirm", "/hooks/subs/{id}/deliveries",
		"/hooks/subs/{id}/jwks.json", "/hooks/subs/{id}/missed", "/hooks/subs/{id}/missed/ack", "/hooks/subs/{id}/redeliver",
		"/hooks/subs/{id}/redeliveries/{redelivery}", "/hooks/subs/{id}/rotate-secret", "/hooks/subs/{id}/test"}
	if got := doc.Paths.Keys(); !slices.Equal(slices.Sorted(slices.Values(got)), want) {
		t.Errorf("the paths are %q", got)
	}
	for _, scheme := range []string{"bearer", "basic", "x-api-key"} {
		if doc.Components.SecuritySchemes[scheme] == nil {
			t.Errorf("there is no scheme %s", scheme)
		}
	}
	for scheme, parameter := range map[string]string{"query": "api[key]", "query2": "token"} {
		if got := doc.Components.SecuritySchemes[scheme]; got == nil || got.Value.In != "query" || got.Value.Name != parameter {
			t.Errorf("the scheme %s is %+v", scheme, got)
		}
	}
	for _, event := range knownEvents {
		if doc.Webhooks[event] == nil || doc.Webhooks[event].Post == nil {
			t.Errorf("%s has no webhook", event)
		}
	}
	if len(doc.Webhooks) != len(knownEvents) || len(doc.Security) != 5 {
		t.Errorf("there are %d webhooks and %d ways to be known", len(doc.Webhooks), len(doc.Security))
	}
	described(t, newRig(t, redistest.Mini(t), func(o *HandlerOptions) { o.Events = nil }), base)
}

// Each method of each path that is described exists, and no other.
func TestTheDescriptionNamesEveryMethodThatThereIs(t *testing.T) {
	r := newRig(t, redistest.Mini(t))
	for path, item := range described(t, r, base).Paths.Map() {
		real := strings.Replace(path, "{id}", r.subscribe(t, "bob"+path).ID, 1)
		allow := strings.Split(r.send(t, "ann", "BREW", real, "").want(t, 405).header.Get("Allow"), ", ")
		allow = slices.DeleteFunc(allow, func(method string) bool { return method == http.MethodHead })
		var have []string
		for method := range item.Operations() {
			have = append(have, method)
		}
		if slices.Sort(have); !slices.Equal(have, allow) {
			t.Errorf("%s is described with %q and allows %q", path, have, allow)
		}
	}
}

// checked validates what goes each way against the document.
type checked struct {
	*rig
	router routers.Router
}

func (c checked) send(t *testing.T, method, path, body, contentType string, status int) answer {
	t.Helper()
	req := httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(body))
	if body != "" {
		req.Header.Set("Content-Type", contentType)
	}
	route, params, err := c.router.FindRoute(req)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	options := &openapi3filter.Options{AuthenticationFunc: openapi3filter.NoopAuthenticationFunc, IncludeResponseStatus: true}
	in := &openapi3filter.RequestValidationInput{Request: req, PathParams: params, Route: route, Options: options}
	if err := openapi3filter.ValidateRequest(t.Context(), in); err != nil && status < 400 {
		t.Errorf("%s %s %s: %v", method, path, body, err)
	}
	got := c.rig.send(t, "ann", method, path, body, "Content-Type", contentType).want(t, status)
	out := &openapi3filter.ResponseValidationInput{RequestValidationInput: in, Status: got.status, Header: got.header, Options: options}
	out.SetBodyBytes([]byte(got.body))
	if err := openapi3filter.ValidateResponse(t.Context(), out); err != nil {
		t.Errorf("%s %s answered %s: %v", method, path, got.body, err)
	}
	return got
}

func TestTheWholeLifeOfASubscriptionIsAsDescribed(t *testing.T) {
	r := newRig(t, redistest.Mini(t))
	openapi3filter.RegisterBodyDecoder("application/merge-patch+json", openapi3filter.JSONBodyDecoder)
	router, err := gorillamux.NewRouter(described(t, r, base))
	if err != nil {
		t.Fatal(err)
	}
	c, plain, patch := checked{r, router}, "application/json", "application/merge-patch+json"
	body := `{"event":"contact.create",` + good + `,"metadata":{"a":"b"},"expiration_date":"2099-01-01T00:00:00Z","secret":"` + bring(24) + `"}`
	var made map[string]any
	c.send(t, "POST", base, body, plain, 201).into(t, &made)
	c.send(t, "POST", base, body, plain, 200)
	c.send(t, "POST", base, `{"events":["contact.*","deal.won"],"target_url":"https://b.example","format":"raw"}`, plain, 201)
	path := base + made["id"].(string) + "/"
	c.send(t, "GET", path, "", "", 200)
	c.send(t, "PUT", path, `{"active":false}`, plain, 200).into(t, &made)
	back, err := json.Marshal(made)
	if err != nil {
		t.Fatal(err)
	}
	c.send(t, "PUT", path, string(back), plain, 200)
	c.send(t, "PATCH", path, `{"metadata":{"a":null},"expiration_date":null,"active":null,"format":null,"event":"*"}`, patch, 200)
	c.send(t, "POST", path+"rotate-secret", `{"overlap_seconds":60}`, plain, 200)
	c.send(t, "POST", path+"test", `{"event":"contact.create"}`, plain, 200)
	c.send(t, "POST", path+"confirm", "", "", 422)
	c.send(t, "GET", base+"?limit=1&active=true&event=deal.won", "", "", 200)
	c.send(t, "GET", "/api/v1/event/", "", "", 200)
	c.send(t, "GET", base+"openapi.json", "", "", 200)
	for _, refused := range []string{`{}`, `{"event":"nope",` + good + `}`, `{"event":"deal.won",` + good + `,"x":1}`} {
		c.send(t, "POST", base, refused, plain, 422)
	}
	c.send(t, "PATCH", path, `{`, patch, 400)
	c.send(t, "DELETE", path, "", "", 204)
	c.send(t, "GET", path, "", "", 404)
}
