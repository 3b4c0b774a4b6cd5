package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"

	"github.com/hookproxy/hookproxy/internal/sample"
)

// documented is a client that knows the served OpenAPI document, a token, and
// nothing else: paths, parameters, media types and the place of the credentials
// are looked up there, and everything sent and answered is validated by it.
type documented struct {
	*testing.T
	front  string
	token  string
	doc    *openapi3.T
	router routers.Router
	etag   string // of the last answer that had one
}

func readDocument(t *testing.T, front string) *documented {
	t.Helper()
	_, body := send(t, "GET", front+"/api/v1/subscription/openapi.json", "")
	doc, err := openapi3.NewLoader().LoadFromData(body)
	if err != nil {
		t.Fatal(err)
	}
	router, err := gorillamux.NewRouter(doc)
	if err != nil {
		t.Fatal(err)
	}
	openapi3filter.RegisterBodyDecoder("application/merge-patch+json", openapi3filter.JSONBodyDecoder)
	openapi3filter.RegisterBodyDecoder("application/jwk-set+json", openapi3filter.JSONBodyDecoder)
	return &documented{T: t, front: front, token: sample.Accounts[0].Token, doc: doc, router: router}
}

// find answers where an operation is.
func (c *documented) find(id string) (method, path string, item *openapi3.PathItem, operation *openapi3.Operation) {
	c.Helper()
	for path, item := range c.doc.Paths.Map() {
		for method, operation := range item.Operations() {
			if operation.OperationID == id {
				return method, path, item, operation
			}
		}
	}
	c.Fatalf("the document has no operation %s", id)
	return "", "", nil, nil
}

// call carries out an operation and answers what came of it. If-Match goes along
// wherever the document has it, for what was seen last.
func (c *documented) call(id string, params map[string]string, body any) map[string]any {
	c.Helper()
	method, path, item, operation := c.find(id)
	for name, value := range params {
		path = strings.ReplaceAll(path, "{"+name+"}", value)
	}
	var sent []byte
	if body != nil {
		sent, _ = json.Marshal(body) // maps of texts and booleans always encode
	}
	request := httptest.NewRequestWithContext(c.Context(), method, path, bytes.NewReader(sent))
	if body != nil {
		request.Header.Set("Content-Type", slices.Sorted(maps.Keys(operation.RequestBody.Value.Content))[0])
	}
	for _, parameter := range slices.Concat(item.Parameters, operation.Parameters) {
		if parameter.Value.Name == "If-Match" && c.etag != "" {
			request.Header.Set("If-Match", c.etag)
		}
	}
	c.authorize(request, operation)
	return c.exchange(request, sent)
}

// authorize puts the token where the document's schemes want it.
func (c *documented) authorize(request *http.Request, operation *openapi3.Operation) {
	c.Helper()
	ways := c.doc.Security
	if operation.Security != nil {
		ways = *operation.Security
	}
	for _, way := range ways {
		for name := range way {
			if scheme := c.doc.Components.SecuritySchemes[name].Value; scheme.Type == "http" && scheme.Scheme == "bearer" {
				request.Header.Set("Authorization", "Bearer "+c.token)
				return
			}
		}
	}
	if len(ways) > 0 {
		c.Fatalf("the document knows no way to send a token: %v", ways)
	}
}

// exchange sends a request, and validates both it and the answer.
func (c *documented) exchange(request *http.Request, body []byte) map[string]any {
	c.Helper()
	route, params, err := c.router.FindRoute(request)
	if err != nil {
		c.Fatalf("%s %s: %v", request.Method, request.URL, err)
	}
	options := &openapi3filter.Options{IncludeResponseStatus: true, AuthenticationFunc: func(_ context.Context, in *openapi3filter.AuthenticationInput) error {
		if in.SecurityScheme.Scheme != "bearer" || request.Header.Get("Authorization") == "" {
			return errors.New("no such credentials")
		}
		return nil
	}}
	in := &openapi3filter.RequestValidationInput{Request: request, PathParams: params, Route: route, Options: options}
	if err := openapi3filter.ValidateRequest(c.Context(), in); err != nil {
		c.Fatalf("%s %s %s is not as documented: %v", request.Method, request.URL, body, err)
	}
	real, err := http.NewRequestWithContext(c.Context(), request.Method, c.front+request.URL.String(), bytes.NewReader(body))
	if err != nil {
		c.Fatal(err)
	}
	real.Header = request.Header
	response, err := http.DefaultClient.Do(real)
	if err != nil {
		c.Fatal(err)
	}
	defer response.Body.Close()
	got, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode >= 300 {
		c.Fatalf("%s %s %s: %s, %s, %v", request.Method, request.URL, body, response.Status, got, err)
	}
	out := &openapi3filter.ResponseValidationInput{RequestValidationInput: in, Status: response.StatusCode, Header: response.Header, Options: options}
	if err := openapi3filter.ValidateResponse(c.Context(), out.SetBodyBytes(got)); err != nil {
		c.Errorf("%s %s is answered otherwise than documented: %v in %s", request.Method, request.URL, err, got)
	}
	if etag := response.Header.Get("ETag"); etag != "" {
		c.etag = etag
	}
	answered := map[string]any{"http": response.StatusCode}
	var object map[string]any
	if json.Unmarshal(got, &object) == nil {
		maps.Copy(answered, object)
	}
	var list []any
	if json.Unmarshal(got, &list) == nil {
		answered["list"] = list
	}
	return answered
}

// required answers the fields that the body of an operation must have.
func (c *documented) required(id string) []string {
	c.Helper()
	_, _, _, operation := c.find(id)
	for _, media := range operation.RequestBody.Value.Content {
		schema := media.Schema.Value
		fields := slices.Clone(schema.Required)
		if len(schema.AnyOf) > 0 {
			fields = append(fields, schema.AnyOf[0].Value.Required...)
		}
		return fields
	}
	return nil
}

func (c *documented) want(answered map[string]any, field string, value any) {
	c.Helper()
	if answered[field] != value {
		c.Errorf("%s is %v, want %v, in %v", field, answered[field], value, answered)
	}
}

func TestAClientWrittenFromTheDocumentAloneLivesTheWholeLife(t *testing.T) {
	t.Parallel()
	receiver := sample.NewReceiver(10)
	target := httptest.NewServer(receiver)
	t.Cleanup(target.Close)
	proxy := start(t, "--upstream", startSample(t), "--redis", "embedded", "--spool", "none",
		"--rules", writeRules(t, sampleRules+`events: {contact.create: {description: A contact, example: {id: 1, name: Ada}, schema: {type: object, required: [id, name]}}}`))
	c := readDocument(t, proxy.front)
	event := slices.Sorted(maps.Keys(c.doc.Webhooks))[0]

	known := map[string]any{"target_url": target.URL + "/hooks", "event": event}
	body := map[string]any{}
	for _, field := range c.required("subscribe") {
		body[field] = known[field]
	}
	made := c.call("subscribe", nil, body)
	c.want(made, "state", "active")
	id, _ := made["id"].(string)
	secret, _ := made["secret"].(string)
	receiver.Expect(id, secret)
	this := map[string]string{"id": id, "name": event}
	if list := c.call("listSubscriptions", nil, nil)["list"].([]any); len(list) != 1 {
		t.Errorf("listed %v", list)
	}
	c.want(c.call("getSubscription", this, nil), "id", id)
	c.want(c.call("patchSubscription", this, map[string]any{"description": "mine"}), "description", "mine")
	rotated := c.call("rotateSecret", this, map[string]any{"overlap_seconds": 0})
	receiver.Expect(id, rotated["secret"].(string))
	c.want(c.call("testSubscription", this, map[string]any{"event": event}), "error_class", "")
	c.wantDocumentedHook(event, awaitHook(t, receiver, proxy))
	c.want(c.call("patchSubscription", this, map[string]any{"active": false}), "state", "paused")
	send(t, "POST", proxy.front+"/contacts", `{"name":"Ada"}`)
	c.want(c.call("replaceSubscription", this, map[string]any{"active": true}), "state", "active")
	c.wantDocumentedHook(event, awaitHook(t, receiver, proxy))
	c.readEverything(this)
	c.call("getSubscription", this, nil)
	c.want(c.call("deleteSubscription", this, nil), "http", http.StatusNoContent)
	if list := c.call("listSubscriptions", nil, nil)["list"].([]any); len(list) != 0 {
		t.Errorf("listed %v", list)
	}
}

// readEverything carries out every operation that reads, and needs no more than
// what is known of a subscription.
func (c *documented) readEverything(known map[string]string) {
	c.Helper()
	for path, item := range c.doc.Paths.Map() {
		for name, value := range known {
			path = strings.ReplaceAll(path, "{"+name+"}", value)
		}
		if item.Get == nil || strings.Contains(path, "{") || strings.HasSuffix(path, "/jwks.json") {
			continue // nothing is signed by a key pair here
		}
		c.call(item.Get.OperationID, known, nil)
	}
}

// wantDocumentedHook wants a delivery to be as the document has it, signed.
func (c *documented) wantDocumentedHook(event string, hook sample.Hook) {
	c.Helper()
	operation := c.doc.Webhooks[event].Post
	var body any
	if err := json.Unmarshal(hook.Body, &body); err != nil {
		c.Fatal(err)
	}
	if err := operation.RequestBody.Value.Content["application/json"].Schema.Value.VisitJSON(body); err != nil {
		c.Errorf("%s arrived, which is not as documented: %v", hook.Body, err)
	}
	if hook.Verified != nil {
		c.Errorf("the signature: %v", hook.Verified)
	}
}
